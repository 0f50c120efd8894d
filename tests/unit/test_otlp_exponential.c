/* Exponential histograms of OTLP into buckets and sketches. */
#include "otlp_fixture.h"

/* ---- exponential histograms ---- */

static void send_exponential(unsigned temporality, const struct exp_point *p)
{
    open_request("svc");
    open_metric("took", "s", OTLP_EXPONENTIAL, temporality, false);
    exponential(p);
    close_metric();
    send(OTLP_METRICS);
    ck_assert_uint_eq(result.accepted, 1);
}

static struct sample took(void)
{
    struct sample v = {0};
    ck_assert(sample_of("took_seconds", "service_name=\"svc\"", &v));
    return v;
}

START_TEST(exponential_buckets_are_counted_where_their_middle_is)
{
    /* scale 0: (1,2] (2,4] (4,8]: middles 1.41, 2.83, 5.66; bounds 1 2 5 10 are 6 to 9 */
    const struct exp_point p = {
        .scale = 0, .offset = 0, .n = 3, .counts = {3, 4, 5}, .zeros = 2, .sum = 40};
    struct metric_view m;
    struct series_view s;
    send_exponential(OTLP_DELTA, &p);
    const struct sample v = took();
    ck_assert_uint_eq(v.count, 14);
    ck_assert_double_eq(v.sum, 40);
    ck_assert_uint_eq(v.buckets[0], 2);
    ck_assert_uint_eq(v.buckets[7], 3);
    ck_assert_uint_eq(v.buckets[8], 4);
    ck_assert_uint_eq(v.buckets[9], 5);
    ck_assert(metric_find(&w.st, STR("took_seconds"), &m) && series_read(&w.st, m.first, &s));
    const double q = series_quantile(&w.st, &m, &s, 0.5, w.now.mono);
    ck_assert_double_eq_tol(q, 2.83, 0.04);
}
END_TEST

START_TEST(cumulative_exponential_adds_the_difference)
{
    struct exp_point p = {.start = WALL, .time = WALL + 1, .offset = 0, .n = 2, .counts = {1, 1}};
    send_exponential(OTLP_CUMULATIVE, &p);
    ck_assert_uint_eq(took().count, 2);
    send_exponential(OTLP_CUMULATIVE, &p);
    ck_assert_uint_eq(took().count, 2);
    restart();
    p = (struct exp_point){.start = WALL,
                           .time = WALL + 2,
                           .offset = -1,
                           .n = 4,
                           .counts = {2, 1, 3, 0},
                           .zeros = 1,
                           .sum = 4};
    send_exponential(OTLP_CUMULATIVE, &p);
    const struct sample v = took();
    ck_assert_uint_eq(v.count, 7);
    ck_assert_uint_eq(v.buckets[8], 3);
    ck_assert_double_eq(v.sum, 4);
    p.time++;
    p.counts[2] = 1; /* it fell: all of it is new */
    send_exponential(OTLP_CUMULATIVE, &p);
    ck_assert_uint_eq(took().count, 7 + 5);
    ck_assert_double_eq(took().sum, 8);
}
END_TEST

START_TEST(a_change_of_scale_merges)
{
    struct exp_point p = {
        .start = WALL, .time = WALL + 1, .scale = 1, .offset = 0, .n = 4, .counts = {1, 2, 3, 4}};
    send_exponential(OTLP_CUMULATIVE, &p);
    p = (struct exp_point){
        .start = WALL, .time = WALL + 2, .scale = 0, .offset = 0, .n = 2, .counts = {4, 9}};
    send_exponential(OTLP_CUMULATIVE, &p);
    ck_assert_uint_eq(took().count, 13);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OTLP_RESETS, 0), 0);
    p.scale = 1; /* finer again: what is kept is coarser */
    p.n = 4;
    p.time++;
    memcpy(p.counts, (uint64_t[]){2, 2, 5, 5}, 4 * sizeof(uint64_t));
    send_exponential(OTLP_CUMULATIVE, &p);
    ck_assert_uint_eq(took().count, 14);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OTLP_RESETS, 0), 0);
}
END_TEST

START_TEST(more_buckets_than_a_stream_keeps_are_merged)
{
    struct exp_point p = {.start = WALL, .time = WALL + 1, .scale = 5, .offset = -7, .n = 3};
    for (unsigned i = 0; i < 320; i++)
        p.counts[i] = 1;
    send_exponential(OTLP_CUMULATIVE, &p);
    p.n = 320;
    p.time++;
    send_exponential(OTLP_CUMULATIVE, &p);
    ck_assert_uint_eq(took().count, 320);
    p.counts[100] += 2;
    p.time++;
    send_exponential(OTLP_CUMULATIVE, &p);
    ck_assert_uint_eq(took().count, 322);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OTLP_RESETS, 0), 0);
}
END_TEST

START_TEST(a_scale_out_of_this_world_is_refused)
{
    const struct exp_point p = {.scale = INT32_MIN, .offset = INT32_MAX, .n = 2, .counts = {1, 1}};
    open_request("svc");
    open_metric("took", "s", OTLP_EXPONENTIAL, OTLP_CUMULATIVE, false);
    exponential(&p);
    close_metric();
    send(OTLP_METRICS);
    ck_assert_uint_eq(result.rejected, 1);
    ck_assert_uint_eq(dropped(DROP_LIMIT), 1);
}
END_TEST

int main(void)
{
    const struct fixture_test tests[] = {
        {"exponential", exponential_buckets_are_counted_where_their_middle_is},
        {"cumulative exponential", cumulative_exponential_adds_the_difference},
        {"scale", a_change_of_scale_merges},
        {"buckets", more_buckets_than_a_stream_keeps_are_merged},
        {"wild scale", a_scale_out_of_this_world_is_refused},
    };
    return fixture_run("otlp_exponential", tests, sizeof tests / sizeof *tests);
}
