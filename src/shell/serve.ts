// `tandem serve`: one daemon in the foreground, under systemd or a terminal. Signals: SIGTERM and SIGINT stop it in
// order, SIGHUP applies the config file. Resolves with the exit code.

import { loadConfigFile } from '../config/load.js';
import { StartError, TandemDaemon } from './daemon.js';
import { openLog } from './log.js';
import { openNotifier } from './notify.js';

/** Run until told to stop. Faults and failures to start go to standard error, one sentence or fault a line. */
export async function serve(options: { readonly config: string; readonly version: string }): Promise<number> {
  const loaded = loadConfigFile(options.config);
  if (!loaded.ok) {
    for (const { path, line, message } of loaded.faults) {
      process.stderr.write(`${options.config}${line === null ? '' : `:${line}`}: ${path} ${message}\n`);
    }
    return 1;
  }
  const { config } = loaded;
  const log = openLog(config.log.level, config.name);
  for (const { path, message } of loaded.warnings) log.say('warn', `${path} ${message}`);
  const notifier = openNotifier();
  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  let daemon: TandemDaemon;
  try {
    daemon = await TandemDaemon.start({
      config,
      file: options.config,
      version: options.version,
      log,
      onFatal: (message) => {
        log.say('fatal', message);
        log.flush();
        end(1);
      },
    });
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`tandem: ${error.message}\n`);
    return 1;
  }
  const watchdog =
    notifier.aliveEveryMs === undefined
      ? undefined
      : setInterval(() => notifier.alive(), notifier.aliveEveryMs);
  notifier.ready(`serving ${config.interfaces.join(', ')}`);
  const stop = (signal: string) => {
    notifier.stopping();
    daemon.stop(signal).then(
      () => end(0),
      (error) => {
        log.say('fatal', `the store could not be closed: ${error instanceof Error ? error.message : error}`);
        end(1);
      },
    );
  };
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
  process.on('SIGHUP', () => {
    notifier.reloading();
    void daemon.reload({ dryRun: false, force: false, actor: 'SIGHUP' }).then((result) => {
      if (result.ok) log.say('info', 'config file applied', { result: result.value });
      else log.say('error', result.message, { faults: result.faults });
      notifier.ready();
    });
  });
  const code = await ended;
  clearInterval(watchdog);
  log.flush();
  return code;
}
