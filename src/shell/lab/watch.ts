// `tandem lab` for people: a pair with clients, a screen that follows it, and keys to break and mend it.

import { join } from 'node:path';
import { LAB_MODES, LabPair, type LabPorts } from './pair.js';
import { labScreen, leasesOf } from './screen.js';

export interface WatchOptions {
  readonly directory: string;
  readonly ports: LabPorts;
  readonly interactive: boolean; // a terminal that can be redrawn
  readonly interrupted: Promise<void>;
  print(text: string): Promise<void>;
  progress(line: string): void;
}

const CLIENTS = 20;
const SCREEN_MS = 1_000;
const CLEAR = '\u001b[H\u001b[2J';
const END_OF_TEXT = '\u0003'; // Ctrl-C, which a raw terminal hands over as it is

export const KEYS = [
  ['k1 k2', 'kill -9 a daemon'],
  ['r1 r2', 'start it again'],
  ['c', 'cut the link between them'],
  ['h', 'heal it'],
  ['n', 'ten more clients'],
  ['m', 'the other mode, from the beginning'],
  ['q', 'quit'],
] as const;

/** Run until `q` or an interrupt. Resolves with the exit code. */
export async function labWatch(options: WatchOptions): Promise<number> {
  const bench = new Bench(options);
  void options.interrupted.then(() => bench.quit());
  const listen = (text: string): void => {
    for (const key of text) bench.press(key);
  };
  const { stdin } = process;
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.setEncoding('utf8').on('data', listen);
  try {
    for (let turn = 0; !bench.over; turn++) await bench.run(turn);
    return 0;
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.off('data', listen).pause();
  }
}

class Bench {
  over = false;
  private pair: LabPair | undefined;
  private prefix = '';
  private note = '';
  private another = false;
  private wake: () => void = () => {};

  constructor(private readonly options: WatchOptions) {}

  quit(): void {
    this.over = true;
    this.wake();
  }

  /** One mode, until another is asked for. */
  async run(turn: number): Promise<void> {
    const { directory, ports, progress } = this.options;
    const mode = LAB_MODES[turn % 2 === 0 ? 0 : 1];
    const pair = new LabPair(join(directory, `${mode.mode}${turn}`), mode, ports);
    this.pair = pair;
    this.another = false;
    this.note = '';
    try {
      progress(`${mode.title}: starting two daemons`);
      await pair.start();
      pair.addClients(CLIENTS);
      if (!this.options.interactive)
        progress(`keys: ${KEYS.map(([key, what]) => `${key} ${what}`).join('; ')}`);
      while (!this.over && !this.another) await this.show(pair);
    } finally {
      await pair.stop();
    }
  }

  private async show(pair: LabPair): Promise<void> {
    const statuses = await pair.statuses();
    const leases = await Promise.all(pair.servers.map(leasesOf));
    const lines = [this.note, KEYS.map(([key, what]) => `[${key}] ${what}`).join('  ')];
    const screen = `${labScreen({ pair, statuses, leases })}\n${lines.join('\n')}\n`;
    if (this.options.interactive) await this.options.print(`${CLEAR}${screen}`);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SCREEN_MS);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  press(key: string): void {
    const { pair } = this;
    const which = key === '1' ? 0 : key === '2' ? 1 : null;
    const { prefix } = this;
    this.prefix = '';
    if (key === 'q' || key === END_OF_TEXT) this.quit();
    else if (key === 'k' || key === 'r') this.prefix = key;
    else if (pair === undefined) return;
    else if (prefix !== '' && which !== null) this.process(pair, prefix, which);
    else if (key === 'c') this.did('the link is cut', () => pair.link.cut());
    else if (key === 'h') this.did('the link is whole', () => pair.link.heal());
    else if (key === 'n') this.did('ten more clients', () => pair.addClients(10));
    else if (key === 'm') {
      this.another = true;
      this.wake();
    }
  }

  private process(pair: LabPair, prefix: string, which: 0 | 1): void {
    const server = pair.servers[which];
    const { name } = server.options;
    if (prefix === 'k') this.did(`${name} was killed`, () => server.kill());
    else this.did(`${name} was started`, () => (server.isRunning ? undefined : server.start()));
  }

  /** Do it and say so, or say why not. */
  private did(note: string, work: () => void | Promise<void>): void {
    Promise.resolve()
      .then(work)
      .then(
        () => note,
        (error: Error) => error.message,
      )
      .then((text) => {
        this.note = text;
        this.options.progress(text);
        this.wake();
      });
  }
}
