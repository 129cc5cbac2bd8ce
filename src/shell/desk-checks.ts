// The checks before a relationship is made (product.md): all that can be run are run, in the order of its table, each
// with its code and one sentence that names the value at fault. Asks the partner once and changes nothing on either.

import { isIP } from 'node:net';
import type { Check, CheckReport } from '../admin/relationship-desk.js';
import { CHECK_CODES, type CheckCode } from '../config/check-codes.js';
import type { Engine } from '../engine/engine.js';
import { isName, MOST_RELATIONSHIPS } from '../engine/management-terms.js';
import { changingAddress } from './interfaces-netlink.js';
import { type Answered, NOT_OURS, probe } from './manage-line.js';
import type { ManageKey } from './manage-psk.js';
import type { Managing } from './managing.js';
import { addressesOf, DEFAULT_PORT, isBrokenAddress, splitPartner, wrongAddress } from './partner-place.js';

export interface CheckOrder {
  /** Absent: the relationship exists, and takes more scopes. */
  readonly name?: string | null; // null: to be chosen
  readonly partner: string; // HOST or HOST:PORT
  readonly scopes: readonly string[];
  readonly secret: 'derived' | 'given' | 'none';
}

export interface CheckRoom {
  readonly engine: Engine;
  readonly managing: Managing;
  readonly serverName: string;
  readonly listen: { readonly host: string; readonly port: number } | null;
  readonly address: string | null; // server.partner.address
  readonly maxClockSkewSeconds: number;
  readonly hasPartnerSecret: () => boolean;
}

/** What the checks found out, for what follows them. */
export interface Checked {
  readonly report: CheckReport;
  readonly name: string;
  readonly participant: { readonly address: string; readonly port: number; readonly host?: string };
  readonly coordinator: { readonly address: string; readonly port: number };
  readonly partnerName: string;
  readonly key: ManageKey | null; // the partner secret that was accepted
}

interface Facts {
  readonly relationships: number;
  readonly nameTaken: boolean;
  readonly overlapping: readonly string[];
  readonly dialBack: string;
  readonly maxClockSkewSeconds: number;
  readonly changing?: string | null; // the interface of its address, where that is not permanent
}

export async function runChecks(room: CheckRoom, order: CheckOrder): Promise<Checked> {
  const checks = new Checks(room, order);
  await checks.run();
  return checks.outcome();
}

/** An answer within 5 s (product), of which the command that asks needs some to start and to print. */
const WHOLE_MS = 4_000;
const LEAST_MS = 500;
const AT_MOST = `a server cannot have more than ${MOST_RELATIONSHIPS} relationships`;

class Checks {
  private readonly found = new Map<CheckCode, Check>();
  private address = '';
  private port = DEFAULT_PORT;
  private ownAddress: string;
  private answered: Answered | null = null;
  private name = '';
  private readonly endAt = performance.now() + WHOLE_MS;

  constructor(
    private readonly room: CheckRoom,
    private readonly order: CheckOrder,
  ) {
    this.ownAddress = room.address ?? '';
  }

  async run(): Promise<void> {
    this.local();
    if ((await this.resolve()) && (await this.reach())) this.judge();
    this.naming();
  }

  outcome(): Checked {
    const all = CHECK_CODES.map((code) => this.found.get(code) ?? notRun(code));
    const checks = all.filter(({ code, result }) => isShown(code, result, this.order));
    const ok = checks.every(({ result }) => result === 'passed');
    const port = this.room.listen?.port ?? DEFAULT_PORT;
    return {
      report: { ok, checks, warnings: this.warnings() },
      name: this.name,
      participant: { address: this.address, port: this.port, ...this.calledBy },
      coordinator: { address: this.ownAddress, port },
      partnerName: this.answered?.reply.serverName ?? this.order.partner,
      key: this.answered?.key ?? null,
    };
  }

