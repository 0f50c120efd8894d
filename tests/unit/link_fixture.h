/* link_fixture: a producer's connection to a pipeline, and what comes over it. */
#ifndef MCPTALLY_TESTS_LINK_FIXTURE_H
#define MCPTALLY_TESTS_LINK_FIXTURE_H

#include "store_fixture.h"

#include "pipeline/apply.h"
#include "pipeline/link.h"
#include "wire/encode.h"

static const struct peer me = {.uid = 1000, .pid = 1};
static struct world w;
static struct pipeline pl;
static struct link l;
static struct buf in, out; /* from the producer, and to it */

/* Its options are the default ones as `change` (or NULL) leaves them. */
static inline void start_pipeline(void (*change)(struct pipeline_options *o))
{
    struct pipeline_options o;
    pipeline_defaults(&o);
    if (change)
        change(&o);
    ck_assert_int_eq(pipeline_init(&pl, &w.st, &o, w.now), 0);
    link_init(&l, &pl, &me);
}

static inline void stop_pipeline(void)
{
    link_fini(&l, w.now);
    pipeline_fini(&pl);
}

static inline void begin_link(void (*change)(struct pipeline_options *o))
{
    world_init(&w, STORE_MIN);
    buf_init(&in, 1 << 20);
    buf_init(&out, 1 << 20);
    start_pipeline(change);
}

static inline void teardown(void)
{
    stop_pipeline();
    buf_fini(&in);
    buf_fini(&out);
    world_fini(&w);
}

/* One read of the daemon's: when the link has seen it the next one takes its place. */
static inline int feed_read(const char *p, size_t n)
{
    uint8_t *copy = malloc(n + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, p, n);
    int r = link_feed(&l, copy, n, &out, w.now);
    memset(copy, 0xa5, n);
    free(copy);
    while (r == LINK_MORE)
        r = link_go_on(&l, &out, w.now);
    return r;
}

/* All that is in `in`. */
static inline int feed(void)
{
    const int r = feed_read(in.p, in.n);
    buf_reset(&in);
    return r;
}

/* Where the answers are of no interest. */
static inline void feed_good(void)
{
    ck_assert_int_eq(feed(), 0);
    buf_reset(&out);
}

static inline void define(uint32_t id, const char *name, enum metric_kind kind,
                          enum value_type type)
{
    struct metric_def d = {.name = str_of(name), .kind = kind, .type = type};
    if (kind == METRIC_HISTOGRAM)
        d.bounds[d.nbounds++] = 1;
    encode_metric(&in, id, &d);
}

static inline void define_series(uint32_t id, uint32_t metric, const char *value)
{
    const struct series_def d = {id, metric, 1, {{STR("k"), str_of(value)}}};
    encode_series(&in, &d);
}

#endif
