/* What the C tests share: checks, text, and waiting. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "roomlet.h"

/* Ends the test with a message if `condition` does not hold. */
#define CHECK(condition) check((condition) != 0, #condition, __FILE__, __LINE__)

/* Ends the test with code and message of `err` if `call`, which sets `err`, does not give ROOMLET_OK. */
#define CHECK_OK(call, err)                                   \
    do {                                                      \
        roomlet_code code_ = (call);                          \
        check_ok(code_, (err), #call, __FILE__, __LINE__);    \
    } while (0)

void check(int holds, const char *what, const char *file, int line);
void check_ok(roomlet_code code, roomlet_error *err, const char *what, const char *file, int line);

/* The bytes of a NUL-terminated text. */
roomlet_bytes text(const char *text);

/* A NUL-terminated copy, to be freed with free(). */
char *copy_of(roomlet_bytes bytes);

/* Whether `bytes` contain `part`. */
int contains(roomlet_bytes bytes, const char *part);

/* Waits for `op`, which must succeed, frees it and gives a copy of its result, to be freed with free(). */
char *result_of(roomlet_op *op);

/* Reads `updates` until one contains `part`, and gives its token, to be freed with free(). Fails after 20 seconds. */
char *await_update(roomlet_updates *updates, const char *part);

#endif
