/* store: one attached segment. Floor 2. No file is opened here: the caller
 * hands over mapped memory and, for a writer, a way to reserve pages.
 *
 * A writer is the one daemon. A reader (the commands) attaches read-only memory
 * and uses read.h; every offset it follows is checked. */
#ifndef MCPTALLY_STORE_STORE_H
#define MCPTALLY_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/layout.h"

/* Makes [offset, offset+size) of the segment usable; 0 or -ERR_FULL. */
typedef int store_reserve(void *arg, uint64_t offset, uint64_t size);

struct store_identity {
    uint64_t boot_id[2]; /* of this boot */
    uint64_t store_id;   /* random, for a new store; never 0 */
    uint64_t created;    /* ns since 1970; 0: now */
    uint64_t secret;     /* random, for the hash indexes of a new store */
};

/* What a domain has of the store; see budget.h. */
struct store_use {
    uint32_t series, streams, metrics;
    uint64_t heap;
    uint64_t ring[RING_MAX]; /* bytes of records that are in a ring; see ring.h */
};

struct store {
    uint8_t *base;
    size_t size;
    struct store_head *head; /* = base */
    bool writable;

    /* The writer's own, rebuilt at every attach. */
    struct undo_entry *undo;
    uint64_t undo_used, undo_max;
    uint64_t batch; /* number of the open batch */
    uint64_t heap_limbo_batch[HEAP_CLASSES], table_limbo_batch[TABLE_MAX];
    uint64_t reserved[SECTION_MAX]; /* bytes of each section that are usable */
    uint32_t *refs;                 /* per series: connections that hold an id of it */
    uint32_t *metric_refs;          /* per metric, likewise */
    uint32_t refs_size, metric_refs_size;
    struct store_use use[STORE_DOMAINS];
    uint64_t sketch_pages; /* of all sketches */
    uint32_t touch_round; /* who has found a series touched need not look again before it changes */
    store_reserve *reserve;
    void *reserve_arg;
};

/* The smallest and default sizes of a segment, bytes. */
#define STORE_MIN     (UINT64_C(4) << 20)
#define STORE_DEFAULT (UINT64_C(64) << 20)

/* The largest: ids of connections have 32 bits for a place in 8-byte words. */
#define STORE_LARGEST (UINT64_C(32) << 30)

enum store_attached {
    STORE_CREATED = 0,   /* it was empty, or of an earlier boot */
    STORE_CONTINUED = 1, /* checked, rolled back where needed, and going on */
};

/* Attaches `size` bytes at `mem` (page-aligned; all zero for a new store) as the
 * one writer. Returns enum store_attached; -ERR_DAMAGED or -ERR_VERSION when
 * what is there cannot be gone on from (the caller sets it aside, or migrates
 * it, and comes back with an empty segment); -ERR_FULL when pages cannot be
 * reserved; -ERR_NOMEM; -ERR_RANGE when size is below STORE_MIN. */
int store_attach(struct store *st, void *mem, size_t size, const struct store_identity *me,
                 store_reserve *reserve, void *reserve_arg, struct when now);

/* Lays a new store over the segment, whatever was there. 0, -ERR_FULL,
 * -ERR_NOMEM, -ERR_RANGE. */
int store_create(struct store *st, void *mem, size_t size, const struct store_identity *me,
                 store_reserve *reserve, void *reserve_arg, struct when now);

/* Frees what attach allocated; the segment stays as it is. `clean` records an
 * orderly stop; the open batch must be empty then. */
void store_detach(struct store *st, bool clean);

/* Attaches for reading only: 0, -ERR_DAMAGED, -ERR_VERSION. The memory may
 * change while it is read. */
int store_attach_reader(struct store *st, const void *mem, size_t size);

/* Rolls back the open batch in a private copy of a segment whose daemon is not
 * running. Idempotent. Returns entries undone, or -ERR_DAMAGED. */
int store_rollback(struct store *st);

/* The same for a head of any version: its undo log and the offset of its commit
 * word, below which nothing is committed state. */
int store_rollback_at(struct store *st, const struct section_place *undo, uint64_t commit);

/* Walks every structure: 0, or -ERR_DAMAGED or -ERR_NOMEM with a line that says what. Takes for
 * a while at most 96 bytes for each text of keys that label texts have in common. */
int store_check(const struct store *st, char *why, size_t why_size);

/* Bounds-checked address of [offset, offset+size), 8-aligned, or NULL. */
static inline void *store_at(const struct store *st, uint64_t offset, uint64_t size)
{
    if ((offset & 7) || offset > st->size || size > st->size - offset)
        return NULL;
    return st->base + offset;
}

/* The same for our own offsets, which must be good. */
static inline uint64_t *store_word(const struct store *st, uint64_t offset)
{
    return (uint64_t *)(void *)(st->base + offset);
}

static inline uint64_t store_get(const struct store *st, uint64_t offset)
{
    return __atomic_load_n(store_word(st, offset), __ATOMIC_RELAXED);
}

/* The record of a failure domain, or NULL in a store that a reader finds damaged. */
static inline struct domain_rec *store_domain(const struct store *st, unsigned domain)
{
    const uint64_t at = st->head->section[SECTION_DOMAINS].offset;
    return domain < STORE_DOMAINS
               ? store_at(st, at + domain * sizeof(struct domain_rec), sizeof(struct domain_rec))
               : NULL;
}

/* Bytes of the segment that are in use by live data, and that are reserved. */
uint64_t store_bytes_reserved(const struct store *st);

#endif
