#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "mcp/pending.h"

static const struct when now = {.mono = 5, .wall = 6};

static struct mcp_id number(unsigned n)
{
    struct mcp_id id = {.type = MCP_ID_NUMBER, .hash = n};
    id.size = (uint32_t)snprintf(id.text, sizeof id.text, "%u", n);
    return id;
}

START_TEST(finds_by_direction_and_id)
{
    struct pending p;
    ck_assert_int_eq(pending_init(&p, 8), 0);
    struct mcp_id one = number(1), text = one, two = number(2);
    text.type = MCP_ID_STRING;
    struct pending_request *up = pending_add(&p, 0, &one, PENDING_OPEN, now);
    struct pending_request *down = pending_add(&p, 1, &one, PENDING_OPEN, now);
    struct pending_request *string = pending_add(&p, 0, &text, PENDING_STREAM, now);
    ck_assert_ptr_eq(pending_find(&p, 0, &one), up);
    ck_assert_ptr_eq(pending_find(&p, 1, &one), down);
    ck_assert_ptr_eq(pending_find(&p, 0, &text), string);
    ck_assert_ptr_null(pending_find(&p, 0, &two));
    ck_assert_uint_eq(up->start.mono, 5);
    pending_remove(&p, up);
    ck_assert_ptr_null(pending_find(&p, 0, &one));
    ck_assert_ptr_eq(pending_find(&p, 1, &one), down);
    pending_fini(&p);
}
END_TEST

START_TEST(is_full_at_its_limit_and_takes_more_after_a_removal)
{
    struct pending p;
    ck_assert_int_eq(pending_init(&p, 3), 0);
    struct pending_request *r[3];
    for (unsigned i = 0; i < 3; i++) {
        struct mcp_id id = number(i);
        r[i] = pending_add(&p, 0, &id, PENDING_OPEN, now);
        ck_assert_ptr_nonnull(r[i]);
    }
    struct mcp_id more = number(9);
    ck_assert_ptr_null(pending_add(&p, 0, &more, PENDING_OPEN, now));
    pending_remove(&p, r[1]);
    ck_assert_ptr_eq(pending_add(&p, 0, &more, PENDING_OPEN, now), r[1]);
    pending_fini(&p);
}
END_TEST

START_TEST(queues_keep_the_order_of_entry)
{
    struct pending p;
    struct pending_request *r[4];
    ck_assert_int_eq(pending_init(&p, 8), 0);
    for (unsigned i = 0; i < 4; i++) {
        struct mcp_id id = number(i);
        r[i] = pending_add(&p, i & 1, &id, PENDING_OPEN, now);
    }
    ck_assert_uint_eq(pending_count(&p, PENDING_OPEN, 0), 2);
    ck_assert_uint_eq(pending_count(&p, PENDING_OPEN, 1), 2);
    pending_move(&p, r[0], PENDING_CANCELLED, (struct when){.mono = 77});
    ck_assert_uint_eq(r[0]->since.mono, 77);
    ck_assert_uint_eq(r[0]->start.mono, 5);
    ck_assert_ptr_eq(pending_first(&p, PENDING_OPEN), r[1]);
    ck_assert_ptr_eq(pending_first(&p, PENDING_CANCELLED), r[0]);
    pending_remove(&p, r[2]);
    pending_remove(&p, r[1]);
    ck_assert_ptr_eq(pending_first(&p, PENDING_OPEN), r[3]);
    pending_remove(&p, r[3]);
    ck_assert_ptr_null(pending_first(&p, PENDING_OPEN));
    ck_assert_uint_eq(pending_count(&p, PENDING_OPEN, 0), 0);
    ck_assert_uint_eq(pending_count(&p, PENDING_CANCELLED, 0), 1);
    pending_fini(&p);
}
END_TEST

/* A model that is too simple to be wrong, beside the table, through many random steps. */
START_TEST(agrees_with_a_list)
{
    enum { KEYS = 64, STEPS = 20000, ROOM = 40 };
    struct pending p;
    bool live[KEYS] = {false};
    unsigned count = 0, seed = 12345;
    ck_assert_int_eq(pending_init(&p, ROOM), 0);
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 1103515245 + 12345;
        unsigned key = seed >> 16 & (KEYS - 1);
        struct mcp_id id = number(key / 2);
        id.hash <<= 40; /* so that many share a bucket */
        struct pending_request *r = pending_find(&p, key & 1, &id);
        ck_assert(live[key] == (r != NULL));
        if (r) {
            ck_assert_uint_eq(r->direction, key & 1);
            pending_remove(&p, r);
        } else {
            r = pending_add(&p, key & 1, &id, PENDING_OPEN, now);
            ck_assert((r != NULL) == (count < ROOM));
        }
        if (live[key])
            count--;
        else if (r)
            count++;
        live[key] = !live[key] && r;
        ck_assert_uint_eq(pending_count(&p, PENDING_OPEN, 0) + pending_count(&p, PENDING_OPEN, 1),
                          count);
    }
    pending_fini(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mcp_pending");
    TCase *tests = tcase_create("pending");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, finds_by_direction_and_id);
    tcase_add_test(tests, is_full_at_its_limit_and_takes_more_after_a_removal);
    tcase_add_test(tests, queues_keep_the_order_of_entry);
    tcase_add_test(tests, agrees_with_a_list);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
