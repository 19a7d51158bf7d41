//! The tables, as steps from one version of the schema to the next.

/// `application_id` of a store's file: `rmlt`.
pub(super) const APPLICATION_ID: i64 = 0x726d_6c74;

/// `STEPS[n]` leads from version `n` (`user_version`; 0 is an empty file) to `n + 1`. Released steps never change.
pub(super) const STEPS: &[&str] = &[TABLES, PACKED_EVENTS, INVITES_OF_SERVERS, RUNS];

/// - `key` of a state or event is `room << 32 | num`, so that one integer is the primary key.
/// - An event id (type `ANY`) is the 32 bytes of its hash as a blob, or text if it is no URL-safe hash.
/// - `flags`, `forward` and `changes`: see `codec`.
/// - `event_timeline` holds what users may see: none of the flags outlier 1, rejected 2, soft_failed 4. Its
///   entries end with `key`, that is, with the event's number.
/// - `joined` counts the joined members of each server, so that fan-out needs no pass over the members.
/// - `counter` holds the last position of the update stream and the last `seq` of the outbox: rows are deleted,
///   their numbers are never given again.
const TABLES: &str = "
CREATE TABLE room (
    num INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version TEXT NOT NULL,
    forward BLOB NOT NULL,
    current_state INTEGER NOT NULL,
    next_event INTEGER NOT NULL,
    next_state INTEGER NOT NULL,
    next_slot INTEGER NOT NULL
) STRICT;
CREATE TABLE slot (
    room INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    type TEXT NOT NULL,
    state_key TEXT NOT NULL,
    PRIMARY KEY (room, slot)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (
    key INTEGER PRIMARY KEY,
    parent INTEGER,
    size INTEGER NOT NULL,
    since_checkpoint INTEGER NOT NULL,
    changes BLOB NOT NULL
) STRICT;
CREATE TABLE event (
    key INTEGER PRIMARY KEY,
    id ANY NOT NULL,
    depth INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    state_before INTEGER,
    state_after INTEGER,
    redacted_by ANY,
    json TEXT NOT NULL
) STRICT;
CREATE INDEX event_id ON event (id);
CREATE INDEX event_timeline ON event (key >> 32, depth) WHERE flags & 7 = 0;
CREATE TABLE missing_prev (
    room INTEGER NOT NULL,
    missing ANY NOT NULL,
    child INTEGER NOT NULL,
    PRIMARY KEY (room, missing, child)
) STRICT, WITHOUT ROWID;
CREATE TABLE redaction (
    room INTEGER NOT NULL,
    target ANY NOT NULL,
    by INTEGER NOT NULL,
    PRIMARY KEY (room, target, by)
) STRICT, WITHOUT ROWID;
CREATE TABLE member (
    room INTEGER NOT NULL,
    user TEXT NOT NULL,
    membership TEXT NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_user ON member (user);
CREATE TABLE joined (
    room INTEGER NOT NULL,
    server TEXT NOT NULL,
    members INTEGER NOT NULL,
    PRIMARY KEY (room, server)
) STRICT, WITHOUT ROWID;
CREATE TABLE invite (
    user TEXT NOT NULL,
    room TEXT NOT NULL,
    version TEXT NOT NULL,
    membership TEXT NOT NULL,
    event_json TEXT NOT NULL,
    preview_json TEXT NOT NULL,
    PRIMARY KEY (user, room)
) STRICT;
CREATE TABLE stream (
    pos INTEGER PRIMARY KEY,
    tag INTEGER NOT NULL,
    room TEXT NOT NULL,
    event ANY,
    by ANY,
    type TEXT,
    state_key TEXT,
    user TEXT,
    membership TEXT,
    sender TEXT
) STRICT;
CREATE TABLE account (
    user TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE client_txn (
    user TEXT NOT NULL,
    txn_id TEXT NOT NULL,
    result ANY NOT NULL,
    PRIMARY KEY (user, txn_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE txn_reply (
    origin TEXT NOT NULL,
    txn_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (origin, txn_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX txn_reply_at ON txn_reply (at);
CREATE TABLE staged (
    seq INTEGER PRIMARY KEY,
    room INTEGER NOT NULL,
    event ANY NOT NULL,
    origin TEXT NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (room, event)
) STRICT;
CREATE TABLE outbox (
    destination TEXT NOT NULL,
    seq INTEGER NOT NULL,
    room INTEGER,
    event INTEGER,
    edu TEXT,
    PRIMARY KEY (destination, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE destination (
    name TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    retry_at INTEGER NOT NULL,
    txn_id TEXT,
    up_to INTEGER,
    body TEXT
) STRICT;
CREATE TABLE key (
    server TEXT NOT NULL,
    id TEXT NOT NULL,
    key TEXT NOT NULL,
    valid_until INTEGER NOT NULL,
    expired_at INTEGER,
    PRIMARY KEY (server, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE own_key (
    id TEXT PRIMARY KEY,
    seed BLOB NOT NULL,
    expired_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_update INTEGER NOT NULL,
    last_outbox INTEGER NOT NULL
) STRICT;
INSERT INTO counter (id, last_update, last_outbox) VALUES (1, 0, 0);
";

/// - `packed` is the event's JSON in fewer bytes (see `packed`), and `json` is empty then; events written before have
///   it in `json`.
/// - `event_id` has the first eight bytes of ids alone: the rest is compared in the rows.
const PACKED_EVENTS: &str = "
ALTER TABLE event ADD COLUMN packed BLOB;
DROP INDEX event_id;
CREATE INDEX event_id ON event (substr(id, 1, 8));
";

/// - Each server that invites a user to a room has a row of its own; `num` is the order in which the first of each came.
const INVITES_OF_SERVERS: &str = "
CREATE TABLE invite_of_server (
    num INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    room TEXT NOT NULL,
    version TEXT NOT NULL,
    membership TEXT NOT NULL,
    event_json TEXT NOT NULL,
    preview_json TEXT NOT NULL
) STRICT;
INSERT INTO invite_of_server (num, user, room, version, membership, event_json, preview_json)
    SELECT rowid, user, room, version, membership, event_json, preview_json FROM invite;
DROP TABLE invite;
ALTER TABLE invite_of_server RENAME TO invite;
CREATE INDEX invite_user ON invite (user, room);
";

/// - `run` has the events of large commits, many to a row (see `run`): from key `first` to `last`, though some of the keys
///   between may be elsewhere or nowhere. Each event is in `event` or in one run. `low` and `high` are the depths that
///   `event_timeline` would have.
/// - `run_ids` finds them by id: see `run_ids`.
const RUNS: &str = "
CREATE TABLE run (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    low INTEGER,
    high INTEGER,
    events BLOB NOT NULL
) STRICT;
CREATE INDEX run_timeline ON run (first >> 32, low) WHERE low IS NOT NULL;
CREATE TABLE run_ids (
    list INTEGER NOT NULL,
    least INTEGER NOT NULL,
    ids BLOB NOT NULL
) STRICT;
CREATE INDEX run_ids_least ON run_ids (list, least);
CREATE TABLE run_ids_list (
    num INTEGER PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT;
";
