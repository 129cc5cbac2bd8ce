// `Get-DhcpServerv4ScopeStatistics` of Windows Server: how full scopes are, and with -Failover whose share is free and who
// holds what is in use.

import type { LeaseView, RelationshipView, ScopeView, StatusResponse } from '../../admin/api.js';
import type { Call } from '../command.js';
import { jsonText, printable } from '../print.js';
import { lists } from './property-list.js';

type Statistics = Readonly<Record<string, string | number | null>>;

/** Of these scopes, or of all; exit code 1 where one does not exist. */
export async function scopeStatistics(call: Call, wanted: readonly string[], failover: boolean) {
  const { client, terminal } = call;
  const status = await client.get<StatusResponse>('/status', { query: { digest: 'false' } });
  const scopes = await client.get<readonly ScopeView[]>('/scopes');
  const relationships = failover ? await client.get<readonly RelationshipView[]>('/failover') : [];
  const chosen = wanted.length === 0 ? scopes.map(({ scopeId }) => scopeId) : wanted;
  const found: Statistics[] = [];
  for (const scopeId of chosen) {
    const numbers = numbersOf(status, scopes, scopeId);
    if (numbers === null) {
      terminal.complain(printable(`tandem: There is no scope ${scopeId} on this server.`));
      continue;
    }
    found.push(
      failover ? { ...numbers, ...(await sharesOf(call, status, relationships, scopeId)) } : numbers,
    );
  }
  await terminal.write(call.json ? `${jsonText(found)}\n` : lists(found.map(propertiesOf)));
  return found.length === chosen.length ? 0 : 1;
}

function numbersOf(status: StatusResponse, scopes: readonly ScopeView[], scopeId: string): Statistics | null {
  const counts = status.scopes.find((one) => one.scopeId === scopeId);
  const scope = scopes.find((one) => one.scopeId === scopeId);
  if (!counts || !scope) return null;
  const { total, free, active, offered, reserved } = counts;
  return {
    ScopeId: scopeId,
    AddressesFree: free,
    AddressesInUse: active,
    PendingOffers: offered,
    ReservedAddress: reserved,
    PercentageInUse: total === 0 ? 0 : Math.round((10_000 * active) / total) / 100,
    SuperscopeName: scope.superscope,
  };
}

/** Null where nobody shares the scope. */
async function sharesOf(
  call: Call,
  { name }: StatusResponse,
  relationships: readonly RelationshipView[],
  scopeId: string,
): Promise<Statistics> {
  const pool = relationships.flatMap(({ pools }) => pools).find((one) => one.scopeId === scopeId);
  let [own, all] = [0, 0];
  const query = { scope: scopeId, state: 'active' };
  for await (const items of pool ? call.client.pages<LeaseView>('/leases', query) : []) {
    all += items.length;
    own += items.filter(({ owner }) => owner === name).length;
  }
  return {
    AddressesFreeOnThisServer: pool?.freeOnThisServer ?? null,
    AddressesFreeOnPartnerServer: pool?.freeOnPartner ?? null,
    AddressesInUseOnThisServer: pool ? own : null,
    AddressesInUseOnPartnerServer: pool ? all - own : null,
  };
}

function propertiesOf(statistics: Statistics): [string, string][] {
  return Object.entries(statistics).map(([name, value]) => [name, value === null ? '' : String(value)]);
}
