/* recovery: what is done, and how often, under a clock that is given. */
#include "watch/recovery.h"

#include <check.h>
#include <stdlib.h>

static struct recovery r;
static struct recovery_job job;
static const struct str db = {"db", 2}, any = {"*", 1}, shop = {"shop/db", 7};

static struct recovery_rules rules_of(const char *name, const struct str *on)
{
    return (struct recovery_rules){.name = str_of(name),
                                   .on = on,
                                   .non = 1,
                                   .cooldown = 60 * NS_PER_S,
                                   .window = 3600 * NS_PER_S,
                                   .most = 3};
}

static void configure(const struct recovery_rules *rules, unsigned n, unsigned hourly)
{
    recovery_configure(&r, true, hourly, rules, n, NS_PER_S);
}

static void setup(void)
{
    const struct recovery_rules one = rules_of("one", &db);
    memset(&r, 0, sizeof r);
    configure(&one, 1, 100);
}

static void move(uint32_t part, const char *service, const char *component, enum health_state from,
                 enum health_state to, uint64_t s)
{
    const struct health_move m = {.part = part,
                                  .service = str_of(service),
                                  .component = str_of(component),
                                  .message = STR("refused"),
                                  .from = from,
                                  .to = to};
    r.now = s * NS_PER_S;
    recovery_move(&r, &m);
}

static void fall(uint32_t part, const char *component, uint64_t s)
{
    move(part, "", component, HEALTH_HEALTHY, HEALTH_UNHEALTHY, s);
}

static void heal(uint32_t part, const char *component, uint64_t s)
{
    move(part, "", component, HEALTH_UNHEALTHY, HEALTH_DEGRADED, s);
    move(part, "", component, HEALTH_DEGRADED, HEALTH_HEALTHY, s);
}

static bool next(uint64_t s)
{
    return recovery_next(&r, s * NS_PER_S, &job);
}

/* One run that is due and ends at once. */
static void run(uint64_t s)
{
    ck_assert_msg(next(s), "nothing is due at %llu s", (unsigned long long)s);
    ck_assert_int_eq(job.what, OWN_ACTION_DONE);
    recovery_ended(&r, r.actions[job.action].rules.name, OWN_ACTION_DONE);
}

START_TEST(test_at_once_then_after_the_cooldown)
{
    fall(1, "db", 10);
    ck_assert(next(10));
    ck_assert_str_eq(job.episode->reason, "refused");
    ck_assert(!next(1000)); /* it still runs */
    recovery_ended(&r, STR("one"), OWN_ACTION_FAILED);
    ck_assert_int_eq(r.actions[0].outcome, OWN_ACTION_FAILED);
    ck_assert(!next(69));
    run(70);
}
END_TEST

START_TEST(test_only_for_what_it_names)
{
    const struct recovery_rules two[] = {rules_of("one", &shop), rules_of("two", &any)};
    configure(two, 2, 100);
    fall(1, "db", 10);
    run(10);
    ck_assert_uint_eq(job.action, 1);
    ck_assert(!next(10));
    move(2, "shop", "db", HEALTH_DEGRADED, HEALTH_UNHEALTHY, 11);
    run(11);
    ck_assert_uint_eq(job.action, 0);
    run(11);
    ck_assert_uint_eq(job.action, 1);
    ck_assert_str_eq(r.actions[1].component, "shop/db");
}
END_TEST

/* However long it stays unhealthy. */
static void give_up(void)
{
    fall(1, "db", 10);
    run(10);
    run(70);
    run(130);
    ck_assert(next(190));
    ck_assert_int_eq(job.what, OWN_ACTION_GAVE_UP);
    for (uint64_t s = 190; s < 100000; s += 10)
        ck_assert(!next(s));
    ck_assert(r.actions[0].given_up);
}

START_TEST(test_gives_up)
{
    give_up();
}
END_TEST

/* Well again, it may be looked after again; but a window stays a window. */
START_TEST(test_after_giving_up)
{
    give_up();
    heal(1, "db", 100000);
    ck_assert(!next(100000));
    ck_assert(!r.actions[0].given_up);
    fall(1, "db", 100001);
    run(100001);
}
END_TEST

