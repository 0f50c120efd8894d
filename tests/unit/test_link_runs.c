/* Many ids of one connection: where they lead to counters in a row, and where not any more. */
#include "link_fixture.h"

#include <stdio.h>

#include "base/bytes.h"
#include "store/commit.h"
#include "store/read.h"
#include "store/series.h"

enum { COUNTERS = 3 * LINK_RUN };

static uint64_t next, want[COUNTERS];

static void define_counter(uint32_t id)
{
    char text[12];
    snprintf(text, sizeof text, "%u", id);
    define_series(id, 0, text);
}

static void many_ids(struct pipeline_options *o)
{
    o->ids_per_connection = 4 * LINK_RUNS_FROM;
    o->cardinality = COUNTERS + 8;
}

static void setup(void)
{
    const struct hello h = {
        .version = PROTO_VERSION, .session = {1}, .first = 1, .next = 1, .service = STR("svc")};
    begin_link(many_ids);
    encode_hello(&in, &h);
    define(0, "c", METRIC_COUNTER, VALUE_U64);
    define(1, "g", METRIC_GAUGE, VALUE_F64);
    for (uint32_t id = 0; id < COUNTERS; id++)
        define_counter(id);
    define_counter(LINK_RUNS_FROM);
    feed_good();
    next = 1;
    memset(want, 0, sizeof want);
}

/* Each counter n times, in an order of no use to anybody. */
static void update_all(unsigned n)
{
    const size_t at = encode_batch(&in, FRAME_UPDATE, next);
    for (uint32_t i = 0; i < n * COUNTERS; i++) {
        const uint32_t id = i * 37 % COUNTERS;
        encode_update(&in, id, i);
        want[id] += i;
    }
    encode_batch_end(&in, at, n * COUNTERS);
    next += n * COUNTERS;
    feed_good();
}

static uint32_t series_of(uint32_t id)
{
    return l.series[id].target & ((1u << LINK_SERIES_BITS) - 1);
}

static void check_all(void)
{
    for (uint32_t id = 0; id < COUNTERS; id++) {
        struct series_view s;
        struct metric_view m;
        struct sample v;
        ck_assert(series_read(&w.st, series_of(id), &s) && metric_read(&w.st, s.metric, &m));
        series_sample(&w.st, &m, &s, &v);
        ck_assert_uint_eq(v.u, want[id]);
    }
}

static unsigned runs(void)
{
    unsigned n = 0;
    for (uint32_t k = 0; l.runs.run && k < COUNTERS / LINK_RUN; k++) {
        n += l.runs.run[k].cells != 0;
        if (l.runs.run[k].cells)
            ck_assert_uint_eq(l.runs.run[k].cells, l.series[k * LINK_RUN].cells);
    }
    return n;
}

START_TEST(counters_in_a_row_are_a_run)
{
    ck_assert_uint_eq(runs(), 0);
    update_all(2);
    ck_assert_uint_eq(runs(), 3);
    update_all(2);
    check_all();
}
END_TEST

START_TEST(an_id_that_leads_elsewhere_breaks_it)
{
    update_all(2);
    define_series(LINK_RUN + 5, 1, "g"); /* a gauge now */
    feed_good();
    ck_assert_uint_eq(runs(), 2);
    const size_t at = encode_batch(&in, FRAME_UPDATE, next++);
    encode_update(&in, LINK_RUN + 5, f64_bits(7));
    encode_batch_end(&in, at, 1);
    feed_good();
    ck_assert_uint_eq(runs(), 2);
    define_counter(LINK_RUN + 5);
    feed_good();
    update_all(2);
    ck_assert_uint_eq(runs(), 3);
    check_all();
}
END_TEST

/* Two ids change places: each still is a counter, and the two are in one run. */
START_TEST(counters_that_are_not_in_a_row_are_none)
{
    char text[12];
    for (uint32_t id = 0; id < 2; id++) {
        snprintf(text, sizeof text, "%u", 1 - id);
        define_series(id, 0, text);
    }
    feed_good();
    update_all(2);
    ck_assert_uint_eq(runs(), 2);
    check_all();
}
END_TEST

static void next_epoch(void)
{
    series_next_epoch(&w.st);
    store_commit(&w.st);
}

static void expire_one(void)
{
    ck_assert(!series_expire(&w.st, series_of(9)));
    store_commit(&w.st);
    want[9] = 0;
}

static void grow(void)
{
    const uint32_t before = l.nseries;
    define_counter(before);
    feed_good();
    ck_assert_uint_gt(l.nseries, before);
}

static void (*const changes[])(void) = {next_epoch, expire_one, grow};

/* Each has to be touched again before it is added to in passing. */
START_TEST(a_new_round_begins_anew)
{
    struct series_view s;
    update_all(2);
    changes[_i]();
    const size_t at = encode_batch(&in, FRAME_UPDATE, next);
    for (uint32_t i = 0; i < 100; i++)
        encode_update(&in, i % 5, 1);
    encode_batch_end(&in, at, 100);
    for (uint32_t i = 0; i < 100; i++)
        want[i % 5]++;
    next += 100;
    feed_good();
    ck_assert_uint_eq(runs(), 0);
    update_all(2);
    ck_assert_uint_eq(runs(), 3);
    ck_assert(series_read(&w.st, series_of(9), &s) && s.flags & SERIES_LIVE);
    check_all();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link_runs");
    TCase *t = tcase_create("link_runs");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, counters_in_a_row_are_a_run);
    tcase_add_test(t, an_id_that_leads_elsewhere_breaks_it);
    tcase_add_test(t, counters_that_are_not_in_a_row_are_none);
    tcase_add_loop_test(t, a_new_round_begins_anew, 0, sizeof changes / sizeof *changes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
