// The daemon: store, clock, engine, sockets and admin interface put together, and taken apart again in order. Every
// failure to start is one StartError sentence; a commit that fails ends the process rather than let it lie.

import type { Daemon, ShellStats } from '../admin/daemon.js';
import type { Admin, AdminOptions } from '../admin/server.js';
import type { ServeConfig } from '../config/config.js';
import { loadConfigFile } from '../config/load.js';
import { parseEndpoint } from '../config/scalars.js';
import type { Token } from '../config/tokens.js';
import type { ShellAlarm } from '../engine/alarms.js';
import type { CommandResult } from '../engine/command.js';
import { Engine } from '../engine/engine.js';
import { isoOf } from '../engine/instants.js';
import { SettingsError } from '../engine/scopes.js';
import { RecordError } from '../lease/record.js';
import { Applying } from './applying.js';
import { SystemClock } from './clock.js';
import { engineOptions } from './engine-options.js';
import { Housekeeping } from './housekeeping.js';
import { type InterfaceWatch, watchInterfaces } from './interfaces.js';
import { openStore } from './lmdb.js';
import type { Log } from './log.js';
import { Loop } from './loop.js';
import { PartnerPortError } from './partner-side.js';
import { Partnership } from './partnership.js';
import { PendingCommands } from './pending.js';
import { openProber, type Prober } from './probe.js';
import { openRecorder, type Recorder } from './recorder.js';
import { rehearse } from './rehearsal.js';
import { rehearsePair } from './rehearsal-pair.js';
import { type ApplyOptions, SettingsFile } from './settings-file.js';
import { type Store, StoreError } from './store.js';
import { readTokenFile } from './token-file.js';
import { openServerSockets, type ServerSockets } from './udp.js';

export interface DaemonOptions {
  readonly config: ServeConfig;
  readonly file: string; // the config file
  readonly version: string;
  readonly log: Log;
  /** Opens the admin interface; rejects with StartError. */
  readonly openAdmin: (options: AdminOptions) => Promise<Admin>;
  /** The daemon can go on no longer: say why and exit non-zero. Called at most once. */
  readonly onFatal: (message: string) => void;
}

/** The daemon cannot start; the message is for the operator. */
export class StartError extends Error {}

/** How long a stopping server still acknowledges its own live offers. */
const OWN_OFFERS_MS = 2_000;

/** A running daemon; `stop` ends it in order. */
export class TandemDaemon {
  readonly engine: Engine;
  readonly loop: Loop;
  readonly settings: SettingsFile;
  private readonly commands: PendingCommands;
  private readonly partners: Partnership;
  private readonly listeners = new Set<(event: Parameters<Log['event']>[0]) => void>();
  private readonly clock: SystemClock;
  private sockets: ServerSockets | undefined;
  private prober: Prober | undefined;
  private watch: InterfaceWatch | undefined;
  private recorder: Recorder | undefined;
  private admin: Admin | undefined;
  private tokens: readonly Token[] = [];
  private housekeeping: Housekeeping | undefined;
  private journalRetention: number; // seconds
  private lastSeq = 0;
  private begun = false; // the engine has what the store holds
  private listening = false;
  private readonly applying: Applying;
  private stopping: Promise<void> | undefined;
  private readonly startedAt: string;

  private constructor(
    private readonly options: DaemonOptions,
    private readonly store: Store,
  ) {
    const { config } = options;
    this.journalRetention = config.journalRetention;
    this.clock = new SystemClock(store.lastOperation, {
      onStep: (wallAheadMs) => this.loop.feed({ kind: 'clock-stepped', wallAheadMs }),
      onHeld: () => this.loop.feed({ kind: 'clock-held' }),
      onRelease: () => this.loop.feed({ kind: 'clock-released', wallAheadMs: this.clock.wallAheadMs }),
    });
    this.engine = new Engine(engineOptions(config, store, this.clock, () => options.log.isOn('debug')));
    this.commands = new PendingCommands((id, actor, command) =>
      this.loop.feed({ kind: 'command', id, actor, command }),
    );
    this.loop = new Loop(this.engine, store, {
      now: () => this.clock.now(),
      send: (datagram) => this.sockets?.send(datagram),
      probe: (probe) => this.prober?.probe(probe) ?? Promise.resolve({ inUse: false, by: '' }),
      partner: (effect) => this.partners.carryOut(effect),
      acceptClock: () => this.clock.accept(),
      partnerTime: (at) => this.clock.compare(at, this.engine.wallClock.maxSkewMs),
      acceptRestored: () => void store.acceptRestored().catch((error) => this.fatal(error)),
      event: (event) => this.announce(event),
      reply: (id, result) => this.commands.answer(id, result),
      record: (at, input) => this.recorder?.input(at, input),
      fatal: (error) => this.fatal(error),
    });
    this.partners = new Partnership({
      config,
      engine: this.engine,
      now: () => this.clock.now(),
      feed: (input) => this.loop.feed(input),
      command: (actor, command) => this.commands.run(actor, command),
      say: options.log.say,
    });
    this.startedAt = isoOf(this.clock.now());
    this.settings = new SettingsFile(
      options.file,
      config,
      this.engine.view,
      () => this.engine.partners.all.map(({ record }) => record.settings),
      (actor, command) => this.commands.run(actor, command),
    );
    this.applying = new Applying(this.settings, options.log.say, (message) =>
      this.loop.feed({ kind: 'alarm', code: 'config-refused', message }),
    );
  }

