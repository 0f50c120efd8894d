/* Lines that come in a storm, on a clock that the test turns. */
#include "base/storm.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

static struct storm s;
static struct storm_kind lost, over;

static void setup(void)
{
    s = (struct storm){.burst = 3, .window = 10 * NS_PER_S};
}

static bool say(const char *fmt, enum log_level level, const char *text, uint64_t second)
{
    const struct log_line line = {
        .level = level, .component = "c", .fmt = fmt, .message = str_of(text)};
    return storm_admit(&s, &line, second * NS_PER_S, &lost);
}

START_TEST(the_first_ones_pass)
{
    static const char kind[] = "%s", other[] = "%d";
    for (int i = 0; i < 3; i++)
        ck_assert(say(kind, LOG_LEVEL_INFO, "x", 1));
    for (int i = 0; i < 5; i++)
        ck_assert(!say(kind, i == 2 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, i == 4 ? "last" : "x", 2));
    ck_assert(say(other, LOG_LEVEL_INFO, "y", 2));
    ck_assert(!storm_over(&s, 10 * NS_PER_S, &over)); /* the window began in second 1 */
    ck_assert(storm_over(&s, 11 * NS_PER_S, &over));
    ck_assert_uint_eq(over.held, 5);
    ck_assert_str_eq(over.last, "last");
    ck_assert_int_eq(over.level, LOG_LEVEL_ERROR);
    ck_assert_ptr_eq(over.fmt, kind);
    ck_assert(!storm_over(&s, 11 * NS_PER_S, &over));
}
END_TEST

/* Nobody asked in time: what was held back is handed out by the next line itself. */
START_TEST(a_new_window_tells_of_the_old_one)
{
    static const char kind[] = "%s";
    for (int i = 0; i < 4; i++)
        say(kind, LOG_LEVEL_INFO, "x", 1);
    ck_assert(say(kind, LOG_LEVEL_INFO, "x", 20));
    ck_assert_uint_eq(lost.held, 1);
    ck_assert(say(kind, LOG_LEVEL_INFO, "x", 20));
    ck_assert_uint_eq(lost.held, 0);
}
END_TEST

START_TEST(one_kind_too_many_takes_the_place_of_the_oldest)
{
    static char kinds[STORM_KINDS + 1][2];
    for (int k = 0; k < STORM_KINDS; k++)
        for (int i = 0; i < 4; i++)
            say(kinds[k], LOG_LEVEL_INFO, "x", k == 7 ? 1 : 2);
    ck_assert(say(kinds[STORM_KINDS], LOG_LEVEL_INFO, "x", 3));
    ck_assert_ptr_eq(lost.fmt, kinds[7]);
    ck_assert_uint_eq(lost.held, 1);
}
END_TEST

START_TEST(no_limit)
{
    static const char kind[] = "%s";
    s.burst = 0;
    for (int i = 0; i < 1000; i++)
        ck_assert(say(kind, LOG_LEVEL_INFO, "x", 1));
    ck_assert(!storm_over(&s, 100 * NS_PER_S, &over));
}
END_TEST

/* What passed, and what was told of, is all that was said. */
START_TEST(nothing_is_forgotten)
{
    static char kinds[3 * STORM_KINDS][2];
    uint64_t said = 0, passed = 0, told = 0;
    unsigned seed = 1;
    for (uint64_t t = 0; t < 2000; t++) {
        for (int i = 0; i < 20; i++) {
            seed = seed * 1103515245 + 12345;
            passed += say(kinds[seed / 65536 % (3 * STORM_KINDS)], LOG_LEVEL_INFO, "x", t);
            told += lost.held;
            said++;
        }
        while (storm_over(&s, t * NS_PER_S, &over))
            told += over.held;
    }
    while (storm_over(&s, 10000 * NS_PER_S, &over))
        told += over.held;
    ck_assert_uint_eq(said, passed + told);
    ck_assert_uint_gt(told, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("storm");
    TCase *t = tcase_create("storm");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_first_ones_pass);
    tcase_add_test(t, a_new_window_tells_of_the_old_one);
    tcase_add_test(t, one_kind_too_many_takes_the_place_of_the_oldest);
    tcase_add_test(t, no_limit);
    tcase_add_test(t, nothing_is_forgotten);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
