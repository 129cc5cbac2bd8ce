// What `tandem install-service` puts in place and `tandem uninstall-service` takes away: where it stands, and how a
// list of steps is carried out, each said. It knows no step itself.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** System user and group of the service. */
export const USER = 'tandem';

/** Where everything stands. The last two hold what is the operator's: settings and secrets, leases. */
export const PLACES = {
  users: '/etc/sysusers.d/tandem.conf',
  unit: '/etc/systemd/system/tandem.service',
  manual: '/usr/local/share/man/man1/tandem.1',
  settings: '/etc/tandem',
  state: '/var/lib/tandem',
} as const;

export interface ServiceOptions {
  readonly dryRun: boolean;
  /** Work below this directory instead of `/`, as for a package; no command of the running system is called. */
  readonly root: string | undefined;
  readonly json: boolean;
  print(text: string): Promise<void>;
}

/** One thing that is put in place or taken away. */
export interface Step {
  readonly path: string;
  readonly what: string;
  /** False: it is as it should be. 'kept': it could be taken away, and is not. */
  readonly needed: boolean | 'kept';
  readonly run: () => void;
}

/** Throws for whoever may not do this to the running system. */
export function refuseUnprivileged({ dryRun, root }: ServiceOptions, what: string): void {
  if (dryRun || root !== undefined || process.getuid?.() === 0) return;
  throw new Error(`${what}: run it as root, or with --dry-run to see what it would do`);
}

/** Does what is needed, in order, and says how each step came out. `next` is for people, at the end. */
export async function carryOut(
  steps: readonly Step[],
  { dryRun, json, print }: ServiceOptions,
  next: string,
): Promise<void> {
  const told: { path: string; what: string; done: boolean }[] = [];
  const say = async (word: string, { path, what }: Step): Promise<void> => {
    told.push({ path, what, done: word === 'done' });
    if (!json) await print(`${word.padEnd(10)}  ${path}  ${what}\n`);
  };
  for (const step of steps) {
    if (step.needed !== true || dryRun) {
      await say(step.needed === 'kept' ? 'kept' : step.needed ? 'would do' : 'as it is', step);
      continue;
    }
    try {
      step.run();
    } catch (error) {
      await say('failed', step);
      throw error;
    }
    await say('done', step);
  }
  await print(json ? `${JSON.stringify({ dryRun, steps: told }, null, 2)}\n` : next);
}

/** Is systemd what runs this system? */
export function systemdRuns(): boolean {
  return existsSync('/run/systemd/system');
}

/** Throws what the command complained of. */
export function call(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  if (result.status === 0) return;
  if ((result.error as { readonly code?: unknown } | undefined)?.code === 'ENOENT')
    throw new Error(`there is no ${command} on this machine, which the service needs`);
  throw new Error(`${command} failed: ${(result.error?.message ?? result.stderr).trim()}`);
}

/** Number of our user or group; undefined when there is none. */
export function findId(database: 'passwd' | 'group'): number | undefined {
  const line = spawnSync('getent', [database, USER], { encoding: 'utf8' }).stdout ?? '';
  const id = line.split(':')[2];
  return id === undefined ? undefined : Number(id);
}
