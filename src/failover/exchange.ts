// Binding updates with one partner, both ways (draft-ietf-dhc-failover-12 §7.1 to §7.5): out in batches as the window
// allows, each binding only when it is on disk; in through the acceptance grid, acknowledged when the outcome is on
// disk; and the answers to UPDREQ and UPDREQALL. Knows nothing of server states: the relationship says when.

import {
  type JudgeContext,
  judge,
  REJECT_REASONS,
  type ReceivedBinding,
  type Verdict,
} from '../lease/accept.js';
import { type Lease, NO_BINDING } from '../lease/lease.js';
import { fromPartner, type PartnerClock } from '../lease/lifetime.js';
import { type Merged, merge } from '../lease/merge.js';
import { PARTNER_LIMITS } from '../wire/partner-limits.js';
import type { Binding, BindingResult, BndUpdMessage, PartnerMessage } from '../wire/partner-message.js';
import { ACCEPTED, REJECT_NUMBERS, type UpdateExtent } from '../wire/partner-values.js';
import { Answer } from './answer.js';
import type { HeldAcks } from './held.js';
import type { FailoverHost, OutgoingMessage, SharedScope } from './host.js';
import type { Joining } from './joining.js';
import { UpdateLag } from './lag.js';
import { type ProgressView, Refusals } from './progress.js';
import { type InFlight, Updates } from './updates.js';

/** What the exchange needs to know of its relationship at each step. */
export interface ExchangeView {
  readonly link: number | null; // the connection that is up
  readonly window: number; // bindings the partner takes unanswered
  readonly clock: PartnerClock;
  readonly held: HeldAcks;
  readonly joining: Joining;
  nextXid(): number;
  judgeContext(scope: SharedScope | undefined, address: number, ownUnanswered: boolean): JudgeContext;
}

/** What was said and heard since the start of the process, in bindings; for metrics. */
export interface ExchangeCounts {
  sent: number;
  /** Unanswered when their connection ended, so sent again. */
  resent: number;
  received: number;
  rejected: number; // of those received, by us
  acksSent: number;
  acksReceived: number;
  refused: number; // of those sent, by the partner
}

export class Exchange {
  readonly updates = new Updates();
  private answer: Answer | null = null;
  readonly counts: ExchangeCounts = {
    sent: 0,
    resent: 0,
    received: 0,
    rejected: 0,
    acksSent: 0,
    acksReceived: 0,
    refused: 0,
  };
  readonly refusals = new Refusals();
  readonly lag = new UpdateLag();

  constructor(
    private readonly host: FailoverHost,
    private readonly view: ExchangeView,
  ) {}

  /** Every record that the partner has not acknowledged, after a start: the marks are on disk. */
  findUnacknowledged(): void {
    for (const { scope } of this.host.scopes()) {
      this.host.table.forEachInRange(scope.network, scope.broadcast, (address) => {
        const lease = this.host.table.get(address);
        if (lease && lease.ackedRevision < lease.revision) this.updates.changed(address, 0);
      });
    }
  }

  linkLost(): void {
    this.counts.resent += this.updates.outstanding;
    this.updates.linkLost(this.host.issuedId);
    this.answer = null;
  }

  /** How far the answer to the partner's UPDREQ is; null when none is open. */
  get progress(): ProgressView | null {
    return this.answer?.progress.view(this.host.at) ?? null;
  }

  /** Both servers have these settings of their scopes now. */
  settingsAgreed(): void {
    this.updates.settingsChanged(this.host.issuedId);
    this.pump();
  }

  /** Send what may be sent now. */
  pump(): void {
    const { link } = this.view;
    if (link === null) return;
    this.queueAnswer();
    for (;;) {
      const room = Math.min(PARTNER_LIMITS.batchBindings, this.view.window - this.updates.outstanding);
      const addresses = room > 0 ? this.updates.ready(this.host.committedId, room) : [];
      if (addresses.length === 0) break;
      const bindings = addresses.flatMap((address) => this.bindingToSend(address));
      if (bindings.length > 0) this.say(link, this.view.nextXid(), this.batch(bindings));
    }
    this.finishAnswer();
  }

