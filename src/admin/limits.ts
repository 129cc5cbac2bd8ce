// Every limit of the admin room, with its reason. Anything a client of the API can make grow stands here.

export interface AdminLimits {
  readonly connections: number; // per listener; more are dropped at accept
  readonly pipelined: number; // requests waiting on one connection; more and it is cut
  readonly requestsPerConnection: number;
  readonly headerBytes: number;
  readonly bodyBytes: number; // one body: a scope with some 30,000 reservations
  readonly bodyBytesInFlight: number; // all bodies being received; more are answered 503
  readonly bodyDepth: number; // nesting of JSON
  readonly bodyNodes: number; // values in one body: bounds the time that checking it takes
  readonly headersTimeoutMs: number; // slow senders are cut after these
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly idleSocketMs: number; // no byte either way, e.g. a reader that stopped reading its answer
  readonly handlerTimeoutMs: number; // an answer that takes longer is given up with 503
  readonly feedClients: number;
  readonly feedBufferBytes: number; // unsent events of one client; a slower reader is cut
  readonly feedPingMs: number;
  readonly faults: number; // faults listed in one problem body
  readonly pageItems: number;
  readonly pageScanMs: number; // a filtered page gives up looking after this and hands out a cursor
  readonly sliceMs: number; // how long work runs before the event loop gets its turn
  readonly digestTries: number; // scans begun anew because leases changed under them
  readonly digestWaitMs: number; // `status` answers without digests after this; the scan goes on for the next question
  readonly digestRestMs: number; // after that many failures, answer null for this long
}

export const ADMIN_LIMITS: AdminLimits = {
  connections: 128,
  pipelined: 16,
  requestsPerConnection: 10_000,
  headerBytes: 16_384,
  bodyBytes: 4 * 1024 * 1024,
  bodyBytesInFlight: 32 * 1024 * 1024,
  bodyDepth: 16,
  bodyNodes: 300_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 15_000,
  idleSocketMs: 60_000,
  handlerTimeoutMs: 60_000,
  feedClients: 32,
  feedBufferBytes: 1024 * 1024,
  feedPingMs: 30_000,
  faults: 100,
  pageItems: 1000,
  pageScanMs: 1000,
  sliceMs: 1,
  digestTries: 3,
  digestWaitMs: 2500,
  digestRestMs: 5000,
};
