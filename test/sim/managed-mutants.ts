// Faults put in on purpose into a pair whose operators never rest: edits, changes that both carry out, shutdown, clones,
// and what a partner that has forgotten may be believed (failover.md §3 to §6), broken one by one.

import type { Engine } from '../../src/engine/engine.js';
import type { Input } from '../../src/engine/input.js';
import type { ScopeEntry, Settings } from '../../src/engine/scopes.js';
import type { Transaction } from '../../src/failover/management.js';
import type { Mutation } from './mutant.js';
import { bentPair } from './pair-mutants.js';

/** Serve scopes by other entries than those that are known. */
function serveBy(engine: Engine, change: (entry: ScopeEntry) => ScopeEntry): void {
  const reindex = engine.reindex.bind(engine);
  engine.reindex = (settings, meanwhile) => {
    const scopes = new Map([...settings.scopes].map(([scopeId, entry]) => [scopeId, change(entry)]));
    reindex({ ...settings, scopes }, () => {
      Object.defineProperty(engine.index, 'settings', { value: settings satisfies Settings });
      meanwhile?.();
    });
  };
}

type Answer = Extract<Input, { kind: 'manage-answer' }>;

/** What comes of no answer, when this server has asked about a change in that phase. */
function answerSilence(engine: Engine, input: Input, said: (engine: Engine) => object | null): Input {
  if (input.kind !== 'manage-answer' || input.answer.ok || input.answer.heard) return input;
  const document = said(engine);
  if (document === null) return input;
  return { ...input, answer: { ok: true, document: JSON.stringify(document) } } satisfies Answer;
}

function transactions({ management }: Engine): readonly Transaction[] {
  return [...management.transactions.values()];
}

export const MANAGED_MUTANTS: readonly Mutation[] = [
  {
    name: 'use an edit before the partner has it',
    seed: 34,
    caughtBy: ['both-versions', 'promise', 'offer', 'allowed'],
    engine: (engine) => serveBy(engine, ({ settings, revision }) => ({ settings, revision })),
  },
  {
    name: 'keep an edit to oneself',
    seed: 4,
    caughtBy: ['agreed', 'both-versions', 'served'],
    engine: ({ replication }) => {
      replication.noted = (plan) => plan;
    },
  },
  {
    name: 'go on serving what is being given up',
    seed: 21,
    caughtBy: ['one-server', 'promise', 'offer'],
    engine: ({ management }) => {
      management.isGivenUp = () => false;
    },
  },
  {
    name: 'take silence for a promise',
    caughtBy: ['one-server', 'agreed', 'converged', 'promise', 'offer', 'served'],
    input: (engine, input) =>
      answerSilence(engine, input, () => (transactions(engine).length === 0 ? {} : null)),
  },
  {
    name: 'decide without a record',
    seed: 220,
    caughtBy: ['one-server', 'agreed', 'converged', 'promise', 'offer', 'served', 'rule-A'],
    writes: (writes) =>
      writes.filter((write) => {
        const isDecision = write.table === 'settings' && write.key.startsWith('manage/');
        return !isDecision || (write.value as Transaction | undefined)?.phase !== 'committed';
      }),
  },
  {
    name: 'take silence for an abort',
    seed: 94,
    caughtBy: ['one-server', 'agreed', 'converged', 'promise', 'offer', 'served', 'rule-A'],
    input: (engine, input) =>
      answerSilence(engine, input, () => {
        const doubt = transactions(engine).find(({ phase }) => phase === 'prepared');
        return doubt ? { decision: 'aborted', serverId: doubt.proposal.coordinator.serverId } : null;
      }),
  },
  {
    name: 'grant by a new lead time at once',
    seed: 458,
    caughtBy: ['rule-A'],
    engine: bentPair((relationship) => {
      Object.defineProperty(relationship, 'grantMcltSeconds', {
        get: () => relationship.record.settings.mcltSeconds,
      });
    }),
  },
  {
    name: 'leave dialling to the partner before it was met',
    seed: 31,
    caughtBy: ['clones-silent', 'promise', 'offer'],
    engine: bentPair((relationship) => {
      Object.defineProperty(relationship, 'dials', {
        get: () => relationship.record.role !== 'secondary',
      });
    }),
  },
  {
    name: 'keep what was settled, whatever the partner had decided',
    seed: 24,
    caughtBy: ['agreed', 'converged', 'one-server', 'served'],
    engine: ({ management }) => {
      management.settling.ended = ({ proposal: { tx } }, _decided, then) => {
        management.forget(tx);
        return then.length >= 0;
      };
    },
  },
  {
    name: 'serve on what the partner has ended',
    seed: 66,
    caughtBy: ['one-server', 'promise', 'offer', 'converged'],
    engine: (engine) => {
      const { management } = engine;
      management.endings.heard = (call) => engine.push(management.replyOf(call, {}));
      management.endedByPartner = () => undefined;
    },
  },
  {
    name: 'go on though taken for a clone',
    seed: 29,
    caughtBy: ['clones-silent', 'promise', 'offer'],
    engine: bentPair((relationship) => {
      relationship.takenForClone = () => undefined;
    }),
  },
  {
    name: 'answer in SHUTDOWN',
    seed: 5,
    caughtBy: ['silent-states'],
    engine: bentPair((relationship) => {
      const service = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(relationship), 'service')!;
      const usual = service.get!.bind(relationship);
      Object.defineProperty(relationship, 'service', {
        get: () =>
          relationship.state === 'shutdown' ? { answers: 'all', allocates: 'own', probes: false } : usual(),
      });
    }),
  },
  {
    name: 'come back from SHUTDOWN as from a pause',
    seed: 20,
    caughtBy: ['moves', 'promise', 'offer', 'one-owner', 'converged'],
    engine: bentPair((relationship) => {
      const take = relationship.take.bind(relationship);
      relationship.take = (event) => {
        take(event);
        const { record, state } = relationship;
        if (state !== 'shutdown') return;
        const stored = {
          ...record.stored,
          savedState: 'communications-interrupted',
          beforeShutdown: null,
          shutdownAt: 0,
        } as const;
        relationship.record = { ...record, stored };
      };
    }),
  },
  {
    name: 'believe any update about the owner',
    setting: 'pair',
    seed: 71,
    caughtBy: ['handovers', 'one-owner', 'promise', 'offer'],
    engine: bentPair(({ exchange }, _, { table }) => {
      const received = exchange.received.bind(exchange);
      exchange.received = (link, xid, bindings) => {
        const believed = bindings.map((binding) => {
          const mine = table.get(binding.address);
          const known = mine?.handover ?? 0;
          const other = binding.owner !== (mine?.owner ?? 1) && binding.handover <= known;
          return other ? { ...binding, handover: known + 1 } : binding;
        });
        received(link, xid, believed);
      };
    }),
  },
];
