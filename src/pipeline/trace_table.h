/* trace_table: what is remembered of the traces that are held or were decided.
 * Floor 3. No I/O.
 *
 * Bounded: a hash table over a pool of entries, in the order in which the traces
 * were first seen. A trace id is a peer's choice, so the hash is seeded with the
 * store's secret. Memory is taken at the first trace and follows use.
 *
 * A domain has at most as many entries as are free: alone it gets half of them, and
 * n domains that flood leave an n+1st to those that do not. */
#ifndef MCPTALLY_PIPELINE_TRACE_TABLE_H
#define MCPTALLY_PIPELINE_TRACE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum trace_flag { TRACE_ERROR = 1, TRACE_SLOW = 2, TRACE_FORCED = 4 };

struct trace_entry { /* a line of the caches */
    uint8_t id[16];
    uint64_t first;     /* ns since 1970: when its first span was received */
    uint64_t threshold; /* own one, once decided; 0: kept with certainty */
    uint64_t random;    /* rv of one of its spans, when has_random */
    uint8_t tier;       /* that its spans matched + 1; 0: none did */
    uint8_t flags;      /* enum trace_flag */
    bool has_random;
    bool decided;                  /* else it is held */
    bool kept;                     /* once decided */
    bool rooted;                   /* its tier is that of a local root */
    uint8_t domain;                /* that it counts for: of its first span */
    uint32_t chain, before, after; /* indexes + 1; the order is by `first` */
};

struct trace_table {
    uint64_t seed;
    unsigned most;     /* traces */
    uint32_t used, n;  /* entries ever used, and in use now */
    uint32_t mask;     /* of the buckets */
    uint32_t *buckets; /* index + 1; NULL before the first trace */
    struct trace_entry *entries;
    uint32_t oldest, newest; /* index + 1; 0: none */
    uint32_t unused;         /* list of entries given back, by `chain` */
    uint32_t domain_entries[STORE_DOMAINS];
};

void trace_table_init(struct trace_table *t, unsigned most, uint64_t seed);
void trace_table_fini(struct trace_table *t);

/* The entry of a trace; NULL when it is not known. */
struct trace_entry *trace_table_find(const struct trace_table *t, const uint8_t id[16]);

/* The same in steps, so that nobody waits for memory: the hash of an id; its bucket on its way
 * into the caches; what the bucket leads to, likewise; and what is found there. */
uint64_t trace_table_hash(const struct trace_table *t, const uint8_t id[16]);
void trace_table_near(const struct trace_table *t, uint64_t hash);
void trace_table_nearer(const struct trace_table *t, uint64_t hash);
struct trace_entry *trace_table_find_by(const struct trace_table *t, uint64_t hash,
                                        const uint8_t id[16]);

/* A new entry of a trace that is not known, the newest of all; NULL when the domain
 * has its share or memory is out. */
struct trace_entry *trace_table_add(struct trace_table *t, const uint8_t id[16], unsigned domain,
                                    uint64_t first);

void trace_table_remove(struct trace_table *t, struct trace_entry *e);

/* In the order of `first`; NULL at the end. */
struct trace_entry *trace_table_oldest(const struct trace_table *t);
struct trace_entry *trace_table_after(const struct trace_table *t, const struct trace_entry *e);

#endif
