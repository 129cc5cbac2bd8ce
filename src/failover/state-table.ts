// The state machine of a failover endpoint as one total table (draft-ietf-dhc-failover-12 §9.3 to §9.14, in its order).
// ▲ marks what failover.md §3 decides otherwise or adds, with the name of its paragraph where it has one; "Figure"
// is Figure 9.2-1 where the text is silent. A change of the partner's state while in contact is "communications failed"
// and "communications OK" at once (§9.2): a cell holds where the two lead together.
//
// Each `go` is stored with its instant before it acts or is told, and every held ACK is settled first. No state lies
// beside this table: what else a cell depends on is a named condition in it.

import {
  ASK,
  ASK_OR_CONFLICT,
  BALANCED,
  CONFLICT_OVER,
  conflict,
  conflictDone,
  EVERYONE,
  EVERYTHING,
  everyPartner,
  FLAGGED,
  LEAVE_STARTUP,
  leaveStartup,
  NOBODY,
  NORMAL_ENTRY,
  NOT_HERE,
  OWN_WILL,
  RENEWING,
  SHUTDOWN_IN_CONTACT,
  STARTUP_OVER,
  STORES,
  STORES_WHILE_AWAY,
  unlessAlone,
  unlessLost,
  WAIT_AGAIN,
} from './state-cells.js';
import { asNamed, go, type State, type StateRow, stay, when } from './state-words.js';

