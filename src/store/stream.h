/* stream: the newest cumulative value of each OTLP stream. Floor 2. For the
 * writer, inside the open batch.
 *
 * A stream is one sender's view of one series: (resource, scope, metric,
 * attributes), under a 128-bit hash. A cumulative point adds to the series what
 * it is above the kept value; so a point that comes twice adds nothing. A stream
 * that is idle as long as a series expires with the idle clock. */
#ifndef MCPTALLY_STORE_STREAM_H
#define MCPTALLY_STORE_STREAM_H

#include "store/commit.h"

enum { STREAM_WORDS_MAX = 256 }; /* kept values of one stream */

struct stream_view {
    uint32_t id;
    uint64_t start, time; /* ns since 1970: of the newest point */
    uint32_t series;      /* that it adds to */
    unsigned domain;
    unsigned words;         /* kept values: u64 or the bits of doubles, by the metric */
    const uint64_t *values; /* in the segment */
};

/* The stream of a hash, 0 when there is none; touches its idle clock. */
uint32_t stream_find(struct store *st, const uint64_t hash[2]);
bool stream_read(const struct store *st, uint32_t stream, struct stream_view *out);

/* What it takes of its domain's budget; false when there is none. */
struct budget_item;
bool stream_budget(const struct store *st, uint32_t stream, struct budget_item *out);

/* A new one, its values all 0, its series held until it ends; 0 when the table or the
 * heap is full, or `domain`, which owns it, has half of either. */
uint32_t stream_make(struct store *st, const uint64_t hash[2], uint32_t series, unsigned domain,
                     unsigned words);

/* The newest point. n = its words, at most those that it was made with. */
void stream_set(struct store *st, uint32_t stream, uint64_t start, uint64_t time,
                const uint64_t *values, unsigned n);

void stream_remove(struct store *st, uint32_t stream);

/* Which of the horizons belongs to a hash. */
#define STREAM_PART(hash) ((hash)[1] % STREAM_PARTS)

/* Removes one that has been idle. Its start goes into the horizon of its part: a stream
 * that is met for the first time and began before that may be this one come back. */
void stream_expire(struct store *st, uint32_t stream);

/* Those of every series of a metric. Walks all streams and commits on the way. */
void stream_remove_all(struct store *st, uint32_t metric);

/* As a copy of the store found it. */
void stream_set_touched(struct store *st, uint32_t stream, uint64_t epoch);

/* The writer's hold on the series of all streams, after an attach. */
void stream_hold_series(struct store *st);

/* Epochs since it was last found; indexes run from 1 to stream_end() - 1. */
uint64_t stream_age(const struct store *st, uint32_t stream);
uint32_t stream_end(const struct store *st);

#endif
