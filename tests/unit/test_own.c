/* The daemon's own metrics in a store that producers have filled. */
#include "store_fixture.h"

#include <stdio.h>

#include "pipeline/pipeline.h"
#include "store/budget.h"
#include "store/commit.h"
#include "store/read.h"
#include "store/series.h"

static struct world w;
static struct pipeline pl;

static void setup(void)
{
    world_init(&w, STORE_MIN);
}

static void teardown(void)
{
    pipeline_fini(&pl);
    world_fini(&w);
}

static bool define(unsigned i, uint32_t *metric)
{
    char name[32];
    snprintf(name, sizeof name, "filler%u", i);
    const struct metric_def def = {.name = str_of(name), .kind = METRIC_COUNTER, .type = VALUE_U64};
    const int r = metric_define_by(&w.st, &def, i % 5, BUDGET_NONE, metric);
    store_commit(&w.st);
    return r == 0;
}

/* Every record of the table of metrics, or of series, is a producer's. */
static unsigned fill_metrics(void)
{
    uint32_t metric;
    unsigned n = 0;
    while (define(n, &metric))
        n++;
    return n;
}

static void fill_series(uint32_t metric)
{
    char labels[32];
    uint32_t series;
    int r = 0;
    for (unsigned i = 0; r == 0; i++) {
        snprintf(labels, sizeof labels, "k=\"%u\"", i);
        const struct series_ask ask = {.metric = metric,
                                       .labels = str_of(labels),
                                       .domain = 1,
                                       .budget = BUDGET_NONE,
                                       .now = w.now};
        r = series_make(&w.st, &ask, &series);
        store_commit(&w.st);
    }
}

static int start(void)
{
    struct pipeline_options o;
    pipeline_defaults(&o);
    return pipeline_init(&pl, &w.st, &o, w.now);
}

START_TEST(start_in_a_store_without_room_for_metrics)
{
    const unsigned n = fill_metrics();
    ck_assert_uint_gt(n, 100);
    ck_assert_int_eq(start(), 0);
    ck_assert_uint_gt(pl.own.missing, 0);
    ck_assert_int_eq(own_domain(&pl.own, 2, w.now), -ERR_FULL); /* nobody could account for it */
    own_add(&pl.own, OWN_RECEIVED, 2, 1);
    own_observe(&pl.own, OWN_CALLBACK, 1);
    own_info(&pl.own, OWN_BUILD_INFO, STR("version=\"1\""), w.now);
    pipeline_refresh(&pl);
    for (uint32_t i = 1; i <= n; i++) /* nobody has an id of them */
        metric_remove(&w.st, i);
    store_commit(&w.st);
    own_complete(&pl.own, w.now);
    ck_assert_uint_eq(pl.own.missing, 0);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OWN_MISSING, 0), 0);
    ck_assert_int_eq(own_domain(&pl.own, 2, w.now), 0);
}
END_TEST

START_TEST(start_in_a_store_without_room_for_series)
{
    struct metric_view m;
    uint32_t metric;
    ck_assert(define(0, &metric));
    fill_series(metric);
    ck_assert_int_eq(start(), 0);
    ck_assert_uint_gt(pl.own.missing, 0);
    ck_assert(metric_read(&w.st, metric, &m));
    for (uint32_t i = m.first, next; i; i = next) {
        struct series_view s;
        ck_assert(series_read(&w.st, i, &s));
        next = s.next;
        series_expire(&w.st, i);
        store_commit(&w.st);
    }
    own_complete(&pl.own, w.now);
    ck_assert_uint_eq(pl.own.missing, 0);
}
END_TEST

/* A ledger of an earlier version goes on; a reason that it had not is counted as another,
 * so that the sums stay right. */
START_TEST(a_reason_without_room_is_counted_all_the_same)
{
    ck_assert_int_eq(start(), 0);
    ck_assert_int_eq(own_domain(&pl.own, 2, w.now), 0);
    pl.own.cells[OWN_DROPPED][own_drop_index(2, DROP_RING_SHARE)] = 0;
    own_dropped(&pl.own, 2, DROP_RING_SHARE, 3);
    store_commit(&w.st);
    ck_assert_uint_eq(own_get(&pl.own, OWN_DROPPED, own_drop_index(2, DROP_SERIES_FULL)), 3);
}
END_TEST

static uint64_t live_series(void)
{
    return w.st.head->table[TABLE_SERIES].live;
}

/* One name ends with its series, whatever others the metrics have. */
START_TEST(the_series_of_who_is_gone_end)
{
    ck_assert_int_eq(start(), 0);
    ck_assert_int_eq(own_name(&pl.own, OWN_KIND_CHECKS, 0, STR("check=\"a\",kind=\"x\""), w.now),
                     0);
    const uint64_t one = live_series();
    ck_assert_int_eq(own_name(&pl.own, OWN_KIND_CHECKS, 1, STR("check=\"b\",kind=\"x\""), w.now),
                     0);
    const uint64_t two = live_series();
    ck_assert_uint_gt(two, one);
    own_forget_name(&pl.own, OWN_KIND_CHECKS, 0, true);
    ck_assert_uint_eq(live_series(), one);
    ck_assert_int_eq(own_name(&pl.own, OWN_KIND_CHECKS, 0, STR("check=\"b\",kind=\"x\""), w.now),
                     0);
    ck_assert_uint_eq(live_series(), one);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("own");
    TCase *t = tcase_create("full");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, start_in_a_store_without_room_for_metrics);
    tcase_add_test(t, start_in_a_store_without_room_for_series);
    tcase_add_test(t, a_reason_without_room_is_counted_all_the_same);
    tcase_add_test(t, the_series_of_who_is_gone_end);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