  /** Whoever does not answer holds nobody up for longer than is promised. */
  private get leftMs(): number {
    return Math.max(LEAST_MS, this.endAt - performance.now());
  }

  /** The name it was called by, when that is not the address. */
  private get calledBy(): { readonly host?: string } {
    const host = splitPartner(this.order.partner)?.host;
    return host === undefined || isIP(host) !== 0 ? {} : { host };
  }

  private put(code: CheckCode, passed: boolean, message: string, value: string | null = null): boolean {
    this.found.set(code, { code, result: passed ? 'passed' : 'failed', message, value });
    return passed;
  }

  /** What this server alone can tell. */
  private local(): void {
    const { engine } = this.room;
    const { scopes } = this.order;
    const some = scopes.length > 0;
    this.put('scope-required', some, some ? `given: ${scopes.length}` : 'name at least one scope');
    const six = scopes.filter((scopeId) => isIP(scopeId.replace(/\/\d{1,3}$/, '')) === 6).join(', ');
    if (six !== '') this.put('ipv6-not-supported', false, `${six}: failover is for IPv4 scopes`, six);
    const missing = scopes.filter((scopeId) => !engine.index.byId(scopeId));
    const lacks = missing.length > 0;
    const there = lacks
      ? `this server has no scope ${missing.join(', ')}`
      : 'every scope exists on this server';
    this.put('scope-not-found', !lacks, there, missing.join(', ') || null);
    const shared = scopes.filter((scopeId) => engine.partners.ofScope(scopeId));
    this.put(
      'scope-already-in-relationship',
      shared.length === 0,
      shared.length === 0
        ? 'no scope is in a relationship'
        : `in a relationship already: ${shared.map((scopeId) => `${scopeId} (${engine.partners.ofScope(scopeId)?.name})`).join(', ')}`,
      shared.join(', ') || null,
    );
    this.ownCount();
    const { secret } = this.order;
    const secured = secret !== 'derived' || this.room.hasPartnerSecret();
    this.put(
      'secret-required',
      secured,
      secured
        ? 'how the link is proved is settled'
        : 'there is no partner secret to derive one from: give a secret, or refuse authentication in so many words',
    );
  }

  private async resolve(): Promise<boolean> {
    const { partner } = this.order;
    const place = splitPartner(partner);
    if (!place)
      return this.put(
        'partner-name-unresolved',
        false,
        `${JSON.stringify(partner)} is neither a name nor an address`,
        partner,
      );
    this.port = place.port;
    if (isIP(place.host) === 6) return this.isIpv6(place.host);
    if (isBrokenAddress(place.host))
      return this.put('partner-address-invalid', false, `${place.host} is no IPv4 address`, place.host);
    if (isIP(place.host) === 0) {
      const found = await addressesOf(place.host);
      const one = found.find(({ family }) => family === 4) ?? found[0];
      if (!one)
        return this.put(
          'partner-name-unresolved',
          false,
          `the name ${place.host} does not resolve`,
          place.host,
        );
      this.address = one.address;
    } else this.address = place.host;
    this.put('partner-name-unresolved', true, `${place.host} is ${this.address}`, place.host);
    return isIP(this.address) === 6 ? this.isIpv6(this.address) : this.isAddress();
  }

  private isIpv6(address: string): boolean {
    return this.put(
      'ipv6-not-supported',
      false,
      `${address} is an IPv6 address: partners reach each other over IPv4`,
      address,
    );
  }

  private isAddress(): boolean {
    const { address } = this;
    const wrong = wrongAddress(address, this.room.address);
    if (wrong !== null) return this.put('partner-address-invalid', false, `${address} ${wrong}`, address);
    return this.put(
      'partner-address-invalid',
      true,
      `${address} is a unicast address of another server`,
      address,
    );
  }

