/* ring: one thread's buffer of what it emits: a shm_ring, and who holds it.
 *
 * Two hold a ring, its thread and its session; whoever lets go last frees it. */
#ifndef MCPTALLY_CLIENT_RING_H
#define MCPTALLY_CLIENT_RING_H

#include "wire/shm_ring.h"

struct mcptally;

struct ring {
    struct shm_ring shm;
    struct shm_ring_slot own; /* of the session, as long as it reads the ring itself */
    _Atomic bool dead;        /* the thread has gone, and writes no more */

    /* the session's */
    uint64_t full_told, invalid_told; /* what of the counts is told to the daemon */
    uint64_t until;                   /* head, as the drain in hand found it */
    bool ending;                      /* dead before that: nothing comes after it */
    struct ring *next;                /* of the session's */

    /* written once */
    uint64_t serial;
    struct mcptally *m;
    _Atomic bool closed; /* the session has gone: m and the memory are not to be used */
    _Atomic int holders;
    struct ring *next_local; /* of the thread's */
};

/* bytes: a power of two. NULL when memory is out. */
struct ring *ring_new(struct mcptally *m, uint64_t serial, uint32_t bytes);
void ring_let_go(struct ring *r);

/* The session has gone: frees the memory and lets go. */
void ring_close(struct ring *r);

/* Frees it at once: in a forked child nobody else holds it. */
void ring_free(struct ring *r);

static inline bool ring_empty(const struct ring *r)
{
    return shm_ring_head(&r->shm) == atomic_load_explicit(&r->own.tail, memory_order_relaxed);
}

/* Likewise as shm_piece_next(), of a ring that the session reads itself: false when nothing
 * lies before head. */
bool ring_next(const struct ring *r, uint64_t head, uint8_t *copy, struct shm_piece *out);

/* That many words are done with. */
void ring_took(struct ring *r, uint32_t words);

#endif
