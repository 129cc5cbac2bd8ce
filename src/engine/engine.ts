// The core: everything that can happen goes in at `handle`, everything to do comes out. Owns all state, dispatches by
// input kind, and is nothing clever: the dialogue stands in the dhcp room, the leases in the lease room, edits in
// edits.ts. Synchronous and deterministic: the same inputs give the same effects. It never throws on outside data.

import type { BindingEvent, Datagram, DhcpContext, NetworkInterface } from '../dhcp/context.js';
import { probed } from '../dhcp/discover.js';
import type { DropReason } from '../dhcp/drop.js';
import { Memory } from '../dhcp/memory.js';
import { OPERATIONS, serve } from '../dhcp/server.js';
import type { OwnIdentity } from '../failover/host.js';
import type { RelationshipRecord } from '../failover/record.js';
import type { Lease } from '../lease/lease.js';
import { LeaseTable } from '../lease/table.js';
import { formatHardware } from '../wire/bytes.js';
import { DecodeError } from '../wire/error.js';
import { type DhcpMessage, decodeMessage, OptionCode } from '../wire/message.js';
import { Alarms } from './alarms.js';
import { bindingData, QUARANTINE_EVENTS } from './binding-event.js';
import { Commands } from './commands.js';
import { CounterSet } from './counters.js';
import { DialogueContext, sendEffect } from './dialogue.js';
import type { Effect, JournalEvent, Write } from './effect.js';
import { EVENTS, type EventType } from './events.js';
import { type ExpiryHost, expireDue } from './expiry.js';
import type { CommitPoint, Input } from './input.js';
import { keepOffers } from './keep-offers.js';
import { Management } from './management.js';
import { Notices } from './notices.js';
import { Partners } from './partners.js';
import { Random } from './random.js';
import { Replication } from './replication.js';
import { emptySettings, loadSettings, ScopeIndex, type Settings, UNSHARED } from './scopes.js';
import { Sharing } from './sharing.js';
import { Snapshot } from './snapshot.js';
import { CLOCK_ACCEPTED, WallClock } from './wall-clock.js';

export interface EngineOptions {
  readonly name: string; // this server's name
  readonly storeId: string;
  readonly lastOperationAt?: number; // engine time, as the store kept it; 0 or absent: never
  /** Is this a point of the store's history? Absent: every one is. */
  readonly knowsPoint?: (point: CommitPoint) => boolean;
  readonly startCounter?: number; // raised with each start of the store (failover.md §5 "Identity")
  readonly ports: { readonly server: number; readonly client: number };
  readonly clockHeld: boolean; // wall clock behind the last operation: engine time stands still, nobody is answered
  readonly wallAheadMs: number; // wall clock minus engine time at start
  readonly maxClockSkewMs?: number; // against partners; default a minute
  readonly seed: readonly [number, number]; // two random 32-bit numbers: keys of hashes that clients could attack
  readonly restored: boolean; // the store came from a backup
  readonly restoredAtStart?: number; // start counter of the first start after that; absent: this start
  readonly traceDrops: boolean; // announce each packet that gets no answer, with its reason
}

/** Engine time between two samples of free addresses, for the forecast of exhaustion. */
const SAMPLE_MS = 60_000;

export class Engine {
  readonly view: Snapshot;
  readonly table: LeaseTable;
  readonly counters = new CounterSet();
  readonly alarms: Alarms;
  readonly notices: Notices;
  readonly wallClock: WallClock;
  readonly memory: Memory;
  index: ScopeIndex;
  paused = false;
  clockHeld: boolean;
  interfaces: readonly NetworkInterface[] = [];
  at = 0;

