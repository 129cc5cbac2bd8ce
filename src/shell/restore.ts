// `tandem restore`: put a backup in the place of the store that a config file names, while no daemon runs on it.

import { existsSync } from 'node:fs';
import { loadConfigFile } from '../config/load.js';
import { restoreStore } from './backup.js';
import { storeFiles } from './lmdb-format.js';

export interface RestoreOptions {
  readonly file: string;
  readonly config: string;
  confirm(question: string): Promise<boolean>;
  print(text: string): Promise<void>;
}

/** Resolves with the exit code; rejects with a StoreError, whose message is for the operator. */
export async function restore({ file, config, confirm, print }: RestoreOptions): Promise<number> {
  const loaded = loadConfigFile(config);
  if (!loaded.ok) {
    const faults = loaded.faults.map(({ path, message }) => `${path} ${message}`).join('; ');
    throw new Error(`${config} cannot be used: ${faults}`);
  }
  const { stateDir } = loaded.config;
  const replaces = existsSync(storeFiles(stateDir).data);
  const question = `Put ${file} in the place of the store in ${stateDir}? Leases given after the backup was made will be unknown.`;
  if (replaces && !(await confirm(question))) return 1;
  const { takenAt, kept } = await restoreStore(file, stateDir, { force: replaces });
  await print(`restored ${stateDir} from ${file}, taken ${takenAt ?? 'at an unknown time'}\n`);
  if (kept !== null) await print(`the store that was there is now ${kept}\n`);
  return 0;
}
