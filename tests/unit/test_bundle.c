/* bundle: the states of a request on its way, and the list that it waits in. */
#include "forward/bundle.h"

#include <check.h>
#include <stdlib.h>

/* Every pair of states; a change of the table is a change of this test. */
START_TEST(moves)
{
    static const char *const may[BUNDLE_STATES] = {
        /* to READY, SENT, KEEPING, DONE */
        [BUNDLE_READY] = ".skd",
        [BUNDLE_SENT] = "r..d",
        [BUNDLE_KEEPING] = "r..d",
        [BUNDLE_DONE] = "....",
    };
    for (unsigned from = 0; from < BUNDLE_STATES; from++)
        for (unsigned to = 0; to < BUNDLE_STATES; to++)
            ck_assert_msg(bundle_moves(from, to) == (may[from][to] != '.'), "%u to %u", from, to);
}
END_TEST

START_TEST(list)
{
    struct bundles q;
    bundles_init(&q);
    ck_assert_ptr_null(bundles_first(&q, BUNDLE_READY));
    for (uint64_t i = 1; i <= 3; i++)
        bundles_add(&q, BUNDLE_RING, STR("request"))->id = i;
    ck_assert_uint_eq(q.count, 3);
    ck_assert_uint_eq(q.bytes, 21);
    struct bundle *two = bundles_find(&q, 2);
    ck_assert_uint_eq(two->id, 2);
    ck_assert_ptr_null(bundles_find(&q, 4));
    bundle_set_state(two, BUNDLE_SENT);
    ck_assert_ptr_eq(bundles_first(&q, BUNDLE_SENT), two);
    ck_assert_uint_eq(bundles_count(&q, BUNDLE_READY), 2);
    bundle_set_state(two, BUNDLE_DONE);
    bundles_drop_bytes(&q, two);
    ck_assert_uint_eq(q.bytes, 14);
    ck_assert_ptr_null(two->bytes);
    bundles_pop(&q);
    bundles_pop(&q);
    ck_assert_uint_eq(q.bytes, 7);
    bundles_pop(&q);
    ck_assert_uint_eq(q.bytes, 0);
    ck_assert_ptr_null(q.head);
    ck_assert_ptr_nonnull(bundles_add(&q, BUNDLE_PUSH, STR("")));
    ck_assert_ptr_eq(q.head, bundles_first(&q, BUNDLE_READY));
    bundles_fini(&q);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bundle");
    TCase *t = tcase_create("bundle");
    tcase_add_test(t, moves);
    tcase_add_test(t, list);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
