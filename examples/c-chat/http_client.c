#include "http_client.h"

#include "bytes.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>

enum {
    /* roomlet itself gives up after request_timeout_ms; this ends what it no longer waits for. */
    TIMEOUT_MS = 120000,
    /* Servers without a port listen here. Discovery by .well-known and SRV is left out of this example. */
    DEFAULT_PORT = 8448,
    MAX_RESPONSE_BYTES = 128 * 1024 * 1024
};

/* One request on its way, and the response that comes in. */
typedef struct transfer {
    struct transfer *next;
    const roomlet_request *request;
    roomlet_reply *reply;
    CURL *curl;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    char *body;
    size_t len;
} transfer;

struct http_client {
    pthread_t thread;
    pthread_mutex_t lock; /* guards `queued`, `up`, `stopping` */
    transfer *queued;
    int up;
    int stopping;
    CURLM *multi;
    transfer *running; /* the thread's own */
    char *ca_file;
    struct curl_slist *mappings; /* NAME=HOST:PORT */
};

static size_t take_body(char *data, size_t size, size_t count, void *user_data) {
    transfer *t = user_data;
    size_t len = size * count;
    char *grown;
    if (t->len + len > MAX_RESPONSE_BYTES || (grown = realloc(t->body, t->len + len)) == NULL) {
        return 0; /* tells libcurl to give up */
    }
    t->body = grown;
    memcpy(t->body + t->len, data, len);
    t->len += len;
    return len;
}

static void add_header(transfer *t, const char *name, roomlet_bytes value) {
    char *line = copy_of(name, value);
    struct curl_slist *longer = line == NULL ? NULL : curl_slist_append(t->headers, line);
    if (longer != NULL) {
        t->headers = longer;
    }
    free(line);
}

/* Where to connect to. `name` is a server name: host, or host and port. */
static void set_address(http_client *client, transfer *t, const char *name) {
    const char *after_host = name[0] == '[' ? strchr(name, ']') : name;
    int has_port = after_host != NULL && strchr(after_host, ':') != NULL;
    char url[600];
    size_t len = strlen(name);
    struct curl_slist *m;
    snprintf(url, sizeof url, has_port ? "https://%s/" : "https://%s:%d/", name, DEFAULT_PORT);
    curl_easy_setopt(t->curl, CURLOPT_URL, url);
    for (m = client->mappings; m != NULL; m = m->next) {
        if (strncmp(m->data, name, len) == 0 && m->data[len] == '=') {
            /* An empty host and port stand for the URL's; the certificate is still checked for those. */
            char *entry = copy_of("::", text(m->data + len + 1));
            t->connect_to = entry == NULL ? NULL : curl_slist_append(NULL, entry);
            curl_easy_setopt(t->curl, CURLOPT_CONNECT_TO, t->connect_to);
            free(entry);
        }
    }
}

/* Hands the request to libcurl; 0 if that fails. */
static int begin(http_client *client, transfer *t) {
    char *name = copy_of("", roomlet_request_destination(t->request));
    char *method = copy_of("", roomlet_request_method(t->request));
    char *target = copy_of("", roomlet_request_target(t->request));
    roomlet_bytes body = roomlet_request_body(t->request);
    size_t i;
    t->curl = curl_easy_init();
    if (t->curl != NULL && name != NULL && method != NULL && target != NULL) {
        set_address(client, t, name);
        curl_easy_setopt(t->curl, CURLOPT_REQUEST_TARGET, target); /* the signature covers it, byte for byte */
        curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, method);
        if (body.len > 0 || strcmp(method, "GET") != 0) {
            /* The body belongs to the request, which lives until the reply is answered. */
            curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, body.len > 0 ? (const char *)body.ptr : "");
            curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
            add_header(t, "Content-Type: ", text("application/json"));
        }
        for (i = 0; i < roomlet_request_authorization_count(t->request); i++) {
            add_header(t, "Authorization: ", roomlet_request_authorization(t->request, i));
        }
        add_header(t, "Expect:", text(""));
        curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
        curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
        curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t);
        curl_easy_setopt(t->curl, CURLOPT_CAINFO, client->ca_file);
        curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
        curl_easy_setopt(t->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
        /* CURLOPT_URL, _REQUEST_TARGET and _CUSTOMREQUEST were copied by libcurl. */
    }
    free(name), free(method), free(target);
    return t->curl != NULL && curl_multi_add_handle(client->multi, t->curl) == CURLM_OK;
}

