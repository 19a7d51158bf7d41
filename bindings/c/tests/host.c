/* What a host can decide and is told: invites, clock, randomness, log, wake-ups; a free inside a callback, a fork. */
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOW_MS = 1700000000 };

/* A server and what its host saw. */
typedef struct host {
    roomlet_server *server;
    struct host *peer;
    int refuse_invites; /* set before the server opens */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int random_bytes;
    int logged, warned;
    int questions;
    int wakeups;
    int released;
} host;

static host hosts[2];

static void count(host *h, int *what, int by) {
    pthread_mutex_lock(&h->lock);
    *what += by;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

/* Waits until `*what` is at least `least`. */
static void await_count(host *h, const int *what, int least) {
    pthread_mutex_lock(&h->lock);
    while (*what < least) {
        pthread_cond_wait(&h->changed, &h->lock);
    }
    pthread_mutex_unlock(&h->lock);
}

static void answered(void *user_data, const roomlet_result *result, const roomlet_error *error) {
    CHECK(error == NULL);
    CHECK(roomlet_reply_respond(user_data, roomlet_result_status(result), roomlet_result_bytes(result), NULL) ==
          ROOMLET_OK);
}

static void carry(void *user_data, const roomlet_request *request, roomlet_reply *reply) {
    host *h = user_data;
    roomlet_bytes header = roomlet_request_authorization(request, 0);
    size_t headers = roomlet_request_authorization_count(request);
    roomlet_error *err = NULL;
    CHECK(headers <= 1);
    CHECK_OK(roomlet_server_handle_request(h->peer->server, roomlet_request_method(request),
                                           roomlet_request_target(request), &header, headers,
                                           roomlet_request_body(request), answered, reply, NULL, &err),
             err);
}

/* Answers from a thread of its own. */
static void *refuse(void *question) {
    roomlet_error *err = NULL;
    CHECK_OK(roomlet_question_refuse(question, &err), err);
    CHECK(roomlet_question_allow(question, &err) == ROOMLET_FREED_HANDLE);
    roomlet_error_free(err);
    return NULL;
}

static void accept_invite(void *user_data, roomlet_bytes room_id, roomlet_bytes sender, roomlet_bytes invitee,
                          roomlet_question *question) {
    host *h = user_data;
    pthread_t thread;
    CHECK(contains(room_id, "!") && contains(sender, "@alice:one.example") && contains(invitee, "@dan:two.example"));
    count(h, &h->questions, 1);
    if (h->refuse_invites) {
        CHECK(pthread_create(&thread, NULL, refuse, question) == 0);
        CHECK(pthread_detach(thread) == 0);
    } else {
        CHECK(roomlet_question_allow(question, NULL) == ROOMLET_OK);
    }
}

static int64_t now_ms(void *user_data) {
    CHECK(user_data != NULL);
    return NOW_MS;
}

/* Different bytes for each host and call; a real host takes them from the system. */
static void random_bytes(void *user_data, uint8_t *bytes, size_t len) {
    host *h = user_data;
    size_t i;
    for (i = 0; i < len; i++) {
        bytes[i] = (uint8_t)((size_t)h->random_bytes + i * 7 + (h == hosts ? 0 : 100));
    }
    count(h, &h->random_bytes, (int)len);
}

static void take_log(void *user_data, int32_t level, roomlet_bytes message) {
    host *h = user_data;
    if (level == ROOMLET_LOG_WARN) {
        CHECK(contains(message, "server one.example: request GET /_matrix/federation/v1/event/x is refused: "));
        count(h, &h->warned, 1);
        return;
    }
    CHECK(level == ROOMLET_LOG_INFO && (contains(message, ": open") || contains(message, ": closed")));
    count(h, &h->logged, 1);
}

static void take_wakeup(void *user_data, roomlet_bytes token) {
    host *h = user_data;
    CHECK(token.len > 0);
    count(h, &h->wakeups, 1);
}

static void release(void *user_data) {
    host *h = user_data;
    count(h, &h->released, 1);
}

static void open_host(host *h, host *peer, const char *name, int refuse_invites) {
    roomlet_config config;
    roomlet_host callbacks;
    roomlet_error *err = NULL;
    memset(h, 0, sizeof *h);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    h->peer = peer;
    h->refuse_invites = refuse_invites;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.server_name = text(name);
    memset(&callbacks, 0, sizeof callbacks);
    callbacks.struct_size = sizeof callbacks;
    callbacks.user_data = h;
    callbacks.release = release;
    callbacks.send = carry;
    callbacks.log = take_log;
    callbacks.updates_available = take_wakeup;
    callbacks.accept_invite = accept_invite;
    callbacks.now_ms = now_ms;
    callbacks.random = random_bytes;
    CHECK_OK(roomlet_server_open(&config, &callbacks, &h->server, &err), err);
    CHECK(h->logged == 1 && h->random_bytes > 0);
}

static char *account(host *h, const char *localpart) {
    roomlet_op *op = NULL;
    roomlet_error *err = NULL;
    CHECK_OK(roomlet_account_create(h->server, text(localpart), NULL, NULL, &op, &err), err);
    return result_of(op);
}

/* Invites dan to a new room of alice, and gives how that ended. */
static roomlet_code invite(const char *alice, const char *dan) {
    roomlet_op *op = NULL;
    roomlet_error *err = NULL;
    roomlet_code code;
    char *room;
    CHECK_OK(roomlet_room_create(hosts[0].server, text(alice), text(""), NULL, NULL, &op, &err), err);
    room = result_of(op);
    CHECK_OK(roomlet_room_invite(hosts[0].server, text(alice), text(room), text(dan), text(""), NULL, NULL, &op, &err),
             err);
    code = roomlet_op_wait(op, 20000, NULL, NULL);
    roomlet_op_free(op);
    CHECK_OK(roomlet_room_state_event(hosts[0].server, text(alice), text(room), text("m.room.create"), text(""), NULL,
                                      NULL, &op, &err),
             err);
    free(room);
    room = result_of(op);
    CHECK(strstr(room, "\"origin_server_ts\":1700000000,") != NULL);
    free(room);
    return code;
}

static void free_inside(void *user_data, const roomlet_result *result, const roomlet_error *error) {
    host *h = user_data;
    CHECK(result != NULL && error == NULL);
    roomlet_server_free(h->server);
}

static void tell(int refuse_invites, roomlet_code wanted) {
    char *alice, *dan;
    open_host(&hosts[0], &hosts[1], "one.example", 0);
    open_host(&hosts[1], &hosts[0], "two.example", refuse_invites);
    alice = account(&hosts[0], "alice");
    dan = account(&hosts[1], "dan");
    CHECK(invite(alice, dan) == wanted);
    await_count(&hosts[1], &hosts[1].questions, 1);
    await_count(&hosts[0], &hosts[0].wakeups, 1);
    if (!refuse_invites) {
        await_count(&hosts[1], &hosts[1].wakeups, 1);
    }
    free(alice), free(dan);
}

/* A request whose signature does not hold is in the log. */
static void warn(void) {
    static const char header[] =
        "X-Matrix origin=\"two.example\",destination=\"one.example\",key=\"ed25519:none\",sig=\""
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"";
    roomlet_bytes authorization = text(header);
    roomlet_op *op = NULL;
    roomlet_error *err = NULL;
    CHECK_OK(roomlet_server_handle_request(hosts[0].server, text("GET"), text("/_matrix/federation/v1/event/x"),
                                           &authorization, 1, text(""), NULL, NULL, &op, &err),
             err);
    CHECK(roomlet_op_wait(op, 20000, NULL, NULL) == ROOMLET_OK);
    roomlet_op_free(op);
    CHECK(hosts[0].warned == 1 && hosts[1].warned == 0);
}

/* A process that was forked has no threads of roomlet: it is told so, and the parent's server lives on. */
static void forked(void) {
    roomlet_op *op = NULL, *waiting = NULL;
    roomlet_updates *updates = NULL;
    roomlet_error *err = NULL;
    int status = 0;
    pid_t child;
    open_host(&hosts[0], &hosts[1], "one.example", 0);
    CHECK_OK(roomlet_updates_open(hosts[0].server, text(""), &updates, &err), err);
    CHECK_OK(roomlet_updates_next(updates, 1, NULL, NULL, &waiting, &err), err);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(roomlet_accounts(hosts[0].server, NULL, NULL, &op, &err) == ROOMLET_CLOSED);
        CHECK(contains(roomlet_error_message(err), "server one.example: it belongs to the process that"));
        CHECK(roomlet_op_wait(waiting, -1, NULL, NULL) == ROOMLET_CLOSED);
        CHECK(roomlet_server_close(hosts[0].server, NULL) == ROOMLET_CLOSED);
        roomlet_server_free(hosts[0].server);
        CHECK(hosts[0].released == 0);
        /* What the parent goes on using is no leak: valgrind is not asked. */
        execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    free(account(&hosts[0], "alice"));
    roomlet_op_free(waiting);
    roomlet_updates_free(updates);
    roomlet_server_free(hosts[0].server);
    CHECK(hosts[0].released == 1);
}

int main(void) {
    roomlet_error *err = NULL;
    int i;

    tell(0, ROOMLET_OK);
    warn();
    for (i = 0; i < 2; i++) {
        roomlet_server_free(hosts[i].server);
        CHECK(hosts[i].released == 1 && hosts[i].logged == 2);
    }

    tell(1, ROOMLET_REMOTE);
    for (i = 0; i < 2; i++) {
        /* From inside a callback the free does not wait; `release` says when the server is closed. */
        CHECK_OK(roomlet_accounts(hosts[i].server, free_inside, &hosts[i], NULL, &err), err);
        await_count(&hosts[i], &hosts[i].released, 1);
        CHECK(hosts[i].logged == 2);
    }
    forked();
    CHECK(roomlet_live_handles() == 0);
    puts("a host that decides: ok");
    return 0;
}
