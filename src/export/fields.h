/* fields: the headers that an operator wants sent. Floor 4. No I/O. */
#ifndef MCPTALLY_EXPORT_FIELDS_H
#define MCPTALLY_EXPORT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    FIELDS_MAX = 32,
    FIELDS_NAME = 128,
    FIELDS_BYTES = 6144, /* together: servers refuse header lists above 8 KiB */
};

struct field {
    char *name, *value; /* the name in lower case, as HTTP/2 asks for */
};

struct fields {
    unsigned n;
    struct field all[FIELDS_MAX];
};

/* Copies one. 0; -ERR_NAME or -ERR_SYNTAX for what a header may not hold or what is
 * ours to say, -ERR_FULL, -ERR_NOMEM, with a line in `why` that does not quote the value. */
int fields_add(struct fields *f, const char *name, const char *value, char *why, size_t why_size);
void fields_fini(struct fields *f);

#endif
