// Commands about the server as a whole: check, pause and resume, config, backup.

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type {
  ApplyResponse,
  BackupResponse,
  ConfigShowResponse,
  DiffResponse,
  PauseResponse,
  StatusResponse,
} from '../admin/api.js';
import { formatFault } from '../config/fault.js';
import { type Call, Refusal } from './command.js';
import { counted, jsonText, printable } from './print.js';

/** Applying a large file or copying a large store takes a while. */
const APPLY_PATIENCE_MS = 60_000;
const BACKUP_PATIENCE_MS = 30 * 60_000;

export async function check(call: Call): Promise<number> {
  const { terminal } = call;
  const file = call.flags.text('config')!;
  const { faults, warnings } = await call.local.check({ config: file });
  const ok = faults.length === 0;
  if (call.json) {
    await terminal.write(`${jsonText({ ok, file, faults, warnings })}\n`);
    return ok ? 0 : 1;
  }
  for (const fault of faults) terminal.complain(printable(formatFault(fault, file)));
  for (const warning of warnings) terminal.complain(`warning: ${printable(formatFault(warning, file))}`);
  if (ok) await terminal.write(`${printable(file)}: no faults\n`);
  return ok ? 0 : 1;
}

export async function pause(call: Call): Promise<undefined> {
  const answer = await call.client.send<PauseResponse>('POST', '/pause');
  if (call.json) await call.terminal.write(`${jsonText(answer)}\n`);
  else await call.terminal.write(pausedLine(answer));
}

export async function resume(call: Call): Promise<undefined> {
  const body = call.flags.on('accept-clock') ? { acceptClock: true } : undefined;
  const answer = await call.client.send<PauseResponse>('POST', '/resume', { body });
  if (call.json) {
    await call.terminal.write(`${jsonText(answer)}\n`);
    return;
  }
  const { clockHeld } = await call.client.get<StatusResponse>('/status', { query: { digest: 'false' } });
  await call.terminal.write(clockHeld ? STILL_HELD : pausedLine(answer));
}

const STILL_HELD =
  'Not paused, but nobody is answered yet: the clock is behind the last operation. If the clock is right: ' +
  '`tandem resume --accept-clock`.\n';

function pausedLine({ paused }: PauseResponse): string {
  return paused
    ? 'Paused: no client is answered until `tandem resume`.\n'
    : 'Resumed: clients are answered, those of a relationship as its state allows.\n';
}

export async function configShow(call: Call): Promise<undefined> {
  const shown = await call.client.get<ConfigShowResponse>('/config/show');
  if (call.json) return call.terminal.write(`${jsonText(shown)}\n`).then(() => undefined);
  const from = shown.file === null ? 'without a config file' : `config file ${shown.file}`;
  await call.terminal.write(`# ${printable(shown.name)}, ${printable(from)}\n`);
  await call.terminal.write(printableLines(await call.client.text('/config/export')));
}

export async function configExport(call: Call): Promise<undefined> {
  const yaml = await call.client.text('/config/export');
  await call.terminal.write(call.json ? `${jsonText({ yaml })}\n` : printableLines(yaml));
}

export async function configDiff(call: Call): Promise<undefined> {
  const answer = await call.client.get<DiffResponse>('/config/diff');
  if (call.json) return call.terminal.write(`${jsonText(answer)}\n`).then(() => undefined);
  if (isEmpty(answer.diff)) await call.terminal.write('What runs is what the config file says.\n');
  else await printPlan(call, answer.diff);
}

/** What a daemon's plan may hold: lines, and the keys that only a restart changes. */
interface Plan {
  readonly plan: readonly string[];
  readonly needRestart?: readonly string[];
}

export async function configApply(call: Call): Promise<undefined> {
  const { flags, terminal } = call;
  const body = { dryRun: flags.on('dry-run'), force: flags.on('force') };
  const answer = await call.client.send<ApplyResponse>('POST', '/config/apply', {
    body,
    patienceMs: APPLY_PATIENCE_MS,
  });
  if (call.json) return terminal.write(`${jsonText(answer)}\n`).then(() => undefined);
  const { plan, needRestart = [] } = isPlan(answer.plan) ? answer.plan : { plan: answer.plan };
  if (isEmpty(plan)) await terminal.write('Nothing to change: the config file is as it was last applied.\n');
  else {
    await terminal.write(answer.dryRun ? 'Would be applied (nothing was changed):\n' : 'Applied:\n');
    await printPlan(call, plan);
  }
  if (needRestart.length > 0) {
    await terminal.write(
      `Changed in the file, but only a restart applies it: ${printable(needRestart.join(', '))}\n`,
    );
  }
}

function isPlan(value: unknown): value is Plan {
  return typeof value === 'object' && value !== null && 'plan' in value && Array.isArray(value.plan);
}

export async function backup(call: Call): Promise<undefined> {
  const { client, terminal } = call;
  const given = call.arg('FILE')!;
  if (!client.isLocal && !given.startsWith('/')) {
    throw new Refusal(
      `The backup is written on the machine of ${client.address.text}: give an absolute path there, not ${given}.`,
    );
  }
  const file = client.isLocal ? resolve(given) : given;
  const answer = await client.send<BackupResponse>('POST', '/backup', {
    body: { file },
    patienceMs: BACKUP_PATIENCE_MS,
  });
  // A service may have a /tmp of its own: what it wrote there is gone when it ends.
  if (client.isLocal && isAbsent(file)) {
    throw new Refusal(
      `The server wrote ${file}, but to a place that only it can see: give a place in its state directory, such as /var/lib/tandem.`,
    );
  }
  if (call.json) await terminal.write(`${jsonText(answer)}\n`);
  else
    await terminal.write(`Backup written to ${printable(answer.file)} (${counted(answer.bytes, 'byte')}).\n`);
}

/** Surely not there; what may not be looked at may be. */
function isAbsent(file: string): boolean {
  try {
    statSync(file);
    return false;
  } catch (error) {
    return (error as { readonly code?: unknown }).code === 'ENOENT';
  }
}

function isEmpty(value: unknown): boolean {
  return (
    value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0)
  );
}

/** A plan or difference: its lines as they are, anything richer as JSON. */
async function printPlan(call: Call, plan: unknown): Promise<void> {
  const lines = Array.isArray(plan) ? plan : typeof plan === 'string' ? plan.split('\n') : null;
  if (lines?.every((line) => typeof line === 'string')) {
    await call.terminal.write(lines.map((line) => `${printable(line)}\n`).join(''));
  } else await call.terminal.write(`${jsonText(plan)}\n`);
}

function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
