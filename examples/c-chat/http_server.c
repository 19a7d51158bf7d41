#include "http_server.h"

#include "bytes.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>

enum {
    MAX_AUTHORIZATIONS = 8,
    IDLE_SECONDS = 120
};

struct http_server {
    struct MHD_Daemon *daemon;
    roomlet_server *server;
    http_server_notice notice;
    pthread_mutex_t lock; /* guards `up` */
    int up;
    char *cert;
    char *key;
};

/* One request, from its first line to its answer. */
typedef struct {
    http_server *http;
    struct MHD_Connection *connection;
    char *target;
    int started;
    int too_large;
    char *body;
    size_t len;
    roomlet_bytes authorization[MAX_AUTHORIZATIONS];
    size_t authorizations;
    unsigned status; /* of the answer */
    struct MHD_Response *response;
} exchange;

static int is_up(http_server *http) {
    int up;
    pthread_mutex_lock(&http->lock);
    up = http->up;
    pthread_mutex_unlock(&http->lock);
    return up;
}

/* Sees path and query as they came, before libmicrohttpd unescapes them: the signature covers these bytes. */
static void *begin(void *user_data, const char *target, struct MHD_Connection *connection) {
    exchange *x = calloc(1, sizeof *x);
    if (x != NULL) {
        x->http = user_data;
        x->connection = connection;
        x->target = strdup(target);
    }
    return x;
}

static void forget(void *user_data, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why) {
    exchange *x = *state;
    (void)user_data, (void)connection, (void)why;
    if (x != NULL) {
        if (x->response != NULL) {
            MHD_destroy_response(x->response);
        }
        free(x->target);
        free(x->body);
        free(x);
    }
    *state = NULL;
}

static enum MHD_Result take_header(void *user_data, enum MHD_ValueKind kind, const char *name, const char *value) {
    exchange *x = user_data;
    (void)kind;
    if (strcasecmp(name, "Authorization") == 0 && value != NULL && x->authorizations < MAX_AUTHORIZATIONS) {
        x->authorization[x->authorizations++] = text(value);
    }
    return MHD_YES;
}

static void set_answer(exchange *x, unsigned status, const void *body, size_t len) {
    x->status = status;
    x->response = MHD_create_response_from_buffer(len, (void *)body, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(x->response, "Content-Type", "application/json");
}

static void set_error(exchange *x, unsigned status, const char *errcode) {
    char body[100];
    snprintf(body, sizeof body, "{\"errcode\":\"%s\",\"error\":\"refused by the host\"}", errcode);
    set_answer(x, status, body, strlen(body));
    MHD_add_response_header(x->response, "Connection", "close");
}

/* roomlet answered: let the connection go on. */
static void answered(void *user_data, const roomlet_result *result, const roomlet_error *error) {
    exchange *x = user_data;
    if (error != NULL) {
        set_error(x, MHD_HTTP_SERVICE_UNAVAILABLE, "M_UNKNOWN");
    } else {
        roomlet_bytes body = roomlet_result_bytes(result);
        set_answer(x, roomlet_result_status(result), body.ptr, body.len);
    }
    MHD_resume_connection(x->connection);
}

/* The whole request is there: ask roomlet. The connection sleeps until `answered`. */
static void ask(exchange *x, const char *method) {
    roomlet_bytes body;
    body.ptr = (const uint8_t *)x->body;
    body.len = x->len;
    x->http->notice(method, x->target);
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, take_header, x);
    MHD_suspend_connection(x->connection);
    if (roomlet_server_handle_request(x->http->server, text(method), text(x->target), x->authorization,
                                      x->authorizations, body, answered, x, NULL, NULL) != ROOMLET_OK) {
        set_error(x, MHD_HTTP_SERVICE_UNAVAILABLE, "M_UNKNOWN");
        MHD_resume_connection(x->connection);
    }
}

