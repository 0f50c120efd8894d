/* Connections by user. */
#include <check.h>

#include "base/clock.h"
#include "intake/users.h"

static struct users u;

START_TEST(limit)
{
    u.n = 0;
    for (int i = 0; i < 3; i++)
        ck_assert(users_take(&u, 7, 3, 0));
    ck_assert(!users_take(&u, 7, 3, 0));
    ck_assert(users_take(&u, 8, 3, 0));
    users_give(&u, 7, 0);
    ck_assert(users_take(&u, 7, 3, 0));
    ck_assert(!users_take(&u, 7, 3, 0));
}
END_TEST

START_TEST(places_are_free_again)
{
    u.n = 0;
    for (uint32_t uid = 0; uid < USERS_MAX; uid++)
        ck_assert(users_take(&u, uid, 1, 0));
    ck_assert(!users_take(&u, USERS_MAX, 1, 0));
    users_give(&u, 5, 0);
    ck_assert(users_take(&u, USERS_MAX, 1, 0));
    ck_assert(!users_take(&u, USERS_MAX - 1, 1, 0)); /* moved into the place, with its count */
    users_give(&u, USERS_MAX, 0);
    for (uint32_t uid = 0; uid < USERS_MAX; uid++)
        if (uid != 5)
            users_give(&u, uid, 0);
    ck_assert_uint_eq(u.n, 0);
}
END_TEST

START_TEST(limit_may_fall)
{
    u.n = 0;
    ck_assert(users_take(&u, 1, 5, 0));
    ck_assert(users_take(&u, 1, 5, 0));
    ck_assert(!users_take(&u, 1, 1, 0));
    users_give(&u, 1, 0);
    users_give(&u, 1, 0);
    ck_assert_uint_eq(u.n, 0);
}
END_TEST

/* A second's worth at once, then the rate, for each user and both measures. */
START_TEST(a_rate_is_kept)
{
    const struct user_rates rates = {.bytes = 1000, .items = 10};
    const uint64_t now = 100 * NS_PER_S;
    u.n = 0;
    ck_assert(users_take(&u, 1, 5, now));
    ck_assert(users_take(&u, 2, 5, now));
    ck_assert(users_even(&u, 1, now));
    users_charge(&u, 1, 1000, 0, &rates, now);
    ck_assert(users_even(&u, 1, now));
    users_charge(&u, 1, 500, 1, &rates, now);
    ck_assert(!users_even(&u, 1, now));
    ck_assert(users_even(&u, 2, now));
    ck_assert(users_even(&u, 1, now + NS_PER_S / 2));
    users_charge(&u, 2, 1, 30, &rates, now);
    ck_assert(!users_even(&u, 2, now + NS_PER_S));
    ck_assert(users_even(&u, 2, now + 2 * NS_PER_S));
    const struct user_rates none = {0};
    users_charge(&u, 2, UINT64_MAX, UINT64_MAX, &none, now);
    ck_assert(users_even(&u, 2, now));
    users_give(&u, 1, now + 9 * NS_PER_S);
    users_give(&u, 2, now + 9 * NS_PER_S);
    ck_assert_uint_eq(u.n, 0);
}
END_TEST

/* Who leaves and comes again has used what he had used; a table full of such makes room when
 * they are even. */
START_TEST(leaving_buys_nothing)
{
    const struct user_rates rates = {.bytes = 1000};
    u.n = 0;
    for (uint32_t uid = 0; uid < USERS_MAX; uid++) {
        ck_assert(users_take(&u, uid, 1, 1));
        users_charge(&u, uid, 5000, 0, &rates, 1);
        users_give(&u, uid, 1);
    }
    ck_assert(users_take(&u, 7, 1, 2));
    ck_assert(!users_even(&u, 7, NS_PER_S));
    ck_assert(!users_take(&u, USERS_MAX, 1, NS_PER_S));
    ck_assert(users_take(&u, USERS_MAX, 1, 6 * NS_PER_S));
    ck_assert_uint_eq(u.n, 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("users");
    TCase *t = tcase_create("users");
    tcase_add_test(t, limit);
    tcase_add_test(t, places_are_free_again);
    tcase_add_test(t, limit_may_fall);
    tcase_add_test(t, a_rate_is_kept);
    tcase_add_test(t, leaving_buys_nothing);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
