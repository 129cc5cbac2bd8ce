// `tandem config diff`: running settings against the file, a line a difference. Keys the file does not declare count
// at their defaults, so run-time edits show.

import { type Change, type ComparedSettings, changesBetween } from './changes.js';
import type { Settings } from './config.js';

export interface Difference extends Change {
  readonly file: string | null; // as written, null = not there
  readonly running: string | null;
}

/** Differences, empty when the file says what runs. `kind` tells what running has done to the file. */
export function diffSettings(input: {
  readonly file: Settings;
  readonly running: ComparedSettings;
}): readonly Difference[] {
  return changesBetween(input.file, input.running).map((change) => ({
    ...change,
    file: change.before,
    running: change.after,
  }));
}

/** `scopes[10.77.0.0].leaseTime: file 8d, running 1h`. */
export function formatDifference({ path, file, running }: Difference): string {
  if (file === null) return `${path}: only running: ${running}`;
  return running === null
    ? `${path}: only in the file: ${file}`
    : `${path}: file ${file}, running ${running}`;
}
