// Operators' commands, one method each: what changes, what goes on disk with it, what is answered. The answer hangs
// on the commit of the change (failover.md §2 C holds for operators too).

import { endedLease, freedLease } from '../dhcp/bind.js';
import { edited } from '../failover/record.js';
import { formatAddress, parseAddress, parseSubnet } from '../wire/address.js';
import type { Command, CommandResult, Edit, RefusalCode } from './command.js';
import { Declaring } from './declaring.js';
import { difference } from './difference.js';
import { type Change, describeChanges, isPlan, planEdits } from './edits.js';
import type { Effect, JournalEvent, Write } from './effect.js';
import type { Engine } from './engine.js';
import { forgetParked } from './keep-offers.js';
import { staleObjection } from './management-rules.js';
import { objection, partnerDownPlan } from './partner-down.js';
import { relationshipView } from './relationship-view.js';
import type { ScopeEntry } from './scopes.js';
import { shutDownObjection, shutDownPlan } from './shut-down.js';
import { strandingOf } from './stranding.js';
import type { RelationshipPool, RelationshipView } from './view.js';

export class Commands {
  private readonly declaring: Declaring;

  constructor(private readonly engine: Engine) {
    this.declaring = new Declaring(engine);
  }

  run(id: number, actor: string, command: Command): void {
    switch (command.kind) {
      case 'edit':
        this.edit(id, actor, command.edits, command.force, command.dryRun);
        return;
      case 'release-lease':
        this.releaseLease(id, actor, command.address);
        return;
      case 'declare-relationship':
        this.declaring.declare(id, actor, command);
        return;
      case 'undeclare-relationship':
        this.declaring.undeclare(id, actor, command);
        return;
      case 'partner-down':
        this.partnerDown(id, actor, command);
        return;
      case 'shutdown':
        this.shutDown(id, actor, command);
        return;
      case 'propose':
        this.engine.management.propose(id, actor, command);
        return;
      case 'ask-scopes':
        this.engine.management.askScopes(id, command.relationship);
        return;
      case 'remove-alone':
        this.engine.management.removeAlone(id, actor, command);
        return;
      case 'settle':
        this.engine.management.settle(id, actor, command.relationship, command.decision);
        return;
      case 'set-partner-address':
        this.setPartnerAddress(id, actor, command);
        return;
      case 'note':
        this.engine.record(command.event, { ...command.data }, actor);
        this.engine.commit([], [{ kind: 'reply', id, result: { ok: true, value: {} } }]);
        return;
      case 'pause':
        this.setPaused(id, actor, true);
        return;
      case 'resume':
        if (command.acceptClock) this.engine.wallClock.accept(actor);
        this.setPaused(id, actor, false);
        return;
    }
  }

  private answer(id: number, result: CommandResult): void {
    this.engine.push({ kind: 'reply', id, result });
  }

  private edit(id: number, actor: string, edits: readonly Edit[], force: boolean, dryRun: boolean): void {
    const { engine } = this;
    const outcome = planEdits(engine.index.settings, edits);
    if (!isPlan(outcome)) {
      this.answer(id, outcome);
      return;
    }
    // What no force helps against is said first.
    const against = engine.replication.objection(outcome.changes);
    if (against) {
      this.answer(id, refusal(against.code, against.message));
      return;
    }
    const stranding = force ? null : strandingOf(engine.index.settings, outcome, engine.table);
    if (stranding) {
      this.answer(id, stranding);
      return;
    }
    const plan = describeChanges(outcome.changes);
    if (dryRun) {
      this.answer(id, { ok: true, value: { plan } });
      return;
    }
    const { next, changes } = engine.replication.noted(outcome);
    const writes: Write[] = [];
    const events: JournalEvent[] = [];
    engine.reindex(next, () => {
      for (const change of changes) this.writeChange(change, actor, writes, events);
    });
    engine.sharing.refresh();
    if (events.length > 0) writes.push({ table: 'journal', events });
    const then: Effect[] = events.map((event) => ({ kind: 'event', event }));
    engine.commit(writes, [...then, { kind: 'reply', id, result: { ok: true, value: { plan } } }]);
  }

