/* What top takes out of a store, and how it shows it. */
#include "cli/sheet.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "cli/board.h"
#include "memory_store.h"

static struct memory_store ms;
static uint32_t operations, cost;

static struct metric_def definition(const char *name, const char *unit, enum metric_kind kind,
                                    enum value_type type)
{
    struct metric_def def = {.name = str_of(name), .unit = str_of(unit), .kind = kind};
    def.type = type;
    if (kind == METRIC_HISTOGRAM) {
        def.nbounds = 3;
        def.bounds[0] = 0.1;
        def.bounds[1] = 1;
        def.bounds[2] = 10;
    }
    return def;
}

static void setup(void)
{
    struct metric_def def;
    memory_store_init(&ms);
    def = definition("mcp.server.operation.duration", "s", METRIC_HISTOGRAM, VALUE_F64);
    operations = memory_store_metric(&ms, &def, false);
    def = definition("llm.cost", "", METRIC_COUNTER, VALUE_F64);
    cost = memory_store_metric(&ms, &def, false);
}

static void teardown(void)
{
    memory_store_fini(&ms);
}

static void observe(const char *labels, double seconds, unsigned times)
{
    const uint32_t s = memory_store_series(&ms, operations, labels);
    while (times--)
        memory_store_update(&ms, s, 0, f64_bits(seconds));
}

static void spend(const char *labels, double v)
{
    memory_store_update(&ms, memory_store_series(&ms, cost, labels), 0, f64_bits(v));
}

static void take(struct sheet *s, unsigned seconds)
{
    const struct when now = {memory_store_now.mono + seconds * NS_PER_S,
                             memory_store_now.wall + seconds * NS_PER_S};
    ck_assert_int_eq(sheet_take(s, &ms.st, now, false), 0);
}

#define ECHO   "gen_ai_tool_name=\"echo\",mcp_method_name=\"tools/call\",service_name=\"ev\""
#define FAILED "error_type=\"tool_error\"," ECHO
#define LIST   "mcp_method_name=\"tools/list\",service_name=\"ev\""

START_TEST(series_of_an_operation_are_one_row)
{
    struct sheet s;
    observe(ECHO, 0.05, 6);
    observe(FAILED, 5, 2);
    observe(LIST, 0.5, 1);
    take(&s, 0);
    ck_assert_uint_eq(s.n, 3);
    ck_assert_int_eq(s.rows[0].section, SHEET_SERVERS);
    ck_assert(str_eq(s.rows[0].service, STR("ev")));
    ck_assert_uint_eq(s.rows[0].calls, 9);
    ck_assert_uint_eq(s.rows[0].errors, 2);
    ck_assert_int_eq(s.rows[1].section, SHEET_OPERATIONS);
    ck_assert(str_eq(s.rows[1].name, STR("tools/call")));
    ck_assert(str_eq(s.rows[1].detail, STR("echo")));
    ck_assert_uint_eq(s.rows[1].calls, 8);
    ck_assert_uint_eq(s.rows[1].errors, 2);
    ck_assert_uint_eq(s.rows[1].buckets[0], 6);
    ck_assert_uint_eq(s.rows[1].buckets[2], 2);
    ck_assert(str_eq(s.rows[2].name, STR("tools/list")));
    ck_assert_uint_eq(s.rows[2].detail.n, 0);
    sheet_fini(&s);
}
END_TEST

START_TEST(other_metrics_keep_their_labels)
{
    struct sheet s;
    spend("model=\"a \\\"b\\\"\",service_name=\"app\"", 1.5);
    take(&s, 0);
    ck_assert_uint_eq(s.n, 1);
    ck_assert_int_eq(s.rows[0].section, SHEET_COUNTERS);
    ck_assert(str_eq(s.rows[0].service, STR("app")));
    ck_assert(str_eq(s.rows[0].name, STR("llm_cost")));
    ck_assert(str_eq(s.rows[0].detail, STR("model=\"a \\\"b\\\"\"")));
    ck_assert_double_eq(s.rows[0].sum, 1.5);
    sheet_fini(&s);
}
END_TEST

START_TEST(knows_what_is_in_flight)
{
    struct sheet s;
    struct metric_def def =
        definition("mcptally.wrapper.requests.in_flight", "", METRIC_GAUGE, VALUE_F64);
    const uint32_t gauge = memory_store_metric(&ms, &def, false);
    observe(ECHO, 0.05, 1);
    for (int client = 0; client < 2; client++)
        memory_store_update(&ms,
                            memory_store_series(&ms, gauge,
                                                client ? "service_name=\"ev\",side=\"client\""
                                                       : "service_name=\"ev\",side=\"server\""),
                            0, f64_bits(client ? 7 : 3));
    take(&s, 0);
    ck_assert_uint_eq(s.n, 3);
    ck_assert_double_eq(s.rows[0].in_flight, 3);
    ck_assert(s.rows[1].client);
    ck_assert_double_eq(s.rows[1].in_flight, 7);
    ck_assert(isnan(s.rows[2].in_flight));
    sheet_fini(&s);
}
END_TEST

