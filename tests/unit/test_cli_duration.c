#include "cli/duration.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"

static const struct {
    const char *text;
    int result;
    uint64_t ns;
} parsed[] = {
    {"2", 0, 2 * NS_PER_S},
    {"1.5s", 0, 1500 * NS_PER_MS},
    {"250ms", 0, 250 * NS_PER_MS},
    {"10us", 0, 10 * NS_PER_US},
    {"40ns", 0, 40},
    {"3m", 0, 180 * NS_PER_S},
    {"1h", 0, 3600 * NS_PER_S},
    {"0", 0, 0},
    {".5", 0, 500 * NS_PER_MS},
    {"", -ERR_SYNTAX, 0},
    {"s", -ERR_SYNTAX, 0},
    {"-1s", -ERR_SYNTAX, 0},
    {"+1s", -ERR_SYNTAX, 0},
    {"0x10", -ERR_SYNTAX, 0},
    {"1e3", -ERR_SYNTAX, 0},
    {"nan", -ERR_SYNTAX, 0},
    {"inf", -ERR_SYNTAX, 0},
    {"1 s", -ERR_SYNTAX, 0},
    {"1.2.3", -ERR_SYNTAX, 0},
    {"5x", -ERR_SYNTAX, 0},
    {"99999999999h", -ERR_RANGE, 0},
};

START_TEST(parse)
{
    uint64_t ns = 0;
    ck_assert_msg(duration_parse(parsed[_i].text, &ns) == parsed[_i].result, "'%s'",
                  parsed[_i].text);
    if (parsed[_i].result == 0)
        ck_assert_uint_eq(ns, parsed[_i].ns);
}
END_TEST

static const struct {
    uint64_t ns;
    const char *text;
} printed[] = {
    {0, "0 ns"},
    {999, "999 ns"},
    {1000, "1.00 us"},
    {999499, "999 us"},
    {999500, "1.00 ms"},
    {12345678, "12.3 ms"},
    {999499999, "999 ms"},
    {999500000, "1.00 s"},
    {9996 * NS_PER_MS, "10.0 s"},
    {59949 * NS_PER_MS, "59.9 s"},
    {59950 * NS_PER_MS, "1m00s"},
    {184 * NS_PER_S, "3m04s"},
    {7500 * NS_PER_S, "2h05m"},
    {99 * 3600 * NS_PER_S, "4d03h"},
};

START_TEST(print)
{
    struct buf b;
    buf_init(&b, 64);
    duration_add(&b, printed[_i].ns);
    buf_addc(&b, '\0');
    ck_assert_str_eq(b.p, printed[_i].text);
    buf_fini(&b);
}
END_TEST

static const struct {
    uint64_t ns;
    unsigned digits;
    const char *text;
} moments[] = {
    {0, 0, "1970-01-01T00:00:00Z"},
    {1795228265123456789, 3, "2026-11-21T02:31:05.123Z"},
    {1795228265000000089, 9, "2026-11-21T02:31:05.000000089Z"},
    {1709164800 * NS_PER_S, 0, "2024-02-29T00:00:00Z"},
};

START_TEST(moment)
{
    struct buf b;
    buf_init(&b, 64);
    moment_add(&b, moments[_i].ns, moments[_i].digits);
    buf_addc(&b, '\0');
    ck_assert_str_eq(b.p, moments[_i].text);
    buf_fini(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/duration");
    TCase *c = tcase_create("table");
    tcase_add_loop_test(c, parse, 0, sizeof parsed / sizeof *parsed);
    tcase_add_loop_test(c, print, 0, sizeof printed / sizeof *printed);
    tcase_add_loop_test(c, moment, 0, sizeof moments / sizeof *moments);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
