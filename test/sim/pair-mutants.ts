// Faults put in on purpose into a pair: rules A to E of failover.md §2, its states, owners, acceptance grid, marks and
// eager updates, broken one by one. Each bends the relationship of a real engine, or what it says to its partner.

import type { Effect } from '../../src/engine/effect.js';
import type { Engine } from '../../src/engine/engine.js';
import type { Authority } from '../../src/failover/authority.js';
import type { RelationshipRecord } from '../../src/failover/record.js';
import type { Relationship } from '../../src/failover/relationship.js';
import type { Event } from '../../src/failover/states.js';
import type { Lease } from '../../src/lease/lease.js';
import { MessageType } from '../../src/wire/message.js';
import { encodeFrame, FrameReader } from '../../src/wire/partner.js';
import type { PartnerMessage } from '../../src/wire/partner-message.js';
import { ACCEPTED } from '../../src/wire/partner-values.js';
import type { Mutation } from './mutant.js';
import { isMessage, refuse } from './mutant.js';
import { PAIR_NAME } from './pair.js';

/** Bend the relationship of an engine and what it allows, from its making on. */
export function bentPair(change: (relationship: Relationship, authority: Authority, engine: Engine) => void) {
  return (engine: Engine): void => {
    const { partners } = engine;
    const load = partners.load.bind(partners);
    partners.load = (record) => {
      load(record);
      const relationship = partners.named(record.settings.name)!;
      const [scopeId] = record.settings.scopes;
      change(relationship, partners.authorityOf(scopeId ?? ''), engine);
    };
  };
}

function always<T extends object>(what: T, name: keyof T, value: unknown): void {
  Object.defineProperty(what, name, { get: () => value });
}

/** Bend each record that is stored. */
function everyRecord(engine: Engine, change: (lease: Lease) => Lease): void {
  const put = engine.putLease.bind(engine);
  engine.putLease = (lease) => put(change(lease));
}

/** What is said to the partner, changed message by message. */
function changeMessages(
  effects: readonly Effect[],
  change: (message: PartnerMessage) => PartnerMessage,
): Effect[] {
  return effects.map((effect) => {
    if (effect.kind === 'commit') {
      const then = changeMessages(effect.then, change);
      return { ...effect, then };
    }
    if (effect.kind !== 'link-send') return effect;
    const { xid, message } = frameOf(effect.bytes);
    if (message.kind === 'unknown') return effect;
    return { ...effect, bytes: encodeFrame({ xid, message: change(message) }) };
  });
}

/** Messages of a kind leave before the commit that they wait for. */
function hurry(effects: readonly Effect[], kind: PartnerMessage['kind']): Effect[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== 'commit') return [effect];
    const early = effect.then.filter((each) => isFrame(each, kind));
    const then = effect.then.filter((each) => !isFrame(each, kind));
    return [...early, { ...effect, then }];
  });
}

function isFrame(effect: Effect, kind: PartnerMessage['kind']): boolean {
  return effect.kind === 'link-send' && frameOf(effect.bytes).message.kind === kind;
}

function frameOf(bytes: Uint8Array) {
  const reader = new FrameReader();
  reader.push(bytes);
  return reader.next()!;
}

/** An event is taken for another one. */
function mistake(relationship: Relationship, change: (event: Event) => Event): void {
  const take = relationship.take.bind(relationship);
  relationship.take = (event) => take(change(event));
}

