// The faults put in on purpose: each must be found by a checker named here, or the checkers are blind. They bend the
// engine from outside, the disk, the clock, or the order in which a server acts.

import type { Effect, SendDatagram } from '../../src/engine/effect.js';
import type { Engine } from '../../src/engine/engine.js';
import type { Input } from '../../src/engine/input.js';
import { MessageType } from '../../src/wire/message.js';
import { WORLD_BEGINS_MS } from './machine.js';
import { MANAGED_MUTANTS } from './managed-mutants.js';
import { isMessage, type Mutation, refuse } from './mutant.js';
import { ciaddrOf, requestedOf, typeOf, withLeaseSeconds, withMac, yiaddrOf } from './packets.js';
import { PAIR_MUTANTS } from './pair-mutants.js';

type Served = Engine['index']['all'][number];

/** Bend every scope that the engine ever serves. */
function everyScope(engine: Engine, change: (served: Served) => void): void {
  let index = engine.index;
  const bent = new WeakSet<object>();
  Object.defineProperty(engine, 'index', {
    get: () => index,
    set: (next: Engine['index']) => {
      index = next;
      for (const served of next.all) {
        if (bent.has(served)) continue;
        bent.add(served);
        change(served);
      }
    },
  });
}

/** The same effects with every datagram changed that is an ACK. */
function changeAcks(effects: readonly Effect[], change: (send: SendDatagram) => Uint8Array): Effect[] {
  return effects.map((effect) => {
    if (effect.kind === 'commit') {
      const then = changeAcks(effect.then, change);
      return { ...effect, then };
    }
    if (effect.kind !== 'send' || typeOf(effect.bytes) !== MessageType.ACK) return effect;
    return { ...effect, bytes: change(effect) };
  });
}

/** The packet as if the holder of the address had sent it. */
function asTheHolder(engine: Engine, input: Input, address: number): Input {
  const lease = engine.table.get(address);
  if (input.kind !== 'datagram' || lease?.state !== 'active' || lease.clientId !== null) return input;
  return { ...input, bytes: withMac(input.bytes, lease.hardwareAddress) };
}

let told = 0;
let lease = 0;

