// An operator who is busy: changes lease times and ranges, reserves and frees, pauses and resumes, removes scopes and
// adds them again. Never lies: a lease is released by hand only when its client is truly gone.

import type { Command, CommandResult, Edit } from '../../src/engine/command.js';
import type { ReservationSettings, ScopeSettings } from '../../src/lease/settings.js';
import { formatAddress } from '../../src/wire/address.js';
import { formatHardware } from '../../src/wire/bytes.js';
import type { Share } from './config.js';
import type { Node } from './node.js';
import { PAIR_NAME, relationshipOf, relationshipSettings } from './pair.js';
import type { Rng } from './rng.js';
import { SECOND } from './scheduler.js';
import type { World } from './world.js';

interface Action {
  readonly name: string;
  readonly weight: number;
  readonly pair: boolean; // may be done to one server of a pair
  readonly edit?: boolean; // changes a scope, which a managed pair has told to both
  readonly run: (operator: Operator, node: Node) => void;
}

const ACTIONS: readonly Action[] = [
  {
    edit: true,
    name: 'lease time',
    weight: 3,
    pair: false,
    run: (operator, node) => operator.changeLeaseTime(node),
  },
  { edit: true, name: 'shrink', weight: 3, pair: false, run: (operator, node) => operator.shrink(node) },
  {
    edit: true,
    name: 'restore ranges',
    weight: 3,
    pair: false,
    run: (operator, node) => operator.restoreRanges(node),
  },
  { edit: true, name: 'reserve', weight: 4, pair: false, run: (operator, node) => operator.reserve(node) },
  {
    edit: true,
    name: 'unreserve',
    weight: 2,
    pair: false,
    run: (operator, node) => operator.unreserve(node),
  },
  {
    edit: true,
    name: 'activate',
    weight: 1,
    pair: false,
    run: (operator, node) => operator.toggleActive(node),
  },
  { name: 'pause', weight: 2, pair: true, run: (operator, node) => operator.pauseAndResume(node) },
  { name: 'release', weight: 2, pair: true, run: (operator, node) => operator.releaseGone(node) },
  { name: 'remove scope', weight: 1, pair: false, run: (operator, node) => operator.removeAndAdd(node) },
];
const WEIGHTS = ACTIONS.flatMap((action) => Array.from({ length: action.weight }, () => action));

const LEASE_SECONDS = [20, 3600] as const;
const EDITS = WEIGHTS.filter(({ edit }) => edit);

/** A client that has not been heard for so long, and holds nothing, is gone. */
const GONE_MS = 60_000;

export class Operator {
  readonly edits = EDITS;

  constructor(
    private readonly world: World,
    private readonly rng: Rng,
  ) {}

  /** Set up a server that has never run. */
  install(node: Node): void {
    const { pair, managed } = this.world.config;
    const declared = managed?.declared ?? true;
    if (!declared && node.number > 0) return;
    const scopes = this.world.config.scopes[node.number] ?? [];
    this.edit(
      node,
      scopes.map((scope) => ({ kind: 'scope-add', scope })),
    );
    if (pair === null || !declared) return;
    const partner = this.world.partnerOf(node)!;
    const settings = relationshipSettings(pair, node.number, partner.address, scopes.map(scopeIdOf));
    this.#command(node, { kind: 'declare-relationship', settings });
  }

  actLater(): void {
    const { operatorUs } = this.world.config;
    if (operatorUs === Number.POSITIVE_INFINITY) return;
    this.world.scheduler.after(this.rng.wait(operatorUs), () => {
      if (this.world.quiet) return;
      const node = this.rng.pick(this.world.nodes);
      if (node.process !== null) {
        const action = this.rng.pick(
          this.world.config.pair === null ? WEIGHTS : WEIGHTS.filter(({ pair }) => pair),
        );
        this.world.count(`operator: ${action.name}`);
        action.run(this, node);
      }
      this.actLater();
    });
  }