  private batch(bindings: readonly Binding[]): BndUpdMessage {
    const { answer } = this;
    const answersXid = answer?.asked.xid ?? 0;
    return { kind: 'bnd-upd', bindings, answersXid, remaining: answer?.remaining ?? 0 };
  }

  private bindingToSend(address: number): Binding[] {
    const lease = this.host.table.get(address);
    if (!lease) {
      this.updates.cancel(address);
      this.answer?.settled(address, true);
      return [];
    }
    if (lease.sentRevision < lease.revision) {
      // What may have left must be known after a restart: the mark first (failover.md §2 C).
      const marked = { ...lease, sentRevision: lease.revision };
      const id = this.host.commit({ leases: [marked], stored: undefined, messages: [] });
      this.updates.changed(address, id);
      return [];
    }
    const inFlight: InFlight = {
      sentAt: this.host.at,
      revision: lease.revision,
      petAt: lease.sentPetAt,
      bindingStartAt: lease.startAt,
    };
    this.updates.sent(address, inFlight);
    this.counts.sent++;
    return [bindingOf(lease, this.scopeOf(address)?.scope.reservationAt(address) !== undefined)];
  }

  /** The scope of this address leaves the relationship: nothing is told of it any more, and nothing waits for that. */
  forget(address: number): void {
    this.updates.cancel(address);
    this.answer?.settled(address, true);
  }

  /** The partner's updates: judged, merged, committed; then answered, each one. */
  received(link: number, xid: number, bindings: readonly Binding[]): void {
    const leases: Lease[] = [];
    const results: BindingResult[] = [];
    const follow: number[] = [];
    for (const binding of bindings) {
      const { address, revision } = binding;
      const mine = this.host.table.get(address);
      const received = receivedBinding(binding, this.view.clock);
      // What the partner has refused is answered, though it may be waiting to be told once more.
      const refused = mine !== undefined && this.updates.wasRefused(address, mine.revision);
      const unanswered = !refused && this.updates.isOutstanding(address);
      const context = this.view.judgeContext(this.scopeOf(address), address, unanswered);
      const verdict = judge(address, mine, received, context);
      let merged = merge(address, mine, received, context, verdict);
      if (merged.lease && this.view.held.isHeld(address)) {
        // No ACK leaves any more: the record first goes back to what the client was told before.
        this.view.held.drop(address);
        merged = merge(address, this.host.table.get(address), received, context, verdict);
      }
      if (merged.cancelsOwn) {
        this.updates.cancel(address);
        this.answer?.settled(address, true);
      }
      if (merged.lease) leases.push(merged.lease);
      if (merged.tellPartner && (mine || merged.lease) && !this.isRepeat(merged, mine, binding)) {
        follow.push(address);
      }
      results.push({ address, revision, ...answerTo(verdict) });
      if (verdict.verdict === 'reject') this.refused(address, verdict);
      else this.refusals.settled(address);
    }
    this.counts.received += bindings.length;
    this.counts.acksSent += results.length;
    const message: PartnerMessage = { kind: 'bnd-ack', results };
    const id = this.commit(leases, [{ link, xid, message }]);
    for (const address of follow) this.updates.changed(address, id);
  }

  /** What waits to be told will say what these records say now, so it waits for this commit, too (rule C). */
  private commit(leases: readonly Lease[], messages: readonly OutgoingMessage[], mayWait = false): number {
    const again = leases.filter(({ address }) => this.updates.isWaiting(address));
    const patient = mayWait && again.length === 0;
    const id = this.host.commit({ leases, stored: undefined, messages, patient });
    for (const { address } of again) this.updates.changed(address, id);
    return id;
  }

