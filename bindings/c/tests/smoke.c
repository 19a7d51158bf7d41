/* Two servers in one process: a room, an invite, messages both ways, a redaction, a restart from the file. */
#include "relay.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const MESSAGE = "m.message";

static char *create_account(roomlet_server *server, const char *localpart) {
    roomlet_op *op = NULL;
    roomlet_error *err = NULL;
    CHECK_OK(roomlet_account_create(server, text(localpart), NULL, NULL, &op, &err), err);
    return result_of(op);
}

static char *send_text(roomlet_server *server, const char *user, const char *room, const char *body, const char *txn) {
    char content[256];
    roomlet_op *op = NULL;
    roomlet_error *err = NULL;
    snprintf(content, sizeof content, "{\"m.text\":[{\"body\":\"%s\"}]}", body);
    CHECK_OK(roomlet_room_send(server, text(user), text(room), text(MESSAGE), text(content), text(txn), NULL, NULL, &op,
                               &err),
             err);
    return result_of(op);
}

static char *timeline(roomlet_server *server, const char *user, const char *room) {
    roomlet_op *op = NULL;
    roomlet_error *err = NULL;
    CHECK_OK(roomlet_room_timeline(server, text(user), text(room), text(""), ROOMLET_BACKWARD, 100, NULL, NULL, &op,
                                   &err),
             err);
    return result_of(op);
}

static roomlet_updates *updates_after(roomlet_server *server, const char *token) {
    roomlet_updates *updates = NULL;
    roomlet_error *err = NULL;
    CHECK_OK(roomlet_updates_open(server, text(token), &updates, &err), err);
    return updates;
}

/* Counts in `user_data` how often it ran. */
static void count_done(void *user_data, const roomlet_result *result, const roomlet_error *error) {
    CHECK((result == NULL) != (error == NULL));
    ++*(int *)user_data;
}

int main(void) {
    char dir[] = "/tmp/roomlet-smoke-XXXXXX";
    char one_path[64], two_path[64], wanted[512];
    roomlet_server *one, *two;
    roomlet_updates *one_updates, *two_updates;
    roomlet_error *err = NULL;
    roomlet_op *op = NULL;
    char *alice, *dan, *room, *event, *reply, *redaction, *page, *again, *token, *saved;
    int done = 0;

    CHECK(roomlet_abi_version() == ROOMLET_ABI_VERSION);
    CHECK(mkdtemp(dir) != NULL);
    snprintf(one_path, sizeof one_path, "%s/one.db", dir);
    snprintf(two_path, sizeof two_path, "%s/two.db", dir);
    one = relay_open("one.example", one_path);
    two = relay_open("two.example", two_path);
    one_updates = updates_after(one, "");
    two_updates = updates_after(two, "");

    /* A room, an invite, a join. */
    alice = create_account(one, "alice");
    dan = create_account(two, "dan");
    CHECK(strcmp(alice, "@alice:one.example") == 0);
    CHECK(strcmp(dan, "@dan:two.example") == 0);
    CHECK_OK(roomlet_room_create(one, text(alice), text("{\"name\":\"First light\"}"), NULL, NULL, &op, &err), err);
    room = result_of(op);
    CHECK_OK(roomlet_room_invite(one, text(alice), text(room), text(dan), text(""), NULL, NULL, &op, &err), err);
    free(result_of(op));
    free(await_update(two_updates, "\"membership\":\"invite\""));
    CHECK_OK(roomlet_room_preview(two, text(dan), text(room), NULL, NULL, &op, &err), err);
    page = result_of(op);
    CHECK(strstr(page, "First light") != NULL);
    free(page);
    CHECK_OK(roomlet_room_join(two, text(dan), text(room), NULL, 0, NULL, NULL, &op, &err), err);
    free(result_of(op));

    /* Messages both ways; a retry with the same transaction id is the same event. */
    event = send_text(one, alice, room, "hello dan", "txn1");
    again = send_text(one, alice, room, "hello dan", "txn1");
    CHECK(strcmp(event, again) == 0);
    free(await_update(two_updates, event));
    reply = send_text(two, dan, room, "hello alice", "");
    free(await_update(one_updates, reply));

    /* A redaction, seen by both; its callback runs once, before the wait ends. */
    CHECK_OK(roomlet_room_redact(one, text(alice), text(room), text(event), text("typo"), text(""), count_done, &done,
                                 &op, &err),
             err);
    redaction = result_of(op);
    CHECK(done == 1);
    snprintf(wanted, sizeof wanted, "\"redacted_by\":\"%s\"", redaction);
    saved = await_update(two_updates, redaction);
    page = timeline(two, dan, room);
    CHECK(strstr(page, wanted) != NULL);
    CHECK(strstr(page, "hello dan") == NULL);
    CHECK(strstr(page, "hello alice") != NULL);
    free(page);

    /* A restart from the file: all is there, and the update stream resumes after the token that was kept. */
    page = timeline(two, dan, room);
    roomlet_updates_free(two_updates);
    relay_close(two);
    two = relay_open("two.example", two_path);
    again = (free(again), timeline(two, dan, room));
    CHECK(strcmp(page, again) == 0);
    two_updates = updates_after(two, saved);
    free(event);
    event = send_text(one, alice, room, "welcome back", "");
    token = await_update(two_updates, event);
    CHECK(atoi(token) > atoi(saved));

    /* Closing ends what waits, in any order of freeing. */
    done = 0;
    CHECK_OK(roomlet_updates_next(one_updates, 100, count_done, &done, &op, &err), err);
    relay_close(two);
    relay_close(one);
    CHECK(done >= 1);
    roomlet_op_free(op);
    roomlet_updates_free(two_updates);
    roomlet_updates_free(one_updates);
    CHECK(relay_released() == 3);
    CHECK(roomlet_live_handles() == 0);

    free(alice), free(dan), free(room), free(event), free(reply), free(redaction), free(page), free(again), free(token);
    free(saved);
    unlink(one_path), unlink(two_path), rmdir(dir);
    puts("two servers, one room: ok");
    return 0;
}
