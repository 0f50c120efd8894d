/* Times for timers: to the microsecond, and never too early. */
#include "base/clock.h"

#include <check.h>
#include <sys/time.h>

static const struct {
    uint64_t ns;
    long s, us;
} all[] = {
    {0, 0, 0},
    {1, 0, 1},
    {NS_PER_US, 0, 1},
    {NS_PER_US + 1, 0, 2},
    {NS_PER_S - 1, 1, 0},
    {NS_PER_S, 1, 0},
    {90 * NS_PER_S + 5 * NS_PER_MS, 90, 5000},
    {UINT64_MAX, 18446744073, 709552},
};

START_TEST(rounded_up)
{
    const struct timeval t = timeval_of(all[_i].ns);
    ck_assert_int_eq(t.tv_sec, all[_i].s);
    ck_assert_int_eq(t.tv_usec, all[_i].us);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("clock");
    TCase *t = tcase_create("clock");
    tcase_add_loop_test(t, rounded_up, 0, sizeof all / sizeof *all);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
