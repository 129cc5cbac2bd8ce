// The part of `tandem lease explain` that a relationship adds: in whose share the address is, what the partner knows of
// it, and why the lease is as long as it is (failover.md §2 rules A to E). Sentences for people; decides nothing.

import { renewalTimes } from '../dhcp/terms.js';
import type { Relationship } from '../failover/relationship.js';
import { duration } from '../failover/story.js';
import { endAt, INFINITE_AT, type Lease } from '../lease/lease.js';
import { INFINITE_SECONDS } from '../lease/settings.js';
import type { Engine } from './engine.js';
import { isoOf } from './instants.js';
import { partnerNameOf } from './relationship-view.js';

type Served = Engine['index']['all'][number];

/** Sentences about an address that `relationship` shares; `lease` undefined = it has no record. */
export function explainShared(
  engine: Engine,
  relationship: Relationship,
  served: Served,
  address: number,
  lease: Lease | undefined,
): string[] {
  const story: string[] = [];
  if (served.scope.poolIndexOf(address) !== -1) story.push(shareOf(engine, relationship, lease));
  if (!lease) return story;
  if (lease.state === 'active') story.push(...lengthOf(engine, relationship, served, lease));
  story.push(...knownToPartner(relationship, lease));
  if (lease.state === 'expired' || lease.state === 'released' || lease.state === 'reset') {
    story.push(freeWhen(engine, relationship, lease));
  }
  return story;
}

function shareOf(engine: Engine, relationship: Relationship, lease: Lease | undefined): string {
  const own = (lease?.owner ?? 1) === relationship.side;
  const owner = own ? engine.options.name : partnerNameOf(relationship);
  const whose = `It is in the share of ${owner} (relationship ${relationship.name})`;
  if (lease !== undefined && lease.state !== 'free')
    return `${whose}, which gives it away once it is free again.`;
  if (own || relationship.service.allocates !== 'both')
    return `${whose}: only that server gives it to a new client.`;
  const from = relationship.ruleE.partnerFreeUsableAt;
  if (engine.at >= from) return `${whose}, which is declared down: this server may give it away.`;
  return `${whose}, which is declared down: this server may give it away from ${isoOf(from)}.`;
}

/** Rule A: a client is told at most MCLT more than the partner surely knows of. */
function lengthOf(engine: Engine, relationship: Relationship, served: Served, lease: Lease): string[] {
  const byUs = lease.endToldAt >= lease.endPartnerAt;
  const other = byUs ? partnerNameOf(relationship) : engine.options.name;
  const { mcltSeconds } = relationship.record.settings;
  const { leaseTime } = served.scope.settings;
  const told =
    endAt(lease) >= INFINITE_AT ? INFINITE_SECONDS : (endAt(lease) - lease.lastTransactionAt) / 1000;
  const story: string[] = [];
  if (told < leaseTime && told <= mcltSeconds) {
    story.push(
      `The lease is shorter than the ${lengthText(leaseTime)} of scope ${served.scope.scopeId} because ${other} was not known to expect more when the client was told: until then a lease ends at most the maximum client lead time, ${lengthText(mcltSeconds)}, later.`,
    );
  }
  const renewSeconds = renewalTimes(served, leaseTime)?.renew ?? 0;
  const next = served.authority.leaseSeconds(lease, { seconds: leaseTime, renewSeconds });
  if (!served.authority.answersKnown) {
    story.push(`In ${relationship.state.toUpperCase()} this server renews no lease.`);
  } else story.push(`A renewal here would now get ${next === 0 ? 'no answer' : lengthText(next)}.`);
  return story;
}

function knownToPartner(relationship: Relationship, lease: Lease): string[] {
  const partner = partnerNameOf(relationship);
  const { sentPetAt, ackedPetAt, receivedPetAt } = lease;
  const story: string[] = [];
  const acked = ackedPetAt === 0 ? 'has not acknowledged that' : `acknowledged ${untilText(ackedPetAt)}`;
  if (sentPetAt > 0)
    story.push(
      `${partner} is told that it may run until ${untilText(sentPetAt)} (potential expiration), and ${acked}.`,
    );
  if (receivedPetAt > 0) story.push(`${partner} said that it may run until ${untilText(receivedPetAt)}.`);
  const outstanding = relationship.exchange.updates.isOutstanding(lease.address);
  story.push(
    outstanding ? `${partner} has not acknowledged the newest change yet.` : `${partner} knows all of this.`,
  );
  return story;
}

function freeWhen(engine: Engine, relationship: Relationship, lease: Lease): string {
  const from = relationship.ruleE.otherClientUsableAt(lease);
  if (from >= INFINITE_AT)
    return `It becomes free when ${partnerNameOf(relationship)} has acknowledged its end.`;
  if (from <= engine.at) return 'It may go to another client.';
  return `It may go to another client from ${isoOf(from)}.`;
}

function lengthText(seconds: number): string {
  return seconds >= INFINITE_SECONDS ? 'a lease without end' : duration(seconds * 1000);
}

function untilText(at: number): string {
  return at >= INFINITE_AT ? 'without end' : isoOf(at);
}