  /** Both directions: we ask the partner, and it dials back. */
  private async reach(): Promise<boolean> {
    const { managing, listen, address } = this.room;
    const where = `${this.address}:${this.port}`;
    const dead = await probe({ host: this.address, port: this.port }, this.leftMs);
    if (dead) {
      if (dead.code === 'partner-not-running')
        this.put('partner-unreachable', true, `there is a route to ${this.address}`);
      return this.put(dead.code, false, dead.message, where);
    }
    const subnets = this.order.scopes.flatMap(
      (scopeId) => this.room.engine.index.byId(scopeId)?.scope.settings.subnet ?? [],
    );
    const document = {
      name: this.order.name ?? null,
      scopes: subnets,
      port: listen?.port ?? null,
      ...(address === null ? {} : { address }),
    };
    const target = { host: this.address, port: this.port };
    const result = await managing.ask(target, 'check', document, undefined, this.leftMs);
    if (!result.ok) {
      if (result.message === NOT_OURS) return this.put(result.code, false, NOT_OURS, address);
      if (result.code === 'partner-unreachable') {
        // It takes connections, as was just seen.
        this.put('partner-unreachable', true, `${where} takes connections`);
        return this.put('partner-not-running', false, `no Tandem server answers at ${where}`, where);
      }
      this.put('partner-unreachable', true, `${where} takes connections`);
      if (result.code === 'permission-denied')
        this.put('partner-not-running', true, `a server answers at ${where}`);
      return this.put(result.code, false, result.message, where);
    }
    this.answered = result;
    this.ownAddress = address ?? result.localAddress;
    return true;
  }

  private judge(): void {
    const { answered } = this;
    if (!answered) return;
    const { reply } = answered;
    const where = `${this.address}:${this.port}`;
    this.put('partner-not-running', true, `${reply.serverName} answers at ${where}`);
    const { refusal, text } = reply;
    if (refusal !== '') {
      this.put('partner-unreachable', true, `${where} takes connections`);
      const code = CHECK_CODES.find((one) => one === refusal) ?? 'permission-denied';
      this.put(code, false, text, where);
      return;
    }
    const facts = JSON.parse(reply.document) as Facts;
    const back = this.room.listen === null ? 'this server has no server.partner.listen' : facts.dialBack;
    this.put(
      'partner-unreachable',
      back === '',
      back === ''
        ? 'each server reaches the other'
        : `${reply.serverName} does not reach this server: ${back}`,
      this.ownAddress,
    );
    this.put('partner-version-unsupported', true, `both speak version ${reply.protocolHigh}`);
    this.put('permission-denied', true, `${reply.serverName} takes our partner secret`);
    this.skew(answered, facts);
    this.counts(reply.serverName, facts);
    const overlapping = facts.overlapping.filter((subnet) => !this.isSharedWith(reply.serverId, subnet));
    const free = overlapping.length === 0;
    this.put(
      'scope-exists-on-partner',
      free,
      free
        ? `${reply.serverName} has none of the scopes`
        : `${reply.serverName} has scopes of these addresses, to be removed there first: ${overlapping.join(', ')}`,
      overlapping.join(', ') || null,
    );
  }

  /** A scope that the two share already is there for that reason, which `scope-already-in-relationship` says. */
  private isSharedWith(serverId: string, subnet: string): boolean {
    const { index, partners } = this.room.engine;
    return this.order.scopes.some((scopeId) => {
      const sharing = partners.ofScope(scopeId)?.record.partner;
      return sharing?.serverId === serverId && index.byId(scopeId)?.scope.settings.subnet === subnet;
    });
  }

  private skew({ reply, answeredAt }: Answered, { maxClockSkewSeconds }: Facts): void {
    const offsetMs = (reply.t2At - reply.t1At + (reply.t3At - answeredAt)) / 2;
    const most = Math.min(maxClockSkewSeconds, this.room.maxClockSkewSeconds);
    const apart = Math.round(Math.abs(offsetMs) / 100) / 10;
    this.put(
      'clock-skew',
      apart <= most,
      `the clocks differ by ${apart} s, and may by ${most} s${apart <= most ? '' : ': set the one that is wrong'}`,
      `${apart}s`,
    );
  }

