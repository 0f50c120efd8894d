/* What a page says, to the byte, in both formats; and that slices change nothing. */
#include "format/prom.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "memory_store.h"
#include "store/session.h"
#include "store/space.h"

static struct memory_store ms;
static struct buf page;
static struct exemplars exemplars;

static void setup(void)
{
    memory_store_init(&ms);
    buf_init(&page, 64 << 20);
}

static void teardown(void)
{
    buf_fini(&page);
    exemplars_fini(&exemplars);
    memory_store_fini(&ms);
}

/* The whole page, in slices of so many lines. */
static const char *render(enum prom_format format, unsigned lines)
{
    const struct prom_share slice = {.lines = lines, .bytes = 1 << 20};
    struct prom_page at;
    buf_reset(&page);
    prom_begin(&at, &ms.st, format, memory_store_now.mono);
    at.exemplars = &exemplars;
    while (prom_step(&at, &page, &slice))
        ;
    buf_addc(&page, '\0');
    ck_assert(!page.failed);
    return page.p;
}

static void check_page(enum prom_format format, const char *expected)
{
    ck_assert_str_eq(render(format, 1000), expected);
    ck_assert_str_eq(render(format, 1), expected);
    ck_assert_str_eq(render(format, 3), expected);
}

static uint32_t counter(const char *name, const char *labels, uint64_t v)
{
    const struct metric_def def = {
        .name = str_of(name), .kind = METRIC_COUNTER, .type = VALUE_U64, .help = STR("Some help.")};
    const uint32_t s = memory_store_series(&ms, memory_store_metric(&ms, &def, false), labels);
    memory_store_update(&ms, s, 0, v);
    return s;
}

static uint32_t two_buckets(const char *labels)
{
    const struct metric_def def = {.name = STR("lat"),
                                   .unit = STR("s"),
                                   .kind = METRIC_HISTOGRAM,
                                   .type = VALUE_F64,
                                   .nbounds = 1,
                                   .bounds = {0.5}};
    const uint32_t s = memory_store_series(&ms, memory_store_metric(&ms, &def, false), labels);
    memory_store_update(&ms, s, 0, f64_bits(0.25));
    return s;
}

START_TEST(the_newest_exemplar_of_a_bucket_is_shown_in_openmetrics)
{
    const uint32_t s = two_buckets("a=\"1\"");
    struct exemplar e = {{{1, 0xab}, {2}}, 0.125, UINT64_C(1700000000125) * NS_PER_MS};
    exemplar_note(&exemplars, &ms.st, s, &e);
    e.value = 0.25;
    exemplar_note(&exemplars, &ms.st, s, &e);
    e = (struct exemplar){.value = 9}; /* no trace */
    exemplar_note(&exemplars, &ms.st, s, &e);
    const char *text = render(PROM_OPENMETRICS, 1000);
    ck_assert_ptr_nonnull(strstr(text, "lat_seconds_bucket{a=\"1\",le=\"0.5\"} 1 "
                                       "# {trace_id=\"01ab0000000000000000000000000000\","
                                       "span_id=\"0200000000000000\"} 0.25 1700000000.125\n"
                                       "lat_seconds_bucket{a=\"1\",le=\"+Inf\"} 1\n"));
    ck_assert_ptr_null(strstr(render(PROM_TEXT, 1000), "trace_id"));
}
END_TEST

START_TEST(an_exemplar_ends_with_its_series)
{
    const uint32_t s = two_buckets("a=\"1\"");
    const struct exemplar e = {{{1}, {0}}, 7, NS_PER_S};
    exemplar_note(&exemplars, &ms.st, s, &e);
    ck_assert_ptr_nonnull(
        strstr(render(PROM_OPENMETRICS, 1),
               "le=\"+Inf\"} 1 # {trace_id=\"01000000000000000000000000000000\"} 7 1.000\n"));
    ck_assert(series_expire(&ms.st, s));
    store_commit(&ms.st);
    const struct series_ask ask = {
        .labels = STR("a=\"2\""), .metric = 1, .now = {.mono = 1, .wall = 5 * NS_PER_S}};
    uint32_t other = 0;
    ck_assert_int_eq(series_make(&ms.st, &ask, &other), 0);
    store_commit(&ms.st);
    ck_assert_uint_eq(other, s);
    ck_assert_ptr_null(strstr(render(PROM_OPENMETRICS, 1), "trace_id"));
}
END_TEST

