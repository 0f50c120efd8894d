/* OTLP metrics: what each kind of point does to its series, and what is refused. */
#include "otlp_fixture.h"

#include <float.h>

/* ---- numbers ---- */

START_TEST(delta_sums_add)
{
    for (int i = 0; i < 2; i++) {
        open_request("svc");
        open_metric("requests", "", OTLP_SUM, OTLP_DELTA, true);
        number(1, 2, 3, "a");
        number(1, 2, 4, "a");
        close_metric();
        send(OTLP_METRICS);
        ck_assert_uint_eq(result.accepted, 2);
        ck_assert_uint_eq(result.rejected, 0);
        ck_assert_str_eq(message, "");
    }
    ck_assert_double_eq(value("requests"), 14);
    check_ledger(4);
}
END_TEST

START_TEST(gauges_and_sums_that_fall_set)
{
    open_request("svc");
    open_metric("heat", "Cel", OTLP_GAUGE, 0, false);
    real(0, 2, 3.5, "a");
    number(0, 3, -4, "a");
    close_metric();
    open_metric("level", "", OTLP_SUM, OTLP_CUMULATIVE, false);
    number(1, 2, 9, "a");
    number(1, 3, 7, "a");
    close_metric();
    open_metric("steps", "", OTLP_SUM, OTLP_DELTA, false);
    number(1, 2, 9, "a");
    number(2, 3, -2, "a");
    close_metric();
    send(OTLP_METRICS);
    ck_assert_uint_eq(result.accepted, 6);
    ck_assert_double_eq(value("heat_celsius"), -4);
    ck_assert_double_eq(value("level"), 7);
    ck_assert_double_eq(value("steps"), 7);
    check_ledger(6);
}
END_TEST

static void cumulative(uint64_t start, uint64_t time, int64_t v)
{
    open_request("svc");
    open_metric("total", "", OTLP_SUM, OTLP_CUMULATIVE, true);
    number(start, time, v, "a");
    close_metric();
    send(OTLP_METRICS);
    ck_assert_uint_eq(result.accepted, 1);
}

START_TEST(a_stream_from_before_the_store_begins_at_a_baseline)
{
    cumulative(WALL - 5, WALL + 1, 100);
    ck_assert_double_eq(value("total"), 0);
    cumulative(WALL - 5, WALL + 2, 107);
    ck_assert_double_eq(value("total"), 7);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OTLP_BASELINES, 0), 1);
}
END_TEST

START_TEST(a_stream_that_does_not_say_when_it_began_begins_at_a_baseline)
{
    cumulative(0, WALL + 1, 100);
    cumulative(0, WALL + 2, 101);
    cumulative(0, WALL + 3, 2); /* it fell: began anew */
    ck_assert_double_eq(value("total"), 3);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OTLP_RESETS, 0), 1);
}
END_TEST

START_TEST(a_stream_from_after_the_store_counts_from_its_first_point)
{
    cumulative(WALL, WALL + 1, 5);
    cumulative(WALL, WALL + 3, 9);
    ck_assert_double_eq(value("total"), 9);
}
END_TEST

START_TEST(what_is_repeated_or_late_adds_nothing)
{
    cumulative(WALL, WALL + 3, 5);
    cumulative(WALL, WALL + 3, 5);
    cumulative(WALL, WALL + 2, 4);
    cumulative(WALL, WALL + 5, 6);
    ck_assert_double_eq(value("total"), 6);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OTLP_STALE, 0), 2);
}
END_TEST

START_TEST(a_sender_that_began_anew_counts_on)
{
    cumulative(WALL, WALL + 3, 5);
    cumulative(WALL + 10, WALL + 12, 4);
    cumulative(WALL, WALL + 13, 7);      /* the one before is late */
    cumulative(WALL + 10, WALL + 14, 2); /* and it may not say that it did */
    ck_assert_double_eq(value("total"), 5 + 4 + 2);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OTLP_RESETS, 0), 2);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OTLP_STALE, 0), 1);
}
END_TEST

