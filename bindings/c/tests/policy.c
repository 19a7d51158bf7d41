/* What a host is asked before a server takes something, and what its answers do. */
#include "relay.h"
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char asked[16384];

/* Writes down a question: words, up to the first that is empty. */
static void note(const char *what, roomlet_bytes a, roomlet_bytes b, roomlet_bytes c, roomlet_bytes d) {
    size_t at;
    pthread_mutex_lock(&lock);
    at = strlen(asked);
    snprintf(asked + at, sizeof asked - at, "%s %.*s %.*s %.*s %.*s\n", what, (int)a.len, (const char *)a.ptr, (int)b.len,
             (const char *)b.ptr, (int)c.len, (const char *)c.ptr, (int)d.len, (const char *)d.ptr);
    pthread_mutex_unlock(&lock);
}

static int was_asked(const char *line) {
    int found;
    pthread_mutex_lock(&lock);
    found = strstr(asked, line) != NULL;
    pthread_mutex_unlock(&lock);
    return found;
}

static void answer(roomlet_question *question, int allow) {
    CHECK((allow ? roomlet_question_allow : roomlet_question_refuse)(question, NULL) == ROOMLET_OK);
}

static void accept_invite(void *user_data, roomlet_bytes room_id, roomlet_bytes sender, roomlet_bytes invitee,
                          roomlet_question *question) {
    CHECK(user_data == asked);
    note("invite", room_id, sender, invitee, text(""));
    answer(question, 0);
}

static void accept_join(void *user_data, roomlet_bytes room_id, roomlet_bytes user_id, roomlet_question *question) {
    CHECK(user_data == asked);
    note("join", room_id, user_id, text(""), text(""));
    answer(question, !contains(user_id, "@eve:"));
}

static void accept_request(void *user_data, roomlet_bytes origin, roomlet_bytes method, roomlet_bytes target,
                           roomlet_question *question) {
    CHECK(user_data == asked && target.len > 20 && memcmp(target.ptr, "/_matrix/federation/", 20) == 0);
    note("request", origin, method, text(""), text(""));
    answer(question, 1);
}

static void accept_event(void *user_data, roomlet_bytes room_id, roomlet_bytes event_id, roomlet_bytes sender,
                         roomlet_bytes type, roomlet_question *question) {
    CHECK(user_data == asked);
    note("event", room_id, event_id, sender, type);
    answer(question, !contains(type, "x.refused"));
}

static roomlet_op *op;
static roomlet_error *err;

static roomlet_code code_of(roomlet_op *waited) {
    roomlet_code code = roomlet_op_wait(waited, 20000, NULL, NULL);
    roomlet_op_free(waited);
    return code;
}

int main(void) {
    roomlet_bytes none = text(""), via = text("two.example");
    char *alice, *eve, *bob, *room, *other, *refused, *taken, *token, line[1024];
    roomlet_updates *updates = NULL;
    roomlet_server *one, *two;
    roomlet_host policy;
    memset(&policy, 0, sizeof policy);
    policy.user_data = asked;
    policy.accept_invite = accept_invite;
    policy.accept_join = accept_join;
    policy.accept_request = accept_request;
    policy.accept_event = accept_event;
    one = relay_open("one.example", "");
    two = relay_open_with("two.example", "", &policy);
    CHECK_OK(roomlet_account_create(one, text("alice"), NULL, NULL, &op, &err), err);
    alice = result_of(op);
    CHECK_OK(roomlet_account_create(one, text("eve"), NULL, NULL, &op, &err), err);
    eve = result_of(op);
    CHECK_OK(roomlet_account_create(two, text("bob"), NULL, NULL, &op, &err), err);
    bob = result_of(op);
    CHECK_OK(roomlet_updates_open(two, none, &updates, &err), err);

    /* Joins: alice may, eve may not. */
    CHECK_OK(roomlet_room_create(two, text(bob), text("{\"preset\":\"public\"}"), NULL, NULL, &op, &err), err);
    room = result_of(op);
    CHECK_OK(roomlet_room_join(one, text(eve), text(room), &via, 1, NULL, NULL, &op, &err), err);
    CHECK(code_of(op) == ROOMLET_REMOTE);
    CHECK_OK(roomlet_room_join(one, text(alice), text(room), &via, 1, NULL, NULL, &op, &err), err);
    CHECK(code_of(op) == ROOMLET_OK);
    snprintf(line, sizeof line, "join %s %s  \n", room, eve);
    CHECK(was_asked(line));
    snprintf(line, sizeof line, "join %s %s  \n", room, alice);
    CHECK(was_asked(line) && was_asked("request one.example GET  \n") && was_asked("request one.example PUT  \n"));

    /* Events: bob sees the second alone. */
    CHECK_OK(roomlet_room_send(one, text(alice), text(room), text("x.refused"), text("{}"), none, NULL, NULL, &op, &err),
             err);
    refused = result_of(op);
    CHECK_OK(roomlet_room_send(one, text(alice), text(room), text("x.taken"), text("{}"), none, NULL, NULL, &op, &err),
             err);
    taken = result_of(op);
    token = await_update(updates, taken);
    snprintf(line, sizeof line, "event %s %s %s x.refused\n", room, refused, alice);
    CHECK(was_asked(line));
    snprintf(line, sizeof line, "event %s %s %s x.taken\n", room, taken, alice);
    CHECK(was_asked(line));
    CHECK_OK(roomlet_room_event(two, text(bob), text(room), text(refused), NULL, NULL, &op, &err), err);
    CHECK(code_of(op) == ROOMLET_UNKNOWN_EVENT);

    /* Invites: none. */
    CHECK_OK(roomlet_room_create(one, text(alice), none, NULL, NULL, &op, &err), err);
    other = result_of(op);
    CHECK_OK(roomlet_room_invite(one, text(alice), text(other), text(bob), none, NULL, NULL, &op, &err), err);
    CHECK(code_of(op) == ROOMLET_REMOTE);
    snprintf(line, sizeof line, "invite %s %s %s \n", other, alice, bob);
    CHECK(was_asked(line));

    roomlet_updates_free(updates);
    relay_close(one);
    relay_close(two);
    CHECK(roomlet_live_handles() == 0);
    free(alice), free(eve), free(bob), free(room), free(other), free(refused), free(taken), free(token);
    puts("a policy: ok");
    return 0;
}
