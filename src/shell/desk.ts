// Orders about relationships (failover.md §5 "Management", product.md "Commands"): checks, then one change that both
// servers carry out or neither, by the engines of both. One order at a time; each ends in bounded time. What an order
// says is put into terms here; whether they may be is the engines' to judge.

import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import type {
  CheckReport,
  DiffValue,
  InviteValue,
  MakeResult,
  OrderOptions,
  OrderResult,
  OrderValue,
  RelationshipChange,
  RelationshipDesk,
  RelationshipOrder,
  RemovalOptions,
  RemovalValue,
  ReplicationValue,
} from '../admin/relationship-desk.js';
import type { Command } from '../engine/command.js';
import { type Change, makeChange, sharedTermsOf } from '../engine/management-terms.js';
import { runChecks } from './desk-checks.js';
import {
  badSecret,
  DeskPartner,
  type DeskRoom,
  type Failure,
  guard,
  refusal,
  secretWarning,
  waitsFor,
  withDoubt,
} from './desk-partner.js';
import { DeskRemoval } from './desk-removal.js';
import { DeskSettings } from './desk-settings.js';
import { changedTerms, orderedTerms, type Terms } from './desk-terms.js';
import { readToken, writeToken } from './desk-token.js';
import { manageKey } from './manage-psk.js';
import { isSecret } from './managing.js';
import { addressesOf, isBrokenAddress, splitPartner, wrongAddress } from './partner-place.js';
import { INVITATION_MS } from './secret-book.js';

export class Desk implements RelationshipDesk {
  private turn: Promise<unknown> = Promise.resolve();

  private readonly partner: DeskPartner;
  private readonly removal: DeskRemoval;
  private readonly settings: DeskSettings;