START_TEST(leaves_out_what_is_its_own)
{
    struct sheet s;
    struct metric_def def = definition("mcptally.wrapper.exits", "", METRIC_COUNTER, VALUE_U64);
    memory_store_update(&ms, memory_store_series(&ms, memory_store_metric(&ms, &def, false), ""), 0,
                        1);
    def = definition("mcptally_mine", "", METRIC_COUNTER, VALUE_U64);
    memory_store_update(&ms, memory_store_series(&ms, memory_store_metric(&ms, &def, true), ""), 0,
                        1);
    take(&s, 0);
    ck_assert_uint_eq(s.n, 0);
    sheet_fini(&s);
    ck_assert_int_eq(sheet_take(&s, &ms.st, memory_store_now, true), 0);
    ck_assert_uint_eq(s.n, 2);
    sheet_fini(&s);
}
END_TEST

START_TEST(rates_need_two_sheets)
{
    struct sheet first, second;
    observe(ECHO, 0.05, 10);
    spend("service_name=\"app\"", 1);
    take(&first, 0);
    observe(ECHO, 5, 4);
    observe(LIST, 0.5, 2);
    spend("service_name=\"app\"", 3);
    take(&second, 2);
    struct sheet_line *one = sheet_lines(&first, NULL, SHEET_BY_NAME);
    ck_assert(isnan(one[0].rate));
    ck_assert_double_lt(one[0].quantile[SHEET_P99], 0.1);
    struct sheet_line *two = sheet_lines(&second, &first, SHEET_BY_NAME);
    ck_assert_double_eq(two[0].rate, 3);                /* the server: 6 calls in 2 s */
    ck_assert_double_eq(two[1].rate, 2);                /* echo */
    ck_assert_double_gt(two[1].quantile[SHEET_P50], 1); /* only the new ones count */
    ck_assert_double_eq(two[2].rate, 1);                /* a row that was not there before */
    ck_assert_double_eq(two[3].rate, 1.5);              /* a counter */
    free(one);
    free(two);
    sheet_fini(&first);
    sheet_fini(&second);
}
END_TEST

START_TEST(failures_are_of_the_interval)
{
    struct sheet first, second, third;
    observe(ECHO, 0.05, 1);
    observe(FAILED, 0.05, 3);
    take(&first, 0);
    observe(ECHO, 0.05, 4);
    take(&second, 1);
    take(&third, 2);
    struct sheet_line *l = sheet_lines(&first, NULL, SHEET_BY_NAME);
    ck_assert_double_eq(l[0].failed, 0.75);
    free(l);
    l = sheet_lines(&second, &first, SHEET_BY_NAME);
    ck_assert_double_eq(l[0].failed, 0);
    free(l);
    l = sheet_lines(&third, &second, SHEET_BY_NAME);
    ck_assert_double_eq(l[0].rate, 0);
    ck_assert_double_eq(l[0].failed, 0.375); /* nothing new: since the beginning */
    free(l);
    sheet_fini(&first);
    sheet_fini(&second);
    sheet_fini(&third);
}
END_TEST

START_TEST(sorts_within_sections)
{
    struct sheet s;
    observe(LIST, 5, 1);
    observe(ECHO, 0.05, 7);
    spend("service_name=\"x\"", 1);
    spend("service_name=\"y\"", 2);
    take(&s, 0);
    struct sheet_line *l = sheet_lines(&s, NULL, SHEET_BY_CALLS);
    ck_assert(str_eq(l[1].row->name, STR("tools/call")));
    ck_assert(str_eq(l[3].row->service, STR("y")));
    free(l);
    l = sheet_lines(&s, NULL, SHEET_BY_RATE); /* there are none yet */
    ck_assert(str_eq(l[1].row->name, STR("tools/call")));
    free(l);
    l = sheet_lines(&s, NULL, SHEET_BY_P95);
    ck_assert(str_eq(l[1].row->name, STR("tools/list")));
    free(l);
    ck_assert_int_eq(sheet_order_of("in-flight"), SHEET_BY_FLIGHT);
    ck_assert_int_eq(sheet_order_of("nonsense"), -ERR_NOTFOUND);
    sheet_fini(&s);
}
END_TEST

