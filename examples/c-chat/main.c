/* A homeserver as a program: roomlet inside, HTTPS around it, commands on stdin, answers on stdout.
 *
 * A command is a line of fields separated by TAB: TAG, VERB, arguments. Commands run at the same time; each ends with a
 * line `TAG ok RESULT` or `TAG err CODE ERRCODE MESSAGE`. Lines with the tag `*` tell of updates and inbound requests. */
#include "bytes.h"
#include "http_client.h"
#include "http_server.h"

#include <signal.h>
#include <stdio.h>

enum { MAX_FIELDS = 10, MAX_VIA = 16, UPDATES_AT_ONCE = 100 };

typedef struct {
    roomlet_server *server;
    http_client *client;
    http_server *http;
    int log;
} program;

/* Prints fields, with TABs between them, as one line: also of several threads at once. */
static void print_line(const roomlet_bytes *fields, size_t count) {
    size_t i, j;
    flockfile(stdout);
    for (i = 0; i < count; i++) {
        for (j = 0; j < fields[i].len; j++) {
            int byte = fields[i].ptr[j];
            putc_unlocked(byte == '\t' || byte == '\n' || byte == '\r' ? ' ' : byte, stdout);
        }
        putc_unlocked(i + 1 < count ? '\t' : '\n', stdout);
    }
    fflush(stdout);
    funlockfile(stdout);
}

static void print_ok(const char *tag, roomlet_bytes result) {
    roomlet_bytes fields[3];
    fields[0] = text(tag), fields[1] = text("ok"), fields[2] = result;
    print_line(fields, 3);
}

static void print_error(const char *tag, roomlet_code code, roomlet_bytes errcode, roomlet_bytes message) {
    char number[16];
    roomlet_bytes fields[5];
    snprintf(number, sizeof number, "%d", (int)code);
    fields[0] = text(tag), fields[1] = text("err"), fields[2] = text(number), fields[3] = errcode, fields[4] = message;
    print_line(fields, 5);
}

/* A command ended; `user_data` is its tag. */
static void done(void *user_data, const roomlet_result *result, const roomlet_error *error) {
    if (error != NULL) {
        print_error(user_data, roomlet_error_code(error), roomlet_error_errcode(error), roomlet_error_message(error));
    } else {
        print_ok(user_data, roomlet_result_bytes(result));
    }
    free(user_data);
}

/* Prints a batch of updates and asks for the next; `user_data` is the reader. */
static void print_updates(void *user_data, const roomlet_result *result, const roomlet_error *error) {
    size_t i;
    for (i = 0; error == NULL && i < roomlet_result_update_count(result); i++) {
        roomlet_bytes fields[4];
        fields[0] = text("*"), fields[1] = text("update");
        fields[2] = roomlet_result_update_token(result, i), fields[3] = roomlet_result_update(result, i);
        print_line(fields, 4);
    }
    if (error != NULL ||
        roomlet_updates_next(user_data, UPDATES_AT_ONCE, print_updates, user_data, NULL, NULL) != ROOMLET_OK) {
        roomlet_updates_free(user_data); /* the server closes */
    }
}

static roomlet_code start_updates(program *p, const char *since, roomlet_error **err) {
    roomlet_updates *updates = NULL;
    roomlet_code code = roomlet_updates_open(p->server, text(since), &updates, err);
    if (code == ROOMLET_OK) {
        code = roomlet_updates_next(updates, UPDATES_AT_ONCE, print_updates, updates, NULL, err);
        if (code != ROOMLET_OK) {
            roomlet_updates_free(updates);
        }
    }
    return code;
}

static void print_request(const char *method, const char *target) {
    roomlet_bytes fields[4];
    fields[0] = text("*"), fields[1] = text("request"), fields[2] = text(method), fields[3] = text(target);
    print_line(fields, 4);
}

static void print_log(void *user_data, int32_t level, roomlet_bytes message) {
    const char *name = level == ROOMLET_LOG_ERROR ? "error" : level == ROOMLET_LOG_WARN ? "warn" : "info";
    (void)user_data;
    fprintf(stderr, "%s %.*s\n", name, (int)message.len, (const char *)message.ptr);
}

