/* Connections by user. */
#include <check.h>

#include "intake/users.h"

static struct users u;

START_TEST(limit)
{
    u.n = 0;
    for (int i = 0; i < 3; i++)
        ck_assert(users_take(&u, 7, 3));
    ck_assert(!users_take(&u, 7, 3));
    ck_assert(users_take(&u, 8, 3));
    users_give(&u, 7);
    ck_assert(users_take(&u, 7, 3));
    ck_assert(!users_take(&u, 7, 3));
}
END_TEST

START_TEST(places_are_free_again)
{
    u.n = 0;
    for (uint32_t uid = 0; uid < USERS_MAX; uid++)
        ck_assert(users_take(&u, uid, 1));
    ck_assert(!users_take(&u, USERS_MAX, 1));
    users_give(&u, 5);
    ck_assert(users_take(&u, USERS_MAX, 1));
    ck_assert(!users_take(&u, USERS_MAX - 1, 1)); /* moved into the place, with its count */
    users_give(&u, USERS_MAX);
    for (uint32_t uid = 0; uid < USERS_MAX; uid++)
        if (uid != 5)
            users_give(&u, uid);
    ck_assert_uint_eq(u.n, 0);
}
END_TEST

START_TEST(limit_may_fall)
{
    u.n = 0;
    ck_assert(users_take(&u, 1, 5));
    ck_assert(users_take(&u, 1, 5));
    ck_assert(!users_take(&u, 1, 1));
    users_give(&u, 1);
    users_give(&u, 1);
    ck_assert_uint_eq(u.n, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("users");
    TCase *t = tcase_create("users");
    tcase_add_test(t, limit);
    tcase_add_test(t, places_are_free_again);
    tcase_add_test(t, limit_may_fall);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
