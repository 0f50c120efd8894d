#include "cli/options.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"

struct values {
    const char *name;
    uint64_t count, wait;
    bool loud;
};

static const struct option_row rows[] = {
    {"name", 0, OPTION_TEXT, offsetof(struct values, name), "NAME", "a name", 0, 0},
    {"count", 'n', OPTION_COUNT, offsetof(struct values, count), "N", "how many", 1, 100},
    {"wait", 'w', OPTION_DURATION, offsetof(struct values, wait), "TIME", "how long", 0, 0},
    {"loud", 'l', OPTION_FLAG, offsetof(struct values, loud), NULL, "aloud", 0, 0},
};

static struct options options = {
    .command = "test",
    .usage = "[WORD]...",
    .about = "Tests.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { WORDS = 16 };

/* Splits a line at spaces and parses it after a command's name. */
static int parse(const char *line, struct values *v, char *words[WORDS], char *text, size_t size)
{
    int n = 0;
    snprintf(text, size, "test %s", line);
    char *rest;
    for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        words[n++] = w;
    words[n] = NULL;
    *v = (struct values){.count = 7};
    return options_parse(&options, n, words, v);
}

#define PARSE(line)                                                                                \
    struct values v;                                                                               \
    char *words[WORDS], text[128];                                                                 \
    const int n = parse((line), &v, words, text, sizeof text)

START_TEST(defaults_stay)
{
    PARSE("");
    ck_assert_int_eq(n, 0);
    ck_assert_ptr_null(v.name);
    ck_assert_uint_eq(v.count, 7);
    ck_assert(!v.loud);
}
END_TEST

START_TEST(every_form)
{
    PARSE("--name=a --count 3 -w1.5s --loud");
    ck_assert_int_eq(n, 0);
    ck_assert_str_eq(v.name, "a");
    ck_assert_uint_eq(v.count, 3);
    ck_assert_uint_eq(v.wait, 1500 * NS_PER_MS);
    ck_assert(v.loud);
}
END_TEST

START_TEST(operands_mix)
{
    PARSE("one -5 --loud - -.5 -- --name");
    ck_assert_int_eq(n, 5);
    ck_assert_str_eq(words[1], "one");
    ck_assert_str_eq(words[2], "-5");
    ck_assert_str_eq(words[3], "-");
    ck_assert_str_eq(words[4], "-.5");
    ck_assert_str_eq(words[5], "--name");
    ck_assert_ptr_null(words[6]);
    ck_assert(v.loud);
}
END_TEST

START_TEST(stops_at_the_first_operand)
{
    options.stop_at_operand = 1;
    PARSE("--loud run --name x");
    ck_assert_int_eq(n, 3);
    ck_assert_str_eq(words[1], "run");
    ck_assert_str_eq(words[2], "--name");
    ck_assert_ptr_null(v.name);
}
END_TEST

static const char *const bad[] = {
    "--count",   "--count=",    "--count=x",   "--count=-1",
    "--count=0", "--count=101", "-n 1x",       "--wait=1x",
    "--nam=x",   "-x",          "--loud=true", "--count=99999999999999999999",
};

START_TEST(wrong)
{
    PARSE(bad[_i]);
    ck_assert_msg(n == OPTIONS_BAD, "%s", bad[_i]);
    ck_assert_int_eq(options_exit(n), CLI_USAGE);
    ck_assert(!v.loud);
}
END_TEST

START_TEST(help)
{
    PARSE("--loud --help");
    ck_assert_int_eq(n, OPTIONS_HELP);
    ck_assert_int_eq(options_exit(n), CLI_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/options");
    TCase *c = tcase_create("parse");
    tcase_add_test(c, defaults_stay);
    tcase_add_test(c, every_form);
    tcase_add_test(c, operands_mix);
    tcase_add_test(c, stops_at_the_first_operand);
    tcase_add_loop_test(c, wrong, 0, sizeof bad / sizeof *bad);
    tcase_add_test(c, help);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
