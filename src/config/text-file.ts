// A text file from disk, bounded: a regular file of UTF-8 up to a size, or one phrase that says why not.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

export interface TextFile {
  readonly text: string; // without a byte order mark
  readonly mode: number; // permission bits
}

/** The text of a regular file of UTF-8, or why there is none. Never blocks on a pipe or device. */
export function readTextFile(path: string, maxBytes: number): TextFile | { readonly fault: string } {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = fstatSync(descriptor);
    if (!found.isFile()) return { fault: 'is not a regular file' };
    if (found.size > maxBytes) return { fault: `has ${found.size} octets, at most ${maxBytes} are read` };
    const bytes = Buffer.alloc(found.size);
    let length = 0;
    while (length < bytes.length) {
      const count = readSync(descriptor, bytes, length, bytes.length - length, length);
      if (count === 0) break;
      length += count;
    }
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
    return { text, mode: found.mode & 0o777 };
  } catch (error) {
    if (error instanceof TypeError) return { fault: 'is not UTF-8 text' };
    return { fault: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
