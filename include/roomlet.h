#ifndef ROOMLET_H
#define ROOMLET_H

#include <stddef.h>
#include <stdint.h>

/* roomlet: a Matrix homeserver core that lives inside another program.
 *
 * This file is generated from ffi/src/c; it is also the manual. C99 and C++17.
 *
 * Handles    Pointers to opaque types, from a call to its `_free` (NULL is fine there). Any order of freeing is safe: what
 *            still needs a server keeps its memory. A freed handle gives ROOMLET_FREED_HANDLE; a handle of another kind
 *            or a stray pointer, ROOMLET_BAD_ARGUMENT.
 * Bytes      roomlet_bytes is pointer and length, UTF-8 if it is text, not NUL-terminated. What you pass is read before
 *            the call returns and never kept. Neither side frees the other's memory.
 * Calls      return ROOMLET_OK or a code, and write outputs only on ROOMLET_OK. With another code, `*err` gets an error to
 *            free, if `err` is not NULL. There is no "last error".
 * Commands   have `done`, `user_data`, `op_out`; each may be NULL. If the call returns ROOMLET_OK the command runs on
 *            roomlet's threads and `done` runs exactly once, also after cancel or close; perhaps before the call returns,
 *            never inside it on the calling thread. If it returns another code, `done` never runs. `*op_out` is the
 *            command's handle, to wait, cancel and free. A command's answer is durable on this device when it is given.
 *            Besides its own errors each command can give ROOMLET_CLOSED, ROOMLET_CANCELLED, ROOMLET_POISONED,
 *            ROOMLET_PANIC, and those of the store, ROOMLET_STORE to ROOMLET_STORE_NEWER.
 * Threads    Any handle from any thread, unless a function says otherwise. Callbacks come on roomlet's threads, hold no
 *            lock, may call roomlet except where a function waits (that gives ROOMLET_WRONG_THREAD), must not throw, and
 *            should return soon: a server has two threads.
 * Forks      A process that `fork` makes has no threads of roomlet, and no servers: calls on those of its parent give
 *            ROOMLET_CLOSED, freeing one frees the handle alone. Do not fork inside a callback.
 * Growth     Structs that you fill begin with `struct_size`; set the whole struct to zero first. New fields go last; zero
 *            means "as before". Functions and codes are only added; the ABI version rises when one is removed.
 * Panics     are bugs in roomlet. None crosses into your code: the call gives ROOMLET_PANIC. Of one in the work on a room
 *            nothing is kept, and all else goes on; after any other that server gives ROOMLET_POISONED. Others live on.
 */

/** Not JSON, or JSON that breaks a limit of the parser. (M_NOT_JSON) */
#define ROOMLET_BAD_JSON 100

/** JSON that canonical JSON does not allow: a float, an integer out of range. (M_BAD_JSON) */
#define ROOMLET_NOT_CANONICAL 101

/** An identifier that breaks its grammar or length. (M_INVALID_PARAM) */
#define ROOMLET_BAD_ID 102

/** An event, request or field beyond its size limit. (M_TOO_LARGE) */
#define ROOMLET_TOO_LARGE 103

/** An event without a required field, or with one of the wrong type. (M_BAD_JSON) */
#define ROOMLET_BAD_EVENT 104

/** A room version that this server does not know. (M_INCOMPATIBLE_ROOM_VERSION) */
#define ROOMLET_UNKNOWN_ROOM_VERSION 105

/** A parameter that is missing or makes no sense. (M_INVALID_PARAM) */
#define ROOMLET_BAD_PARAM 106

/** A signature that does not verify. (M_FORBIDDEN) */
#define ROOMLET_BAD_SIGNATURE 200

/** A signature that has to be there and is not. (M_FORBIDDEN) */
#define ROOMLET_MISSING_SIGNATURE 201

/** A signing key that could not be had. (M_FORBIDDEN) */
#define ROOMLET_UNKNOWN_KEY 202

/** A signing key that was not valid at the time of the event. (M_FORBIDDEN) */
#define ROOMLET_EXPIRED_KEY 203

/** A federation request without valid authentication. (M_UNAUTHORIZED) */
#define ROOMLET_UNAUTHORIZED 204

/** What the rules refuse, those of the room or of the command; the message names the rule. (M_FORBIDDEN) */
#define ROOMLET_DENIED 300

/** The user is not in the room. (M_FORBIDDEN) */
#define ROOMLET_NOT_JOINED 301

/** The host's policy, a server ACL or a membership refuses this. (M_FORBIDDEN) */
#define ROOMLET_FORBIDDEN 302

/** A room that this server does not hold. (M_NOT_FOUND) */
#define ROOMLET_UNKNOWN_ROOM 400

/** An event that this server does not hold. (M_NOT_FOUND) */
#define ROOMLET_UNKNOWN_EVENT 401

/** A user that is not an account of this server. (M_NOT_FOUND) */
#define ROOMLET_UNKNOWN_USER 402

/** Something else that is not there. (M_NOT_FOUND) */
#define ROOMLET_NOT_FOUND 403

/** A federation endpoint that this server does not have. (M_UNRECOGNIZED) */
#define ROOMLET_UNKNOWN_ENDPOINT 404

/** A federation endpoint that does not know this method. (M_UNRECOGNIZED) */
#define ROOMLET_UNKNOWN_METHOD 405

/** The thing exists already. (M_USER_IN_USE) */
#define ROOMLET_EXISTS 406

/** The other server could not be reached. (M_UNKNOWN) */
#define ROOMLET_UNREACHABLE 500

/** The other server answered with an error; the message has its errcode. (M_UNKNOWN) */
#define ROOMLET_REMOTE 501

/** The other server's answer breaks the protocol. (M_UNKNOWN) */
#define ROOMLET_BAD_REPLY 502

/** Too much is under way; try again later. (M_LIMIT_EXCEEDED) */
#define ROOMLET_BUSY 503

/** The store could not be read or written. (M_UNKNOWN) */
#define ROOMLET_STORE 600

/** The store has no room left on its disk. (M_UNKNOWN) */
#define ROOMLET_STORE_FULL 601

/** Another owner has the store open, in this process or another. (M_UNKNOWN) */
#define ROOMLET_STORE_LOCKED 602

/** The store's file is damaged or is no store. (M_UNKNOWN) */
#define ROOMLET_STORE_DAMAGED 603

/** The store was written by a newer version of roomlet. (M_UNKNOWN) */
#define ROOMLET_STORE_NEWER 604

/** The server was closed. (M_UNKNOWN) */
#define ROOMLET_CLOSED 700

/** The operation was cancelled. (M_UNKNOWN) */
#define ROOMLET_CANCELLED 701

/** An earlier panic made this server unusable; others live on. (M_UNKNOWN) */
#define ROOMLET_POISONED 702

/** A bug in roomlet: a panic was stopped at the boundary. (M_UNKNOWN) */
#define ROOMLET_PANIC 703

/** A null pointer, a bad length, a bad struct size or a wrong handle at the C boundary. (M_UNKNOWN) */
#define ROOMLET_BAD_ARGUMENT 704

/** The call is not allowed on this thread. (M_UNKNOWN) */
#define ROOMLET_WRONG_THREAD 705

