// What operators are alarmed of in a relationship (failover.md §3, §5, §7): a table, one row an alarm. A row says since
// when its condition stands; it is raised when that has lasted long enough, and cleared when it stands no more.

import type { Relationship } from '../failover/relationship.js';
import type { State } from '../failover/states.js';
import { duration } from '../failover/story.js';
import { asArgument } from '../failover/terms.js';
import { formatAddress } from '../wire/address.js';
import type { AlarmCode } from './alarms.js';
import { declaredNames } from './declared.js';
import type { Engine } from './engine.js';
import { isoOf } from './instants.js';
import { partnerNameOf } from './relationship-view.js';

interface Row {
  readonly code: AlarmCode;
  /** How long the condition must stand. */
  readonly afterMs: (relationship: Relationship) => number;
  /** Since when it stands, engine time; 0 = it does not. */
  readonly sinceAt: (relationship: Relationship, engine: Engine) => number;
  readonly message: (relationship: Relationship, engine: Engine) => string;
}

/** A refused update is most often overtaken by one that is accepted; it is an alarm only if none is. */
const REFUSED_MS = 10_000;
/** Looked at this often at most, but when a state changed or a wait is over. */
const LOOK_MS = 1_000;

/** States that are as they should be, or have an alarm of their own. */
const SETTLED: ReadonlySet<State> = new Set<State>(['normal', 'partner-down', 'paused', 'shutdown']);

const atOnce = () => 0;

const ROWS: readonly Row[] = [
  {
    code: 'relationship-not-normal',
    afterMs: ({ timers }) => timers.restartGraceMs,
    sinceAt: ({ state, sinceAt }) => (SETTLED.has(state) ? 0 : sinceAt),
    message: (relationship) => {
      const { name, state, sinceAt, connected, contact } = relationship;
      const trouble = connected || contact.lastTrouble === '' ? '' : ` (${contact.lastTrouble})`;
      return `${state.toUpperCase()} with ${partnerNameOf(relationship)} since ${isoOf(sinceAt)}${trouble}: see \`tandem failover get ${asArgument(name)}\``;
    },
  },
  {
    code: 'partner-down',
    afterMs: atOnce,
    sinceAt: ({ state, sinceAt }) => (state === 'partner-down' ? sinceAt : 0),
    message: (relationship) =>
      `${partnerNameOf(relationship)} is declared down: it must answer no client until it has been in contact with this server`,
  },
  {
    code: 'partner-lives',
    afterMs: atOnce,
    sinceAt: ({ duties }) => duties.safePeriod.signOfLife?.sinceAt ?? 0,
    message: (relationship) => {
      const { signOfLife } = relationship.duties.safePeriod;
      const seen = signOfLife ? ` (${isoOf(signOfLife.at)}: ${signOfLife.text})` : '';
      return `${partnerNameOf(relationship)} is not in contact, and yet answers clients${seen}: it is not taken for down by itself before it has been silent to them for as long; mend the link between the two`;
    },
  },
  {
    code: 'shut-down',
    afterMs: atOnce,
    sinceAt: ({ state, sinceAt }) => (state === 'shutdown' ? sinceAt : 0),
    message: (relationship) =>
      `shut down by an operator: nobody is answered here in its scopes until \`tandem resume\` or the next start; ${partnerNameOf(relationship)} serves them`,
  },
  {
    code: 'started-alone',
    afterMs: atOnce,
    sinceAt: (relationship) => {
      const { alone, neverNormal } = relationship.facts();
      const serves = relationship.service.answers !== 'none';
      return alone !== 'no' && serves && !neverNormal ? relationship.startedAt : 0;
    },
    message: (relationship) => {
      const partner = partnerNameOf(relationship);
      const what =
        relationship.timers.startAlone === 'never'
          ? `no new client is served until ${partner} is heard or declared down`
          : 'every address is probed before it is given out, and yet two clients might get one';
      return `started without hearing ${partner}, which may have declared this server down: ${what}`;
    },
  },
  {
    code: 'not-authenticated',
    afterMs: atOnce,
    sinceAt: ({ record, startedAt }) => (record.settings.authenticated ? 0 : startedAt),
    message: (relationship) =>
      `there is no secret: whoever can speak from the address of ${partnerNameOf(relationship)} can change leases; give both servers the same secretFile`,
  },
  {
    code: 'relationship-not-declared',
    afterMs: atOnce,
    sinceAt: (relationship, engine) =>
      undeclaredScopes(relationship, engine).length > 0 ? relationship.startedAt : 0,
    message: (relationship, engine) =>
      `the config file declares ${undeclaredScopes(relationship, engine).join(', ')} and not this relationship: were the store lost, this server would serve alone what it shares; take the relationship into the file (\`tandem config export\` writes it)`,
  },
  {
    code: 'clock-skew',
    afterMs: atOnce,
    sinceAt: (relationship, { wallClock }) => {
      const skewed = Math.abs(relationship.clockSkewMs ?? 0) > wallClock.maxSkewMs;
      return skewed || isRefusedForSkew(relationship) ? relationship.startedAt : 0;
    },
    message: (relationship) => {
      const { contact, clockSkewMs, record } = relationship;
      if (!record.stored.reachedNormal && contact.refused.newest !== null) return contact.refused.newest.text;
      const skewMs = clockSkewMs ?? 0;
      const direction = skewMs > 0 ? 'ahead of' : 'behind';
      return `the clock of ${partnerNameOf(relationship)} is ${duration(Math.abs(skewMs))} ${direction} this server's: leases stay correct, but set the clock that is wrong`;
    },
  },
  {
    code: 'clone',
    afterMs: atOnce,
    sinceAt: ({ isClone, contact, startedAt }) => (isClone ? startedAt : contact.refused.cloneSeenSinceAt),
    message: (relationship) => {
      const partner = partnerNameOf(relationship);
      if (relationship.isClone)
        return `${partner} is connected to another process with the store of this server: this one is a clone and answers nobody; stop it, or give it a stateDir of its own`;
      const from = relationship.contact.refused.newest?.from;
      return `a second process with the store of ${partner} asks for a connection${from ? ` from ${from}` : ''}, and is refused: find it and stop it, it may answer clients`;
    },
  },
  {
    code: 'updates-refused',
    afterMs: () => REFUSED_MS,
    sinceAt: ({ exchange }) => exchange.refusals.unsettled.sinceAt,
    message: (relationship) => {
      const { refusals } = relationship.exchange;
      const { count } = refusals.unsettled;
      const last = refusals.list().at(-1);
      const example = last ? `, one is ${formatAddress(last.address)} (${last.reason})` : '';
      return `${count} ${count === 1 ? 'address' : 'addresses'} on which ${partnerNameOf(relationship)} and this server do not agree${example}: see \`tandem failover get ${asArgument(relationship.name)}\``;
    },
  },
  {
    code: 'resync-stalled',
    afterMs: atOnce,
    sinceAt: ({ duties }) => duties.stalledSinceAt,
    message: (relationship) =>
      `${partnerNameOf(relationship)} stopped sending its leases in the middle, and was asked again: look at its log and the network`,
  },
  {
    code: 'store-lost',
    afterMs: atOnce,
    sinceAt: ({ record, startedAt }) => (record.stored.storeLost ? startedAt : 0),
    message: (relationship) =>
      `the store of this server is lost, or older than ${partnerNameOf(relationship)} remembers: all leases are read from there first`,
  },
  {
    code: 'partner-store-lost',
    afterMs: atOnce,
    sinceAt: ({ record, startedAt }) => (record.stored.partnerStoreLost ? startedAt : 0),
    message: (relationship) =>
      `the store of ${partnerNameOf(relationship)} is lost, or older than this server remembers: it reads all leases from here first`,
  },
];

