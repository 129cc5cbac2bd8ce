// `tandem lab --once`: both modes one after the other, each with a fresh pair and twenty clients. Done when every client
// is bound and both daemons say they are in `normal` with equal databases, or when it has taken too long.

import { join } from 'node:path';
import {
  bothNormal,
  equalDatabases,
  inStep,
  LAB_MODES,
  type LabMode,
  LabPair,
  type LabPorts,
} from './pair.js';
import { labScreen, leasesOf } from './screen.js';

export interface OnceOptions {
  readonly directory: string;
  readonly ports: LabPorts;
  readonly json: boolean;
  readonly interrupted: Promise<void>;
  print(text: string): Promise<void>;
  progress(line: string): void;
}

/** The shape of `--json`; a promise to scripts. */
interface ModeReport {
  readonly mode: LabMode['mode'];
  readonly clients: number;
  readonly clientsBound: number;
  readonly equal: boolean;
  readonly servers: readonly unknown[]; // status of each daemon, null where it does not answer
}

const CLIENTS = 20;
const MODE_MS = 22_000; // both, with the stops between them, within 50 s
const LOOK_MS = 100;

/** Resolves with the exit code. */
export async function labOnce(options: OnceOptions): Promise<number> {
  let ok = true;
  let over = false;
  void options.interrupted.then(() => {
    over = true;
  });
  const modes: ModeReport[] = [];
  for (const mode of LAB_MODES) {
    const pair = new LabPair(join(options.directory, mode.mode), mode, options.ports);
    try {
      const deadline = performance.now() + MODE_MS;
      options.progress(`${mode.title}: starting two daemons`);
      await pair.start();
      const wait = (what: () => boolean | Promise<boolean>) => until(() => over || what(), deadline);
      await wait(async () => bothNormal(await pair.statuses()));
      options.progress(`${mode.title}: starting ${CLIENTS} clients behind one relay`);
      pair.addClients(CLIENTS);
      await wait(() => pair.bound.length === CLIENTS);
      await wait(async () => inStep(await pair.statuses()));
      const good = await report(options, pair, modes);
      options.progress(
        `${mode.title}: ${good ? 'ok' : 'FAILED'}, ${pair.bound.length} of ${CLIENTS} clients bound`,
      );
      ok &&= good && !over;
    } finally {
      await pair.stop();
    }
  }
  if (options.json) await options.print(`${JSON.stringify({ ok, modes }, null, 2)}\n`);
  else await options.print(`${ok ? 'ok' : 'FAILED'}\n`);
  return ok ? 0 : 1;
}

/** What came of a mode. What clients believe and what both daemons have stored are compared, not only counted. */
async function report(options: OnceOptions, pair: LabPair, modes: ModeReport[]): Promise<boolean> {
  const statuses = await pair.statuses();
  const leases = await Promise.all(pair.servers.map(leasesOf));
  const equal = equalDatabases(statuses);
  const { mode } = pair.mode;
  modes.push({ mode, clients: CLIENTS, clientsBound: pair.bound.length, equal, servers: statuses });
  if (!options.json) await options.print(`${labScreen({ pair, statuses, leases })}\n`);
  const known = pair.bound.every(({ address, hardwareAddress }) =>
    leases.every((held) => {
      const lease = held.get(address ?? '');
      return lease?.state === 'active' && lease.hardwareAddress === hardwareAddress;
    }),
  );
  return pair.bound.length === CLIENTS && known && equal && bothNormal(statuses);
}

async function until(what: () => boolean | Promise<boolean>, deadline: number): Promise<void> {
  while (performance.now() < deadline && !(await what())) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
