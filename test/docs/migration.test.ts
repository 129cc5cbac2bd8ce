// Coming from Windows or ISC, as systemd/README.md has it: its lines run as written over files of theirs, what they print
// are commands, and its tables name keys that there are.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { COMMANDS, LATER } from '../../src/cli/commands.js';
import { parse } from '../../src/cli/parse.js';
import { KEY_TABLE } from '../../src/config/keys.js';
import { ROOT, textOf } from '../tidy/sources.js';

const SAMPLES = join(ROOT, 'test/docs/samples');
const manual = textOf('systemd/README.md');

function section(heading: string): string {
  const from = manual.indexOf(`\n## ${heading}\n`);
  const to = manual.indexOf('\n## ', from + 1);
  return manual.slice(from, to < 0 ? undefined : to);
}

/** What the lines that begin with awk print, run as they stand but for the shell at their end. */
function printed(
  t: Test,
  heading: string,
  file: string,
  edit = (script: string) => script,
): readonly string[] {
  const [script = ''] = /^ +awk [\s\S]*?\| sh$/m.exec(section(heading)) ?? [];
  const run = edit(script.replace(/\| sh$/, '')).replace(file, join(SAMPLES, file.replace(/^.*\//, '')));
  const { status, stdout, stderr } = spawnSync('sh', ['-c', run], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
  return stdout.trim().split('\n').sort();
}

const removal = (script: string): string =>
  script.replace(/print "tandem reservation add".*?(?=; on|;? \})/, 'print "tandem reservation remove", a');

t.test('leases become reservations, and these are removed again', async (t) => {
  const found = {
    windows: printed(t, 'Coming from a Windows pair', 'all.xml'),
    isc: printed(t, 'Coming from an ISC pair', '/var/lib/dhcp/dhcpd.leases'),
    removed: printed(t, 'Coming from a Windows pair', 'all.xml', removal),
    removedIsc: printed(t, 'Coming from an ISC pair', '/var/lib/dhcp/dhcpd.leases', removal),
  };
  t.same(found, {
    windows: [
      'tandem reservation add 10.77.0.104 --mac 02-00-00-00-00-04',
      'tandem reservation add 10.77.0.106 --client-id ff-b5-e0-78-02-00-02-00-00-ab-11-0a-0b',
    ],
    isc: [
      'tandem reservation add 10.77.0.110 --mac 66:94:2a:ff:65:82',
      'tandem reservation add 10.77.0.124 --mac 5e:48:b5:e0:78:02',
    ],
    removed: ['tandem reservation remove 10.77.0.104', 'tandem reservation remove 10.77.0.106'],
    removedIsc: ['tandem reservation remove 10.77.0.110', 'tandem reservation remove 10.77.0.124'],
  });
  for (const line of Object.values(found).flat()) {
    t.doesNotThrow(() => parse(line.split(' ').slice(1), COMMANDS, LATER), line);
  }
});

t.test('the tables name keys of the config file', async (t) => {
  const known = new Set(KEY_TABLE.flatMap(({ path }) => path.replaceAll('[]', '').split('.')));
  const wrong: string[] = [];
  let seen = 0;
  for (const heading of ['Coming from a Windows pair', 'Coming from an ISC pair']) {
    for (const [, cell = ''] of section(heading).matchAll(/^\|(?: [^|]* \|)( [^|]*) \|$/gm)) {
      for (const [, code = ''] of cell.matchAll(/`([a-z]\w*(?:\.\w+)*)(?=[`:])/g)) {
        if (/^(?:hot-standby|config|openssl)$/.test(code)) continue;
        seen += 1;
        wrong.push(...code.split('.').filter((word) => !known.has(word)));
      }
    }
  }
  t.ok(seen > 40, `${seen} keys were found`);
  t.same(wrong, []);
});
