// Servers that have a partner secret and nothing else in common until a test makes relationships between them, on
// whatever networks it has laid; and what to wait for when two of them share scopes.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Daemon, type ScopeOrder } from './daemon.js';
import { type Host, type Lab, until } from './namespace.js';
import type { Keys, PoolJson } from './pair-lab.js';

const LIMIT_MS = 60_000;

interface RelationshipJson {
  readonly name: string;
  readonly state: string;
  readonly stateSince: string;
  readonly connected: boolean;
  readonly unacked: number;
  readonly scopeId: readonly string[];
  readonly pools: readonly PoolJson[];
}

interface StatusJson {
  readonly alarms: readonly { readonly code: string; readonly message: string }[];
  readonly relationships: readonly RelationshipJson[];
  readonly scopes: readonly { readonly scopeId: string; readonly digest: string | null }[];
}

export class Site {
  private readonly secretFile: string;

  constructor(readonly lab: Lab) {
    this.secretFile = join(lab.scratch('secrets'), 'partner');
    writeFileSync(this.secretFile, 'a partner secret of thirty-two octets\n', { mode: 0o600 });
  }

  /** A server on its first interface; `own` is its address there. Hears partners on that address. */
  server(host: Host, own: string, scopes: readonly ScopeOrder[], more: Keys = {}): Daemon {
    const partner = { listen: `${own}:647`, address: own, secretFile: this.secretFile };
    return new Daemon(this.lab, host, { interfaces: ['eth0'], scopes, server: { partner, ...more } });
  }

  status(daemon: Daemon): Promise<StatusJson> {
    return daemon.json<StatusJson>('/status');
  }

  relationship(daemon: Daemon, name: string): Promise<RelationshipJson> {
    return daemon.json<RelationshipJson>(`/failover/${encodeURIComponent(name)}`);
  }

  /** Until the relationship is in this state there. */
  async reach(daemon: Daemon, name: string, state: string, limitMs = LIMIT_MS): Promise<void> {
    let now = '';
    await until(`${name} in ${state} on ${daemon.host.name}`, limitMs, async () => {
      now = (await this.relationship(daemon, name)).state;
      return now === state;
    }).catch((error: Error) => {
      throw new Error(`${error.message}, but ${now}\n${daemon.process.output.slice(-3000)}`);
    });
  }
}

/** Until both are in normal in this relationship, with everything acknowledged and every shared scope the same. */
export async function agreeOn(name: string, daemons: readonly Daemon[], limitMs = LIMIT_MS): Promise<void> {
  let seen: readonly StatusJson[] = [];
  await until(`${name} to be the same on both`, limitMs, async () => {
    seen = await Promise.all(daemons.map((daemon) => daemon.json<StatusJson>('/status')));
    const views = seen.map((status) => viewOf(status, name));
    return views[0] !== null && views.every((view) => view === views[0]);
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen.map((status) => viewOf(status, name)))}`);
  });
}

/** What two partners must show alike; null while either cannot. */
function viewOf({ relationships, scopes }: StatusJson, name: string): string | null {
  const one = relationships.find((relationship) => relationship.name === name);
  if (one?.state !== 'normal' || !one.connected || one.unacked > 0) return null;
  const ids = [...one.scopeId].sort();
  const digests = ids.map((scopeId) => scopes.find((scope) => scope.scopeId === scopeId)?.digest);
  if (digests.some((digest) => typeof digest !== 'string')) return null;
  return ids.map((scopeId, index) => `${scopeId} ${digests[index]}`).join(', ');
}

/** What a command line printed that was carried out, if need be when it was tried again, as it may ask for. */
export async function done(t: Test, daemon: Daemon, ...words: readonly string[]): Promise<string> {
  const line = words.join(' ');
  const { code, text } = await until(line, LIMIT_MS, async () => {
    const told = await daemon.tandem(...words);
    return !/: try again\n/.test(told.text) && told;
  });
  t.equal(code, 0, `${daemon.host.name}: ${line}\n${text}`);
  return text;
}