/** A callback of the host failed. (M_UNKNOWN) */
#define ROOMLET_HOST 706

/** The handle was freed already. (M_UNKNOWN) */
#define ROOMLET_FREED_HANDLE 707

/** The wait ended before the operation did; it goes on. (M_UNKNOWN) */
#define ROOMLET_TIMED_OUT 708


/**
 * The version of the ABI that this header describes.
 */
#define ROOMLET_ABI_VERSION 1

/**
 * `level` of `roomlet_host.log`: something is broken or lost.
 */
#define ROOMLET_LOG_ERROR 1

/**
 * `level` of `roomlet_host.log`: something between servers does not work now.
 */
#define ROOMLET_LOG_WARN 2

/**
 * `level` of `roomlet_host.log`: something to know.
 */
#define ROOMLET_LOG_INFO 3

/**
 * The largest body of a request of another server, in bytes: what is larger is answered with 413.
 */
#define ROOMLET_MAX_REQUEST_BYTES 12500000

/**
 * `direction` of `roomlet_room_timeline`: to the past.
 */
#define ROOMLET_BACKWARD 0

/**
 * `direction` of `roomlet_room_timeline`: to the present.
 */
#define ROOMLET_FORWARD 1

/**
 * `kind` of `roomlet_tool_parse_id`: `@localpart:server`.
 */
#define ROOMLET_ID_USER 0

/**
 * `kind` of `roomlet_tool_parse_id`: `!opaque:server`, or `!hash` from version 12 on.
 */
#define ROOMLET_ID_ROOM 1

/**
 * `kind` of `roomlet_tool_parse_id`: `#localpart:server`.
 */
#define ROOMLET_ID_ROOM_ALIAS 2

/**
 * `kind` of `roomlet_tool_parse_id`: `$hash`, or `$opaque:server` before version 3.
 */
#define ROOMLET_ID_EVENT 3

/**
 * `kind` of `roomlet_tool_parse_id`: `host` or `host:port`.
 */
#define ROOMLET_ID_SERVER 4

/**
 * `kind` of `roomlet_tool_parse_id`: `algorithm:name`; the algorithm is given as `server`.
 */
#define ROOMLET_ID_KEY 5

/**
 * What went wrong with which thing. Owned by whoever got it from a call (`roomlet_error_free`), borrowed in a callback.
 */
typedef struct roomlet_error roomlet_error;

/**
 * Where the events go that a source is asked for; lives as long as the call of the source.
 */
typedef struct roomlet_events roomlet_events;

/**
 * A command under way, or one that has ended. Freeing it does not stop the command.
 */
typedef struct roomlet_op roomlet_op;

/**
 * A question of policy. Answer it once, with `roomlet_question_allow` or `roomlet_question_refuse`; that uses it up. What
 * asked waits until then, without a limit of time; a server that closes takes it for a no.
 */
typedef struct roomlet_question roomlet_question;

/**
 * Where the response to a request goes. Answer it once, with `roomlet_reply_respond` or `roomlet_reply_fail`; that uses
 * it up.
 */
typedef struct roomlet_reply roomlet_reply;

/**
 * A federation request on its way out; lives until its `roomlet_reply` is answered.
 */
typedef struct roomlet_request roomlet_request;

/**
 * What a command gave: an id, JSON, a response or a batch of updates. Owned by whoever got it from `roomlet_op_wait`
 * (`roomlet_result_free`), borrowed in a callback. What its accessors return lives as long as it does.
 */
typedef struct roomlet_result roomlet_result;

/**
 * A homeserver inside this process.
 */
typedef struct roomlet_server roomlet_server;

/**
 * A reader of the update stream: a place in it that moves on with each batch.
 */
typedef struct roomlet_updates roomlet_updates;

/**
 * Bytes that are only borrowed: for the call that takes them, for the callback that gets them, or for as long as the
 * accessor that returned them says. Not NUL-terminated; UTF-8 where they are text. `ptr` may be NULL if `len` is 0.
 */
typedef struct roomlet_bytes {
  /**
   * The first byte.
   */
  const uint8_t *ptr;
  /**
   * How many bytes there are.
   */
  size_t len;
} roomlet_bytes;

/**
 * What went wrong, as a number that never changes its meaning: `ROOMLET_OK` or one of the codes below.
 */
typedef int32_t roomlet_code;

/**
 * How to open a server. Zero, or empty, in any field but the first two is its default.
 */
typedef struct roomlet_config {
  /**
   * `sizeof(roomlet_config)`.
   */
  size_t struct_size;
  /**
   * The server's name, as `example.org` or `localhost:8448`: the domain of its users. It cannot change later.
   */
  struct roomlet_bytes server_name;
  /**
   * The path of the SQLite file that holds all state, made if it is not there. Beside it are files with the endings
   * `-wal` and `-shm` while it is open, and `.lock` from then on. Empty: nothing survives the close.
   */
  struct roomlet_bytes store_path;
  /**
   * The version of rooms made without one. Default `I.1`, which Synapse does not know.
   */
  struct roomlet_bytes default_room_version;
  /**
   * How long one outbound request may take, in milliseconds. Default 30,000.
   */
  uint64_t request_timeout_ms;
  /**
   * PDUs a second that one destination is sent after a burst. Default 40: what a Synapse process takes in.
   */
  uint32_t outbound_pdus_per_second;
  /**
   * PDUs that one destination is sent at once. Default 80.
   */
  uint32_t outbound_burst;
  /**
   * The first wait after a failed delivery, in milliseconds; it doubles each time. Default 2,000.
   */
  uint64_t backoff_first_ms;
  /**
   * The longest wait between deliveries, in milliseconds. Default 3,600,000.
   */
  uint64_t backoff_max_ms;
  /**
   * PDUs owed to one destination beyond which only the newest of each room is kept; the other server fetches the rest.
   * Default 5,000.
   */
  uint64_t outbox_per_destination;
  /**
   * Missing events asked for at once. Default 20.
   */
  uint32_t missing_events_per_request;
  /**
   * Rounds of asking for missing events before the state is asked for instead. Default 20.
   */
  uint32_t missing_events_rounds;
  /**
   * Places for PDUs of one room that wait for missing events, one for each begun 16 KiB; further ones are refused. One
   * server gets half of them at most. Default 1,000.
   */
  uint64_t staged_per_room;
  /**
   * Rooms whose working state is held in memory; the least used beyond that is dropped. Default 64.
   */
  uint64_t open_rooms;
  /**
   * How long a published signing key stays valid, in milliseconds. Default 86,400,000.
   */
  int64_t key_validity_ms;
  /**
   * Bytes of events and states that all open rooms together hold in memory, about; what was used least goes first.
   * Default 33,554,432.
   */
  uint64_t cache_bytes;
  /**
   * How long a room that nobody touches stays in memory, in milliseconds. Default 60,000.
   */
  uint64_t room_idle_ms;
} roomlet_config;

/**
 * What roomlet asks of the program that embeds it. Every pointer but `send` may be NULL. All callbacks may come at the
 * same time, on several of roomlet's threads; `log` and `release` also on a thread that opens, closes or frees.
 */
