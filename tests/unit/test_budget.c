/* Budgets of domains: one that floods the store leaves room for the others, and the
 * count is the same after a kill as before. */
#include "store_fixture.h"

#include <stdio.h>

#include "base/bytes.h"
#include "store/budget.h"
#include "store/copy.h"
#include "store/read.h"
#include "store/series.h"
#include "store/sketch.h"
#include "store/space.h"
#include "store/stream.h"

enum { FLOODER = 3, OTHER = 4 };

static struct world w;
static char long_value[1800];

static void setup(void)
{
    world_init(&w, STORE_MIN);
    memset(long_value, 'x', sizeof long_value - 1);
}

static void teardown(void)
{
    world_fini(&w);
}

static int define(unsigned domain, const char *name, enum metric_kind kind, uint32_t *id)
{
    const struct metric_def def = {
        .name = str_of(name), .kind = kind, .type = kind == METRIC_COUNTER ? VALUE_U64 : VALUE_F64};
    const int r = metric_define_by(&w.st, &def, domain, 0, id);
    store_commit(&w.st);
    return r;
}

static int make(unsigned domain, uint32_t metric, unsigned n, const char *pad, uint32_t budget,
                uint32_t *id)
{
    char labels[LIMIT_LABEL_BYTES], group[64];
    snprintf(labels, sizeof labels, "k=\"%u\",pad=\"%s\",service_name=\"s%u\"", n, pad, n % 50);
    snprintf(group, sizeof group, "service_name=\"s%u\"", n % 50);
    const struct series_ask ask = {.metric = metric,
                                   .labels = str_of(labels),
                                   .group = str_of(group),
                                   .domain = domain,
                                   .cardinality = 1 << 20,
                                   .budget = budget,
                                   .now = w.now};
    const int r = series_make(&w.st, &ask, id);
    store_commit(&w.st);
    return r;
}

static void the_other_can_still(void)
{
    uint32_t metric, series;
    const uint64_t hash[2] = {77, 77};
    ck_assert_int_eq(define(OTHER, "other", METRIC_SUMMARY, &metric), 0);
    for (unsigned n = 0; n < 200; n++)
        ck_assert_int_eq(make(OTHER, metric, n, "", 0, &series), 0);
    ck_assert_uint_ne(stream_make(&w.st, hash, series, OTHER, 100), 0);
    store_commit(&w.st);
}

/* The count of the running writer is that of one that attaches anew. */
static void same_after_a_kill(void)
{
    struct store_use before[STORE_DOMAINS];
    memcpy(before, w.st.use, sizeof before);
    world_kill(&w);
    ck_assert_int_eq(memcmp(before, w.st.use, sizeof before), 0);
}

START_TEST(of_metrics)
{
    char name[32];
    uint32_t id;
    unsigned n = 0;
    for (int r = 0; r == 0; n++) {
        snprintf(name, sizeof name, "flood.%u", n);
        r = define(FLOODER, name, METRIC_COUNTER, &id);
        ck_assert(r == 0 || r == -ERR_FULL);
    }
    ck_assert_uint_eq(n - 1, table_capacity(&w.st, TABLE_METRICS) / 2);
    ck_assert_int_eq(define(FLOODER, "flood.0", METRIC_COUNTER, &id), 0); /* it is there */
    the_other_can_still();
    same_after_a_kill();
    ck_assert(metric_remove(&w.st, id));
    store_commit(&w.st);
    ck_assert_int_eq(define(FLOODER, "flood.new", METRIC_COUNTER, &id), 0);
    same_after_a_kill();
}
END_TEST

START_TEST(of_series)
{
    uint32_t metric, id, last = 0;
    ck_assert_int_eq(define(FLOODER, "flood", METRIC_COUNTER, &metric), 0);
    unsigned n = 0;
    while (make(FLOODER, metric, n, "", 0, &id) == 0) {
        last = id;
        n++;
    }
    ck_assert_uint_eq(n + 50, table_capacity(&w.st, TABLE_SERIES) / 2); /* 50 services */
    ck_assert_int_eq(make(FLOODER, metric, 0, "", 0, &id), 0);
    the_other_can_still();
    same_after_a_kill();
    ck_assert(series_expire(&w.st, last));
    store_commit(&w.st);
    ck_assert_int_eq(make(FLOODER, metric, n, "", 0, &id), 0);
    same_after_a_kill();
}
END_TEST

