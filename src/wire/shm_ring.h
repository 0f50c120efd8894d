/* shm_ring: what one thread emits, in memory that two processes may share. Floor 1.
 * No I/O. The layout is man/mcptally-protocol.7, section RINGS.
 *
 * The memory of a ring is a page, which only the producer writes, and its words
 * behind it. A position counts the words since the ring began and is masked on use,
 * so that a record may lie across the end. An update is three words, as on the
 * wire, or one when the id and the value are small: what two processes pass on is paid
 * for by the line of memory. Another item is a mark that holds its kind and size, and
 * its body. A record is published by storing the head behind it. A full ring drops the
 * newest.
 *
 * What the reader says lies in a slot, in memory that only the reader writes.
 * Neither side can do more than lie to the other: the reader looks at the head
 * once, copies what it reads before it judges it, and follows no pointer. */
#ifndef MCPTALLY_WIRE_SHM_RING_H
#define MCPTALLY_WIRE_SHM_RING_H

#include <endian.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "model/event.h"

#define SHM_RING_MAGIC UINT64_C(0x31676e6972706d63) /* "cmpring1" */

enum {
    SHM_RING_UPDATE = 3,      /* words of an update, if it is not one */
    SHM_RING_EXPANDED = 256,  /* updates of one word that are a piece */
    SHM_RING_PAGE = 4096,     /* bytes of the page; the words begin there */
    SHM_RING_MIN = 1024,      /* words of the smallest ring */
    SHM_RING_MAX = 4 << 20,   /* and of the largest one */
    SHM_RING_COPY = 64 << 10, /* bytes that a reader copies at one time; holds any item */
    SHM_SLOT_SIZE = 128,      /* bytes of a slot */
};

/* An update of one word: 01, 14 bits of value, 16 bits of id. */
#define SHM_SHORT_MARK   UINT32_C(0x40000000)
#define SHM_SHORT_IDS    UINT32_C(0x10000)
#define SHM_SHORT_VALUES UINT64_C(0x4000)

/* A word that begins an item. */
#define SHM_ITEM_MARK UINT32_C(0x80000000)

/* The producer's page. Its own counts are for its own use: what it tells of them it
 * tells in LOST. */
struct shm_ring_page {
    uint64_t magic;
    uint64_t words; /* a power of two */
    _Alignas(64) _Atomic uint64_t head;
    _Atomic uint64_t writing;       /* head + 1 while an item is written behind it: a writer that is
                                       killed meanwhile leaves it so, and the item is torn */
    _Atomic uint64_t extra;         /* published words beyond one a record */
    _Atomic uint64_t full, invalid; /* dropped: no room, malformed */
};

/* The reader's slot. What a writer looks at with each record has a line of its own, which
 * the reader does not write to while it reads. */
struct shm_ring_slot {
    _Alignas(SHM_SLOT_SIZE) _Atomic uint64_t tail; /* read to here, and committed */
    _Atomic uint64_t items;                        /* that were read, dropped or not */
    _Alignas(64) _Atomic uint32_t asleep; /* another number with each sleep; 0: awake. Asleep,
                                             the reader wants one BELL when something is
                                             published */
};

_Static_assert(sizeof(struct shm_ring_page) <= SHM_RING_PAGE, "the page holds it");
_Static_assert(sizeof(struct shm_ring_slot) == SHM_SLOT_SIZE, "two lines each");

/* For counters with one writer. */
static inline void shm_ring_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* ---- the writer ---- */

struct shm_ring {
    struct shm_ring_page *page;
    uint32_t *words;
    uint32_t mask; /* words - 1 */
    _Atomic(const struct shm_ring_slot *) slot;
    uint64_t tail_seen;
    uint64_t half; /* where it is half full, as far as the writer has looked */
};

/* Of memory of shm_ring_bytes(words) bytes, aligned to a line, whose page is zero. */
void shm_ring_init(struct shm_ring *r, void *memory, uint32_t words,
                   const struct shm_ring_slot *slot);

static inline const struct shm_ring_slot *shm_ring_slot(const struct shm_ring *r)
{
    return atomic_load_explicit(&r->slot, memory_order_acquire);
}

/* Another reader: its slot's tail is at or behind the present one's. Not for the writer. */
static inline void shm_ring_set_slot(struct shm_ring *r, const struct shm_ring_slot *slot)
{
    atomic_store_explicit(&r->slot, slot, memory_order_release);
}

static inline size_t shm_ring_bytes(uint32_t words)
{
    return SHM_RING_PAGE + (size_t)words * sizeof(uint32_t);
}

/* Brings tail_seen up to date. */
void shm_ring_look(struct shm_ring *r);

/* Words in use, as far as the writer has looked; asks again when there are more than
 * `enough`. */
