// The rehearsal of a server that has partners: two engines in memory with a wire between them that takes no time, one
// relationship, and clients that both hear. Through the same code that will carry updates between the servers: a pair
// whose compiler has not seen it yet answers late, and then each ACK that waits for the partner leaves with a short lease.

import type { Engine } from '../engine/engine.js';
import { newRecord } from '../failover/record.js';
import { type RelationshipSettings, TIMER_DEFAULTS } from '../failover/terms.js';
import { MessageType } from '../wire/message.js';
import { Loop, type PartnerEffect } from './loop.js';
import {
  AT_ONCE,
  answerTo,
  isOffer,
  NO_STORE,
  NO_WORLD,
  nextTurn,
  type RehearsalLimits,
  rehearsingEngine,
  rehearsingInterface,
  request,
  SERVER,
} from './rehearsal.js';

const LIMITS: RehearsalLimits = { exchanges: 2800, milliseconds: 900 };
/** Some 3,000 addresses, half of which are handed over first. */
const RANGES = ['10.0.1.0-10.0.12.254'];
const LINK = 1;
const RELATIONSHIP = 'rehearsal';
/** Turns of the event loop in which two servers that take no time have long agreed and shared out their addresses. */
const GREETING_TURNS = 1000;
/** In which the last ACKs come. */
const LAST_TURNS = 50;

const SETTINGS: RelationshipSettings = {
  name: RELATIONSHIP,
  partnerAddress: '10.0.0.2',
  partnerPort: 647,
  mode: 'loadBalance',
  loadBalancePercent: 50,
  standbyRole: null,
  reservePercent: 0,
  mcltSeconds: 3600, // below the lease time: every first ACK waits for the partner
  autoStateTransition: false,
  stateSwitchIntervalSeconds: 3600,
  eager: true,
  authenticated: false,
  scopes: ['10.0.0.0'],
  timers: TIMER_DEFAULTS,
};

/** One of the two servers. */
class Actor {
  readonly engine: Engine;
  readonly loop: Loop;
  other: Actor | null = null;

  constructor(
    readonly address: number,
    digit: '0' | '1',
    readonly onReply: (bytes: Uint8Array) => void,
  ) {
    this.engine = rehearsingEngine(`${RELATIONSHIP}-${digit}`, digit, RANGES);
    const record = newRecord(SETTINGS, digit.repeat(32), 1, Date.now());
    this.engine.loadSetting(`failover/${RELATIONSHIP}`, record);
    this.loop = new Loop(this.engine, NO_STORE, {
      ...NO_WORLD,
      send: ({ bytes }) => onReply(bytes),
      // In a turn of its own: what else the process has to do comes in between.
      partner: (effect) => void setImmediate(() => this.partner(effect)),
    });
  }

  /** What the first server dials is up at once; the other need not dial as well. */
  private partner(effect: PartnerEffect): void {
    const { other, loop } = this;
    if (other === null) return;
    if (effect.kind === 'link-send') other.loop.feed({ kind: 'link-bytes', link: LINK, bytes: effect.bytes });
    else if (effect.kind === 'dial' && this.address === SERVER) {
      other.loop.feed({ kind: 'link-up', link: LINK, relationship: null });
      loop.feed({ kind: 'link-up', link: LINK, relationship: RELATIONSHIP });
    }
  }

  get isReady(): boolean {
    const relationship = this.engine.partners.named(RELATIONSHIP);
    return relationship?.state === 'normal' && relationship.exchange.updates.unacked === 0;
  }

  start(): void {
    this.loop.carryOut(this.engine.start(Date.now(), 1));
    this.loop.feed({ kind: 'interfaces', interfaces: [rehearsingInterface(this.address)] });
    this.loop.feed({ kind: 'deadline' });
  }
}

/** Resolves with the exchanges that were made, when a limit is reached. Never rejects. */
export async function rehearsePair(limits: RehearsalLimits = LIMITS): Promise<number> {
  const until = performance.now() + limits.milliseconds;
  let bound = 0;
  let asked = 0;
  let offers: Uint8Array[] = [];
  const onReply = (bytes: Uint8Array): void => {
    if (isOffer(bytes)) offers.push(bytes);
    else bound++;
  };
  const actors = [new Actor(SERVER, '0', onReply), new Actor(SERVER + 1, '1', onReply)] as const;
  actors[0].other = actors[1];
  actors[1].other = actors[0];
  for (const actor of actors) actor.start();
  for (let turn = 0; turn < GREETING_TURNS && !actors.every((actor) => actor.isReady); turn++)
    await nextTurn();
  const hear = (bytes: Uint8Array): void => {
    for (const { loop } of actors) {
      loop.feed({ kind: 'datagram', interface: 'eth0', bytes, from: SERVER + 9, fromPort: 67 });
    }
  };
  for (let client = 0; client < limits.exchanges && performance.now() < until; ) {
    for (let i = 0; i < AT_ONCE; i++) hear(request(client++, MessageType.DISCOVER, []));
    const taken = offers;
    offers = [];
    asked += taken.length;
    for (const offer of taken) hear(answerTo(offer));
    await nextTurn();
  }
  for (let turn = 0; turn < LAST_TURNS && bound < asked; turn++) await nextTurn();
  for (const { loop } of actors) loop.stop();
  return bound;
}
