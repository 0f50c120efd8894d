/* Where in the heap the texts and cells of series lie. */
#include "store_fixture.h"

#include "store/budget.h"
#include "store/read.h"
#include "store/series.h"
#include "store/space.h"

static struct world w;
static const struct str none;

static void setup(void)
{
    world_init(&w, STORE_MIN);
}

static void teardown(void)
{
    world_fini(&w);
}

static uint32_t metric(const char *name, enum metric_kind kind)
{
    const struct metric_def d = {
        .name = str_of(name), .kind = kind, .type = VALUE_U64, .nbounds = 1, .bounds = {1}};
    uint32_t id = 0;
    ck_assert_int_eq(metric_define(&w.st, &d, false, &id), 0);
    store_commit(&w.st);
    return id;
}

static uint32_t series_with(uint32_t m, const char *labels, struct str keys)
{
    const struct series_ask ask = {
        .metric = m, .labels = str_of(labels), .keys = keys, .budget = UINT32_MAX, .now = w.now};
    uint32_t i = 0;
    ck_assert_int_eq(series_make(&w.st, &ask, &i), 0);
    store_commit(&w.st);
    return i;
}

static struct str keys_of(uint32_t i)
{
    struct series_view s;
    ck_assert(series_read(&w.st, i, &s));
    return s.keys;
}

/* What it counts in its domain's budget. */
static uint64_t heap_of(uint32_t i)
{
    struct budget_item item;
    ck_assert(series_budget(&w.st, i, &item));
    return item.heap;
}

/* As they came: one text for the series that have them in common, until the last has gone. */
START_TEST(keys_are_shared)
{
    const struct str two = STR("a.b\0c.d"), other = STR("e.f");
    const uint32_t m = metric("c", METRIC_COUNTER);
    const uint64_t before = w.st.head->heap_live;
    uint32_t i[5];
    char labels[8] = "a=\"0\"";
    for (unsigned k = 0; k < 5; k++) {
        labels[3] = (char)('0' + k);
        i[k] = series_with(m, labels, k == 2 ? other : two);
    }
    ck_assert(str_eq(keys_of(i[0]), two) && str_eq(keys_of(i[2]), other));
    ck_assert_ptr_eq(keys_of(i[0]).p, keys_of(i[1]).p);
    ck_assert_ptr_eq(keys_of(i[0]).p, keys_of(i[4]).p);
    const uint32_t bare = series_with(m, "b=\"0\"", none);
    ck_assert_uint_eq(heap_of(i[4]), heap_of(bare) + text_bytes(two.n));
    ck_assert(series_expire(&w.st, bare));
    for (unsigned k = 0; k < 4; k++) {
        ck_assert(series_expire(&w.st, i[k]));
        store_commit(&w.st);
        ck_assert(str_eq(keys_of(i[4]), two));
    }
    ck_assert(series_expire(&w.st, i[4]));
    store_commit(&w.st);
    ck_assert_uint_eq(w.st.head->heap_live, before);
}
END_TEST

/* ---- where cells lie ---- */

/* Counters lie side by side; what a kill takes back of them is handed out again. */
START_TEST(single_words_come_from_runs)
{
    const uint32_t m = metric("c", METRIC_COUNTER);
    const struct series_ask first = {
        .metric = m, .labels = STR("k=\"1\""), .budget = UINT32_MAX, .now = w.now};
    struct series_view s;
    uint32_t i;
    ck_assert_int_eq(series_make(&w.st, &first, &i), 0);
    const uint64_t run_end = w.st.head->run_end;
    ck_assert_uint_ne(run_end, 0);
    world_kill(&w);
    ck_assert_uint_eq(w.st.head->run_end, 0);
    ck_assert(series_read(&w.st, series_with(m, "k=\"1\"", none), &s));
    const uint64_t cells = s.cells;
    ck_assert_uint_eq(w.st.head->run_end, run_end);
    ck_assert(series_read(&w.st, series_with(m, "k=\"2\"", none), &s));
    ck_assert_uint_eq(s.cells, cells + 8);
}
END_TEST

/* Where there is no room for a run there is for a word. */
START_TEST(the_last_words_of_the_heap)
{
    const uint64_t size = w.st.head->section[SECTION_HEAP].size;
    unsigned n = 0;
    while (size - w.st.head->heap_used > 64) {
        const uint64_t left = (size - w.st.head->heap_used) / 8;
        ck_assert_uint_ne(heap_alloc(&w.st, left > 64 + 8 ? 64 : left - 8), 0);
        store_commit(&w.st);
    }
    while (heap_alloc(&w.st, 1))
        n++;
    store_commit(&w.st);
    ck_assert_uint_eq(n, 8);
}
END_TEST

/* What the writer follows without a look, when the store has been taken over. */
START_TEST(places_that_are_wrong_are_damage)
{
    enum { AT = 8 };
    char why[128];
    struct series_view plain, keyed, histogram, other;
    const uint32_t c = metric("c", METRIC_COUNTER);
    const uint32_t h = metric("h", METRIC_HISTOGRAM);
    ck_assert(series_read(&w.st, series_with(c, "a=\"1\"", none), &plain));
    ck_assert(series_read(&w.st, series_with(c, "a=\"2\"", STR("a")), &keyed));
    ck_assert(series_read(&w.st, series_with(h, "a=\"1\"", none), &histogram));
    ck_assert(series_read(&w.st, series_with(c, "a=\"3\"", STR("a")), &other));
    const uint64_t keys = store_get(&w.st, keyed.text) >> 32 << 3;
    struct store_head *head = w.st.head;
    const struct {
        uint64_t at, bad;
    } words[] = {
        {plain.text, (histogram.text / AT) << 32 | 5}, /* keys that nobody has */
        {keyed.text, (w.size / AT) << 32 | 5},         /* outside */
        {keys, UINT64_C(2) << 32 | w.size},            /* longer than the heap */
        {keys, UINT64_C(1) << 32 | 1},                 /* the first that goes would free them */
        {keys, UINT64_C(3) << 32 | 1},                 /* nobody would */
        {other.text, 5},                               /* one that no longer has them */
        {plain.text, TEXT_MAX + 1},                    /* longer than any */
        {histogram.cells + CELL_BOUNDS * AT, 3},       /* bounds of another */
        {store_off(&w.st, &head->run), head->run_end + AT},
        {store_off(&w.st, &head->run_end), w.size},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        uint64_t *word = store_word(&w.st, words[i].at);
        const uint64_t good = *word;
        *word = words[i].bad;
        ck_assert_msg(store_check(&w.st, why, sizeof why) == -ERR_DAMAGED, "word %zu", i);
        *word = good;
    }
    ck_assert_int_eq(store_check(&w.st, why, sizeof why), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("space");
    TCase *t = tcase_create("space");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, single_words_come_from_runs);
    tcase_add_test(t, the_last_words_of_the_heap);
    tcase_add_test(t, keys_are_shared);
    tcase_add_test(t, places_that_are_wrong_are_damage);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