/* Splits `list` at its commas. */
static size_t split(char *list, roomlet_bytes *out) {
    size_t count = 0;
    char *rest = NULL, *name = strtok_r(list, ",", &rest);
    while (name != NULL && count < MAX_VIA) {
        out[count++] = text(name);
        name = strtok_r(NULL, ",", &rest);
    }
    return count;
}

/* Starts the command `verb` with the arguments `a`; a missing argument is empty. ROOMLET_BAD_PARAM for an unknown one. */
static roomlet_code start(program *p, const char *verb, char **a, char *tag, roomlet_error **err) {
    roomlet_server *s = p->server;
    roomlet_bytes via[MAX_VIA];
#define IS(name) (strcmp(verb, name) == 0)
#define ARG(n) text(a[n])
#define END done, tag, NULL, err
    if (IS("account")) return roomlet_account_create(s, ARG(0), END);
    if (IS("create")) return roomlet_room_create(s, ARG(0), ARG(1), END);
    if (IS("upgrade")) return roomlet_room_upgrade(s, ARG(0), ARG(1), ARG(2), via, split(a[3], via), END);
    if (IS("invite")) return roomlet_room_invite(s, ARG(0), ARG(1), ARG(2), ARG(3), END);
    if (IS("join")) return roomlet_room_join(s, ARG(0), ARG(1), via, split(a[2], via), END);
    if (IS("leave")) return roomlet_room_leave(s, ARG(0), ARG(1), ARG(2), END);
    if (IS("kick")) return roomlet_room_kick(s, ARG(0), ARG(1), ARG(2), ARG(3), END);
    if (IS("ban")) return roomlet_room_ban(s, ARG(0), ARG(1), ARG(2), ARG(3), END);
    if (IS("unban")) return roomlet_room_unban(s, ARG(0), ARG(1), ARG(2), ARG(3), END);
    if (IS("send")) return roomlet_room_send(s, ARG(0), ARG(1), ARG(2), ARG(3), ARG(4), END);
    if (IS("setstate")) return roomlet_room_set_state(s, ARG(0), ARG(1), ARG(2), ARG(3), ARG(4), ARG(5), END);
    if (IS("redact")) return roomlet_room_redact(s, ARG(0), ARG(1), ARG(2), ARG(3), ARG(4), END);
    if (IS("timeline"))
        return roomlet_room_timeline(s, ARG(0), ARG(1), ARG(2), a[3][0] == 'f' ? ROOMLET_FORWARD : ROOMLET_BACKWARD,
                                     (size_t)strtoul(a[4], NULL, 10), END);
    if (IS("event")) return roomlet_room_event(s, ARG(0), ARG(1), ARG(2), END);
    if (IS("state")) return roomlet_room_state(s, ARG(0), ARG(1), END);
    if (IS("stateevent")) return roomlet_room_state_event(s, ARG(0), ARG(1), ARG(2), ARG(3), END);
    if (IS("members")) return roomlet_room_members(s, ARG(0), ARG(1), ARG(2), END);
    if (IS("rooms")) return roomlet_rooms(s, ARG(0), END);
    if (IS("preview")) return roomlet_room_preview(s, ARG(0), ARG(1), END);
#undef END
#undef ARG
#undef IS
    return ROOMLET_BAD_PARAM;
}

/* Runs what ends at once; 0 if `verb` is none of these. */
static int run_at_once(program *p, const char *verb, char **a, const char *tag) {
    roomlet_code code = ROOMLET_OK;
    roomlet_error *err = NULL;
    if (strcmp(verb, "updates") == 0) {
        code = start_updates(p, a[0], &err);
    } else if (strcmp(verb, "link") == 0 && strcmp(a[0], "down") == 0) {
        http_client_set_link(p->client, 0);
        http_server_set_link(p->http, 0);
    } else if (strcmp(verb, "link") == 0 && strcmp(a[0], "up") == 0) {
        http_client_set_link(p->client, 1);
        http_server_set_link(p->http, 1);
        code = roomlet_server_wake(p->server, &err);
    } else if (strcmp(verb, "wake") == 0) {
        code = roomlet_server_wake(p->server, &err);
    } else {
        return 0;
    }
    if (code == ROOMLET_OK) {
        print_ok(tag, text(a[0]));
    } else {
        print_error(tag, code, roomlet_error_errcode(err), roomlet_error_message(err));
        roomlet_error_free(err);
    }
    return 1;
}

