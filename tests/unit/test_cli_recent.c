/* The exact durations that top takes from spans. */
#include "cli/recent.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "file_store.h"

static struct recent recent;
static struct file_store f;
static struct view v;
static struct feed feed;

static void setup(void)
{
    file_store_init(&f);
}

static void teardown(void)
{
    recent_fini(&recent);
    view_close(&v);
    file_store_fini(&f);
}

static void attr(struct event *e, const char *key, const char *value)
{
    if (value)
        e->attrs[e->nattrs++] =
            (struct attr){.key = str_of(key), .type = ATTR_STRING, .s = str_of(value)};
}

/* A span of an operation; tool may be NULL. */
static const struct event *span(enum span_kind kind, const char *method, const char *tool,
                                uint64_t lasted)
{
    static struct event e;
    e = (struct event){.kind = EVENT_SPAN, .time = 1000, .name = STR("x"), .span_kind = kind};
    e.end = e.time + lasted;
    e.trace.trace_id[0] = e.trace.span_id[0] = 1;
    attr(&e, "mcp.method.name", method);
    attr(&e, "gen_ai.tool.name", tool);
    e.all_attrs = e.nattrs;
    return &e;
}

static void call(uint64_t received, uint64_t lasted)
{
    ck_assert_int_eq(
        recent_add(&recent, STR("ev"), received, span(SPAN_SERVER, "tools/call", "echo", lasted)),
        0);
}

static struct sheet_row filled(const char *service, const char *method, const char *tool,
                               bool client)
{
    struct sheet_row row = {.section = *method ? SHEET_OPERATIONS : SHEET_SERVERS};
    row.service = str_of(service);
    row.name = str_of(method);
    row.detail = str_of(tool);
    row.client = client;
    for (int q = 0; q < SHEET_QUANTILES; q++)
        row.quantile[q] = NAN;
    struct sheet s = {.rows = &row, .n = 1};
    recent_fill(&recent, &s);
    return row;
}

START_TEST(exact)
{
    for (unsigned i = 100; i > 0; i--)
        call(5, i * NS_PER_MS);
    const struct sheet_row row = filled("ev", "tools/call", "echo", false);
    ck_assert_uint_eq(row.spans, 100);
    ck_assert_double_eq_tol(row.quantile[SHEET_P50], 0.050, 1e-12);
    ck_assert_double_eq_tol(row.quantile[SHEET_P95], 0.095, 1e-12);
    ck_assert_double_eq_tol(row.quantile[SHEET_P99], 0.099, 1e-12);
}
END_TEST

START_TEST(one_span_is_every_quantile)
{
    call(5, NS_PER_MS);
    const struct sheet_row row = filled("ev", "tools/call", "echo", false);
    for (int q = 0; q < SHEET_QUANTILES; q++)
        ck_assert_double_eq(row.quantile[q], 0.001);
}
END_TEST

START_TEST(servers_sides_and_operations_apart)
{
    call(5, 1);
    ck_assert_int_eq(
        recent_add(&recent, STR("ev"), 5, span(SPAN_SERVER, "tools/list", NULL, 3 * NS_PER_S)), 0);
    ck_assert_int_eq(
        recent_add(&recent, STR("ev"), 5, span(SPAN_CLIENT, "roots/list", NULL, 7 * NS_PER_S)), 0);
    ck_assert_int_eq(
        recent_add(&recent, STR("b"), 5, span(SPAN_SERVER, "tools/list", NULL, 9 * NS_PER_S)), 0);
    ck_assert_uint_eq(filled("ev", "", "", false).spans, 2);
    ck_assert_double_eq(filled("ev", "", "", true).quantile[SHEET_P50], 7);
    ck_assert_double_eq(filled("ev", "tools/list", "", false).quantile[SHEET_P50], 3);
    ck_assert_double_eq(filled("b", "tools/list", "", false).quantile[SHEET_P50], 9);
    ck_assert_uint_eq(filled("b", "tools/call", "echo", false).spans, 0);
    ck_assert(isnan(filled("b", "tools/call", "echo", false).quantile[SHEET_P50]));
}
END_TEST

START_TEST(leaves_out_what_is_no_operation)
{
    recent_add(&recent, STR("ev"), 5, span(SPAN_SERVER, NULL, NULL, 1));
    recent_add(&recent, STR("ev"), 5, span(SPAN_INTERNAL, "tools/list", NULL, 1));
    recent_add(&recent, STR("ev"), 5, span(SPAN_SERVER, "subscriptions/listen", NULL, 1));
    ck_assert_uint_eq(recent.n, 0);
}
END_TEST

