/* Updates by blocks, as sums, and one by one: what comes of them is the same. */
#include "link_fixture.h"

#include <stdio.h>

#include "base/bytes.h"
#include "store/commit.h"
#include "store/read.h"
#include "store/series.h"

/* The ids: counters, then one of each other kind, then some that are not defined. */
enum { COUNTERS = 24, F64_COUNTER = COUNTERS, GAUGE, HISTOGRAM, DEFINED, IDS = DEFINED + 2 };

static uint64_t next, want[COUNTERS], want_observed, want_dropped;
static double want_f64, want_gauge;
static unsigned dice;

static unsigned roll(unsigned n)
{
    dice = dice * 1103515245 + 12345;
    return (dice >> 8) % n;
}

static void setup(void)
{
    const struct hello h = {
        .version = PROTO_VERSION, .session = {1}, .first = 1, .next = 1, .service = STR("svc")};
    char text[12];
    begin_link(NULL);
    encode_hello(&in, &h);
    define(0, "c", METRIC_COUNTER, VALUE_U64);
    define(1, "f", METRIC_COUNTER, VALUE_F64);
    define(2, "g", METRIC_GAUGE, VALUE_F64);
    define(3, "h", METRIC_HISTOGRAM, VALUE_F64);
    for (uint32_t id = 0; id < DEFINED; id++) {
        snprintf(text, sizeof text, "%u", id);
        define_series(id, id < COUNTERS ? 0 : id - COUNTERS + 1, text);
    }
    feed_good();
    next = 1;
    memset(want, 0, sizeof want);
    want_observed = want_dropped = 0;
    want_f64 = want_gauge = 0;
}

static uint64_t value_of(uint32_t id)
{
    if (id < COUNTERS)
        return roll(5) ? roll(1000) : UINT64_MAX - roll(3); /* counters go round */
    return f64_bits((double)roll(100));
}

static void expect(uint32_t id, uint64_t bits)
{
    if (id < COUNTERS)
        want[id] += bits;
    else if (id == F64_COUNTER)
        want_f64 += bits_f64(bits);
    else if (id == GAUGE)
        want_gauge = bits_f64(bits);
    else if (id == HISTOGRAM)
        want_observed++;
    else
        want_dropped++;
}

/* One in `odd` updates is of something else than a counter; 0: none is. */
static void frame(uint32_t count, unsigned odd)
{
    const size_t at = encode_batch(&in, FRAME_UPDATE, next);
    for (uint32_t i = 0; i < count; i++) {
        const bool is_odd = odd && roll(odd) == 0;
        const uint32_t id = is_odd ? COUNTERS + roll(IDS - COUNTERS) : roll(COUNTERS);
        const uint64_t bits = value_of(id);
        encode_update(&in, id, bits);
        expect(id, bits);
    }
    encode_batch_end(&in, at, count);
    next += count;
}

static struct sample sample_of(uint32_t id)
{
    struct series_view s;
    struct metric_view m;
    struct sample v;
    const uint32_t series = l.series[id].target & ((1u << LINK_SERIES_BITS) - 1);
    ck_assert(series_read(&w.st, series, &s) && metric_read(&w.st, s.metric, &m));
    series_sample(&w.st, &m, &s, &v);
    return v;
}

static uint64_t total(enum own_metric m)
{
    uint64_t sum = 0;
    for (unsigned d = 0; d < pl.options.domains; d++)
        sum += own_get(&pl.own, m, d);
    return sum;
}

static void check_all(void)
{
    uint64_t dropped = 0;
    for (uint32_t id = 0; id < COUNTERS; id++)
        ck_assert_uint_eq(sample_of(id).u, want[id]);
    ck_assert_double_eq(sample_of(F64_COUNTER).d, want_f64);
    ck_assert_double_eq(sample_of(GAUGE).d, want_gauge);
    ck_assert_uint_eq(sample_of(HISTOGRAM).count, want_observed);
    for (unsigned d = 0; d < pl.options.domains; d++)
        dropped += own_get(&pl.own, OWN_DROPPED, own_drop_index(d, DROP_UNKNOWN_ID));
    ck_assert_uint_eq(dropped, want_dropped);
    ck_assert_uint_eq(total(OWN_RECEIVED), next - 1);
    ck_assert_uint_eq(total(OWN_APPLIED), next - 1 - want_dropped);
}

