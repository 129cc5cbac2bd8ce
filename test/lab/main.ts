// `npm run lab:netns`: the lab of docker-compose.yml in network namespaces. `up` stays in the foreground, owns the lab
// and takes the other verbs, typed at it or sent by the same command from another terminal.

import { existsSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { missingLabTool, NetnsLab } from './netns.js';

const SOCKET = process.env['TANDEM_LAB_SOCKET'] ?? '/run/tandem-lab.sock';
const MAX_LINE = 4_096;

interface Verb {
  readonly words: string;
  readonly doc: string;
  readonly run: (lab: NetnsLab, args: readonly string[]) => Promise<string> | string;
}

const VERBS: Readonly<Record<string, Verb>> = {
  status: {
    words: 'status',
    doc: 'both servers in their own words, and who runs',
    run: (lab) => lab.status(),
  },
  kill: {
    words: 'kill SERVER',
    doc: 'as a power cut would',
    run: (lab, [name = '']) => lab.stop(name, 'SIGKILL').then(() => ''),
  },
  stop: {
    words: 'stop SERVER',
    doc: 'in order, as systemctl stop does',
    run: (lab, [name = '']) => lab.stop(name, 'SIGTERM').then(() => ''),
  },
  start: {
    words: 'start SERVER',
    doc: 'again, on its store',
    run: (lab, [name = '']) => lab.start(name).then(() => ''),
  },
  cut: { words: 'cut', doc: 'the link between the servers', run: (lab) => said(() => lab.link('cut')) },
  heal: { words: 'heal', doc: 'that link', run: (lab) => said(() => lab.link('heal')) },
  skew: {
    words: 'skew SERVER OFFSET',
    doc: 'set its clock off, running or not: +10m, -90s; 0 puts it right',
    run: (lab, [name = '', offset = '']) => said(() => lab.skew(name, offset)),
  },
  load: {
    words: 'load [N]',
    doc: 'N new clients (20)',
    run: async (lab, [clients = '20']) => {
      const count = Number(clients);
      if (!Number.isInteger(count) || count < 1 || count > 10_000)
        throw new Error('N is a number from 1 to 10000');
      await lab.load(count);
      return '';
    },
  },
  exec: {
    words: 'exec HOST COMMAND...',
    doc: 'a command where it runs: exec dhcp1 tandem lease list',
    run: (lab, [name = '', ...argv]) => {
      const { stdout, stderr } = lab.exec(name, argv);
      return stdout + stderr;
    },
  },
};

const HELP = `npm run lab:netns -- up          make the lab; stays until \`down\`, q or Ctrl-C
${Object.values(VERBS)
  .map(({ words, doc }) => `npm run lab:netns -- ${words.padEnd(21)}${doc}`)
  .join('\n')}
npm run lab:netns -- down        end it
`;

function said(work: () => void): string {
  work();
  return '';
}

/** Carries out one line of words; never rejects. */
async function carryOut(lab: NetnsLab, line: string): Promise<{ ok: boolean; text: string }> {
  const [name = '', ...args] = line.trim().split(/\s+/);
  const verb = VERBS[name];
  if (verb === undefined) return { ok: false, text: HELP };
  try {
    return { ok: true, text: await verb.run(lab, args) };
  } catch (error) {
    return { ok: false, text: `${error instanceof Error ? error.message : String(error)}\n` };
  }
}

/** Who hears what the lab says of itself while a verb from another terminal is carried out. */
const hearers = new Set<(line: string) => void>();

/** Takes one line a connection and answers with "ok" or "no", what the lab said meanwhile, and the text. */
function listen(lab: NetnsLab, down: () => void): Server {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('error', () => socket.destroy());
    socket.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_LINE) socket.destroy();
    });
    socket.on('end', async () => {
      if (text.trim() === 'down') {
        // The connection ends with this process, when all is cleaned up.
        socket.write('ok\n');
        down();
        return;
      }
      const heard: string[] = [];
      const hear = (line: string) => heard.push(`${line}\n`);
      hearers.add(hear);
      const answer = await carryOut(lab, text);
      hearers.delete(hear);
      socket.end(`${answer.ok ? 'ok' : 'no'}\n${heard.join('')}${answer.text}`);
    });
  });
  server.listen(SOCKET);
  return server;
}

async function up(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('network namespaces need root');
  const missing = missingLabTool();
  if (missing !== undefined)
    throw new Error(`${missing} is missing; \`npm test\` as root installs what is needed`);
  if (
    existsSync(SOCKET) &&
    (await ask('status').then(
      () => true,
      () => false,
    ))
  ) {
    throw new Error(`a lab is up already (${SOCKET}): end it with \`npm run lab:netns -- down\``);
  }
  rmSync(SOCKET, { force: true });
  process.once('exit', () => rmSync(SOCKET, { force: true }));
  const lab = new NetnsLab((line) => {
    console.log(line);
    for (const hear of hearers) hear(line);
  });
  let over = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    over = resolve;
  });
  const server = listen(lab, over);
  try {
    await lab.up();
    console.log(`Verbs: ${Object.keys(VERBS).join(', ')}; q ends it.`);
    const typed = createInterface({ input: process.stdin });
    typed.on('line', async (line) => {
      if (/^(?:q|quit|down)$/.test(line.trim())) over();
      else if (line.trim() !== '') process.stdout.write((await carryOut(lab, line)).text);
    });
    await ended;
    typed.close();
  } finally {
    server.close();
    await lab.down();
  }
}

/** Sends one line to the lab that is up; resolves with whether it was done, and its words. */
function ask(line: string): Promise<{ ok: boolean; text: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(SOCKET, () => socket.end(line));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => reject(new Error(`no lab is up (${SOCKET}): npm run lab:netns -- up`)));
    socket.on('close', () => resolve({ ok: text.startsWith('ok'), text: text.replace(/^.*\n?/, '') }));
  });
}

const [verb = 'help', ...args] = process.argv.slice(2);
try {
  if (verb === 'up') await up();
  else if (verb === 'down' || verb in VERBS) {
    const { ok, text } = await ask([verb, ...args].join(' '));
    process.stdout.write(text);
    if (!ok) process.exitCode = 1;
  } else {
    process.stdout.write(HELP);
    if (verb !== 'help') process.exitCode = 2;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
process.exit();
