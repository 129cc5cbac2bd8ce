// Debian packages that tests and benches use: which program comes from which, what is missing, and its
// installation. Only root installs, only from the machine's own apt sources, and no server that a package brings
// is ever started (policy-rc.d). Never removes a package.

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Tool {
  readonly command: string;
  readonly package: string;
}

/** What the tests in network namespaces run. */
export const TEST_TOOLS: readonly Tool[] = [
  { command: 'ip', package: 'iproute2' },
  { command: 'udhcpc', package: 'udhcpc' },
  { command: 'dhclient', package: 'isc-dhcp-client' },
  { command: 'dhcrelay', package: 'isc-dhcp-relay' },
  { command: 'dhcpcd', package: 'dhcpcd-base' },
  { command: 'perfdhcp', package: 'kea-admin' },
  { command: 'setcap', package: 'libcap2-bin' },
  { command: 'faketime', package: 'faketime' },
  { command: 'docker-compose', package: 'docker-compose' },
  { command: 'promtool', package: 'prometheus' },
];

/** The peers that the benches compare with. */
export const BENCH_TOOLS: readonly Tool[] = [
  { command: 'ip', package: 'iproute2' },
  { command: 'perfdhcp', package: 'kea-admin' },
  { command: 'kea-dhcp4', package: 'kea-dhcp4-server' },
  { command: 'dhcpd', package: 'isc-dhcp-server' },
];

const POLICY = '/usr/sbin/policy-rc.d';
const ADMIN_PATHS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** Full path of a program, or undefined. Looks in sbin too, which a plain user's PATH leaves out. */
export function findTool(command: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...ADMIN_PATHS];
  return folders.map((folder) => join(folder, command)).find((path) => existsSync(path));
}

export function missingTools(tools: readonly Tool[]): readonly Tool[] {
  return tools.filter((tool) => findTool(tool.command) === undefined);
}

function apt(args: readonly string[]): { readonly ok: boolean; readonly output: string } {
  const result = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=120', '-y', ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    maxBuffer: 1 << 26,
    timeout: 300_000,
  });
  return { ok: result.status === 0, output: `${result.stdout ?? ''}${result.stderr ?? ''}` };
}

/** Runs `work` while packages' scripts are forbidden to start services; undoes that whatever happens. */
function withoutServices<T>(work: () => T): T {
  if (existsSync(POLICY)) return work();
  writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return work();
  } finally {
    rmSync(POLICY, { force: true });
  }
}

export type InstallResult =
  | { readonly kind: 'present' }
  | { readonly kind: 'not-asked'; readonly missing: readonly string[]; readonly why: string }
  | { readonly kind: 'installed'; readonly packages: readonly string[] }
  | { readonly kind: 'failed'; readonly missing: readonly string[]; readonly output: string };

/** Installs the packages of the tools that are missing. Says what it does before it does it. */
export function installTools(tools: readonly Tool[], say: (line: string) => void): InstallResult {
  const packages = [...new Set(missingTools(tools).map((tool) => tool.package))];
  if (packages.length === 0) return { kind: 'present' };
  const refuse = (why: string): InstallResult => ({ kind: 'not-asked', missing: packages, why });
  if (process.env['TANDEM_TEST_INSTALL'] === 'no') return refuse('TANDEM_TEST_INSTALL=no');
  if (process.getuid?.() !== 0) return refuse('not root');
  if (findTool('apt-get') === undefined) return refuse('no apt-get here');
  say(`running as root: installing from Debian: ${packages.join(' ')} (TANDEM_TEST_INSTALL=no skips this)`);
  return withoutServices(() => {
    const install = ['install', '--no-install-recommends', ...packages];
    let result = apt(install);
    // Package lists are missing or old on many machines; fetching them costs seconds, so only when needed.
    if (!result.ok) result = apt(['update']).ok ? apt(install) : result;
    if (result.ok && missingTools(tools).length === 0) return { kind: 'installed', packages };
    return { kind: 'failed', missing: packages, output: result.output.slice(-2000) };
  });
}
