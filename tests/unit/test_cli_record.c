/* Records as lines and as objects, what the filter lets through, and text that
 * must not reach a terminal as it is. */
#include "cli/record.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/filter.h"
#include "cli/plain.h"

/* A str that a static table may hold. */
#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* ---- plain ---- */

static const struct {
    struct str in;
    const char *out;
} texts[] = {
    {TEXT("plain text, \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
     "plain text, \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
    {TEXT(""), ""},
    {TEXT("a\nb\tc\rd"), "a\\nb\\tc\\rd"},
    {TEXT("\033]0;title\007"), "\\x1b]0;title\\x07"},
    {TEXT("\033[2J\x7f"), "\\x1b[2J\\x7f"},
    {TEXT("nul\0end"), "nul\\x00end"},
    {TEXT("\xc2\x9b"
          "31m"),
     "\\x9b31m"},
    {TEXT("\xe2\x80\xae"
          "gpj.exe"),
     "\\u202egpj.exe"},
    {TEXT("\xe2\x81\xa6\xe2\x80\xa8\xef\xbb\xbf"), "\\u2066\\u2028\\ufeff"},
    {TEXT("\xff\xc3"), "\\xff\\xc3"},
    {TEXT("\xc0\xaf"), "\\xc0\\xaf"},
    {TEXT("\xed\xa0\x80"), "\\ud800"},
    {TEXT("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"},
    {TEXT("\xe2\x82"), "\\xe2\\x82"},
};

START_TEST(makes_text_plain)
{
    struct buf b;
    buf_init(&b, 256);
    plain_add(&b, texts[_i].in);
    buf_addc(&b, '\0');
    ck_assert_str_eq(b.p, texts[_i].out);
    buf_fini(&b);
}
END_TEST

static const struct {
    struct str in;
    size_t columns;
    const char *out;
} fixed[] = {
    {TEXT("abc"), 5, "abc  "},
    {TEXT("abcde"), 5, "abcde"},
    {TEXT("abcdef"), 5, "abcd~"},
    {TEXT("ab\n"), 3, "ab~"},
    {TEXT("ab\n"), 4, "ab\\n"},
    {TEXT(""), 2, "  "},
    {TEXT("abc"), 0, ""},
    {TEXT("abc"), 1, "~"},
    {TEXT("\xc3\xa4\xc3\xb6"), 3, "\xc3\xa4\xc3\xb6 "},
    {TEXT("\033\033"), 4, "~   "},
    {TEXT("\033\033"), 8, "\\x1b\\x1b"},
};

START_TEST(keeps_to_its_columns)
{
    struct buf b;
    buf_init(&b, 256);
    plain_add_fixed(&b, fixed[_i].in, fixed[_i].columns);
    buf_addc(&b, '\0');
    ck_assert_str_eq(b.p, fixed[_i].out);
    buf_fini(&b);
}
END_TEST

/* ---- records ---- */

static struct event event;
static const struct ring_view view = {
    .seq = 42,
    .received = UINT64_C(1700000001) * NS_PER_S,
    .domain = 3,
    .service = TEXT("memory"),
};

static struct str key(const char *z)
{
    return str_of(z);
}

static void make_span(void)
{
    event = (struct event){
        .kind = EVENT_SPAN,
        .time = UINT64_C(1700000000123456789),
        .name = STR("tools/call search"),
        .nattrs = 2,
        .all_attrs = 3,
        .end = UINT64_C(1700000000123456789) + 12345678,
        .span_kind = SPAN_SERVER,
    };
    event.trace.trace_id[15] = 0xab;
    event.trace.span_id[0] = 1;
    event.attrs[0] = (struct attr){.key = key("mcp.method.name"), .type = ATTR_STRING};
    event.attrs[0].s = STR("tools/call");
    event.attrs[1] = (struct attr){.key = key("n"), .type = ATTR_I64};
    event.attrs[1].i = -7;
    event.attrs[2] = (struct attr){.key = key("late"), .type = ATTR_BOOL};
    event.attrs[2].i = 1;
    event.nevents = 1;
    event.events[0] = (struct span_event){event.time + 1, STR("retry"), 1, 2};
}

static void make_log(unsigned severity, struct str text)
{
    event = (struct event){.kind = EVENT_LOG, .time = NS_PER_S, .severity = severity};
    event.text = text;
    event.correlation = STR("job 1");
}

static void make_named(void)
{
    event = (struct event){
        .kind = EVENT_NAMED, .time = NS_PER_S, .name = STR("cache.miss"), .nmeasures = 1};
    event.measures[0] = (struct measure){STR("bytes"), 1.5};
    event.nattrs = 2;
    event.attrs[0] = (struct attr){.key = key("tier"), .type = ATTR_STRING, .s = STR("a b")};
    event.attrs[1] = (struct attr){.key = key("x"), .type = ATTR_F64};
    event.attrs[1].d = 0.1;
}

static void make_health(enum health_state state)
{
    event = (struct event){.kind = EVENT_HEALTH, .time = NS_PER_S, .name = STR("db")};
    event.text = STR("slow");
    event.state = state;
}

static void assert_text(const char *expected)
{
    struct buf b;
    buf_init(&b, 4096);
    record_text(&b, &view, &event, false);
    buf_addc(&b, '\0');
    ck_assert_str_eq(b.p, expected);
    buf_fini(&b);
}

START_TEST(text_of_each_kind)
{
    make_span();
    assert_text("2023-11-14T22:13:20.123Z span   memory           tools/call search 12.3 ms "
                "mcp.method.name=tools/call n=-7 "
                "trace_id=000000000000000000000000000000ab\n");
    event.status = SPAN_ERROR;
    event.text = STR("it \033broke");
    event.nattrs = 0;
    event.trace = (struct trace_ref){0};
    assert_text("2023-11-14T22:13:20.123Z span   memory           tools/call search 12.3 ms "
                "ERROR \"it \\x1bbroke\"\n");
    make_log(17, STR("no\nroom"));
    assert_text("1970-01-01T00:00:01.000Z log    memory           error no\\nroom "
                "correlation_id=\"job 1\"\n");
    make_named();
    assert_text("1970-01-01T00:00:01.000Z event  memory           cache.miss bytes=1.5 "
                "tier=\"a b\" x=0.1\n");
    make_health(HEALTH_DEGRADED);
    assert_text("1970-01-01T00:00:01.000Z health memory           db degraded slow\n");
}
END_TEST

START_TEST(colour_is_balanced)
{
    struct buf b;
    buf_init(&b, 4096);
    make_health(HEALTH_UNHEALTHY);
    record_text(&b, &view, &event, true);
    buf_addc(&b, '\0');
    const char *last = NULL;
    for (const char *p = b.p; (p = strchr(p, '\033')); p++)
        last = p;
    ck_assert_ptr_nonnull(last);
    ck_assert_int_eq(strncmp(last, "\033[0m", 4), 0);
    ck_assert_ptr_nonnull(strstr(b.p, "\033[31munhealthy\033[0m"));
    buf_fini(&b);
}
END_TEST

static const char *text_of(json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

/* The record as JSON, parsed again: one line. */
static json_t *as_json(void)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    record_json(&b, &view, &event);
    ck_assert_ptr_eq(memchr(b.p, '\n', b.n), b.p + b.n - 1);
    json_t *o = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(o);
    buf_fini(&b);
    return o;
}

START_TEST(span_as_json)
{
    make_span();
    json_t *o = as_json();
    ck_assert_str_eq(text_of(o, "kind"), "span");
    ck_assert_str_eq(text_of(o, "time"), "2023-11-14T22:13:20.123456789Z");
    ck_assert_str_eq(text_of(o, "end"), "2023-11-14T22:13:20.135802467Z");
    ck_assert_double_eq(json_number_value(json_object_get(o, "duration_seconds")), 0.012345678);
    ck_assert_str_eq(text_of(o, "span_kind"), "server");
    ck_assert_str_eq(text_of(o, "status"), "unset");
    ck_assert_str_eq(text_of(o, "trace_id"), "000000000000000000000000000000ab");
    ck_assert_str_eq(text_of(o, "span_id"), "0100000000000000");
    ck_assert_ptr_null(json_object_get(o, "parent_id"));
    json_t *a = json_object_get(o, "attributes");
    ck_assert_uint_eq(json_object_size(a), 2);
    ck_assert_str_eq(text_of(a, "mcp.method.name"), "tools/call");
    ck_assert_int_eq(json_integer_value(json_object_get(a, "n")), -7);
    json_t *e = json_array_get(json_object_get(o, "events"), 0);
    ck_assert_str_eq(text_of(e, "name"), "retry");
    ck_assert(json_is_true(json_object_get(json_object_get(e, "attributes"), "late")));
    json_decref(o);
}
END_TEST

START_TEST(others_as_json)
{
    make_log(13, STR("\033[2J"));
    json_t *o = as_json();
    ck_assert_str_eq(text_of(o, "severity"), "warn");
    ck_assert_str_eq(text_of(o, "body"), "\033[2J");
    ck_assert_str_eq(text_of(o, "correlation_id"), "job 1");
    ck_assert_str_eq(text_of(o, "service"), "memory");
    ck_assert_int_eq(json_integer_value(json_object_get(o, "seq")), 42);
    json_decref(o);
    make_named();
    o = as_json();
    ck_assert_double_eq(
        json_number_value(json_object_get(json_object_get(o, "measurements"), "bytes")), 1.5);
    json_decref(o);
    make_health(HEALTH_HEALTHY);
    o = as_json();
    ck_assert_str_eq(text_of(o, "component"), "db");
    ck_assert_str_eq(text_of(o, "state"), "healthy");
    ck_assert_str_eq(text_of(o, "message"), "slow");
    json_decref(o);
}
END_TEST

/* ---- filter ---- */

/* What each filter makes of a span, a failed span, a log of severity 9 and of 17,
 * an event and a health report: y or n. */
static const struct {
    struct filter f;
    const char *shown;
} filters[] = {
    {{0}, "yyyyyy"},
    {{.spans = true}, "yynnnn"},
    {{.logs = true, .health = true}, "nnyyny"},
    {{.events = true}, "nnnnyn"},
    {{.service = "mem*"}, "yyyyyy"},
    {{.service = "me"}, "nnnnnn"},
    {{.name = "tools/*"}, "yynnnn"},
    {{.name = "*"}, "yynnyy"},
    {{.severity = 9}, "nnyynn"},
    {{.severity = 10}, "nnnynn"},
    {{.correlation = "job 1"}, "nnyynn"},
    {{.correlation = "job"}, "nnnnnn"},
    {{.correlation = "000000000000000000000000000000AB"}, "yynnnn"},
    {{.correlation = "000000000000000000000000000000A"}, "nnnnnn"},
    {{.correlation = "00000000000000000000000000000000"}, "nnnnnn"},
    {{.trace = "000000000000000000000000000000AB"}, "yynnnn"},
    {{.trace = "00000000000000000000000000000000"}, "nnnnnn"},
    {{.trace = "000000"}, "yynnnn"},
    {{.slow = 12345678}, "yynnnn"},
    {{.slow = 12345679}, "nnnnnn"},
    {{.errors = true}, "nynyny"},
    {{.errors = true, .spans = true}, "nynnnn"},
};

START_TEST(filters_match)
{
    char shown[7] = "";
    for (int i = 0; i < 6; i++) {
        if (i < 2)
            make_span();
        else if (i < 4)
            make_log(i == 2 ? 9 : 17, STR("x"));
        else if (i == 4)
            make_named();
        else
            make_health(HEALTH_DEGRADED);
        if (i == 1)
            event.status = SPAN_ERROR;
        shown[i] = filter_match(&filters[_i].f, &view, &event) ? 'y' : 'n';
    }
    ck_assert_str_eq(shown, filters[_i].shown);
}
END_TEST

START_TEST(trace_ids)
{
    ck_assert(filter_trace_ok("0aF"));
    ck_assert(filter_trace_ok("00000000000000000000000000000000"));
    ck_assert(!filter_trace_ok("000000000000000000000000000000000"));
    ck_assert(!filter_trace_ok(""));
    ck_assert(!filter_trace_ok("xyz"));
}
END_TEST

#define LOOP(c, test, table) tcase_add_loop_test((c), (test), 0, sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *s = suite_create("cli/record");
    TCase *c = tcase_create("record");
    LOOP(c, makes_text_plain, texts);
    LOOP(c, keeps_to_its_columns, fixed);
    tcase_add_test(c, text_of_each_kind);
    tcase_add_test(c, colour_is_balanced);
    tcase_add_test(c, span_as_json);
    tcase_add_test(c, others_as_json);
    LOOP(c, filters_match, filters);
    tcase_add_test(c, trace_ids);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
