/* local: what each thread has: its rings, its random numbers, its open span, its
 * correlation id. */
#ifndef MCPTALLY_CLIENT_LOCAL_H
#define MCPTALLY_CLIENT_LOCAL_H

#include "base/buf.h"
#include "mcptally.h"
#include "model/limits.h"
#include "client/ring.h"

struct local {
    uint64_t serial;     /* of the session that `ring` belongs to; 0: none yet */
    struct ring *ring;   /* the one used last */
    struct ring *rings;  /* all of this thread */
    struct buf scratch;  /* an item while it is encoded */
    uint64_t random[2];  /* state of the generator; both 0: to be seeded */
    mcptally_span *span; /* innermost that is open; see span.c */
    unsigned ncorrelation;
    char correlation[LIMIT_CORRELATION];
};

extern _Thread_local struct local local;

/* This thread's ring in a session; NULL when memory is out. Leaves errno alone. */
struct ring *local_find(struct mcptally *m);

/* Sees to it that the end of this thread is heard of; false when it cannot be. */
bool local_note(void);

/* An encoder's buffer, empty, up to LIMIT_ITEM bytes. */
struct buf *local_scratch(void);

/* For a forked child, in the thread that forked. */
void local_forked(void);

/* Fills `to` with n random bytes; not all zero. Not for secrets. */
void local_random(uint8_t *to, size_t n);

#endif
