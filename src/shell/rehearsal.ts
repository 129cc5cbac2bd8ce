// Exchanges with nobody, before the sockets open. The first thousand exchanges of a Node process cost several times
// what later ones do, until its compiler has seen the code at work; a server that comes back into the storm after a
// power cut would answer its first clients late. Here they are made up, in memory: no socket, no disk, no real scope.

import { Engine } from '../engine/engine.js';
import type { InterfaceState } from '../engine/input.js';
import { SCOPE_DEFAULTS, type ScopeSettings } from '../lease/settings.js';
import { decodeMessage, encodeMessage, MessageType, OptionCode } from '../wire/message.js';
import { Loop, type World } from './loop.js';
import type { Store } from './store.js';

export interface RehearsalLimits {
  readonly exchanges: number;
  readonly milliseconds: number;
}

/** Without it 1 to 2 % of the first 20,000 exchanges at 4,000 a second were lost, with it none (test/bench). */
const LIMITS: RehearsalLimits = { exchanges: 3000, milliseconds: 600 };
/** Clients that speak in one turn of the event loop. */
export const AT_ONCE = 16;

export const SCOPE: ScopeSettings = {
  ...SCOPE_DEFAULTS,
  subnet: '10.0.0.0/16',
  ranges: ['10.0.1.0-10.0.255.254'],
  conflictDetection: false,
  options: { routers: ['10.0.0.1'], 'domain-name-servers': ['10.0.0.1'] },
};
export const SERVER = 0x0a000001;
const WANTED = Uint8Array.of(OptionCode.subnetMask, 3, 6, 15, 51, 54, 58, 59);

/** Carries out nothing. */
export const NO_WORLD: World = {
  now: () => Date.now(),
  send: nothing,
  probe: () => Promise.resolve({ inUse: false, by: '' }),
  partner: nothing,
  partnerTime: nothing,
  acceptClock: nothing,
  acceptRestored: nothing,
  event: nothing,
  reply: nothing,
  record: nothing,
  fatal: nothing,
};

/** Keeps nothing. */
export const NO_STORE: Pick<Store, 'commit' | 'tellable'> = {
  commit: () => Promise.resolve(),
  tellable: { sequence: 0, hash: '0000000000000000' },
};

export function isOffer(reply: Uint8Array): boolean {
  return decodeMessage(reply, 2).options.get(OptionCode.dhcpMessageType)?.[0] === MessageType.OFFER;
}

/** Resolves with the exchanges that were made, when either limit is reached. Never rejects. */
export async function rehearse(limits: RehearsalLimits = LIMITS): Promise<number> {
  const engine = rehearsingEngine('rehearsal', '0');
  const until = performance.now() + limits.milliseconds;
  let bound = 0;
  let offers: Uint8Array[] = [];
  const world: World = {
    ...NO_WORLD,
    send: ({ bytes }) => {
      if (isOffer(bytes)) offers.push(bytes);
      else bound++;
    },
  };
  const loop = new Loop(engine, NO_STORE, world);
  loop.carryOut(engine.start(Date.now(), 1));
  const hear = (bytes: Uint8Array): void =>
    loop.feed({ kind: 'datagram', interface: 'eth0', bytes, from: SERVER + 1, fromPort: 67 });
  loop.feed({ kind: 'interfaces', interfaces: [rehearsingInterface(SERVER)] });
  for (let client = 0; client < limits.exchanges && performance.now() < until; ) {
    for (let i = 0; i < AT_ONCE; i++) hear(request(client++, MessageType.DISCOVER, []));
    const taken = offers;
    offers = [];
    for (const offer of taken) hear(answerTo(offer));
    await nextTurn();
  }
  loop.stop();
  return bound;
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** An engine that has its scope. `digit` tells it from its partner. */
export function rehearsingEngine(name: string, digit: '0' | '1', ranges = SCOPE.ranges): Engine {
  const engine = new Engine({
    name,
    storeId: digit.repeat(32),
    startCounter: 1,
    lastOperationAt: 0,
    knowsPoint: () => true,
    ports: { server: 67, client: 68 },
    clockHeld: false,
    wallAheadMs: 0,
    seed: [1, 2],
    restored: false,
    traceDrops: false,
  });
  engine.loadSetting('scope/10.0.0.0', { settings: { ...SCOPE, ranges }, revision: 1 });
  return engine;
}

export function rehearsingInterface(address: number): InterfaceState {
  return {
    name: 'eth0',
    addresses: [{ address, prefixLength: 16 }],
    hardwareAddress: Uint8Array.of(2, 0, 0, 0, 0, 1),
    canBroadcast: true,
  };
}

type Option = readonly [code: number, bytes: Uint8Array];

export function request(client: number, type: number, more: readonly Option[]): Uint8Array {
  return encodeMessage({
    op: 1,
    htype: 1,
    hlen: 6,
    hops: 1,
    xid: client,
    secs: 0,
    flags: 0,
    ciaddr: 0,
    yiaddr: 0,
    siaddr: 0,
    giaddr: SERVER + 1,
    chaddr: Uint8Array.of(2, 0, 0, client >>> 16, client >>> 8, client),
    options: [
      [OptionCode.dhcpMessageType, Uint8Array.of(type)],
      ...more,
      [OptionCode.dhcpParameterRequestList, WANTED],
    ],
    relayInfo: null,
    maxSize: 576,
  });
}

export function answerTo(offer: Uint8Array): Uint8Array {
  const { xid, yiaddr, options } = decodeMessage(offer, 2);
  const address = Uint8Array.of(yiaddr >>> 24, yiaddr >>> 16, yiaddr >>> 8, yiaddr);
  const server = options.get(OptionCode.dhcpServerIdentifier) ?? new Uint8Array(0);
  return request(xid, MessageType.REQUEST, [
    [OptionCode.dhcpRequestedAddress, address],
    [OptionCode.dhcpServerIdentifier, server],
  ]);
}

export function nothing(): void {}
