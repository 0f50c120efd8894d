/* local: what each thread has: its rings, its random numbers, its open span, its
 * correlation id. */
#ifndef MCPTALLY_CLIENT_LOCAL_H
#define MCPTALLY_CLIENT_LOCAL_H

#include "base/buf.h"
#include "base/clock.h"
#include "mcptally.h"
#include "model/limits.h"
#include "client/ring.h"

struct local {
    uint64_t serial;      /* of the session that `ring` belongs to; 0: none yet */
    struct ring *ring;    /* the one used last */
    struct ring *rings;   /* all of this thread */
    uint64_t random[2];   /* state of the generator; both 0: to be seeded */
    mcptally_span *span;  /* innermost that is open; see span.c */
    mcptally_span *spare; /* ended ones, to be used again */
    uint64_t ahead;       /* the wall clock's lead over the other */
    uint64_t compared;    /* CLOCK_BOOTTIME, ns, when that was found out; 0: not yet */
    unsigned nspare;
    unsigned ncorrelation; /* bytes of the correlation id */
    char *correlation;     /* room for one of LIMIT_CORRELATION bytes; NULL before the first */
    struct buf scratch;    /* an item while it is encoded */
    bool noted;            /* the end of this thread will be heard of */
};

/* Reached without a call, wherever the library is loaded: every thread has a little room for
 * libraries that come late, of which this takes less than two hundred bytes. */
extern _Thread_local struct local local __attribute__((tls_model("initial-exec")));

_Static_assert(sizeof(struct local) < 200, "room for late libraries is scarce");

/* The time, from one clock: that of the wall is the other plus its lead, which is looked at
 * again every few milliseconds. Somebody who sets the clock is noticed by then. */
struct when local_now(void);

/* This thread's ring in a session; NULL when memory is out. Leaves errno alone. */
struct ring *local_find(struct mcptally *m);

/* Sees to it that the end of this thread is heard of; false when it cannot be. */
bool local_note_first(void);

static inline bool local_note(void)
{
    return __builtin_expect(local.noted, 1) || local_note_first();
}

/* The correlation id of this thread; empty: none, or there was no memory for it. */
void local_set_correlation(struct str id); /* at most LIMIT_CORRELATION bytes */

static inline struct str local_correlation(void)
{
    return (struct str){local.correlation, local.ncorrelation};
}

/* An encoder's buffer, empty, up to LIMIT_ITEM bytes. */
struct buf *local_scratch(void);

/* For a forked child, in the thread that forked. */
void local_forked(void);

/* Random numbers for ids and delays, never zero; not for secrets. */
uint64_t local_random(void);

#endif