static inline uint64_t shm_ring_used(struct shm_ring *r, uint64_t head, uint32_t enough)
{
    if (__builtin_expect(head - r->tail_seen > enough, 0))
        shm_ring_look(r);
    return head - r->tail_seen;
}

static inline uint64_t shm_ring_head(const struct shm_ring *r)
{
    return atomic_load_explicit(&r->page->head, memory_order_acquire);
}

static inline bool shm_ring_half_full(struct shm_ring *r)
{
    const uint64_t head = atomic_load_explicit(&r->page->head, memory_order_relaxed);
    return shm_ring_used(r, head, r->mask / 2) > r->mask / 2;
}

/* Counted after the head, so that there are never too few records. */
static inline void shm_ring_publish(struct shm_ring_page *page, uint64_t head, uint32_t words)
{
    const uint64_t extra = atomic_load_explicit(&page->extra, memory_order_relaxed);
    atomic_store_explicit(&page->head, head + words, memory_order_release);
    atomic_store_explicit(&page->extra, extra + words - 1, memory_order_release);
}

/* Room for one at `head` was seen. Two stores of the record, mostly, and the head's. */
static inline void shm_ring_write_update(struct shm_ring *r, uint64_t head, uint32_t id,
                                         uint64_t bits)
{
    struct shm_ring_page *page = r->page;
    uint32_t *words = r->words;
    const uint32_t mask = r->mask, at = (uint32_t)head & mask;
    if (__builtin_expect(at <= mask + 1 - SHM_RING_UPDATE, 1)) {
        const uint64_t first = htole64(id | bits << 32);
        const uint32_t last = htole32((uint32_t)(bits >> 32));
        memcpy(words + at, &first, sizeof first);
        memcpy(words + at + 2, &last, sizeof last);
    } else {
        words[at] = htole32(id);
        words[(head + 1) & mask] = htole32((uint32_t)bits);
        words[(head + 2) & mask] = htole32((uint32_t)(bits >> 32));
    }
    shm_ring_publish(page, head, SHM_RING_UPDATE);
}

static inline uint32_t shm_short(uint32_t id, uint32_t value)
{
    return SHM_SHORT_MARK | value * SHM_SHORT_IDS | id;
}

/* Likewise, of one word. */
static inline void shm_ring_write_short(struct shm_ring *r, uint64_t head, uint32_t word)
{
    struct shm_ring_page *page = r->page; /* which the word may be part of, for all that C knows */
    r->words[head & r->mask] = htole32(word);
    atomic_store_explicit(&page->head, head + 1, memory_order_release);
}

/* Drops it when the ring is full. */
static inline void shm_ring_put_update(struct shm_ring *r, uint32_t id, uint64_t bits)
{
    const uint64_t head = atomic_load_explicit(&r->page->head, memory_order_relaxed);
    const uint32_t enough = r->mask + 1 - SHM_RING_UPDATE;
    if (__builtin_expect(shm_ring_used(r, head, enough) > enough, 0))
        shm_ring_count(&r->page->full, 1);
    else
        shm_ring_write_update(r, head, id, bits);
}

/* An encoded body of at most LIMIT_ITEM bytes; likewise. */
void shm_ring_put_item(struct shm_ring *r, enum event_kind kind, const void *body, uint32_t n);

/* What the thread was given so far, dropped or not. For any thread of the producer. */
uint64_t shm_ring_emitted(const struct shm_ring *r);

/* ---- the reader ---- */

/* What lies next: updates as they are on the wire, or one item. Points into the words, or
 * into `copy` when it lies across their end or is not as on the wire. */
struct shm_piece {
    const uint8_t *bytes;
    uint32_t count; /* updates; 0: it is an item */
    uint32_t each;  /* words of an update */
    uint32_t size;  /* of an item */
    enum event_kind kind;
    uint32_t words; /* of all of it */
};

/* The piece at `tail`. 1; 0 when nothing lies before `head`; -ERR_SHORT when a record goes
 * beyond it; -ERR_RANGE when an item's kind or size is none. copy has room for LIMIT_ITEM
 * bytes. The words must not change meanwhile. */
int shm_piece_next(const uint32_t *words, uint32_t mask, uint64_t tail, uint64_t head,
                   uint8_t *copy, struct shm_piece *out);

/* Of a ring that is not to be trusted: at most `most` words of what lies between tail and
 * head, in order; more, if the first record is longer. Returns the words copied, at most
 * SHM_RING_COPY bytes. head - tail is at most mask + 1. */
uint32_t shm_ring_copy(const uint32_t *words, uint32_t mask, uint64_t tail, uint64_t head,
                       uint32_t *to, uint32_t most);

/* Whether the writer was killed while it wrote an item. */
static inline bool shm_ring_torn(const struct shm_ring_page *page)
{
    return atomic_load_explicit(&page->writing, memory_order_relaxed) ==
           atomic_load_explicit(&page->head, memory_order_relaxed) + 1;
}

#endif
