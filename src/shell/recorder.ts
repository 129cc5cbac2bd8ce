// Writes a recording while the server runs. Serving comes first: inputs go to memory and are written in the
// background; when the disk cannot keep up, fails or the file is full, recording ends and serving goes on.

import { closeSync, existsSync, openSync, renameSync, write, writeSync } from 'node:fs';
import type { EngineOptions } from '../engine/engine.js';
import type { Input } from '../engine/input.js';
import {
  RECORDING_FORMAT,
  RECORDING_VERSION,
  type RecordingLine,
  writeInput,
  writeLine,
} from './recording.js';
import type { Store } from './store.js';

/** How long an input may wait in memory; what a `kill -9` loses of the recording. */
const FLUSH_MS = 100;
/** Waiting characters that are written without waiting longer, and those at which the disk is too slow. */
const FLUSH_CHARACTERS = 256 * 1024;
const MAX_WAITING = 8 * 1024 * 1024;
/** Room kept for the last line. */
const END_BYTES = 1024;

export interface RecorderOptions {
  readonly file: string; // an earlier recording there becomes `FILE.1`
  readonly maxBytes: number;
  readonly engine: EngineOptions;
  readonly at: number; // engine time of the engine's start
  readonly store: Store; // what it holds goes into the recording
  /** Recording is over, though nobody closed it; the server goes on. Called once at most. */
  readonly onEnd: (reason: string) => void;
}

export interface Recorder {
  readonly file: string;
  readonly ended: boolean;
  /** Call with each input before the engine gets it. Never throws, never waits. */
  input(at: number, input: Input): void;
  /** Write what is waiting and close the file. */
  close(): void;
}

/** Start a recording. Never throws: what goes wrong is told by `onEnd`. */
export function openRecorder(options: RecorderOptions): Recorder {
  const recorder = new FileRecorder(options);
  recorder.begin();
  return recorder;
}

class FileRecorder implements Recorder {
  readonly file: string;
  readonly #options: RecorderOptions;
  #fd: number | null = null;
  #bytes = 0; // written or about to be
  #waiting = '';
  #timer: NodeJS.Timeout | null = null;
  #writing = false;
  #ended = false;
  #closing = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.file = options.file;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The state at the start, written before the first client is served, so without hurry. */
  begin(): void {
    const { file, engine, at, store } = this.#options;
    try {
      if (existsSync(file)) renameSync(file, `${file}.1`);
      this.#fd = openSync(file, 'wx', 0o600);
      const lines: RecordingLine[] = [];
      const { nextEventSeq } = store.load({
        lease: () => undefined,
        setting: (key, value) => lines.push({ kind: 'setting', key, value }),
      });
      this.#now({
        kind: 'header',
        format: RECORDING_FORMAT,
        version: RECORDING_VERSION,
        at,
        nextEventSeq,
        engine,
      });
      for (const line of lines) this.#now(line);
      store.load({
        lease: (address, record) => this.#now({ kind: 'lease', address, record }),
        setting: () => undefined,
      });
      if (!this.#ended) this.#writeNow();
    } catch (error) {
      this.#end(`${file} cannot be written: ${(error as Error).message}`);
    }
  }

  input(at: number, input: Input): void {
    if (this.#ended || this.#closing) return;
    const line = writeInput(at, input);
    if (!this.#room(line)) return;
    this.#waiting += line;
    if (this.#waiting.length > MAX_WAITING) this.#end('the disk is too slow for it');
    else if (this.#waiting.length > FLUSH_CHARACTERS) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
  }

  close(): void {
    if (this.#ended || this.#closing) return;
    this.#closing = true;
    this.#waiting += writeLine({ kind: 'end', reason: 'closed' });
    // A write under way ends first; its callback sees to the rest.
    if (!this.#writing) this.#finish();
  }

  /** Count a line; ends the recording when the file is full. */
  #room(line: string): boolean {
    this.#bytes += Buffer.byteLength(line);
    if (this.#bytes + END_BYTES <= this.#options.maxBytes) return true;
    this.#end(`${this.file} has reached its size limit`, 'size limit reached');
    return false;
  }

  #now(line: RecordingLine): void {
    if (this.#ended) return;
    const text = writeLine(line);
    if (!this.#room(text)) return;
    this.#waiting += text;
    if (this.#waiting.length > FLUSH_CHARACTERS) this.#writeNow();
  }

  #writeNow(): void {
    if (this.#fd === null) return;
    const bytes = Buffer.from(this.#waiting);
    this.#waiting = '';
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
  }

  #flush(): void {
    this.#cancelTimer();
    if (this.#writing || this.#ended || this.#fd === null || this.#waiting === '') return;
    const bytes = Buffer.from(this.#waiting);
    this.#waiting = '';
    this.#writing = true;
    this.#write(this.#fd, bytes, 0);
  }

  #write(fd: number, bytes: Buffer, done: number): void {
    write(fd, bytes, done, (error, written) => {
      if (error === null && done + written < bytes.length) {
        this.#write(fd, bytes, done + written);
        return;
      }
      this.#writing = false;
      if (error !== null && !this.#ended) this.#end(`${this.file} cannot be written: ${error.message}`);
      else if (this.#ended || this.#closing) this.#finish();
      else this.#flush();
    });
  }

  /** Give up recording; `line` is the last word of the file, if it can still take one. */
  #end(reason: string, line?: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = line === undefined ? '' : this.#waiting + writeLine({ kind: 'end', reason: line });
    if (!this.#writing) this.#finish();
    this.#options.onEnd(reason);
  }

  #finish(): void {
    this.#cancelTimer();
    if (this.#fd === null) return;
    try {
      this.#writeNow();
      closeSync(this.#fd);
    } catch (error) {
      if (!this.#ended) this.#options.onEnd(`${this.file} cannot be written: ${(error as Error).message}`);
    }
    this.#fd = null;
    this.#ended = true;
  }

  #cancelTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