  /** The storm brake (RFC 8156): nothing is repeated to a partner that has not changed its record since. */
  private isRepeat({ lease }: Merged, mine: Lease | undefined, binding: Binding): boolean {
    if (lease !== null || mine === undefined) return false;
    const { address, revision } = mine;
    return !this.updates.mayReply(address, revision, binding);
  }

  private refused(address: number, verdict: Extract<Verdict, { verdict: 'reject' }>): void {
    this.counts.rejected++;
    this.refusals.add({ at: this.host.at, address, by: 'us', reason: verdict.reason });
    this.host.event('failover-refused', { address, by: 'us', reason: verdict.reason, rule: verdict.rule });
  }

  /** The partner's answers to ours: marks and acknowledged PETs, and addresses that nobody holds any more. */
  acknowledged(results: readonly BindingResult[]): void {
    const leases: Lease[] = [];
    this.counts.acksReceived += results.length;
    for (const { address, sent, accepted, reason, text } of this.updates.answered(results)) {
      if (!accepted && this.answer?.tellsAgain(address)) this.updates.changed(address, this.host.issuedId);
      else this.answer?.settled(address, accepted);
      this.lag.observe(this.host.at - sent.sentAt);
      const lease = this.host.table.get(address);
      if (accepted) this.refusals.settled(address);
      else this.refusedByPartner(address, reason, text);
      this.view.held.answered(address, sent.revision, accepted, reason);
      if (lease && accepted) leases.push(acknowledgedLease(lease, sent, this.host.at));
    }
    // Marks that a crash loses cost no more than telling the partner again.
    if (leases.length > 0) this.commit(leases, [], true);
    this.pump();
  }

  private refusedByPartner(address: number, reason: number, text: string): void {
    this.counts.refused++;
    this.refusals.add({ at: this.host.at, address, by: 'partner', reason: text });
    this.host.event('failover-refused', { address, by: 'partner', reason, text });
  }

  /** UPDREQ or UPDREQALL: the newest question counts (§7.3, §7.4). */
  asked(xid: number, extent: UpdateExtent, scopes: readonly number[]): void {
    const { table } = this.host;
    const wanted = this.host
      .scopes()
      .filter(({ scope }) => scopes.length === 0 || scopes.includes(scope.network));
    const found = wanted.map(({ scope }) => table.sortedAddresses(scope.network, scope.broadcast));
    const addresses = new Uint32Array(found.reduce((sum, { length }) => sum + length, 0));
    let filled = 0;
    for (const some of found) {
      addresses.set(some, filled);
      filled += some.length;
    }
    this.answer = new Answer({ xid, extent, scopes }, table, addresses, this.host.at);
    this.pump();
  }

  private queueAnswer(): void {
    const { answer } = this;
    if (!answer?.wantsMore) return;
    // Waiting for its commit in its own place; else what memory says is on disk when this is. It comes back here, too.
    const id = this.host.commit({ leases: [], stored: undefined, messages: [] });
    for (const address of answer.more()) {
      if (this.updates.isInFlight(address)) answer.leftBefore(address);
      else if (!this.updates.isWaiting(address)) this.updates.changed(address, id);
    }
  }

  private finishAnswer(): void {
    const { answer } = this;
    const { link } = this.view;
    if (link === null || !answer?.isOver) return;
    const { xid, extent, scopes } = answer.asked;
    if (!this.view.joining.mayFinish(extent, scopes)) return;
    this.answer = null;
    // UPDDONE stands for the commits of all that was acknowledged before it (failover.md §2 C).
    const message: PartnerMessage = { kind: 'upd-done', count: answer.told, refused: answer.refused };
    this.host.commit({ leases: [], stored: undefined, messages: [{ link, xid, message }] });
  }

  private scopeOf(address: number): SharedScope | undefined {
    return this.host.scopes().find(({ scope }) => scope.contains(address));
  }

  private say(link: number, xid: number, message: PartnerMessage): void {
    this.host.send({ link, xid, message });
  }
}

