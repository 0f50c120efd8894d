/* A timer that others bring forward again and again still fires. */
#include "daemon/alarm.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"

enum { ROUNDS = 50 };

struct world {
    struct event_base *base;
    struct event *busy; /* due in each round of the loop */
    struct alarm alarm;
    unsigned rounds, fired, fired_in;
    uint64_t ask; /* what is asked for in each round: 0, or ns from now */
};

static const struct timeval at_once = {0, 0};

static void on_busy(evutil_socket_t fd, short what, void *arg)
{
    struct world *w = arg;
    const uint64_t now = clock_now().mono;
    (void)fd;
    (void)what;
    if (++w->rounds == ROUNDS) {
        event_base_loopbreak(w->base);
        return;
    }
    event_add(w->busy, &at_once);
    alarm_by(&w->alarm, w->ask ? now + w->ask : 0, now);
}

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
    struct world *w = arg;
    (void)fd;
    (void)what;
    alarm_fired(&w->alarm);
    w->fired++;
    if (!w->fired_in)
        w->fired_in = w->rounds;
}

static void run(struct world *w)
{
    w->base = event_base_new();
    ck_assert(w->base);
    w->busy = event_new(w->base, -1, 0, on_busy, w);
    ck_assert(w->busy && alarm_init(&w->alarm, w->base, on_alarm, w));
    event_add(w->busy, &at_once);
    event_base_dispatch(w->base);
    event_free(w->busy);
    alarm_fini(&w->alarm);
    event_base_free(w->base);
}

START_TEST(fires_beside_what_is_always_due)
{
    struct world w = {.ask = 0};
    run(&w);
    ck_assert_uint_ge(w.fired, ROUNDS / 3);
    ck_assert_uint_le(w.fired_in, 3);
}
END_TEST

START_TEST(a_later_time_changes_nothing)
{
    struct world w = {.ask = 3600 * NS_PER_S};
    run(&w);
    ck_assert_uint_eq(w.fired, 0);
    ck_assert_uint_eq(w.rounds, ROUNDS);
}
END_TEST

START_TEST(an_earlier_time_wins)
{
    struct world w = {.base = event_base_new()};
    const uint64_t now = clock_now().mono;
    ck_assert(w.base && alarm_init(&w.alarm, w.base, on_alarm, &w));
    alarm_by(&w.alarm, now + 3600 * NS_PER_S, now);
    alarm_by(&w.alarm, now + NS_PER_MS, now);
    ck_assert_uint_eq(w.alarm.at, now + NS_PER_MS);
    alarm_by(&w.alarm, now + NS_PER_S, now);
    ck_assert_uint_eq(w.alarm.at, now + NS_PER_MS);
    event_base_dispatch(w.base);
    ck_assert_uint_eq(w.fired, 1);
    ck_assert_uint_eq(w.alarm.at, 0);
    alarm_fini(&w.alarm);
    event_base_free(w.base);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("alarm");
    TCase *t = tcase_create("alarm");
    tcase_add_test(t, fires_beside_what_is_always_due);
    tcase_add_test(t, a_later_time_changes_nothing);
    tcase_add_test(t, an_earlier_time_wins);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
