/* Between C strings and roomlet's bytes. */
#ifndef BYTES_H
#define BYTES_H

#include "roomlet.h"

#include <stdlib.h>
#include <string.h>

/* The bytes of a NUL-terminated text. */
static inline roomlet_bytes text(const char *text) {
    roomlet_bytes bytes;
    bytes.ptr = (const uint8_t *)text;
    bytes.len = strlen(text);
    return bytes;
}

/* `prefix` and `bytes` as a NUL-terminated text, to be freed with free(); NULL without memory. */
static inline char *copy_of(const char *prefix, roomlet_bytes bytes) {
    size_t before = strlen(prefix);
    char *copy = malloc(before + bytes.len + 1);
    if (copy != NULL) {
        memcpy(copy, prefix, before);
        if (bytes.len > 0) {
            memcpy(copy + before, bytes.ptr, bytes.len);
        }
        copy[before + bytes.len] = '\0';
    }
    return copy;
}

#endif