/** The record after the partner accepted it. One that was over is free now on both sides (failover.md §2 C). */
function acknowledgedLease(lease: Lease, sent: InFlight, at: number): Lease {
  const current = lease.revision === sent.revision;
  const sameBinding = lease.state === 'active' && lease.startAt === sent.bindingStartAt;
  const acked: Lease = {
    ...lease,
    ackedRevision: Math.max(lease.ackedRevision, sent.revision),
    ackedPetAt: sameBinding ? Math.max(lease.ackedPetAt, sent.petAt) : lease.ackedPetAt,
  };
  const over = lease.state === 'expired' || lease.state === 'released' || lease.state === 'reset';
  if (current && over) return { ...acked, ...NO_BINDING, state: 'free', stateSinceAt: at };
  // A partner that keeps the address in quarantine, too, tells who had it nothing more.
  return current && lease.state === 'declined' ? { ...acked, ...NO_BINDING } : acked;
}

function answerTo(verdict: Verdict): { readonly rejectReason: number; readonly text: string } {
  if (verdict.verdict === 'accept') return { rejectReason: ACCEPTED, text: '' };
  const { number, sentence } = REJECT_REASONS[verdict.reason];
  return { rejectReason: number || REJECT_NUMBERS['unknown-error'], text: sentence };
}

/**
 * A record as it goes to the partner; `sentPetAt` was computed by rule B when the record was made. Spelled out, as the
 * next one: both are made for every update, and leaving out fields of a spread takes as long as encoding them.
 */
export function bindingOf(lease: Lease, reserved: boolean): Binding {
  // A lease given before the scope was shared has no PET of its own: never less than the client was told (rule B).
  const endTold = lease.state === 'active' ? Math.max(lease.endToldAt, lease.endPartnerAt) : 0;
  return {
    address: lease.address,
    state: lease.state,
    owner: lease.owner,
    handover: lease.handover,
    revision: lease.revision,
    endToldAt: lease.endToldAt,
    endPartnerAt: lease.endPartnerAt,
    petAt: Math.max(lease.sentPetAt, lease.ackedPetAt, lease.receivedPetAt, endTold),
    lastTransactionAt: lease.lastTransactionAt,
    stateSinceAt: lease.stateSinceAt,
    startAt: lease.startAt,
    quarantineUntilAt: lease.quarantineUntilAt,
    htype: lease.htype,
    hardwareAddress: lease.hardwareAddress,
    clientId: lease.clientId,
    hostname: lease.hostname,
    relayInfo: lease.relayInfo,
    vendorClass: lease.vendorClass,
    userClass: lease.userClass,
    dnsFlags: lease.dnsFlags,
    dnsName: lease.dnsName,
    reserved,
  };
}

/** The partner's binding on our clock: to the nearest instant; its tolerance is the grid's matter. */
export function receivedBinding(binding: Binding, clock: PartnerClock): ReceivedBinding {
  const own = (at: number) => fromPartner(at, clock, 'nearest');
  return {
    state: binding.state,
    owner: binding.owner,
    handover: binding.handover,
    revision: binding.revision,
    endToldAt: own(binding.endToldAt),
    endPartnerAt: own(binding.endPartnerAt),
    petAt: own(binding.petAt),
    lastTransactionAt: own(binding.lastTransactionAt),
    stateSinceAt: own(binding.stateSinceAt),
    startAt: own(binding.startAt),
    quarantineUntilAt: own(binding.quarantineUntilAt),
    htype: binding.htype,
    hardwareAddress: binding.hardwareAddress,
    clientId: binding.clientId,
    hostname: binding.hostname,
    relayInfo: binding.relayInfo,
    vendorClass: binding.vendorClass,
    userClass: binding.userClass,
    dnsFlags: binding.dnsFlags,
    dnsName: binding.dnsName,
    reserved: binding.reserved,
  };
}