typedef struct roomlet_host {
  /**
   * `sizeof(roomlet_host)`.
   */
  size_t struct_size;
  /**
   * Passed to each callback, untouched.
   */
  void *user_data;
  /**
   * Called once, after the last callback. Not called if `roomlet_server_open` fails.
   */
  void (*release)(void *user_data);
  /**
   * Carries `request` to its destination. Answer `reply` once, from any thread, now or later: until then a delivery to
   * that server waits, until `request_timeout_ms`. Answer also what comes too late: until then both handles are held.
   */
  void (*send)(void *user_data, const struct roomlet_request *request, struct roomlet_reply *reply);
  /**
   * Takes a message for the developer's log, one line: opening, closing, panics; and what does not work between servers:
   * deliveries that wait after a failure and work again, events that are not taken or given up, keys that cannot be had,
   * requests whose signature does not hold. `level` is one of ROOMLET_LOG_….
   */
  void (*log)(void *user_data, int32_t level, struct roomlet_bytes message);
  /**
   * There are new updates: a program that does not wait in `roomlet_updates_next` now knows to read. `token` is
   * the newest update's.
   */
  void (*updates_available)(void *user_data, struct roomlet_bytes token);
  /**
   * May `sender` invite the local user `invitee`? NULL: yes. Answer `question` once, from any thread, now or later.
   */
  void (*accept_invite)(void *user_data,
                        struct roomlet_bytes room_id,
                        struct roomlet_bytes sender,
                        struct roomlet_bytes invitee,
                        struct roomlet_question *question);
  /**
   * May `user_id` of another server join through this one? NULL: yes. Answer as above.
   */
  void (*accept_join)(void *user_data,
                      struct roomlet_bytes room_id,
                      struct roomlet_bytes user_id,
                      struct roomlet_question *question);
  /**
   * May the server `origin` make this request? NULL: yes. Answer as above.
   */
  void (*accept_request)(void *user_data,
                         struct roomlet_bytes origin,
                         struct roomlet_bytes method,
                         struct roomlet_bytes target,
                         struct roomlet_question *question);
  /**
   * May this event of another server reach users? Refused, it stays in the room's history, out of their sight
   * (soft-failed). May be asked again about an event that comes again. NULL: yes. Answer as above: until then all that
   * came with the event waits.
   */
  void (*accept_event)(void *user_data,
                       struct roomlet_bytes room_id,
                       struct roomlet_bytes event_id,
                       struct roomlet_bytes sender,
                       struct roomlet_bytes type_,
                       struct roomlet_question *question);
  /**
   * The wall clock, in milliseconds since 1970. NULL: the system's.
   */
  int64_t (*now_ms)(void *user_data);
  /**
   * Fills `len` bytes with randomness fit for keys. NULL: the system's.
   */
  void (*random)(void *user_data, uint8_t *bytes, size_t len);
} roomlet_host;

/**
 * Takes what a command gave: `result`, or `error` and then `result` is NULL. Both are borrowed. Called once, on one of
 * roomlet's threads.
 */
typedef void (*roomlet_done)(void *user_data,
                             const struct roomlet_result *result,
                             const struct roomlet_error *error);

/**
 * Gives the events of `ids`, a JSON list, with `roomlet_events_add`, in any order; returns 0, or another number if it
 * cannot. Called on the thread that calls `roomlet_tool_resolve_state_from`.
 */
typedef int32_t (*roomlet_event_source)(void *user_data,
                                        struct roomlet_bytes ids,
                                        struct roomlet_events *events);

/**
 * It worked.
 */
#define ROOMLET_OK 0

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the ABI of the library that was loaded: compare it with `ROOMLET_ABI_VERSION`. Any thread.
 */
uint32_t roomlet_abi_version(void);

/**
 * The version of the library, as `0.1.0`. Lives as long as the program. Any thread.
 */
struct roomlet_bytes roomlet_version(void);

/**
 * How many handles are not freed, of all kinds: for tests that look for leaks. Any thread.
 */
size_t roomlet_live_handles(void);

/**
 * The error's code; `ROOMLET_OK` if `error` is NULL or was freed. Any thread.
 */
roomlet_code roomlet_error_code(const struct roomlet_error *error);

/**
 * The Matrix errcode, as `M_FORBIDDEN`: what another server would see. Lives as long as the program; empty if `error`
 * is NULL or was freed. Any thread.
 */
struct roomlet_bytes roomlet_error_errcode(const struct roomlet_error *error);

/**
 * What was wrong with which thing, in English, for developers. Lives as long as `error`; empty if that is NULL or was
 * freed. Any thread.
 */
struct roomlet_bytes roomlet_error_message(const struct roomlet_error *error);

/**
 * Frees an error that a call gave. NULL is fine, and so is one that was freed. Any thread.
 */
void roomlet_error_free(struct roomlet_error *error);

/**
 * What a code means, in one English sentence. Lives as long as the program; empty for a number that is no code. Any
 * thread.
 */
struct roomlet_bytes roomlet_code_meaning(roomlet_code code);

/**
 * The id or the JSON that the command gave, or the body of a response; empty for a batch of updates, and if `result` is
 * NULL or was freed. Any thread.
 */
struct roomlet_bytes roomlet_result_bytes(const struct roomlet_result *result);

/**
 * The HTTP status of a response (`roomlet_server_handle_request`); 0 for other results. Any thread.
 */
uint16_t roomlet_result_status(const struct roomlet_result *result);

/**
 * How many updates the batch has (`roomlet_updates_next`); 0 for other results. Any thread.
 */
size_t roomlet_result_update_count(const struct roomlet_result *result);

/**
 * Update `index` of the batch, an object; see `roomlet_updates_next`. Empty beyond the last. Any thread.
 */
struct roomlet_bytes roomlet_result_update(const struct roomlet_result *result,
                                           size_t index);

/**
 * The token of update `index`: a reader opened with it begins after this update. Empty beyond the last. Any thread.
 */
struct roomlet_bytes roomlet_result_update_token(const struct roomlet_result *result,
                                                 size_t index);

/**
 * Frees a result that `roomlet_op_wait` gave. NULL is fine, and so is one that was freed. Any thread.
 */
void roomlet_result_free(struct roomlet_result *result);

/**
 * Waits until the command has ended and `done` has returned, at most `timeout_ms` milliseconds (below 0: for ever), and
 * gives what the command gave. `out` may be NULL. May be called again, also by several threads.
 *
 * Not from a callback. Errors: those of the command; ROOMLET_TIMED_OUT; ROOMLET_WRONG_THREAD.
 */
roomlet_code roomlet_op_wait(const struct roomlet_op *op,
                             int64_t timeout_ms,
                             struct roomlet_result **out,
                             struct roomlet_error **err);

/**
 * Asks the command to stop; it then ends with ROOMLET_CANCELLED. It may have taken effect all the same, or still take
 * effect where it waits for its room: with a transaction id, asking again is safe. Nothing if it has ended, and if `op` is
 * NULL or was freed. Any thread, also in a callback.
 */
void roomlet_op_cancel(struct roomlet_op *op);

/**
 * Frees the handle; the command goes on. NULL is fine, and so is one that was freed. Any thread, also in a callback.
 */
void roomlet_op_free(struct roomlet_op *op);