  /** Everything as at the beginning, whatever it takes: a process may still die of a fault from before, and forget it. */
  restore(node: Node): void {
    let done = false;
    this.#command(node, { kind: 'resume', acceptClock: true }, () => {
      done = true;
    });
    this.world.scheduler.after(5 * SECOND, () => {
      if (!done) this.restore(node);
    });
    if (this.world.config.pair !== null) {
      if (this.#isBlank(node)) this.install(node);
      return;
    }
    for (const scope of this.world.config.scopes[node.number] ?? []) {
      const present = node.process?.engine.view.scope(scopeIdOf(scope)) !== undefined;
      this.edit(node, [{ kind: present ? 'scope-set' : 'scope-add', scope }]);
    }
  }

  /** It crashed before its file was first on disk; each start applies the file. */
  #isBlank(node: Node): boolean {
    if (relationshipOf(node.process) !== undefined) return false;
    // What operators have ended since is not to be declared again.
    if ([...node.disk.image.settings.keys()].some((key) => key.startsWith('tombstone/'))) return false;
    const { managed } = this.world.config;
    const other = this.world.partnerOf(node);
    const record = relationshipOf(other?.process ?? null)?.record;
    return managed === null || (managed.declared && record !== undefined && !record.stored.reachedNormal);
  }

  /** It is true: the partner is down, and stays so until this has been done. */
  declarePartnerDown(node: Node, force: boolean): void {
    this.#command(node, { kind: 'partner-down', relationship: PAIR_NAME, force });
  }

  /** It is true: the partner, which may have decided otherwise, is down. */
  settle(node: Node, decision: 'commit' | 'abort'): void {
    this.#command(node, { kind: 'settle', relationship: PAIR_NAME, decision }, () =>
      this.world.count(`settled: ${decision}`),
    );
  }

  /** All of the relationship or, of its scopes, these; refused for as long as the partner's clients may hold leases. */
  removeAlone(node: Node, scopeIds: readonly string[] | undefined, done: () => void): void {
    const what = scopeIds === undefined ? {} : { scopeIds };
    this.#command(node, { kind: 'remove-alone', relationship: PAIR_NAME, ...what, dryRun: false }, done);
  }

  /** For long; `resume`, or the next start, ends it. */
  shutDown(node: Node): void {
    this.#command(node, { kind: 'shutdown', relationship: PAIR_NAME });
  }

  resume(node: Node): void {
    this.#command(node, { kind: 'resume', acceptClock: false });
  }

  changeLeaseTime(node: Node): void {
    const { managed } = this.world.config;
    const leaseTime = Math.round(this.rng.spread(...(managed?.leaseSeconds ?? LEASE_SECONDS)));
    this.#change(node, (scope) => ({ ...scope, leaseTime }));
  }

  shrink(node: Node): void {
    const share = this.#shareOf(node);
    const first = this.rng.between(share.first, share.last);
    const last = this.rng.between(first, share.last);
    const ranges = [`${formatAddress(first)}-${formatAddress(last)}`];
    const exclusions = this.rng.chance(0.3) ? [formatAddress(this.rng.between(first, last))] : [];
    this.#change(node, (scope) => ({ ...scope, ranges, exclusions }), share.link);
  }

  restoreRanges(node: Node): void {
    const share = this.#shareOf(node);
    const ranges = [`${formatAddress(share.first)}-${formatAddress(share.last)}`];
    this.#change(node, (scope) => ({ ...scope, ranges, exclusions: [] }), share.link);
  }

  reserve(node: Node): void {
    const share = this.#shareOf(node);
    const client = this.rng.pick(this.world.clients);
    const held = client.held?.address ?? 0;
    const inShare = held >= share.first && held <= share.last;
    const address = inShare && this.rng.chance(0.5) ? held : this.rng.between(share.first, share.last);
    const reservation: ReservationSettings = {
      address: formatAddress(address),
      hardwareAddress: formatHardware(client.mac),
      options: {},
    };
    const scopeId = scopeIdOf(this.#baseOf(node, share.link));
    this.edit(node, [{ kind: 'reservation-add', scopeId, reservation }]);
  }

  unreserve(node: Node): void {
    const scope = this.#present(node, this.#shareOf(node).link);
    if (scope === undefined || scope.reservations.length === 0) return;
    const { address } = this.rng.pick(scope.reservations);
    this.edit(node, [{ kind: 'reservation-remove', scopeId: scopeIdOf(scope), address }]);
  }

  toggleActive(node: Node): void {
    this.#change(node, (scope) => ({ ...scope, active: !scope.active }));
  }

  pauseAndResume(node: Node): void {
    this.#command(node, { kind: 'pause' });
    this.world.scheduler.after(this.rng.wait(20 * SECOND), () =>
      this.#command(node, { kind: 'resume', acceptClock: false }),
    );
  }

  releaseGone(node: Node): void {
    const { process } = node;
    if (process === null || process.frozen) return;
    const share = this.#shareOf(node);
    const { table } = process.engine;
    const gone = table.sortedAddresses(share.first, share.last).filter((address) => {
      // An ACK may be under way to a client that asked a moment ago.
      const quietMs = process.now() - (table.get(address)?.lastTransactionAt ?? 0);
      return this.world.holders.other(address, undefined) === undefined && quietMs > GONE_MS;
    });
    const address = gone[this.rng.between(0, Math.max(0, gone.length - 1))];
    if (address !== undefined)
      this.#command(node, { kind: 'release-lease', address: formatAddress(address) });
  }

  /** Without force a scope with active leases stays. */
  removeAndAdd(node: Node): void {
    const base = this.#baseOf(node, this.#shareOf(node).link);
    this.edit(node, [{ kind: 'scope-remove', scopeId: scopeIdOf(base) }], false);
    this.world.scheduler.after(this.rng.wait(10 * SECOND), () => {
      this.edit(node, [{ kind: 'scope-add', scope: base }], false);
    });
  }

  #change(
    node: Node,
    change: (scope: ScopeSettings) => ScopeSettings,
    link: number = this.#shareOf(node).link,
  ): void {
    const scope = this.#present(node, link);
    if (scope !== undefined) this.edit(node, [{ kind: 'scope-set', scope: change(scope) }]);
  }

  edit(node: Node, edits: readonly Edit[], force = true): void {
    this.#command(node, { kind: 'edit', edits, force, dryRun: false });
  }

  #command(node: Node, command: Command, done: () => void = () => undefined): void {
    const name = command.kind;
    node.process?.command(command, (result: CommandResult) => {
      if (result.ok) done();
      node.note('operator', result.ok ? 1 : 0, 0, () => `${name}: ${result.ok ? 'done' : result.message}`);
    });
  }

  #shareOf(node: Node): Share {
    return this.rng.pick(this.world.config.shares.filter((share) => share.node === node.number));
  }

  #baseOf(node: Node, link: number): ScopeSettings {
    return this.world.config.scopes[node.number]![link]!;
  }

  /** The settings of a scope as they are now. */
  #present(node: Node, link: number): ScopeSettings | undefined {
    return node.process?.engine.index.settings.scopes.get(scopeIdOf(this.#baseOf(node, link)))?.settings;
  }
}

function scopeIdOf({ subnet }: ScopeSettings): string {
  return subnet.slice(0, subnet.indexOf('/'));
}
