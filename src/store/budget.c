#include "store/budget.h"

#include <assert.h>

#include "store/ring.h"
#include "store/series.h"
#include "store/sketch.h"
#include "store/space.h"
#include "store/stream.h"

/* A store may come from a daemon that had more domains. */
static unsigned slot(unsigned domain)
{
    return domain < STORE_DOMAINS ? domain : 0;
}

static enum store_table_id table_of(const struct budget_item *item)
{
    switch (item->kind) {
    case BUDGET_STREAM:
        return TABLE_STREAMS;
    case BUDGET_METRIC:
        return TABLE_METRICS;
    case BUDGET_SERIES:
        break;
    }
    return TABLE_SERIES;
}

static uint32_t *records(struct store_use *u, const struct budget_item *item)
{
    switch (item->kind) {
    case BUDGET_STREAM:
        return &u->streams;
    case BUDGET_METRIC:
        return &u->metrics;
    case BUDGET_SERIES:
        break;
    }
    return &u->series;
}

bool budget_allows(const struct store *st, const struct budget_item *item, uint32_t limit)
{
    struct store_use u = st->use[slot(item->domain)];
    const uint64_t heap = st->head->section[SECTION_HEAP].size / 2;
    if (limit == BUDGET_NONE)
        return true;
    if (limit == 0)
        limit = table_capacity(st, table_of(item)) / 2;
    return *records(&u, item) < limit && u.heap + item->heap <= heap;
}

void budget_count(struct store *st, const struct budget_item *item, int change)
{
    struct store_use *u = &st->use[slot(item->domain)];
    uint32_t *n = records(u, item);
    if (change > 0) {
        ++*n;
        u->heap += item->heap;
        return;
    }
    assert(*n > 0 && u->heap >= item->heap);
    --*n;
    u->heap -= item->heap;
}

void budget_count_all(struct store *st)
{
    struct budget_item item;
    for (uint32_t i = 1; i < table_end(st, TABLE_METRICS); i++)
        if (metric_budget(st, i, &item))
            budget_count(st, &item, 1);
    for (uint32_t i = 1; i < table_end(st, TABLE_SERIES); i++) {
        const uint64_t sketch = series_sketch(st, i);
        st->sketch_pages += sketch ? sketch_count(st, sketch) : 0;
        if (series_budget(st, i, &item))
            budget_count(st, &item, 1);
    }
    for (uint32_t i = 1; i < stream_end(st); i++)
        if (stream_budget(st, i, &item))
            budget_count(st, &item, 1);
    for (int r = 0; r < RING_MAX; r++)
        ring_count_all(st, (enum store_ring_id)r);
}

struct store_use budget_use(const struct store *st, unsigned domain)
{
    return st->use[slot(domain)];
}
