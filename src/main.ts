#!/usr/bin/env node
// The program: joins the command line with the commands that run in this process. Nothing else happens here.

import { readFileSync } from 'node:fs';
import { AdminError } from './admin/listen.js';
import { startAdmin } from './admin/server.js';
import { runCli } from './cli/run.js';
import { loadConfigFile } from './config/load.js';
import { warningsOfFiles } from './config/secrets.js';
import { type DaemonOptions, StartError } from './shell/daemon.js';
import { peerUser } from './shell/ffi.js';
import { installService } from './shell/install.js';
import { lab } from './shell/lab/lab.js';
import { replay } from './shell/replay.js';
import { restore } from './shell/restore.js';
import { serve } from './shell/serve.js';
import { uninstallService } from './shell/uninstall.js';

const PACKAGE = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { readonly version: string };

const openAdmin: DaemonOptions['openAdmin'] = (options) =>
  startAdmin({ ...options, peerUser }).catch((error) => {
    throw error instanceof AdminError ? new StartError(error.message) : error;
  });

process.exitCode = await runCli(process.argv.slice(2), {
  version,
  serve: ({ config }) => serve({ config, version, openAdmin }),
  check: async ({ config }) => {
    const loaded = loadConfigFile(config);
    if (!loaded.ok) return { faults: loaded.faults, warnings: loaded.warnings };
    return { faults: [], warnings: [...loaded.warnings, ...warningsOfFiles(loaded.config)] };
  },
  lab: ({ once }, { json, terminal }) =>
    lab({
      once,
      json,
      interactive: terminal.interactive,
      print: (text) => terminal.write(text),
      progress: (line) => terminal.complain(line),
    }),
  replay: ({ file }, { json, terminal }) => replay(file, json, (text) => terminal.write(text)),
  restore: ({ file, config }, { confirm, terminal }) =>
    restore({ file, config, confirm, print: (text) => terminal.write(text) }),
  installService: ({ dryRun, root }, { json, terminal }) =>
    installService({ dryRun, root, json, print: (text) => terminal.write(text) }),
  uninstallService: ({ purge, dryRun, root }, { json, terminal, confirm }) =>
    uninstallService({ purge, dryRun, root, json, confirm, print: (text) => terminal.write(text) }),
});
