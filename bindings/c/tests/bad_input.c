/* What a C program can do wrong: each row is an input, the code and the text that it gives, and that nothing changed. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int rows;

/* A call that must fail with `code` and a message that contains `wanted`; `err` is what it gave. */
static void expect(int line, roomlet_code got, roomlet_error *err, roomlet_code code, const char *wanted) {
    roomlet_bytes message = roomlet_error_message(err);
    rows++;
    if (got != code || roomlet_error_code(err) != code || !contains(message, wanted)) {
        fprintf(stderr, "%s:%d: wanted %d and \"%s\", got %d and \"%.*s\"\n", __FILE__, line, (int)code, wanted,
                (int)got, (int)message.len, (const char *)message.ptr);
        exit(1);
    }
    roomlet_error_free(err);
}

/* One row: `call` mentions `&err`. */
#define ROW(call, code, wanted)              \
    do {                                     \
        roomlet_error *err = NULL;           \
        roomlet_code got = (call);           \
        expect(__LINE__, got, err, code, wanted); \
    } while (0)

/* One row about a command that starts and then fails. */
#define ENDS(call, code, wanted)                          \
    do {                                                  \
        roomlet_error *err = NULL;                        \
        roomlet_op *op = NULL;                            \
        roomlet_result *result = NULL;                    \
        roomlet_code got;                                 \
        CHECK_OK((call), err);                            \
        got = roomlet_op_wait(op, 20000, &result, &err);  \
        expect(__LINE__, got, err, code, wanted);         \
        CHECK(result == NULL);                            \
        roomlet_op_free(op);                              \
    } while (0)

static roomlet_bytes raw(const void *ptr, size_t len) {
    roomlet_bytes bytes;
    bytes.ptr = ptr;
    bytes.len = len;
    return bytes;
}

/* The host of these tests: it counts, and answers each request in wrong ways before the right one. */
typedef struct {
    int released;
    int requests;
} counts;

static void release(void *user_data) {
    ((counts *)user_data)->released++;
}

static void send_wrongly(void *user_data, const roomlet_request *request, roomlet_reply *reply) {
    roomlet_bytes none = roomlet_request_authorization(request, 1000);
    ((counts *)user_data)->requests++;
    CHECK(none.len == 0);
    ROW(roomlet_reply_respond(NULL, 200, text("{}"), &err), ROOMLET_BAD_ARGUMENT, "`reply`: is NULL");
    ROW(roomlet_reply_respond((roomlet_reply *)(uintptr_t)request, 200, text("{}"), &err), ROOMLET_BAD_ARGUMENT,
        "`reply`: is a roomlet_request; a roomlet_reply is wanted");
    ROW(roomlet_reply_respond(reply, 42, text("{}"), &err), ROOMLET_BAD_ARGUMENT, "`status`: 42 is not 100 to 599");
    ROW(roomlet_reply_respond(reply, 200, raw(NULL, 2), &err), ROOMLET_BAD_ARGUMENT, "`body`: is NULL with length 2");
    ROW(roomlet_reply_fail(reply, raw("\xff", 1), &err), ROOMLET_BAD_ARGUMENT, "`why`: is not UTF-8 from byte 0 on");
    CHECK(roomlet_reply_fail(reply, text("no network here"), NULL) == ROOMLET_OK);
    ROW(roomlet_reply_fail(reply, text("again"), &err), ROOMLET_FREED_HANDLE, "`reply`: this roomlet_reply was freed");
    CHECK(roomlet_request_method(request).len == 0);
}

static roomlet_config config_of(const char *name) {
    roomlet_config config;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.server_name = text(name);
    return config;
}

static roomlet_host host_of(counts *counts) {
    roomlet_host host;
    memset(&host, 0, sizeof host);
    host.struct_size = sizeof host;
    host.user_data = counts;
    host.release = release;
    host.send = send_wrongly;
    return host;
}

