// Every message between partners as one table: our name of a field, its name on the wire, what it may be. Same order
// as proto/partner.proto, where their sections stand. A field that the types have and a table lacks does not compile.

import { BINDING, BINDING_RESULT } from './partner-binding.js';
import {
  fault,
  flag,
  hex,
  instant,
  type MessageCodec,
  name,
  named,
  namedOrNull,
  numbers,
  part,
  partOrNull,
  parts,
  type Shape,
  tableCodec,
  text,
  whole,
  words,
} from './partner-fields.js';
import { PARTNER_LIMITS } from './partner-limits.js';
import type {
  PartnerCommitPoint,
  PartnerHello,
  PartnerMessage,
  PartnerTerms,
  PoolAmount,
  PoolCount,
} from './partner-message.js';
import {
  ACCEPTED,
  MODE_NUMBERS,
  ROLE_NUMBERS,
  SERVER_STATE_NUMBERS,
  STANDBY_ROLE_NUMBERS,
  UPDATE_EXTENT_NUMBERS,
} from './partner-values.js';

const LIMITS = PARTNER_LIMITS;

const { startup: _startup, ...SENT_STATE_NUMBERS } = SERVER_STATE_NUMBERS;

const COMMIT_POINT = tableCodec<PartnerCommitPoint>({
  sequence: whole('CommitPoint.sequence', 0, LIMITS.wholeNumber),
  hash: hex('CommitPoint.hash', 8),
});

const TERMS = tableCodec<PartnerTerms>({
  mode: named('Terms.mode', MODE_NUMBERS),
  loadBalancePercent: whole('Terms.loadBalancePercent', 0, 100),
  standbyRole: namedOrNull('Terms.standbyRole', STANDBY_ROLE_NUMBERS),
  reservePercent: whole('Terms.reservePercent', 0, 100),
  mcltSeconds: whole('Terms.mcltSeconds', 1),
  autoStateTransition: flag('Terms.autoStateTransition'),
  stateSwitchIntervalSeconds: whole('Terms.stateSwitchIntervalSeconds'),
  eager: flag('Terms.eager'),
});

const HELLO = tableCodec<PartnerHello>(
  {
    protocolLow: whole('Hello.protocolLow', 1),
    protocolHigh: whole('Hello.protocolHigh', 1),
    relationshipId: hex('Hello.relationshipId', 16),
    relationshipName: name('Hello.relationshipName', LIMITS.relationshipNameBytes),
    serverId: hex('Hello.serverId', 16),
    serverName: name('Hello.serverName', LIMITS.serverNameBytes),
    startCounter: whole('Hello.startCounter'),
    nonce: hex('Hello.nonce', 16),
    newest: part('Hello.newest', COMMIT_POINT),
    returned: partOrNull('Hello.returned', COMMIT_POINT),
    settingsRevision: whole('Hello.settingsRevision', 0, LIMITS.wholeNumber),
    settingsDigest: hex('Hello.settingsDigest', 32, 'allowed'),
    scopesDigest: hex('Hello.scopesDigest', 32, 'allowed'),
    role: named('Hello.role', ROLE_NUMBERS),
    side: whole('Hello.side', 0, 2) as Shape<PartnerHello>['side'],
    terms: part('Hello.terms', TERMS),
    receiveTimerMs: whole('Hello.receiveTimerMs', 1),
    contactIntervalMs: whole('Hello.contactIntervalMs', 1),
    maxUnackedUpdates: whole('Hello.maxUnackedUpdates', 1),
    everNormal: flag('Hello.everNormal'),
    storeLost: flag('Hello.storeLost'),
    state: named('Hello.state', SENT_STATE_NUMBERS),
    stateSinceAt: instant('Hello.stateSince'),
    startup: flag('Hello.startup'),
    partnerDownSinceAt: instant('Hello.partnerDownSince'),
    partnerStartCounter: whole('Hello.partnerStartCounter'),
    partnerNonce: hex('Hello.partnerNonce', 16, 'allowed'),
    clockAheadMs: whole('Hello.clockAhead', -LIMITS.instantMs, LIMITS.instantMs),
    waitMcltSeconds: whole('Hello.waitMcltSeconds'),
    life: whole('Hello.life'),
    partnerLife: whole('Hello.partnerLife'),
    promised: numbers('Hello.promised', LIMITS.promised),
  },
  ({ protocolLow, protocolHigh, terms }) => {
    if (protocolLow > protocolHigh) fault('field-malformed', 'Hello.protocolHigh');
    if (terms.mode === 'hotStandby' && terms.standbyRole === null)
      fault('field-missing', 'Terms.standbyRole');
  },
);

const POOL_COUNT = tableCodec<PoolCount>({
  scope: whole('PoolCount.scope'),
  total: whole('PoolCount.total'),
  freeMine: whole('PoolCount.freeMine'),
  freeYours: whole('PoolCount.freeYours'),
  active: whole('PoolCount.active'),
  other: whole('PoolCount.other'),
});

