#include "intake/otlp_budget.h"

#include <check.h>
#include <stdlib.h>

enum { LIMIT = 1000, MANY = 64 };

static struct otlp_budget budget;
static struct otlp_hold holds[MANY];
static unsigned refused[MANY], nrefused;

static void refuse(void *arg)
{
    struct otlp_hold *h = arg;
    refused[nrefused++] = (unsigned)(h - holds);
    ck_assert(otlp_budget_hold(&budget, h, 0));
}

static void setup(void)
{
    otlp_budget_init(&budget, LIMIT);
    for (unsigned i = 0; i < MANY; i++)
        holds[i] = (struct otlp_hold){.refuse = refuse, .arg = &holds[i]};
    nrefused = 0;
}

static void check_sums(void)
{
    uint64_t used = 0, gathered = 0;
    for (unsigned i = 0; i < MANY; i++) {
        used += holds[i].bytes;
        gathered += holds[i].gathers ? holds[i].bytes : 0;
    }
    ck_assert_uint_eq(budget.used, used);
    ck_assert_uint_eq(budget.gathered, gathered);
    ck_assert_uint_le(budget.used, budget.limit);
}

START_TEST(the_oldest_gives_way)
{
    for (unsigned i = 0; i < 5; i++)
        ck_assert(otlp_budget_hold(&budget, &holds[i], 200));
    ck_assert(otlp_budget_hold(&budget, &holds[5], 300));
    ck_assert_uint_eq(nrefused, 2);
    ck_assert_uint_eq(refused[0], 0);
    ck_assert_uint_eq(refused[1], 1);
    check_sums();
}
END_TEST

START_TEST(who_began_later_is_safe)
{
    for (unsigned i = 0; i < 5; i++)
        ck_assert(otlp_budget_hold(&budget, &holds[i], 200));
    ck_assert(!otlp_budget_hold(&budget, &holds[0], 201)); /* a drip */
    ck_assert_uint_eq(nrefused, 0);
    ck_assert(otlp_budget_hold(&budget, &holds[1], 201));
    ck_assert_uint_eq(nrefused, 1);
    check_sums();
}
END_TEST

START_TEST(a_whole_one_is_safe)
{
    struct otlp_hold *whole = &holds[MANY - 1];
    ck_assert(otlp_budget_hold(&budget, &holds[0], 600));
    otlp_budget_pass(&budget, &holds[0], whole);
    ck_assert_uint_eq(holds[0].bytes, 0);
    ck_assert(!otlp_budget_hold(&budget, &holds[1], 401));
    ck_assert(otlp_budget_hold(&budget, &holds[1], 400));
    ck_assert(!otlp_budget_hold(&budget, &holds[2], 401));
    ck_assert(!otlp_budget_hold(&budget, whole, 700)); /* it began before */
    ck_assert_uint_eq(nrefused, 0);
    ck_assert(otlp_budget_hold(&budget, &holds[2], 400));
    ck_assert_uint_eq(nrefused, 1);
    check_sums();
    ck_assert(otlp_budget_hold(&budget, whole, 0));
    check_sums();
}
END_TEST

START_TEST(less_room_than_is_used)
{
    ck_assert(otlp_budget_hold(&budget, &holds[0], 900));
    budget.limit = 500;
    ck_assert(!otlp_budget_hold(&budget, &holds[0], 901));
    ck_assert(otlp_budget_hold(&budget, &holds[0], 800));
    ck_assert(otlp_budget_hold(&budget, &holds[1], 100));
    ck_assert_uint_eq(nrefused, 1);
    check_sums();
}
END_TEST

/* Whatever half messages there are, one that takes n steps to arrive is refused only when
 * others bring more than the budget meanwhile. */
START_TEST(one_that_goes_on_gets_through)
{
    unsigned through = 0;
    srand(7);
    for (unsigned round = 0; round < 2000; round++) {
        struct otlp_hold *honest = &holds[MANY - 2], *whole = &holds[MANY - 1];
        uint64_t brought = 0, n = 0;
        while (n < 500) {
            struct otlp_hold *other = &holds[rand() % (MANY - 2)];
            const uint64_t more = (uint64_t)(rand() % 8), before = other->bytes;
            if (brought + more <= LIMIT - 500 && otlp_budget_hold(&budget, other, before + more))
                brought += other->bytes - before;
            n += 25;
            ck_assert(otlp_budget_hold(&budget, honest, n));
            nrefused = 0;
        }
        otlp_budget_pass(&budget, honest, whole);
        ck_assert_uint_eq(whole->bytes, 500);
        ck_assert(otlp_budget_hold(&budget, whole, 0));
        check_sums();
        through++;
    }
    ck_assert_uint_eq(through, 2000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_budget");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_oldest_gives_way);
    tcase_add_test(t, who_began_later_is_safe);
    tcase_add_test(t, a_whole_one_is_safe);
    tcase_add_test(t, less_room_than_is_used);
    tcase_add_test(t, one_that_goes_on_gets_through);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