/**
 * The server that the request is for, before any discovery. This and what the other `roomlet_request_` functions return
 * live as long as `request`; they are empty if that is NULL or was freed. Any thread.
 */
struct roomlet_bytes roomlet_request_destination(const struct roomlet_request *request);

/**
 * The method: `GET`, `PUT`, `POST`. Any thread.
 */
struct roomlet_bytes roomlet_request_method(const struct roomlet_request *request);

/**
 * Path and query, from `/_matrix`, to be sent byte for byte. Any thread.
 */
struct roomlet_bytes roomlet_request_target(const struct roomlet_request *request);

/**
 * How many `Authorization` headers to send. Any thread.
 */
size_t roomlet_request_authorization_count(const struct roomlet_request *request);

/**
 * The value of `Authorization` header `index`; empty beyond the last. Any thread.
 */
struct roomlet_bytes roomlet_request_authorization(const struct roomlet_request *request,
                                                   size_t index);

/**
 * The body, JSON; empty: send none. Any thread.
 */
struct roomlet_bytes roomlet_request_body(const struct roomlet_request *request);

/**
 * Gives the response, whatever its status, and uses up `reply` and its request. One that comes too late is dropped. Any
 * thread, also in `send`. Errors: ROOMLET_BAD_ARGUMENT for a status outside 100 to 599 (`reply` can still be answered);
 * ROOMLET_FREED_HANDLE for a second answer.
 */
roomlet_code roomlet_reply_respond(struct roomlet_reply *reply,
                                   uint16_t status,
                                   struct roomlet_bytes body,
                                   struct roomlet_error **err);

/**
 * Says that the destination could not be reached; `why` is for developers. Uses up `reply` and its request. Any
 * thread, also in `send`. Errors: ROOMLET_FREED_HANDLE for a second answer.
 */
roomlet_code roomlet_reply_fail(struct roomlet_reply *reply,
                                struct roomlet_bytes why,
                                struct roomlet_error **err);

/**
 * Answers yes and uses up `question`. Any thread, also in the callback that asked. Errors: ROOMLET_FREED_HANDLE for a
 * second answer.
 */
roomlet_code roomlet_question_allow(struct roomlet_question *question,
                                    struct roomlet_error **err);

/**
 * Answers no and uses up `question`. Any thread, also in the callback that asked. Errors: ROOMLET_FREED_HANDLE for a
 * second answer.
 */
roomlet_code roomlet_question_refuse(struct roomlet_question *question,
                                     struct roomlet_error **err);

/**
 * Opens a server: makes or opens its store, makes a signing key on first use, resumes what was under way. Blocks while
 * the store opens. `config` and `host` are copied; `host.user_data` stays in use until `host.release`.
 *
 * Not from a callback. Errors: ROOMLET_BAD_ID for the name; ROOMLET_STORE, ROOMLET_STORE_LOCKED, ROOMLET_STORE_DAMAGED,
 * ROOMLET_STORE_NEWER, ROOMLET_STORE_FULL; ROOMLET_BAD_PARAM if the store is another server's or `key_validity_ms` is below 0;
 * ROOMLET_UNKNOWN_ROOM_VERSION for `default_room_version`; ROOMLET_BAD_ARGUMENT; ROOMLET_BUSY if the system gives no threads;
 * ROOMLET_WRONG_THREAD.
 */
roomlet_code roomlet_server_open(const struct roomlet_config *config,
                                 const struct roomlet_host *host,
                                 struct roomlet_server **out,
                                 struct roomlet_error **err);

/**
 * Stops all work and closes the store. Commands under way end with ROOMLET_CLOSED, and may have taken effect all the same;
 * when this returns, each `done` and `host.release` have returned, and no callback follows. Later calls on `server` give
 * ROOMLET_CLOSED. Free it all the same.
 *
 * Not from a callback. Errors: ROOMLET_WRONG_THREAD.
 */
roomlet_code roomlet_server_close(struct roomlet_server *server,
                                  struct roomlet_error **err);

/**
 * Closes the server as `roomlet_server_close` does, and frees the handle. From inside a callback it does not wait: the
 * server closes in the background, and `host.release` says when. NULL is fine, and so is one that was freed.
 */
void roomlet_server_free(struct roomlet_server *server);

/**
 * The server's name; lives as long as `server`, empty if that is NULL or was freed. Any thread.
 */
struct roomlet_bytes roomlet_server_name(const struct roomlet_server *server);

/**
 * The network is back, or the app woke up: deliveries that wait for a retry are tried at once. Any thread. Errors:
 * ROOMLET_CLOSED, ROOMLET_POISONED.
 */
roomlet_code roomlet_server_wake(struct roomlet_server *server,
                                 struct roomlet_error **err);

/**
 * Answers a federation request that another server sent to this one. `target` is path and query as they came;
 * `authorization` are the values of the `Authorization` headers. The result has the status and the body to send back
 * (`roomlet_result_status`, `roomlet_result_bytes`; `Content-Type: application/json`): what is wrong with the request is
 * said there, not by an error. If the command ends with an error, answer 503. Of a body read no more than
 * ROOMLET_MAX_REQUEST_BYTES, and answer a larger one with 413 yourself, or it is answered so here. Any thread.
 */
roomlet_code roomlet_server_handle_request(struct roomlet_server *server,
                                           struct roomlet_bytes method,
                                           struct roomlet_bytes target,
                                           const struct roomlet_bytes *authorization,
                                           size_t authorization_count,
                                           struct roomlet_bytes body,
                                           roomlet_done done,
                                           void *user_data,
                                           struct roomlet_op **op_out,
                                           struct roomlet_error **err);

/**
 * Makes an account; the result is its user id, `@localpart:server_name`. Any thread. Errors: ROOMLET_BAD_ID,
 * ROOMLET_EXISTS.
 */
roomlet_code roomlet_account_create(struct roomlet_server *server,
                                    struct roomlet_bytes localpart,
                                    roomlet_done done,
                                    void *user_data,
                                    struct roomlet_op **op_out,
                                    struct roomlet_error **err);

/**
 * Lists the accounts; the result is an array of user ids, sorted. Any thread.
 */
roomlet_code roomlet_accounts(const struct roomlet_server *server,
                              roomlet_done done,
                              void *user_data,
                              struct roomlet_op **op_out,
                              struct roomlet_error **err);

/**
 * Makes a room as `user_id`; the result is its id. `options` is a JSON object, each member of which may be absent:
 * `preset` (`private`, the default; `trusted_private`; `public`), `version`, `name`, `topic`, `type`, `invite` (a
 * list of user ids), `is_direct`, `additional_creators` (user ids; room versions from 12). Empty: all defaults. An invite
 * that another server or the host refuses does not fail the room, and nothing tells of it but the members and the log:
 * to have its error, make the room without it and call `roomlet_room_invite`.
 * Any thread.
 * Errors: ROOMLET_BAD_JSON, ROOMLET_BAD_PARAM for a member that is unknown or of the wrong type and for creators in a
 * version without them, ROOMLET_BAD_ID, ROOMLET_TOO_LARGE, ROOMLET_UNKNOWN_ROOM_VERSION, ROOMLET_UNKNOWN_USER
 * also for an invited user of this server who is no account.
 */
