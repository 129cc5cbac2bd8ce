// The examples of the Windows documentation of failover relationships, as they are written there, in a shell, on two
// real daemons whose names come from a hosts file: what is made, listed, edited and deleted, in Windows' words.

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Daemon } from './daemon.js';
import { type CommandOutput, type Host, type Lab, labUnavailable, until, withLab } from './namespace.js';

const MAIN = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src/main.js');
const SCOPES = ['192.168.10.0', '192.168.50.0', '192.168.0.0', '192.168.20.0'];
const HOSTS = `127.0.0.1 localhost
192.168.0.1 dc1.contoso.com
192.168.0.254 dhcp1.contoso.com dhcp2-dns1.contoso.com
`;

/** The list that the documentation shows, word for word. */
const DOCUMENTED = `Name                : dc1.contoso.com-192.168.0.254
PartnerServer       : 192.168.0.254
Mode                : HotStandby
LoadBalancePercent  :
ServerRole          : Active
ReservePercent      : 5
MaxClientLeadTime   : 01:00:00
StateSwitchInterval :
State               : Normal
ScopeId             : {192.168.50.0, 192.168.0.0}
AutoStateTransition : False
EnableAuth          : False

Name                : dhcp1-dc1 load balance
PartnerServer       : dhcp1.contoso.com
Mode                : LoadBalance
LoadBalancePercent  : 50
ServerRole          :
ReservePercent      :
MaxClientLeadTime   : 01:00:00
StateSwitchInterval :
State               : Normal
ScopeId             :
AutoStateTransition : False
EnableAuth          : False
`;

t.setTimeout(240_000);

/** A daemon with the names of the examples, and a shell on its machine. */
class Machine {
  readonly daemon: Daemon;