  private writeChange(change: Change, actor: string, writes: Write[], events: JournalEvent[]): void {
    const { engine } = this;
    if (change.kind === 'declared') {
      writes.push({ table: 'settings', key: 'declared', value: change.after });
      return;
    }
    if (change.kind === 'server') {
      writes.push({ table: 'settings', key: 'server', value: change.after });
      events.push(engine.makeEvent('server-changed', { ...difference(change.before, change.after) }, actor));
      return;
    }
    const { scopeId, before, after } = change;
    const key = `scope/${scopeId}`;
    if (after !== null) {
      writes.push({ table: 'settings', key, value: after });
      // Removed and added anew in one edit, with fewer addresses: what lies beyond its new end is nobody's.
      if (before !== null) this.deleteLeases(lastOf(after) + 1, lastOf(before), writes);
      if (after.settings.active) engine.notices.seenTo(scopeId);
      const added = before === null;
      const data = added ? { before, after: after.settings } : difference(before.settings, after.settings);
      const type = added ? 'scope-added' : 'scope-changed';
      events.push(engine.makeEvent(type, { scopeId, ...data }, actor));
      return;
    }
    writes.push({ table: 'settings', key, value: undefined });
    const leases = before === null ? 0 : this.deleteLeases(firstOf(before), lastOf(before), writes);
    events.push(
      engine.makeEvent('scope-removed', { scopeId, before: before?.settings ?? null, leases }, actor),
    );
    engine.forgetScope(scopeId);
  }

  /** Drop every record of addresses that are served no more; returns how many leases were active. */
  private deleteLeases(first: number, last: number, writes: Write[]): number {
    const { table } = this.engine;
    const addresses: number[] = [];
    table.forEachInRange(first, last, (address) => addresses.push(address));
    let active = 0;
    for (const address of addresses) {
      if (table.stateOf(address) === 'active') active++;
      table.delete(address);
    }
    if (addresses.length > 0) writes.push({ table: 'lease-range', first, last });
    return active;
  }

  private releaseLease(id: number, actor: string, text: string): void {
    const { engine } = this;
    const address = parseAddress(text);
    if (address === undefined) {
      this.answer(id, refusal('malformed', `${JSON.stringify(text)} is not an IPv4 address`));
      return;
    }
    const lease = engine.table.get(address);
    if (lease === undefined || lease.state === 'free') {
      this.answer(id, refusal('lease-not-found', `${formatAddress(address)} is not leased`));
      return;
    }
    const type = lease.state === 'declined' ? 'lease-reset' : 'lease-released';
    const served = engine.index.at(address);
    const freed = served ? endedLease(lease, engine.at, served, 'reset') : freedLease(lease, engine.at);
    engine.commitLease(freed, type, null, actor);
    engine.commit([], [{ kind: 'reply', id, result: { ok: true, value: { address: text } } }]);
  }

  private partnerDown(id: number, actor: string, command: Extract<Command, { kind: 'partner-down' }>): void {
    const { engine } = this;
    const { relationship: name, force, dryRun } = command;
    const relationship = engine.partners.named(name);
    if (!relationship) {
      this.answer(id, refusal('relationship-not-found', `there is no relationship ${name}`));
      return;
    }
    const against = objection(relationship, engine.at, force);
    if (against !== null) {
      this.answer(id, refusal(against.code, against.message));
      return;
    }
    const plan = partnerDownPlan(relationship, engine.at, freeOf(relationshipView(engine, relationship)));
    if (dryRun) {
      this.answer(id, { ok: true, value: { plan } });
      return;
    }
    engine.record('partner-declared-down', { relationship: name, force }, actor);
    relationship.take('operator:partner-down');
    engine.commit([], [{ kind: 'reply', id, result: { ok: true, value: { plan } } }]);
  }