roomlet_code roomlet_room_create(struct roomlet_server *server,
                                 struct roomlet_bytes user_id,
                                 struct roomlet_bytes options,
                                 roomlet_done done,
                                 void *user_data,
                                 struct roomlet_op **op_out,
                                 struct roomlet_error **err);

/**
 * Replaces a room by a new one of `version`, higher or lower; the result is the new room's id. The new room takes over
 * what the old one says of itself, and no members; the old one gets a tombstone that points to it, and its members lose
 * the power to talk there where `user_id` may take it. The `creator_count` user ids in `creators` become creators beside
 * `user_id` (room versions from 12). After a crash or an error nothing points to a new room that is half done: the
 * command can be repeated. Any thread.
 * Errors: ROOMLET_DENIED if the user may not send `m.room.tombstone`, ROOMLET_UNKNOWN_ROOM_VERSION,
 * ROOMLET_BAD_PARAM for creators in a version without them, ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM,
 * ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_upgrade(struct roomlet_server *server,
                                  struct roomlet_bytes user_id,
                                  struct roomlet_bytes room_id,
                                  struct roomlet_bytes version,
                                  const struct roomlet_bytes *creators,
                                  size_t creator_count,
                                  roomlet_done done,
                                  void *user_data,
                                  struct roomlet_op **op_out,
                                  struct roomlet_error **err);

/**
 * Takes a whole room from the file `archive`: its events in federation form, one a line, the create event first and
 * others after those that they cite. All rules hold; with `trusted` not 0 the signatures alone are taken as right. The result
 * is a JSON object: `room_id`; how many events are part of the room now (`accepted`), are part of it and not shown to users
 * (`soft_failed`), are held as refused (`rejected`), were there before (`known`), or were left out (`left_out`: wrong in form,
 * hash or signatures, of another room, or citing what is not in the file); and `first_fault`, what was wrong with the first
 * that was left out or rejected, or null. Users hear of the memberships alone. An import that ended early, also by an error,
 * can be repeated, and goes on where it was. Any thread.
 * Errors: ROOMLET_BAD_PARAM for a file that cannot be read or is no archive, ROOMLET_BAD_EVENT, ROOMLET_BAD_JSON,
 * ROOMLET_UNKNOWN_ROOM_VERSION.
 */
roomlet_code roomlet_room_import(struct roomlet_server *server,
                                 struct roomlet_bytes archive,
                                 int32_t trusted,
                                 roomlet_done done,
                                 void *user_data,
                                 struct roomlet_op **op_out,
                                 struct roomlet_error **err);

/**
 * Deletes what came before the event `from` in the room's timeline, and gives the disk space back; the result is how many
 * events that was, in decimal. What the rest needs stays: the events of its states and their auth chains, and what is still
 * to be delivered. For users the history ends there, unless another server still has it and gives it when they look. Any
 * thread.
 * Errors: ROOMLET_UNKNOWN_EVENT if `from` is not in the timeline, ROOMLET_UNKNOWN_ROOM, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_purge_history(struct roomlet_server *server,
                                        struct roomlet_bytes room_id,
                                        struct roomlet_bytes from,
                                        roomlet_done done,
                                        void *user_data,
                                        struct roomlet_op **op_out,
                                        struct roomlet_error **err);

/**
 * Deletes all there is of a room, pending invites too, and gives the disk space back; the result is empty. What other
 * servers are still owed of it goes out all the same. Any thread.
 * Errors: ROOMLET_DENIED while a user of this server is in it who could leave, ROOMLET_UNKNOWN_ROOM,
 * ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_forget(struct roomlet_server *server,
                                 struct roomlet_bytes room_id,
                                 roomlet_done done,
                                 void *user_data,
                                 struct roomlet_op **op_out,
                                 struct roomlet_error **err);

/**
 * Invites `target`, of any server; the result is the event id. `reason` may be empty. Any thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_UNREACHABLE, ROOMLET_REMOTE if the target's
 * server refuses, ROOMLET_BAD_REPLY, ROOMLET_FORBIDDEN if the host refuses for a user of this server, ROOMLET_UNKNOWN_ROOM,
 * ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_invite(struct roomlet_server *server,
                                 struct roomlet_bytes user_id,
                                 struct roomlet_bytes room_id,
                                 struct roomlet_bytes target,
                                 struct roomlet_bytes reason,
                                 roomlet_done done,
                                 void *user_data,
                                 struct roomlet_op **op_out,
                                 struct roomlet_error **err);

/**
 * Joins; the result is the event id. Where this server is not in the room, or may not let the user in under its restricted
 * rule, the `via_count` server names in `via` are asked in turn, then those of who invited, and some that are known to be in
 * the room. Takes as long as the room's state takes to arrive and be checked. Any thread.
 * Errors: ROOMLET_DENIED, also if this server is in the room and neither it nor another may let the user in under its
 * restricted rule; ROOMLET_UNREACHABLE, ROOMLET_REMOTE, ROOMLET_BAD_REPLY, ROOMLET_UNKNOWN_ROOM,
 * ROOMLET_UNKNOWN_ROOM_VERSION, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_join(struct roomlet_server *server,
                               struct roomlet_bytes user_id,
                               struct roomlet_bytes room_id,
                               const struct roomlet_bytes *via,
                               size_t via_count,
                               roomlet_done done,
                               void *user_data,
                               struct roomlet_op **op_out,
                               struct roomlet_error **err);

/**
 * Leaves, rejects an invite or takes a knock back; the result is the event id, empty where the server of an
 * invite's sender could not be reached, or refused, and the invite was only dropped here. `reason` may be empty. Any
 * thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_leave(struct roomlet_server *server,
                                struct roomlet_bytes user_id,
                                struct roomlet_bytes room_id,
                                struct roomlet_bytes reason,
                                roomlet_done done,
                                void *user_data,
                                struct roomlet_op **op_out,
                                struct roomlet_error **err);

/**
 * Removes `target` from the room, or takes their invite or knock away; the result is the event id. `reason` may be empty.
 * Any thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_BAD_PARAM if `target` is not there,
 * ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_kick(struct roomlet_server *server,
                               struct roomlet_bytes user_id,
                               struct roomlet_bytes room_id,
                               struct roomlet_bytes target,
                               struct roomlet_bytes reason,
                               roomlet_done done,
                               void *user_data,
                               struct roomlet_op **op_out,
                               struct roomlet_error **err);

/**
 * Bans `target`, who need not be in the room; the result is the event id. `reason` may be empty. Any thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER,
 * ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_ban(struct roomlet_server *server,
                              struct roomlet_bytes user_id,
                              struct roomlet_bytes room_id,
                              struct roomlet_bytes target,
                              struct roomlet_bytes reason,
                              roomlet_done done,
                              void *user_data,
                              struct roomlet_op **op_out,
                              struct roomlet_error **err);

/**
 * Lifts the ban of `target`; the result is the event id. `reason` may be empty. Any thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_BAD_PARAM if `target` is not banned,
 * ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_unban(struct roomlet_server *server,
                                struct roomlet_bytes user_id,
                                struct roomlet_bytes room_id,
                                struct roomlet_bytes target,
                                struct roomlet_bytes reason,
                                roomlet_done done,
                                void *user_data,
                                struct roomlet_op **op_out,
                                struct roomlet_error **err);

/**
 * Sends a timeline event of type `type` with `content`, a JSON object; the result is the event id, given once the
 * event is durable on this device; other servers get it later. With a `txn_id` (which may be empty) a retry is safe:
 * the same one of the same user in the same room gives the same event, whichever command it was given with: this,
 * `roomlet_room_set_state` or `roomlet_room_redact`. It is remembered for as long as the room is held. Any thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_BAD_PARAM for a type that the room's version retired
 * or that has a command of its own, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_TOO_LARGE, ROOMLET_UNKNOWN_ROOM,
 * ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_send(struct roomlet_server *server,
                               struct roomlet_bytes user_id,
                               struct roomlet_bytes room_id,
                               struct roomlet_bytes type_,
                               struct roomlet_bytes content,
                               struct roomlet_bytes txn_id,
                               roomlet_done done,
                               void *user_data,
                               struct roomlet_op **op_out,
                               struct roomlet_error **err);

/**
 * Sends a state event; as `roomlet_room_send`, with a `state_key`, which may be empty. Of a member event,
 * `join_authorised_via_users_server` is left out: it would need the signature of another server. Any thread.
 * Errors: as there; ROOMLET_BAD_PARAM also for an invite (`roomlet_room_invite`) and for power levels with a state key,
 * ROOMLET_BAD_EVENT for another create event.
 */