const POOL_AMOUNT = tableCodec<PoolAmount>({
  scope: whole('PoolAmount.scope'),
  addresses: whole('PoolAmount.addresses'),
});

const manageGreeting = (message: string) => ({
  protocolLow: whole(`${message}.protocolLow`, 1),
  protocolHigh: whole(`${message}.protocolHigh`, 1),
  serverId: hex(`${message}.serverId`, 16),
  serverName: name(`${message}.serverName`, LIMITS.serverNameBytes),
});

type Body<Kind extends PartnerMessage['kind']> = Omit<Extract<PartnerMessage, { kind: Kind }>, 'kind'>;

/** One row a body of Frame: its name there, and its fields. */
export const MESSAGE_SHAPES: {
  readonly [Kind in PartnerMessage['kind']]: {
    readonly wire: string;
    readonly codec: MessageCodec<Body<Kind>>;
  };
} = {
  connect: {
    wire: 'connect',
    codec: tableCodec({ hello: part('Connect.hello', HELLO), t1At: instant('Connect.t1') }),
  },
  'connect-ack': {
    wire: 'connectAck',
    codec: tableCodec(
      {
        rejectReason: whole('ConnectAck.rejectReason', 0, 255),
        text: words('ConnectAck.message', LIMITS.messageBytes),
        version: whole('ConnectAck.version'),
        hello: partOrNull('ConnectAck.hello', HELLO),
        t1At: instant('ConnectAck.t1'),
        t2At: instant('ConnectAck.t2'),
        t3At: instant('ConnectAck.t3'),
      },
      ({ rejectReason, version, hello }) => {
        if (rejectReason === ACCEPTED && hello === null) fault('field-missing', 'ConnectAck.hello');
        if (rejectReason === ACCEPTED && version === 0) fault('field-missing', 'ConnectAck.version');
      },
    ),
  },
  contact: {
    wire: 'contact',
    codec: tableCodec({
      t1At: instant('Contact.t1'),
      t2At: instant('Contact.t2'),
      t3At: instant('Contact.t3'),
      newest: part('Contact.newest', COMMIT_POINT),
      pools: parts('Contact.pools', POOL_COUNT, 0, LIMITS.scopes),
    }),
  },
  state: {
    wire: 'state',
    codec: tableCodec({
      state: named('State.state', SENT_STATE_NUMBERS),
      sinceAt: instant('State.since'),
      startup: flag('State.startup'),
    }),
  },
  'bnd-upd': {
    wire: 'bndUpd',
    codec: tableCodec({
      bindings: parts('BndUpd.bindings', BINDING, 1, LIMITS.batchBindings),
      answersXid: whole('BndUpd.answersXid'),
      remaining: whole('BndUpd.remaining'),
    }),
  },
  'bnd-ack': {
    wire: 'bndAck',
    codec: tableCodec({ results: parts('BndAck.results', BINDING_RESULT, 1, LIMITS.batchBindings) }),
  },
  'upd-req': {
    wire: 'updReq',
    codec: tableCodec({
      extent: named('UpdReq.extent', UPDATE_EXTENT_NUMBERS),
      scopes: numbers('UpdReq.scopes', LIMITS.scopes),
      sinceSequence: whole('UpdReq.since', 0, LIMITS.wholeNumber),
    }),
  },
  'upd-done': {
    wire: 'updDone',
    codec: tableCodec({ count: whole('UpdDone.count'), refused: whole('UpdDone.refused') }),
  },
  'pool-req': {
    wire: 'poolReq',
    codec: tableCodec({ scopes: parts('PoolReq.scopes', POOL_AMOUNT, 0, LIMITS.scopes) }),
  },
  'pool-resp': {
    wire: 'poolResp',
    codec: tableCodec({ scopes: parts('PoolResp.scopes', POOL_AMOUNT, 0, LIMITS.scopes) }),
  },
  disconnect: {
    wire: 'disconnect',
    codec: tableCodec({
      reason: whole('Disconnect.reason', 1, 255),
      text: words('Disconnect.message', LIMITS.messageBytes),
    }),
  },
  'manage-request': {
    wire: 'manageRequest',
    codec: tableCodec({
      ...manageGreeting('ManageRequest'),
      operation: name('ManageRequest.operation', LIMITS.operationBytes),
      document: text('ManageRequest.document', LIMITS.documentBytes),
      t1At: instant('ManageRequest.t1'),
    }),
  },
  'manage-reply': {
    wire: 'manageReply',
    codec: tableCodec({
      ...manageGreeting('ManageReply'),
      refusal: text('ManageReply.refusal', LIMITS.operationBytes),
      text: words('ManageReply.message', LIMITS.messageBytes),
      document: text('ManageReply.document', LIMITS.documentBytes),
      t1At: instant('ManageReply.t1'),
      t2At: instant('ManageReply.t2'),
      t3At: instant('ManageReply.t3'),
    }),
  },
};
