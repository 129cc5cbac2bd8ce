// Secrets that came about at run time, in a file of the state directory that only this user can read: those of partners
// (`partner invite`, `partner join`) and those of relationships. Beside them the partner secrets that the config names.
// Nothing of it is ever logged, recorded, replicated or put into the store.

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { derivedSecret, type ManageKey, manageKey, type PartnerSecret } from './manage-psk.js';
import type { PartnerCredential } from './partner-psk.js';

const FILE = 'partner-secrets.json';
/** An invitation that nobody took up is worth nothing after this. */
export const INVITATION_MS = 24 * 3_600_000;
const MOST_INVITATIONS = 16;

interface Kept {
  readonly partners: readonly KeptPartner[];
  readonly relationships: Readonly<Record<string, KeptSecret>>; // by relationship id
}
interface KeptPartner {
  readonly server: string | null; // null: invited, and not met yet
  readonly secret: string; // hex
  readonly invitedAt: number; // wall clock, ms
}
interface KeptSecret {
  readonly secret: string; // hex
  readonly previous: string | null;
}

/** A relationship whose link needs a credential. */
export interface Secured {
  readonly name: string;
  readonly id: string;
  readonly authenticated: boolean;
}

export class SecretBook {
  private kept: Kept;
  private declared: readonly PartnerSecret[] = [];
  private readonly fresh = new Set<string>(); // ids that came in this process: their relationships may be to come
  private readonly path: string;

  /** Throws the system's error when there is a file that cannot be read, and SyntaxError when it is damaged. */
  constructor(stateDir: string) {
    this.path = join(stateDir, FILE);
    this.kept = read(this.path);
  }

  /** The partner secrets of the config, those for one server first. */
  declare(secrets: readonly PartnerSecret[]): void {
    this.declared = secrets;
  }

  /** Keys for management connections; with a partner's name, those for it first and none for others. */
  manageKeys(server?: string): readonly ManageKey[] {
    const found: PartnerSecret[] = [...this.declared, ...this.joined()];
    const fitting =
      server === undefined ? found : found.filter((one) => one.server === null || one.server === server);
    return fitting
      .toSorted((one, two) => Number(one.server === null) - Number(two.server === null))
      .map(manageKey);
  }

  private joined(): PartnerSecret[] {
    const now = Date.now();
    return this.kept.partners
      .filter(({ server, invitedAt }) => server !== null || now - invitedAt < INVITATION_MS)
      .map(({ server, secret }) => ({ server, secret: Buffer.from(secret, 'hex') }));
  }

  /** What the link of these relationships is proved by; `fromFiles` are those of the config. */
  credentials(secured: readonly Secured[], fromFiles: readonly PartnerCredential[]): PartnerCredential[] {
    const named = new Set(fromFiles.map(({ relationship }) => relationship));
    const own = secured.flatMap(({ name, id, authenticated }) => {
      const kept = this.kept.relationships[id];
      if (!authenticated || kept === undefined || named.has(name)) return [];
      const previousSecret = kept.previous === null ? null : Buffer.from(kept.previous, 'hex');
      return [{ relationship: name, secret: Buffer.from(kept.secret, 'hex'), previousSecret }];
    });
    return [...fromFiles, ...own];
  }

  /** A new invitation's secret. */
  invite(secret: Uint8Array): void {
    const invited = this.kept.partners.filter(({ server }) => server === null);
    const dropped = new Set(invited.slice(0, Math.max(0, invited.length + 1 - MOST_INVITATIONS)));
    const partners = this.kept.partners.filter((one) => !dropped.has(one));
    this.write({
      ...this.kept,
      partners: [...partners, { server: null, secret: hex(secret), invitedAt: Date.now() }],
    });
  }

  /** This secret is the partner's of that name from now on. */
  meet(secret: Uint8Array, server: string): void {
    const text = hex(secret);
    const others = this.kept.partners.filter((one) => one.secret !== text && one.server !== server);
    this.write({ ...this.kept, partners: [...others, { server, secret: text, invitedAt: Date.now() }] });
  }

  /** Is this an invitation of ours that nobody has taken up yet? */
  isInvitation(secret: Uint8Array): boolean {
    const text = hex(secret);
    return this.kept.partners.some((one) => one.server === null && one.secret === text);
  }

  /** A relationship's secret; the one before it is accepted as well. */
  keep(relationshipId: string, secret: Uint8Array): void {
    const before = this.kept.relationships[relationshipId];
    const text = hex(secret);
    this.fresh.add(relationshipId);
    if (before?.secret === text) return;
    const kept = { secret: text, previous: before?.secret ?? null };
    this.write({ ...this.kept, relationships: { ...this.kept.relationships, [relationshipId]: kept } });
  }

  keepDerived(relationshipId: string, partner: PartnerSecret): void {
    this.keep(relationshipId, derivedSecret(partner, relationshipId));
  }

  /** These relationships are made: once they go, their secrets do. */
  stands(ids: ReadonlySet<string>): void {
    for (const id of ids) this.fresh.delete(id);
  }

  /** Secrets of relationships that are no more; `ids` are those that stand. */
  forgetBut(ids: ReadonlySet<string>): void {
    const left = Object.entries(this.kept.relationships).filter(([id]) => ids.has(id) || this.fresh.has(id));
    if (left.length === Object.keys(this.kept.relationships).length) return;
    this.write({ ...this.kept, relationships: Object.fromEntries(left) });
  }

  /** Whole or not at all, and on disk before anything hangs on it. */
  private write(kept: Kept): void {
    const draft = `${this.path}.new`;
    const file = openSync(draft, 'w', 0o600);
    try {
      writeSync(file, JSON.stringify(kept));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, this.path);
    this.kept = kept;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function read(path: string): Kept {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { partners: [], relationships: {} };
    throw error;
  }
  const { partners, relationships } = JSON.parse(text) as Partial<Kept>;
  return { partners: partners ?? [], relationships: relationships ?? {} };
}
