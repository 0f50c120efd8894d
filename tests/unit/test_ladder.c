/* The brake on a crash loop, start by start. */
#include <check.h>

#include "daemon/ladder.h"

static uint64_t starts[32];
static size_t n;

/* A start `ms` after the wait that the one before was told to make. */
static struct ladder next(uint64_t ms)
{
    struct ladder before = n ? ladder_judge(starts, n) : (struct ladder){0};
    uint64_t last = n ? starts[n - 1] : 1000 * NS_PER_S;
    starts[n++] = last + before.wait + ms * NS_PER_MS;
    return ladder_judge(starts, n);
}

START_TEST(one_crash_costs_nothing)
{
    n = 0;
    for (int i = 0; i < 20; i++) {
        struct ladder l = next(3000);
        ck_assert_uint_eq(l.wait, 0);
        ck_assert(!l.set_aside);
    }
}
END_TEST

START_TEST(a_loop_climbs)
{
    static const uint64_t waits[] = {0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30};
    n = 0;
    for (unsigned i = 0; i < 11; i++) {
        struct ladder l = next(20);
        ck_assert_uint_eq(l.starts, i + 1);
        ck_assert_uint_eq(l.wait, waits[i] * NS_PER_S);
        ck_assert_int_eq(l.set_aside, i == 10);
    }
}
END_TEST

START_TEST(a_good_while_ends_it)
{
    n = 0;
    for (int i = 0; i < 8; i++)
        next(20);
    ck_assert_uint_eq(ladder_judge(starts, n).wait, 4 * NS_PER_S);
    ck_assert_uint_eq(next(10001).wait, 0);
    ck_assert_uint_eq(next(20).starts, 2);
}
END_TEST

START_TEST(only_the_end_of_the_row_is_seen)
{
    /* As the store's head keeps it: the oldest starts are overwritten. */
    n = 0;
    for (int i = 0; i < 30; i++)
        next(i < 26 ? 20 : 9000);
    ck_assert(ladder_judge(starts + n - 16, 16).starts <= 16);
    ck_assert_uint_eq(ladder_judge(starts, 1).wait, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ladder");
    TCase *t = tcase_create("ladder");
    tcase_add_test(t, one_crash_costs_nothing);
    tcase_add_test(t, a_loop_climbs);
    tcase_add_test(t, a_good_while_ends_it);
    tcase_add_test(t, only_the_end_of_the_row_is_seen);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
