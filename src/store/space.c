#include "store/space.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

enum {
    STEP = 64 * 1024,   /* pages are reserved in steps of this */
    FIRST_BUCKETS = 64, /* of an index */
    SPLIT_MAX = 64,     /* records of a bucket that is split */
    RUN_WORDS = 2048,   /* single words that are taken from the heap at one time */
    WORD = 8,
};

/* ---- reserving ---- */

int space_ensure(struct store *st, enum store_section s, uint64_t bytes)
{
    const struct section_place *p = &st->head->section[s];
    if (bytes <= st->reserved[s])
        return 0;
    if (bytes > p->size)
        return -ERR_FULL;
    uint64_t want = (bytes + STEP - 1) / STEP * STEP;
    if (want > p->size)
        want = p->size;
    if (st->reserve(st->reserve_arg, p->offset + st->reserved[s], want - st->reserved[s]) < 0)
        return -ERR_FULL;
    st->reserved[s] = want;
    return 0;
}

/* ---- heap ---- */

static unsigned heap_class(uint64_t words)
{
    assert(words > 0 && words <= HEAP_MAX_WORDS);
    return (unsigned)(words <= 64 ? words - 1 : 64 + (words - 65) / 32);
}

static uint64_t class_words(unsigned class)
{
    return class < 64 ? class + 1 : 64 + (class - 63) * 32;
}

/* What an earlier batch freed becomes free for good. */
static void settle(struct store *st, uint64_t *free_head, uint64_t *limbo, uint64_t limbo_batch)
{
    if (*free_head != 0 || *limbo == 0 || limbo_batch == st->batch)
        return;
    STORE_SET(st, *free_head, *limbo);
    STORE_SET(st, *limbo, 0);
}

static uint64_t heap_bump(struct store *st, uint64_t bytes)
{
    struct store_head *h = st->head;
    const uint64_t at = h->heap_used;
    if (space_ensure(st, SECTION_HEAP, at + bytes) < 0)
        return 0;
    STORE_SET(st, h->heap_used, at + bytes);
    return h->section[SECTION_HEAP].offset + at;
}

/* Counters are single words; from runs of their own they lie close together, not each
 * beside its label text. 0 when the heap is full. */
static uint64_t heap_single(struct store *st)
{
    struct store_head *h = st->head;
    if (h->run == h->run_end) {
        const uint64_t at = heap_bump(st, RUN_WORDS * WORD);
        if (!at)
            return heap_bump(st, WORD);
        STORE_SET(st, h->run, at);
        STORE_SET(st, h->run_end, at + RUN_WORDS * WORD);
    }
    const uint64_t at = h->run;
    STORE_SET(st, h->run, at + WORD);
    return at;
}

uint64_t heap_alloc(struct store *st, uint64_t words)
{
    struct store_head *h = st->head;
    const unsigned c = heap_class(words);
    const uint64_t bytes = class_words(c) * WORD;
    settle(st, &h->heap_free[c], &h->heap_limbo[c], st->heap_limbo_batch[c]);
    uint64_t at = h->heap_free[c];
    if (at)
        STORE_SET(st, h->heap_free[c], store_get(st, at));
    else
        at = words == 1 ? heap_single(st) : heap_bump(st, bytes);
    if (at)
        STORE_ADD(st, h->heap_live, bytes);
    return at;
}

uint64_t heap_bytes(uint64_t words)
{
    return class_words(heap_class(words)) * WORD;
}

void heap_free(struct store *st, uint64_t offset, uint64_t words)
{
    struct store_head *h = st->head;
    const unsigned c = heap_class(words);
    settle(st, &h->heap_free[c], &h->heap_limbo[c], st->heap_limbo_batch[c]);
    store_set(st, offset, h->heap_limbo[c]);
    STORE_SET(st, h->heap_limbo[c], offset);
    st->heap_limbo_batch[c] = st->batch;
    STORE_SET(st, h->heap_live, h->heap_live - class_words(c) * WORD);
}

