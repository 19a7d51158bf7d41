/* What smoke.c does not tell of: moderation, state, members, rooms, paging, trimming. One server. */
#include "relay.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static roomlet_server *server;
static const char *const ALICE = "@alice:one.example";
static const char *const BOB = "@bob:one.example";
static roomlet_bytes room;

static const roomlet_bytes NONE = {NULL, 0};

/* Runs a command whose last arguments are those that every command has, and gives its result. */
#define RUN(function, ...) (run(function(server, __VA_ARGS__, NULL, NULL, &started, &failed)))

static roomlet_op *started;
static roomlet_error *failed;

static char *run(roomlet_code code) {
    CHECK_OK(code, failed);
    return result_of(started);
}

/* Checks that a result is exactly `wanted`, and frees it. */
static void is(char *result, const char *wanted) {
    if (strcmp(result, wanted) != 0) {
        fprintf(stderr, "wanted %s\n   got %s\n", wanted, result);
        exit(1);
    }
    free(result);
}

/* Checks that a result contains `part`, and frees it. */
static void has(char *result, const char *part) {
    if (strstr(result, part) == NULL) {
        fprintf(stderr, "wanted %s\n    in %s\n", part, result);
        exit(1);
    }
    free(result);
}

/* Checks that bob's membership is `wanted`, in the members, the state and his rooms. */
static void bob_is(const char *wanted) {
    char text_wanted[128];
    snprintf(text_wanted, sizeof text_wanted, "[{\"user_id\":\"%s\",\"membership\":\"%s\"}]", BOB, wanted);
    is(RUN(roomlet_room_members, text(ALICE), room, text(wanted)), strcmp(wanted, "join") == 0
           ? "[{\"user_id\":\"@alice:one.example\",\"membership\":\"join\"},"
             "{\"user_id\":\"@bob:one.example\",\"membership\":\"join\"}]"
           : text_wanted);
    snprintf(text_wanted, sizeof text_wanted, "\"membership\":\"%s\"", wanted);
    has(RUN(roomlet_room_state_event, text(ALICE), room, text("m.room.member"), text(BOB)), text_wanted);
}

/* The create event of a room of another server: an archive of one line. */
static const char *const CREATE =
    "{\"auth_events\":[],\"content\":{\"room_version\":\"11\"},\"depth\":1,\"hashes\":{\"sha2"
    "56\":\"r3d7JIL3rvXf4MArzCmxgUyRG6fn8lDzgMMXmyIW2k8\"},\"origin_server_ts\":1700000000000"
    ",\"prev_events\":[],\"room_id\":\"!q6xDk2CZexjajHiZlF:a.test\",\"sender\":\"@alice:a.tes"
    "t\",\"signatures\":{\"a.test\":{\"ed25519:r017019\":\"m7ApWbszPJxLg78n2aYNpZ71xSoidk/at1"
    "mFAi7kADPhBbjC+HZpogln155XLX2eZ/Avh2HbLtSGyqzxkUJIDg\"}},\"state_key\":\"\",\"type\":\"m"
    ".room.create\"}";

/* Takes a room from an archive, twice. */
static void import_room(void) {
    const char *const path = "operations.jsonl";
    FILE *archive = fopen(path, "w");
    CHECK(archive != NULL && fputs(CREATE, archive) >= 0 && fclose(archive) == 0);
    is(RUN(roomlet_room_import, text(path), 1),
       "{\"accepted\":1,\"first_fault\":null,\"known\":0,\"left_out\":0,\"rejected\":0,"
       "\"room_id\":\"!q6xDk2CZexjajHiZlF:a.test\",\"soft_failed\":0}");
    has(RUN(roomlet_room_import, text(path), 1), "\"known\":1");
    CHECK(remove(path) == 0);
}

/* Replaces the room by one of version 12, in which bob is a creator too. */
static void upgrade_room(void) {
    roomlet_bytes creator = text(BOB);
    char *new_room = RUN(roomlet_room_upgrade, text(ALICE), room, text("12"), &creator, 1);
    has(RUN(roomlet_room_state_event, text(ALICE), room, text("m.room.tombstone"), NONE), new_room);
    has(RUN(roomlet_room_state_event, text(ALICE), text(new_room), text("m.room.create"), NONE),
        "\"additional_creators\":[\"@bob:one.example\"]");
    free(new_room);
}

