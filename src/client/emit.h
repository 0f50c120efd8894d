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

/* Encodes, checks and puts an item; its trace and correlation are the caller's. */
void emit_item(struct mcptally *m, const struct event *e);

/* Appends labels to an item's attributes; what does not fit is left out. */
void emit_attrs(struct event *e, const mcptally_label *labels);

/* This thread's correlation id, and its innermost span's context. */
void emit_context(struct event *e);

/* Wall clock, ns. */
uint64_t emit_now(void);

#endif
