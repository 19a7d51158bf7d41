//! The protocol's limits: name, value, unit, source.

/// One event in canonical JSON, with signatures and without `unsigned`, in bytes (ID-11).
pub const PDU_BYTES: usize = 65_536;
/// One event of this server: as [`PDU_BYTES`], with room for the signatures of the servers that let a user in and that take
/// an invite, and for the empty `unsigned` that Synapse counts (ID-11).
pub const OWN_PDU_BYTES: usize = PDU_BYTES - 1_024;
/// Each of `sender`, `room_id`, `state_key`, `type`, `event_id`, in bytes (ID-12).
pub const FIELD_BYTES: usize = 255;
/// Entries of `auth_events` (ID-13).
pub const AUTH_EVENTS: usize = 10;
/// Entries of `prev_events` (ID-13).
pub const PREV_EVENTS: usize = 20;
/// PDUs in one transaction (ID-14).
pub const TRANSACTION_PDUS: usize = 50;
/// EDUs in one transaction (ID-14).
pub const TRANSACTION_EDUS: usize = 100;
/// The greatest integer in canonical JSON, and the greatest `depth` from version 6 on and of events made here:
/// 2^53 − 1 (CJ-2, ID-15).
pub const MAX_INT: i64 = 9_007_199_254_740_991;
/// Levels of arrays and objects in one event and in any other JSON that is read strictly (CJ-9, TM-1); deeper is
/// refused. The text has no limit; this is how deep serde_json reads, hence Synapse and ruma: an event that they hold and
/// we do not would be a gap in the room.
pub const JSON_DEPTH: usize = 127;
/// Levels in a body that holds events: deep enough that an event which breaks [`JSON_DEPTH`] is refused alone
/// (EV-25), shallow enough for the recursion that frees a value.
pub const BODY_JSON_DEPTH: usize = 500;
/// The body of one inbound request, in bytes (TM-1; Synapse's limit).
pub const REQUEST_BYTES: usize = 12_500_000;
/// What a request carries of one event, `unsigned` included, or of a room's preview, in bytes: it is made into a tree,
/// which takes a hundred times as much memory (TM-1).
pub const TREE_BYTES: usize = 1 << 20;
/// The body of one reply to `send_join` or `/state`, in bytes (TM-1).
pub const STATE_REPLY_BYTES: usize = 500_000_000;
/// The body of any other reply, in bytes (TM-1).
pub const REPLY_BYTES: usize = 100_000_000;
