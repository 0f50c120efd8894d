/* check: the schedule under a clock that is given, and the times of results. */
#include "watch/check.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct check_schedule s;

static void fill(unsigned n, uint64_t interval)
{
    for (unsigned i = 0; i < n; i++)
        ck_assert_uint_eq(check_schedule_add(&s, interval, i, NS_PER_S), i);
}

/* Runs the schedule in steps of 10 ms up to `until`; each run takes `takes`. How often each
 * ran, and the most that ran, or began in one step, together. */
static unsigned runs[CHECK_MAX], most_running, most_begun;

static void run(uint64_t until, uint64_t takes)
{
    uint64_t ends[CHECK_MAX] = {0};
    memset(runs, 0, sizeof runs);
    most_running = most_begun = 0;
    for (uint64_t now = NS_PER_S; now < until; now += 10 * NS_PER_MS) {
        unsigned begun = 0;
        for (unsigned i = 0; i < s.n; i++)
            if (s.slots[i].running && ends[i] <= now)
                check_schedule_end(&s, i, now);
        for (int i; (i = check_schedule_begin(&s, now)) >= 0; begun++) {
            ends[i] = now + takes;
            runs[i]++;
        }
        most_running = s.running > most_running ? s.running : most_running;
        most_begun = begun > most_begun ? begun : most_begun;
    }
}

START_TEST(test_every_check_has_its_turns)
{
    check_schedule_init(&s, 16);
    fill(CHECK_MAX, 10 * NS_PER_S);
    run(301 * NS_PER_S, 50 * NS_PER_MS);
    for (unsigned i = 0; i < CHECK_MAX; i++)
        ck_assert_msg(runs[i] >= 28 && runs[i] <= 32, "check %u ran %u times", i, runs[i]);
    ck_assert_uint_le(most_running, 16);
    ck_assert_uint_le(most_begun, 8);
    ck_assert_uint_eq(s.delayed, 0);
}
END_TEST

/* 64 checks a second of 1 s each, of which 4 run together: all wait, none is forgotten. */
START_TEST(test_more_than_may_run_together)
{
    check_schedule_init(&s, 4);
    fill(64, NS_PER_S);
    run(65 * NS_PER_S, NS_PER_S);
    ck_assert_uint_eq(most_running, 4);
    ck_assert_uint_gt(s.delayed, 100);
    for (unsigned i = 0; i < 64; i++)
        ck_assert_msg(runs[i] >= 2, "check %u ran %u times", i, runs[i]);
}
END_TEST

START_TEST(test_never_twice_at_one_time)
{
    check_schedule_init(&s, 16);
    fill(1, NS_PER_S);
    const uint64_t due = s.slots[0].due;
    ck_assert_int_eq(check_schedule_begin(&s, due - 1), -1);
    ck_assert_uint_eq(check_schedule_wait(&s, due - 1), 1);
    ck_assert_int_eq(check_schedule_begin(&s, due), 0);
    ck_assert_int_eq(check_schedule_begin(&s, due + 100 * NS_PER_S), -1);
    ck_assert_uint_eq(check_schedule_wait(&s, due + 100 * NS_PER_S), UINT64_MAX);
    check_schedule_end(&s, 0, due + 100 * NS_PER_S);
    ck_assert_uint_ge(s.slots[0].due, due + 100 * NS_PER_S);
    ck_assert_uint_le(check_schedule_wait(&s, due + 100 * NS_PER_S), NS_PER_S);
}
END_TEST

START_TEST(test_first_runs_are_spread)
{
    check_schedule_init(&s, 16);
    fill(CHECK_MAX, 3600 * NS_PER_S);
    unsigned early = 0;
    for (unsigned i = 0; i < CHECK_MAX; i++) {
        ck_assert_uint_le(s.slots[i].due, NS_PER_S + CHECK_SPREAD);
        early += s.slots[i].due < NS_PER_S + CHECK_SPREAD / 2;
    }
    ck_assert_uint_ge(early, CHECK_MAX / 3);
    ck_assert_uint_le(early, CHECK_MAX - CHECK_MAX / 3);
}
END_TEST

START_TEST(test_times)
{
    struct check_slot c = {.began = 10 * NS_PER_S};
    struct check_times t;
    t = check_note(&c, OWN_RESULT_OK, HEALTH_UNKNOWN, HEALTH_HEALTHY, 11 * NS_PER_S);
    ck_assert_uint_eq(t.detected + t.recovered, 0);
    c.began = 20 * NS_PER_S;
    t = check_note(&c, OWN_RESULT_TIMEOUT, HEALTH_HEALTHY, HEALTH_DEGRADED, 25 * NS_PER_S);
    ck_assert_uint_eq(t.detected, 0);
    t = check_note(&c, OWN_RESULT_TIMEOUT, HEALTH_DEGRADED, HEALTH_UNHEALTHY, 35 * NS_PER_S);
    ck_assert_uint_eq(t.detected, 25 * NS_PER_S);
    t = check_note(&c, OWN_RESULT_OK, HEALTH_UNHEALTHY, HEALTH_DEGRADED, 45 * NS_PER_S);
    ck_assert_uint_eq(t.recovered, 0);
    t = check_note(&c, OWN_RESULT_OK, HEALTH_DEGRADED, HEALTH_HEALTHY, 55 * NS_PER_S);
    ck_assert_uint_eq(t.recovered, 20 * NS_PER_S);
}
END_TEST

/* Of a daemon that has just started: what was before is not known, and not told. */
START_TEST(test_times_without_a_past)
{
    struct check_slot c = {.began = 10 * NS_PER_S};
    struct check_times t;
    t = check_note(&c, OWN_RESULT_FAILED, HEALTH_UNHEALTHY, HEALTH_UNHEALTHY, 11 * NS_PER_S);
    t = check_note(&c, OWN_RESULT_OK, HEALTH_UNHEALTHY, HEALTH_HEALTHY, 12 * NS_PER_S);
    ck_assert_uint_eq(t.detected + t.recovered, 0);
}
END_TEST

START_TEST(test_words)
{
    for (int k = 0; k < CHECK_KINDS; k++)
        ck_assert_int_eq(check_kind_of(check_kind_name((unsigned)k)), k);
    ck_assert_int_eq(check_kind_of("telnet"), -1);
    ck_assert_str_eq(own_result_name(OWN_RESULT_TIMEOUT), "timeout");
    ck_assert_int_eq(check_state(OWN_RESULT_UNREACHABLE), HEALTH_UNHEALTHY);
    ck_assert_int_eq(check_state(OWN_RESULT_UNKNOWN), HEALTH_UNKNOWN);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_every_check_has_its_turns);
    tcase_add_test(t, test_more_than_may_run_together);
    tcase_add_test(t, test_never_twice_at_one_time);
    tcase_add_test(t, test_first_runs_are_spread);
    tcase_add_test(t, test_times);
    tcase_add_test(t, test_times_without_a_past);
    tcase_add_test(t, test_words);
    Suite *suite = suite_create("check");
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