export const TABLE = {
  startup: {
    section: '§9.3',
    service: NOBODY,
    updates: 'none',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.3.2', 'startupWait goes on'),
      ...everyPartner(LEAVE_STARTUP),
      'partner:startup': asNamed('▲ §3'),
      'partner:partner-down': leaveStartup(conflict('§9.3.2 step 5')),
      'startup-over': STARTUP_OVER,
      'operator:partner-down': LEAVE_STARTUP,
      ...STORES_WHILE_AWAY,
    },
  },

  'partner-down': {
    section: '§9.4',
    service: when('partner in recover-done', EVERYONE, unlessAlone(EVERYTHING)),
    updates: 'send',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.4.2'),
      ...everyPartner(conflict('§9.4.3')),
      'partner:startup': FLAGGED,
      'partner:conflict-done': conflictDone('§9.4.3'),
      'partner:recover': stay('§9.4.3'),
      'partner:recover-wait': stay('§9.4.3'),
      // Asked first: where nothing waits for an answer, withdrawing is over at once, and only the open question is left.
      'partner:recover-done': stay('▲ Leaving PD', 'NORMAL once every update is answered', [
        'send-updreq',
        'withdraw-partner-share',
      ]),
      'partner:paused': stay('§9.4.3'),
      'partner:shutdown': stay('§9.4.3'),
      'everything-answered': when(
        'partner in recover-done',
        when(
          'request open',
          stay('▲ Leaving PD', 'UPDDONE first'),
          go('normal', '§9.4.3, ▲ Leaving PD', NORMAL_ENTRY),
        ),
        stay('▲ Leaving PD', 'the partner has left RECOVER-DONE'),
      ),
      'update-done': stay('▲ Leaving PD', 'whether all is answered is asked again', [
        'withdraw-partner-share',
      ]),
      'operator:partner-down': when(
        'alone',
        go('partner-down', '▲ Starting without contact', ['hold-own-share']),
        stay('§9.4', 'declared already'),
      ),
      ...STORES,
    },
  },

  recover: {
    section: '§9.5',
    service: NOBODY,
    updates: 'on-request',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.5.2', 'the request is made again on contact'),
      ...everyPartner(ASK),
      'partner:startup': FLAGGED,
      'partner:potential-conflict': ASK_OR_CONFLICT,
      'partner:conflict-done': when(
        'store lost',
        stay('▲ Lost or rolled-back store', '', ['send-updreqall']),
        conflictDone('§9.5.2'),
      ),
      'partner:resolution-interrupted': ASK_OR_CONFLICT,
      'update-done': when(
        'never normal',
        go('recover-done', '§9.6.2, ▲ New', ['recheck-partner']),
        go('recover-wait', '§9.5.2', ['start-recover-wait']),
      ),
      // A store that never met the partner may be one that was lost (▲ New says no more than that it is silent until then).
      'operator:partner-down': go('partner-down', '▲ Lost or rolled-back store', [
        'received-only',
        'hold-own-share',
      ]),
      ...STORES,
      'partner-store-lost': stay('▲ §1', '', ['clear-acked-pets', 'wait-from-now']),
    },
  },

  'recover-wait': {
    section: '§9.6',
    service: NOBODY,
    updates: 'send',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.6.2'),
      ...everyPartner(stay('§9.6.2')),
      'partner:startup': FLAGGED,
      'partner:potential-conflict': stay('§9.6.2', 'RECOVER-DONE takes it up'),
      'partner:conflict-done': stay('§9.6.2', 'RECOVER-DONE takes it up'),
      'partner:resolution-interrupted': stay('§9.6.2', 'RECOVER-DONE takes it up'),
      'wait-over': go('recover-done', '§9.6.2', ['recheck-partner']),
      'operator:partner-down': go('partner-down', '▲ §3', ['hold-own-share']),
      ...STORES,
      'partner-store-lost': stay('▲ §1', '', ['clear-acked-pets', 'wait-from-now']),
    },
  },

  'recover-done': {
    section: '§9.7',
    service: RENEWING,
    updates: 'send',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.7.2'),
      'partner:startup': FLAGGED,
      'partner:normal': when(
        'request open',
        stay('▲ §1', 'it may still have to tell what it gave of my share'),
        go('normal', '§9.7.2', NORMAL_ENTRY),
      ),
      'partner:communications-interrupted': stay('Figure', 'it goes to NORMAL when it hears RECOVER-DONE'),
      'partner:partner-down': stay('Figure', 'it goes to NORMAL when every update is answered'),
      'partner:potential-conflict': conflict('Figure'),
      'partner:conflict-done': conflictDone('▲ §3'), // staying, neither would ever move
      'partner:resolution-interrupted': conflict('▲ §3'),
      'partner:recover': unlessLost(
        stay('§9.7.2', 'not the figure: it may still have to tell', ['send-updreq']),
      ),
      'partner:recover-wait': unlessLost(
        stay('§9.7.2', 'not the figure: it may still have to tell', ['send-updreq']),
      ),
      'partner:recover-done': stay('§9.7.2, ▲ §1', 'NORMAL on UPDDONE', ['send-updreq']),
      'partner:paused': stay('Figure'),
      'partner:shutdown': go('partner-down', '▲ Orderly stop', ['hold-own-share']),
      'update-done': when(
        'partner in recover-done or normal',
        go('normal', '§9.7.2', NORMAL_ENTRY),
        stay('§9.7.2'),
      ),
      'operator:partner-down': go('partner-down', '▲ §1', ['hold-own-share']), // the partner used it until now
      ...STORES,
      'partner-store-lost': when(
        'partner last seen in partner-down',
        WAIT_AGAIN,
        when('long apart', WAIT_AGAIN, stay('▲ Lost or rolled-back store', '', ['clear-acked-pets'])),
      ),
    },
  },

  normal: {
    section: '§9.8',
    service: BALANCED,
    updates: 'send',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': go('communications-interrupted', '§9.8.4', ['start-safe-period']),
      'partner:startup': FLAGGED,
      'partner:normal': stay('§9.8.4'),
      'partner:communications-interrupted': stay('§9.8.4, §9.9.3', 'it has not heard of NORMAL', [
        'tell-state',
      ]),
      'partner:partner-down': conflict('§9.8.4, §9.9.3'),
      'partner:potential-conflict': conflict('§9.8.4, §9.9.3'),
      'partner:conflict-done': when(
        'primary',
        conflictDone('§9.8.4, §9.9.3'),
        stay('§9.8.4', 'it waits to hear of NORMAL', ['tell-state']),
      ),
      'partner:resolution-interrupted': conflict('§9.8.4, §9.9.3'),
      'partner:recover': go('communications-interrupted', '§9.8.4, §9.9.3'),
      'partner:recover-wait': go('communications-interrupted', '§9.8.4, §9.9.3'),
      'partner:recover-done': stay('§9.8.4, §9.9.3', 'it has not heard of NORMAL', ['tell-state']),
      'partner:paused': go('communications-interrupted', '§9.8.4'),
      'partner:shutdown': go('partner-down', '§9.8.4'),
      'operator:partner-down': go('partner-down', '§9.8.4'),
      'operator:shutdown': SHUTDOWN_IN_CONTACT,
      ...STORES,
    },
  },

  'communications-interrupted': {
    section: '§9.9',
    service: unlessAlone(EVERYONE),
    updates: 'send',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.9.1', '', ['start-safe-period']),
      'partner:startup': stay('▲ §3', 'a STATE with the STARTUP flag moves nobody else', [
        'stop-safe-period',
      ]),
      'partner:normal': go('normal', '§9.9.3', NORMAL_ENTRY),
      'partner:communications-interrupted': go('normal', '§9.9.3', NORMAL_ENTRY),
      'partner:partner-down': conflict('§9.9.3'),
      'partner:potential-conflict': conflict('§9.9.3'),
      'partner:conflict-done': conflictDone('§9.9.3'),
      'partner:resolution-interrupted': conflict('§9.9.3'),
      'partner:recover': stay('§9.9.3', '', ['stop-safe-period']),
      'partner:recover-wait': stay('Figure', '', ['stop-safe-period']),
      'partner:recover-done': go('normal', '§9.9.3', NORMAL_ENTRY),
      // It was in PARTNER-DOWN when it was paused or shut down, and comes back to that.
      'partner:paused': when(
        'partner unheard since partner-down',
        go('resolution-interrupted', '▲ §1'),
        stay('§9.9.3', '', ['stop-safe-period']),
      ),
      'partner:shutdown': when(
        'partner unheard since partner-down',
        go('resolution-interrupted', '▲ §1'),
        go('partner-down', '§9.9.3'),
      ),
      'safe-period-over': when(
        'alone',
        go('partner-down', '§9.9.3, ▲ Starting without contact', ['hold-own-share']),
        go('partner-down', '§9.9.3'),
      ),
      'operator:partner-down': when(
        'alone',
        go('partner-down', '§9.9.3, ▲ Starting without contact', ['hold-own-share']),
        go('partner-down', '§9.9.3'),
      ),
      ...STORES,
    },
  },

  'potential-conflict': {
    section: '§9.10',
    service: NOBODY,
    updates: 'on-request',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': go('resolution-interrupted', '§9.10.3'),
      'partner:startup': FLAGGED,
      'partner:normal': stay('§9.10.3', 'it comes when it hears POTENTIAL-CONFLICT'),
      'partner:communications-interrupted': stay('§9.10.3', 'it comes when it hears POTENTIAL-CONFLICT'),
      'partner:partner-down': stay('§9.10.3', 'it comes when it hears POTENTIAL-CONFLICT', ['tell-state']),
      'partner:potential-conflict': stay('§9.10.3'),
      'partner:conflict-done': when(
        'primary',
        stay('§9.10.3', 'the roles are at odds'),
        stay('§9.10.3', '', ['send-updreq']),
      ),
      'partner:resolution-interrupted': stay('§9.10.3', 'it comes when it hears POTENTIAL-CONFLICT'),
      'partner:recover': unlessLost(stay('§9.10.3', 'it comes when it hears POTENTIAL-CONFLICT')),
      'partner:recover-wait': unlessLost(stay('§9.10.3', 'it comes after RECOVER-DONE')),
      'partner:recover-done': stay('§9.10.3', 'it comes when it hears POTENTIAL-CONFLICT'),
      'partner:paused': go('resolution-interrupted', '▲ §3'),
      'partner:shutdown': go('resolution-interrupted', '▲ §3'),
      'update-done': when(
        'primary',
        go('conflict-done', '§9.10.3'),
        when(
          'partner in conflict-done',
          go('normal', '§9.10.3', NORMAL_ENTRY),
          stay('§9.10.3', 'the primary has begun again; CONFLICT-DONE comes'),
        ),
      ),
      'operator:partner-down': stay('§9.10', 'the partner is in contact; RESOLUTION-INTERRUPTED obeys'),
      ...STORES,
      'partner-store-lost': CONFLICT_OVER,
    },
  },

  'resolution-interrupted': {
    section: '§9.11',
    service: when('partner unheard since partner-down', RENEWING, unlessAlone(EVERYONE)),
    updates: 'send',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.11.2'),
      ...everyPartner(conflict('§9.11.3')),
      'partner:startup': FLAGGED,
      'partner:conflict-done': conflictDone('§9.11.3'),
      'partner:recover': unlessLost(conflict('§9.11.3')),
      'partner:recover-wait': unlessLost(conflict('§9.11.3')),
      'partner:paused': stay('▲ §3', 'as communications failed'),
      'partner:shutdown': stay('▲ §3', 'as communications failed'),
      'operator:partner-down': when(
        'alone',
        go('partner-down', '§9.11.3, ▲ Starting without contact', ['hold-own-share']),
        go('partner-down', '§9.11.3'),
      ),
      ...STORES,
      'partner-store-lost': CONFLICT_OVER,
    },
  },

  'conflict-done': {
    section: '§9.12',
    service: when('partner unheard since partner-down', RENEWING, unlessAlone(EVERYONE)),
    updates: 'send',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.12.3'),
      ...everyPartner(stay('§9.12.2', 'it comes when it hears CONFLICT-DONE')),
      'partner:startup': FLAGGED,
      'partner:normal': go('normal', '§9.12.3', NORMAL_ENTRY),
      'partner:partner-down': conflictDone('▲ §3'), // it has given out what I have not asked for
      'partner:potential-conflict': stay('§9.12.2'),
      'partner:conflict-done': conflictDone('▲ §3'), // the roles are at odds; staying, neither would ever move
      'partner:recover': unlessLost(stay('§9.12.2', 'it comes when it hears CONFLICT-DONE')),
      'partner:recover-wait': unlessLost(stay('§9.12.2', 'it comes after RECOVER-DONE')),
      'partner:paused': stay('§9.12.2'),
      'partner:shutdown': stay('§9.12.2'),
      'operator:partner-down': go('partner-down', '▲ §3'),
      'operator:shutdown': SHUTDOWN_IN_CONTACT,
      ...STORES,
      'partner-store-lost': CONFLICT_OVER,
    },
  },

  paused: {
    section: '§9.13',
    service: NOBODY,
    updates: 'send',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.13'),
      ...everyPartner(stay('§9.13')),
      'partner:partner-down': stay('▲ §9.14.2', 'as in SHUTDOWN', ['save-recover']),
      'operator:partner-down': stay('▲ Orderly stop', 'answers nobody until it is resumed'),
      'operator:pause': stay('▲ Orderly stop', 'paused already'),
      'operator:resume': go('startup', '▲ Orderly stop', ['reconnect']),
      stop: stay('▲ Orderly stop', 'a pause survives a restart', ['flush-updates']),
      ...STORES_WHILE_AWAY,
    },
  },

  shutdown: {
    section: '§9.14',
    service: NOBODY,
    updates: 'send',
    on: {
      ...NOT_HERE,
      ...OWN_WILL,
      'comms-lost': stay('§9.14.2'),
      ...everyPartner(stay('§9.14.2')),
      'partner:partner-down': stay('§9.14.2', '', ['save-recover']),
      'operator:partner-down': stay('▲ Orderly stop', 'answers nobody until it is resumed'),
      'operator:pause': stay('▲ Orderly stop', 'answers nobody already'),
      'operator:resume': go('startup', '▲ Orderly stop', ['reconnect']),
      'operator:shutdown': stay('▲ Orderly stop', 'shut down already'),
      stop: stay('▲ Orderly stop', 'starts again in STARTUP, from the saved state', ['flush-updates']),
      ...STORES_WHILE_AWAY,
    },
  },
} as const satisfies Record<State, StateRow>;
