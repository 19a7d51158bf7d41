/* Carries roomlet's requests to other servers over HTTPS: one thread, many requests at once (libcurl). */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "roomlet.h"

typedef struct http_client http_client;

/* Starts the thread. Certificates of other servers have to be signed by one in `ca_file`. NULL if that fails. */
http_client *http_client_start(const char *ca_file);

/* Connects to HOST:PORT for the server NAME; `mapping` is "NAME=HOST:PORT". Before the first request. 0 if malformed. */
int http_client_resolve(http_client *client, const char *mapping);

/* `send` of roomlet_host, with the client as `user_data`. */
void http_client_send(void *client, const roomlet_request *request, roomlet_reply *reply);

/* Takes the network away, or gives it back. Any thread. */
void http_client_set_link(http_client *client, int up);

/* Fails what is under way and ends the thread. After roomlet_server_close. */
void http_client_stop(http_client *client);

#endif