export const PAIR_MUTANTS: readonly Mutation[] = [
  {
    name: 'tell clients more than rule A allows',
    seed: 1,
    caughtBy: ['rule-A'],
    engine: bentPair((_, authority) => {
      authority.leaseSeconds = (_binding, full) => full.seconds;
    }),
  },
  {
    name: 'tell the partner less than the client (rule B)',
    seed: 2,
    caughtBy: ['rule-A', 'rule-B'],
    engine: bentPair((_, authority) => {
      const stored = authority.stored.bind(authority);
      authority.stored = (lease, full) => ({ ...stored(lease, full), sentPetAt: lease.lastTransactionAt });
    }),
  },
  {
    name: 'send updates before they are on disk (rule C)',
    seed: 1,
    caughtBy: ['rule-C'],
    engine: bentPair(({ exchange: { updates } }) => {
      const ready = updates.ready.bind(updates);
      updates.ready = (_, room) => ready(Number.POSITIVE_INFINITY, room);
    }),
  },
  {
    name: 'acknowledge updates before they are on disk (rule C)',
    seed: 1,
    caughtBy: ['rule-C'],
    effects: (_engine, _input, effects) => hurry(effects, 'bnd-ack'),
  },
  {
    name: 'tell a state before it is on disk (rule C)',
    seed: 1,
    caughtBy: ['rule-C'],
    effects: (_engine, _input, effects) => hurry(effects, 'state'),
  },
  {
    name: "free what ended without the partner's word (rule C)",
    seed: 1,
    caughtBy: ['freed', 'promise', 'offer', 'served'],
    engine: bentPair((_, authority) => Object.assign(authority, { afterEnd: () => 'free' })),
  },
  {
    name: 'revive what the partner may give away (rule C)',
    seed: 24,
    caughtBy: ['freed', 'promise', 'offer', 'converged'],
    engine: bentPair((_, authority) => {
      authority.revives = () => true;
    }),
  },
  {
    name: 'forget what the partner told its client (rule D)',
    seed: 1,
    caughtBy: ['rule-D', 'converged', 'promise', 'offer'],
    engine: (engine) => everyRecord(engine, (lease) => ({ ...lease, endPartnerAt: 0 })),
  },
  {
    name: "use the partner's share at once (rule E)",
    seed: 6,
    caughtBy: ['rule-E', 'promise', 'offer', 'one-owner'],
    engine: bentPair(({ ruleE }) => always(ruleE, 'partnerFreeUsableAt', 0)),
  },
  {
    name: 'use the own share at once though out of touch (rule E)',
    seed: 6,
    caughtBy: ['rule-E', 'promise', 'offer'],
    engine: bentPair(({ ruleE }) => always(ruleE, 'ownFreeUsableAt', 0)),
  },
  {
    name: 'use what ended at once (rule E)',
    seed: 6,
    caughtBy: ['freed', 'promise', 'offer', 'no-nak'],
    engine: bentPair(({ ruleE }) => {
      ruleE.otherClientUsableAt = () => 1;
    }),
  },
  {
    name: 'give what is the partner’s',
    seed: 1,
    caughtBy: ['rule-E', 'promise', 'offer', 'one-owner', 'converged'],
    engine: bentPair((_, authority) => always(authority, 'sides', [1, 2])),
  },
  {
    name: 'own what was handed over still',
    seed: 1,
    caughtBy: ['handovers', 'promise', 'offer', 'one-owner', 'converged', 'rule-C', 'no-storm'],
    engine: bentPair((relationship, _, engine) =>
      everyRecord(engine, (lease) => {
        const mine = engine.table.get(lease.address);
        const given = lease.state === 'free' && lease.owner !== relationship.side;
        const kept = given && (mine?.owner ?? 1) === relationship.side && lease.address % 3 === 0;
        return kept ? { ...lease, owner: relationship.side } : lease;
      }),
    ),
  },
  {
    name: 'judge every update as in RECOVER',
    seed: 1,
    caughtBy: ['grid', 'promise', 'offer', 'converged', 'no-nak'],
    engine: bentPair((relationship) => {
      const context = relationship.judgeContext.bind(relationship);
      relationship.judgeContext = (...of) => ({ ...context(...of), inRecover: true });
    }),
  },
  {
    name: 'judge as if nothing of ours were under way',
    seed: 1,
    caughtBy: ['grid', 'promise', 'offer', 'converged', 'no-nak'],
    engine: bentPair((relationship) => {
      const context = relationship.judgeContext.bind(relationship);
      relationship.judgeContext = (...of) => ({ ...context(...of), ownUnanswered: false });
    }),
  },
  {
    name: 'take every end for past',
    seed: 1,
    caughtBy: ['grid', 'promise', 'offer', 'converged', 'no-nak'],
    engine: bentPair((relationship) => {
      const context = relationship.judgeContext.bind(relationship);
      relationship.judgeContext = (...of) => ({ ...context(...of), now: 2 ** 47 });
    }),
  },
  {
    name: 'acknowledge what it refuses',
    seed: 99,
    caughtBy: ['converged', 'promise', 'offer', 'rule-C'],
    effects: (_engine, _input, effects) =>
      changeMessages(effects, (message) => {
        if (message.kind !== 'bnd-ack') return message;
        return {
          ...message,
          results: message.results.map((result) => ({ ...result, rejectReason: ACCEPTED })),
        };
      }),
  },
  {
    name: 'acknowledge what it does not take',
    seed: 1,
    caughtBy: ['rule-C', 'converged', 'promise', 'offer'],
    engine: bentPair((relationship, _, engine) => {
      relationship.exchange.received = (link, xid, bindings) => {
        const results = bindings.map(({ address, revision }) => ({
          address,
          revision,
          rejectReason: ACCEPTED,
          text: '',
        }));
        const message = { kind: 'bnd-ack', results } as const;
        engine.push({ kind: 'link-send', link, bytes: encodeFrame({ xid, message }) });
      };
    }),
  },
  {
    name: 'take a refusal for an acceptance',
    seed: 1,
    caughtBy: ['freed', 'converged', 'promise', 'offer'],
    engine: bentPair(({ exchange }) => {
      const acknowledged = exchange.acknowledged.bind(exchange);
      exchange.acknowledged = (results) =>
        acknowledged(results.map((result) => ({ ...result, rejectReason: ACCEPTED })));
    }),
  },
  {
    name: 'refuse over and over',
    seed: 1,
    caughtBy: ['converged', 'no-storm'],
    engine: bentPair(({ exchange: { updates } }) => {
      updates.wasRefused = () => false;
      updates.mayReply = () => true;
    }),
  },
  {
    name: 'forget at a start what was not acknowledged',
    seed: 9,
    caughtBy: ['grid', 'converged', 'promise', 'offer'],
    engine: bentPair(({ exchange }) => {
      exchange.findUnacknowledged = () => undefined;
    }),
  },
  {
    name: 'forget what was under way when the link ended',
    seed: 98,
    caughtBy: ['grid', 'converged', 'promise', 'offer'],
    engine: bentPair(({ exchange: { updates } }) => {
      updates.linkLost = () => {
        for (const address of [...updates.addresses()]) updates.cancel(address);
      };
    }),
  },
  {
    name: 'answer UPDREQ with nothing',
    seed: 15,
    caughtBy: ['handovers', 'promise', 'offer', 'converged', 'no-nak', 'no-storm'],
    engine: bentPair((relationship, _, engine) => {
      relationship.exchange.asked = (xid) => {
        const message = { kind: 'upd-done', count: 0, refused: 0 } as const;
        const link = relationship.link ?? 0;
        engine.push({ kind: 'link-send', link, bytes: encodeFrame({ xid, message }) });
      };
    }),
  },
  {
    name: "not notice that the partner's store is another",
    seed: 10,
    caughtBy: ['forgotten', 'converged', 'promise', 'offer', 'no-storm'],
    engine: bentPair((relationship) => {
      const met = relationship.met.bind(relationship);
      relationship.met = (hello) => {
        const { serverId, nonce } = { ...hello, ...relationship.record.partner };
        met({ ...hello, serverId, nonce, storeLost: false });
      };
    }),
  },
  {
    name: 'keep the own id though the store is new',
    seed: 8,
    caughtBy: ['converged', 'served'],
    engine: bentPair((relationship) => {
      const met = relationship.met.bind(relationship);
      relationship.met = (hello) => {
        const { id, role } = relationship.record;
        met(hello);
        if (role !== 'secondary' && relationship.record.role === 'primary')
          relationship.record = { ...relationship.record, id };
      };
    }),
  },
  {
    name: 'give an offered address to others when its lease ends',
    seed: 73,
    caughtBy: ['recount', 'promise', 'offer'],
    engine: (engine) => {
      const { table } = engine;
      engine.putLease = (lease) => {
        table.put(lease);
        return { table: 'lease', address: lease.address, record: table.recordOf(lease.address) ?? null };
      };
    },
  },
  {
    name: 'not wait in RECOVER-WAIT',
    seed: 8,
    caughtBy: ['moves', 'promise', 'offer'],
    engine: bentPair((relationship) => always(relationship, 'recoverWaitUntilAt', 0)),
  },
  {
    name: 'answer in every state',
    seed: 1,
    caughtBy: ['silent-states'],
    engine: bentPair((relationship) =>
      always(relationship, 'service', { answers: 'all', allocates: 'own', probes: false }),
    ),
  },
  {
    name: 'refuse clients while silent',
    seed: 1,
    caughtBy: ['silent-states', 'no-nak'],
    effects: (engine, input, effects) => {
      const silent = engine.partners.all.some(({ service }) => service.answers === 'none');
      if (!silent || engine.paused || !isMessage(input, MessageType.REQUEST)) return effects;
      return effects.length > 0 ? effects : [refuse(input)];
    },
  },
  {
    name: 'refuse clients while out of contact',
    seed: 2,
    caughtBy: ['refusals', 'no-nak'],
    engine: bentPair((_, authority) => {
      authority.naks = () => true;
    }),
  },
  {
    name: 'take every silence for the partner’s end',
    seed: 1,
    caughtBy: ['moves', 'promise', 'offer', 'converged', 'one-owner'],
    engine: bentPair((relationship) => {
      const take = relationship.take.bind(relationship);
      relationship.take = (event) => {
        take(event);
        if (event === 'comms-lost' && relationship.state === 'communications-interrupted')
          take('operator:partner-down');
      };
    }),
  },
  {
    name: 'leave RECOVER without the leases',
    seed: 1,
    caughtBy: ['promise', 'offer', 'converged', 'moves', 'no-nak'],
    engine: bentPair((relationship) =>
      mistake(relationship, (event) =>
        relationship.state === 'recover' && event.startsWith('partner:') ? 'update-done' : event,
      ),
    ),
  },
  {
    name: 'take POTENTIAL-CONFLICT for NORMAL',
    seed: 40,
    caughtBy: ['moves', 'converged', 'promise', 'offer', 'one-owner'],
    engine: bentPair((relationship) =>
      mistake(relationship, (event) => (event === 'partner:potential-conflict' ? 'partner:normal' : event)),
    ),
  },
  {
    name: 'go from RECOVER-WAIT to NORMAL',
    seed: 12,
    caughtBy: ['moves'],
    engine: bentPair((relationship) => {
      const take = relationship.take.bind(relationship);
      relationship.take = (event) => {
        take(event);
        const { record, state } = relationship;
        if (state === 'recover-wait')
          relationship.record = { ...record, stored: { ...record.stored, state: 'normal' } };
      };
    }),
  },
  {
    name: 'wake up in CI whatever went before',
    seed: 10,
    caughtBy: ['moves', 'promise', 'offer', 'converged', 'one-owner'],
    crash: ({ settings }) => {
      const record = settings.get(`failover/${PAIR_NAME}`) as RelationshipRecord | undefined;
      if (record === undefined) return;
      const stored = {
        ...record.stored,
        state: 'communications-interrupted',
        savedState: 'communications-interrupted',
      } as const;
      settings.set(`failover/${PAIR_NAME}`, { ...record, stored });
    },
  },
  {
    name: "take the partner's clock for the own",
    seed: 8,
    caughtBy: ['promise', 'offer', 'converged', 'no-nak', 'rule-A'],
    engine: bentPair(({ contact }) => {
      contact.clock = () => ({ offsetMs: 0, uncertaintyMs: 0 });
    }),
  },
  {
    name: 'let the full lease out at once',
    seed: 2,
    caughtBy: ['rule-A', 'durable'],
    engine: bentPair(({ held }) => {
      held.hold = (ack) => ack.settle('full');
    }),
  },
  {
    name: 'let the full lease out when it is late',
    seed: 2,
    caughtBy: ['rule-A'],
    engine: bentPair(({ held }) => {
      const hold = held.hold.bind(held);
      held.hold = (ack) => hold({ ...ack, settle: (end) => ack.settle(end === 'short' ? 'full' : end) });
    }),
  },
  {
    name: 'let the full lease out though it is refused',
    seed: 32,
    caughtBy: ['rule-A', 'promise', 'durable'],
    engine: bentPair(({ held }) => {
      const hold = held.hold.bind(held);
      held.hold = (ack) => hold({ ...ack, settle: (end) => ack.settle(end === 'none' ? 'full' : end) });
    }),
  },
];
