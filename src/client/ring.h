/* ring: one thread's buffer of what it emits; one writer, one reader, no lock.
 *
 * Records are 4-byte words. An update is three: the series id and its 64 bits, as
 * on the wire. Another item is a mark that holds its kind and size, and its body.
 * A full ring drops the newest and counts it. Positions run on without end and
 * are masked on use, so that a record may lie across the end.
 *
 * Two hold a ring, its thread and its session; whoever lets go last frees it. */
#ifndef MCPTALLY_CLIENT_RING_H
#define MCPTALLY_CLIENT_RING_H

#include <endian.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/event.h"

enum { RING_UPDATE = 3 }; /* words of an update */

struct mcptally;

struct ring {
    /* written by the thread */
    _Alignas(64) _Atomic uint32_t head;
    uint32_t tail_seen;
    _Atomic uint64_t emitted; /* items that the thread was given */
    _Atomic uint64_t full;    /* of these, dropped because there was no room */
    _Atomic uint64_t invalid; /* of these, dropped because they were malformed */
    _Atomic bool dead;        /* the thread has gone, and writes no more */

    /* written by the reader */
    _Alignas(64) _Atomic uint32_t tail;
    uint64_t full_told, invalid_told; /* what of the counts is told to the daemon */
    uint32_t until;                   /* head, as the drain in hand found it */
    bool ending;                      /* dead before that: nothing comes after it */
    struct ring *next;                /* of the session's */

    /* written once */
    _Alignas(64) uint32_t *words;
    uint32_t mask; /* words - 1 */
    uint64_t serial;
    struct mcptally *m;
    _Atomic bool closed; /* the session has gone: m and words are not to be used */
    _Atomic int holders;
    struct ring *next_local; /* of the thread's */
};

/* bytes: a power of two. NULL when memory is out. */
struct ring *ring_new(struct mcptally *m, uint64_t serial, uint32_t bytes);
void ring_let_go(struct ring *r);

/* The session has gone: frees the words and lets go. */
void ring_close(struct ring *r);

/* For counters with one writer. */
static inline void ring_count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* ---- the writer ---- */

/* Words in use, as far as the writer has looked; asks again when there are more
 * than `enough`. */
static inline uint32_t ring_used(struct ring *r, uint32_t head, uint32_t enough)
{
    if (head - r->tail_seen > enough)
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
    return head - r->tail_seen;
}

static inline bool ring_half_full(struct ring *r)
{
    const uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    return ring_used(r, head, r->mask / 2) > r->mask / 2;
}

/* Drops it when the ring is full. */
static inline void ring_put_update(struct ring *r, uint32_t id, uint64_t bits)
{
    const uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    const uint32_t enough = r->mask + 1 - RING_UPDATE;
    ring_count(&r->emitted);
    if (__builtin_expect(ring_used(r, head, enough) > enough, 0)) {
        ring_count(&r->full);
        return;
    }
    r->words[head & r->mask] = htole32(id);
    r->words[(head + 1) & r->mask] = htole32((uint32_t)bits);
    r->words[(head + 2) & r->mask] = htole32((uint32_t)(bits >> 32));
    atomic_store_explicit(&r->head, head + RING_UPDATE, memory_order_release);
}

/* An encoded body of at most LIMIT_ITEM bytes; likewise. */
void ring_put_item(struct ring *r, enum event_kind kind, const void *body, uint32_t n);

/* ---- the reader ---- */

/* What lies next between tail and `head`: updates as they are on the wire, or one
 * item. Points into the ring, or into `copy` when it lies across the end. */
struct ring_piece {
    const uint8_t *bytes;
    uint32_t count; /* updates; 0: it is an item */
    uint32_t size;  /* of an item */
    enum event_kind kind;
    uint32_t words; /* to be passed to ring_took(); for updates RING_UPDATE each */
};

static inline uint32_t ring_head(const struct ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_acquire);
}

static inline bool ring_empty(const struct ring *r)
{
    return ring_head(r) == atomic_load_explicit(&r->tail, memory_order_relaxed);
}

/* False when nothing lies before head. copy has room for LIMIT_ITEM bytes. */
bool ring_next(const struct ring *r, uint32_t head, uint8_t *copy, struct ring_piece *out);

/* That many words are done with. */
void ring_took(struct ring *r, uint32_t words);

#endif