  readonly context: DhcpContext;
  readonly partners: Partners;
  readonly management: Management;
  readonly replication: Replication;
  readonly sharing: Sharing;
  readonly random: Random;
  readonly identity: OwnIdentity;
  /** Newest point of the store that is on disk. */
  newestPoint: CommitPoint = { sequence: 0, hash: '0000000000000000' };
  private readonly commands: Commands;
  private readonly stored = new Map<string, unknown>();
  private effects: Effect[] = [];
  private nextCommitId = 1;
  private committedId = 0;
  private nextEventSeq = 1;
  private sampleAt = 0;
  private arriving: DhcpMessage | null = null;
  private arrivedOn = '';

  constructor(readonly options: EngineOptions) {
    this.table = new LeaseTable(options.seed);
    this.clockHeld = options.clockHeld;
    this.index = new ScopeIndex(emptySettings(), this.table, null, UNSHARED);
    this.memory = new Memory((address) => this.index.at(address)?.pools.giveBack(address));
    this.alarms = new Alarms((change) => {
      const { raised, ...data } = change;
      this.record(raised ? 'alarm-raised' : 'alarm-cleared', data);
    });
    this.notices = new Notices(this);
    this.wallClock = new WallClock(this);
    this.context = new DialogueContext(this);
    this.commands = new Commands(this);
    this.random = new Random(options.seed);
    this.identity = {
      serverName: options.name,
      serverId: options.storeId,
      startCounter: options.startCounter ?? 0,
      nonce: this.random.hex(16),
    };
    this.partners = new Partners(this);
    this.management = new Management(this);
    this.replication = new Replication(this);
    this.sharing = new Sharing(this);
    this.view = new Snapshot(this);
  }

  /** Before loading: how many leases are to come. */
  expectLeases(count: number): void {
    this.table.reserve(count);
  }

  /** While loading: one lease as stored. Throws RecordError when the record is damaged. */
  loadLease(address: number, record: Uint8Array): void {
    this.table.load(address, record);
  }

  /** While loading: one setting as stored. */
  loadSetting(key: string, value: unknown): void {
    this.stored.set(key, value);
  }

  /** Everything is loaded: begin. Throws SettingsError when the stored settings cannot be served. */
  start(at: number, nextEventSeq: number): Effect[] {
    this.at = at;
    this.nextEventSeq = nextEventSeq;
    this.paused = this.stored.get('paused') === true;
    for (const [key, value] of this.stored) {
      if (key.startsWith('failover/')) this.partners.load(value as RelationshipRecord);
      else this.management.load(key, value);
    }
    this.reindex(loadSettings(this.stored));
    const accepted = this.stored.get(CLOCK_ACCEPTED);
    this.stored.clear();
    this.sampleAt = at + SAMPLE_MS;
    const { wallAheadMs, restored, name } = this.options;
    const data = { name, scopes: this.index.all.length, leases: this.table.size };
    this.record('server-started', data);
    if (this.paused) this.alarms.raise(at, 'paused', 'paused: no client is answered until `tandem resume`');
    for (const served of this.index.all) this.notices.declined(served);
    if (restored) this.notices.restored();
    this.wallClock.begin(wallAheadMs, accepted);
    this.partners.begin();
    this.management.begin();
    return this.takeEffects();
  }

