// `tandem uninstall-service`: ends the service and takes away what `tandem install-service` put in place. Leases, settings
// and what the operator made himself stay, unless they are to be purged; a partner is told as at every orderly stop.

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  call,
  carryOut,
  findId,
  PLACES,
  refuseUnprivileged,
  type ServiceOptions,
  type Step,
  systemdRuns,
  USER,
} from './service-steps.js';

export interface UninstallOptions extends ServiceOptions {
  /** Leases, settings, drop-ins and the user go as well. */
  readonly purge: boolean;
  confirm(question: string): Promise<boolean>;
}

const NEXT = `
The program itself is still there: npm uninstall --global tandem-dhcp
`;

/** Resolves with the exit code; rejects with an Error whose message is for the operator. */
export async function uninstallService(options: UninstallOptions): Promise<number> {
  const { root = '/', purge, dryRun, confirm } = options;
  refuseUnprivileged(options, 'uninstalling the service ends it and removes files from /etc');
  const lost = [PLACES.state, PLACES.settings].map((path) => join(root, path)).filter(existsSync);
  if (purge && !dryRun && lost.length > 0) {
    const question = `Delete ${lost.join(' and ')}, with every lease, setting and secret of this server?`;
    if (!(await confirm(question))) return 1;
  }
  await carryOut(steps(root, options.root === undefined, purge), options, NEXT);
  return 0;
}

function steps(root: string, live: boolean, purge: boolean): readonly Step[] {
  const at = (path: string) => join(root, path);
  const own = (path: string, what: string): Step => {
    const stays = !purge && existsSync(at(path));
    return gone(at(path), stays ? `${what}; --purge removes it` : what, purge);
  };
  const hasUnit = existsSync(at(PLACES.unit));
  return [
    ...(live ? [endService(hasUnit)] : []),
    gone(at(PLACES.unit), 'the unit'),
    own(`${PLACES.unit}.d`, 'changes to the unit (systemctl edit)'),
    gone(at(PLACES.manual), 'the manual page'),
    ...(live ? [forgetUnit(hasUnit)] : []),
    own(PLACES.state, 'leases, and all else in the store'),
    own(PLACES.settings, 'settings and secrets'),
    own(PLACES.users, 'the user of the service, as systemd-sysusers makes it'),
    ...(live ? [removeUser(purge)] : []),
  ];
}

function gone(path: string, what: string, removes = true): Step {
  const needed = existsSync(path) && (removes || 'kept');
  return { path, what, needed, run: () => rmSync(path, { recursive: true, force: true }) };
}

function endService(hasUnit: boolean): Step {
  return {
    path: 'systemctl disable --now tandem',
    what: 'the service ends, and starts no more',
    needed: hasUnit && systemdRuns(),
    run: () => call('systemctl', ['disable', '--now', 'tandem.service']),
  };
}

function forgetUnit(hadUnit: boolean): Step {
  return {
    path: 'systemctl daemon-reload',
    what: 'systemd forgets the unit',
    needed: hadUnit && systemdRuns(),
    run: () => {
      // Fails unless the service had failed, in which case it would be listed for ever.
      spawnSync('systemctl', ['reset-failed', 'tandem.service']);
      call('systemctl', ['daemon-reload']);
    },
  };
}

/** Files of a user that is gone would one day belong to another one, so he stays as long as the leases. */
function removeUser(purge: boolean): Step {
  const needed = findId('passwd') !== undefined && (purge || 'kept');
  return {
    path: USER,
    what: `system user and group${needed === 'kept' ? '; --purge removes them' : ''}`,
    needed,
    run: () => {
      call('userdel', [USER]);
      // Stays where other users are its members.
      if (findId('group') !== undefined) call('groupdel', [USER]);
    },
  };
}