export const MUTANTS: readonly Mutation[] = [
  { name: 'send before commit', caughtBy: ['durable'], sendsBeforeCommit: true },
  {
    name: 'lose a write',
    caughtBy: ['durable', 'same-on-disk'],
    writes: (writes) => writes.filter((write) => write.table !== 'lease' || ++lease % 10 !== 0),
  },
  {
    name: 'forget records in a crash',
    seed: 3,
    caughtBy: ['promise', 'offer'],
    crash: ({ leases }) => {
      for (const address of leases.keys()) if (address % 3 === 0) leases.delete(address);
    },
  },
  {
    name: 'expire early',
    seed: 11,
    caughtBy: ['promise', 'offer', 'no-nak'],
    engine: ({ table }) => {
      const expired = table.expired.bind(table);
      const next = table.nextExpiryAt.bind(table);
      table.expired = (at, max) => expired(at + 15_000, max);
      table.nextExpiryAt = () => {
        const at = next();
        return at === undefined ? undefined : at - 15_000;
      };
    },
  },
  {
    name: 'never expire',
    caughtBy: ['served'],
    engine: ({ table }) => {
      table.expired = () => [];
      table.nextExpiryAt = () => undefined;
    },
  },
  {
    name: 'hand out an active address',
    seed: 3,
    caughtBy: ['promise', 'offer'],
    engine: (engine) =>
      everyScope(engine, ({ scope, pools }) => {
        const take = pools.take.bind(pools);
        pools.take = (pool, side) => {
          const address = take(pool, side);
          if (address !== undefined) return address;
          for (let other = scope.network; other < scope.broadcast; other++) {
            if (engine.table.stateOf(other) === 'active') return other;
          }
          return undefined;
        };
      }),
  },
  {
    name: 'give any address that is asked for',
    seed: 3,
    caughtBy: ['promise', 'offer'],
    engine: (engine) =>
      everyScope(engine, ({ pools }) => {
        pools.takeSpecific = () => true;
      }),
  },
  {
    name: 'ignore reservations',
    seed: 5,
    caughtBy: ['allowed'],
    engine: (engine) =>
      everyScope(engine, ({ scope, pools }) => {
        const take = pools.take.bind(pools);
        const reserved = new Set(scope.settings.reservations.map(({ address }) => address));
        if (reserved.size === 0) return;
        scope.reservationAt = () => undefined;
        pools.take = (pool, side) => {
          const spare = scope.settings.reservations[0]?.address.split('.').map(Number) ?? [];
          const address = ((spare[0]! << 24) | (spare[1]! << 16) | (spare[2]! << 8) | spare[3]!) >>> 0;
          return engine.table.has(address) ? take(pool, side) : address;
        };
      }),
  },
  {
    name: 'keep no offer back',
    seed: 18,
    caughtBy: ['recount', 'served'],
    engine: (engine) =>
      everyScope(engine, ({ pools }) => {
        pools.giveBack = () => undefined;
      }),
  },
  {
    name: 'clock too fast',
    seed: 1,
    caughtBy: ['promise', 'offer', 'durable', 'no-nak'],
    clock: (at) => at + Math.floor((at - WORLD_BEGINS_MS) / 20),
  },
  {
    name: 'start by the wall clock',
    seed: 33,
    caughtBy: ['promise', 'offer', 'durable', 'silent', 'no-nak'],
    mark: () => null,
  },
  {
    name: 'answer while paused',
    seed: 5,
    caughtBy: ['silent'],
    engine: (engine) => Object.defineProperty(engine, 'paused', { get: () => false, set: () => undefined }),
  },
  {
    name: 'answer while the clock is held',
    seed: 1,
    caughtBy: ['silent'],
    engine: (engine) =>
      Object.defineProperty(engine, 'clockHeld', { get: () => false, set: () => undefined }),
  },
  {
    name: 'refuse what it does not know',
    seed: 1,
    setting: 'two-apart',
    caughtBy: ['no-nak', 'silent'],
    effects: (engine, input, effects) => {
      if (!isMessage(input, MessageType.REQUEST) || effects.length > 0 || engine.paused) return effects;
      return engine.table.has(requestedOf(input.bytes)) ? effects : [refuse(input)];
    },
  },
  {
    name: 'refuse renewals',
    caughtBy: ['no-nak'],
    effects: (engine, input, effects) => {
      if (!isMessage(input, MessageType.REQUEST) || ciaddrOf(input.bytes) === 0 || engine.paused)
        return effects;
      return ciaddrOf(input.bytes) % 5 === 0 ? [...effects, refuse(input)] : effects;
    },
  },
  {
    name: 'believe a RELEASE of anybody',
    seed: 20,
    caughtBy: ['promise', 'offer'],
    input: (engine, input) =>
      isMessage(input, MessageType.RELEASE) ? asTheHolder(engine, input, ciaddrOf(input.bytes)) : input,
  },
  {
    name: 'believe a DECLINE of anybody',
    seed: 20,
    caughtBy: ['promise', 'offer', 'no-nak'],
    input: (engine, input) =>
      isMessage(input, MessageType.DECLINE) ? asTheHolder(engine, input, requestedOf(input.bytes)) : input,
  },
  {
    name: 'tell more than is written',
    caughtBy: ['durable'],
    effects: (_engine, _input, effects) => changeAcks(effects, ({ bytes }) => withLeaseSeconds(bytes, 1.25)),
  },
  {
    name: 'acknowledge another address',
    caughtBy: ['durable', 'promise'],
    effects: (_engine, _input, effects) =>
      changeAcks(effects, ({ bytes }) => {
        const copy = bytes.slice();
        if (yiaddrOf(bytes) % 7 === 0) copy[19] = copy[19]! ^ 1;
        return copy;
      }),
  },
  {
    name: 'do otherwise the second time',
    caughtBy: ['replay'],
    effects: (_engine, _input, effects) => {
      told++;
      return changeAcks(effects, ({ bytes }) => {
        const copy = bytes.slice();
        copy[copy.length - 1] = told & 255;
        return copy;
      });
    },
  },
  {
    name: 'hold nobody to the ranges',
    seed: 3,
    caughtBy: ['allowed'],
    engine: (engine) =>
      everyScope(engine, ({ scope, pools }) => {
        const take = pools.take.bind(pools);
        pools.take = (pool, side) => take(pool, side) ?? scope.network + 250;
      }),
  },
];

export function mutantOf(name: string): Mutation {
  const all = [...MUTANTS, ...PAIR_MUTANTS, ...MANAGED_MUTANTS];
  const found = all.find((mutant) => mutant.name === name);
  if (found === undefined)
    throw new Error(`no mutant "${name}"; there are: ${all.map((m) => m.name).join(', ')}`);
  return found;
}
