/* Serves federation over HTTPS: hands what other servers send to roomlet, and its answers back (libmicrohttpd). */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "roomlet.h"

typedef struct http_server http_server;

/* Told of each request that comes in. */
typedef void (*http_server_notice)(const char *method, const char *target);

/* Listens on `address` ("127.0.0.1:8448") with certificate and key from PEM files. NULL, and a message on stderr, if that
 * fails. */
http_server *http_server_start(const char *address, const char *cert_file, const char *key_file, roomlet_server *server,
                               http_server_notice notice);

/* Refuses connections, or takes them again. Any thread. */
void http_server_set_link(http_server *http, int up);

/* Closes all connections. After roomlet_server_close, so that no answer is still to come. */
void http_server_stop(http_server *http);

#endif