  private counts(partnerName: string, { relationships }: Facts): void {
    if (this.order.name === undefined) {
      this.put('too-many-relationships', true, 'no relationship is added');
      return;
    }
    if (!this.ownCount()) return;
    const own = this.room.engine.partners.all.length;
    const fits = relationships < MOST_RELATIONSHIPS;
    const full = `${partnerName} (partner) has ${relationships}: ${AT_MOST}`;
    const found = fits ? `${own} here, ${relationships} there` : full;
    this.put('too-many-relationships', fits, found, String(Math.max(own, relationships)));
  }

  /** Whether this server has room for one more, which needs no partner to tell. */
  private ownCount(): boolean {
    const own = this.room.engine.partners.all.length;
    if (this.order.name === undefined || own < MOST_RELATIONSHIPS) return true;
    const message = `this server (local) has ${own}: ${AT_MOST}`;
    return this.put('too-many-relationships', false, message, String(own));
  }

  private naming(): void {
    const { engine, serverName } = this.room;
    const { name: wanted } = this.order;
    if (wanted === undefined) return;
    const base = wanted ?? `${serverName}-${this.answered?.reply.serverName ?? this.order.partner}`;
    this.name = base;
    // The partner was asked about the name that was given only; one that is chosen is found free here, and there later.
    for (let n = 2; wanted === null && engine.partners.named(this.name); n++) this.name = `${base}-${n}`;
    const valid = isName(this.name);
    this.put(
      'relationship-name-invalid',
      valid,
      valid
        ? `${this.name} is a name`
        : `${JSON.stringify(this.name)} is no name: 1 to 126 characters, none of them a control character`,
      this.name,
    );
    const here = engine.partners.named(this.name) !== undefined;
    const there = wanted !== null && this.facts?.nameTaken === true;
    this.put(
      'relationship-exists',
      !here && !there,
      here
        ? `this server has a relationship ${this.name}`
        : there
          ? `the partner has a relationship ${this.name}`
          : `no relationship is called ${this.name}`,
      this.name,
    );
  }

  private warnings(): CheckReport['warnings'] {
    if (this.order.name === undefined) return [];
    const same = this.room.engine.partners.all.filter(
      ({ record }) => record.settings.partnerAddress === this.address,
    );
    return [
      ...this.changingAddresses(),
      ...same.map(({ name }) => ({
        code: 'existing-relationship',
        message: `there is a relationship with that partner already: ${name} could take the scopes`,
      })),
    ];
  }

  /** Partners know each other by address, so one that DHCP or a timer may take away is a trap. */
  private changingAddresses(): { readonly code: string; readonly message: string }[] {
    const own = changingAddress(this.ownAddress);
    const theirs = this.facts?.changing ?? null;
    const warning = (address: string, on: string, who: string) => ({
      code: 'address-not-static',
      message: `${address} on ${on} of ${who} is not permanent: give it a static address, for partners meet by it`,
    });
    return [
      ...(own === null ? [] : [warning(this.ownAddress, own, 'this server')]),
      ...(theirs === null
        ? []
        : [warning(this.address, theirs, this.answered?.reply.serverName ?? 'the partner')]),
    ];
  }

  /** What the partner said of itself, when it did. */
  private get facts(): Facts | null {
    const { reply } = this.answered ?? {};
    return reply?.refusal === '' ? (JSON.parse(reply.document) as Facts) : null;
  }
}

function isShown(code: CheckCode, result: Check['result'], order: CheckOrder): boolean {
  if (code === 'ipv6-not-supported') return result === 'failed';
  const naming =
    code === 'relationship-exists' || code === 'relationship-name-invalid' || code === 'secret-required';
  return !(naming && order.name === undefined);
}

function notRun(code: CheckCode): Check {
  return { code, result: 'not-run', message: 'not run: an earlier check failed', value: null };
}