START_TEST(an_empty_store_is_an_empty_page)
{
    check_page(PROM_TEXT, "");
    check_page(PROM_OPENMETRICS, "# EOF\n");
}
END_TEST

START_TEST(a_counter_in_both_formats)
{
    counter("tool.calls", "service=\"a\",tool=\"x\"", 3);
    counter("tool.calls", "service=\"a\",tool=\"y\"", UINT64_MAX);
    check_page(PROM_TEXT, "# HELP tool_calls_total Some help.\n"
                          "# TYPE tool_calls_total counter\n"
                          "tool_calls_total{service=\"a\",tool=\"x\"} 3\n"
                          "tool_calls_total{service=\"a\",tool=\"y\"} 18446744073709551615\n");
    check_page(PROM_OPENMETRICS, "# HELP tool_calls Some help.\n"
                                 "# TYPE tool_calls counter\n"
                                 "tool_calls_total{service=\"a\",tool=\"x\"} 3\n"
                                 "tool_calls_created{service=\"a\",tool=\"x\"} 1700000000.250\n"
                                 "tool_calls_total{service=\"a\",tool=\"y\"} 18446744073709551615\n"
                                 "tool_calls_created{service=\"a\",tool=\"y\"} 1700000000.250\n"
                                 "# EOF\n");
}
END_TEST

/* A number of each kind, as the store has it and as a page has it. */
struct shown {
    uint64_t bits;
    const char *text;
};

static const struct shown wholes[] = {
    {0, "0"},
    {1, "1"},
    {9, "9"},
    {10, "10"},
    {99, "99"},
    {100, "100"},
    {9999, "9999"},
    {10000, "10000"},
    {10001, "10001"},
    {99999999, "99999999"},
    {100000000, "100000000"},
    {UINT64_C(10000000000000000), "10000000000000000"},
    {UINT64_C(9999999999999999999), "9999999999999999999"},
    {UINT64_C(10000000000000000000), "10000000000000000000"},
    {UINT64_MAX, "18446744073709551615"},
};

/* Of doubles the bits. */
static const struct shown doubles[] = {
    {0, "0"},
    {UINT64_C(0x8000000000000000), "0"},
    {UINT64_C(0x3ff0000000000000), "1"},
    {UINT64_C(0xbff0000000000000), "-1"},
    {UINT64_C(0x3fb999999999999a), "0.1"},
    {UINT64_C(0xc09348a3d70a3d71), "-1234.16"},
    {UINT64_C(0x433fffffffffffff), "9007199254740991"},
    {UINT64_C(0x43f0000000000000), "1.8446744073709552e+19"},
    {UINT64_C(0x7fefffffffffffff), "1.7976931348623157e+308"},
    {1, "5e-324"},
    {UINT64_C(0x7ff0000000000000), "+Inf"},
    {UINT64_C(0xfff0000000000000), "-Inf"},
    {UINT64_C(0x7ff8000000000000), "NaN"},
};

