/* otlp_fixture: OTLP requests in the making, and what the pipeline made of them. */
#ifndef MCPTALLY_TESTS_OTLP_FIXTURE_H
#define MCPTALLY_TESTS_OTLP_FIXTURE_H

#include "store_fixture.h"

#include <math.h>
#include <stdio.h>

#include "base/bytes.h"
#include "otlp/put.h"
#include "otlp/record.h"
#include "pipeline/otlp.h"
#include "pipeline/redact.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/series.h"
#include "store/stream.h"

#define WALL (UINT64_C(1700000000) * NS_PER_S)

static struct world w;
static struct pipeline pl;
static struct pipeline_options options;
static struct redact *redact;
static struct otlp_result result;
static char message[512];

static inline void start_pipeline(void)
{
    ck_assert_int_eq(pipeline_init(&pl, &w.st, &options, w.now), 0);
    pl.redact = redact;
}

static inline void setup(void)
{
    const struct redact_options o = {.enabled = true};
    world_init(&w, STORE_MIN);
    pipeline_defaults(&options);
    options.cardinality = 5;
    options.target_info = false;
    redact = redact_new(&o);
    start_pipeline();
}

static inline void teardown(void)
{
    pipeline_fini(&pl);
    redact_free(redact);
    world_fini(&w);
}

static inline void restart(void)
{
    pipeline_fini(&pl);
    world_kill(&w);
    start_pipeline();
}

/* ---- a request in the making ---- */

static struct buf req;
static size_t at_resource, at_scope, at_metric, at_data;

static inline void open_request(const char *service)
{
    buf_init(&req, 1 << 22);
    at_resource = put_open(&req, 1);
    const size_t resource = put_open(&req, 1);
    if (service)
        put_attr_text(&req, 1, STR("service.name"), str_of(service));
    put_attr_text(&req, 1, STR("host.name"), STR("h1"));
    put_close(&req, resource);
    at_scope = put_open(&req, 2);
    const size_t scope = put_open(&req, 1);
    put_text(&req, 1, STR("lib"));
    put_text(&req, 2, STR("1.2"));
    put_close(&req, scope);
}

static inline void step_all(enum otlp_signal signal, size_t step)
{
    struct otlp_request *r = otlp_request_new(&pl, signal, (uint8_t *)req.p, req.n);
    ck_assert_ptr_nonnull(r);
    req = (struct buf){0};
    while (otlp_request_step(r, step, w.now))
        ck_assert_uint_eq(w.st.undo_used, 0);
    ck_assert_uint_eq(w.st.undo_used, 0);
    otlp_request_result(r, &result);
    snprintf(message, sizeof message, "%.*s", STR_ARG(result.message));
    otlp_request_free(r);
}

static inline void send(enum otlp_signal signal)
{
    put_close(&req, at_scope);
    put_close(&req, at_resource);
    step_all(signal, 1 << 16);
}

static inline void open_metric(const char *name, const char *unit, enum otlp_data data,
                               unsigned temporality, bool monotonic)
{
    at_metric = put_open(&req, 2);
    put_text(&req, 1, str_of(name));
    put_text(&req, 2, STR("help"));
    put_text(&req, 3, str_of(unit));
    at_data = put_open(&req, data);
    put_uint(&req, 2, temporality);
    if (data == OTLP_SUM)
        put_uint(&req, 3, monotonic);
}

static inline void close_metric(void)
{
    put_close(&req, at_data);
    put_close(&req, at_metric);
}

static size_t open_point(uint64_t start, uint64_t time)
{
    const size_t at = put_open(&req, 1);
    put_fixed64(&req, 2, start);
    put_fixed64(&req, 3, time);
    return at;
}

static inline void number(uint64_t start, uint64_t time, int64_t i, const char *label)
{
    const size_t at = open_point(start, time);
    put_fixed64_always(&req, 6, (uint64_t)i);
    put_attr_text(&req, 7, STR("k"), str_of(label));
    put_close(&req, at);
}

