// One daemon of the lab: a real `tandem serve` process on loopback with a state directory of its own, watched through
// its admin socket like any other.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../main.js', import.meta.url));
const START_MS = 15_000;
const STOP_MS = 5_000;
const ASK_MS = 2_000;

export interface LabServerOptions {
  readonly name: string;
  readonly address: string; // in 127/8
  readonly port: number; // of DHCP
  readonly directory: string;
  readonly partnerPort: number;
  readonly declared: string; // YAML of the sections `scopes` and `failover`
}

export class LabServer {
  readonly socket: string;
  private readonly configFile: string;
  private readonly logFile: string;
  private child: ChildProcess | undefined;

  constructor(readonly options: LabServerOptions) {
    const { directory, name, address, port, partnerPort, declared } = options;
    mkdirSync(directory, { recursive: true });
    this.socket = join(directory, 'admin.sock');
    this.configFile = join(directory, 'tandem.yaml');
    this.logFile = join(directory, 'tandem.log');
    writeFileSync(
      this.configFile,
      [
        'server:',
        `  name: ${name}`,
        `  interfaces: [${address}]`,
        `  ports: { server: ${port}, client: ${port + 1} }`,
        `  stateDir: ${join(directory, 'state')}`,
        `  admin: { socket: ${this.socket} }`,
        `  partner: { listen: ${address}:${partnerPort}, address: ${address} }`,
        declared,
      ].join('\n'),
    );
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  get isRunning(): boolean {
    const { child } = this;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Start the process; resolves when it answers on its admin socket, rejects with what it said when it does not. */
  async start(): Promise<void> {
    const log = openSync(this.logFile, 'a');
    const child = spawn(process.execPath, [MAIN, 'serve', '-c', this.configFile], {
      stdio: ['ignore', log, log],
    });
    this.child = child;
    const deadline = Date.now() + START_MS;
    while (Date.now() < deadline && this.isRunning) {
      if (
        await this.get('/readyz').then(
          () => true,
          () => false,
        )
      )
        return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(
      `${this.options.name} did not start:\n${readFileSync(this.logFile, 'utf8').slice(-2_000)}`,
    );
  }

  /** What the API says, parsed where it is JSON. */
  get(path: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.socket, path, timeout: ASK_MS }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          if (response.statusCode !== 200)
            reject(new Error(`${path}: ${response.statusCode} ${text.slice(0, 200)}`));
          else resolve(response.headers['content-type']?.includes('json') ? JSON.parse(text) : text);
        });
      });
      asked.on('timeout', () => asked.destroy(new Error(`${path}: no answer within ${ASK_MS / 1000} s`)));
      asked.on('error', reject);
      asked.end();
    });
  }

  /** Stop in order; by force when it does not. */
  async stop(): Promise<void> {
    const { child } = this;
    if (!child || !this.isRunning) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(force);
  }

  /** Die as in a power cut. */
  kill(): void {
    this.child?.kill('SIGKILL');
  }
}
