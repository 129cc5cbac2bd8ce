// Orders about settings that two servers should have alike: those of the scopes they share, and what applies to all scopes
// (failover.md §6). Compares, and has one side's put on both by an operator's word.

import type { DiffValue, OrderOptions, OrderResult, ReplicationValue } from '../admin/relationship-desk.js';
import { type Change, replicateChange } from '../engine/management-terms.js';
import { differencesOf, serverDifferences } from './desk-differences.js';
import { type DeskPartner, refusal } from './desk-partner.js';

type Theirs = Extract<Awaited<ReturnType<DeskPartner['theirScopes']>>, { readonly ok: true }>;

/** A change that an order comes to, and what people are told of it. */
interface Part {
  readonly what: string;
  readonly change: Change;
}

export class DeskSettings {
  constructor(private readonly partner: DeskPartner) {}

  async diff(name: string): Promise<OrderResult<DiffValue>> {
    const theirs = await this.partner.theirScopes(name);
    if (!theirs.ok) return theirs;
    const conflicts = this.partner.conflictsOf(theirs.shared);
    const found = differencesOf(this.partner.settingsOf(theirs.shared), theirs.scopes);
    const ofScopes = found.map((one) => ({ ...one, conflict: conflicts.has(`${one.scopeId} ${one.key}`) }));
    return { ok: true, value: { differences: [...this.ofServer(name, theirs), ...ofScopes] } };
  }

  private ofServer(name: string, { server }: Theirs) {
    return serverDifferences(this.partner.sharedServer(name), server, this.partner.serverConflicts(name));
  }

  /** No scope named: all of the relationship, and what applies to all scopes. */
  async replicate(
    name: string,
    scopes: readonly string[],
    from: 'local' | 'partner',
    options: OrderOptions,
  ): Promise<OrderResult<ReplicationValue>> {
    const theirs = await this.partner.theirScopes(name);
    if (!theirs.ok) return theirs;
    const wanted = scopes.length === 0 ? theirs.shared : scopes;
    const foreign = wanted.filter((scopeId) => !theirs.shared.includes(scopeId));
    if (foreign.length > 0)
      return refusal('scope-not-in-relationship', `relationship ${name} has no scope ${foreign.join(', ')}`);
    const parts = [
      ...(scopes.length === 0 ? this.serverPart(name, theirs, from) : []),
      ...this.scopesPart(wanted, theirs, from),
    ];
    const plan = parts.flatMap(({ what }) =>
      from === 'local' ? `send ${what} to the partner` : `take ${what} from the partner`,
    );
    const told = [...plan];
    for (const { change } of options.dryRun ? [] : parts) {
      const result = await this.partner.change(name, change, [], options);
      if (!result.ok) return result;
      told.push(...result.value.plan);
    }
    return { ok: true, value: { plan: told, scopes: wanted } };
  }

  private serverPart(name: string, theirs: Theirs, from: 'local' | 'partner'): Part[] {
    if (this.ofServer(name, theirs).length === 0) return [];
    const settings = from === 'local' ? this.partner.sharedServer(name) : theirs.server;
    const change = this.partner.shareChange(name, settings);
    return change ? [{ what: 'options, classes and filters of all scopes', change }] : [];
  }

  private scopesPart(wanted: readonly string[], theirs: Theirs, from: 'local' | 'partner'): Part[] {
    const here = this.partner.settingsOf(wanted);
    const ids = new Set(differencesOf(here, theirs.scopes).map(({ scopeId }) => scopeId));
    const differing = wanted.filter((scopeId) => ids.has(scopeId) || this.partner.isInConflict(scopeId));
    if (differing.length === 0) return [];
    const chosen = from === 'local' ? here : theirs.scopes;
    const change = replicateChange(
      chosen.filter(({ subnet }) => differing.includes(scopeIdOf(subnet))),
      here.filter(({ subnet }) => differing.includes(scopeIdOf(subnet))),
    );
    return [{ what: `the settings of ${differing.join(', ')}`, change }];
  }
}

function scopeIdOf(subnet: string): string {
  return subnet.split('/')[0] ?? subnet;
}