  private shutDown(id: number, actor: string, command: Extract<Command, { kind: 'shutdown' }>): void {
    const { engine } = this;
    const { relationship: name, dryRun } = command;
    const relationship = engine.partners.named(name);
    if (!relationship) {
      this.answer(id, refusal('relationship-not-found', `there is no relationship ${name}`));
      return;
    }
    const against = shutDownObjection(relationship);
    if (against !== null) {
      this.answer(id, refusal('wrong-state', against));
      return;
    }
    const { own } = freeOf(relationshipView(engine, relationship));
    const plan = shutDownPlan(relationship, engine.at, own);
    if (!dryRun) {
      engine.record('relationship-shut-down', { relationship: name }, actor);
      relationship.take('operator:shutdown');
    }
    engine.commit([], [{ kind: 'reply', id, result: { ok: true, value: { plan } } }]);
  }

  private setPartnerAddress(
    id: number,
    actor: string,
    {
      relationship: name,
      address,
      port,
      host,
      ifRevision,
    }: Extract<Command, { kind: 'set-partner-address' }>,
  ): void {
    const { engine } = this;
    const relationship = engine.partners.named(name);
    if (!relationship) {
      this.answer(id, refusal('relationship-not-found', `there is no relationship ${name}`));
      return;
    }
    const stale = staleObjection(engine, name, ifRevision);
    if (stale) {
      this.answer(id, refusal(stale.code, stale.message));
      return;
    }
    const before = relationship.record.settings;
    const { partnerHost: _host, ...rest } = before;
    const called = host === undefined ? {} : { partnerHost: host };
    const after = { ...rest, partnerAddress: address, partnerPort: port, ...called };
    relationship.record = edited({ ...relationship.record, settings: after });
    const event = engine.makeEvent(
      'relationship-changed',
      { relationship: name, ...difference(before, after) },
      actor,
    );
    engine.commit(
      [
        { table: 'settings', key: `failover/${name}`, value: relationship.record },
        { table: 'journal', events: [event] },
      ],
      [
        { kind: 'event', event },
        { kind: 'reply', id, result: { ok: true, value: {} } },
      ],
    );
    relationship.contact.hangUp('link-renewed', 'the partner has moved');
  }

  private setPaused(id: number, actor: string, paused: boolean): void {
    const { engine } = this;
    const result: CommandResult = { ok: true, value: { paused } };
    if (engine.paused === paused) {
      if (!paused) engine.partners.takeAll('operator:resume'); // those that were shut down
      engine.commit([], [{ kind: 'reply', id, result }]);
      return;
    }
    engine.paused = paused;
    engine.partners.takeAll(paused ? 'operator:pause' : 'operator:resume');
    if (paused) {
      forgetParked(engine);
      for (const { client, address } of [...engine.memory.offers()]) {
        engine.memory.removeOffer(client);
        engine.index.at(address)?.pools.giveBack(address);
      }
      engine.alarms.raise(engine.at, 'paused', 'paused: no client is answered until `tandem resume`');
    } else engine.alarms.clear('paused');
    const event = engine.makeEvent(paused ? 'paused' : 'resumed', {}, actor);
    engine.commit(
      [
        { table: 'settings', key: 'paused', value: paused ? true : undefined },
        { table: 'journal', events: [event] },
      ],
      [
        { kind: 'event', event },
        { kind: 'reply', id, result },
      ],
    );
  }
}

function freeOf({ pools }: RelationshipView): { readonly own: number; readonly partner: number } {
  const sum = (read: (pool: RelationshipPool) => number) => pools.reduce((all, pool) => all + read(pool), 0);
  return { own: sum((pool) => pool.freeOnThisServer), partner: sum((pool) => pool.freeOnPartner) };
}

function firstOf({ settings }: ScopeEntry): number {
  return parseSubnet(settings.subnet)?.network ?? 0;
}

function lastOf({ settings }: ScopeEntry): number {
  const subnet = parseSubnet(settings.subnet);
  return subnet === undefined ? 0 : subnet.network + 2 ** (32 - subnet.prefixLength) - 1;
}

function refusal(code: RefusalCode, message: string): CommandResult {
  return { ok: false, code, message, faults: [] };
}