/** Its scopes that the config file declares, where that does not declare the relationship. */
function undeclaredScopes({ name, record }: Relationship, { index }: Engine): readonly string[] {
  const { scopes, relationships } = declaredNames(index.settings.declared);
  if (relationships.has(name)) return [];
  return record.settings.scopes.filter((scopeId) => scopes.has(scopeId));
}

/** A relationship that cannot begin because of the clocks, by the word of either server. */
function isRefusedForSkew({ connected, record, contact }: Relationship): boolean {
  return !connected && !record.stored.reachedNormal && contact.refused.newest?.reason === 'time-mismatch';
}

/** Looks after the alarms of all relationships. */
export class RelationshipAlarms {
  /** Name → when to look again although nothing else happens. */
  private readonly dueAt = new Map<string, number>();
  private readonly lookedAt = new Map<string, number>();

  constructor(private readonly engine: Engine) {}

  /** Raise and clear what stands of a relationship now. */
  look(relationship: Relationship): void {
    const { alarms, at } = this.engine;
    const { name } = relationship;
    const subject = { relationship: name };
    let dueAt = Number.POSITIVE_INFINITY;
    for (const row of ROWS) {
      const since = row.sinceAt(relationship, this.engine);
      const raiseAt = since + row.afterMs(relationship);
      if (since === 0) alarms.clear(row.code, subject);
      else if (at >= raiseAt) alarms.raise(at, row.code, row.message(relationship, this.engine), subject);
      else dueAt = Math.min(dueAt, raiseAt);
    }
    this.dueAt.set(name, dueAt);
    this.lookedAt.set(name, at);
  }

  /** The relationship is over. */
  forget(name: string): void {
    this.dueAt.delete(name);
    this.lookedAt.delete(name);
    this.engine.alarms.forgetRelationship(name);
  }

  /** A deadline of the relationship was kept: look, unless it was looked at just now. */
  lookLater(relationship: Relationship): void {
    const { name } = relationship;
    const soon = (this.lookedAt.get(name) ?? 0) + LOOK_MS;
    if (this.engine.at >= Math.min(soon, this.nextLookAt(name))) this.look(relationship);
  }

  /** Engine time; infinite = nothing is waited for. */
  nextLookAt(name: string): number {
    return this.dueAt.get(name) ?? Number.POSITIVE_INFINITY;
  }
}
