#include "store/stream.h"

#include <string.h>

#include "store/budget.h"
#include "store/series.h"
#include "store/space.h"

enum { WORD = 8, CHAIN_MAX = 4096, DOMAIN_SHIFT = 32, WORDS_SHIFT = 48 };

static struct stream_rec *stream_at(const struct store *st, uint32_t stream)
{
    return table_get(st, TABLE_STREAMS, stream);
}

static uint64_t index_hash(const struct store *st, const uint64_t hash[2])
{
    return (hash[0] ^ st->head->secret) | 1;
}

static unsigned words_of(const struct stream_rec *r)
{
    return (unsigned)(r->what >> WORDS_SHIFT);
}

uint32_t stream_find(struct store *st, const uint64_t hash[2])
{
    uint32_t i = table_first(st, TABLE_STREAMS, index_hash(st, hash));
    for (int n = 0; i && n < CHAIN_MAX; n++, i = table_next(st, TABLE_STREAMS, i)) {
        struct stream_rec *r = stream_at(st, i);
        if (!r || memcmp(r->hash, hash, sizeof r->hash) != 0)
            continue;
        if (r->touched != st->head->epoch)
            STORE_SET(st, r->touched, st->head->epoch);
        return i;
    }
    return 0;
}

bool stream_read(const struct store *st, uint32_t stream, struct stream_view *out)
{
    const struct stream_rec *r = stream_at(st, stream);
    const uint64_t *values = r ? store_at(st, r->values, words_of(r) * WORD) : NULL;
    if (!values)
        return false;
    *out = (struct stream_view){
        .id = stream,
        .start = r->start,
        .time = r->time,
        .series = (uint32_t)r->what,
        .domain = (unsigned)(r->what >> DOMAIN_SHIFT & 0xffff),
        .words = words_of(r),
        .values = values,
    };
    return true;
}

bool stream_budget(const struct store *st, uint32_t stream, struct budget_item *out)
{
    const struct stream_rec *r = stream_at(st, stream);
    if (!r)
        return false;
    *out = (struct budget_item){BUDGET_STREAM, (unsigned)(r->what >> DOMAIN_SHIFT & 0xffff),
                                heap_bytes(words_of(r))};
    return true;
}

static uint64_t values_new(struct store *st, unsigned words)
{
    const uint64_t at = heap_alloc(st, words);
    if (!at)
        return 0;
    memset(st->base + at + WORD, 0, (words - 1) * WORD);
    store_set(st, at, 0);
    return at;
}

uint32_t stream_make(struct store *st, const uint64_t hash[2], uint32_t series, unsigned domain,
                     unsigned words)
{
    assert(words > 0 && words <= STREAM_WORDS_MAX && table_get(st, TABLE_SERIES, series));
    const struct budget_item item = {BUDGET_STREAM, domain, heap_bytes(words)};
    const uint32_t i = budget_allows(st, &item, 0) ? table_alloc(st, TABLE_STREAMS) : 0;
    if (!i)
        return 0;
    struct stream_rec *r =
        (struct stream_rec *)(void *)store_word(st, table_offset(st, TABLE_STREAMS, i));
    memcpy(r->hash, hash, sizeof r->hash);
    r->what = series | (uint64_t)domain << DOMAIN_SHIFT | (uint64_t)words << WORDS_SHIFT;
    r->touched = st->head->epoch;
    r->values = values_new(st, words);
    if (r->values && table_insert(st, TABLE_STREAMS, i, index_hash(st, hash))) {
        series_hold(st, series);
        budget_count(st, &item, 1);
        return i;
    }
    if (r->values)
        heap_free(st, r->values, words);
    table_remove(st, TABLE_STREAMS, i);
    return 0;
}

void stream_set(struct store *st, uint32_t stream, uint64_t start, uint64_t time,
                const uint64_t *values, unsigned n)
{
    struct stream_rec *r = stream_at(st, stream);
    assert(r && n <= words_of(r));
    STORE_SET(st, r->start, start);
    STORE_SET(st, r->time, time);
    for (unsigned w = 0; w < n; w++)
        if (store_get(st, r->values + w * WORD) != values[w])
            store_set(st, r->values + w * WORD, values[w]);
}

void stream_remove(struct store *st, uint32_t stream)
{
    struct stream_rec *r = stream_at(st, stream);
    assert(r);
    struct budget_item item;
    if (stream_budget(st, stream, &item))
        budget_count(st, &item, -1);
    series_let_go(st, (uint32_t)r->what);
    heap_free(st, r->values, words_of(r));
    table_remove(st, TABLE_STREAMS, stream);
}

void stream_expire(struct store *st, uint32_t stream)
{
    const struct stream_rec *r = stream_at(st, stream);
    assert(r);
    uint64_t *horizon = &st->head->stream_horizon[STREAM_PART(r->hash)];
    if (r->start > *horizon)
        STORE_SET(st, *horizon, r->start);
    stream_remove(st, stream);
}

void stream_remove_all(struct store *st, uint32_t metric)
{
    for (uint32_t i = 1; i < stream_end(st); i++) {
        const struct stream_rec *r = stream_at(st, i);
        const struct series_rec *s = r ? table_get(st, TABLE_SERIES, (uint32_t)r->what) : NULL;
        if (s && (uint32_t)s->metric == metric)
            stream_remove(st, i);
        if (!store_has_room(st))
            store_commit(st);
    }
    store_commit(st);
}

void stream_set_touched(struct store *st, uint32_t stream, uint64_t epoch)
{
    struct stream_rec *r = stream_at(st, stream);
    STORE_SET(st, r->touched, epoch);
}

void stream_hold_series(struct store *st)
{
    for (uint32_t i = 1; i < stream_end(st); i++) {
        const struct stream_rec *r = stream_at(st, i);
        if (r)
            series_hold(st, (uint32_t)r->what);
    }
}

uint64_t stream_age(const struct store *st, uint32_t stream)
{
    const struct stream_rec *r = stream_at(st, stream);
    return r ? st->head->epoch - r->touched : 0;
}

uint32_t stream_end(const struct store *st)
{
    return table_end(st, TABLE_STREAMS);
}