/* What goes up and down all the time has no more runs than what stays down. */
START_TEST(test_flapping_is_bounded)
{
    unsigned runs = 0;
    for (uint64_t s = 10; s < 3 * 3600; s += 2) {
        fall(1, "db", s);
        while (next(s)) {
            runs += job.what == OWN_ACTION_DONE;
            recovery_ended(&r, STR("one"), OWN_ACTION_DONE);
        }
        heal(1, "db", s + 1);
        ck_assert(!next(s + 1));
        if (s < 60)
            ck_assert_uint_eq(runs, 1); /* the cool-down outlasts what it was for */
    }
    ck_assert_uint_eq(runs, 9);
}
END_TEST

START_TEST(test_all_together_have_a_limit)
{
    struct recovery_rules many[4];
    static const char *const names[] = {"a", "b", "c", "d"};
    for (unsigned i = 0; i < 4; i++)
        many[i] = rules_of(names[i], &any);
    configure(many, 4, 3);
    fall(1, "db", 10);
    run(10);
    run(10);
    run(10);
    ck_assert(next(10));
    ck_assert_int_eq(job.what, OWN_ACTION_LIMITED);
    ck_assert(!next(11));
    heal(1, "db", 20);
    fall(2, "other", 3609);
    ck_assert(next(3609));
    ck_assert_int_eq(job.what, OWN_ACTION_LIMITED);
    heal(2, "other", 3609);
    fall(3, "third", 3611);
    run(3611);
}
END_TEST

/* What was unhealthy before the daemon came has had its actions: first a cool-down. */
START_TEST(test_what_was_before)
{
    move(1, "", "db", HEALTH_UNHEALTHY, HEALTH_UNHEALTHY, 10);
    ck_assert(!next(69));
    run(70);
}
END_TEST

START_TEST(test_gone_is_not_looked_after)
{
    fall(1, "db", 10);
    move(1, "", "db", HEALTH_UNHEALTHY, HEALTH_UNKNOWN, 10);
    ck_assert(!next(10));
    r.enabled = false;
    fall(2, "db", 10);
    ck_assert(!next(10));
}
END_TEST

START_TEST(test_reload)
{
    const struct recovery_rules other[] = {rules_of("new", &any), rules_of("one", &db)};
    fall(1, "db", 10);
    run(10);
    recovery_configure(&r, true, 100, other, 2, 20 * NS_PER_S);
    ck_assert_uint_eq(r.actions[1].nruns, 1);
    ck_assert(!next(79));
    run(80);
    run(80);
    ck_assert_uint_eq(r.actions[1].nruns, 2);
    recovery_configure(&r, true, 100, other, 1, 90 * NS_PER_S);
    recovery_ended(&r, STR("one"), OWN_ACTION_DONE); /* says nothing of one that is gone */
}
END_TEST

START_TEST(test_more_episodes_than_room)
{
    for (uint32_t i = 1; i <= RECOVERY_EPISODES + 5; i++)
        fall(i, "db", 10);
    ck_assert_uint_eq(r.left_out, 5);
    heal(1, "db", 11);
    fall(1000, "db", 12);
    ck_assert_uint_eq(r.left_out, 5);
}
END_TEST

/* A producer can report under any name but that of a check without a service. */
START_TEST(test_a_slash_says_whose_it_is)
{
    static const struct str ours = {"/db", 3};
    const struct recovery_rules one = rules_of("one", &ours);
    configure(&one, 1, 100);
    move(1, "shop", "db", HEALTH_HEALTHY, HEALTH_UNHEALTHY, 1);
    move(2, "shop", "/db", HEALTH_HEALTHY, HEALTH_UNHEALTHY, 2);
    ck_assert(!next(3));
    fall(3, "db", 4);
    ck_assert(next(5));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, test_at_once_then_after_the_cooldown);
    tcase_add_test(t, test_a_slash_says_whose_it_is);
    tcase_add_test(t, test_only_for_what_it_names);
    tcase_add_test(t, test_gives_up);
    tcase_add_test(t, test_after_giving_up);
    tcase_add_test(t, test_flapping_is_bounded);
    tcase_add_test(t, test_all_together_have_a_limit);
    tcase_add_test(t, test_what_was_before);
    tcase_add_test(t, test_gone_is_not_looked_after);
    tcase_add_test(t, test_reload);
    tcase_add_test(t, test_more_episodes_than_room);
    Suite *s = suite_create("recovery");
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
