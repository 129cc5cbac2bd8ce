// The state machine of a failover endpoint (draft-ietf-dhc-failover-12 §9, failover.md §3): reads the table of
// `state-table.ts`, and prints it. Nothing is stored, sent or timed here: `next` only says what is to happen.

import { TABLE } from './state-table.js';
import {
  ACTIONS,
  type Action,
  type Cell,
  type Choice,
  type Condition,
  choose,
  EVENTS,
  type Event,
  type Facts,
  isChoice,
  type SavedState,
  type Service,
  STATES,
  type State,
  type StateRow,
  type Verb,
} from './state-words.js';

export type {
  Action,
  Condition,
  Event,
  Facts,
  SavedState,
  Service,
  State,
  StateRow,
  ToldState,
} from './state-words.js';
export { ACTIONS, EVENTS, STATES } from './state-words.js';

/** The table, widened to its row type. */
export const ROWS: Readonly<Record<State, StateRow>> = TABLE;

export interface Outcome {
  readonly to: State;
  /** A transition: to be stored with its instant, then told. A state entered anew (PARTNER-DOWN) counts. */
  readonly moved: boolean;
  /** The state come back to from STARTUP, which keeps the instant at which it was entered. */
  readonly resumed: boolean;
  readonly actions: readonly Action[];
  readonly section: string;
  readonly why: string;
}

/** What `event` means in `state` (§9). Throws on a `never`: such an event is our own mistake, not the partner's. */
export function next(state: State, event: Event, facts: Facts): Outcome {
  const verb = choose<Verb>(ROWS[state].on[event], facts);
  switch (verb.verb) {
    case 'stay':
      return {
        to: state,
        moved: false,
        resumed: false,
        actions: verb.actions,
        section: verb.section,
        why: verb.why,
      };
    case 'go':
      return {
        to: verb.to,
        moved: true,
        resumed: false,
        actions: verb.actions,
        section: verb.section,
        why: '',
      };
    case 'wake':
      return wake(event, verb.section, facts);
    case 'as-named':
      return facts.partnerNamed === null
        ? {
            to: state,
            moved: false,
            resumed: false,
            actions: [],
            section: verb.section,
            why: 'it names no state',
          }
        : next(state, `partner:${facts.partnerNamed}`, facts);
    case 'never':
      throw new Error(`${event} in ${state.toUpperCase()}: ${verb.why}`);
  }
}

function wake(event: Event, section: string, facts: Facts): Outcome {
  const saved = facts.savedState;
  if (event === 'startup-over') {
    return {
      to: saved,
      moved: true,
      resumed: true,
      actions: wakingActions(saved, 'alone'),
      section,
      why: '',
    };
  }
  const there = next(saved, event, facts);
  const actions = there.to === saved ? [...wakingActions(saved, 'met'), ...there.actions] : there.actions;
  return { ...there, moved: true, resumed: !there.moved, actions, section: `${section}, ${there.section}` };
}

// Waits that belong to a state run again when STARTUP ends in it.
function wakingActions(saved: SavedState, partner: 'alone' | 'met'): readonly Action[] {
  if (saved === 'recover-wait') return ['start-recover-wait'];
  if (saved === 'communications-interrupted' && partner === 'alone') return ['start-safe-period'];
  return [];
}

/** Whom `state` answers under these facts. Scopes served before the first NORMAL are the engine's exception. */
export function serviceOf(state: State, facts: Facts): Service {
  return choose<Service>(ROWS[state].service, facts);
}

/** What `state` comes back to: "communications failed" (§9.3.2 step 2); null: the saved state is kept as it is. */
export function savedFrom(state: State): SavedState | null {
  if (state === 'startup' || state === 'paused' || state === 'shutdown') return null;
  if (state === 'normal') return 'communications-interrupted';
  if (state === 'potential-conflict') return 'resolution-interrupted';
  return state;
}

/** The whole table as text, to be read beside §9 and Figure 9.2-1. */
export function describeTable(): string {
  const lines = [
    'States of a failover endpoint (draft-ietf-dhc-failover-12 §9; ▲ = decided otherwise, or added, by failover.md §3)',
    '',
    'A line: event, then what it does. "stay" and "-> STATE" are followed by the section and, in brackets, by what is',
    'to be done. Conditions stand in front, "or else" is the rest. "wake" leaves STARTUP for the saved state, which',
    'then takes the same event. "never" cannot happen: nothing of the kind runs in that state.',
  ];
  for (const state of STATES) {
    const row = ROWS[state];
    lines.push('', `${state.toUpperCase()}  ${row.section}; updates: ${row.updates}`);
    for (const [path, service] of leaves<Service>(row.service)) {
      const probing = service.probes ? ', probing each' : '';
      lines.push(`  ${path}answers ${service.answers}, allocates ${service.allocates}${probing}`);
    }
    for (const event of EVENTS) lines.push(...describeCell(event, row.on[event]));
  }
  lines.push('', 'What is to be done');
  for (const [action, text] of Object.entries(ACTIONS)) lines.push(`  ${action.padEnd(24)}${text}`);
  return `${lines.join('\n')}\n`;
}

function describeCell(event: Event, cell: Cell): string[] {
  return leaves<Verb>(cell).map(
    ([path, verb], index) => `  ${(index === 0 ? event : '').padEnd(36)}${path}${describeVerb(verb)}`,
  );
}

function describeVerb(verb: Verb): string {
  switch (verb.verb) {
    case 'stay':
    case 'go': {
      const where = verb.verb === 'go' ? `-> ${verb.to.toUpperCase()}` : 'stay';
      const actions = verb.actions.length === 0 ? '' : ` [${verb.actions.join(', ')}]`;
      const why = verb.verb === 'stay' && verb.why !== '' ? `: ${verb.why}` : '';
      return `${where}  ${verb.section}${actions}${why}`;
    }
    case 'wake':
      return `wake  ${verb.section}`;
    case 'as-named':
      return `as the state that it names  ${verb.section}`;
    case 'never':
      return `never: ${verb.why}`;
  }
}

// Each end of a choice with the words that lead to it.
function leaves<T extends object>(value: T | Choice<T>, path: readonly Condition[] = []): [string, T][] {
  if (!isChoice<T>(value)) {
    const words = path.map((condition) => `if ${condition}`).join(' and ');
    return [[words === '' ? '' : `${words}: `, value]];
  }
  const yes = leaves<T>(value.yes, [...path, value.condition]);
  const no = leaves<T>(value.no, path).map(([words, leaf]): [string, T] => [
    words.startsWith('or ') ? words : `or ${words === '' ? 'else: ' : words}`,
    leaf,
  ]);
  return [...yes, ...no];
}