  /**
   * Something happened at engine time `at` (ms, never earlier than before); returns what to do about it. Effects are
   * carried out in order; a commit's `then` only when its writes are on disk.
   */
  handle(at: number, input: Input): Effect[] {
    this.at = at;
    this.memory.setNow(at);
    switch (input.kind) {
      case 'datagram':
        this.receive(input);
        break;
      case 'interfaces':
        this.setInterfaces(input.interfaces);
        break;
      case 'probed':
        if (input.inUse) this.counters.probeConflicts++;
        probed(this.context, input.token, input.inUse, input.by);
        break;
      case 'deadline':
        this.onDeadline();
        break;
      case 'committed':
        this.committedId = input.id;
        if (input.point) this.newestPoint = input.point;
        this.partners.committed();
        break;
      case 'stopping':
        this.record('server-stopping', { name: this.options.name });
        this.partners.takeAll('stop');
        break;
      case 'link-up':
        this.partners.linkUp(input.link, input.relationship, input.from);
        break;
      case 'link-bytes':
        this.partners.linkBytes(input.link, input.bytes);
        break;
      case 'link-down':
        this.partners.linkDown(input.link, input.reason);
        break;
      case 'dial-failed':
        this.partners.dialFailed(input.relationship, input.reason, input.end);
        break;
      case 'caller-refused':
        this.partners.callerRefused(input);
        break;
      case 'manage-request':
      case 'manage-answer':
        this.management.take(input);
        break;
      case 'clock-stepped':
      case 'clock-released':
      case 'clock-held':
        this.wallClock.take(input);
        break;
      case 'alarm':
        if (input.message === null) this.alarms.clear(input.code);
        else this.alarms.raise(at, input.code, input.message);
        break;
      case 'command':
        this.commands.run(input.id, input.actor, input.command);
        break;
    }
    return this.takeEffects();
  }

  /** When `deadline` has to be put in next, engine ms. */
  nextDeadline(): number {
    let next = this.sampleAt; // also often enough to see caution end
    if (this.clockHeld) return next;
    const partner = Math.min(
      this.partners.nextDeadline(),
      this.management.nextDeadline(),
      this.replication.nextDeadline(),
    );
    if (partner < next) next = partner;
    const expiry = this.table.nextExpiryAt();
    if (expiry !== undefined && expiry < next) next = expiry;
    const offer = this.memory.nextOfferEnd();
    if (offer !== undefined && offer < next) next = offer;
    return next;
  }