START_TEST(at_most_so_many_rows)
{
    struct sheet s;
    char labels[64];
    for (int i = 0; i < SHEET_ROWS_MAX + 10; i++) {
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        spend(labels, 1);
    }
    take(&s, 0);
    ck_assert_uint_eq(s.n, SHEET_ROWS_MAX);
    ck_assert_uint_eq(s.left_out, 10);
    sheet_fini(&s);
}
END_TEST

/* Draws a sheet; every line is at most so wide, and there are at most so many. */
static void assert_fits(const struct sheet *s, unsigned columns, unsigned lines)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    struct sheet_line *rows = sheet_lines(s, NULL, SHEET_BY_CALLS);
    const struct board b = {
        .columns = columns, .lines = lines, .order = "calls", .now = s, .rows = rows};
    board_text(&text, &b);
    ck_assert(!text.failed);
    unsigned n = 0;
    for (size_t at = 0; at < text.n; n++) {
        const char *end = memchr(text.p + at, '\n', text.n - at);
        ck_assert_ptr_nonnull(end);
        const size_t width = (size_t)(end - text.p) - at;
        ck_assert_msg(width <= columns, "%u columns: %.*s", columns, (int)width, text.p + at);
        at += width + 1;
    }
    ck_assert_uint_gt(n, 0);
    if (lines)
        ck_assert_uint_le(n, lines);
    free(rows);
    buf_fini(&text);
}

START_TEST(fits_the_screen)
{
    struct sheet s;
    char labels[256];
    for (int i = 0; i < 30; i++) {
        snprintf(labels, sizeof labels,
                 "gen_ai_tool_name=\"tool%d\",mcp_method_name=\"tools/call\",service_name=\"s%d\"",
                 i, i % 3);
        observe(labels, i, 3);
        spend(labels, 1e12 * i);
    }
    take(&s, 0);
    for (unsigned columns = 1; columns < 200; columns++)
        for (unsigned lines = 0; lines < 40; lines += 3)
            assert_fits(&s, columns, lines ? lines + 1 : 0);
    sheet_fini(&s);
}
END_TEST

/* The table without its first line. */
static const char *table(struct buf *text, const struct sheet *s, unsigned columns)
{
    struct sheet_line *rows = sheet_lines(s, NULL, SHEET_BY_NAME);
    const struct board b = {.columns = columns, .order = "name", .now = s, .rows = rows};
    buf_reset(text);
    board_text(text, &b);
    buf_addc(text, '\0');
    free(rows);
    return strchr(text->p, '\n') + 1;
}

#define LONG "a-server-whose-name-is-long-and-says-a-lot"

START_TEST(names_get_what_they_need)
{
    struct sheet s;
    struct buf text;
    buf_init(&text, 1 << 16);
    observe(ECHO, 5, 1);
    take(&s, 0);
    ck_assert_str_eq(
        table(&text, &s, 200),
        "\nSERVER                    TOTAL   RATE/s   ERR%      P50      P95      P99  IN-FL\n"
        "ev                            1        -    0.0  ~5.50 s  ~9.55 s  ~9.91 s      -\n"
        "\nSERVER OPERATION          TOTAL   RATE/s   ERR%      P50      P95      P99  IN-FL\n"
        "ev     tools/call echo        1        -    0.0  ~5.50 s  ~9.55 s  ~9.91 s      -\n");
    sheet_fini(&s);
    observe("mcp_method_name=\"tools/list\",service_name=\"" LONG "\"", 1, 1);
    take(&s, 0);
    ck_assert_ptr_nonnull(strstr(table(&text, &s, 120), LONG " tools/list "));
    ck_assert_ptr_null(strstr(table(&text, &s, 80), LONG));
    ck_assert_ptr_nonnull(
        strstr(table(&text, &s, 80), "a-server-whos")); /* cut, but most is there */
    sheet_fini(&s);
    buf_fini(&text);
}
END_TEST

START_TEST(a_cancelled_request_is_no_error)
{
    struct sheet s;
    observe(ECHO, 0.05, 2);
    observe("error_type=\"cancelled\"," ECHO, 0.05, 2);
    take(&s, 0);
    struct sheet_line *l = sheet_lines(&s, NULL, SHEET_BY_NAME);
    ck_assert_uint_eq(s.rows[1].calls, 4);
    ck_assert_uint_eq(s.rows[1].errors, 0);
    ck_assert_uint_eq(s.rows[1].cancelled, 2);
    ck_assert_double_eq(l[1].failed, 0);
    free(l);
    sheet_fini(&s);
}
END_TEST

