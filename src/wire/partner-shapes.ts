// Every message between partners as one table: our name of a field, its name on the wire, what it may be. Same order
// as proto/partner.proto, where their sections stand. A field that the types have and a table lacks does not compile.

import {
  address,
  fault,
  flag,
  hex,
  instant,
  MessageShape,
  name,
  named,
  namedOrNull,
  numbers,
  octets,
  octetsOrNull,
  part,
  partOrNull,
  parts,
  type Shape,
  whole,
  words,
} from './partner-fields.js';
import { PARTNER_LIMITS } from './partner-limits.js';
import type {
  Binding,
  BindingResult,
  PartnerCommitPoint,
  PartnerHello,
  PartnerMessage,
  PartnerTerms,
  PoolAmount,
  PoolCount,
} from './partner-message.js';
import {
  ACCEPTED,
  BINDING_STATE_NUMBERS,
  MODE_NUMBERS,
  ROLE_NUMBERS,
  SERVER_STATE_NUMBERS,
  STANDBY_ROLE_NUMBERS,
  UPDATE_EXTENT_NUMBERS,
} from './partner-values.js';

const LIMITS = PARTNER_LIMITS;

const { startup: _startup, ...SENT_STATE_NUMBERS } = SERVER_STATE_NUMBERS;

const COMMIT_POINT = new MessageShape<PartnerCommitPoint>('CommitPoint', {
  sequence: whole('sequence', 0, LIMITS.wholeNumber),
  hash: hex('hash', 8),
});

const TERMS = new MessageShape<PartnerTerms>('Terms', {
  mode: named('mode', MODE_NUMBERS),
  loadBalancePercent: whole('loadBalancePercent', 0, 100),
  standbyRole: namedOrNull('standbyRole', STANDBY_ROLE_NUMBERS),
  reservePercent: whole('reservePercent', 0, 100),
  mcltSeconds: whole('mcltSeconds', 1),
  autoStateTransition: flag('autoStateTransition'),
  stateSwitchIntervalSeconds: whole('stateSwitchIntervalSeconds'),
  eager: flag('eager'),
});

const HELLO = new MessageShape<PartnerHello>(
  'Hello',
  {
    protocolLow: whole('protocolLow', 1),
    protocolHigh: whole('protocolHigh', 1),
    relationshipId: hex('relationshipId', 16),
    relationshipName: name('relationshipName', LIMITS.relationshipNameBytes),
    serverId: hex('serverId', 16),
    serverName: name('serverName', LIMITS.serverNameBytes),
    startCounter: whole('startCounter'),
    nonce: hex('nonce', 16),
    newest: part('newest', COMMIT_POINT),
    returned: partOrNull('returned', COMMIT_POINT),
    settingsRevision: whole('settingsRevision', 0, LIMITS.wholeNumber),
    settingsDigest: hex('settingsDigest', 32, 'allowed'),
    scopesDigest: hex('scopesDigest', 32, 'allowed'),
    role: named('role', ROLE_NUMBERS),
    side: whole('side', 0, 2) as Shape<PartnerHello>['side'],
    terms: part('terms', TERMS),
    receiveTimerMs: whole('receiveTimerMs', 1),
    contactIntervalMs: whole('contactIntervalMs', 1),
    maxUnackedUpdates: whole('maxUnackedUpdates', 1),
    everNormal: flag('everNormal'),
    state: named('state', SENT_STATE_NUMBERS),
    stateSinceAt: instant('stateSince'),
    startup: flag('startup'),
    partnerDownSinceAt: instant('partnerDownSince'),
  },
  ({ protocolLow, protocolHigh, terms }) => {
    if (protocolLow > protocolHigh) fault('field-malformed', 'Hello.protocolHigh');
    if (terms.mode === 'hotStandby' && terms.standbyRole === null)
      fault('field-missing', 'Terms.standbyRole');
  },
);

const POOL_COUNT = new MessageShape<PoolCount>('PoolCount', {
  scope: whole('scope'),
  total: whole('total'),
  freeMine: whole('freeMine'),
  freeYours: whole('freeYours'),
  active: whole('active'),
  other: whole('other'),
});

