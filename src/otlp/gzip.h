/* gzip: gzip in bounded steps. Floor 1. No I/O. */
#ifndef MCPTALLY_OTLP_GZIP_H
#define MCPTALLY_OTLP_GZIP_H

#include <zlib.h>

#include "base/buf.h"

struct inflate {
    z_stream z;
    struct str in; /* what is left of it; borrowed */
    bool done;
};

int inflate_begin(struct inflate *i, struct str gzip); /* 0, -ERR_NOMEM */
void inflate_end(struct inflate *i);

/* Appends up to `step` bytes, of all members: 1 when there is more, 0 at the end; -ERR_RANGE when
 * `to` is at its max, -ERR_SYNTAX for damage, -ERR_SHORT for an end too soon. */
int inflate_step(struct inflate *i, struct buf *to, size_t step);

/* The whole of a small text at once, level 6; for requests that leave. 0, -ERR_NOMEM (also
 * when `to` has no room for the worst case). */
int deflate_gzip(struct buf *to, struct str bytes);

#endif