/* Runs one line. 0: quit. */
static int run_line(program *p, char *line) {
    static char empty[] = "";
    char *fields[MAX_FIELDS], *at = line, *tag;
    roomlet_error *err = NULL;
    roomlet_code code;
    size_t i;
    for (i = 0; i < MAX_FIELDS; i++) {
        fields[i] = at == NULL ? empty : at;
        at = at == NULL ? NULL : strchr(at, '\t');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    if (strcmp(fields[1], "quit") == 0) {
        print_ok(fields[0], text(""));
        return 0;
    }
    if (run_at_once(p, fields[1], fields + 2, fields[0]) || (tag = strdup(fields[0])) == NULL) {
        return 1;
    }
    code = start(p, fields[1], fields + 2, tag, &err);
    if (code != ROOMLET_OK) {
        if (err == NULL) {
            print_error(tag, code, text("M_UNRECOGNIZED"), text("no such command"));
        } else {
            print_error(tag, code, roomlet_error_errcode(err), roomlet_error_message(err));
        }
        roomlet_error_free(err);
        free(tag);
    }
    return 1;
}

static roomlet_code open_server(program *p, const char *name, const char *db, roomlet_error **err) {
    roomlet_config config;
    roomlet_host host;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.server_name = text(name);
    config.store_path = text(db);
    memset(&host, 0, sizeof host);
    host.struct_size = sizeof host;
    host.user_data = p->client;
    host.send = http_client_send;
    host.log = p->log ? print_log : NULL;
    return roomlet_server_open(&config, &host, &p->server, err);
}

static int usage(void) {
    fputs("c-chat --name NAME --listen ADDRESS:PORT --db FILE --tls-cert FILE --tls-key FILE --ca FILE\n"
          "       [--resolve NAME=HOST:PORT]... [--log]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv) {
    static const char *const NAMES[] = {"--name", "--listen", "--db", "--tls-cert", "--tls-key", "--ca"};
    const char *values[6] = {NULL};
    program p = {NULL, NULL, NULL, 0};
    roomlet_error *err = NULL;
    char *line = NULL;
    size_t size = 0, k;
    ssize_t len;
    int i;

    for (i = 1; i < argc; i++) {
        for (k = 0; k < 6 && strcmp(argv[i], NAMES[k]) != 0; k++) {
        }
        if (strcmp(argv[i], "--log") == 0) {
            p.log = 1;
        } else if ((k == 6 && strcmp(argv[i], "--resolve") != 0) || ++i == argc) {
            return usage();
        } else if (k < 6) {
            values[k] = argv[i];
        }
    }
    for (k = 0; k < 6; k++) {
        if (values[k] == NULL) {
            return usage();
        }
    }
    signal(SIGPIPE, SIG_IGN);
    p.client = http_client_start(values[5]);
    if (p.client == NULL) {
        fputs("libcurl does not start\n", stderr);
        return 1;
    }
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--resolve") == 0 && !http_client_resolve(p.client, argv[i + 1])) {
            return usage();
        }
    }
    if (open_server(&p, values[0], values[2], &err) != ROOMLET_OK) {
        roomlet_bytes message = roomlet_error_message(err);
        fprintf(stderr, "%.*s\n", (int)message.len, (const char *)message.ptr);
        return 1;
    }
    p.http = http_server_start(values[1], values[3], values[4], p.server, print_request);
    if (p.http == NULL) {
        return 1;
    }
    puts("ready");
    fflush(stdout);

    while ((len = getline(&line, &size, stdin)) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0' && !run_line(&p, line)) {
            break;
        }
    }
    free(line);
    roomlet_server_close(p.server, NULL);
    http_server_stop(p.http);
    http_client_stop(p.client);
    roomlet_server_free(p.server);
    return 0;
}