  /** Open the store, load it, apply the config file, bind the sockets, answer. Rejects with StartError. */
  static async start(options: DaemonOptions): Promise<TandemDaemon> {
    let store: Store;
    try {
      store = await openStore(options.config.stateDir);
    } catch (error) {
      if (error instanceof StoreError) throw new StartError(error.message);
      throw error;
    }
    const daemon = new TandemDaemon(options, store);
    try {
      daemon.readSecrets(options.config, 'start');
      daemon.load();
      const faults = await daemon.applying.atStart();
      if (faults !== null) throw new StartError(faults);
      await (daemon.engine.partners.all.length > 0 ? rehearsePair() : rehearse());
      daemon.openNetwork();
      await daemon.openPartnerPort();
      await daemon.openAdmin();
      daemon.keepHouse();
      return daemon;
    } catch (error) {
      await daemon.stop('start failed');
      throw error;
    }
  }

  private load(): void {
    const { store, engine } = this;
    for (const warning of store.warnings) this.options.log.say('warn', warning);
    try {
      const { nextEventSeq } = store.load({
        expect: (leases) => engine.expectLeases(leases),
        lease: (address, record) => engine.loadLease(address, record),
        setting: (key, value) => engine.loadSetting(key, value),
      });
      this.lastSeq = nextEventSeq - 1;
      this.recorder = this.openRecorder();
      // A step of the wall clock may come soon after a boot: the first commit, which also has until when either partner was
      // in touch, says by what clock this process began (failover.md §5 "Time").
      store.touch(this.clock.mark(), false);
      this.loop.carryOut(engine.start(this.clock.now(), nextEventSeq));
      this.begun = true;
      this.partners.useSecrets();
      this.loop.feed({ kind: 'committed', id: 0, point: store.tellable });
    } catch (error) {
      if (error instanceof RecordError || error instanceof SettingsError || error instanceof StoreError) {
        throw new StartError(
          `${error.message}. Restore a backup with \`tandem restore\`, or move the store away.`,
        );
      }
      throw error;
    }
  }

  private openRecorder(): Recorder | undefined {
    const { recording } = this.options.config;
    if (!recording) return undefined;
    return openRecorder({
      file: recording.file,
      maxBytes: recording.maxMegabytes * 1_000_000,
      engine: this.engine.options,
      at: this.clock.now(),
      store: this.store,
      onEnd: (reason) =>
        this.loop.feed({ kind: 'alarm', code: 'recording-ended', message: `the recording ended: ${reason}` }),
    });
  }

  private openNetwork(): void {
    const { config, log } = this.options;
    const onError = ({ message }: { readonly message: string }) => log.say('error', message);
    this.prober = openProber({
      hardwareAddressOf: (name) =>
        this.watch?.current.find((state) => state.name === name)?.hardwareAddress ?? null,
      onError,
      onChange: (problems) => this.alarmNetwork('no-conflict-detection', problems),
    });
    const sockets = openServerSockets({
      serverPort: config.ports.server,
      onDatagram: (name, bytes, from, fromPort) =>
        this.loop.feed({ kind: 'datagram', interface: name, bytes, from, fromPort }),
      onError,
      onChange: (problems) => this.alarmNetwork('network', [...(this.watch?.problems ?? []), ...problems]),
    });
    this.sockets = sockets;
    this.watch = watchInterfaces(config.interfaces, (states, problems) => {
      this.noteNetwork([...problems, ...sockets.update(states).problems]);
      this.loop.feed({ kind: 'interfaces', interfaces: states });
    });
    const { current } = this.watch;
    this.loop.feed({ kind: 'interfaces', interfaces: current });
    const { listening, problems } = sockets.update(current);
    if (listening.length === 0 && problems.length > 0) {
      throw new StartError(problems.map(({ message }) => message).join('\n'));
    }
    this.noteNetwork([...this.watch.problems, ...problems]);
    this.listening = true;
  }

  private noteNetwork(problems: readonly { readonly message: string }[]): void {
    for (const { message } of problems) this.options.log.say('warn', message);
    this.alarmNetwork('network', problems);
  }

  private alarmNetwork(code: ShellAlarm, problems: readonly { readonly message: string }[]): void {
    const message = problems.map((problem) => problem.message).join(' ');
    this.loop.feed({ kind: 'alarm', code, message: message === '' ? null : message });
  }

  private openPartnerPort(): Promise<void> {
    return this.partners.side.listen().catch((error) => {
      throw error instanceof PartnerPortError ? new StartError(error.message) : error;
    });
  }

  /** All secrets. A faulty file keeps the daemon from starting, and on reload all secrets as they were. */
  private readSecrets(config: ServeConfig, when: 'start' | 'reload'): void {
    const faults = this.partners.readSecrets(config);
    if (faults.length > 0 && when === 'start') throw new StartError(faults.join('\n'));
    for (const fault of faults) this.options.log.say('error', fault);
  }

