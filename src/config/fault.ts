// Faults and warnings of a config file: where, at which line, and one sentence. This file only words and orders them.

import type { Fault } from '../lease/settings.js';

export interface ConfigFault extends Fault {
  readonly line: number | null; // 1 = first; null when the trouble is not at one place
}

/** `FILE:LINE: path: message`, one line whatever the file held. */
export function formatFault(fault: ConfigFault, file: string): string {
  const place = fault.line === null ? file : `${file}:${fault.line}`;
  return `${place}: ${printable(fault.path)}: ${printable(fault.message)}`;
}

/** By line, faults without a line last; the order of finding within a line. */
export function sortFaults(faults: readonly ConfigFault[]): readonly ConfigFault[] {
  const lineOf = (fault: ConfigFault) => fault.line ?? Number.MAX_SAFE_INTEGER;
  return [...faults].sort((a, b) => lineOf(a) - lineOf(b));
}

/** A value as it is quoted in a message: on one line and short. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
}

function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}
