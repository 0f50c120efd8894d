/* Streams: values that outlive a kill, the hold on their series, the idle clock. */
#include "store_fixture.h"

#include "store/copy.h"
#include "store/read.h"
#include "store/series.h"
#include "store/space.h"
#include "store/stream.h"

static struct world w;
static uint32_t series;

static uint32_t make_series(const char *labels)
{
    const struct metric_def def = {.name = STR("m"), .kind = METRIC_COUNTER, .type = VALUE_U64};
    struct series_ask ask = {.labels = str_of(labels), .now = w.now};
    uint32_t i;
    ck_assert_int_eq(metric_define(&w.st, &def, false, &ask.metric), 0);
    ck_assert_int_eq(series_make(&w.st, &ask, &i), 0);
    store_commit(&w.st);
    return i;
}

static void setup(void)
{
    world_init(&w, STORE_MIN);
    series = make_series("a=\"b\"");
}

static void teardown(void)
{
    world_fini(&w);
}

static const uint64_t hash[2] = {0, 7};
static const uint64_t values[3] = {1, UINT64_MAX, 3};

static uint32_t make(void)
{
    const uint32_t i = stream_make(&w.st, hash, series, 2, 3);
    ck_assert_uint_ne(i, 0);
    stream_set(&w.st, i, 100, 200, values, 3);
    store_commit(&w.st);
    return i;
}

static void is_as_made(const struct store *st, uint32_t i)
{
    struct stream_view v;
    ck_assert(stream_read(st, i, &v));
    ck_assert_uint_eq(v.start, 100);
    ck_assert_uint_eq(v.time, 200);
    ck_assert_uint_eq(v.domain, 2);
    ck_assert_uint_eq(v.words, 3);
    ck_assert_int_eq(memcmp(v.values, values, sizeof values), 0);
}

START_TEST(keeps_what_was_committed)
{
    const uint64_t other[3] = {9, 9, 9}, close[2] = {1, 7};
    const uint32_t i = make();
    stream_set(&w.st, i, 300, 400, other, 3);
    ck_assert_uint_ne(stream_make(&w.st, close, series, 2, 1), 0);
    world_kill(&w);
    ck_assert_uint_eq(stream_find(&w.st, hash), i);
    ck_assert_uint_eq(stream_find(&w.st, close), 0);
    is_as_made(&w.st, i);
}
END_TEST

/* Its series stays, dormant at most, also after the daemon was killed. */
START_TEST(holds_its_series)
{
    const uint32_t i = make();
    world_kill(&w);
    ck_assert(!series_expire(&w.st, series));
    store_commit(&w.st);
    stream_remove(&w.st, i);
    store_commit(&w.st);
    ck_assert_uint_eq(stream_find(&w.st, hash), 0);
    ck_assert(series_expire(&w.st, series));
    store_commit(&w.st);
}
END_TEST

START_TEST(ages_until_it_is_found)
{
    const uint32_t i = make();
    STORE_SET(&w.st, w.st.head->epoch, w.st.head->epoch + 5);
    ck_assert_uint_eq(stream_age(&w.st, i), 5);
    ck_assert_uint_eq(stream_find(&w.st, hash), i);
    ck_assert_uint_eq(stream_age(&w.st, i), 0);
    store_commit(&w.st);
}
END_TEST

START_TEST(a_full_table_is_an_answer)
{
    uint64_t h[2] = {0};
    while (stream_make(&w.st, h, series, 0, 1)) {
        h[0] += 2;
        store_commit(&w.st);
    }
    store_commit(&w.st);
    ck_assert_uint_gt(h[0] / 2, 1000);
    ck_assert_uint_le(h[0] / 2, table_capacity(&w.st, TABLE_STREAMS));
    stream_remove_all(&w.st, 1);
    ck_assert_uint_eq(w.st.head->table[TABLE_STREAMS].live, 0);
    ck_assert_uint_eq(w.st.refs[series], 0);
}
END_TEST

START_TEST(goes_along_into_another_size)
{
    const uint64_t gone[2] = {5, 5};
    make();
    const uint32_t idle = make_series("a=\"idle\"");
    ck_assert_uint_ne(stream_make(&w.st, gone, idle, 2, 1), 0);
    ck_assert(!series_expire(&w.st, idle)); /* dormant now */
    store_commit(&w.st);
    struct world n;
    world_init(&n, 2 * STORE_MIN);
    ck_assert_int_eq(store_copy(w.mem, w.size, &n.st, n.now), 0);
    ck_assert_uint_eq(stream_find(&n.st, gone), 0);
    const uint32_t i = stream_find(&n.st, hash);
    store_commit(&n.st);
    is_as_made(&n.st, i);
    world_kill(&n);
    ck_assert_uint_eq(n.st.refs[series_find(&n.st, 1, STR("a=\"b\""))], 1);
    world_fini(&n);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream");
    TCase *t = tcase_create("stream");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, keeps_what_was_committed);
    tcase_add_test(t, holds_its_series);
    tcase_add_test(t, ages_until_it_is_found);
    tcase_add_test(t, a_full_table_is_an_answer);
    tcase_add_test(t, goes_along_into_another_size);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
