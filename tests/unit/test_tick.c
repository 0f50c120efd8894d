#include "daemon/tick.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include "base/clock.h"

static struct event_base *base;
static struct tick t;
static unsigned calls;

static void count(void *arg)
{
    ++*(unsigned *)arg;
}

static void setup(void)
{
    base = event_base_new();
    calls = 0;
}

static void teardown(void)
{
    event_base_free(base);
}

static void start(uint64_t ns)
{
    ck_assert_int_eq(tick_start(&t, base, ns, count, &calls), 0);
}

/* Until another time has come, that nobody has taken yet. */
static void wait_for_time(void)
{
    struct pollfd p = {.fd = t.fd, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, -1), 1);
}

START_TEST(calls_at_each_time)
{
    start(NS_PER_MS);
    while (calls < 5)
        ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
    tick_stop(&t);
    ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 1); /* nothing is left in it */
    ck_assert_uint_eq(calls, 5);
}
END_TEST

START_TEST(what_was_missed_is_one_call)
{
    start(NS_PER_MS);
    wait_for_time();
    poll(NULL, 0, 5);
    event_base_loop(base, EVLOOP_ONCE);
    ck_assert_uint_eq(calls, 1);
    tick_stop(&t);
}
END_TEST

START_TEST(one_time_is_one_call)
{
    const struct itimerspec once = {.it_value = {.tv_nsec = 1}};
    start(3600 * NS_PER_S);
    ck_assert_int_eq(timerfd_settime(t.fd, 0, &once, NULL), 0);
    for (int turns = 0; turns < 3; turns++)
        event_base_loop(base, turns == 0 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
    ck_assert_uint_eq(calls, 1);
    tick_stop(&t);
}
END_TEST

/* Between two times the loop has nothing to do: it sleeps without a time limit. */
START_TEST(the_loop_has_no_timer_of_its_own)
{
    start(3600 * NS_PER_S);
    ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
    ck_assert(!event_pending(t.event, EV_TIMEOUT, NULL));
    tick_stop(&t);
    ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
}
END_TEST

START_TEST(without_descriptors_there_is_none)
{
    const int last = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const struct rlimit full = {(rlim_t)last, (rlim_t)last};
    ck_assert_int_ge(last, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
    ck_assert_int_eq(tick_start(&t, base, NS_PER_S, count, &calls), -1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tick");
    TCase *c = tcase_create("tick");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, calls_at_each_time);
    tcase_add_test(c, what_was_missed_is_one_call);
    tcase_add_test(c, one_time_is_one_call);
    tcase_add_test(c, the_loop_has_no_timer_of_its_own);
    tcase_add_test(c, without_descriptors_there_is_none);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