START_TEST(of_series_as_configured)
{
    uint32_t metric, id;
    unsigned n = 0;
    ck_assert_int_eq(define(FLOODER, "flood", METRIC_COUNTER, &metric), 0);
    while (make(FLOODER, metric, n, "", 150, &id) == 0)
        n++;
    ck_assert_uint_eq(n, 100);
    ck_assert_uint_eq(budget_use(&w.st, FLOODER).series, 150);
}
END_TEST

/* Few series, each as large as can be, with quantiles of values all over. */
START_TEST(of_the_heap)
{
    uint32_t metric, id;
    uint64_t cells;
    ck_assert_int_eq(define(FLOODER, "flood", METRIC_SUMMARY, &metric), 0);
    for (unsigned n = 0; make(FLOODER, metric, n, long_value, 0, &id) == 0; n++) {
        for (int k = -20; k < 20; k++) {
            const enum cell_op op = series_target(&w.st, id, 0, &cells);
            (void)cell_apply(&w.st, op, cells, f64_bits(k < 0 ? 1.0 / (1 << -k) : 1 << k), 5);
            store_commit(&w.st);
        }
    }
    ck_assert_uint_le(budget_use(&w.st, FLOODER).heap, w.st.head->section[SECTION_HEAP].size / 2);
    ck_assert_uint_lt(budget_use(&w.st, FLOODER).series, 1000);
    const uint64_t pages = w.st.sketch_pages;
    ck_assert_uint_gt(pages, 300);
    ck_assert_uint_eq(sketch_page(&w.st), 0);
    world_kill(&w);
    ck_assert_uint_eq(w.st.sketch_pages, pages);
    the_other_can_still();
    same_after_a_kill();
    while (budget_use(&w.st, FLOODER).series > 0) {
        struct metric_view m;
        ck_assert(metric_read(&w.st, metric, &m) && series_expire(&w.st, m.first));
        store_commit(&w.st);
    }
    ck_assert_uint_eq(w.st.sketch_pages, 0);
    same_after_a_kill();
}
END_TEST

START_TEST(of_streams)
{
    uint32_t metric, series;
    uint64_t hash[2] = {0, 1};
    ck_assert_int_eq(define(FLOODER, "flood", METRIC_COUNTER, &metric), 0);
    ck_assert_int_eq(make(FLOODER, metric, 0, "", 0, &series), 0);
    while (stream_make(&w.st, hash, series, FLOODER, STREAM_WORDS_MAX)) {
        store_commit(&w.st);
        hash[0]++;
    }
    ck_assert_uint_lt(hash[0], table_capacity(&w.st, TABLE_STREAMS) / 2);
    the_other_can_still();
    same_after_a_kill();
    stream_remove_all(&w.st, metric);
    ck_assert_uint_eq(budget_use(&w.st, FLOODER).streams, 0);
    same_after_a_kill();
}
END_TEST

START_TEST(go_along_into_another_size)
{
    uint32_t metric, id;
    struct world n;
    ck_assert_int_eq(define(FLOODER, "flood", METRIC_SUMMARY, &metric), 0);
    for (unsigned k = 0; k < 100; k++)
        ck_assert_int_eq(make(FLOODER, metric, k, "p", 0, &id), 0);
    world_init(&n, 2 * STORE_MIN);
    ck_assert_int_eq(store_copy(w.mem, w.size, &n.st, n.now), 0);
    ck_assert_int_eq(memcmp(n.st.use, w.st.use, sizeof n.st.use), 0);
    world_fini(&n);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("budget");
    TCase *t = tcase_create("budget");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, of_metrics);
    tcase_add_test(t, of_series);
    tcase_add_test(t, of_series_as_configured);
    tcase_add_test(t, of_the_heap);
    tcase_add_test(t, of_streams);
    tcase_add_test(t, go_along_into_another_size);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
