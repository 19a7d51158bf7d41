#include "relay.h"

#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SERVERS = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static roomlet_server *servers[SERVERS];
static int released;

/* The reachable server `name`, or NULL. */
static roomlet_server *find(roomlet_bytes name) {
    roomlet_server *found = NULL;
    size_t i;
    pthread_mutex_lock(&lock);
    for (i = 0; i < SERVERS; i++) {
        roomlet_bytes other = roomlet_server_name(servers[i]);
        if (servers[i] != NULL && other.len == name.len && memcmp(other.ptr, name.ptr, name.len) == 0) {
            found = servers[i];
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* Puts `server` in the place of `old`, which is there. */
static void replace(roomlet_server *old, roomlet_server *server) {
    size_t i = 0;
    pthread_mutex_lock(&lock);
    while (i < SERVERS && servers[i] != old) {
        i++;
    }
    CHECK(i < SERVERS);
    servers[i] = server;
    pthread_mutex_unlock(&lock);
}

/* The other server answered: hand it to who asked. */
static void answered(void *user_data, const roomlet_result *result, const roomlet_error *error) {
    roomlet_reply *reply = user_data;
    if (error != NULL) {
        roomlet_reply_fail(reply, roomlet_error_message(error), NULL);
    } else {
        roomlet_reply_respond(reply, roomlet_result_status(result), roomlet_result_bytes(result), NULL);
    }
}

static void send_request(void *user_data, const roomlet_request *request, roomlet_reply *reply) {
    roomlet_bytes headers[4];
    size_t count = roomlet_request_authorization_count(request);
    roomlet_server *server = find(roomlet_request_destination(request));
    size_t i;
    (void)user_data;
    if (count > 4) {
        count = 4;
    }
    for (i = 0; i < count; i++) {
        headers[i] = roomlet_request_authorization(request, i);
    }
    if (server == NULL ||
        roomlet_server_handle_request(server, roomlet_request_method(request), roomlet_request_target(request), headers,
                                      count, roomlet_request_body(request), answered, reply, NULL, NULL) != ROOMLET_OK) {
        roomlet_reply_fail(reply, text("no such server"), NULL);
    }
}

static void release(void *user_data) {
    (void)user_data;
    pthread_mutex_lock(&lock);
    released++;
    pthread_mutex_unlock(&lock);
}

roomlet_server *relay_open(const char *name, const char *path) {
    roomlet_host host;
    memset(&host, 0, sizeof host);
    return relay_open_with(name, path, &host);
}

roomlet_server *relay_open_with(const char *name, const char *path, const roomlet_host *policy) {
    roomlet_config config;
    roomlet_host host = *policy;
    roomlet_server *server = NULL;
    roomlet_error *err = NULL;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.server_name = text(name);
    config.store_path = text(path);
    config.backoff_first_ms = 50;
    host.struct_size = sizeof host;
    host.send = send_request;
    host.release = release;
    CHECK_OK(roomlet_server_open(&config, &host, &server, &err), err);
    replace(NULL, server);
    return server;
}

void relay_close(roomlet_server *server) {
    replace(server, NULL);
    roomlet_server_free(server);
}

int relay_released(void) {
    int count;
    pthread_mutex_lock(&lock);
    count = released;
    pthread_mutex_unlock(&lock);
    return count;
}