START_TEST(tells_where_quantiles_are_from)
{
    struct sheet s;
    observe(ECHO, 5, 1);
    spend("service_name=\"app\"", 1);
    take(&s, 0);
    struct sheet_line *l = sheet_lines(&s, NULL, SHEET_BY_NAME);
    ck_assert_int_eq(l[1].source, SHEET_BUCKETS);
    ck_assert_int_eq(l[2].source, SHEET_UNKNOWN); /* a counter has none */
    free(l);
    s.rows[1].spans = 1;
    for (int q = 0; q < SHEET_QUANTILES; q++)
        s.rows[1].quantile[q] = 0.001;
    l = sheet_lines(&s, NULL, SHEET_BY_NAME);
    ck_assert_int_eq(l[1].source, SHEET_SPANS);
    ck_assert_double_eq(l[1].quantile[SHEET_P99], 0.001);
    ck_assert_str_eq(sheet_source_word(l[1].source), "spans");
    ck_assert_int_eq(l[0].source, SHEET_BUCKETS);
    free(l);
    sheet_fini(&s);
}
END_TEST

START_TEST(shows_control_characters)
{
    struct sheet s;
    struct buf text;
    observe("mcp_method_name=\"x\033[2Jy\",service_name=\"a\\nb\"", 1, 1);
    take(&s, 0);
    buf_init(&text, 1 << 16);
    struct sheet_line *rows = sheet_lines(&s, NULL, SHEET_BY_CALLS);
    const struct board b = {.columns = 100, .order = "calls", .now = &s, .rows = rows};
    board_text(&text, &b);
    buf_addc(&text, '\0');
    ck_assert_ptr_null(strchr(text.p, '\033'));
    ck_assert_ptr_nonnull(strstr(text.p, "x\\x1b[2Jy"));
    ck_assert_ptr_nonnull(strstr(text.p, "a\\nb"));
    free(rows);
    buf_fini(&text);
    sheet_fini(&s);
}
END_TEST

START_TEST(as_json)
{
    struct sheet first, second;
    observe(ECHO, 0.05, 1);
    take(&first, 0);
    observe(FAILED, 5, 3);
    spend("model=\"m\",service_name=\"app\"", 2.5);
    take(&second, 1);
    struct sheet_line *rows = sheet_lines(&second, &first, SHEET_BY_NAME);
    const struct board b = {.order = "name", .now = &second, .before = &first, .rows = rows};
    struct buf text;
    buf_init(&text, 1 << 16);
    board_json(&text, &b);
    json_t *o = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(o);
    buf_fini(&text);
    json_t *op = json_array_get(json_object_get(o, "operations"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(op, "method")), "tools/call");
    ck_assert_str_eq(json_string_value(json_object_get(op, "target")), "echo");
    ck_assert_int_eq(json_integer_value(json_object_get(op, "calls")), 4);
    ck_assert_int_eq(json_integer_value(json_object_get(op, "errors")), 3);
    ck_assert_double_eq(json_number_value(json_object_get(op, "rate")), 3);
    ck_assert_double_eq(json_number_value(json_object_get(op, "failed_ratio")), 1);
    ck_assert(json_is_null(json_object_get(op, "in_flight")));
    ck_assert_int_eq(json_integer_value(json_object_get(op, "cancelled")), 0);
    ck_assert_str_eq(json_string_value(json_object_get(op, "quantiles")), "buckets");
    json_t *c = json_array_get(json_object_get(o, "counters"), 0);
    ck_assert_double_eq(json_number_value(json_object_get(c, "value")), 2.5);
    ck_assert_str_eq(json_string_value(json_object_get(c, "labels")), "model=\"m\"");
    ck_assert_double_eq(json_number_value(json_object_get(o, "interval_seconds")), 1);
    json_decref(o);
    free(rows);
    sheet_fini(&first);
    sheet_fini(&second);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/sheet");
    TCase *c = tcase_create("sheet");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, series_of_an_operation_are_one_row);
    tcase_add_test(c, other_metrics_keep_their_labels);
    tcase_add_test(c, knows_what_is_in_flight);
    tcase_add_test(c, leaves_out_what_is_its_own);
    tcase_add_test(c, rates_need_two_sheets);
    tcase_add_test(c, failures_are_of_the_interval);
    tcase_add_test(c, sorts_within_sections);
    tcase_add_test(c, at_most_so_many_rows);
    tcase_add_test(c, fits_the_screen);
    tcase_add_test(c, names_get_what_they_need);
    tcase_add_test(c, a_cancelled_request_is_no_error);
    tcase_add_test(c, tells_where_quantiles_are_from);
    tcase_add_test(c, shows_control_characters);
    tcase_add_test(c, as_json);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
