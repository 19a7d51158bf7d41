/* Servers in one process whose requests are carried by calling each other. */
#ifndef RELAY_H
#define RELAY_H

#include "roomlet.h"

/* Opens the server `name` with the store at `path` ("": in memory) and makes it reachable for the others. */
roomlet_server *relay_open(const char *name, const char *path);

/* As relay_open, with what `policy` answers. */
roomlet_server *relay_open_with(const char *name, const char *path, const roomlet_host *policy);

/* Closes `server`; from now on it is unreachable. */
void relay_close(roomlet_server *server);

/* How many hosts were released. */
int relay_released(void);

#endif
