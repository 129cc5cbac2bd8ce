// A small archive writer: ustar headers (POSIX.1-1988 "tar" interchange format) and gzip. Plain files only, names up
// to 100 bytes, whole contents in memory: enough for a support bundle, and nothing to shell out to.

import { gzipSync } from 'node:zlib';

export interface ArchiveFile {
  readonly name: string;
  readonly text: string;
}

const BLOCK = 512;

/** The files as a .tar.gz. `modifiedAt` in ms since 1970. Throws RangeError on a name that does not fit. */
export function tarGz(files: readonly ArchiveFile[], modifiedAt: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const file of files) {
    const content = Buffer.from(file.text, 'utf8');
    parts.push(header(file.name, content.length, Math.floor(modifiedAt / 1000)), content);
    parts.push(new Uint8Array((BLOCK - (content.length % BLOCK)) % BLOCK));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return gzipSync(Buffer.concat(parts));
}

// Offsets and widths are the fields of the ustar header, in its order; absent ones stay zero.
function header(name: string, size: number, modifiedSeconds: number): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  if (Buffer.byteLength(name) > 100) throw new RangeError(`archive name too long: ${name}`);
  block.write(name, 0);
  block.write(octal(0o600, 8), 100); // mode
  block.write(octal(0, 8), 108); // uid
  block.write(octal(0, 8), 116); // gid
  block.write(octal(size, 12), 124);
  block.write(octal(modifiedSeconds, 12), 136);
  block.write(' '.repeat(8), 148); // the checksum is taken with its own field blank
  block.write('0', 156); // a plain file
  block.write('ustar\u000000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
  return block;
}

function octal(value: number, width: number): string {
  return value.toString(8).padStart(width - 1, '0');
}
