// The catalogue of events: one row each. The journal (`tandem events`), the log and the live feed all speak in these
// types; the log takes its level and its sentence from here. `journal: true` rows are stored, the rest only announced.

export type EventLevel = 'debug' | 'info' | 'warn' | 'error';

export interface EventRow {
  readonly level: EventLevel;
  readonly journal: boolean;
  readonly text: string; // {name} is replaced by the event's field or data of that name
  readonly advice?: string; // what an operator should do
}

export const EVENTS = {
  'server-started': {
    level: 'info',
    journal: true,
    text: '{name} starts with {scopes} scopes and {leases} leases from its store',
  },
  'server-stopping': { level: 'info', journal: true, text: '{name} is stopping' },
  'lease-bound': {
    level: 'info',
    journal: true,
    text: '{address} bound to {hardwareAddress} {hostname} until {end}',
  },
  'lease-released': { level: 'info', journal: true, text: '{address} released by {hardwareAddress}' },
  'lease-expired': { level: 'info', journal: true, text: '{address} expired, was {hardwareAddress}' },
  'lease-declined': {
    level: 'warn',
    journal: true,
    text: '{address} declined by {hardwareAddress}: somebody else uses it',
    advice: 'find the host that uses the address without a lease',
  },
  'lease-reset': { level: 'info', journal: true, text: '{address} out of quarantine' },
  'address-conflict': {
    level: 'warn',
    journal: true,
    text: '{address} answers a probe ({hardwareAddress}) though nobody leases it: quarantined',
    advice: 'find the host that uses the address without a lease',
  },
  'scope-exhausted': {
    level: 'error',
    journal: true,
    text: 'scope {scopeId} has no address for a new client; {count} requests went unanswered',
    advice: 'widen the ranges or shorten the lease time',
  },
  'scope-added': { level: 'info', journal: true, text: 'scope {scopeId} added' },
  'scope-changed': { level: 'info', journal: true, text: 'scope {scopeId} changed' },
  'scope-removed': { level: 'warn', journal: true, text: 'scope {scopeId} removed with {leases} leases' },
  'server-changed': { level: 'info', journal: true, text: 'server settings changed' },
  paused: { level: 'warn', journal: true, text: 'paused: no client is answered' },
  resumed: { level: 'info', journal: true, text: 'resumed' },
  'partner-declared-down': {
    level: 'warn',
    journal: true,
    text: '{relationship}: {actor} says that the partner is down',
  },
  'relationship-shut-down': {
    level: 'warn',
    journal: true,
    text: '{relationship}: {actor} shuts this server down for long',
  },
  'relationship-added': { level: 'info', journal: true, text: '{relationship}: made' },
  'relationship-changed': { level: 'info', journal: true, text: '{relationship}: changed' },
  'relationship-removed': { level: 'warn', journal: true, text: '{relationship}: removed' },
  'partner-invited': {
    level: 'warn',
    journal: true,
    text: '{actor} had an invitation made, good until {expiresAt}',
  },
  'partner-joined': { level: 'info', journal: true, text: '{actor} joined a partner: {done}' },
  'secret-changed': {
    level: 'info',
    journal: true,
    text: '{relationship}: {actor} changed the secret of its link',
  },
  'backup-written': { level: 'info', journal: true, text: '{actor} had a backup written to {file}' },
  'ending-told': {
    level: 'info',
    journal: true,
    text: '{relationship}: the partner knows that it is over',
  },
  'change-decided': { level: 'info', journal: true, text: '{relationship}: {change} {decision}' },
  'clock-accepted': {
    level: 'warn',
    journal: true,
    text: '{actor} says that the wall clock is right, {wallAheadMs} ms ahead of engine time',
  },
  'failover-state': {
    level: 'warn',
    journal: true,
    text: '{relationship}: from {from} to {to} ({why}, {section})',
  },
  'failover-link': {
    level: 'info',
    journal: true,
    text: '{relationship}: connected {connected} {partner} {reason}',
  },
  'failover-link-refused': {
    level: 'warn',
    journal: true,
    text: '{relationship}: connection refused by {by} ({reason}): {text}',
  },
  'failover-refused': { level: 'warn', journal: true, text: 'update of {address} refused by {by}: {reason}' },
  'alarm-raised': { level: 'warn', journal: true, text: '{code}: {message}' },
  'alarm-cleared': { level: 'info', journal: true, text: '{code} is over' },
  'interfaces-changed': { level: 'info', journal: false, text: 'interfaces now: {interfaces}' },
  'packet-dropped': { level: 'debug', journal: false, text: 'no answer to {client}: {reason}' },
} as const satisfies Record<string, EventRow>;

export type EventType = keyof typeof EVENTS;
