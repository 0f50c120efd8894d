#include "cli/emission.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/event.h"

enum { WORDS = 200 };

static struct emission e;
static struct emission_options o;
static char text[4096], why[EMISSION_WHY];
static char *words[WORDS];

/* Splits a line and parses it. */
static int parse(const char *line)
{
    snprintf(text, sizeof text, "%s", line);
    why[0] = '\0';
    const int n = emission_split(text, words, WORDS);
    ck_assert_int_ge(n, 0);
    return emission_parse(&e, &o, n, words, why);
}

static void assert_value(unsigned i, const char *key, const char *value)
{
    ck_assert_uint_lt(i, e.nvalues);
    ck_assert_str_eq(e.values[i].key, key);
    ck_assert_str_eq(e.values[i].text, value);
}

START_TEST(counters)
{
    ck_assert_int_eq(parse("counter requests 18446744073709551615 tool=a=b empty="), 0);
    ck_assert_int_eq(e.kind, EMIT_COUNTER);
    ck_assert_str_eq(e.name, "requests");
    ck_assert(e.whole);
    ck_assert_uint_eq(e.count, UINT64_MAX);
    assert_value(0, "tool", "a=b");
    assert_value(1, "empty", "");
    ck_assert_int_eq(parse("counter cost 1.0"), 0);
    ck_assert(!e.whole);
    ck_assert_double_eq(e.value, 1);
}
END_TEST

START_TEST(gauges_go_below_zero)
{
    ck_assert_int_eq(parse("gauge temperature -2.5e1"), 0);
    ck_assert_double_eq(e.value, -25);
    ck_assert(!e.whole);
}
END_TEST

START_TEST(histograms_have_buckets)
{
    o = (struct emission_options){.buckets = "-1,0,.5,1e3", .unit = "s"};
    ck_assert_int_eq(parse("histogram d 0.25"), 0);
    ck_assert_uint_eq(e.nbounds, 4);
    ck_assert_double_eq(e.bounds[0], -1);
    ck_assert_double_eq(e.bounds[3], 1000);
    ck_assert_str_eq(e.options.unit, "s");
    static const char *const bad[] = {"", "1,", ",1", "1,1", "2,1", "1,x", "1,inf", "1 ,2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.buckets = bad[i];
        ck_assert_msg(parse("histogram d 1") == -ERR_SYNTAX, "'%s'", bad[i]);
    }
    char many[4 * LIMIT_BOUNDS + 8] = "";
    for (int i = 0; i <= LIMIT_BOUNDS; i++)
        snprintf(many + strlen(many), 8, "%s%d", i ? "," : "", i);
    o.buckets = many;
    ck_assert_int_eq(parse("histogram d 1"), -ERR_SYNTAX);
    o = (struct emission_options){0};
}
END_TEST

START_TEST(numbers_and_text_of_events)
{
    ck_assert_int_eq(parse("event cache.miss bytes=12 ratio=-.5 tier=l2 port:=8080 hex=0x10 "
                           "n=nan i=inf dash=- v=1.2.3"),
                     0);
    ck_assert_uint_eq(e.nvalues, 9);
    for (unsigned i = 0; i < 9; i++)
        ck_assert_msg(e.values[i].is_number == (i < 2), "%s", e.values[i].key);
    ck_assert_double_eq(e.values[1].number, -0.5);
    assert_value(3, "port", "8080");
    assert_value(4, "hex", "0x10");
}
END_TEST

START_TEST(logs_health_and_spans)
{
    ck_assert_int_eq(parse("log error 'disk is full' disk=sda"), 0);
    ck_assert_int_eq(e.level, MCPTALLY_ERROR);
    ck_assert_str_eq(e.text, "disk is full");
    assert_value(0, "disk", "sda");
    ck_assert_int_eq(parse("health db degraded slow\\ today"), 0);
    ck_assert_int_eq(e.level, MCPTALLY_DEGRADED);
    ck_assert_str_eq(e.text, "slow today");
    ck_assert_int_eq(parse("health db healthy"), 0);
    ck_assert_ptr_null(e.text);
    ck_assert_int_eq(parse("span search 250ms k=v"), 0);
    ck_assert_double_eq(e.value, 0.25);
    assert_value(0, "k", "v");
}
END_TEST