uint64_t heap_free_chain(struct store *st, uint64_t first, uint64_t words)
{
    struct store_head *h = st->head;
    const unsigned c = heap_class(words);
    uint64_t last = first, n = 1;
    if (!first)
        return 0;
    for (uint64_t next; (next = store_get(st, last)) != 0; n++)
        last = next;
    settle(st, &h->heap_free[c], &h->heap_limbo[c], st->heap_limbo_batch[c]);
    store_set(st, last, h->heap_limbo[c]);
    STORE_SET(st, h->heap_limbo[c], first);
    st->heap_limbo_batch[c] = st->batch;
    STORE_SET(st, h->heap_live, h->heap_live - n * class_words(c) * WORD);
    return n;
}

static uint64_t text_words(uint64_t bytes)
{
    return 1 + (bytes + WORD - 1) / WORD;
}

uint64_t text_bytes(uint64_t bytes)
{
    return heap_bytes(text_words(bytes));
}

uint64_t text_new(struct store *st, struct str a, struct str b, struct str c)
{
    const uint64_t bytes = a.n + b.n + c.n;
    const uint64_t at = heap_alloc(st, text_words(bytes));
    if (!at)
        return 0;
    char *p = (char *)(st->base + at + WORD);
    memcpy(p, a.p ? a.p : "", a.n);
    memcpy(p + a.n, b.p ? b.p : "", b.n);
    memcpy(p + a.n + b.n, c.p ? c.p : "", c.n);
    store_set(st, at, bytes);
    return at;
}

void text_free(struct store *st, uint64_t offset)
{
    heap_free(st, offset, text_words(TEXT_BYTES(store_get(st, offset))));
}

/* ---- tables ---- */

static const struct {
    enum store_section records, buckets;
    uint64_t size; /* of a record, bytes */
} tables[TABLE_MAX] = {
    [TABLE_METRICS] = {SECTION_METRICS, SECTION_BUCKETS_METRICS, sizeof(struct metric_rec)},
    [TABLE_SERIES] = {SECTION_SERIES, SECTION_BUCKETS_SERIES, sizeof(struct series_rec)},
    [TABLE_SESSIONS] = {SECTION_SESSIONS, SECTION_BUCKETS_SESSIONS, sizeof(struct session_rec)},
    [TABLE_PARTS] = {SECTION_PARTS, SECTION_BUCKETS_PARTS, sizeof(struct part_rec)},
    [TABLE_STREAMS] = {SECTION_STREAMS, SECTION_BUCKETS_STREAMS, sizeof(struct stream_rec)},
};

enum store_section table_section(enum store_table_id t)
{
    return tables[t].records;
}

enum store_section table_buckets(enum store_table_id t)
{
    return tables[t].buckets;
}

static struct record_head *record(const struct store *st, enum store_table_id t, uint64_t index)
{
    return (struct record_head *)(void *)(st->base + table_offset(st, t, (uint32_t)index));
}

uint64_t table_offset(const struct store *st, enum store_table_id t, uint32_t index)
{
    return st->head->section[tables[t].records].offset + index * tables[t].size;
}

uint32_t table_capacity(const struct store *st, enum store_table_id t)
{
    return (uint32_t)(st->head->section[tables[t].records].size / tables[t].size);
}

uint32_t table_end(const struct store *st, enum store_table_id t)
{
    const uint64_t used = __atomic_load_n(&st->head->table[t].used, __ATOMIC_ACQUIRE);
    const uint32_t capacity = table_capacity(st, t);
    return used < capacity ? (uint32_t)used : capacity;
}

void *table_get(const struct store *st, enum store_table_id t, uint32_t index)
{
    /* as index >= table_end(), which divides */
    const struct section_place *place = &st->head->section[tables[t].records];
    const uint64_t at = index * tables[t].size;
    if (index == 0 || at + tables[t].size > place->size ||
        index >= __atomic_load_n(&st->head->table[t].used, __ATOMIC_ACQUIRE))
        return NULL;
    struct record_head *r = (void *)(st->base + place->offset + at);
    return __atomic_load_n(&r->hash, __ATOMIC_RELAXED) ? r : NULL;
}