const BINDING = new MessageShape<Binding>('Binding', {
  address: address('address'),
  state: named('state', BINDING_STATE_NUMBERS),
  owner: whole('owner', 1, 2) as Shape<Binding>['owner'],
  handover: whole('handover'),
  revision: whole('revision'),
  endToldAt: instant('end'),
  endPartnerAt: instant('endPartner'),
  petAt: instant('potentialExpiration'),
  lastTransactionAt: instant('clientLastTransaction'),
  stateSinceAt: instant('startOfState'),
  startAt: instant('start'),
  htype: whole('htype', 0, 255),
  hardwareAddress: octets('hardwareAddress', LIMITS.hardwareBytes),
  clientId: octetsOrNull('clientId', LIMITS.clientIdBytes, 'refused'),
  hostname: words('hostname', LIMITS.nameBytes),
  relayInfo: octetsOrNull('relayInfo', LIMITS.clientTextBytes, 'left-out'),
  vendorClass: octetsOrNull('vendorClass', LIMITS.clientTextBytes, 'left-out'),
  userClass: octetsOrNull('userClass', LIMITS.clientTextBytes, 'left-out'),
  dnsFlags: whole('dnsFlags', 0, 0xffff),
  dnsName: words('dnsName', LIMITS.nameBytes),
  quarantineUntilAt: instant('quarantineUntil'),
  reserved: flag('reserved'),
});

const BINDING_RESULT = new MessageShape<BindingResult>('BindingResult', {
  address: address('address'),
  revision: whole('revision'),
  rejectReason: whole('rejectReason', 0, 255),
  text: words('message', LIMITS.messageBytes),
});

const POOL_AMOUNT = new MessageShape<PoolAmount>('PoolAmount', {
  scope: whole('scope'),
  addresses: whole('addresses'),
});

type Body<Kind extends PartnerMessage['kind']> = Omit<Extract<PartnerMessage, { kind: Kind }>, 'kind'>;

/** One row a body of Frame: its name there, and its fields. */
export const MESSAGE_SHAPES: {
  readonly [Kind in PartnerMessage['kind']]: {
    readonly wire: string;
    readonly shape: MessageShape<Body<Kind>>;
  };
} = {
  connect: {
    wire: 'connect',
    shape: new MessageShape('Connect', { hello: part('hello', HELLO), t1At: instant('t1') }),
  },
  'connect-ack': {
    wire: 'connectAck',
    shape: new MessageShape(
      'ConnectAck',
      {
        rejectReason: whole('rejectReason', 0, 255),
        text: words('message', LIMITS.messageBytes),
        version: whole('version'),
        hello: partOrNull('hello', HELLO),
        t1At: instant('t1'),
        t2At: instant('t2'),
        t3At: instant('t3'),
      },
      ({ rejectReason, version, hello }) => {
        if (rejectReason === ACCEPTED && hello === null) fault('field-missing', 'ConnectAck.hello');
        if (rejectReason === ACCEPTED && version === 0) fault('field-missing', 'ConnectAck.version');
      },
    ),
  },
  contact: {
    wire: 'contact',
    shape: new MessageShape('Contact', {
      t1At: instant('t1'),
      t2At: instant('t2'),
      t3At: instant('t3'),
      newest: part('newest', COMMIT_POINT),
      pools: parts('pools', POOL_COUNT, 0, LIMITS.scopes),
    }),
  },
  state: {
    wire: 'state',
    shape: new MessageShape('State', {
      state: named('state', SENT_STATE_NUMBERS),
      sinceAt: instant('since'),
      startup: flag('startup'),
    }),
  },
  'bnd-upd': {
    wire: 'bndUpd',
    shape: new MessageShape('BndUpd', {
      bindings: parts('bindings', BINDING, 1, LIMITS.batchBindings),
      answersXid: whole('answersXid'),
      remaining: whole('remaining'),
    }),
  },
  'bnd-ack': {
    wire: 'bndAck',
    shape: new MessageShape('BndAck', { results: parts('results', BINDING_RESULT, 1, LIMITS.batchBindings) }),
  },
  'upd-req': {
    wire: 'updReq',
    shape: new MessageShape('UpdReq', {
      extent: named('extent', UPDATE_EXTENT_NUMBERS),
      scopes: numbers('scopes', LIMITS.scopes),
      sinceSequence: whole('since', 0, LIMITS.wholeNumber),
    }),
  },
  'upd-done': {
    wire: 'updDone',
    shape: new MessageShape('UpdDone', { count: whole('count'), refused: whole('refused') }),
  },
  'pool-req': {
    wire: 'poolReq',
    shape: new MessageShape('PoolReq', { scopes: parts('scopes', POOL_AMOUNT, 0, LIMITS.scopes) }),
  },
  'pool-resp': {
    wire: 'poolResp',
    shape: new MessageShape('PoolResp', { scopes: parts('scopes', POOL_AMOUNT, 0, LIMITS.scopes) }),
  },
  disconnect: {
    wire: 'disconnect',
    shape: new MessageShape('Disconnect', {
      reason: whole('reason', 1, 255),
      text: words('message', LIMITS.messageBytes),
    }),
  },
};