  constructor(private readonly room: DeskRoom) {
    this.partner = new DeskPartner(room);
    this.removal = new DeskRemoval(room, this.partner);
    this.settings = new DeskSettings(this.partner);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => undefined);
    return result;
  }

  // ---- make

  add(order: RelationshipOrder, options: OrderOptions): Promise<MakeResult> {
    return this.inTurn(() => this.make(order, options));
  }

  private async make(order: RelationshipOrder, options: OrderOptions): Promise<MakeResult> {
    const { sharedSecret } = order;
    const secret = sharedSecret === undefined ? 'derived' : sharedSecret === null ? 'none' : 'given';
    const { partner, scopes } = order;
    const checked = await runChecks(this.room, { name: order.name ?? null, partner, scopes, secret });
    const { name, partnerName } = checked;
    const report = withWarning(checked.report, secretWarning(sharedSecret));
    const terms = orderedTerms(order);
    if (!terms.ok) return { report, result: terms };
    if (sharedSecret && !isSecret(sharedSecret)) return { report, result: badSecret() };
    if (!report.ok) return { report, result: failedCheck(report) };
    const plan = [
      `make relationship ${name} with ${partnerName}: ${termsInWords(terms.terms)}`,
      ...scopes.map(
        (scopeId) =>
          `give scope ${scopeId} with its settings and ${this.partner.leasesOf(scopeId)} leases to ${partnerName}`,
      ),
    ];
    if (options.dryRun) return { report, result: { ok: true, value: { plan, name } } };
    const id = randomBytes(16).toString('hex');
    const refused = await this.partner.shareSecret(id, checked, sharedSecret, options.actor);
    if (refused) return { report, result: refused };
    const { coordinator, participant } = checked;
    const { sharing } = this.room.engine;
    const change = makeChange(terms.terms, this.partner.settingsOf(scopes), sharing.ofNewcomer(null));
    const done = await this.partner.decide(options.actor, {
      kind: 'propose',
      name,
      id,
      coordinator,
      participant,
      change,
    });
    if (!done.ok) return { report, result: done };
    return { report, result: { ok: true, value: { plan: withDoubt(plan, done.value), name } } };
  }

  // ---- set

  set(name: string, change: RelationshipChange, options: OrderOptions): Promise<OrderResult<OrderValue>> {
    return this.inTurn(() => this.setNow(name, change, options));
  }

  private async setNow(
    name: string,
    change: RelationshipChange,
    options: OrderOptions,
  ): Promise<OrderResult<OrderValue>> {
    const { engine } = this.room;
    const { ifRevision } = options;
    const relationship = engine.partners.named(name);
    if (!relationship)
      return refusal('relationship-not-found', `there is no relationship ${name} on this server`);
    const before = sharedTermsOf(relationship.record.settings);
    const terms = changedTerms(before, change);
    if (!terms.ok) return terms;
    const { sharedSecret } = change;
    if (sharedSecret && !isSecret(sharedSecret)) return badSecret();
    if (sharedSecret !== undefined && this.room.hasSecretFile(name))
      return refusal(
        'invalid',
        `the secret of ${name} is in the file that the config names: rotate it there`,
      );
    const found = await placeOf(change.partner, this.room.address);
    if (!found.ok) return found;
    const { moved } = found;
    const reached = await this.partner.reach(name, moved);
    if (!reached.ok) return moved ? reached : waitsFor(name, reached);
    const warnings = shortSecret(secretWarning(sharedSecret));
    const differs = JSON.stringify(before) !== JSON.stringify(terms.terms);
    const plan = [
      ...(moved ? [`reach the partner at ${moved.address}:${moved.port}`] : []),
      ...(sharedSecret ? ['put a new secret on both servers; the old one is accepted as well'] : []),
      ...(differs ? [`change ${name} on both servers: ${termsInWords(terms.terms)}`] : []),
    ];
    if (options.dryRun) return { ok: true, value: { plan, warnings } };
    if (moved) {
      const command: Command = {
        kind: 'set-partner-address',
        relationship: name,
        ...moved,
        ...guard(ifRevision),
      };
      const result = await this.room.command(options.actor, command);
      if (!result.ok) return result;
    }
    if (sharedSecret !== undefined || (terms.terms.authenticated && !before.authenticated)) {
      const { id, participant } = reached.order;
      const { key, reply } = reached.answered;
      const shared = { participant, key, partnerName: reply.serverName };
      const refused = await this.partner.shareSecret(id, shared, sharedSecret, options.actor);
      if (refused) return moved ? refused : waitsFor(name, refused);
    }
    if (!differs) return { ok: true, value: { plan, warnings } };
    const done = await this.partner.decide(options.actor, {
      ...reached.order,
      change: { kind: 'set', terms: terms.terms },
      // Where the partner has moved, the revision is this order's own already.
      ...guard(moved ? undefined : ifRevision),
    });
    return done.ok ? { ok: true, value: { plan: withDoubt(plan, done.value), warnings } } : done;
  }

  swapRoles(name: string, options: OrderOptions): Promise<OrderResult<OrderValue>> {
    return this.inTurn(async () => {
      const result = await this.partner.change(
        name,
        { kind: 'swap-roles' },
        ['swap the roles of the two servers'],
        options,
      );
      return result.ok ? { ok: true, value: { plan: result.value.plan } } : result;
    });
  }

  // ---- scopes

  addScopes(name: string, scopes: readonly string[], options: OrderOptions): Promise<MakeResult> {
    return this.inTurn(async () => {
      const relationship = this.room.engine.partners.named(name);
      const none: CheckReport = { ok: false, checks: [], warnings: [] };
      if (!relationship)
        return {
          report: none,
          result: refusal('relationship-not-found', `there is no relationship ${name} on this server`),
        };
      const { partnerAddress, partnerPort } = relationship.record.settings;
      const partner = `${partnerAddress}:${partnerPort}`;
      const { report, partnerName } = await runChecks(this.room, { partner, scopes, secret: 'given' });
      if (!report.ok) return { report, result: failedCheck(report) };
      const plan = scopes.map(
        (scopeId) =>
          `give scope ${scopeId} with its settings and ${this.partner.leasesOf(scopeId)} leases to ${partnerName}`,
      );
      const change: Change = { kind: 'add-scopes', scopes: this.partner.settingsOf(scopes) };
      const result = await this.partner.change(name, change, plan, options);
      return { report, result: result.ok ? { ok: true, value: { plan: result.value.plan, name } } : result };
    });
  }

  removeScopes(
    name: string,
    scopes: readonly string[],
    options: RemovalOptions,
  ): Promise<OrderResult<RemovalValue>> {
    const keep = options.keepPartnerScopes;
    return this.inTurn(() =>
      this.removal.giveUp(name, scopes, { kind: 'remove-scopes', scopeIds: scopes, keep }, options),
    );
  }

  remove(name: string, options: RemovalOptions): Promise<OrderResult<RemovalValue>> {
    return this.inTurn(() => {
      const scopes = this.room.engine.partners.named(name)?.record.settings.scopes ?? [];
      return this.removal.giveUp(name, scopes, { kind: 'remove', keep: options.keepPartnerScopes }, options);
    });
  }

  // ---- settings

  diff(name: string): Promise<OrderResult<DiffValue>> {
    return this.inTurn(() => this.settings.diff(name));
  }

  replicate(
    name: string,
    scopes: readonly string[],
    from: 'local' | 'partner',
    options: OrderOptions,
  ): Promise<OrderResult<ReplicationValue>> {
    return this.inTurn(() => this.settings.replicate(name, scopes, from, options));
  }

  // ---- doubt, and partner secrets

  settle(
    name: string,
    decision: 'commit' | 'abort',
    { actor, dryRun }: OrderOptions,
  ): Promise<OrderResult<OrderValue>> {
    return this.inTurn(async () => {
      const { management } = this.room.engine;
      const doubt = management.inDoubt(name);
      if (doubt === null && !management.adoption.knows(name))
        return refusal('not-in-doubt', `no change of ${name} is in doubt on this server`);
      const against = doubt && management.settling.objection(doubt.proposal, decision);
      if (against) return refusal(against.code, against.message);
      const plan = this.settlement(name, decision);
      if (dryRun) return { ok: true, value: { plan } };
      const result = await this.room.command(actor, { kind: 'settle', relationship: name, decision });
      return result.ok ? { ok: true, value: { plan } } : result;
    });
  }

  private settlement(name: string, decision: 'commit' | 'abort'): string[] {
    const { management } = this.room.engine;
    const doubt = management.inDoubt(name);
    if (doubt) return management.settling.plan(doubt.proposal, decision);
    if (decision === 'commit')
      return [
        `take relationship ${name} with its scopes from the server that knows it, then read all its leases`,
      ];
    return [
      `end relationship ${name}: the server that knows it keeps its scopes inactive`,
      'serve the scopes of this server alone again',
    ];
  }

  async invite({ dryRun }: OrderOptions): Promise<OrderResult<InviteValue>> {
    const { listen, address, serverName, book, onSecrets } = this.room;
    const host = address ?? (listen?.host === '0.0.0.0' ? undefined : listen?.host);
    if (!listen || host === undefined) {
      const text =
        'set server.partner.listen and server.partner.address, so that the other server knows where to dial';
      return refusal('partner-address-invalid', text);
    }
    if (dryRun) return { ok: true, value: { token: '', expiresAt: null } };
    const secret = randomBytes(32);
    book.invite(secret);
    onSecrets();
    const token = writeToken({ name: serverName, host, port: listen.port, secret });
    return { ok: true, value: { token, expiresAt: new Date(Date.now() + INVITATION_MS).toISOString() } };
  }

  join(token: string, { dryRun }: OrderOptions): Promise<OrderResult<OrderValue>> {
    return this.inTurn(async () => {
      const { managing, book, serverName, onSecrets } = this.room;
      const read = readToken(token);
      if (!read)
        return refusal('invitation-invalid', 'that is no token of `tandem partner invite`, or not all of it');
      const { name, host, port, secret } = read;
      if (name === serverName)
        return refusal('invitation-invalid', `the token is this server's own: join on the other one`);
      const plan = [`share a partner secret with ${name} at ${host}:${port}`];
      if (dryRun) return { ok: true, value: { plan } };
      const key = manageKey({ server: name, secret });
      const result = await managing.askWith([key], { host, port }, 'join', {});
      if (!result.ok) return refusal(result.code, result.message);
      if (result.reply.refusal !== '') return refusal('partner-refused', result.reply.text);
      book.meet(secret, name);
      onSecrets();
      return { ok: true, value: { plan } };
    });
  }
}