static uint32_t table_bump(struct store *st, enum store_table_id t)
{
    struct table_head *h = &st->head->table[t];
    const uint64_t index = h->used ? h->used : 1;
    if (index >= table_capacity(st, t) ||
        space_ensure(st, tables[t].records, (index + 1) * tables[t].size) < 0)
        return 0;
    record(st, t, index)->link = 0;
    STORE_SET(st, h->used, index + 1);
    return (uint32_t)index;
}

uint32_t table_alloc(struct store *st, enum store_table_id t)
{
    struct table_head *h = &st->head->table[t];
    settle(st, &h->free, &h->limbo, st->table_limbo_batch[t]);
    uint32_t index = (uint32_t)h->free;
    if (index)
        STORE_SET(st, h->free, record(st, t, index)->link);
    else
        index = table_bump(st, t);
    if (!index)
        return 0;
    struct record_head *r = record(st, t, index);
    memset((uint8_t *)r + sizeof *r, 0, tables[t].size - sizeof *r);
    STORE_SET(st, r->hash, 0);
    STORE_ADD(st, h->live, 1);
    return index;
}

/* The linear hash: bucket of a hash among n buckets. */
static uint64_t bucket_of(uint64_t hash, uint64_t n)
{
    uint64_t top = UINT64_C(1) << (63 - __builtin_clzll(n));
    if (top < n)
        top *= 2; /* the smallest power of two >= n */
    uint64_t b = hash & (top - 1);
    return b < n ? b : b - top / 2;
}

static uint64_t bucket_offset(const struct store *st, enum store_table_id t, uint64_t bucket)
{
    return st->head->section[tables[t].buckets].offset + bucket * WORD;
}

static bool first_buckets(struct store *st, enum store_table_id t)
{
    if (space_ensure(st, tables[t].buckets, FIRST_BUCKETS * WORD) < 0)
        return false;
    memset(st->base + bucket_offset(st, t, 0), 0, FIRST_BUCKETS * WORD);
    STORE_SET(st, st->head->table[t].buckets, FIRST_BUCKETS);
    return true;
}

/* Whether a chain is no longer than chance makes it: moving it has to fit into the
 * log, whatever else is in there. */
static bool is_short(const struct store *st, enum store_table_id t, uint64_t bucket)
{
    uint64_t i = store_get(st, bucket_offset(st, t, bucket));
    unsigned n = 0;
    for (; i && n < SPLIT_MAX; n++)
        i = record(st, t, i)->link;
    return i == 0;
}

/* Adds one bucket and moves into it what now belongs there. */
static void split_bucket(struct store *st, enum store_table_id t)
{
    struct table_head *h = &st->head->table[t];
    const uint64_t fresh = h->buckets;
    if (!is_short(st, t, bucket_of(fresh, fresh)) ||
        (fresh + 1) * WORD > st->head->section[tables[t].buckets].size ||
        space_ensure(st, tables[t].buckets, (fresh + 1) * WORD) < 0)
        return; /* longer chains, still right */
    const uint64_t old = bucket_of(fresh, fresh);
    store_set(st, bucket_offset(st, t, fresh), 0);
    STORE_SET(st, h->buckets, fresh + 1);
    uint64_t at = bucket_offset(st, t, old);
    for (uint64_t i; (i = store_get(st, at)) != 0;) {
        struct record_head *r = record(st, t, i);
        if (bucket_of(r->hash, fresh + 1) != fresh) {
            at = store_off(st, &r->link);
            continue;
        }
        store_set(st, at, r->link);
        STORE_SET(st, r->link, store_get(st, bucket_offset(st, t, fresh)));
        store_set(st, bucket_offset(st, t, fresh), i);
    }
}