/* The library's numbers are those of the model. */
START_TEST(states_and_levels_agree)
{
    ck_assert_uint_eq(MCPTALLY_HEALTHY, HEALTH_HEALTHY);
    ck_assert_uint_eq(MCPTALLY_UNHEALTHY, HEALTH_UNHEALTHY);
    ck_assert_uint_eq(MCPTALLY_TRACE, severity_of(STR("trace")));
    ck_assert_uint_eq(MCPTALLY_FATAL, severity_of(STR("fatal")));
}
END_TEST

static const char *const bad[] = {
    "counter",
    "counter name",
    "counter name x",
    "counter name -1",
    "counter name -0.5",
    "counter name 1 label",
    "counter name 1 =value",
    "counter name 1 :=value",
    "gauge name nan",
    "gauge name inf",
    "gauge name 0x1p3",
    "gauge name ''",
    "gauge name 1e999",
    "log loud message",
    "log info",
    "health db",
    "health db broken",
    "health db healthy two words",
    "span name soon",
    "span name -1s",
    "event",
    "timer name 1",
};

START_TEST(wrong)
{
    ck_assert_msg(parse(bad[_i]) == -ERR_SYNTAX, "%s", bad[_i]);
    ck_assert_str_ne(why, "");
}
END_TEST

START_TEST(at_most_so_many_values)
{
    struct buf line;
    buf_init(&line, 4096);
    buf_adds(&line, "event e");
    for (int i = 0; i < LIMIT_ATTRS; i++)
        buf_adds(&line, " k=v");
    buf_addc(&line, '\0');
    ck_assert_int_eq(parse(line.p), 0);
    line.n--;
    buf_add(&line, " k=v", sizeof " k=v");
    ck_assert_int_eq(parse(line.p), -ERR_SYNTAX);
    buf_fini(&line);
}
END_TEST

static const struct {
    const char *line;
    int n;
    const char *joined; /* words with | between them */
} lines[] = {
    {"", 0, ""},
    {"  \t\r\n", 0, ""},
    {"# comment", 0, ""},
    {"a b", 2, "a|b"},
    {" a  b \n", 2, "a|b"},
    {"a # comment", 1, "a"},
    {"a#b", 1, "a#b"},
    {"'a b' \"c d\"", 2, "a b|c d"},
    {"k='a \"b\"'", 1, "k=a \"b\""},
    {"k=\"a \\\" 'b'\"", 1, "k=a \" 'b'"},
    {"a\\ b '\\'", 2, "a b|\\"},
    {"'' \"\"", 2, "|"},
    {"a''b", 1, "ab"},
    {"end\\", 1, "end\\"},
    {"'open", -ERR_SYNTAX, ""},
    {"\"open\\\"", -ERR_SYNTAX, ""},
    {"1 2 3 4 5 6 7 8", -ERR_FULL, ""},
};

START_TEST(splits)
{
    enum { MAX = 8 };
    char *some[MAX];
    struct buf joined;
    buf_init(&joined, 256);
    snprintf(text, sizeof text, "%s", lines[_i].line);
    const int n = emission_split(text, some, MAX);
    ck_assert_int_eq(n, lines[_i].n);
    for (int i = 0; i < n; i++) {
        buf_adds(&joined, i ? "|" : "");
        buf_adds(&joined, some[i]);
    }
    if (n >= 0)
        ck_assert_ptr_null(some[n]);
    buf_addc(&joined, '\0');
    ck_assert_str_eq(joined.p, lines[_i].joined);
    buf_fini(&joined);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/emission");
    TCase *c = tcase_create("parse");
    tcase_add_test(c, counters);
    tcase_add_test(c, gauges_go_below_zero);
    tcase_add_test(c, histograms_have_buckets);
    tcase_add_test(c, numbers_and_text_of_events);
    tcase_add_test(c, logs_health_and_spans);
    tcase_add_test(c, states_and_levels_agree);
    tcase_add_loop_test(c, wrong, 0, sizeof bad / sizeof *bad);
    tcase_add_test(c, at_most_so_many_values);
    tcase_add_loop_test(c, splits, 0, sizeof lines / sizeof *lines);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