/* Gives up the past, then the whole room; copies and checks the store. */
static void maintain_store(void) {
    const char *const path = "operations-copy.db";
    char *id = RUN(roomlet_room_create, text(BOB), NONE), *from;
    free(RUN(roomlet_room_set_state, text(BOB), text(id), text("m.room.topic"), NONE, text("{\"topic\":\"1\"}"), NONE));
    free(RUN(roomlet_room_set_state, text(BOB), text(id), text("m.room.topic"), NONE, text("{\"topic\":\"2\"}"), NONE));
    from = RUN(roomlet_room_set_state, text(BOB), text(id), text("m.room.topic"), NONE, text("{\"topic\":\"3\"}"), NONE);
    is(RUN(roomlet_room_purge_history, text(id), text(from)), "1");
    has(RUN(roomlet_store_check, 1), "\"faults\":[]");
    free(RUN(roomlet_room_leave, text(BOB), text(id), NONE));
    is(RUN(roomlet_room_forget, text(id)), "");
    has(RUN(roomlet_rooms, text(BOB)), "[");
    CHECK_OK(roomlet_store_backup(server, text(path), NULL, NULL, &started, &failed), failed);
    CHECK(roomlet_op_wait(started, -1, NULL, &failed) == ROOMLET_BAD_PARAM);
    roomlet_error_free(failed);
    roomlet_op_free(started);
    free(id), free(from);
}

int main(void) {
    char *id, *event, *page, *token;
    roomlet_updates *updates = NULL;

    server = relay_open("one.example", "");
    is(RUN(roomlet_account_create, text("bob")), BOB);
    is(RUN(roomlet_account_create, text("alice")), ALICE);
    is(run(roomlet_accounts(server, NULL, NULL, &started, &failed)), "[\"@alice:one.example\",\"@bob:one.example\"]");
    id = RUN(roomlet_room_create, text(ALICE), text("{\"preset\":\"public\",\"topic\":\"Old\",\"version\":\"11\"}"));
    room = text(id);

    /* Membership in all its forms. */
    free(RUN(roomlet_room_invite, text(ALICE), room, text(BOB), text("come")));
    bob_is("invite");
    has(RUN(roomlet_rooms, text(BOB)), "\"membership\":\"invite\"");
    free(RUN(roomlet_room_leave, text(BOB), room, text("no")));
    bob_is("leave");
    free(RUN(roomlet_room_join, text(BOB), room, NULL, 0));
    bob_is("join");
    has(RUN(roomlet_rooms, text(BOB)), "\"membership\":\"join\"");
    free(RUN(roomlet_room_kick, text(ALICE), room, text(BOB), text("calm down")));
    bob_is("leave");
    free(RUN(roomlet_room_ban, text(ALICE), room, text(BOB), NONE));
    bob_is("ban");
    free(RUN(roomlet_room_unban, text(ALICE), room, text(BOB), NONE));
    bob_is("leave");

    /* State, one event, and what is not there. */
    event = RUN(roomlet_room_set_state, text(ALICE), room, text("m.room.topic"), NONE, text("{\"topic\":\"New\"}"), NONE);
    page = RUN(roomlet_room_event, text(ALICE), room, text(event));
    is(RUN(roomlet_room_state_event, text(ALICE), room, text("m.room.topic"), NONE), page);
    has(page, "\"type\":\"m.room.topic\",\"state_key\":\"\"");
    has(RUN(roomlet_room_state, text(ALICE), room), "\"content\":{\"topic\":\"New\"}");
    is(RUN(roomlet_room_state_event, text(ALICE), room, text("m.room.avatar"), NONE), "");

    /* A page of one, backwards from the end, and the page that follows from its token. */
    page = RUN(roomlet_room_timeline, text(ALICE), room, NONE, ROOMLET_BACKWARD, 1);
    CHECK(strstr(page, event) != NULL);
    token = strstr(page, "\"next\":\"");
    CHECK(token != NULL);
    token += strlen("\"next\":\"");
    *strchr(token, '"') = '\0';
    has(RUN(roomlet_room_timeline, text(ALICE), room, text(token), ROOMLET_BACKWARD, 1), "\"membership\":\"leave\"");
    free(page);
    has(RUN(roomlet_room_timeline, text(ALICE), room, NONE, ROOMLET_FORWARD, 1), "\"type\":\"m.room.create\"");

    /* Updates that every reader has handled can be forgotten; what comes next is not affected. */
    token = run(roomlet_updates_last(server, NULL, NULL, &started, &failed));
    is(RUN(roomlet_updates_trim, text(token)), "");
    CHECK_OK(roomlet_updates_open(server, NONE, &updates, &failed), failed);
    free(RUN(roomlet_room_set_state, text(ALICE), room, text("m.room.topic"), NONE, text("{\"topic\":\"Newer\"}"), NONE));
    free(await_update(updates, "Newer"));
    roomlet_updates_free(updates);
    CHECK_OK(roomlet_server_wake(server, &failed), failed);

    import_room();
    upgrade_room();
    maintain_store();

    relay_close(server);
    free(id), free(event), free(token);
    CHECK(roomlet_live_handles() == 0);
    puts("every operation: ok");
    return 0;
}
