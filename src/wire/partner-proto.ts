// Made from proto/partner.proto by `node proto/generate.mjs`; edit that file, not this one. Comments are left out.

export const PARTNER_PROTO = `
syntax = "proto3";
package tandem.partner;
message Frame {
  uint32 xid = 1;
  oneof body {
    Connect connect = 2;
    ConnectAck connect_ack = 3;
    Contact contact = 4;
    State state = 5;
    BndUpd bnd_upd = 6;
    BndAck bnd_ack = 7;
    UpdReq upd_req = 8;
    UpdDone upd_done = 9;
    PoolReq pool_req = 10;
    PoolResp pool_resp = 11;
    Disconnect disconnect = 12;
    ManageRequest manage_request = 32;
    ManageReply manage_reply = 33;
  }
}
message CommitPoint {
  double sequence = 1;
  bytes hash = 2;
}
message Hello {
  uint32 protocol_low = 1;
  uint32 protocol_high = 2;
  bytes relationship_id = 3;
  string relationship_name = 4;
  bytes server_id = 5;
  string server_name = 6;
  uint32 start_counter = 7;
  bytes nonce = 8;
  CommitPoint newest = 9;
  CommitPoint returned = 10;
  double settings_revision = 11;
  bytes settings_digest = 12;
  bytes scopes_digest = 13;
  Role role = 14;
  uint32 side = 15;
  Terms terms = 16;
  uint32 receive_timer_ms = 17;
  uint32 contact_interval_ms = 18;
  uint32 max_unacked_updates = 19;
  bool ever_normal = 20;
  ServerState state = 21;
  double state_since = 22;
  bool startup = 23;
  bool store_lost = 25;
  double partner_down_since = 24;
  uint32 partner_start_counter = 26;
  bytes partner_nonce = 27;
  double clock_ahead = 28;
  uint32 wait_mclt_seconds = 29;
  uint32 life = 30;
  uint32 partner_life = 31;
  repeated fixed32 promised = 32;
}
message Terms {
  Mode mode = 1;
  uint32 load_balance_percent = 2;
  StandbyRole standby_role = 3;
  uint32 reserve_percent = 4;
  uint32 mclt_seconds = 5;
  bool auto_state_transition = 6;
  uint32 state_switch_interval_seconds = 7;
  bool eager = 8;
}
message Connect {
  Hello hello = 1;
  double t1 = 2;
}
message ConnectAck {
  uint32 reject_reason = 1;
  string message = 2;
  uint32 version = 3;
  Hello hello = 4;
  double t1 = 5;
  double t2 = 6;
  double t3 = 7;
}
message Contact {
  double t1 = 1;
  double t2 = 2;
  double t3 = 3;
  CommitPoint newest = 4;
  repeated PoolCount pools = 5;
}
message PoolCount {
  fixed32 scope = 1;
  uint32 total = 2;
  uint32 free_mine = 3;
  uint32 free_yours = 4;
  uint32 active = 5;
  uint32 other = 6;
}
message State {
  ServerState state = 1;
  double since = 2;
  bool startup = 3;
}
message BndUpd {
  repeated Binding bindings = 1;
  uint32 answers_xid = 2;
  uint32 remaining = 3;
}
message Binding {
  optional fixed32 address = 1;
  BindingStatus state = 2;
  uint32 owner = 3;
  uint32 handover = 4;
  uint32 revision = 5;
  double end = 6;
  double end_partner = 7;
  double potential_expiration = 8;
  double client_last_transaction = 9;
  double start_of_state = 10;
  double start = 11;
  uint32 htype = 12;
  bytes hardware_address = 13;
  optional bytes client_id = 14;
  string hostname = 15;
  optional bytes relay_info = 16;
  optional bytes vendor_class = 17;
  optional bytes user_class = 18;
  uint32 dns_flags = 19;
  string dns_name = 20;
  double quarantine_until = 21;
  bool reserved = 22;
}
message BndAck {
  repeated BindingResult results = 1;
}
message BindingResult {
  optional fixed32 address = 1;
  uint32 revision = 2;
  uint32 reject_reason = 3;
  string message = 4;
}
message UpdReq {
  UpdateExtent extent = 1;
  repeated fixed32 scopes = 2;
  double since = 3;
}
message UpdDone {
  uint32 count = 1;
  uint32 refused = 2;
}
message PoolReq {
  repeated PoolAmount scopes = 1;
}
message PoolResp {
  repeated PoolAmount scopes = 1;
}
message PoolAmount {
  fixed32 scope = 1;
  uint32 addresses = 2;
}
message Disconnect {
  uint32 reason = 1;
  string message = 2;
}
message ManageRequest {
  uint32 protocol_low = 1;
  uint32 protocol_high = 2;
  bytes server_id = 3;
  string server_name = 4;
  string operation = 5;
  string document = 6;
  double t1 = 7;
}
message ManageReply {
  uint32 protocol_low = 1;
  uint32 protocol_high = 2;
  bytes server_id = 3;
  string server_name = 4;
  string refusal = 5;
  string message = 6;
  string document = 7;
  double t1 = 8;
  double t2 = 9;
  double t3 = 10;
}
enum Role {
  ROLE_UNDECIDED = 0;
  ROLE_PRIMARY = 1;
  ROLE_SECONDARY = 2;
}
enum Mode {
  MODE_UNSPECIFIED = 0;
  MODE_LOAD_BALANCE = 1;
  MODE_HOT_STANDBY = 2;
}
enum StandbyRole {
  STANDBY_ROLE_NONE = 0;
  STANDBY_ROLE_ACTIVE = 1;
  STANDBY_ROLE_STANDBY = 2;
}
enum UpdateExtent {
  UPDATE_EXTENT_UNSPECIFIED = 0;
  UPDATE_EXTENT_UNACKNOWLEDGED = 1;
  UPDATE_EXTENT_ALL = 2;
}
enum BindingStatus {
  BINDING_STATUS_UNSPECIFIED = 0;
  BINDING_STATUS_FREE = 1;
  BINDING_STATUS_ACTIVE = 2;
  BINDING_STATUS_EXPIRED = 3;
  BINDING_STATUS_RELEASED = 4;
  BINDING_STATUS_DECLINED = 5;
  BINDING_STATUS_RESET = 6;
}
enum ServerState {
  SERVER_STATE_UNSPECIFIED = 0;
  SERVER_STATE_NORMAL = 2;
  SERVER_STATE_COMMUNICATIONS_INTERRUPTED = 3;
  SERVER_STATE_PARTNER_DOWN = 4;
  SERVER_STATE_POTENTIAL_CONFLICT = 5;
  SERVER_STATE_RECOVER = 6;
  SERVER_STATE_PAUSED = 7;
  SERVER_STATE_SHUTDOWN = 8;
  SERVER_STATE_RECOVER_DONE = 9;
  SERVER_STATE_RESOLUTION_INTERRUPTED = 10;
  SERVER_STATE_CONFLICT_DONE = 11;
  SERVER_STATE_RECOVER_WAIT = 254;
}
`;
