#include "pipeline/trace_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"

void trace_table_init(struct trace_table *t, unsigned most, uint64_t seed)
{
    *t = (struct trace_table){.seed = seed, .most = most};
}

void trace_table_fini(struct trace_table *t)
{
    free(t->buckets);
    free(t->entries);
    *t = (struct trace_table){0};
}

_Static_assert(sizeof(struct trace_entry) == 64, "a line of the caches");

static bool allocate(struct trace_table *t)
{
    uint32_t buckets = 8;
    while (buckets < t->most)
        buckets *= 2;
    const size_t entries = t->most ? t->most : 1;
    t->buckets = calloc(buckets, sizeof *t->buckets);
    t->entries = aligned_alloc(sizeof *t->entries, entries * sizeof *t->entries);
    if (t->buckets && t->entries) {
        t->mask = buckets - 1;
        return true;
    }
    trace_table_fini(&(struct trace_table){.buckets = t->buckets, .entries = t->entries});
    t->buckets = NULL;
    t->entries = NULL;
    return false;
}

static uint32_t *bucket_by(const struct trace_table *t, uint64_t hash)
{
    return &t->buckets[(uint32_t)hash & t->mask];
}

uint64_t trace_table_hash(const struct trace_table *t, const uint8_t id[16])
{
    return hash_id(id, t->seed);
}

static uint32_t *bucket_of(const struct trace_table *t, const uint8_t id[16])
{
    return bucket_by(t, trace_table_hash(t, id));
}

void trace_table_near(const struct trace_table *t, uint64_t hash)
{
    if (t->buckets)
        __builtin_prefetch(bucket_by(t, hash));
}

void trace_table_nearer(const struct trace_table *t, uint64_t hash)
{
    const uint32_t i = t->buckets ? *bucket_by(t, hash) : 0;
    if (i)
        __builtin_prefetch(&t->entries[i - 1]);
}

static bool is_same(const uint8_t a[16], const uint8_t b[16])
{
    return ((get_u64(a) ^ get_u64(b)) | (get_u64(a + 8) ^ get_u64(b + 8))) == 0;
}

struct trace_entry *trace_table_find_by(const struct trace_table *t, uint64_t hash,
                                        const uint8_t id[16])
{
    if (!t->buckets)
        return NULL;
    for (uint32_t i = *bucket_by(t, hash); i; i = t->entries[i - 1].chain)
        if (is_same(t->entries[i - 1].id, id))
            return &t->entries[i - 1];
    return NULL;
}

struct trace_entry *trace_table_find(const struct trace_table *t, const uint8_t id[16])
{
    return trace_table_find_by(t, trace_table_hash(t, id), id);
}

static uint32_t take(struct trace_table *t)
{
    const uint32_t i = t->unused;
    if (i)
        t->unused = t->entries[i - 1].chain;
    return i ? i : t->used < t->most ? ++t->used : 0;
}

struct trace_entry *trace_table_add(struct trace_table *t, const uint8_t id[16], unsigned domain,
                                    uint64_t first)
{
    assert(domain < STORE_DOMAINS);
    if (t->domain_entries[domain] >= t->most - t->n || (!t->buckets && !allocate(t)))
        return NULL;
    const uint32_t i = take(t);
    if (i == 0)
        return NULL;
    struct trace_entry *e = &t->entries[i - 1];
    uint32_t *bucket = bucket_of(t, id);
    *e = (struct trace_entry){
        .first = first, .domain = (uint8_t)domain, .chain = *bucket, .before = t->newest};
    memcpy(e->id, id, sizeof e->id);
    *bucket = i;
    if (t->newest)
        t->entries[t->newest - 1].after = i;
    else
        t->oldest = i;
    t->newest = i;
    t->n++;
    t->domain_entries[domain]++;
    return e;
}

void trace_table_remove(struct trace_table *t, struct trace_entry *e)
{
    const uint32_t i = (uint32_t)(e - t->entries) + 1;
    uint32_t *at = bucket_of(t, e->id);
    while (*at != i)
        at = &t->entries[*at - 1].chain;
    *at = e->chain;
    *(e->before ? &t->entries[e->before - 1].after : &t->oldest) = e->after;
    *(e->after ? &t->entries[e->after - 1].before : &t->newest) = e->before;
    e->chain = t->unused;
    t->unused = i;
    t->n--;
    t->domain_entries[e->domain]--;
}

struct trace_entry *trace_table_oldest(const struct trace_table *t)
{
    return t->oldest ? &t->entries[t->oldest - 1] : NULL;
}

struct trace_entry *trace_table_after(const struct trace_table *t, const struct trace_entry *e)
{
    return e->after ? &t->entries[e->after - 1] : NULL;
}