roomlet_code roomlet_room_set_state(struct roomlet_server *server,
                                    struct roomlet_bytes user_id,
                                    struct roomlet_bytes room_id,
                                    struct roomlet_bytes type_,
                                    struct roomlet_bytes state_key,
                                    struct roomlet_bytes content,
                                    struct roomlet_bytes txn_id,
                                    roomlet_done done,
                                    void *user_data,
                                    struct roomlet_op **op_out,
                                    struct roomlet_error **err);

/**
 * Takes the content of event `event_id` away, on every server; the result is the redaction's event id. `reason` and
 * `txn_id` may be empty. Any thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_UNKNOWN_EVENT, ROOMLET_UNKNOWN_ROOM,
 * ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_redact(struct roomlet_server *server,
                                 struct roomlet_bytes user_id,
                                 struct roomlet_bytes room_id,
                                 struct roomlet_bytes event_id,
                                 struct roomlet_bytes reason,
                                 struct roomlet_bytes txn_id,
                                 roomlet_done done,
                                 void *user_data,
                                 struct roomlet_op **op_out,
                                 struct roomlet_error **err);

/**
 * Reads all that is stored, and reports what does not fit together; with `repair` not 0, what follows from other things
 * is put right, and events that cannot be read are deleted, so that the rest of their rooms can be used: make a copy of
 * the file first, if somebody may want to look at them. The result is a JSON object: `rooms`, `events` and `states`, how
 * many were looked at, and `faults`, a list of objects of `kind` (`file`, `index`, `lost-event`, `room`, `event-form`,
 * `event-id`, `slot`, `auth-event`, `event-state`, `state-parent`, `state-event`, `extremity`, `current-state`, `member`,
 * `missing-event`, `delivery`), `about` and `repaired`. Commands on a room wait while it is looked at. Any thread.
 * Errors: those of the store, where it cannot even be read.
 */
roomlet_code roomlet_store_check(struct roomlet_server *server,
                                 int32_t repair,
                                 roomlet_done done,
                                 void *user_data,
                                 struct roomlet_op **op_out,
                                 struct roomlet_error **err);

/**
 * Writes a copy of the store, as it is at one moment, to the new file `path`; commands go on meanwhile. The copy can be
 * opened as a store. The result is empty. Any thread.
 * Errors: ROOMLET_BAD_PARAM if there is such a file, or if the store is in memory; ROOMLET_STORE, ROOMLET_STORE_FULL.
 */
roomlet_code roomlet_store_backup(struct roomlet_server *server,
                                  struct roomlet_bytes path,
                                  roomlet_done done,
                                  void *user_data,
                                  struct roomlet_op **op_out,
                                  struct roomlet_error **err);

/**
 * Reads a page of 1 to `limit` events that `user_id` may see; `limit` is 1 to 1,000. `from` is `next` of the page
 * before; empty: from the newest event backwards, or the oldest forwards. `direction` is ROOMLET_BACKWARD or
 * ROOMLET_FORWARD. Backwards, other servers are asked where the history on this device ends. Any thread.
 * The result is an object: `events`, in the direction of the page, and `next`, a token, or null where there is
 * nothing more now. An event is an object as `roomlet_room_event` gives it.
 * Errors: ROOMLET_BAD_PARAM for a token that roomlet did not give; ROOMLET_BAD_ARGUMENT; ROOMLET_NOT_JOINED,
 * ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_timeline(const struct roomlet_server *server,
                                   struct roomlet_bytes user_id,
                                   struct roomlet_bytes room_id,
                                   struct roomlet_bytes from,
                                   int32_t direction,
                                   size_t limit,
                                   roomlet_done done,
                                   void *user_data,
                                   struct roomlet_op **op_out,
                                   struct roomlet_error **err);

/**
 * Reads one event; the result is an object: `event_id`, `room_id`, `sender`, `type`, `state_key` (state events only),
 * `origin_server_ts` (the sender's clock, in milliseconds since 1970), `content`, `redacts` (redactions only),
 * `redacted_by` (if it lost its content). Any thread.
 * Errors: ROOMLET_UNKNOWN_EVENT, ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_event(const struct roomlet_server *server,
                                struct roomlet_bytes user_id,
                                struct roomlet_bytes room_id,
                                struct roomlet_bytes event_id,
                                roomlet_done done,
                                void *user_data,
                                struct roomlet_op **op_out,
                                struct roomlet_error **err);

/**
 * Reads the current state (for who left: what it was then); the result is an array of events by type and state key.
 * Any thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_state(const struct roomlet_server *server,
                                struct roomlet_bytes user_id,
                                struct roomlet_bytes room_id,
                                roomlet_done done,
                                void *user_data,
                                struct roomlet_op **op_out,
                                struct roomlet_error **err);

/**
 * Reads one event of the current state; the result is the event, empty if there is no such state. Any thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_state_event(const struct roomlet_server *server,
                                      struct roomlet_bytes user_id,
                                      struct roomlet_bytes room_id,
                                      struct roomlet_bytes type_,
                                      struct roomlet_bytes state_key,
                                      roomlet_done done,
                                      void *user_data,
                                      struct roomlet_op **op_out,
                                      struct roomlet_error **err);

/**
 * Reads the members, with `membership` (`join`, `invite`, `leave`, `ban`, `knock`) or all if that is empty; the
 * result is an array of objects, `user_id` and `membership`, by user id. Any thread.
 * Errors: ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_members(const struct roomlet_server *server,
                                  struct roomlet_bytes user_id,
                                  struct roomlet_bytes room_id,
                                  struct roomlet_bytes membership,
                                  roomlet_done done,
                                  void *user_data,
                                  struct roomlet_op **op_out,
                                  struct roomlet_error **err);

/**
 * Reads what came with an invite that is not answered yet: an array of stripped state events, as the inviting server
 * told them (unverified). Any thread.
 * Errors: ROOMLET_NOT_FOUND if there is no such invite; ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_room_preview(const struct roomlet_server *server,
                                  struct roomlet_bytes user_id,
                                  struct roomlet_bytes room_id,
                                  roomlet_done done,
                                  void *user_data,
                                  struct roomlet_op **op_out,
                                  struct roomlet_error **err);

/**
 * Lists the rooms and invites of `user_id`; the result is an array of objects, `room_id` and `membership`, by room
 * id. Any thread. Errors: ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
 */