START_TEST(a_cumulative_point_counts_once_over_a_crash)
{
    cumulative(WALL, WALL + 3, 5);
    restart();
    cumulative(WALL, WALL + 3, 5);
    cumulative(WALL, WALL + 4, 6);
    ck_assert_double_eq(value("total"), 6);
    check_ledger(3);
}
END_TEST

static void pass_epochs(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        w.now.mono += options.series_idle / 8;
        while (pipeline_sweep(&pl, w.now, 1000))
            ;
    }
}

START_TEST(a_late_return_after_expiry_is_a_baseline)
{
    cumulative(WALL + 7, WALL + 9, 5);
    pass_epochs(20);
    ck_assert_uint_eq(stream_end(&w.st), 2);
    ck_assert_uint_eq(w.st.head->table[TABLE_STREAMS].live, 0);
    cumulative(WALL + 7, WALL + 20, 8);
    ck_assert_double_eq(value("total"), 0);
    cumulative(WALL + 7, WALL + 21, 9);
    ck_assert_double_eq(value("total"), 1);
    restart();
    cumulative(WALL + 7, WALL + 22, 11);
    ck_assert_double_eq(value("total"), 3);
}
END_TEST

START_TEST(doubles_are_kept_as_doubles)
{
    for (int i = 1; i <= 3; i++) {
        open_request("svc");
        open_metric("cost", "", OTLP_SUM, OTLP_CUMULATIVE, true);
        real(WALL, WALL + (uint64_t)i, i * 0.5, "a");
        close_metric();
        open_metric("delta", "", OTLP_SUM, OTLP_DELTA, true);
        real(WALL, WALL + (uint64_t)i, 0.25, "a");
        number(WALL, WALL + (uint64_t)i, 1, "a"); /* a whole number fits a counter of doubles */
        close_metric();
        send(OTLP_METRICS);
        ck_assert_uint_eq(result.accepted, 3);
    }
    ck_assert_double_eq(value("cost"), 1.5);
    ck_assert_double_eq(value("delta"), 3.75);
}
END_TEST