function withWarning(report: CheckReport, message: string | null): CheckReport {
  return { ...report, warnings: [...report.warnings, ...shortSecret(message)] };
}

function shortSecret(message: string | null): CheckReport['warnings'] {
  return message === null ? [] : [{ code: 'secret-short', message }];
}

function failedCheck({ checks }: CheckReport): Failure {
  const failed = checks.find(({ result }) => result === 'failed');
  return refusal(failed?.code ?? 'partner-unreachable', failed?.message ?? 'the checks could not be run');
}

function termsInWords(terms: Terms): string {
  const { mode, loadBalancePercent, standbyRole, reservePercent, mcltSeconds, authenticated } = terms;
  const how =
    mode === 'loadBalance'
      ? `load balance, ${loadBalancePercent} percent here`
      : `hot standby, ${standbyRole} here, ${reservePercent} percent for the standby`;
  return `${how}, MCLT ${mcltSeconds} s, authentication ${authenticated ? 'on' : 'off'}`;
}

interface Place {
  readonly address: string;
  readonly port: number;
  readonly host?: string;
}

/** Where a partner is that is called so; nowhere new where nobody says so. */
async function placeOf(
  partner: string | undefined,
  own: string | null,
): Promise<{ readonly ok: true; readonly moved?: Place } | Failure> {
  if (partner === undefined) return { ok: true };
  const place = splitPartner(partner);
  if (!place)
    return refusal('partner-address-invalid', `${JSON.stringify(partner)} is no address of a partner`);
  const { host, port } = place;
  if (isIP(host) === 6)
    return refusal('ipv6-not-supported', `${host} is an IPv6 address: partners reach each other over IPv4`);
  if (isBrokenAddress(host)) return refusal('partner-address-invalid', `${host} is no IPv4 address`);
  const named = isIP(host) === 0;
  const address = named ? (await addressesOf(host)).find(({ family }) => family === 4)?.address : host;
  if (address === undefined) return refusal('partner-name-unresolved', `the name ${host} does not resolve`);
  const wrong = wrongAddress(address, own);
  if (wrong !== null) return refusal('partner-address-invalid', `${address} ${wrong}`);
  return { ok: true, moved: { address, port, ...(named ? { host } : {}) } };
}
