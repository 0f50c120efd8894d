#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "mcp/json.h"

/* Writes down everything that the automaton tells, as text. */
static void on_open(void *arg, bool object, unsigned depth, uint64_t offset)
{
    buf_addf(arg, "%c%u@%u ", object ? '{' : '[', depth, (unsigned)offset);
}

static void on_close(void *arg, unsigned depth, uint64_t offset)
{
    buf_addf(arg, "/%u@%u ", depth, (unsigned)offset);
}

static bool on_begin(void *arg, enum json_scalar kind, unsigned depth)
{
    buf_addf(arg, "%c%u:", "ksnl"[kind], depth);
    return true;
}

static void on_text(void *arg, const char *p, size_t n)
{
    buf_add(arg, p, n);
}

static void on_end(void *arg)
{
    buf_addc(arg, ' ');
}

static const struct json_listener listener = {on_open, on_close, on_begin, on_text, on_end};

/* Feeds a text in two pieces; returns whether it was JSON. */
static bool parse_split(struct buf *to, const char *p, size_t n, size_t at)
{
    struct json j;
    buf_reset(to);
    json_init(&j, &listener, to);
    json_feed(&j, p, at);
    json_feed(&j, p + at, n - at);
    return json_finish(&j);
}

/* The same a byte at a time. */
static bool parse_bytes(struct buf *to, const char *p, size_t n)
{
    struct json j;
    buf_reset(to);
    json_init(&j, &listener, to);
    for (size_t i = 0; i < n; i++)
        json_feed(&j, p + i, 1);
    return json_finish(&j);
}

static const struct {
    const char *text, *told;
} good[] = {
    {"{}", "{0@0 /0@1 "},
    {" [ ] ", "[0@1 /0@3 "},
    {"1", "n0:1 "},
    {"-0.5e+10", "n0:-0.5e+10 "},
    {"true", "l0:true "},
    {"null\r", "l0:null "},
    {"\"\"", "s0: "},
    {"{\"a\":1,\"b\":[true,{\"c\":null}]}",
     "{0@0 k1:a n1:1 k1:b [1@11 l2:true {2@17 k3:c l3:null /2@26 /1@27 /0@28 "},
    {"[0, -1, 2E5 ,3.25]", "[0@0 n1:0 n1:-1 n1:2E5 n1:3.25 /0@17 "},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "s0:\"\\/\b\f\n\r\t "},
    {"\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "s0:A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 "},
    {"\"\\ud83dx\"", "s0:\xEF\xBF\xBDx "},
    {"\"\\ude00\"", "s0:\xEF\xBF\xBD "},
    {"\"\\ud83d\\n\"", "s0:\xEF\xBF\xBD\n "},
    {"\"\\ud83d\\ud83d\\ude00\"", "s0:\xEF\xBF\xBD\xF0\x9F\x98\x80 "},
    {"\"\\ud83d\"", "s0:\xEF\xBF\xBD "},
    {"\"bytes \xFF\xC3 and a long tail of plain text\"",
     "s0:bytes \xFF\xC3 and a long tail of plain text "},
};

static const char *const bad[] = {
    "",
    " ",
    "{",
    "}",
    "]",
    "[1",
    "[1,]",
    "[,1]",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{1:1}",
    "[}",
    "{]",
    "{\"a\":1]",
    "[1}",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "1e+",
    "+1",
    "1-2",
    "1.2.3",
    "tru",
    "truex",
    "nul",
    "falsy",
    "\"a",
    "\"\\x\"",
    "\"\\u12g4\"",
    "\"\\u123",
    "\"\\",
    "\"\t\"",
    "1 2",
    "{} {}",
    "[] ,",
    "\"a\" b",
    "'a'",
    "[1 2]",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "\xEF\xBB\xBF{}",
    "NaN",
    "2026-11-21 started",
};

START_TEST(tells_the_same_in_any_pieces)
{
    const char *text = good[_i].text;
    size_t n = strlen(text);
    struct buf to;
    buf_init(&to, 4096);
    for (size_t at = 0; at <= n; at++) {
        ck_assert_msg(parse_split(&to, text, n, at), "%s split at %zu", text, at);
        ck_assert_str_eq((buf_addc(&to, 0), to.p), good[_i].told);
    }
    ck_assert(parse_bytes(&to, text, n));
    ck_assert_str_eq((buf_addc(&to, 0), to.p), good[_i].told);
    buf_fini(&to);
}
END_TEST

START_TEST(refuses_what_is_not_json)
{
    const char *text = bad[_i];
    size_t n = strlen(text);
    struct buf to;
    buf_init(&to, 4096);
    for (size_t at = 0; at <= n; at++)
        ck_assert_msg(!parse_split(&to, text, n, at), "%s split at %zu", text, at);
    ck_assert(!parse_bytes(&to, text, n));
    buf_fini(&to);
}
END_TEST

/* Where one container too many is closed, or closed by the wrong bracket, only
 * the levels that are checked can tell. */
START_TEST(counts_brackets_below_the_levels_it_checks)
{
    const unsigned depths[] = {JSON_DEPTH - 1, JSON_DEPTH, JSON_DEPTH + 1, 100000};
    struct buf text, to;
    buf_init(&text, 1 << 20);
    buf_init(&to, 1 << 20);
    for (unsigned i = 0; i < 4; i++) {
        unsigned depth = depths[i];
        buf_reset(&text);
        for (unsigned d = 0; d < depth; d++)
            buf_addc(&text, '[');
        buf_adds(&text, "\"]\\\"]\"");
        for (unsigned d = 0; d < depth; d++)
            buf_addc(&text, ']');
        ck_assert(parse_split(&to, text.p, text.n, text.n / 2));
        ck_assert(parse_bytes(&to, text.p, text.n));
        ck_assert(!parse_split(&to, text.p, text.n - 1, 0));
        buf_addc(&text, ']');
        ck_assert(!parse_split(&to, text.p, text.n, 0));
    }
    buf_fini(&text);
    buf_fini(&to);
}
END_TEST

START_TEST(knows_a_blank_text)
{
    struct json j;
    struct buf to;
    buf_init(&to, 4096);
    json_init(&j, &listener, &to);
    ck_assert(json_blank(&j));
    ck_assert(json_feed(&j, " \t\r", 3));
    ck_assert(json_blank(&j));
    ck_assert(!json_finish(&j));
    ck_assert(json_feed(&j, "1", 1));
    ck_assert(!json_blank(&j));
    ck_assert(!json_feed(&j, "x", 1));
    json_reset(&j);
    ck_assert(json_blank(&j));
    ck_assert(json_feed(&j, "{}", 2) && json_finish(&j));
    buf_fini(&to);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mcp_json");
    TCase *tests = tcase_create("json");
    tcase_add_loop_test(tests, tells_the_same_in_any_pieces, 0, sizeof good / sizeof *good);
    tcase_add_loop_test(tests, refuses_what_is_not_json, 0, sizeof bad / sizeof *bad);
    tcase_add_test(tests, counts_brackets_below_the_levels_it_checks);
    tcase_add_test(tests, knows_a_blank_text);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
