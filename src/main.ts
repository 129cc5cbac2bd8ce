#!/usr/bin/env node
// The program: joins the command line with the commands that run in this process. What only one of them needs is
// loaded when it is called, so that asking a daemon starts at once. Nothing else happens here.

import { readFileSync } from 'node:fs';
import { runCli } from './cli/run.js';

const PACKAGE = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { readonly version: string };

process.exitCode = await runCli(process.argv.slice(2), {
  version,
  serve: async ({ config }) => {
    const [{ AdminError }, { startAdmin }, { StartError }, { peerUser }, { serve }] = await Promise.all([
      import('./admin/listen.js'),
      import('./admin/server.js'),
      import('./shell/daemon.js'),
      import('./shell/ffi.js'),
      import('./shell/serve.js'),
    ]);
    return serve({
      config,
      version,
      openAdmin: (options) =>
        startAdmin({ ...options, peerUser }).catch((error) => {
          throw error instanceof AdminError ? new StartError(error.message) : error;
        }),
    });
  },
  check: async ({ config }) => {
    const { loadConfigFile } = await import('./config/load.js');
    const { warningsOfFiles } = await import('./config/secrets.js');
    const loaded = loadConfigFile(config);
    if (!loaded.ok) return { faults: loaded.faults, warnings: loaded.warnings };
    return { faults: [], warnings: [...loaded.warnings, ...warningsOfFiles(loaded.config)] };
  },
  lab: async ({ once }, { json, terminal }) => {
    const { lab } = await import('./shell/lab/lab.js');
    return lab({
      once,
      json,
      interactive: terminal.interactive,
      print: (text) => terminal.write(text),
      progress: (line) => terminal.complain(line),
    });
  },
  replay: async ({ file }, { json, terminal }) => {
    const { replay } = await import('./shell/replay.js');
    return replay(file, json, (text) => terminal.write(text));
  },
  restore: async ({ file, config }, { confirm, terminal }) => {
    const { restore } = await import('./shell/restore.js');
    return restore({ file, config, confirm, print: (text) => terminal.write(text) });
  },
  installService: async ({ dryRun, root }, { json, terminal }) => {
    const { installService } = await import('./shell/install.js');
    return installService({ dryRun, root, json, print: (text) => terminal.write(text) });
  },
  uninstallService: async ({ purge, dryRun, root }, { json, terminal, confirm }) => {
    const { uninstallService } = await import('./shell/uninstall.js');
    return uninstallService({ purge, dryRun, root, json, confirm, print: (text) => terminal.write(text) });
  },
});