bool table_insert(struct store *st, enum store_table_id t, uint32_t index, uint64_t hash)
{
    struct table_head *h = &st->head->table[t];
    assert(hash != 0);
    if (h->buckets == 0 && !first_buckets(st, t))
        return false;
    if (h->live > h->buckets)
        split_bucket(st, t);
    struct record_head *r = record(st, t, index);
    const uint64_t at = bucket_offset(st, t, bucket_of(hash, h->buckets));
    STORE_SET(st, r->hash, hash);
    STORE_SET(st, r->link, store_get(st, at));
    store_set(st, at, index);
    return true;
}

static void unlink_record(struct store *st, enum store_table_id t, uint32_t index)
{
    struct record_head *r = record(st, t, index);
    uint64_t at = bucket_offset(st, t, bucket_of(r->hash, st->head->table[t].buckets));
    while (store_get(st, at) != index) {
        assert(store_get(st, at) != 0);
        at = store_off(st, &record(st, t, store_get(st, at))->link);
    }
    store_set(st, at, r->link);
}

void table_remove(struct store *st, enum store_table_id t, uint32_t index)
{
    struct table_head *h = &st->head->table[t];
    struct record_head *r = record(st, t, index);
    if (r->hash)
        unlink_record(st, t, index);
    settle(st, &h->free, &h->limbo, st->table_limbo_batch[t]);
    STORE_SET(st, r->hash, 0);
    STORE_SET(st, r->link, h->limbo);
    STORE_SET(st, h->limbo, index);
    st->table_limbo_batch[t] = st->batch;
    STORE_SET(st, h->live, h->live - 1);
}

uint32_t table_first(const struct store *st, enum store_table_id t, uint64_t hash)
{
    const uint64_t n = __atomic_load_n(&st->head->table[t].buckets, __ATOMIC_RELAXED);
    if (n == 0 || n > st->head->section[tables[t].buckets].size / WORD)
        return 0;
    const uint64_t i = store_get(st, bucket_offset(st, t, bucket_of(hash, n)));
    return i < table_end(st, t) ? (uint32_t)i : 0;
}

uint32_t table_next(const struct store *st, enum store_table_id t, uint32_t index)
{
    const uint64_t i = __atomic_load_n(&record(st, t, index)->link, __ATOMIC_RELAXED);
    return i < table_end(st, t) ? (uint32_t)i : 0;
}

uint64_t part_hash(const struct store *st, unsigned domain, struct str names)
{
    return hash_bytes(names.p, names.n, st->head->secret + domain) | 1;
}

/* ---- an existing store ---- */

enum store_section ring_section(enum store_ring_id ring)
{
    static const enum store_section sections[RING_MAX] = {[RING_EVENTS] = SECTION_EVENTS,
                                                          [RING_SPANS] = SECTION_SPANS,
                                                          [RING_POINTS] = SECTION_POINTS};
    return sections[ring];
}

static uint64_t ring_used(const struct store *st, enum store_ring_id r)
{
    const uint64_t size = st->head->section[ring_section(r)].size, head = st->head->ring[r].head;
    return head < size ? head : size;
}

/* `n` records of `size` bytes, as a store that is there says it has in use. */
static int ensure_said(struct store *st, enum store_section s, uint64_t n, uint64_t size)
{
    if (n > st->head->section[s].size / size)
        return -ERR_DAMAGED;
    return space_ensure(st, s, n * size);
}

int space_ensure_used(struct store *st)
{
    int r = space_ensure(st, SECTION_UNDO, st->head->section[SECTION_UNDO].size);
    for (int t = 0; t < TABLE_MAX && r == 0; t++) {
        const struct table_head *h = &st->head->table[t];
        r = ensure_said(st, tables[t].records, h->used, tables[t].size);
        if (r == 0)
            r = ensure_said(st, tables[t].buckets, h->buckets, WORD);
    }
    if (r == 0)
        r = ensure_said(st, SECTION_HEAP, st->head->heap_used, 1);
    for (int k = 0; k < RING_MAX && r == 0; k++)
        r = ensure_said(st, ring_section((enum store_ring_id)k),
                        ring_used(st, (enum store_ring_id)k), 1);
    return r;
}
