// Seeds by the hundred, on more than one core: workers that each run one job at a time and say what came of it.

import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import type { ScaleName, Setting } from './config.js';
import { mutantOf } from './mutants.js';
import { runSeed } from './world.js';

export interface Job {
  readonly seed: number;
  readonly setting: Setting | null;
  readonly scale?: ScaleName;
  readonly mutant?: string;
}

/** What a seed came to, as plain data. */
export interface Report {
  readonly job: Job;
  readonly simulatedSeconds: number;
  readonly bindings: number;
  readonly faults: readonly (readonly [string, number])[];
  /** Null: the contract was kept. */
  readonly violation: { readonly checker: string; readonly message: string } | null;
}

function reportOf(job: Job): Report {
  const { seed, setting, scale = 'short', mutant } = job;
  const mutation = mutant === undefined ? null : mutantOf(mutant);
  const { simulatedSeconds, bindings, faults, violation } = runSeed({ seed, setting, scale, mutation });
  const broken = violation && { checker: violation.checker, message: violation.message };
  return { job, simulatedSeconds, bindings, faults: [...faults], violation: broken };
}

/** Run every job, `workers` at a time; `reported` hears of each when it is done, in whatever order. */
export function runAll(
  jobs: readonly Job[],
  workers: number,
  reported: (report: Report) => void,
): Promise<void> {
  let next = 0;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(fileURLToPath(import.meta.url));
      const give = (): void => {
        if (next < jobs.length) worker.postMessage(jobs[next++]);
        else void worker.terminate().then(() => resolve());
      };
      worker.on('message', (report: Report) => {
        reported(report);
        give();
      });
      worker.on('error', reject);
      give();
    });
  return Promise.all(Array.from({ length: Math.min(workers, jobs.length) }, one)).then(() => undefined);
}

if (!isMainThread) parentPort?.on('message', (job: Job) => parentPort?.postMessage(reportOf(job)));