/* Labels of every length up to 200, by number: from none to more than a copy takes at a time. */
static void labels_of(char *to, size_t size, unsigned i)
{
    const int n = (int)(i * 7 % 200);
    *to = '\0';
    if (n == 0)
        return;
    snprintf(to, size, "i=\"%u%.*s\"", i, n,
             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
}

/* Every third one is dormant: it has an id, and nothing to show. */
static void add_numbers(const struct metric_def *def, const struct shown *values, size_t n)
{
    const uint32_t m = memory_store_metric(&ms, def, false);
    char labels[256];
    for (unsigned i = 0; i < 200; i++) {
        struct series_view s = {0};
        labels_of(labels, sizeof labels, i);
        const uint32_t id = memory_store_series(&ms, m, labels);
        ck_assert(series_read(&ms.st, id, &s));
        store_set(&ms.st, s.cells, values[i % n].bits);
        series_hold(&ms.st, id);
        ck_assert(i % 3 != 1 || !series_expire(&ms.st, id));
        store_commit(&ms.st);
    }
}

static void expect_numbers(struct buf *to, const char *head, const char *sample,
                           const char *created, const struct shown *values, size_t n)
{
    char labels[256];
    buf_adds(to, head);
    for (unsigned i = 0; i < 200; i++) {
        labels_of(labels, sizeof labels, i);
        const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
        if (i % 3 == 1)
            continue;
        buf_addf(to, "%s%s%s%s %s\n", sample, open, labels, close, values[i % n].text);
        if (created)
            buf_addf(to, "%s%s%s%s 1700000000.250\n", created, open, labels, close);
    }
}

START_TEST(numbers_of_all_kinds_and_lengths)
{
    enum { WHOLES = sizeof wholes / sizeof *wholes, DOUBLES = sizeof doubles / sizeof *doubles };
    const struct metric_def defs[] = {
        {.name = STR("c"), .kind = METRIC_COUNTER, .type = VALUE_U64},
        {.name = STR("a.counter.whose.name.takes.more.than.one.step.of.a.copy"),
         .kind = METRIC_COUNTER,
         .type = VALUE_F64},
        {.name = STR("g"), .kind = METRIC_GAUGE, .type = VALUE_F64},
    };
    static const char name[] = "a_counter_whose_name_takes_more_than_one_step_of_a_copy";
    char head[100], sample[100], created[100];
    add_numbers(&defs[0], wholes, WHOLES);
    add_numbers(&defs[1], doubles, DOUBLES);
    add_numbers(&defs[2], doubles, DOUBLES);
    for (enum prom_format format = PROM_TEXT; format <= PROM_OPENMETRICS; format++) {
        const bool open = format == PROM_OPENMETRICS;
        struct buf expected;
        buf_init(&expected, 1 << 20);
        snprintf(head, sizeof head, "# TYPE %s%s counter\n", name, open ? "" : "_total");
        snprintf(sample, sizeof sample, "%s_total", name);
        snprintf(created, sizeof created, "%s_created", name);
        expect_numbers(&expected, open ? "# TYPE c counter\n" : "# TYPE c_total counter\n",
                       "c_total", open ? "c_created" : NULL, wholes, WHOLES);
        expect_numbers(&expected, head, sample, open ? created : NULL, doubles, DOUBLES);
        expect_numbers(&expected, "# TYPE g gauge\n", "g", NULL, doubles, DOUBLES);
        buf_adds(&expected, open ? "# EOF\n" : "");
        buf_addc(&expected, '\0');
        check_page(format, expected.p);
        buf_fini(&expected);
    }
}
END_TEST

START_TEST(a_gauge_with_a_unit_and_no_labels)
{
    const struct metric_def def = {.name = STR("queue.age"),
                                   .unit = STR("s"),
                                   .help = STR("A \"quoted\" \\ help\nof two lines."),
                                   .kind = METRIC_GAUGE,
                                   .type = VALUE_F64};
    const uint32_t s = memory_store_series(&ms, memory_store_metric(&ms, &def, false), "");
    memory_store_update(&ms, s, 0, f64_bits(-0.25));
    check_page(PROM_TEXT, "# HELP queue_age_seconds A \"quoted\" \\\\ help\\nof two lines.\n"
                          "# TYPE queue_age_seconds gauge\n"
                          "queue_age_seconds -0.25\n");
    check_page(PROM_OPENMETRICS,
               "# HELP queue_age_seconds A \\\"quoted\\\" \\\\ help\\nof two lines.\n"
               "# TYPE queue_age_seconds gauge\n"
               "# UNIT queue_age_seconds seconds\n"
               "queue_age_seconds -0.25\n"
               "# EOF\n");
}
END_TEST

START_TEST(a_unit_that_is_no_suffix_is_not_told)
{
    const struct metric_def def = {
        .name = STR("errors"), .unit = STR("1"), .kind = METRIC_COUNTER, .type = VALUE_U64};
    memory_store_series(&ms, memory_store_metric(&ms, &def, false), "");
    check_page(PROM_OPENMETRICS, "# TYPE errors counter\n"
                                 "errors_total 0\n"
                                 "errors_created 1700000000.250\n"
                                 "# EOF\n");
}
END_TEST

static uint32_t histogram(const char *name, unsigned flags, double b0, double b1)
{
    const struct metric_def def = {.name = str_of(name),
                                   .kind = METRIC_HISTOGRAM,
                                   .type = VALUE_F64,
                                   .flags = flags,
                                   .nbounds = 2,
                                   .bounds = {b0, b1}};
    return memory_store_metric(&ms, &def, false);
}

START_TEST(histogram_buckets_add_up)
{
    const uint32_t s = memory_store_series(&ms, histogram("h", 0, 0.5, 1), "service=\"a\"");
    const double values[] = {0.25, 0.5, 0.75, 8};
    for (size_t i = 0; i < 4; i++)
        memory_store_update(&ms, s, 0, f64_bits(values[i]));
    check_page(PROM_TEXT, "# TYPE h histogram\n"
                          "h_bucket{service=\"a\",le=\"0.5\"} 2\n"
                          "h_bucket{service=\"a\",le=\"1.0\"} 3\n"
                          "h_bucket{service=\"a\",le=\"+Inf\"} 4\n"
                          "h_sum{service=\"a\"} 9.5\n"
                          "h_count{service=\"a\"} 4\n");
    check_page(PROM_OPENMETRICS, "# TYPE h histogram\n"
                                 "h_bucket{service=\"a\",le=\"0.5\"} 2\n"
                                 "h_bucket{service=\"a\",le=\"1.0\"} 3\n"
                                 "h_bucket{service=\"a\",le=\"+Inf\"} 4\n"
                                 "h_sum{service=\"a\"} 9.5\n"
                                 "h_count{service=\"a\"} 4\n"
                                 "h_created{service=\"a\"} 1700000000.250\n"
                                 "# EOF\n");
}
END_TEST

START_TEST(openmetrics_has_no_sum_over_negative_buckets)
{
    memory_store_series(&ms, histogram("h", 0, -1, 1), "");
    check_page(PROM_OPENMETRICS, "# TYPE h histogram\n"
                                 "h_bucket{le=\"-1.0\"} 0\n"
                                 "h_bucket{le=\"1.0\"} 0\n"
                                 "h_bucket{le=\"+Inf\"} 0\n"
                                 "h_created 1700000000.250\n"
                                 "# EOF\n");
    ck_assert_ptr_nonnull(strstr(render(PROM_TEXT, 9), "h_sum 0\nh_count 0\n"));
}
END_TEST

START_TEST(a_summary_has_quantiles)
{
    const struct metric_def def = {
        .name = STR("wait"), .unit = STR("s"), .kind = METRIC_SUMMARY, .type = VALUE_F64};
    const uint32_t m = memory_store_metric(&ms, &def, false);
    memory_store_series(&ms, m, "service=\"a\"");
    check_page(PROM_TEXT, "# TYPE wait_seconds summary\n"
                          "wait_seconds{service=\"a\",quantile=\"0.5\"} NaN\n"
                          "wait_seconds{service=\"a\",quantile=\"0.9\"} NaN\n"
                          "wait_seconds{service=\"a\",quantile=\"0.95\"} NaN\n"
                          "wait_seconds{service=\"a\",quantile=\"0.99\"} NaN\n"
                          "wait_seconds_sum{service=\"a\"} 0\n"
                          "wait_seconds_count{service=\"a\"} 0\n");
}
END_TEST

START_TEST(quantiles_of_a_histogram_are_a_family_of_their_own)
{
    const uint32_t m = histogram("h", METRIC_QUANTILES, 1, 2);
    memory_store_update(&ms, memory_store_series(&ms, m, "i=\"1\""), 0, f64_bits(1.0));
    memory_store_series(&ms, m, "i=\"2\"");
    const char *text = render(PROM_TEXT, 1);
    const char *second = strstr(text, "# TYPE h_quantile summary\n");
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_null(strstr(second, "h_bucket"));
    ck_assert_ptr_nonnull(strstr(second, "h_quantile{i=\"1\",quantile=\"0.99\"} "));
    ck_assert_ptr_null(strstr(text, "i=\"2\",quantile"));
}
END_TEST

START_TEST(a_joined_gauge_without_sessions_is_left_out)
{
    const struct metric_def def = {
        .name = STR("busy"), .kind = METRIC_GAUGE, .type = VALUE_U64, .join = JOIN_SUM};
    const uint32_t s = memory_store_series(&ms, memory_store_metric(&ms, &def, false), "");
    check_page(PROM_TEXT, "");
    const uint8_t id[16] = {1};
    const struct session_ask ask = {.id = id,
                                    .service = STR("a"),
                                    .instance = STR(""),
                                    .agent = STR(""),
                                    .now = memory_store_now};
    const uint32_t session = session_make(&ms.st, &ask);
    store_commit(&ms.st);
    memory_store_update(&ms, s, session, 7);
    check_page(PROM_TEXT, "# TYPE busy gauge\nbusy 7\n");
}
END_TEST

START_TEST(a_dormant_series_is_left_out)
{
    const uint32_t s = counter("gone", "", 1);
    series_hold(&ms.st, s);
    ck_assert(!series_expire(&ms.st, s));
    store_commit(&ms.st);
    check_page(PROM_TEXT, "");
}
END_TEST

START_TEST(own_metrics_come_first_and_in_one_slice)
{
    counter("a", "", 1);
    const struct metric_def own = {
        .name = STR("mcptally_x"), .kind = METRIC_COUNTER, .type = VALUE_U64};
    const uint32_t m = memory_store_metric(&ms, &own, true);
    memory_store_series(&ms, m, "i=\"1\"");
    memory_store_series(&ms, m, "i=\"2\"");
    const struct prom_share least = {.lines = 1, .bytes = 1};
    struct prom_page at;
    prom_begin(&at, &ms.st, PROM_TEXT, 0);
    ck_assert(prom_step(&at, &page, &least));
    buf_addc(&page, '\0');
    ck_assert_str_eq(page.p, "# TYPE mcptally_x_total counter\n"
                             "mcptally_x_total{i=\"1\"} 0\n"
                             "mcptally_x_total{i=\"2\"} 0\n");
}
END_TEST

START_TEST(info_is_a_gauge_in_text_and_an_info_in_openmetrics)
{
    const struct metric_def def = {
        .name = STR("target_info"), .help = STR("H."), .kind = METRIC_GAUGE, .type = VALUE_U64};
    const uint32_t s =
        memory_store_series(&ms, memory_store_metric(&ms, &def, true), "host_name=\"n\"");
    memory_store_update(&ms, s, 0, 1);
    check_page(PROM_TEXT, "# HELP target_info H.\n"
                          "# TYPE target_info gauge\n"
                          "target_info{host_name=\"n\"} 1\n");
    check_page(PROM_OPENMETRICS, "# HELP target H.\n"
                                 "# TYPE target info\n"
                                 "target_info{host_name=\"n\"} 1\n"
                                 "# EOF\n");
}
END_TEST

/* The slices of a page of 5,000 series, none of which is above either bound by more than one
 * series and the head of its family. */
static unsigned bounded_slices(const struct prom_share *share, size_t series_bytes)
{
    struct prom_page at;
    unsigned slices = 0;
    prom_begin(&at, &ms.st, PROM_TEXT, 0);
    for (bool more = true; more; slices++) {
        buf_reset(&page);
        more = prom_step(&at, &page, share);
        size_t lines = 0;
        for (size_t i = 0; i < page.n; i++)
            lines += page.p[i] == '\n';
        ck_assert_uint_le(lines, share->lines + 2);
        ck_assert_uint_le(page.n, share->bytes + series_bytes + 64);
    }
    return slices;
}

START_TEST(a_slice_is_bounded)
{
    char labels[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(labels, sizeof labels, "i=\"%04d\"", i);
        counter("many", labels, 1);
    }
    enum { LINE = sizeof "many_total{i=\"0000\"} 1" };
    const struct prom_share by_lines = {.lines = 256, .bytes = 1 << 20};
    const struct prom_share by_bytes = {.lines = 5000, .bytes = 1000};
    ck_assert_uint_ge(bounded_slices(&by_lines, LINE), 5000 / 256);
    ck_assert_uint_ge(bounded_slices(&by_bytes, LINE), 5000 * LINE / (1000 + LINE));
}
END_TEST

START_TEST(lines_of_a_histogram_are_its_work)
{
    char labels[32];
    for (int i = 0; i < 200; i++) {
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        two_buckets(labels);
    }
    const struct prom_share share = {.lines = 40, .bytes = 1 << 20};
    ck_assert_uint_ge(bounded_slices(&share, 200), 4 * 200 / 42);
}
END_TEST

START_TEST(what_is_not_shown_is_work_too)
{
    for (int i = 0; i < 1000; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        const uint32_t s = counter("many", labels, 1);
        series_hold(&ms.st, s);
        ck_assert(!series_expire(&ms.st, s));
    }
    store_commit(&ms.st);
    const struct prom_share share = {.lines = 100, .bytes = 1 << 20};
    ck_assert_uint_ge(bounded_slices(&share, 0), 1000 / 100);
    ck_assert_uint_eq(page.n, 0);
}
END_TEST

START_TEST(a_full_buffer_shows)
{
    counter("tool.calls", "service=\"a\"", 3);
    struct buf small;
    buf_init(&small, 16);
    const struct prom_share share = {.lines = 100, .bytes = 1000};
    struct prom_page at;
    prom_begin(&at, &ms.st, PROM_TEXT, 0);
    while (prom_step(&at, &small, &share))
        ;
    ck_assert(small.failed);
    ck_assert_uint_le(small.n, 16);
    buf_fini(&small);
}
END_TEST

/* What follows a series in its metric's list, in a store that is damaged. */
static void set_next(uint32_t series, uint32_t next)
{
    struct series_rec *r = table_get(&ms.st, TABLE_SERIES, series);
    r->links = next | r->links >> SERIES_HIGH_SHIFT << SERIES_HIGH_SHIFT;
}

static unsigned occurrences(const char *text)
{
    unsigned n = 0;
    for (const char *p = page.p; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

/* Once more than there are records, and to the end of a run of those that are read together. */
START_TEST(a_list_that_loops_comes_to_an_end)
{
    enum { RECORDS = 4, RUN = 12 };
    const uint32_t first = counter("c", "i=\"1\"", 1), second = counter("c", "i=\"2\"", 1);
    counter("d", "i=\"1\"", 1);
    set_next(second, first);
    for (unsigned lines = 1; lines < 100; lines += 98) {
        const struct prom_share share = {.lines = lines, .bytes = 1 << 20};
        struct prom_page at;
        buf_reset(&page);
        prom_begin(&at, &ms.st, PROM_TEXT, memory_store_now.mono);
        for (unsigned steps = 0; prom_step(&at, &page, &share); steps++)
            ck_assert_uint_lt(steps, 100);
        buf_addc(&page, '\0');
        ck_assert_uint_ge(occurrences("c_total{i=\"2\"} 1\n"), 1);
        ck_assert_uint_le(occurrences("c_total{"), RECORDS + 1 + RUN);
        ck_assert_uint_eq(occurrences("d_total{"), 1);
    }
}
END_TEST

START_TEST(a_list_does_not_lead_into_another)
{
    const uint32_t c = counter("c", "i=\"1\"", 1);
    set_next(c, counter("d", "i=\"1\"", 1));
    render(PROM_TEXT, 100);
    ck_assert_uint_eq(occurrences("c_total{"), 1);
    ck_assert_uint_eq(occurrences("d_total{"), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("prom");
    TCase *t = tcase_create("page");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_empty_store_is_an_empty_page);
    tcase_add_test(t, the_newest_exemplar_of_a_bucket_is_shown_in_openmetrics);
    tcase_add_test(t, an_exemplar_ends_with_its_series);
    tcase_add_test(t, a_counter_in_both_formats);
    tcase_add_test(t, numbers_of_all_kinds_and_lengths);
    tcase_add_test(t, a_gauge_with_a_unit_and_no_labels);
    tcase_add_test(t, a_unit_that_is_no_suffix_is_not_told);
    tcase_add_test(t, histogram_buckets_add_up);
    tcase_add_test(t, openmetrics_has_no_sum_over_negative_buckets);
    tcase_add_test(t, a_summary_has_quantiles);
    tcase_add_test(t, quantiles_of_a_histogram_are_a_family_of_their_own);
    tcase_add_test(t, a_joined_gauge_without_sessions_is_left_out);
    tcase_add_test(t, a_dormant_series_is_left_out);
    tcase_add_test(t, own_metrics_come_first_and_in_one_slice);
    tcase_add_test(t, info_is_a_gauge_in_text_and_an_info_in_openmetrics);
    tcase_add_test(t, a_slice_is_bounded);
    tcase_add_test(t, lines_of_a_histogram_are_its_work);
    tcase_add_test(t, what_is_not_shown_is_work_too);
    tcase_add_test(t, a_full_buffer_shows);
    tcase_add_test(t, a_list_that_loops_comes_to_an_end);
    tcase_add_test(t, a_list_does_not_lead_into_another);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
