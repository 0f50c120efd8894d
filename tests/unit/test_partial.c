/* The budget of frames that have begun: shares, order, sums. */
#include <check.h>

#include "intake/partial.h"

enum { BUDGET = 1000, QUEUES = 5, HOLDS = 8 };

static struct partial p;
static struct partial_hold h[HOLDS];

static void setup(void)
{
    partial_init(&p, BUDGET, QUEUES);
    for (int i = 0; i < HOLDS; i++)
        h[i] = (struct partial_hold){0};
}

static void set(int i, unsigned queue, size_t bytes, uint64_t now)
{
    partial_set(&p, &h[i], queue, bytes, false, now);
}

START_TEST(sums)
{
    set(0, 1, 100, 1);
    set(1, 1, 50, 2);
    set(0, 1, 300, 3);
    ck_assert_uint_eq(p.used, 350);
    ck_assert_uint_eq(p.queue_used[1], 350);
    ck_assert_uint_eq(h[0].since, 1); /* the same frame, larger */
    set(0, 1, 0, 4);
    set(0, 1, 0, 5);
    ck_assert_uint_eq(p.used, 50);
    set(1, 1, 0, 6);
    ck_assert_uint_eq(p.used, 0);
    ck_assert_ptr_null(partial_oldest(&p, 1));
}
END_TEST

START_TEST(oldest_first)
{
    set(0, 2, 10, 1);
    set(1, 2, 10, 2);
    set(2, 2, 10, 3);
    ck_assert_ptr_eq(partial_oldest(&p, 2), &h[0]);
    partial_set(&p, &h[0], 2, 10, true, 4); /* its next frame */
    ck_assert_ptr_eq(partial_oldest(&p, 2), &h[1]);
    ck_assert_uint_eq(h[0].since, 4);
    ck_assert_uint_eq(p.used, 30);
}
END_TEST

START_TEST(queue_may_change)
{
    set(0, 4, 10, 1); /* said HELLO in between */
    set(0, 2, 20, 2);
    ck_assert_uint_eq(p.queue_used[4], 0);
    ck_assert_uint_eq(p.queue_used[2], 20);
    ck_assert_ptr_null(partial_oldest(&p, 4));
    ck_assert_uint_eq(h[0].since, 2);
}
END_TEST

START_TEST(shares)
{
    set(0, 1, BUDGET - 1, 1);
    ck_assert(partial_room(&p, 1));
    set(0, 1, BUDGET, 1);
    ck_assert(!partial_room(&p, 1));
    for (unsigned q = 2; q < QUEUES; q++)
        ck_assert(partial_room(&p, q)); /* below its share of 200 */
    set(1, 2, BUDGET / QUEUES, 2);
    ck_assert(!partial_room(&p, 2));
    ck_assert(partial_room(&p, 3));
    set(0, 1, 0, 3);
    ck_assert(partial_room(&p, 1));
    ck_assert(partial_room(&p, 2));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("partial");
    TCase *t = tcase_create("partial");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, sums);
    tcase_add_test(t, oldest_first);
    tcase_add_test(t, queue_may_change);
    tcase_add_test(t, shares);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
