// A relationship as `Get-DhcpServerv4Failover` of Windows Server prints it: the same properties in the same order and
// casing, values in Windows' words, blank where the mode has no such property.

import type { RelationshipView } from '../../admin/api.js';
import { printable } from '../print.js';
import { formatSpan } from './values.js';

/** State → as Windows prints it. */
const STATES: Readonly<Record<RelationshipView['state'], string>> = {
  startup: 'Startup',
  normal: 'Normal',
  'communications-interrupted': 'CommunicationInterrupted',
  'partner-down': 'PartnerDown',
  'potential-conflict': 'PotentialConflict',
  'conflict-done': 'ConflictDone',
  'resolution-interrupted': 'ResolutionInterrupted',
  recover: 'Recover',
  'recover-wait': 'RecoverWait',
  'recover-done': 'RecoverDone',
  paused: 'Paused',
  shutdown: 'Shutdown',
};

const MODES = { loadBalance: 'LoadBalance', hotStandby: 'HotStandby' } as const;
const ROLES = { active: 'Active', standby: 'Standby' } as const;

const blankOr = (value: number | null): string => (value === null ? '' : String(value));
const truth = (value: boolean): string => (value ? 'True' : 'False');

const PROPERTIES: readonly (readonly [name: string, of: (view: RelationshipView) => string])[] = [
  ['Name', (view) => view.name],
  ['PartnerServer', (view) => view.partnerServer],
  ['Mode', (view) => MODES[view.mode]],
  ['LoadBalancePercent', (view) => blankOr(view.loadBalancePercent)],
  ['ServerRole', (view) => (view.serverRole === null ? '' : ROLES[view.serverRole])],
  ['ReservePercent', (view) => blankOr(view.reservePercent)],
  ['MaxClientLeadTime', (view) => formatSpan(view.maxClientLeadTime)],
  [
    'StateSwitchInterval',
    (view) => (view.stateSwitchInterval === null ? '' : formatSpan(view.stateSwitchInterval)),
  ],
  ['State', (view) => STATES[view.state]],
  ['ScopeId', (view) => (view.scopeId.length === 0 ? '' : `{${view.scopeId.join(', ')}}`)],
  ['AutoStateTransition', (view) => truth(view.autoStateTransition)],
  ['EnableAuth', (view) => truth(view.enableAuth)],
];

/** The list of each relationship, with a blank line between two. */
export function propertyLists(views: readonly RelationshipView[]): string {
  return lists(views.map((view) => PROPERTIES.map(([name, of]) => [name, of(view)])));
}

/** Names and values as Windows lists them, with a blank line between two objects. */
export function lists(objects: readonly (readonly (readonly [name: string, value: string])[])[]): string {
  const width = Math.max(0, ...objects.flat().map(([name]) => name.length));
  const line = ([name, value]: readonly [string, string]) =>
    `${`${name.padEnd(width)} : ${printable(value)}`.trimEnd()}\n`;
  return objects.map((properties) => properties.map(line).join('')).join('\n');
}