  private receive(input: Extract<Input, { kind: 'datagram' }>): void {
    const via = this.interfaces.find(({ name }) => name === input.interface);
    let message: DhcpMessage;
    try {
      message = decodeMessage(input.bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.counters.countReceived('malformed', input.interface);
      this.counters.countDropped(error.reason);
      return;
    }
    this.arriving = message;
    this.arrivedOn = input.interface;
    const type = message.options.get(OptionCode.dhcpMessageType)?.[0] ?? 0;
    this.counters.countReceived(OPERATIONS.get(type) ?? 'unknown', input.interface);
    if (via === undefined) this.drop('no-scope');
    else if (this.paused) this.drop('paused');
    else if (this.clockHeld) this.drop('clock-held');
    else serve(this.context, message, via, input.from, input.fromPort);
    this.arriving = null;
  }

  private setInterfaces(interfaces: Extract<Input, { kind: 'interfaces' }>['interfaces']): void {
    this.partners.clientSideChanged(this.interfaces, interfaces);
    this.interfaces = interfaces;
    const message = 'none of the configured interfaces is up with an address: no client can be heard';
    if (interfaces.length === 0) this.alarms.raise(this.at, 'no-interface', message);
    else this.alarms.clear('no-interface');
    const names = interfaces.map(({ name }) => name);
    this.effects.push({ kind: 'event', event: this.makeEvent('interfaces-changed', { interfaces: names }) });
  }

  private onDeadline(): void {
    if (!this.clockHeld) expireDue(this as ExpiryHost);
    this.notices.onDeadline();
    this.partners.onDeadline();
    this.management.onDeadline();
    if (this.at < this.sampleAt) return;
    this.sampleAt = this.at + SAMPLE_MS;
    for (const served of this.index.all) {
      this.view.sample(served, this.at);
      this.notices.lookAgain(served);
    }
  }

  /** The scope is gone, and with it what was remembered of it. */
  forgetScope(scopeId: string): void {
    this.alarms.forgetScope(scopeId);
    this.notices.forgetScope(scopeId);
    this.counters.exhausted.delete(scopeId);
    this.view.forgetScope(scopeId);
  }

  /** Count a packet that gets no answer, and tell of it when asked to. */
  drop(reason: DropReason): void {
    this.counters.countDropped(reason);
    if (!this.options.traceDrops || this.arriving === null) return;
    const client = formatHardware(this.arriving.chaddr);
    const data = { reason, client, interface: this.arrivedOn };
    this.effects.push({ kind: 'event', event: this.makeEvent('packet-dropped', data) });
  }

  push(effect: Effect): void {
    this.effects.push(effect);
  }

  /** Everything committed so far is on disk. */
  get settled(): boolean {
    return this.committedId === this.nextCommitId - 1;
  }

  /** Serve by these settings from now on, each scope with what this server may do there; see `keepOffers`. */
  reindex(settings: Settings, meanwhile?: () => void): void {
    const before = this.index;
    this.index = new ScopeIndex(settings, this.table, before, this.partners);
    meanwhile?.();
    keepOffers(this, before);
  }

  /**
   * Ask for a commit; returns its number. `then` is carried out when the writes are on disk. `patient`: nothing waits
   * for it; the next one takes it along.
   */
  commit(writes: readonly Write[], then: readonly Effect[], patient = false): number {
    this.counters.commits++;
    const id = this.nextCommitId++;
    this.effects.push({ kind: 'commit', id, writes, then, patient });
    return id;
  }

  /** The newest commit asked for. */
  get issued(): number {
    return this.nextCommitId - 1;
  }

  /** The newest commit that is on disk. */
  get committed(): number {
    return this.committedId;
  }

  /** An event of the journal and nothing else. */
  record(type: EventType, data: Record<string, unknown>, actor?: string): void {
    const event = this.makeEvent(type, data, actor);
    this.commit([{ table: 'journal', events: [event] }], [{ kind: 'event', event }]);
  }

  /** `scopeId`, `address` and `relationship` in the data become fields of the event. */
  makeEvent(type: EventType, data: Record<string, unknown>, actor?: string): JournalEvent {
    const { scopeId, address, relationship, ...rest } = data;
    return {
      seq: EVENTS[type].journal ? this.nextEventSeq++ : 0,
      at: this.at,
      type,
      ...(typeof relationship === 'string' ? { relationship } : {}),
      ...(typeof scopeId === 'string' ? { scopeId } : {}),
      ...(typeof address === 'string' ? { address } : {}),
      ...(actor === undefined ? {} : { actor }),
      data: rest,
    };
  }

  /** Put the record on disk as it is; the partner is not told. */
  keepLease(lease: Lease): void {
    this.commit([this.putLease(lease)], []);
  }

  /** Put the lease into the table; returns what has to be written. */
  putLease(lease: Lease): Write {
    const { address } = lease;
    this.table.put(lease);
    // A holder was offered its own address again before the lease ended: until that offer ends it is nobody else's.
    if (lease.state === 'free' && this.memory.isSpokenFor(address)) {
      this.index.at(address)?.pools.takeSpecific(address, lease.owner);
    }
    return { table: 'lease', address, record: this.table.recordOf(address) ?? null };
  }

  /** Put the lease into the table and on disk; the reply leaves when it is there. Returns the commit's number. */
  commitLease(lease: Lease, type: BindingEvent | null, reply: Datagram | null, actor?: string): number {
    const before = type === 'lease-declined' ? this.table.get(lease.address) : undefined;
    const served = this.index.at(lease.address);
    const writes: Write[] = [this.putLease(lease)];
    const then: Effect[] = [];
    if (reply) then.push(sendEffect(reply));
    if (type !== null) {
      const event = this.makeEvent(type, bindingData(lease, before, served?.scope.scopeId), actor);
      writes.push({ table: 'journal', events: [event] });
      then.push({ kind: 'event', event });
    }
    const id = this.commit(writes, then);
    if (served) this.partners.changed(served.scope.scopeId, lease.address, id);
    if (served && QUARANTINE_EVENTS.has(type)) this.notices.declined(served);
    return id;
  }

  private takeEffects(): Effect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }
}
