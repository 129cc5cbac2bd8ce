// `tandem support-bundle`: evidence for a bug report as one .tar.gz. Leases stay out of it, and whatever looks like a
// secret is taken out before it is packed. A daemon that does not answer is evidence too: the bundle is written with
// what there is, and the command fails.

import { open, rename, rm, stat } from 'node:fs/promises';
import { arch, cpus, freemem, loadavg, networkInterfaces, release, totalmem, type, uptime } from 'node:os';
import { dirname } from 'node:path';
import type { EventView, StatusResponse } from '../admin/api.js';
import { type Call, Refusal } from './command.js';
import { counted, jsonText, printable } from './print.js';
import { type ArchiveFile, tarGz } from './tar.js';

const EVENT_COUNT = '1000';
const MAX_EVENTS = 5_000; // more than asked for may come while we ask
const REMOVED = '(removed)';
/** Keys whose values are secrets. Names of files that hold secrets are no secrets, and help in finding faults. */
const SECRET_KEY = /secret|token|passw|credential|private.?key|psk/i;
const FILE_KEY = /File$/;

interface Part {
  readonly name: string;
  readonly fetch: (call: Call) => Promise<string>;
}

const PARTS: readonly Part[] = [
  {
    name: 'status.json',
    fetch: (call) => json(call.client.get<StatusResponse>('/status', { query: { digest: 'false' } })),
  },
  { name: 'scopes.json', fetch: (call) => json(call.client.get('/scopes')) },
  { name: 'config.json', fetch: (call) => json(call.client.get('/config/show')) },
  {
    name: 'config.yaml',
    fetch: async (call) => withoutSecretLines(await call.client.text('/config/export')),
  },
  { name: 'config-diff.json', fetch: (call) => json(call.client.get('/config/diff')) },
  {
    name: 'events.json',
    fetch: (call) => json(lastEvents(call)),
  },
  { name: 'metrics.txt', fetch: (call) => call.client.text('/metrics', { root: true }) },
];

export async function supportBundle(call: Call): Promise<number> {
  const { terminal } = call;
  const file = call.arg('FILE')!;
  await mayWrite(call, file);
  const { files, failures } = await collect(call);
  const folder = `tandem-support-${new Date(terminal.now()).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  const token = terminal.env['TANDEM_TOKEN'];
  const packed = files.map(({ name, text }) => ({
    name: `${folder}/${name}`,
    text: withoutToken(text, token),
  }));
  const bytes = tarGz(packed, terminal.now());
  await writePrivately(file, bytes);
  if (call.json)
    await terminal.write(
      `${jsonText({ file, bytes: bytes.length, files: packed.map((one) => one.name), failures })}\n`,
    );
  else
    await terminal.write(
      `Wrote ${printable(file)} (${counted(packed.length, 'file')}, ${counted(bytes.length, 'byte')}); look through it before you send it.\n`,
    );
  if (failures.length === 0) return 0;
  terminal.complain(`tandem: the bundle is not complete: ${failures[0]!.message}`);
  return 1;
}

interface Failure {
  readonly name: string;
  readonly message: string;
}

async function collect(call: Call): Promise<{ files: ArchiveFile[]; failures: Failure[] }> {
  const files: ArchiveFile[] = [{ name: 'machine.json', text: `${jsonText(machineFacts(call))}\n` }];
  const failures: Failure[] = [];
  for (const part of PARTS) {
    try {
      files.push({ name: part.name, text: await part.fetch(call) });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      failures.push({ name: part.name, message: error.message });
      // One silent part after another would keep a person waiting; no answer at all ends the asking.
      if (error.code === null) break;
    }
  }
  files.unshift({ name: 'README.txt', text: readme(files, failures) });
  return { files, failures };
}

async function lastEvents(call: Call): Promise<readonly EventView[]> {
  const events: EventView[] = [];
  for await (const items of call.client.pages<EventView>('/events', { last: EVENT_COUNT })) {
    events.push(...items);
    if (events.length >= MAX_EVENTS) break;
  }
  return events;
}

async function json(answer: Promise<unknown>): Promise<string> {
  return `${jsonText(withoutSecrets(await answer))}\n`;
}

/** The value with every secret replaced, however deep. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const hide =
        SECRET_KEY.test(key) && !FILE_KEY.test(key) && (typeof inner !== 'object' || inner === null);
      return [key, hide ? REMOVED : withoutSecrets(inner)];
    }),
  );
}

/** The same for YAML, line by line, so that what a person wrote stays as written. */
export function withoutSecretLines(yaml: string): string {
  return yaml.replace(
    /([A-Za-z0-9_-]+)(["']?\s*:[ \t]+)("[^"\n]*"|'[^'\n]*'|[^\s,{}[\]#][^\n,}]*)/g,
    (line, key: string, colon: string) =>
      SECRET_KEY.test(key) && !FILE_KEY.test(key) ? `${key}${colon}${REMOVED}` : line,
  );
}

function withoutToken(text: string, token: string | undefined): string {
  return token === undefined || token === '' ? text : text.replaceAll(token, REMOVED);
}

/** What of this machine matters. The environment is left out: it holds tokens. */
function machineFacts(call: Call): Record<string, unknown> {
  return {
    commandVersion: call.local.version,
    server: call.client.address.text,
    note: call.client.isLocal ? 'the daemon runs on this machine' : 'the daemon runs on another machine',
    at: new Date(call.terminal.now()).toISOString(),
    node: process.version,
    system: `${type()} ${release()} ${arch()}`,
    cpus: cpus().length,
    cpuModel: cpus()[0]?.model ?? null,
    loadAverage: loadavg(),
    memoryBytes: { total: totalmem(), free: freemem() },
    uptimeSeconds: Math.floor(uptime()),
    interfaces: Object.entries(networkInterfaces()).map(([name, addresses]) => ({
      name,
      addresses: (addresses ?? []).filter((one) => one.family === 'IPv4').map((one) => one.cidr),
    })),
  };
}

function readme(files: readonly ArchiveFile[], failures: readonly Failure[]): string {
  const missing = failures.map(({ name, message }) => `Missing: ${name}: ${message}\n`).join('');
  return `Evidence for a Tandem bug report.

Inside: ${files.map((file) => file.name).join(', ')}.
Not inside: leases, secrets, tokens, the environment. Events name addresses, hardware addresses and
host names of clients; scopes name those of reservations.
${missing}`;
}

async function mayWrite(call: Call, file: string): Promise<void> {
  const there = await stat(file).catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? null : Promise.reject(refusal(file, error)),
  );
  if (there === null) return;
  if (!there.isFile()) throw new Refusal(`${file} is not a file: name another.`);
  if (!(await call.confirm(`${file} exists. Overwrite it?`))) throw new Refusal(`${file} was left as it is.`);
}

/** Readable by its owner alone, and never half-written under its own name. */
async function writePrivately(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(bytes);
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw refusal(file, error as NodeJS.ErrnoException);
  }
}

function refusal(file: string, error: NodeJS.ErrnoException): Refusal {
  return new Refusal(
    `Writing ${file} failed (${error.code ?? error.message}): check that ${dirname(file)} exists, is writable and has room.`,
  );
}