static roomlet_server *open_with(counts *counts) {
    roomlet_config config = config_of("bad.example");
    roomlet_host host = host_of(counts);
    roomlet_server *server = NULL;
    roomlet_error *err = NULL;
    CHECK_OK(roomlet_server_open(&config, &host, &server, &err), err);
    return server;
}

/* A struct of a newer version of roomlet. */
typedef struct {
    roomlet_config known;
    uint64_t unknown;
} newer_config;

static void opening(void) {
    counts seen = {0, 0};
    roomlet_config config = config_of("bad.example");
    roomlet_host host = host_of(&seen);
    roomlet_server *server = NULL;
    newer_config newer;

    ROW(roomlet_server_open(NULL, &host, &server, &err), ROOMLET_BAD_ARGUMENT, "`config`: is NULL");
    ROW(roomlet_server_open(&config, NULL, &server, &err), ROOMLET_BAD_ARGUMENT, "`host`: is NULL");
    ROW(roomlet_server_open(&config, &host, NULL, &err), ROOMLET_BAD_ARGUMENT, "`out`: is NULL");
    config.struct_size = 0;
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_BAD_ARGUMENT, "`config`: has struct_size 0");
    config.struct_size = (size_t)-1;
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_BAD_ARGUMENT, "`config`: has struct_size 1844");
    config.struct_size = sizeof config;
    memset(&newer, 0, sizeof newer);
    newer.known = config;
    newer.known.struct_size = sizeof newer;
    newer.unknown = 1;
    ROW(roomlet_server_open(&newer.known, &host, &server, &err), ROOMLET_BAD_ARGUMENT,
        "`config`: sets a field that this version of roomlet does not know");
    host.struct_size = sizeof(size_t);
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_BAD_ARGUMENT, "`host`: has struct_size 8");
    host.struct_size = sizeof host;
    host.send = NULL;
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_BAD_ARGUMENT, "`host`: `send` is NULL");
    host.send = send_wrongly;
    config.server_name = raw(NULL, 3);
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_BAD_ARGUMENT,
        "`config.server_name`: is NULL with length 3");
    config.server_name = raw("a", (size_t)-1);
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_BAD_ARGUMENT, "more than memory can hold");
    config.server_name = raw("a\xc3(", 3);
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_BAD_ARGUMENT,
        "`config.server_name`: is not UTF-8 from byte 1 on");
    config.server_name = text("");
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_BAD_ID, "`config.server_name`: server name \"\"");
    config.server_name = text("under_score.example");
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_BAD_ID, "outside `A-Za-z0-9.-`");
    CHECK(server == NULL);
    CHECK(seen.released == 0);

    /* A newer struct that asks for nothing new is fine, and so is no error wanted. */
    newer.unknown = 0;
    CHECK(roomlet_server_open(&newer.known, NULL, &server, NULL) == ROOMLET_BAD_ARGUMENT);
    CHECK(roomlet_server_open(&newer.known, &host, &server, NULL) == ROOMLET_OK);
    roomlet_server_free(server);
    CHECK(seen.released == 1);
}

/* Stores that cannot be opened. */
static void stores(void) {
    char dir[] = "/tmp/roomlet-bad-XXXXXX";
    char path[64], broken[64];
    counts seen = {0, 0};
    roomlet_config config = config_of("bad.example");
    roomlet_host host = host_of(&seen);
    roomlet_server *server = NULL, *second = NULL;
    roomlet_error *failed = NULL;
    FILE *file;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/good.db", dir);
    snprintf(broken, sizeof broken, "%s/broken.db", dir);
    file = fopen(broken, "w");
    CHECK(file != NULL && fputs("this is no database, however long it is", file) > 0 && fclose(file) == 0);

    config.store_path = text(dir);
    ROW(roomlet_server_open(&config, &host, &second, &err), ROOMLET_STORE, dir);
    config.store_path = text(broken);
    ROW(roomlet_server_open(&config, &host, &second, &err), ROOMLET_STORE_DAMAGED, "broken.db");
    config.store_path = text(path);
    CHECK_OK(roomlet_server_open(&config, &host, &server, &failed), failed);
    ROW(roomlet_server_open(&config, &host, &second, &err), ROOMLET_STORE_LOCKED, "good.db");
    roomlet_server_free(server);
    config.server_name = text("other.example");
    ROW(roomlet_server_open(&config, &host, &second, &err), ROOMLET_BAD_PARAM, "bad.example");
    CHECK(second == NULL && seen.released == 1);
    unlink(path), unlink(broken), rmdir(dir);
}

