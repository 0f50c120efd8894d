/* budget: what each domain has of the store, so that one that floods it leaves room
 * for the others. Floor 2. The writer's own count, made anew at every attach.
 *
 * Series, the groups that count them, streams and metrics are records; heap is the
 * bytes of their texts and values. Quantile pages are in no budget: all of them
 * together have a quarter of the heap (sketch_page). */
#ifndef MCPTALLY_STORE_BUDGET_H
#define MCPTALLY_STORE_BUDGET_H

#include "store/store.h"

/* For what is copied from a store that had room for it: no limit. */
#define BUDGET_NONE UINT32_MAX

/* What a record takes, for budget_count() with 1 and -1. */
struct budget_item {
    enum { BUDGET_SERIES, BUDGET_STREAM, BUDGET_METRIC } kind;
    unsigned domain;
    uint64_t heap; /* bytes */
};

/* Whether a domain may have it: `limit` records, of 0 half of the table; of the heap
 * half, unless the limit is BUDGET_NONE. */
bool budget_allows(const struct store *st, const struct budget_item *item, uint32_t limit);

void budget_count(struct store *st, const struct budget_item *item, int change);

/* Counts what an attached store has. */
void budget_count_all(struct store *st);

/* What a domain has now. */
struct store_use budget_use(const struct store *st, unsigned domain);

#endif