/* As a producer's input comes: in pieces that end anywhere. */
static void feed_pieces(void)
{
    for (size_t at = 0; at < in.n;) {
        const size_t left = in.n - at, most = 1 + roll(3000), n = left < most ? left : most;
        ck_assert_int_eq(feed_read(in.p + at, n), 0);
        at += n;
    }
    buf_reset(&in);
    buf_reset(&out);
}

static const unsigned odds[] = {0, 500, 60, 3};

START_TEST(however_they_come)
{
    dice = (unsigned)_i;
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned k = 0; k < 4; k++)
            frame(1 + roll(1000), odds[_i]);
        if (round % 2)
            feed_pieces();
        else
            feed_good();
        check_all();
    }
}
END_TEST

static void pass_time(uint64_t ns)
{
    w.now.mono += ns;
    while (pipeline_sweep(&pl, w.now, 4096))
        ;
}

/* A counter that is added to goes on; one that is not becomes dormant, and begins anew. */
START_TEST(what_is_summed_is_touched)
{
    const uint64_t step = pl.options.series_idle / 8;
    dice = 7;
    frame(3000, 0);
    feed_good();
    for (unsigned i = 0; i < 40; i++) {
        const size_t at = encode_batch(&in, FRAME_UPDATE, next);
        for (unsigned k = 0; k < 200; k++)
            encode_update(&in, k % 2, 0); /* nothing, and yet an update */
        encode_batch_end(&in, at, 200);
        next += 200;
        feed_good();
        pass_time(step);
    }
    for (uint32_t id = 2; id < COUNTERS; id++)
        want[id] = 0;
    check_all();
    frame(3000, 0);
    feed_good();
    check_all();
}
END_TEST

/* Expired in the epoch of its last update, which the link knows of. */
START_TEST(what_expires_at_once_begins_anew)
{
    struct series_view s;
    const uint32_t series = l.series[0].target & ((1u << LINK_SERIES_BITS) - 1);
    dice = 8;
    frame(3000, 0);
    feed_good();
    ck_assert(!series_expire(&w.st, series));
    store_commit(&w.st);
    want[0] = 0;
    frame(3000, 0);
    feed_good();
    ck_assert(series_read(&w.st, series, &s) && s.flags & SERIES_LIVE);
    check_all();
}
END_TEST

/* What is added up is paid for, too: else a turn would have no end. */
START_TEST(a_sum_is_work)
{
    dice = 3;
    frame(3000, 0);
    feed_good();
    frame(3000, 0);
    feed_good();
    ck_assert_uint_ge(l.spent, 3000 / 64 * APPLY_BLOCK_UNITS);
}
END_TEST

/* A kill leaves what was added and the ledger, or neither. */
START_TEST(a_frame_is_one_batch)
{
    static const uint32_t sizes[] = {3000, 20}; /* summed, and by blocks */
    dice = 4;
    frame(3000, 0);
    feed_good();
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t batch = w.st.batch;
        frame(sizes[i], 0);
        feed_good();
        ck_assert_uint_eq(w.st.batch, batch + 1);
    }
    check_all();
}
END_TEST

/* Duplicates, in a frame that has more than them, too. */
START_TEST(what_is_sent_again_counts_once)
{
    dice = 9;
    frame(3000, 50);
    struct buf copy;
    buf_init(&copy, 1 << 20);
    buf_add(&copy, in.p, in.n);
    feed_good();
    buf_add(&in, copy.p, copy.n);
    feed_good();
    buf_fini(&copy);
    check_all();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("apply");
    TCase *t = tcase_create("apply");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, however_they_come, 0, sizeof odds / sizeof *odds);
    tcase_add_test(t, what_is_summed_is_touched);
    tcase_add_test(t, what_expires_at_once_begins_anew);
    tcase_add_test(t, a_sum_is_work);
    tcase_add_test(t, a_frame_is_one_batch);
    tcase_add_test(t, what_is_sent_again_counts_once);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