/* libmicrohttpd calls this for the first line, for each piece of the body, at its end, and after a resume. */
static enum MHD_Result handle(void *user_data, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_len, void **state) {
    exchange *x = *state;
    (void)user_data, (void)connection, (void)url, (void)version;
    if (x == NULL || x->target == NULL) {
        return MHD_NO; /* no memory */
    }
    if (!x->started) {
        x->started = 1;
        return MHD_YES;
    }
    if (*upload_len > 0) {
        char *grown;
        if (x->len + *upload_len > ROOMLET_MAX_REQUEST_BYTES) {
            x->too_large = 1; /* the rest is read and dropped, for an answer comes after the request */
            *upload_len = 0;
            return MHD_YES;
        }
        grown = realloc(x->body, x->len + *upload_len);
        if (grown == NULL) {
            return MHD_NO;
        }
        x->body = grown;
        memcpy(x->body + x->len, upload, *upload_len);
        x->len += *upload_len;
        *upload_len = 0;
        return MHD_YES;
    }
    if (!is_up(x->http)) {
        return MHD_NO; /* the link is down: the connection breaks, whatever the answer was */
    }
    if (x->response == NULL && x->too_large) {
        set_error(x, MHD_HTTP_CONTENT_TOO_LARGE, "M_TOO_LARGE");
    }
    if (x->response == NULL && strncmp(x->target, "/_matrix/", 9) == 0) {
        ask(x, method);
        return MHD_YES;
    }
    if (x->response == NULL) {
        set_error(x, MHD_HTTP_NOT_FOUND, "M_UNRECOGNIZED");
    }
    return MHD_queue_response(connection, x->status, x->response);
}

static enum MHD_Result accept_connection(void *user_data, const struct sockaddr *address, socklen_t len) {
    (void)address, (void)len;
    return is_up(user_data) ? MHD_YES : MHD_NO;
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    char *content = calloc(1, 65536);
    if (file == NULL || content == NULL || fread(content, 1, 65535, file) == 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(content);
        content = NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return content;
}

static int parse_address(const char *address, struct sockaddr_in *out) {
    char host[64];
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host) {
        return 0;
    }
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    memset(out, 0, sizeof *out);
    out->sin_family = AF_INET;
    out->sin_port = htons((uint16_t)atoi(colon + 1));
    return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

http_server *http_server_start(const char *address, const char *cert_file, const char *key_file, roomlet_server *server,
                               http_server_notice notice) {
    struct sockaddr_in where;
    http_server *http = calloc(1, sizeof *http);
    if (http == NULL || !parse_address(address, &where)) {
        fprintf(stderr, "%s: not an address and port\n", address);
        free(http);
        return NULL;
    }
    pthread_mutex_init(&http->lock, NULL);
    http->up = 1;
    http->server = server;
    http->notice = notice;
    http->cert = read_file(cert_file);
    http->key = read_file(key_file);
    if (http->cert != NULL && http->key != NULL) {
        http->daemon = MHD_start_daemon(
            MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME, 0,
            accept_connection, http, handle, http, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&where,
            MHD_OPTION_HTTPS_MEM_CERT, http->cert, MHD_OPTION_HTTPS_MEM_KEY, http->key, MHD_OPTION_URI_LOG_CALLBACK,
            begin, http, MHD_OPTION_NOTIFY_COMPLETED, forget, NULL, MHD_OPTION_CONNECTION_TIMEOUT,
            (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    }
    if (http->daemon == NULL) {
        fprintf(stderr, "%s: cannot listen\n", address);
        http_server_stop(http);
        return NULL;
    }
    return http;
}

void http_server_set_link(http_server *http, int up) {
    pthread_mutex_lock(&http->lock);
    http->up = up;
    pthread_mutex_unlock(&http->lock);
}

void http_server_stop(http_server *http) {
    if (http == NULL) {
        return;
    }
    if (http->daemon != NULL) {
        MHD_stop_daemon(http->daemon);
    }
    pthread_mutex_destroy(&http->lock);
    free(http->cert);
    free(http->key);
    free(http);
}
