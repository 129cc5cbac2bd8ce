// Options, classes and filters of the whole server between two real daemons (failover.md §6): put together when a
// relationship is made, told with each edit, kept where they are marked local, in conflict where both edited the same.

import t, { type Test } from 'tap';
import type { Daemon } from './daemon.js';
import { labUnavailable, until, withLab } from './namespace.js';
import { add, LIMIT_MS, SCOPE_ID, Two } from './two.js';

t.setTimeout(290_000);

interface ServerJson {
  readonly options: Readonly<Record<string, unknown>>;
  readonly classes: readonly { readonly name: string }[];
  readonly filters: { readonly allow: readonly string[]; readonly deny: readonly string[] };
  readonly local: readonly string[];
}

const classNamed = (name: string) => ({ name, match: { vendorClass: [name] }, options: {} });

function serverOf(daemon: Daemon): Promise<ServerJson> {
  return daemon.json<ServerJson>('/server');
}

async function patch(t: Test, daemon: Daemon, body: object): Promise<void> {
  const { status, json } = await daemon.order('PATCH', '/server', body);
  t.equal(status, 200, JSON.stringify(json));
}

/** Until that server has it so: options whole, names of classes, and who is denied. */
async function has(daemon: Daemon, options: object, classes: readonly string[], deny: readonly string[]) {
  const wanted = JSON.stringify([Object.entries(options).sort(), [...classes].sort(), [...deny].sort()]);
  let seen = '';
  await until(`${daemon.host.name} to have ${wanted}`, LIMIT_MS, async () => {
    const server = await serverOf(daemon);
    const names = server.classes.map(({ name }) => name).sort();
    seen = JSON.stringify([Object.entries(server.options).sort(), names, [...server.filters.deny].sort()]);
    return seen === wanted;
  }).catch((error: Error) => {
    throw new Error(`${error.message}, but ${seen}`);
  });
}

t.test(
  'options, classes and filters of the server are on both, but for what is marked local',
  { skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const two = new Two(lab, {
        server: [
          {
            options: { 'domain-name': 'one.example', 'ntp-servers': ['10.1.0.2'] },
            classes: [classNamed('phones'), classNamed('site')],
            filters: { deny: ['02:00:00:00:00:66'] },
            local: ['options.ntp-servers', 'classes.site'],
          },
          { options: { 'time-servers': ['10.1.0.3'] }, filters: { deny: ['02:00:00:00:00:77'] } },
        ],
      });
      const [one, other] = two.daemons;
      await two.start();
      t.equal((await add(one, { name: 'pair' })).status, 201);
      await two.agree('pair');
      const ntp = { 'ntp-servers': ['10.1.0.2'] };
      const common = { 'domain-name': 'one.example', 'time-servers': ['10.1.0.3'] };
      const deny = ['02:00:00:00:00:66', '02:00:00:00:00:77'];
      await has(one, { ...common, ...ntp }, ['phones', 'site'], deny);
      await has(other, common, ['phones'], deny);

      // Either way, at run time; what is local stays where it is, on both.
      const tftp = { 'tftp-server-name': 'boot.example' };
      await patch(t, other, {
        options: { ...tftp, 'ntp-servers': ['10.1.0.3'] },
        classes: [classNamed('phones'), classNamed('printers'), classNamed('site')],
        filters: { deny: ['02:00:00:00:00:77'] },
      });
      await has(one, { ...common, ...tftp, ...ntp }, ['phones', 'site', 'printers'], ['02:00:00:00:00:77']);
      const theirs = { 'ntp-servers': ['10.1.0.3'] };
      await has(
        other,
        { ...common, ...tftp, ...theirs },
        ['phones', 'printers', 'site'],
        ['02:00:00:00:00:77'],
      );
      // A policy of a shared scope may name a class that came from the partner.
      const policies = [{ name: 'printers', class: 'printers', options: { 'domain-name': 'print.example' } }];
      const named = await one.order('PATCH', `/scopes/${SCOPE_ID}`, { policies });
      t.equal(named.status, 200, JSON.stringify(named.json));
      await until('the policy to arrive', LIMIT_MS, async () => {
        const scope = await other.json<{ policies: readonly object[] }>(`/scopes/${SCOPE_ID}`);
        return scope.policies.length === 1;
      });

      // Marked local from now on: each goes its own way.
      await patch(t, one, { local: ['options.ntp-servers', 'classes.site', 'options.domain-name'] });
      await patch(t, one, { options: { 'domain-name': 'west.example', 'time-servers': null } });
      await has(
        other,
        { 'domain-name': 'one.example', ...tftp, ...theirs },
        ['phones', 'printers', 'site'],
        ['02:00:00:00:00:77'],
      );
      await patch(t, other, { options: { 'domain-name': 'east.example', 'log-servers': ['10.1.0.3'] } });
      await has(
        one,
        { 'domain-name': 'west.example', 'log-servers': ['10.1.0.3'], ...tftp, ...ntp },
        ['phones', 'site', 'printers'],
        ['02:00:00:00:00:77'],
      );
      const marked = await other.order('GET', '/failover/pair/diff');
      t.same(marked.json['differences'], [], 'what is marked local is no difference');
    });
  },
);

t.test(
  'the same option edited on both sides of a cut is a conflict until it is settled',
  { skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const two = new Two(lab, { server: [{ options: { 'domain-name': 'lab.example' } }, {}] });
      const [one, other] = two.daemons;
      await two.start();
      t.equal((await add(one, { name: 'pair' })).status, 201);
      await two.agree('pair');
      await has(other, { 'domain-name': 'lab.example' }, [], []);
      two.hosts[1].link('eth1', 'down');
      await two.become('the loss to be noticed', (all) => !all.some((s) => s.relationships[0]?.connected));
      await patch(t, one, { options: { 'domain-name': 'west.example', 'ntp-servers': ['10.1.0.2'] } });
      await patch(t, other, { options: { 'domain-name': 'east.example', 'log-servers': ['10.1.0.3'] } });
      two.hosts[1].link('eth1', 'up');
      for (const daemon of two.daemons) {
        let shown = '';
        await until(`the conflict to be shown on ${daemon.host.name}`, LIMIT_MS, async () => {
          shown = (await daemon.tandem('failover', 'diff', 'pair')).text;
          return /domain-name .*CONFLICT/.test(shown);
        }).catch((error: Error) => {
          throw new Error(`${error.message}: ${shown}`);
        });
        t.match(shown, /ntp-servers/, 'as what only one of them has');
        const { alarms } = await daemon.json<{ alarms: { code: string }[] }>('/status');
        t.ok(alarms.some(({ code }) => code === 'settings-conflict'));
      }
      t.match((await serverOf(one)).options, { 'domain-name': 'west.example' }, 'nothing is overwritten');
      t.match((await serverOf(other)).options, { 'domain-name': 'east.example' });
      const settled = await other.tandem('failover', 'replicate', 'pair', '--from', 'local');
      t.equal(settled.code, 0, settled.text);
      for (const daemon of two.daemons) {
        await until(`${daemon.host.name} to have what was chosen`, LIMIT_MS, async () => {
          return (await serverOf(daemon)).options['domain-name'] === 'east.example';
        });
        await until('no alarm of it', LIMIT_MS, async () => {
          const { alarms } = await daemon.json<{ alarms: { code: string }[] }>('/status');
          return !alarms.some(({ code }) => code === 'settings-conflict');
        });
      }
      t.same((await serverOf(one)).options, (await serverOf(other)).options);
    });
  },
);
