// Orders that take scopes, or all of a relationship, from the partner: with its consent, or without it where it is gone for
// good. What goes and how much is held of it is in the answer. Whether it may be is the engines' to judge.

import type { OrderResult, RemovalOptions, RemovalValue } from '../admin/relationship-desk.js';
import type { Command } from '../engine/command.js';
import type { Change } from '../engine/management-terms.js';
import { type DeskPartner, type DeskRoom, guard, refusal } from './desk-partner.js';

export class DeskRemoval {
  constructor(
    private readonly room: DeskRoom,
    private readonly partner: DeskPartner,
  ) {}

  async giveUp(
    name: string,
    scopes: readonly string[],
    change: Change,
    options: RemovalOptions,
  ): Promise<OrderResult<RemovalValue>> {
    const relationship = this.room.engine.partners.named(name);
    if (!relationship)
      return refusal('relationship-not-found', `there is no relationship ${name} on this server`);
    const { settings, partner } = relationship.record;
    if (scopes.length === 0 && change.kind === 'remove-scopes')
      return refusal('scope-required', 'name at least one scope');
    if (options.partnerDown) return this.removeAlone(name, change, settings.scopes, options);
    const where = partner?.serverName ?? settings.partnerAddress;
    const whole = change.kind === 'remove';
    const plan = [
      ...(whole ? [`remove relationship ${name}`] : []),
      ...scopes.map((scopeId) =>
        options.keepPartnerScopes
          ? `keep scope ${scopeId} on ${where}, inactive; it stays here as it is`
          : `remove scope ${scopeId} and its leases from ${where}; they stay here`,
      ),
    ];
    const result = await this.partner.change(name, change, plan, options);
    if (!result.ok) return result;
    const { decided } = result.value;
    const counted =
      decided?.promised.leases ??
      scopes.map((scopeId) => ({ scopeId, leases: this.partner.leasesOf(scopeId) }));
    const left = whole ? [] : settings.scopes.filter((scopeId) => !scopes.includes(scopeId));
    const exported = decided?.promised.exported ?? null;
    return {
      ok: true,
      value: { plan: result.value.plan, partnerScopes: counted, exported, scopesLeft: left },
    };
  }

  /** The partner is gone for good. */
  private async removeAlone(
    name: string,
    change: Change,
    scopes: readonly string[],
    { actor, dryRun, ifRevision }: RemovalOptions,
  ): Promise<OrderResult<RemovalValue>> {
    const some = change.kind === 'remove-scopes' ? change.scopeIds : null;
    const plan = [
      ...(some ? [] : [`remove relationship ${name} on this server alone`]),
      ...(some ?? scopes).map(
        (scopeId) => `serve scope ${scopeId} here alone; the partner keeps it inactive if it comes back`,
      ),
    ];
    const command: Command = {
      kind: 'remove-alone',
      relationship: name,
      ...(some ? { scopeIds: some } : {}),
      dryRun,
      ...guard(ifRevision),
    };
    const result = await this.room.command(actor, command);
    if (!result.ok) return result;
    const scopesLeft = some ? scopes.filter((scopeId) => !some.includes(scopeId)) : [];
    return { ok: true, value: { plan, partnerScopes: [], exported: null, scopesLeft } };
  }
}