  private async openAdmin(): Promise<void> {
    const { admin } = this.options.config;
    this.readTokens();
    this.admin = await this.options.openAdmin({
      daemon: this.port(),
      exportConfig: async () => this.settings.export(),
      socket: { path: admin.socket },
      http: (admin.http === null ? undefined : parseEndpoint(admin.http)) ?? null,
      tokens: () => this.tokens,
      log: this.options.log.say,
    });
  }

  /** The token file, at the start and on each reload; a faulty one leaves the tokens as they were. */
  private readTokens(): void {
    const { config, log } = this.options;
    if (config.admin.tokenFile === null) return;
    const read = readTokenFile(config.admin.tokenFile, log);
    if (!('faults' in read)) this.tokens = read;
    else if (this.tokens.length === 0) throw new StartError(read.faults.join('\n'));
    else for (const fault of read.faults) log.say('error', fault);
  }

  /** Read the config file and the token file again, and apply what changed: secrets, log and journal at once. */
  async reload(options: ApplyOptions): Promise<CommandResult> {
    if (!options.dryRun) {
      this.readTokens();
      const loaded = loadConfigFile(this.options.file);
      if (loaded.ok) {
        this.readSecrets(loaded.config, 'reload');
        this.options.log.setLevel(loaded.config.log.level);
        this.journalRetention = loaded.config.journalRetention;
      }
    }
    return this.applying.again(options);
  }

  /** This daemon as the admin room sees it. */
  private port(): Daemon {
    return {
      version: this.options.version,
      view: this.engine.view,
      config: { name: this.options.config.name, file: this.options.file },
      ...(this.partners.desk ? { desk: this.partners.desk } : {}),
      command: (actor, command) => this.commands.run(actor, command),
      events: (fromSeq, limit) => this.store.events(fromSeq, limit),
      lastEventSeq: () => this.lastSeq,
      subscribe: (listener) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
      stats: () => this.stats(),
      backup: (file) => this.store.backup(file),
      reload: (options) => this.reload(options),
      diff: () => this.settings.diff(),
      ready: () => this.listening,
    };
  }

  private stats(): ShellStats {
    const store = this.store.stats();
    return {
      storeCommits: store.commits,
      storeFileBytes: store.fileBytes,
      storePoint: this.store.point,
      commitSeconds: this.loop.commitSeconds,
      requestSeconds: this.loop.requestSeconds,
      eventLoopLagSeconds: this.housekeeping?.lagSeconds ?? 0,
      sendErrors: this.sockets?.stats().unsent ?? 0,
      oversizedDatagrams: this.sockets?.stats().oversized ?? 0,
      partnerEnds: this.partners.side.ends(),
      startedAt: this.startedAt,
      at: isoOf(this.clock.now()),
      recording: this.recorder?.ended === false ? this.recorder.file : null,
    };
  }

  private keepHouse(): void {
    this.housekeeping = new Housekeeping({
      store: this.store,
      touch: () => this.store.touch(this.clock.mark(), this.partners.side.connected),
      trimBefore: () => this.clock.now() - this.journalRetention * 1000,
      onFailure: (error) => this.fatal(error),
    });
  }

  private announce(event: Parameters<Log['event']>[0]): void {
    if (event.seq > this.lastSeq) this.lastSeq = event.seq;
    this.options.log.event(event);
    this.partners.onEvent(event);
    if (this.applying.isDue(event)) this.applyAgain();
    for (const listener of this.listeners) listener(event);
  }

  private applyAgain(): void {
    this.reload({ dryRun: false, force: false, actor: 'config file' }).catch((error: unknown) =>
      this.options.log.say('error', 'the config file could not be applied', { error }),
    );
  }

  private fatal(error: unknown): void {
    this.loop.stop();
    this.listening = false;
    const why = error instanceof Error ? error.message : error;
    this.options.onFatal(`A change could not be put on disk, so no client is answered any more: ${why}`);
  }

  /**
   * Partners hear of the stop; clients that hold an offer of ours have a moment to take it (failover.md §3 "Orderly
   * stop").
   */
  private async takeLeave(): Promise<void> {
    if (!this.begun) return;
    this.loop.feed({ kind: 'stopping' });
    await this.loop.settled();
    const until = performance.now() + OWN_OFFERS_MS;
    while (this.engine.partners.sharedOffers && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Stop answering, put on disk what is under way, close everything. Asked again, it is the same stop. */
  stop(reason: string): Promise<void> {
    this.stopping ??= this.close(reason);
    return this.stopping;
  }

  private async close(reason: string): Promise<void> {
    this.options.log.say('info', `stopping: ${reason}`);
    this.listening = false;
    this.housekeeping?.stop();
    this.watch?.close();
    await this.takeLeave();
    this.loop.stop();
    await this.loop.settled();
    this.sockets?.flush();
    this.sockets?.close();
    this.prober?.close();
    await this.partners.side.close();
    await this.admin?.close();
    this.recorder?.close();
    this.store.touch(this.clock.mark());
    this.clock.stop();
    await this.store.close();
  }
}