START_TEST(the_newest_count)
{
    for (unsigned i = 0; i < RECENT_SPANS; i++)
        call(5, NS_PER_S);
    ck_assert_double_eq(filled("ev", "", "", false).quantile[SHEET_P50], 1);
    for (unsigned i = 0; i < RECENT_SPANS; i++)
        call(6, 2 * NS_PER_S);
    const struct sheet_row row = filled("ev", "", "", false);
    ck_assert_uint_eq(row.spans, RECENT_SPANS);
    ck_assert_double_eq(row.quantile[SHEET_P50], 2);
}
END_TEST

START_TEST(the_old_do_not)
{
    call(5, NS_PER_S);
    call(5 + RECENT_SECONDS * NS_PER_S, 2 * NS_PER_S);
    ck_assert_uint_eq(filled("ev", "", "", false).spans, 2);
    call(6 + RECENT_SECONDS * NS_PER_S, 3 * NS_PER_S);
    ck_assert_uint_eq(filled("ev", "", "", false).spans, 2);
    ck_assert_double_eq(filled("ev", "", "", false).quantile[SHEET_P50], 2);
}
END_TEST

START_TEST(so_many_operations_and_no_more)
{
    char name[32];
    for (unsigned i = 0; i < RECENT_WINDOWS + 100; i++) {
        snprintf(name, sizeof name, "tool-%u", i);
        ck_assert_int_eq(
            recent_add(&recent, STR("ev"), i, span(SPAN_SERVER, "tools/call", name, 1)), 0);
        ck_assert_uint_le(recent.n, RECENT_WINDOWS);
    }
    ck_assert_uint_eq(filled("ev", "tools/call", "tool-0", false).spans, 0);
    ck_assert_uint_eq(filled("ev", "tools/call", name, false).spans, 1);
    ck_assert_uint_eq(filled("ev", "", "", false).spans, RECENT_SPANS);
}
END_TEST

static void append(uint64_t lasted)
{
    ring_make_room(&f.st, RING_SPANS);
    file_store_append(&f, span(SPAN_SERVER, "tools/call", "echo", lasted), "ev");
    store_commit(&f.st);
}

START_TEST(reads_the_ring_once)
{
    append(NS_PER_MS);
    file_store_log(&f, "no span");
    file_store_span(&f, "no operation");
    ck_assert_int_eq(view_open(&v, f.path), 0);
    feed_init(&feed, &v);
    feed_only(&feed, RING_SPANS);
    for (unsigned i = 1; i <= 3; i++) {
        feed_refresh(&feed);
        ck_assert_int_eq(recent_read(&recent, &feed, 100), 0);
        ck_assert_uint_eq(filled("ev", "tools/call", "echo", false).spans, i);
        append(NS_PER_MS);
    }
    feed_refresh(&feed);
    ck_assert_uint_eq(feed_next(&feed)->kind, EVENT_SPAN);
    ck_assert_ptr_null(feed_next(&feed)); /* the log record is of the other ring */
}
END_TEST

START_TEST(reads_so_many_at_a_time)
{
    for (unsigned i = 0; i < 5; i++)
        append(NS_PER_MS);
    ck_assert_int_eq(view_open(&v, f.path), 0);
    feed_init(&feed, &v);
    feed_only(&feed, RING_SPANS);
    ck_assert_int_eq(recent_read(&recent, &feed, 3), 1);
    ck_assert_uint_eq(filled("ev", "", "", false).spans, 3);
    ck_assert_int_eq(recent_read(&recent, &feed, 3), 0);
    ck_assert_uint_eq(filled("ev", "", "", false).spans, 5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/recent");
    TCase *c = tcase_create("recent");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, exact);
    tcase_add_test(c, one_span_is_every_quantile);
    tcase_add_test(c, servers_sides_and_operations_apart);
    tcase_add_test(c, leaves_out_what_is_no_operation);
    tcase_add_test(c, the_newest_count);
    tcase_add_test(c, the_old_do_not);
    tcase_add_test(c, so_many_operations_and_no_more);
    tcase_add_test(c, reads_the_ring_once);
    tcase_add_test(c, reads_so_many_at_a_time);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
