// `tandem install-service`: puts the systemd unit, its user, a first config file and the manual page in place. A list
// of steps, each said; run again it changes only what differs. It starts and enables nothing.

import {
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
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

const PACKAGE = fileURLToPath(new URL('../../../', import.meta.url));
const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));

/** What the unit's sandbox hides from the service (ProtectHome, PrivateTmp): nothing that it runs may be there. */
const HIDDEN = ['/home', '/root', '/run/user', '/tmp', '/var/tmp'];

/** Resolves with the exit code; rejects with an Error whose message is for the operator. */
export async function installService(options: ServiceOptions): Promise<number> {
  const { root = '/' } = options;
  refuseUnprivileged(options, 'installing the service writes to /etc and makes a user');
  if (options.root === undefined) refuseHidden();
  await carryOut(steps(root, options.root === undefined), options, NEXT);
  return 0;
}

const NEXT = `
Nothing was started. Next:
  edit /etc/tandem/tandem.yaml, then: tandem check -c /etc/tandem/tandem.yaml
  systemctl enable --now tandem
  tandem status
`;

/** A program that the service cannot reach would fail at its start with a message that nobody understands. */
function refuseHidden(): void {
  for (const path of [realpathSync(process.execPath), realpathSync(MAIN)]) {
    const hidden = HIDDEN.find((folder) => path.startsWith(`${folder}/`));
    if (hidden !== undefined) {
      throw new Error(
        `${path} is below ${hidden}, which the service cannot see: install Tandem with "npm pack" and ` +
          '"npm install --global --ignore-scripts ./tandem-dhcp-*.tgz" by a Node that stands in /usr, and run it from there',
      );
    }
    for (let folder = path; ; folder = dirname(folder)) {
      const mode = statSync(folder).mode;
      const open = folder === path ? constants.S_IROTH : constants.S_IXOTH;
      if ((mode & open) === 0) {
        throw new Error(
          `${folder} is closed to other users, so the service cannot run ${path}: chmod o+rX it, or install elsewhere`,
        );
      }
      if (folder === '/') break;
    }
  }
}

function shipped(file: string): string {
  return readFileSync(join(PACKAGE, file), 'utf8');
}

/** The unit as shipped; on this machine with the paths of this installation in place of a search. */
function unit(live: boolean): string {
  if (!live) return shipped('systemd/tandem.service');
  const command = `ExecStart=${realpathSync(process.execPath)} ${realpathSync(MAIN)} serve`;
  return shipped('systemd/tandem.service').replace('ExecStart=/usr/bin/env tandem serve', command);
}

function steps(root: string, live: boolean): readonly Step[] {
  const at = (path: string) => join(root, path);
  const settings = at(PLACES.settings);
  const config = join(settings, 'tandem.yaml');
  const closed = (path: string, mode: number) => {
    chmodSync(path, mode);
    if (live) chownSync(path, 0, groupId());
  };
  return [
    file(at(PLACES.users), 'the user of the service', shipped('systemd/tandem.sysusers')),
    ...(live ? [makeUser()] : []),
    {
      path: settings,
      what: `its settings, readable for group ${USER} only`,
      needed: !existsSync(settings),
      run: () => {
        mkdirSync(settings, { recursive: true });
        closed(settings, 0o750);
      },
    },
    {
      path: config,
      what: 'a config file to begin with; one that is there is never touched',
      needed: !existsSync(config),
      run: () => {
        writeFileSync(config, shipped('config/minimal.yaml'), { mode: 0o640 });
        closed(config, 0o640);
      },
    },
    file(at(PLACES.unit), 'the unit', unit(live)),
    file(at(PLACES.manual), 'the manual page', shipped('systemd/tandem.1')),
    ...(live ? [reloadUnits()] : []),
  ];
}

function file(path: string, what: string, text: string): Step {
  return {
    path,
    what,
    needed: !existsSync(path) || readFileSync(path, 'utf8') !== text,
    run: () => {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      chmodSync(path, 0o644);
    },
  };
}

function makeUser(): Step {
  return {
    path: USER,
    what: `system user and group (systemd-sysusers)`,
    needed: findId('passwd') === undefined,
    run: () => call('systemd-sysusers', ['tandem.conf']),
  };
}

function reloadUnits(): Step {
  return {
    path: 'systemctl daemon-reload',
    what: 'systemd reads the unit',
    needed: systemdRuns(),
    run: () => call('systemctl', ['daemon-reload']),
  };
}

function groupId(): number {
  const id = findId('group');
  if (id === undefined)
    throw new Error(`there is no group ${USER}, although systemd-sysusers was to make it`);
  return id;
}
