/* ring: one thread's buffer of what it emits: a shm_ring, who holds it and who reads it.
 *
 * Two hold a ring, its thread and its session; whoever lets go last frees it. Its reader
 * is the session, which passes on what it reads, or the daemon itself, if the session
 * wants that and the daemon agreed; see share.h. */
#ifndef MCPTALLY_CLIENT_RING_H
#define MCPTALLY_CLIENT_RING_H

#include "wire/shm_ring.h"

struct mcptally;

/* Who reads. */
enum ring_reader {
    RING_HOME,    /* the session */
    RING_WAITING, /* nobody: it is to be offered to the daemon, or offered again */
    RING_OFFERED, /* nobody: the daemon was asked on this connection, and has not answered */
    RING_AWAY,    /* the daemon */
};

enum { RING_SLOT_PAGES = 2 };

/* As `asleep` of a ring's own slot: whoever looks there took the ring for one that the daemon
 * reads, and it came home before the record was in it. */
#define RING_CAME_HOME UINT32_MAX

struct ring {
    struct shm_ring shm;
    _Atomic bool dead;        /* the thread has gone, and writes no more */
    _Atomic bool away;        /* for the thread: whom to wake */
    _Atomic bool direct;      /* and away, and it needs no fence before it looks whether to */
    _Atomic bool bell;        /* the thread wants the daemon to be woken */
    uint32_t rung;            /* the thread's: the sleep of the daemon that it has ended */
    uint64_t pressed_at;      /* and the head when it last wanted to be read sooner */
    struct shm_ring_slot own; /* the session's, while it reads */

    /* the session's */
    enum ring_reader reader;
    uint32_t stream;                  /* its number with the daemon; 0: none yet */
    int fd;                           /* of the memory; -1: it cannot be shared */
    bool refused;                     /* by the daemon of this connection */
    uint8_t *slot_pages;              /* for two of the daemon's, the older one in use till the
                                         next; NULL: none yet */
    unsigned slot_page;               /* the newer one */
    uint64_t items_before;            /* read by daemons whose count is gone */
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

/* bytes: a power of two; in memory that can be shared, if that is wanted and can be had.
 * NULL when memory is out. */
struct ring *ring_new(struct mcptally *m, uint64_t serial, uint32_t bytes, bool shared);
void ring_let_go(struct ring *r);

/* The session has gone: frees the memory and lets go. */
void ring_close(struct ring *r);

/* In a forked child: nobody else holds it, and shared memory is not there. */
void ring_forget(struct ring *r);

/* Read up to here, by whoever reads. */
static inline uint64_t ring_tail(const struct ring *r)
{
    return atomic_load_explicit(&shm_ring_slot(&r->shm)->tail, memory_order_acquire);
}

/* Items of it that daemons have read. */
static inline uint64_t ring_items(const struct ring *r)
{
    return r->items_before +
           atomic_load_explicit(&shm_ring_slot(&r->shm)->items, memory_order_relaxed);
}

static inline bool ring_empty(const struct ring *r)
{
    return shm_ring_head(&r->shm) == ring_tail(r);
}

/* As shm_piece_next(), from the tail on: false when nothing lies before head. */
bool ring_next(const struct ring *r, uint64_t head, uint8_t *copy, struct shm_piece *out);

/* That many words are done with; for whoever reads at home. */
void ring_took(struct ring *r, uint32_t words);

/* The daemon reads it from now on, and says so in the slot at this offset of its memory.
 * False when that cannot be mapped. */
bool ring_send_away(struct ring *r, int memory, uint32_t slot);

/* The session reads it, from here on. */
void ring_bring_home(struct ring *r, uint64_t tail);

#endif