static inline void real(uint64_t start, uint64_t time, double d, const char *label)
{
    const size_t at = open_point(start, time);
    put_double(&req, 4, d);
    put_attr_text(&req, 7, STR("k"), str_of(label));
    put_close(&req, at);
}

static inline void packed(unsigned field, const uint64_t *words, unsigned n)
{
    put_head(&req, field, n * 8);
    for (unsigned i = 0; i < n; i++) {
        uint8_t b[8];
        put_u64(b, words[i]);
        buf_add(&req, b, 8);
    }
}

static inline void histogram(uint64_t start, uint64_t time, double sum, const uint64_t *counts,
                             unsigned n, double first_bound)
{
    uint64_t bounds[64], count = 0;
    for (unsigned i = 0; i < n; i++)
        count += counts[i];
    for (unsigned i = 0; i + 1 < n; i++)
        bounds[i] = f64_bits(first_bound * (i + 1));
    const size_t at = open_point(start, time);
    put_fixed64(&req, 4, count);
    put_double(&req, 5, sum);
    if (n) {
        packed(6, counts, n);
        packed(7, bounds, n - 1);
    } else {
        put_fixed64(&req, 4, 7);
    }
    put_attr_text(&req, 9, STR("k"), STR("a"));
    put_close(&req, at);
}

struct exp_point {
    uint64_t start, time;
    int scale, offset;
    unsigned n;
    uint64_t counts[400];
    uint64_t zeros;
    double sum;
};

static inline uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static inline void exponential(const struct exp_point *p)
{
    uint64_t count = p->zeros;
    for (unsigned i = 0; i < p->n; i++)
        count += p->counts[i];
    const size_t at = open_point(p->start, p->time);
    put_fixed64(&req, 4, count);
    put_double(&req, 5, p->sum);
    put_uint(&req, 6, zigzag(p->scale));
    put_fixed64(&req, 7, p->zeros);
    const size_t buckets = put_open(&req, 8);
    put_uint(&req, 1, zigzag(p->offset));
    for (unsigned i = 0; i < p->n; i++) {
        put_varint(&req, 2 << 3);
        put_varint(&req, p->counts[i]);
    }
    put_close(&req, buckets);
    put_close(&req, at);
}

/* ---- what came of it ---- */

static inline uint64_t own_all(enum own_metric m)
{
    uint64_t n = 0;
    for (unsigned d = 0; d < options.domains; d++)
        n += own_get(&pl.own, m, d);
    return n;
}

static inline uint64_t dropped(enum drop_reason why)
{
    uint64_t n = 0;
    for (unsigned d = 0; d < options.domains; d++)
        n += own_get(&pl.own, OWN_DROPPED, own_drop_index(d, why));
    return n;
}

static inline void check_ledger(uint64_t received)
{
    uint64_t n = own_all(OWN_APPLIED);
    for (unsigned why = 0; why < DROP_MAX; why++)
        n += dropped((enum drop_reason)why);
    ck_assert_uint_eq(own_all(OWN_RECEIVED), received);
    ck_assert_uint_eq(n, received);
}

static inline bool sample_of(const char *family, const char *labels, struct sample *v)
{
    struct metric_view m;
    struct series_view s;
    if (!metric_find(&w.st, str_of(family), &m) ||
        !series_read(&w.st, series_find(&w.st, m.id, str_of(labels)), &s))
        return false;
    series_sample(&w.st, &m, &s, v);
    return true;
}

#define LABELS "k=\"a\",service_name=\"svc\""

static inline double value(const char *family)
{
    struct sample v = {0};
    ck_assert_msg(sample_of(family, LABELS, &v), "%s is not there", family);
    return v.d;
}

/* ---- running ---- */

struct fixture_test {
    const char *name;
    const TTest *test;
};

static inline int fixture_run(const char *suite, const struct fixture_test *tests, size_t n)
{
    Suite *s = suite_create(suite);
    for (size_t i = 0; i < n; i++) {
        TCase *c = tcase_create(tests[i].name);
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, tests[i].test);
        suite_add_tcase(s, c);
    }
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