static void handles(void) {
    counts seen = {0, 0};
    roomlet_server *server = open_with(&seen);
    roomlet_op *op = NULL;
    roomlet_updates *updates = NULL;
    roomlet_error *none = NULL;
    uint64_t stray[2] = {0, 0};

    ROW(roomlet_accounts(NULL, NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT, "`server`: is NULL");
    ROW(roomlet_accounts((roomlet_server *)(void *)stray, NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT,
        "`server`: is not a handle of roomlet; a roomlet_server is wanted");
    ROW(roomlet_op_wait((roomlet_op *)(void *)server, 0, NULL, &err), ROOMLET_BAD_ARGUMENT,
        "`op`: is a roomlet_server; a roomlet_op is wanted");
    ROW(roomlet_op_wait(NULL, 0, NULL, &err), ROOMLET_BAD_ARGUMENT, "`op`: is NULL");
    ROW(roomlet_updates_next(NULL, 1, NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT, "`updates`: is NULL");
    ROW(roomlet_server_wake(NULL, &err), ROOMLET_BAD_ARGUMENT, "`server`: is NULL");
    ROW(roomlet_server_close(NULL, &err), ROOMLET_BAD_ARGUMENT, "`server`: is NULL");
    ROW(roomlet_question_allow(NULL, &err), ROOMLET_BAD_ARGUMENT, "`question`: is NULL");
    ROW(roomlet_question_refuse((roomlet_question *)(void *)server, &err), ROOMLET_BAD_ARGUMENT,
        "`question`: is a roomlet_server; a roomlet_question is wanted");
    ROW(roomlet_updates_open(server, text(""), NULL, &err), ROOMLET_BAD_ARGUMENT, "`out`: is NULL");
    CHECK(op == NULL);

    /* Freed handles. */
    CHECK_OK(roomlet_accounts(server, NULL, NULL, &op, &none), none);
    free(result_of(op));
    ROW(roomlet_op_wait(op, 0, NULL, &err), ROOMLET_FREED_HANDLE, "`op`: this roomlet_op was freed already");
    roomlet_op_free(op);
    roomlet_op_cancel(op);
    CHECK_OK(roomlet_updates_open(server, text(""), &updates, &none), none);
    roomlet_updates_free(updates);
    roomlet_updates_free(updates);
    ROW(roomlet_updates_next(updates, 1, NULL, NULL, NULL, &err), ROOMLET_FREED_HANDLE,
        "`updates`: this roomlet_updates was freed already");
    roomlet_server_free(server);
    roomlet_server_free(server);
    CHECK(seen.released == 1);
    ROW(roomlet_accounts(server, NULL, NULL, NULL, &err), ROOMLET_FREED_HANDLE,
        "`server`: this roomlet_server was freed already");
    CHECK(roomlet_server_name(server).len == 0);

    /* NULL where it is fine. */
    roomlet_server_free(NULL), roomlet_op_free(NULL), roomlet_op_cancel(NULL), roomlet_updates_free(NULL);
    roomlet_result_free(NULL), roomlet_error_free(NULL);
    CHECK(roomlet_error_code(NULL) == ROOMLET_OK);
    CHECK(roomlet_error_message(NULL).len == 0);
    CHECK(roomlet_result_bytes(NULL).len == 0);
    CHECK(roomlet_result_update(NULL, 0).len == 0);
}

static void arguments(void) {
    counts seen = {0, 0};
    roomlet_server *server = open_with(&seen);
    roomlet_bytes user, room = text("!room:bad.example"), none = text("");
    roomlet_updates *updates = NULL;
    roomlet_op *op = NULL;
    roomlet_error *failed = NULL;
    roomlet_bytes via[2];
    char *alice, *accounts;

    CHECK_OK(roomlet_account_create(server, text("alice"), NULL, NULL, &op, &failed), failed);
    alice = result_of(op);
    user = text(alice);
    op = NULL;

    ROW(roomlet_account_create(server, raw(NULL, 5), NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT,
        "`localpart`: is NULL with length 5");
    ROW(roomlet_account_create(server, raw("x", (size_t)-1), NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT,
        "`localpart`: has length 18446744073709551615, more than memory can hold");
    ROW(roomlet_account_create(server, raw("x", (size_t)PTRDIFF_MAX + 1), NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT,
        "`localpart`: has length 9223372036854775808, more than memory can hold");
    ROW(roomlet_account_create(server, raw("b\xff", 2), NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT,
        "`localpart`: is not UTF-8 from byte 1 on");
    ROW(roomlet_rooms(server, text("alice"), NULL, NULL, &op, &err), ROOMLET_BAD_ID,
        "`user_id`: user id \"alice\": does not begin with `@`");
    ROW(roomlet_room_state(server, user, text("room"), NULL, NULL, &op, &err), ROOMLET_BAD_ID, "`room_id`: room id");
    ROW(roomlet_room_event(server, user, room, text("event"), NULL, NULL, &op, &err), ROOMLET_BAD_ID,
        "`event_id`: event id");
    ROW(roomlet_room_invite(server, user, room, text("dan"), none, NULL, NULL, &op, &err), ROOMLET_BAD_ID,
        "`target`: user id");
    ROW(roomlet_room_join(server, user, room, NULL, 2, NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT,
        "`via`: is NULL with length 2");
    ROW(roomlet_room_join(server, user, room, via, (size_t)-1 / 8, NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT,
        "`via`: has length 2305843009213693951, more than memory can hold");
    ROW(roomlet_room_join(server, user, room, (roomlet_bytes *)(void *)((char *)via + 1), 1, NULL, NULL, &op, &err),
        ROOMLET_BAD_ARGUMENT, "`via`: is not aligned");
    via[0] = text("two.example");
    via[1] = text("two example");
    ROW(roomlet_room_join(server, user, room, via, 2, NULL, NULL, &op, &err), ROOMLET_BAD_ID, "`via`: server name");
    ROW(roomlet_room_timeline(server, user, room, none, 7, 10, NULL, NULL, &op, &err), ROOMLET_BAD_ARGUMENT,
        "`direction`: 7 is not ROOMLET_BACKWARD or ROOMLET_FORWARD");
    ROW(roomlet_room_timeline(server, user, room, none, ROOMLET_FORWARD, 0, NULL, NULL, &op, &err),
        ROOMLET_BAD_ARGUMENT, "`limit`: 0 is not 1 to 1000");
    ROW(roomlet_room_timeline(server, user, room, none, ROOMLET_FORWARD, 1001, NULL, NULL, &op, &err),
        ROOMLET_BAD_ARGUMENT, "`limit`: 1001 is not 1 to 1000");
    ROW(roomlet_room_create(server, user, text("{"), NULL, NULL, &op, &err), ROOMLET_BAD_JSON, "options");
    ROW(roomlet_room_create(server, user, text("[]"), NULL, NULL, &op, &err), ROOMLET_BAD_JSON, "options");
    ROW(roomlet_room_create(server, user, text("{\"colour\":1}"), NULL, NULL, &op, &err), ROOMLET_BAD_PARAM,
        "options: \"colour\" is no option of a new room");
    ROW(roomlet_room_create(server, user, text("{\"name\":1}"), NULL, NULL, &op, &err), ROOMLET_BAD_PARAM,
        "options: \"name\" is not text");
    ROW(roomlet_room_create(server, user, text("{\"preset\":\"secret\"}"), NULL, NULL, &op, &err), ROOMLET_BAD_PARAM,
        "options: \"preset\" is not private, trusted_private or public");
    ROW(roomlet_room_create(server, user, text("{\"invite\":\"@a:b\"}"), NULL, NULL, &op, &err), ROOMLET_BAD_PARAM,
        "options: \"invite\" is not a list of user ids");
    ROW(roomlet_room_create(server, user, text("{\"invite\":[\"a\"]}"), NULL, NULL, &op, &err), ROOMLET_BAD_ID,
        "options: invite: user id");
    ROW(roomlet_room_create(server, user, text("{\"is_direct\":1}"), NULL, NULL, &op, &err), ROOMLET_BAD_PARAM,
        "options: \"is_direct\" is not true or false");
    ROW(roomlet_updates_open(server, text("12a"), &updates, &err), ROOMLET_BAD_PARAM, "the update token is not one");
    ROW(roomlet_updates_open(server, text("99999999999999999999"), &updates, &err), ROOMLET_BAD_PARAM,
        "the update token is not one");
    ROW(roomlet_updates_trim(server, text("-1"), NULL, NULL, &op, &err), ROOMLET_BAD_PARAM,
        "the update token is not one");
    ROW(roomlet_server_handle_request(server, raw("\xff", 1), text("/_matrix/x"), NULL, 0, none, NULL, NULL, &op, &err),
        ROOMLET_BAD_ARGUMENT, "`method`: is not UTF-8");
    ROW(roomlet_server_handle_request(server, text("GET"), text("/_matrix/x"), NULL, 1, none, NULL, NULL, &op, &err),
        ROOMLET_BAD_ARGUMENT, "`authorization`: is NULL with length 1");
    CHECK(op == NULL && updates == NULL);

    /* Errors that the command itself finds. */
    ENDS(roomlet_account_create(server, text("alice"), NULL, NULL, &op, &err), ROOMLET_EXISTS, "alice");
    ENDS(roomlet_account_create(server, text("Big Al"), NULL, NULL, &op, &err), ROOMLET_BAD_ID, "Big Al");
    ENDS(roomlet_rooms(server, text("@dan:two.example"), NULL, NULL, &op, &err), ROOMLET_UNKNOWN_USER,
         "@dan:two.example");
    ENDS(roomlet_room_state(server, user, room, NULL, NULL, &op, &err), ROOMLET_UNKNOWN_ROOM, "!room:bad.example");
    ENDS(roomlet_room_create(server, user, text("{\"version\":\"99\"}"), NULL, NULL, &op, &err),
         ROOMLET_UNKNOWN_ROOM_VERSION, "99");

    /* The updates reader takes one call at a time; a command can be cancelled, and a wait can end before it. */
    CHECK_OK(roomlet_updates_last(server, NULL, NULL, &op, &failed), failed);
    accounts = result_of(op);
    CHECK_OK(roomlet_updates_open(server, text(accounts), &updates, &failed), failed);
    free(accounts);
    ROW(roomlet_updates_next(updates, 0, NULL, NULL, NULL, &err), ROOMLET_BAD_ARGUMENT, "`max`: 0 is not 1 to 1000");
    CHECK_OK(roomlet_updates_next(updates, 1, NULL, NULL, &op, &failed), failed);
    ROW(roomlet_updates_next(updates, 1, NULL, NULL, NULL, &err), ROOMLET_BUSY,
        "`updates`: a batch is under way already");
    ROW(roomlet_op_wait(op, 1, NULL, &err), ROOMLET_TIMED_OUT, "roomlet_op_wait: the command has not ended in time");
    roomlet_op_cancel(op);
    ROW(roomlet_op_wait(op, -1, NULL, &err), ROOMLET_CANCELLED, "the command was cancelled");
    roomlet_op_free(op);

    /* Nothing of all this changed anything. */
    CHECK_OK(roomlet_accounts(server, NULL, NULL, &op, &failed), failed);
    accounts = result_of(op);
    CHECK(strcmp(accounts, "[\"@alice:bad.example\"]") == 0);
    free(accounts);
    CHECK_OK(roomlet_rooms(server, user, NULL, NULL, &op, &failed), failed);
    accounts = result_of(op);
    CHECK(strcmp(accounts, "[]") == 0);
    free(accounts);

    /* A wrong answer of the host does not harm: the command ends as if the network were down. */
    ENDS(roomlet_room_join(server, user, text("!room:two.example"), via, 1, NULL, NULL, &op, &err), ROOMLET_UNREACHABLE,
         "");
    CHECK(seen.requests > 0);

    /* Closing ends what waits; afterwards all is refused. */
    CHECK_OK(roomlet_updates_next(updates, 1, NULL, NULL, &op, &failed), failed);
    CHECK_OK(roomlet_server_close(server, &failed), failed);
    CHECK_OK(roomlet_server_close(server, &failed), failed);
    ROW(roomlet_op_wait(op, -1, NULL, &err), ROOMLET_CLOSED, "server bad.example: closed");
    ROW(roomlet_accounts(server, NULL, NULL, NULL, &err), ROOMLET_CLOSED, "server bad.example: closed");
    ROW(roomlet_server_wake(server, &err), ROOMLET_CLOSED, "server bad.example: closed");
    ROW(roomlet_updates_next(updates, 1, NULL, NULL, NULL, &err), ROOMLET_CLOSED, "server bad.example: closed");
    CHECK(seen.released == 1);
    roomlet_op_free(op);
    roomlet_updates_free(updates);
    roomlet_server_free(server);
    free(alice);
}

/* What `waits_inside` may use. */
typedef struct {
    counts seen;
    roomlet_server *server;
    roomlet_op *other;
} inside;

/* A callback that calls what waits. */
static void waits_inside(void *user_data, const roomlet_result *result, const roomlet_error *error) {
    inside *here = user_data;
    roomlet_config config = config_of("other.example");
    roomlet_host host = host_of(&here->seen);
    roomlet_server *server = NULL;
    CHECK(result != NULL && error == NULL);
    ROW(roomlet_op_wait(here->other, 0, NULL, &err), ROOMLET_WRONG_THREAD,
        "roomlet_op_wait: waits, and must not be called from a callback");
    ROW(roomlet_server_open(&config, &host, &server, &err), ROOMLET_WRONG_THREAD, "roomlet_server_open: waits");
    ROW(roomlet_server_close(here->server, &err), ROOMLET_WRONG_THREAD, "roomlet_server_close: waits");
    CHECK(server == NULL);
}

static void wrong_threads(void) {
    inside here = {{0, 0}, NULL, NULL};
    roomlet_op *op = NULL;
    roomlet_error *failed = NULL;
    here.server = open_with(&here.seen);
    CHECK_OK(roomlet_accounts(here.server, NULL, NULL, &here.other, &failed), failed);
    CHECK_OK(roomlet_accounts(here.server, waits_inside, &here, &op, &failed), failed);
    free(result_of(op));
    roomlet_op_free(here.other);
    roomlet_server_free(here.server);
    CHECK(here.seen.released == 1);
}

int main(void) {
    opening();
    stores();
    handles();
    arguments();
    wrong_threads();
    CHECK(roomlet_live_handles() == 0);
    printf("%d wrong inputs: ok\n", rows);
    return 0;
}