/* Two finite numbers may have a sum that no double holds; it is infinite for nobody. */
START_TEST(sums_stay_finite)
{
    const uint64_t counts[] = {1, 0};
    struct exp_point e = {.start = WALL, .n = 1, .counts = {1}, .sum = DBL_MAX};
    struct sample v = {0};
    for (uint64_t i = 1; i <= 2; i++) {
        open_request("svc");
        open_metric("cost", "", OTLP_SUM, OTLP_DELTA, true);
        real(WALL, WALL + i, DBL_MAX, "a");
        close_metric();
        open_metric("depth", "", OTLP_HISTOGRAM, OTLP_DELTA, false);
        histogram(WALL, WALL + i, -DBL_MAX, counts, 2, 1);
        close_metric();
        e.time = WALL + i;
        open_metric("width", "", OTLP_EXPONENTIAL, OTLP_DELTA, false);
        exponential(&e);
        close_metric();
        send(OTLP_METRICS);
        ck_assert_uint_eq(result.accepted, 3);
    }
    ck_assert_double_eq(value("cost"), DBL_MAX);
    ck_assert(sample_of("depth", LABELS, &v));
    ck_assert_double_eq(v.sum, -DBL_MAX);
    ck_assert(sample_of("width", "service_name=\"svc\"", &v));
    ck_assert_double_eq(v.sum, DBL_MAX);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(each_fault_has_its_reason)
{
    open_request("svc");
    open_metric("good", "", OTLP_SUM, OTLP_DELTA, true);
    number(1, 2, 1, "a");
    number(1, 2, -1, "a");
    real(1, 2, 0.5, "a"); /* the counter has whole numbers */
    real(1, 2, NAN, "a");
    close_metric();
    open_metric("good", "", OTLP_GAUGE, 0, false);
    number(1, 2, 1, "a");
    close_metric();
    open_metric("9bad name", "", OTLP_GAUGE, 0, false);
    number(1, 2, 1, "a");
    close_metric();
    open_metric("mcptally_sessions", "", OTLP_GAUGE, 0, false);
    number(1, 2, 1, "a");
    close_metric();
    open_metric("untold", "", OTLP_SUM, OTLP_UNSPECIFIED, true);
    number(1, 2, 1, "a");
    close_metric();
    send(OTLP_METRICS);
    ck_assert_uint_eq(result.accepted, 1);
    ck_assert_uint_eq(result.rejected, 7);
    ck_assert_ptr_nonnull(strstr(message, "2 conflict"));
    ck_assert_uint_eq(dropped(DROP_NEGATIVE), 1);
    ck_assert_uint_eq(dropped(DROP_CONFLICT), 2);
    ck_assert_uint_eq(dropped(DROP_NOT_FINITE), 1);
    ck_assert_uint_eq(dropped(DROP_NAME), 1);
    ck_assert_uint_eq(dropped(DROP_RESERVED), 1);
    ck_assert_uint_eq(dropped(DROP_MALFORMED), 1);
    check_ledger(8);
}
END_TEST

START_TEST(what_cannot_be_read_is_one_item)
{
    buf_init(&req, 100);
    buf_adds(&req, "\x0a\x7fnonsense");
    step_all(OTLP_METRICS, 1000);
    ck_assert(result.unreadable);
    ck_assert_uint_eq(result.rejected, 1);
    check_ledger(1);
    step_all(OTLP_LOGS, 1000); /* nothing at all is no fault */
    ck_assert(!result.unreadable);
    ck_assert_uint_eq(result.rejected, 0);
    check_ledger(1);
}
END_TEST

START_TEST(a_point_without_a_value_has_no_effect)
{
    open_request("svc");
    open_metric("quiet", "", OTLP_SUM, OTLP_CUMULATIVE, true);
    const size_t at = open_point(WALL, WALL + 1);
    put_fixed64_always(&req, 6, 5);
    put_uint(&req, 8, 1);
    put_close(&req, at);
    close_metric();
    send(OTLP_METRICS);
    struct sample v;
    ck_assert_uint_eq(result.accepted, 1);
    ck_assert(!sample_of("quiet", "service_name=\"svc\"", &v));
    check_ledger(1);
}
END_TEST

START_TEST(labels_above_the_limit_overflow)
{
    char label[8];
    open_request("svc");
    open_metric("wide", "", OTLP_SUM, OTLP_CUMULATIVE, true);
    for (int i = 0; i < 9; i++) {
        snprintf(label, sizeof label, "v%d", i);
        number(WALL, WALL + 1, 1, label);
    }
    close_metric();
    send(OTLP_METRICS);
    struct sample v;
    ck_assert_uint_eq(result.accepted, 9);
    ck_assert(sample_of("wide", "otel_metric_overflow=\"true\",service_name=\"svc\"", &v));
    ck_assert_uint_eq(v.u, 4); /* each stream by itself adds to it */
    check_ledger(9);
}
END_TEST

/* ---- histograms ---- */

static void send_histogram(unsigned temporality, uint64_t start, uint64_t time, double sum,
                           const uint64_t *counts, unsigned n, double bound)
{
    open_request("svc");
    open_metric("wait", "s", OTLP_HISTOGRAM, temporality, false);
    histogram(start, time, sum, counts, n, bound);
    close_metric();
    send(OTLP_METRICS);
}

static void check_histogram(const uint64_t *counts, unsigned n, double sum)
{
    struct sample v;
    ck_assert(sample_of("wait_seconds", LABELS, &v));
    for (unsigned i = 0; i < n; i++)
        ck_assert_uint_eq(v.buckets[i], counts[i]);
    ck_assert_double_eq(v.sum, sum);
}

START_TEST(delta_histograms_add)
{
    const uint64_t counts[] = {1, 0, 2}, twice[] = {2, 0, 4};
    send_histogram(OTLP_DELTA, 1, 2, 5.5, counts, 3, 1);
    send_histogram(OTLP_DELTA, 1, 2, 5.5, counts, 3, 1);
    check_histogram(twice, 3, 11);
}
END_TEST

START_TEST(cumulative_histograms_add_what_is_new)
{
    const uint64_t one[] = {1, 0, 2}, two[] = {1, 3, 2}, anew[] = {0, 3, 0}, all[] = {1, 6, 2};
    send_histogram(OTLP_CUMULATIVE, WALL, WALL + 1, 5, one, 3, 1);
    send_histogram(OTLP_CUMULATIVE, WALL, WALL + 1, 5, one, 3, 1);
    restart();
    send_histogram(OTLP_CUMULATIVE, WALL, WALL + 2, 9, two, 3, 1);
    check_histogram(two, 3, 9);
    send_histogram(OTLP_CUMULATIVE, WALL, WALL + 3, 4, anew, 3, 1);
    check_histogram(all, 3, 13);
    check_ledger(4);
}
END_TEST

START_TEST(other_bounds_are_refused)
{
    const uint64_t counts[] = {1, 0, 2};
    send_histogram(OTLP_DELTA, 1, 2, 5, counts, 3, 1);
    send_histogram(OTLP_DELTA, 1, 2, 5, counts, 3, 2);
    ck_assert_uint_eq(result.rejected, 1);
    send_histogram(OTLP_DELTA, 1, 2, 5, counts, 2, 1);
    ck_assert_uint_eq(dropped(DROP_BOUNDS_MISMATCH), 2);
    check_histogram(counts, 3, 5);
    check_ledger(3);
}
END_TEST

START_TEST(a_histogram_without_buckets_is_a_count_and_a_sum)
{
    struct sample v;
    for (uint64_t i = 1; i <= 2; i++)
        send_histogram(OTLP_CUMULATIVE, WALL - 1, WALL + i, (double)i, NULL, 0, 1);
    ck_assert(sample_of("wait_seconds", LABELS, &v));
    ck_assert_uint_eq(v.count, 0);
    ck_assert_double_eq(v.sum, 1);
}
END_TEST

START_TEST(summaries_are_a_count_and_a_sum)
{
    struct sample v;
    for (uint64_t i = 1; i <= 3; i++) {
        open_request("svc");
        open_metric("gc", "s", OTLP_SUMMARY, 0, false);
        const size_t at = open_point(WALL, WALL + i);
        put_fixed64(&req, 4, i * 2);
        put_double(&req, 5, (double)i);
        put_attr_text(&req, 7, STR("k"), STR("a"));
        put_close(&req, at);
        close_metric();
        send(OTLP_METRICS);
        ck_assert_uint_eq(result.accepted, 1);
    }
    ck_assert(sample_of("gc_seconds", LABELS, &v));
    ck_assert_uint_eq(v.count, 6);
    ck_assert_double_eq(v.sum, 3);
}
END_TEST

int main(void)
{
    const struct fixture_test tests[] = {
        {"delta sums", delta_sums_add},
        {"gauges", gauges_and_sums_that_fall_set},
        {"baseline", a_stream_from_before_the_store_begins_at_a_baseline},
        {"no start", a_stream_that_does_not_say_when_it_began_begins_at_a_baseline},
        {"whole", a_stream_from_after_the_store_counts_from_its_first_point},
        {"stale", what_is_repeated_or_late_adds_nothing},
        {"anew", a_sender_that_began_anew_counts_on},
        {"crash", a_cumulative_point_counts_once_over_a_crash},
        {"late return", a_late_return_after_expiry_is_a_baseline},
        {"doubles", doubles_are_kept_as_doubles},
        {"finite sums", sums_stay_finite},
        {"faults", each_fault_has_its_reason},
        {"unreadable", what_cannot_be_read_is_one_item},
        {"no value", a_point_without_a_value_has_no_effect},
        {"overflow", labels_above_the_limit_overflow},
        {"delta histograms", delta_histograms_add},
        {"cumulative histograms", cumulative_histograms_add_what_is_new},
        {"bounds", other_bounds_are_refused},
        {"no buckets", a_histogram_without_buckets_is_a_count_and_a_sum},
        {"summaries", summaries_are_a_count_and_a_sum},
    };
    return fixture_run("otlp_metrics", tests, sizeof tests / sizeof *tests);
}