roomlet_code roomlet_rooms(const struct roomlet_server *server,
                           struct roomlet_bytes user_id,
                           roomlet_done done,
                           void *user_data,
                           struct roomlet_op **op_out,
                           struct roomlet_error **err);

/**
 * Opens a reader of what comes after the update with token `since` (empty: of everything that is kept). Keep the token
 * of what you have handled, and after a crash begin there: nothing is missed. Any thread. Errors: ROOMLET_BAD_PARAM for
 * text that is no token; ROOMLET_CLOSED, ROOMLET_POISONED.
 */
roomlet_code roomlet_updates_open(const struct roomlet_server *server,
                                  struct roomlet_bytes since,
                                  struct roomlet_updates **out,
                                  struct roomlet_error **err);

/**
 * Gives the next 1 to `max` updates (`max` is 1 to 1,000), as soon as there is one; waiting holds no thread. If it ends
 * with an error the reader has not moved.
 *
 * The result has `roomlet_result_update_count` updates, each a token and an object with `pos` (the token), `kind` and
 * what belongs to it:
 *   `event`          `event`: a new event, as `roomlet_room_event` gives it
 *   `state_changed`  `room_id`, `type`, `state_key`, `event` (or null): merging histories changed the current state
 *                    without a new event
 *   `membership`     `room_id`, `user_id`, `membership`, `sender`: of a local user
 *   `redacted`       `room_id`, `event_id`, `redacted_by`: an event lost its content
 *
 * Any thread, one call at a time. Errors: ROOMLET_BUSY if the call before has not ended; ROOMLET_BAD_PARAM for a token beyond
 * the newest update, of another store or of a store that went back to a backup; ROOMLET_BAD_ARGUMENT.
 */
roomlet_code roomlet_updates_next(struct roomlet_updates *updates,
                                  size_t max,
                                  roomlet_done done,
                                  void *user_data,
                                  struct roomlet_op **op_out,
                                  struct roomlet_error **err);

/**
 * Frees a reader; a batch under way is still handed out. NULL is fine, and so is one that was freed. Any thread.
 */
void roomlet_updates_free(struct roomlet_updates *updates);

/**
 * Gives the token of the newest update: a reader opened with it begins with what comes next. Any thread.
 */
roomlet_code roomlet_updates_last(const struct roomlet_server *server,
                                  roomlet_done done,
                                  void *user_data,
                                  struct roomlet_op **op_out,
                                  struct roomlet_error **err);

/**
 * Forgets updates up to and with the one with token `up_to`, which every reader has handled; without this the stream only
 * grows. The result is empty. Any thread. Errors: ROOMLET_BAD_PARAM for text that is no token, and as `roomlet_updates_next`
 * for one beyond the newest update.
 */
roomlet_code roomlet_updates_trim(struct roomlet_server *server,
                                  struct roomlet_bytes up_to,
                                  roomlet_done done,
                                  void *user_data,
                                  struct roomlet_op **op_out,
                                  struct roomlet_error **err);

/**
 * Gives an event that a source was asked for. The text is copied. Any thread.
 * Errors: ROOMLET_FREED_HANDLE after the call of the source, ROOMLET_BAD_ARGUMENT for text that is not UTF-8.
 */
roomlet_code roomlet_events_add(struct roomlet_events *events,
                                struct roomlet_bytes event,
                                struct roomlet_error **err);

/**
 * As roomlet_tool_resolve_state, where `source` gives events when they are needed: a call for each step into the auth
 * chains. Any thread.
 * Errors: as there; ROOMLET_HOST if `source` does not return 0; ROOMLET_BAD_EVENT if it gives what was not asked for, or more
 * than a million events.
 */
roomlet_code roomlet_tool_resolve_state_from(struct roomlet_bytes version,
                                             struct roomlet_bytes states,
                                             roomlet_event_source source,
                                             void *user_data,
                                             struct roomlet_result **result,
                                             struct roomlet_error **err);

/**
 * The canonical form of a JSON value, as `result`.
 * Any thread.
 * Errors: ROOMLET_BAD_JSON; ROOMLET_NOT_CANONICAL for a number that is no integer of at most 53 bits.
 */
roomlet_code roomlet_tool_canonical_json(struct roomlet_bytes json,
                                         struct roomlet_result **result,
                                         struct roomlet_error **err);

/**
 * The public key of a signing key, both in unpadded base64; `seed` is its 32 bytes.
 * Any thread.
 * Errors: ROOMLET_BAD_PARAM if it is not.
 */
roomlet_code roomlet_tool_public_key(struct roomlet_bytes seed,
                                     struct roomlet_result **result,
                                     struct roomlet_error **err);

/**
 * The object, in canonical form, with the signature of `server` beside those that it has. `key_id` is `ed25519:` and a name,
 * `seed` as for `roomlet_tool_public_key`.
 * Any thread.
 * Errors: ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_BAD_ID, ROOMLET_BAD_PARAM for the seed and for a key id that is
 * not of ed25519.
 */
roomlet_code roomlet_tool_sign_json(struct roomlet_bytes object,
                                    struct roomlet_bytes server,
                                    struct roomlet_bytes key_id,
                                    struct roomlet_bytes seed,
                                    struct roomlet_result **result,
                                    struct roomlet_error **err);

/**
 * Checks that `object` has a signature of `server` with the key `key_id`, and that it is right. `public_key` is in base64.
 * Any thread.
 * Errors: ROOMLET_MISSING_SIGNATURE, ROOMLET_BAD_SIGNATURE, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_BAD_ID,
 * ROOMLET_BAD_PARAM for a key that is none and for a key id that is not of ed25519.
 */
roomlet_code roomlet_tool_verify_json(struct roomlet_bytes object,
                                      struct roomlet_bytes server,
                                      struct roomlet_bytes key_id,
                                      struct roomlet_bytes public_key,
                                      struct roomlet_error **err);

/**
 * The content hash of an event, as `hashes.sha256` has it.
 * Any thread.
 * Errors: ROOMLET_BAD_JSON; ROOMLET_NOT_CANONICAL, also for numbers that versions 1 to 5 allow.
 */
roomlet_code roomlet_tool_content_hash(struct roomlet_bytes event,
                                       struct roomlet_result **result,
                                       struct roomlet_error **err);

/**
 * The id of an event of a room of `version`: from version 3 on computed from its content, before that its `event_id`.
 * Any thread.
 * Errors: ROOMLET_UNKNOWN_ROOM_VERSION; those of roomlet_tool_check_event.
 */
roomlet_code roomlet_tool_event_id(struct roomlet_bytes event,
                                   struct roomlet_bytes version,
                                   struct roomlet_result **result,
                                   struct roomlet_error **err);

