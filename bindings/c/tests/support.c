#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 20000 };

void check(int holds, const char *what, const char *file, int line) {
    if (!holds) {
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
        exit(1);
    }
}

void check_ok(roomlet_code code, roomlet_error *err, const char *what, const char *file, int line) {
    roomlet_bytes message = roomlet_error_message(err);
    if (code != ROOMLET_OK) {
        fprintf(stderr, "%s:%d: %s: error %d: %.*s\n", file, line, what, (int)code, (int)message.len,
                (const char *)message.ptr);
        exit(1);
    }
}

roomlet_bytes text(const char *text) {
    roomlet_bytes bytes;
    bytes.ptr = (const uint8_t *)text;
    bytes.len = strlen(text);
    return bytes;
}

char *copy_of(roomlet_bytes bytes) {
    char *copy = malloc(bytes.len + 1);
    CHECK(copy != NULL);
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    copy[bytes.len] = '\0';
    return copy;
}

int contains(roomlet_bytes bytes, const char *part) {
    char *copy = copy_of(bytes);
    int found = strstr(copy, part) != NULL;
    free(copy);
    return found;
}

char *result_of(roomlet_op *op) {
    roomlet_result *result = NULL;
    roomlet_error *err = NULL;
    char *copy;
    CHECK_OK(roomlet_op_wait(op, WAIT_MS, &result, &err), err);
    copy = copy_of(roomlet_result_bytes(result));
    roomlet_result_free(result);
    roomlet_op_free(op);
    return copy;
}

char *await_update(roomlet_updates *updates, const char *part) {
    char *token = NULL;
    while (token == NULL) {
        roomlet_op *op = NULL;
        roomlet_result *result = NULL;
        roomlet_error *err = NULL;
        CHECK_OK(roomlet_updates_next(updates, 1, NULL, NULL, &op, &err), err);
        CHECK_OK(roomlet_op_wait(op, WAIT_MS, &result, &err), err);
        CHECK(roomlet_result_update_count(result) == 1);
        if (contains(roomlet_result_update(result, 0), part)) {
            token = copy_of(roomlet_result_update_token(result, 0));
        }
        roomlet_result_free(result);
        roomlet_op_free(op);
    }
    return token;
}
