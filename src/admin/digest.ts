// The digest of product.md "JSON": SHA-256 over (address, state, hardwareAddress, clientId, end, lastTransaction) of all
// leases not free, sorted by address, for the server and for each scope. Two databases are equal when digests agree.
// Offers are no leases yet and stay out. The scan runs in slices between which clients are answered, and begins anew
// when a lease changed under it; it never answers with a mixture of two states.

import { createHash, type Hash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { EngineView, LeaseView } from '../engine/view.js';
import type { AdminLimits } from './limits.js';
import { Slices, StepSize } from './slices.js';

export interface DigestSet {
  readonly revision: number; // lease revision that was read
  readonly server: string; // 64 hex digits
  readonly scopes: ReadonlyMap<string, string>; // scope id → 64 hex digits; scopes without leases are absent
}

/** Digest of no leases at all. */
export const EMPTY_DIGEST = createHash('sha256').digest('hex');

const LEAST_PAGE = 32;
const MOST_PAGE = 1000;
const RETRY_PAUSE_MS = 20;

/** One line a lease; `-` stands for none, which no hex or instant can be confused with. */
export function digestLine(lease: LeaseView): string {
  const end = lease.infinite ? 'infinite' : (lease.end ?? '-');
  return `${lease.address} ${lease.state} ${lease.hardwareAddress} ${lease.clientId ?? '-'} ${end} ${lease.lastTransaction ?? '-'}\n`;
}

/** Computes digests on demand and keeps the newest. Questions asked meanwhile share one scan. */
export class Digests {
  private newest: DigestSet | null = null;
  private running: Promise<DigestSet | null> | null = null;
  private restUntil = 0;
  private revisionAsked = -1; // lease revision when last asked

  constructor(
    private readonly view: Pick<EngineView, 'leases' | 'leaseRevision'>,
    private readonly limits: Pick<AdminLimits, 'sliceMs' | 'digestTries' | 'digestWaitMs' | 'digestRestMs'>,
  ) {}

  /** The digests of the present leases if they are known already. */
  cached(): DigestSet | null {
    return this.newest?.revision === this.view.leaseRevision() ? this.newest : null;
  }

  /** The digests of the leases as they were at one moment of the call; null when they changed too fast. */
  async current(): Promise<DigestSet | null> {
    const known = this.cached();
    if (known) return known;
    if (this.running) return this.running;
    if (!this.isCalm() && performance.now() < this.restUntil) return null;
    this.running = this.compute().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  /** Did no lease change since the last question? Then a scan will come through, whatever was before. */
  private isCalm(): boolean {
    const revision = this.view.leaseRevision();
    const isCalm = revision === this.revisionAsked;
    this.revisionAsked = revision;
    return isCalm;
  }

  /** As `current`, but null when that takes longer than `digestWaitMs`; the scan goes on and its answer is kept. */
  async soon(): Promise<DigestSet | null> {
    const waited = new AbortController();
    const late = pause(this.limits.digestWaitMs, null, { signal: waited.signal }).catch(() => null);
    const found = await Promise.race([this.current(), late]);
    waited.abort();
    return found;
  }

  private async compute(): Promise<DigestSet | null> {
    for (let tries = 0; tries < this.limits.digestTries; tries++) {
      if (tries > 0) await pause(RETRY_PAUSE_MS * tries);
      const found = await this.scan();
      if (found) {
        this.newest = found;
        return found;
      }
    }
    this.restUntil = performance.now() + this.limits.digestRestMs;
    return null;
  }

  /** One pass over all leases; null as soon as one of them changed. */
  private async scan(): Promise<DigestSet | null> {
    const revision = this.view.leaseRevision();
    const server = createHash('sha256');
    const scopes = new Map<string, Hash>();
    const step = new StepSize(LEAST_PAGE, MOST_PAGE, this.limits.sliceMs);
    const slices = new Slices(this.limits.sliceMs / 2);
    let after: number | null = null;
    do {
      const began = performance.now();
      const from = after === null ? {} : { after };
      const page = this.view.leases({ limit: step.value, leaveOutOffers: true, ...from });
      addPage(page.items, server, scopes);
      after = page.next;
      step.took(performance.now() - began);
      await slices.breathe();
      if (this.view.leaseRevision() !== revision) return null;
    } while (after !== null);
    const digests = new Map<string, string>();
    for (const [scopeId, hash] of scopes) digests.set(scopeId, hash.digest('hex'));
    return { revision, server: server.digest('hex'), scopes: digests };
  }
}

/** Neighbours are mostly of one scope, so their lines are hashed together. */
function addPage(leases: readonly LeaseView[], server: Hash, scopes: Map<string, Hash>): void {
  let scopeId = '';
  let text = '';
  const flush = () => {
    if (text === '') return;
    server.update(text);
    let hash = scopes.get(scopeId);
    if (!hash) {
      hash = createHash('sha256');
      scopes.set(scopeId, hash);
    }
    hash.update(text);
    text = '';
  };
  for (const lease of leases) {
    if (lease.state === 'free' || lease.state === 'offered') continue;
    if (lease.scopeId !== scopeId) {
      flush();
      scopeId = lease.scopeId;
    }
    text += digestLine(lease);
  }
  flush();
}
