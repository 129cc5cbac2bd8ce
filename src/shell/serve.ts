// `tandem serve`: one daemon in the foreground, under systemd or a terminal. Signals: SIGTERM and SIGINT stop it in
// order, SIGHUP applies the config file. Resolves with the exit code.

import { setFlagsFromString } from 'node:v8';
import type { ServeConfig } from '../config/config.js';
import { formatFault } from '../config/fault.js';
import { loadConfigFile } from '../config/load.js';
import { inCommandWords } from './applying.js';
import { type DaemonOptions, StartError, TandemDaemon } from './daemon.js';
import { exitNow } from './ffi.js';
import { type Log, openLog } from './log.js';
import { openNotifier } from './notify.js';

export interface ServeOptions {
  readonly config: string;
  readonly version: string;
  readonly openAdmin: DaemonOptions['openAdmin'];
}

/** Run until told to stop. Faults and failures to start go to standard error, one sentence or fault a line. */
export async function serve(options: ServeOptions): Promise<number> {
  const loaded = loadConfigFile(options.config);
  if (!loaded.ok) {
    for (const fault of loaded.faults) process.stderr.write(`${formatFault(fault, options.config)}\n`);
    return 1;
  }
  const { config } = loaded;
  // On a busy machine of few cores the helpers of a parallel collection wait for a core, and the server for them: of
  // collections of 12 MB some took 100 ms.
  setFlagsFromString('--no-parallel-scavenge');
  const log = openLog(config.log.level, config.name);
  for (const { path, message } of loaded.warnings) log.say('warn', `${path} ${message}`);
  const end = new Ending();
  // A SIGHUP that comes before there is anything to reload would end the process: the file is read only now anyway.
  process.on('SIGHUP', () => {});
  const onFatal = (message: string) => {
    log.last(message);
    // All that is under way hangs on the change that failed, and LMDB does not survive being closed after one.
    exitNow(1);
  };
  try {
    const daemon = await TandemDaemon.start({ ...options, config, file: options.config, log, onFatal });
    return await attend(daemon, config, log, end);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`tandem: ${error.message}\n`);
    return 1;
  } finally {
    log.flush();
  }
}

/** The exit code, once there is one. */
class Ending {
  with: (code: number) => void = () => {};
  readonly code = new Promise<number>((resolve) => {
    this.with = resolve;
  });
}

/** What comes from outside while the daemon runs: signals, and systemd's questions whether it lives. */
async function attend(daemon: TandemDaemon, config: ServeConfig, log: Log, end: Ending): Promise<number> {
  const notifier = openNotifier();
  const { aliveEveryMs } = notifier;
  const watchdog = aliveEveryMs === undefined ? undefined : setInterval(() => notifier.alive(), aliveEveryMs);
  const stop = (signal: string) => {
    notifier.stopping();
    daemon.stop(signal).then(
      () => end.with(0),
      (error) => {
        log.say('fatal', `the store could not be closed: ${error instanceof Error ? error.message : error}`);
        end.with(1);
      },
    );
  };
  const reload = () => {
    notifier.reloading();
    daemon
      .reload({ dryRun: false, force: false, actor: 'SIGHUP' })
      .then(
        (result) => {
          if (result.ok) log.say('info', 'config file applied', { result: result.value });
          else log.say('error', inCommandWords(result.message), { faults: result.faults });
        },
        // What could not be applied is no reason to stop serving what runs.
        (error) => log.say('error', 'the config file could not be applied', { error }),
      )
      .then(() => notifier.ready());
  };
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
  process.on('SIGHUP', reload);
  log.say('info', readySentence(daemon, config));
  notifier.ready(`serving ${config.interfaces.join(', ')}`);
  const code = await end.code;
  clearInterval(watchdog);
  process.off('SIGHUP', reload);
  return code;
}

/** What is served now that the start is over. */
function readySentence({ engine }: TandemDaemon, { ports, admin }: ServeConfig): string {
  const { scopes, interfaces } = engine.view.status();
  const names = interfaces.map(({ name }) => name).join(', ') || 'no interface';
  return `ready: ${scopes.length} scopes, UDP port ${ports.server} on ${names}, management at ${admin.socket}`;
}