/* Answers roomlet and forgets the transfer. `why` is NULL if there is a response. */
static void end(http_client *client, transfer *t, const char *why) {
    long status = 0;
    roomlet_bytes body;
    if (t->curl != NULL) {
        curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(client->multi, t->curl);
        curl_easy_cleanup(t->curl);
    }
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connect_to);
    body.ptr = (const uint8_t *)t->body;
    body.len = t->len;
    if (why != NULL || roomlet_reply_respond(t->reply, (uint16_t)status, body, NULL) != ROOMLET_OK) {
        roomlet_reply_fail(t->reply, text(why != NULL ? why : "no HTTP response"), NULL);
    }
    free(t->body);
    free(t);
}

static void end_all(http_client *client, transfer *list, const char *why) {
    while (list != NULL) {
        transfer *next = list->next;
        end(client, list, why);
        list = next;
    }
}

static void begin_all(http_client *client, transfer *list) {
    while (list != NULL) {
        transfer *next = list->next;
        if (begin(client, list)) {
            list->next = client->running;
            client->running = list;
        } else {
            end(client, list, "libcurl takes no more requests");
        }
        list = next;
    }
}

/* Ends the transfers that libcurl has finished. */
static void end_finished(http_client *client) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            CURLcode result = message->data.result;
            transfer *t = NULL, **at = &client->running;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
            while (*at != t) {
                at = &(*at)->next;
            }
            *at = t->next;
            end(client, t, result == CURLE_OK ? NULL : curl_easy_strerror(result));
        }
    }
}

static void *run(void *user_data) {
    http_client *client = user_data;
    int stopping = 0;
    while (!stopping) {
        transfer *queued;
        int up, running;
        pthread_mutex_lock(&client->lock);
        queued = client->queued;
        client->queued = NULL;
        up = client->up;
        stopping = client->stopping;
        pthread_mutex_unlock(&client->lock);
        if (up && !stopping) {
            begin_all(client, queued);
        } else {
            transfer *cut = client->running;
            client->running = NULL;
            end_all(client, queued, "the link is down");
            end_all(client, cut, "the link went down");
        }
        curl_multi_perform(client->multi, &running);
        end_finished(client);
        if (!stopping) {
            curl_multi_poll(client->multi, NULL, 0, 1000, NULL);
        }
    }
    return NULL;
}

http_client *http_client_start(const char *ca_file) {
    http_client *client = calloc(1, sizeof *client);
    if (client == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return NULL;
    }
    client->up = 1;
    client->ca_file = copy_of("", text(ca_file));
    client->multi = curl_multi_init();
    pthread_mutex_init(&client->lock, NULL);
    if (client->multi == NULL || client->ca_file == NULL || pthread_create(&client->thread, NULL, run, client) != 0) {
        curl_multi_cleanup(client->multi);
        free(client->ca_file);
        free(client);
        return NULL;
    }
    return client;
}

int http_client_resolve(http_client *client, const char *mapping) {
    struct curl_slist *longer = strchr(mapping, '=') == NULL ? NULL : curl_slist_append(client->mappings, mapping);
    if (longer != NULL) {
        client->mappings = longer;
    }
    return longer != NULL;
}

void http_client_send(void *user_data, const roomlet_request *request, roomlet_reply *reply) {
    http_client *client = user_data;
    transfer *t = calloc(1, sizeof *t);
    if (t == NULL) {
        roomlet_reply_fail(reply, text("no memory"), NULL);
        return;
    }
    t->request = request;
    t->reply = reply;
    pthread_mutex_lock(&client->lock);
    t->next = client->queued;
    client->queued = t;
    pthread_mutex_unlock(&client->lock);
    curl_multi_wakeup(client->multi);
}

void http_client_set_link(http_client *client, int up) {
    pthread_mutex_lock(&client->lock);
    client->up = up;
    pthread_mutex_unlock(&client->lock);
    curl_multi_wakeup(client->multi);
}

void http_client_stop(http_client *client) {
    pthread_mutex_lock(&client->lock);
    client->stopping = 1;
    pthread_mutex_unlock(&client->lock);
    curl_multi_wakeup(client->multi);
    pthread_join(client->thread, NULL);
    curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->mappings);
    curl_global_cleanup();
    pthread_mutex_destroy(&client->lock);
    free(client->ca_file);
    free(client);
}
