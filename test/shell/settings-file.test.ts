// The config file against what runs, on a real engine whose commits take their time.

import { writeFileSync } from 'node:fs';
import t from 'tap';
import { loadConfigFile } from '../../src/config/load.js';
import type { Command, CommandResult } from '../../src/engine/command.js';
import { Applying } from '../../src/shell/applying.js';
import { SettingsFile } from '../../src/shell/settings-file.js';
import { MessageType, OptionCode } from '../../src/wire/message.js';
import { ip, quad, World } from '../engine/world.js';

function fileOf(leaseTime: string, partners: number): string {
  const failover = Array.from({ length: partners }, (_, n) => ({
    name: `pair${n}`,
    partner: `10.77.0.${3 + n}`,
  }));
  const scopes = [{ subnet: '10.77.0.0/24', ranges: ['10.77.0.100-10.77.0.199'], leaseTime }];
  const server = { name: 'dhcp1', partner: { address: '10.77.0.2' } };
  return JSON.stringify({ server, scopes, ...(partners > 0 ? { failover } : {}) });
}

t.test('two at once: the file read last is the one that counts as applied', async (t) => {
  const path = `${t.testdir()}/tandem.yaml`;
  writeFileSync(path, fileOf('1h', 0));
  const loaded = loadConfigFile(path);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  const world = new World();
  const ran: string[] = [];
  const run = async (_actor: string, command: Command): Promise<CommandResult> => {
    const result = world.command(command);
    ran.push(command.kind);
    await new Promise((resolve) => setTimeout(resolve, 30)); // the disk
    return result ?? { ok: false, code: 'overloaded', message: 'no answer', faults: [] };
  };
  const file = new SettingsFile(
    path,
    loaded.config,
    world.engine.view,
    () => world.engine.partners.all.map(({ record }) => record.settings),
    run,
  );
  const options = { dryRun: false, force: false, actor: 'test' };
  t.match(await file.apply(options), { ok: true });
  // The first has relationships to declare, so it takes several commands; the second changes a lease time only.
  writeFileSync(path, fileOf('1h', 2));
  const first = file.apply(options);
  const declared = () => ran.filter((kind) => kind === 'declare-relationship').length === 2;
  for (let turn = 0; turn < 1000 && !declared(); turn++)
    await new Promise((resolve) => setTimeout(resolve, 1));
  writeFileSync(path, fileOf('2h', 2));
  const second = file.apply(options);
  t.match([await first, await second], [{ ok: true }, { ok: true }]);
  t.match(world.engine.view.declared(), {
    scopes: [{ leaseTime: 7200 }],
    failover: [{ name: 'pair0' }, { name: 'pair1' }],
  });
  t.match(world.engine.view.scope('10.77.0.0'), { leaseTime: 7200 });
  const { length } = ran;
  t.match(await file.apply(options), { ok: true, value: { plan: [] } });
  t.equal(ran.length, length, 'nothing is left to apply');
});

t.test(
  'at a start a file that would take leases away is alarmed, and what ran before is served',
  async (t) => {
    const path = `${t.testdir()}/tandem.yaml`;
    writeFileSync(path, fileOf('1h', 0));
    const loaded = loadConfigFile(path);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
    const world = new World();
    const run = async (_actor: string, command: Command): Promise<CommandResult> =>
      world.command(command) ?? { ok: false, code: 'overloaded', message: 'no answer', faults: [] };
    const relationships = () => [];
    const file = new SettingsFile(path, loaded.config, world.engine.view, relationships, run);
    const alarms: (string | null)[] = [];
    const applying = new Applying(
      file,
      () => undefined,
      (message) => alarms.push(message),
    );
    t.equal(await applying.atStart(), null);
    t.same(alarms, []);
    const options = [
      [OptionCode.dhcpServerIdentifier, quad(ip('10.77.0.2'))],
      [OptionCode.dhcpRequestedAddress, quad(ip('10.77.0.100'))],
    ] as const;
    t.match(world.say({ type: MessageType.REQUEST, mac: '02:00:00:00:00:01', options }), [
      { type: MessageType.ACK },
    ]);
    writeFileSync(path, fileOf('1h', 0).replace('10.77.0.100-', '10.77.0.150-'));
    t.equal(await applying.atStart(), null, 'the server starts');
    t.match(alarms, [
      /tandem\.yaml was not applied: 1 lease would lose its place: apply it with `tandem config apply --force`/,
    ]);
    t.match(world.engine.view.scope('10.77.0.0'), { ranges: ['10.77.0.100-10.77.0.199'] });
    writeFileSync(path, fileOf('1h', 0).replace('10.77.0.199', '10.78.0.199'));
    t.match(await applying.atStart(), /fault/, 'one that makes no sense keeps it from starting');
    writeFileSync(path, fileOf('2h', 0));
    t.match(await applying.again({ dryRun: false, force: false, actor: 'test' }), { ok: true });
    t.equal(alarms.at(-1), null, 'and one that can be applied ends the alarm');
  },
);