  constructor(
    lab: Lab,
    private readonly host: Host,
    address: string,
    scopes: readonly string[],
  ) {
    const folder = lab.scratch(`${host.name}-names`);
    const hosts = join(folder, 'hosts');
    writeFileSync(hosts, HOSTS);
    const secretFile = join(folder, 'partner.secret');
    writeFileSync(secretFile, 'a partner secret of thirty-two octets\n', { mode: 0o600 });
    this.daemon = new Daemon(lab, host, {
      interfaces: ['eth0'],
      scopes: scopes.map((id) => ({
        subnet: `${id}/24`,
        ranges: [`${id.replace(/0$/, '100')}-${id.replace(/0$/, '199')}`],
        conflictDetection: false,
      })),
      server: { partner: { listen: `${address}:647`, address, secretFile } },
      // A host's mounts are its own, so the file hides /etc/hosts from this daemon alone.
      prefix: ['sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts],
    });
  }

  /** A line as it is pasted after the prompt. */
  shell(line: string): CommandOutput {
    const server = `TANDEM_SERVER=unix:${this.daemon.socket}`;
    const words = `"$0" "${MAIN}" ${line}`;
    return this.host.run(['env', server, 'sh', '-c', words, process.execPath]);
  }
}

async function twoMachines(lab: Lab): Promise<readonly [Machine, Machine]> {
  const lan = lab.lan('lan');
  const machine = (name: string, address: string, scopes: readonly string[]): Machine => {
    const host = lab.host(name);
    host.attach(lan, { address: `${address}/24` });
    return new Machine(lab, host, address, scopes);
  };
  const dc1 = machine('dc1', '192.168.0.1', SCOPES);
  const dhcp1 = machine('dhcp1', '192.168.0.254', []);
  await Promise.all([dc1.daemon.start(), dhcp1.daemon.start()]);
  return [dc1, dhcp1];
}

/** Until a line of the shell prints what is right; an order is answered before the partner has done its part. */
async function shows(machine: Machine, line: string, isRight: (text: string) => boolean): Promise<void> {
  let text = '';
  await until(line, 60_000, () => {
    text = machine.shell(line).stdout;
    return isRight(text);
  }).catch((error: Error) => {
    throw new Error(`${error.message}, but\n${text}`);
  });
}

t.test('the documented examples', { skip: labUnavailable() }, (t) =>
  withLab(async (lab) => {
    const [dc1, dhcp1] = await twoMachines(lab);
    const done = (line: string): string => {
      const { status, stdout, stderr } = dc1.shell(line);
      t.equal(status, 0, `${line}\n${stdout}${stderr}`);
      return stdout;
    };

    done('Add-DhcpServerv4Failover –Name dc1-dhcp1 –ScopeID 192.168.10.0 –PartnerServer dhcp1.contoso.com');
    t.match(
      done('Get-DhcpServerv4Failover dc1-dhcp1'),
      /^PartnerServer +: dhcp1\.contoso\.com\n(?:.*\n)*EnableAuth +: True$/m,
    );
    done('Remove-DhcpServerv4Failover –Name dc1-dhcp1 -Force');

    done(
      `Add-DhcpServerv4Failover –Name dc1.contoso.com-192.168.0.254 –ScopeId 192.168.50.0,192.168.0.0 –PartnerServer 192.168.0.254 –ServerRole Active -SharedSecret ''`,
    );
    done(
      `Add-DhcpServerv4Failover –Name “dhcp1-dc1 load balance” –ScopeId 192.168.20.0 –PartnerServer dhcp1.contoso.com -SharedSecret ''`,
    );
    const list = 'Get-DhcpServerv4Failover';
    await until('both in Normal', 60_000, async () => {
      // A connection kept open may have been closed while a line of the shell held everything up.
      const asked = dc1.daemon.json<readonly { readonly state: string }[]>('/failover');
      const all = await asked.catch(() => []);
      return all.length === 2 && all.every(({ state }) => state === 'normal');
    });
    done('Remove-DhcpServerv4FailoverScope –Name “dhcp1-dc1 load balance” –ScopeId 192.168.20.0 -Force');
    await shows(dc1, list, (text) => text === DOCUMENTED);

    done('Set-DhcpServerv4Failover –Name “dhcp1-dc1 load balance” –LoadBalancePercent 70');
    t.match(done(`${list} –Name “dhcp1-dc1 load balance”`), /^LoadBalancePercent +: 70$/m);
    await shows(dhcp1, `${list} –Name “dhcp1-dc1 load balance”`, (text) => {
      return /^LoadBalancePercent +: 30$/m.test(text);
    });

    // The word that Microsoft's pages put in the place of a secret; authentication goes on, and off again.
    const secret = 'Set-DhcpServerv4Failover –Name “dhcp1-dc1 load balance” –SharedSecret sEcReT -Force';
    t.match(dc1.shell(secret), { status: 0, stdout: '', stderr: /^tandem: secret-short: / });
    const down = dc1.shell('Set-DhcpServerv4Failover –Name “dhcp1-dc1 load balance” -PartnerDown -Force');
    t.equal(down.status, 1, 'the partner answers');
    t.match(down.stderr, "`tandem failover shutdown 'dhcp1-dc1 load balance'` there");
    t.match(down.stderr, 'with `tandem failover partner-down --force` it is declared down');
    const ofThis = `${list} –Name “dhcp1-dc1 load balance”`;
    for (const machine of [dc1, dhcp1])
      await shows(
        machine,
        ofThis,
        (text) => /^State +: Normal$/m.test(text) && /^EnableAuth +: True$/m.test(text),
      );
    t.notMatch(dc1.daemon.process.output + dhcp1.daemon.process.output, /sEcReT/);
    done(`Set-DhcpServerv4Failover –Name “dhcp1-dc1 load balance” –SharedSecret '' -Force`);
    await shows(
      dc1,
      ofThis,
      (text) => /^State +: Normal$/m.test(text) && /^EnableAuth +: False$/m.test(text),
    );

    const name = 'dhcp1.contoso.com-dhcp2-dns1.contoso.com';
    done(`Add-DhcpServerv4Failover ${name} 192.168.10.0 dhcp2-dns1.contoso.com`);
    const asked = dc1.shell(`Remove-DhcpServerv4Failover –Name ${name}`);
    t.equal(asked.status, 1, 'nobody is there to confirm');
    t.match(asked.stderr, /192\.168\.10\.0 \(0 leases\)/, 'the scopes are listed');
    done(`Remove-DhcpServerv4Failover –Name ${name} -Force`);
    t.equal(dc1.shell(`${list} ${name}`).status, 1);
    await shows(dhcp1, 'scope list', (text) => {
      const isGone = !/192\.168\.[12]0\.0/.test(text); // from the partner
      return isGone && /^192\.168\.0\.0\/24 .*\n192\.168\.50\.0\/24/m.test(text);
    });
    t.match(dc1.shell('scope list').stdout, /192\.168\.10\.0/, 'kept where the command ran');

    const journal = (machine: Machine) => machine.shell('events --type relationship-changed').stdout;
    const edit = 'loadBalancePercent: 50 → 70';
    t.match(journal(dc1), `dhcp1-dc1 load balance  by user 0 by the admin socket  ${edit}`);
    t.match(journal(dhcp1), / by user 0 by the admin socket at dc1 {2}loadBalancePercent: 50 → 30/);
  }),
);