/**
 * What is left of an event after a redaction, in canonical form.
 * Any thread.
 * Errors: ROOMLET_UNKNOWN_ROOM_VERSION, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL.
 */
roomlet_code roomlet_tool_redact(struct roomlet_bytes event,
                                 struct roomlet_bytes version,
                                 struct roomlet_result **result,
                                 struct roomlet_error **err);

/**
 * The servers whose signatures an event needs, a JSON list.
 * Any thread.
 * Errors: ROOMLET_UNKNOWN_ROOM_VERSION; those of roomlet_tool_check_event.
 */
roomlet_code roomlet_tool_required_signers(struct roomlet_bytes event,
                                           struct roomlet_bytes version,
                                           struct roomlet_result **result,
                                           struct roomlet_error **err);

/**
 * Checks the form of an event: fields, identifiers, sizes, canonical JSON; neither hash nor signatures.
 * Any thread.
 * Errors: ROOMLET_BAD_EVENT, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_TOO_LARGE, ROOMLET_BAD_ID, naming field and rule;
 * ROOMLET_UNKNOWN_ROOM_VERSION.
 */
roomlet_code roomlet_tool_check_event(struct roomlet_bytes event,
                                      struct roomlet_bytes version,
                                      struct roomlet_error **err);

/**
 * The event with its content hash and the signature of `server`, in canonical form. Signatures that it has stay; they no
 * longer hold if the hash was another one.
 * Any thread.
 * Errors: as roomlet_tool_sign_json; ROOMLET_UNKNOWN_ROOM_VERSION.
 */
roomlet_code roomlet_tool_sign_event(struct roomlet_bytes event,
                                     struct roomlet_bytes version,
                                     struct roomlet_bytes server,
                                     struct roomlet_bytes key_id,
                                     struct roomlet_bytes seed,
                                     struct roomlet_result **result,
                                     struct roomlet_error **err);

/**
 * Checks the signatures that an event needs, and its content hash; the result is the event, or its redacted form if the
 * hash does not fit. `keys` is a JSON object by server, then by key id, of public keys in base64; whether they were valid at
 * the time of the event is for the caller to know.
 * Any thread.
 * Errors: ROOMLET_MISSING_SIGNATURE, ROOMLET_BAD_SIGNATURE, ROOMLET_UNKNOWN_KEY, ROOMLET_BAD_PARAM for `keys`; those of
 * roomlet_tool_check_event.
 */
roomlet_code roomlet_tool_verify_event(struct roomlet_bytes event,
                                       struct roomlet_bytes version,
                                       struct roomlet_bytes keys,
                                       struct roomlet_result **result,
                                       struct roomlet_error **err);

/**
 * Whether an event is allowed by its own auth events, which are given, in any order, in version 12 with the create event; a
 * JSON object of `allowed`, and if that is false `rule`, a name that stays (docs/toolkit.md lists them), and `about`, the rule
 * in words. Neither hashes nor signatures are looked at.
 * Any thread.
 * Errors: ROOMLET_UNKNOWN_EVENT for an auth event that is not given; those of roomlet_tool_check_event.
 */
roomlet_code roomlet_tool_check_auth_events(struct roomlet_bytes event,
                                            const struct roomlet_bytes *auth_events,
                                            size_t auth_events_count,
                                            struct roomlet_bytes version,
                                            struct roomlet_result **result,
                                            struct roomlet_error **err);

/**
 * Whether an event is allowed in the state of these events, of which those that matter are enough; else as
 * roomlet_tool_check_auth_events.
 * Any thread.
 * Errors: those of roomlet_tool_check_event.
 */
roomlet_code roomlet_tool_check_auth(struct roomlet_bytes event,
                                     const struct roomlet_bytes *state,
                                     size_t state_count,
                                     struct roomlet_bytes version,
                                     struct roomlet_result **result,
                                     struct roomlet_error **err);

/**
 * The types and state keys of the state events that an event has to cite, a JSON list of pairs. Of the event only `type`,
 * `sender`, `state_key` and `content` are read: it need not be finished.
 * Any thread.
 * Errors: ROOMLET_BAD_EVENT, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_UNKNOWN_ROOM_VERSION.
 */
roomlet_code roomlet_tool_auth_types(struct roomlet_bytes event,
                                     struct roomlet_bytes version,
                                     struct roomlet_result **result,
                                     struct roomlet_error **err);

/**
 * The ids of those events of `state` that an event has to cite, a JSON list.
 * Any thread.
 * Errors: as roomlet_tool_auth_types; those of roomlet_tool_check_event.
 */
roomlet_code roomlet_tool_select_auth_events(struct roomlet_bytes event,
                                             const struct roomlet_bytes *state,
                                             size_t state_count,
                                             struct roomlet_bytes version,
                                             struct roomlet_result **result,
                                             struct roomlet_error **err);

/**
 * The ids of the events of the state that several states resolve to, a JSON list by type and state key. `states` is a JSON
 * list of lists of event ids; `events` has these events and their auth chains, and may have more. Neither hashes nor
 * signatures are looked at.
 * Any thread.
 * Errors: ROOMLET_UNKNOWN_EVENT for an event that is needed and not given; ROOMLET_BAD_EVENT for two events of a state with
 * the same type and state key; ROOMLET_BAD_PARAM for `states` that are no such list, ROOMLET_BAD_ID for an id in it; those of
 * roomlet_tool_check_event.
 */
roomlet_code roomlet_tool_resolve_state(struct roomlet_bytes version,
                                        struct roomlet_bytes states,
                                        const struct roomlet_bytes *events,
                                        size_t events_count,
                                        struct roomlet_result **result,
                                        struct roomlet_error **err);

/**
 * Checks an identifier and takes it apart: a JSON object of `local` (what stands before the server, without the sigil; of a
 * key its name), `server`, `host` and `port`, the last three null where there is none. `kind` is a constant ROOMLET_ID_*.
 * Any thread.
 * Errors: ROOMLET_BAD_ID, with the rule; ROOMLET_BAD_ARGUMENT for another kind.
 */
roomlet_code roomlet_tool_parse_id(int32_t kind,
                                   struct roomlet_bytes text,
                                   struct roomlet_result **result,
                                   struct roomlet_error **err);

/**
 * The names of all room versions, a JSON list.
 * Any thread.
 * Errors: none.
 */
roomlet_code roomlet_tool_room_versions(struct roomlet_result **result, struct roomlet_error **err);

/**
 * What a room version can do, a JSON object: `id`; `stable`, false for a draft's; `event_ids` (`server`, `hash` or
 * `url_safe_hash`), `state_resolution` (`1`, `2` or `2.1`), `power_levels` (`lenient`, `strings` or `integers`); and true
 * or false each `strict_canonical_json`, `enforces_key_validity`, `special_aliases`, `knock`, `restricted`,
 * `knock_restricted`, `redacts_in_content`, `creator_is_sender`, `room_id_is_create_hash`, `creators_rank_above`,
 * `extensible_events`.
 * Any thread.
 * Errors: ROOMLET_UNKNOWN_ROOM_VERSION.
 */
roomlet_code roomlet_tool_room_version(struct roomlet_bytes version,
                                       struct roomlet_result **result,
                                       struct roomlet_error **err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ROOMLET_H */
