/* emit: puts what a caller gives into its thread's ring. */
#ifndef MCPTALLY_CLIENT_EMIT_H
#define MCPTALLY_CLIENT_EMIT_H

#include "client/session.h"

/* This thread's ring; NULL when there is no memory for one. */
static inline struct ring *emit_ring(struct mcptally *m)
{
    return __builtin_expect(local.serial == m->serial, 1) ? local.ring : local_find(m);
}

/* Counts an item as malformed. */
void emit_invalid(struct mcptally *m);

/* Puts an item whose body is good, or counts one as malformed when the buffer has failed. */
void emit_body(struct mcptally *m, enum event_kind kind, const struct buf *body);

#endif
