// The versions of a shared scope that a server keeps side by side: its own, what both servers had last, and by whose
// revision (failover.md §6). Made anew by each edit and each agreement; decides nothing.

import { mergeScopes, sameSettings } from '../lease/both-versions.js';
import type { ScopeSettings } from '../lease/settings.js';
import type { ScopeEntry } from './scopes.js';

/** An edit of a shared scope: what both had last stays known until they agree anew, and so does the partner's own edit. */
export function withBase(before: ScopeEntry, after: ScopeEntry): ScopeEntry {
  const { settings, revision } = after;
  const agreed = before.agreed ?? before.settings;
  const theirs = before.theirs === undefined ? {} : { theirs: before.theirs };
  if (before.theirs === undefined && sameSettings(settings, agreed)) return { settings, revision };
  const agreedRevision = before.agreed ? agreedRevisionOf(before) : before.revision;
  return { settings, revision, agreed, agreedRevision, ...theirs };
}

function agreedRevisionOf({ revision, agreedRevision = revision - 1 }: ScopeEntry): number {
  return agreedRevision;
}

/** The newest revision here that the partner has; one more than there is while it has proposed the next. */
export function partnerRevision(entry: ScopeEntry): number {
  const { revision, agreed, theirs, proposed } = entry;
  if (agreed || theirs) return agreedRevisionOf(entry);
  return proposed ? revision + 1 : revision;
}

/** `proposed`: what was here when the change began. An edit made since stays, and is the next to be told. */
export function agreedEntry(
  { settings: now, revision }: ScopeEntry,
  agreed: ScopeSettings,
  proposed: ScopeSettings | undefined,
): ScopeEntry {
  const untouched = proposed === undefined || sameSettings(now, proposed);
  const settings = untouched ? agreed : mergeScopes(proposed, now, agreed).settings;
  const changed = sameSettings(settings, now) ? 0 : 1;
  const entry = { settings, revision: revision + changed };
  // Some edit stays to be told: what was agreed is one version behind it.
  return sameSettings(settings, agreed) ? entry : { ...entry, agreed, agreedRevision: entry.revision - 1 };
}

/** Edited since this was proposed, and agreed on: the partner has still to hear of it. */
export function editedSince(now: ScopeEntry, proposed: ScopeSettings): ScopeEntry {
  return { ...now, agreed: proposed, agreedRevision: now.revision - 1 };
}
