/* Consumers that deliver at least once: rows, the ledger, kills, overruns. */
#include "store_fixture.h"

#include <stdio.h>

#include "pipeline/pipeline.h"
#include "store/copy.h"
#include "store/follow.h"

static struct world w;
static char copy[RING_COPY] __attribute__((aligned(8)));

static void setup(void)
{
    world_init(&w, STORE_MIN);
}

static void teardown(void)
{
    world_fini(&w);
}

static void append(unsigned n, size_t bytes)
{
    static char body[LIMIT_ITEM];
    for (; n > 0; n--) {
        const struct ring_item item = {.kind = 8, .service = STR("s"), .body = {body, bytes}};
        ring_make_room(&w.st, RING_SPANS);
        ck_assert_int_eq(ring_append(&w.st, RING_SPANS, &item), 0);
        store_commit(&w.st);
    }
}

static struct consumer_view ledger(int row)
{
    struct consumer_view c;
    consumer_read(&w.st, RING_SPANS, (enum store_consumer)row, &c);
    ck_assert_uint_eq(c.appended, c.read + c.overrun + c.waiting);
    ck_assert_uint_eq(c.read, c.delivered + c.filtered + c.failed);
    return c;
}

static int claim(const char *name)
{
    return consumer_claim(&w.st, str_of(name), NULL, 0);
}

START_TEST(rows_have_names)
{
    const int a = claim("export/a"), b = claim("export/b");
    ck_assert_int_ge(a, CONSUMER_EXPORT);
    ck_assert_int_ne(a, b);
    ck_assert_int_eq(claim("export/a"), a);
    world_kill(&w);
    ck_assert_int_eq(claim("export/b"), b);
    ck_assert(str_eq(consumer_name(&w.st, (unsigned)a), STR("export/a")));
}
END_TEST

START_TEST(a_name_is_refused)
{
    ck_assert_int_eq(claim(""), -ERR_RANGE);
    ck_assert_int_eq(claim("a\"b"), -ERR_RANGE);
    ck_assert_int_eq(claim("a b"), -ERR_RANGE);
    ck_assert_int_eq(claim("123456789012345678901234567890123"), -ERR_RANGE);
    ck_assert_int_gt(claim("12345678901234567890123456789012"), 0);
    ck_assert_uint_eq(consumer_name(&w.st, CONSUMER_EXPORT).n, CONSUMER_NAME);
}
END_TEST

/* Only a row that nobody uses any more is given to another, and begins anew. */
START_TEST(rows_of_others_are_taken)
{
    char name[8][16];
    struct str keep[8];
    append(5, 100);
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name[i], sizeof name[i], "export/%u", i);
        keep[i] = str_of(name[i]);
        ck_assert_int_eq(consumer_claim(&w.st, keep[i], keep, i + 1), (int)(CONSUMER_EXPORT + i));
    }
    ck_assert_int_eq(consumer_claim(&w.st, STR("new"), keep, 8), -ERR_FULL);
    append(3, 100);
    keep[2] = STR("new");
    ck_assert_int_eq(consumer_claim(&w.st, STR("new"), keep, 8), CONSUMER_EXPORT + 2);
    ck_assert_uint_eq(ledger(CONSUMER_EXPORT).waiting, 3);
    ck_assert_uint_eq(ledger(CONSUMER_EXPORT + 2).waiting, 0);
}
END_TEST

/* What was read and not settled comes again after a kill; what was settled not. */
START_TEST(begins_again_at_the_cursor)
{
    struct follow f;
    struct ring_view v;
    append(2, 100);
    const int row = claim("x");
    append(6, 100);
    follow_init(&f, &w.st, RING_SPANS, (enum store_consumer)row);
    ck_assert_uint_eq(follow_waiting(&f, &w.st), 6);
    for (uint64_t i = 3; i <= 5; i++) {
        ck_assert_int_eq(follow_next(&f, &w.st, copy, sizeof copy, &v), 1);
        ck_assert_uint_eq(v.seq, i);
    }
    const struct follow_done done = {f.position, f.seq, .delivered = 2, .filtered = 1};
    ck_assert_int_eq(follow_next(&f, &w.st, copy, sizeof copy, &v), 1);
    follow_settle(&w.st, RING_SPANS, (enum store_consumer)row, &done);
    store_commit(&w.st);
    follow_settle(&w.st, RING_SPANS, (enum store_consumer)row,
                  &(struct follow_done){f.position, f.seq, .failed = 1});
    world_kill(&w);
    const struct consumer_view c = ledger(row);
    ck_assert_uint_eq(c.delivered, 2);
    ck_assert_uint_eq(c.filtered, 1);
    ck_assert_uint_eq(c.failed, 0);
    ck_assert_uint_eq(c.waiting, 3);
    follow_init(&f, &w.st, RING_SPANS, (enum store_consumer)row);
    ck_assert_int_eq(follow_next(&f, &w.st, copy, sizeof copy, &v), 1);
    ck_assert_uint_eq(v.seq, 6);
    ck_assert_uint_eq(follow_waiting(&f, &w.st), 2);
}
END_TEST

START_TEST(what_was_overwritten_is_overrun)
{
    struct follow f;
    struct ring_view v;
    const int row = claim("x");
    follow_init(&f, &w.st, RING_SPANS, (enum store_consumer)row);
    append(1, 5000);
    ck_assert(follow_pressure(&f, &w.st) > 0 && follow_pressure(&f, &w.st) < 0.1);
    append(999, 5000);
    ck_assert_double_eq(follow_pressure(&f, &w.st), 1);
    ck_assert_uint_eq(follow_waiting(&f, &w.st), 1000);
    uint64_t got = 0;
    while (follow_next(&f, &w.st, copy, sizeof copy, &v) == 1)
        got++;
    ck_assert_uint_eq(v.seq, 1000);
    ck_assert_double_eq(follow_pressure(&f, &w.st), 0);
    const struct follow_done done = {f.position, f.seq, .delivered = got};
    follow_settle(&w.st, RING_SPANS, (enum store_consumer)row, &done);
    store_commit(&w.st);
    const struct consumer_view c = ledger(row);
    ck_assert_uint_eq(c.delivered, got);
    ck_assert_uint_eq(c.overrun, 1000 - got);
    ck_assert_uint_eq(c.waiting, 0);
}
END_TEST

/* As long as the pressure was below 1, the record is there. */
START_TEST(pressure_comes_before_the_loss)
{
    struct follow f;
    struct ring_view v;
    const int row = claim("x");
    srand(5);
    for (int round = 0; round < 20; round++) {
        follow_init(&f, &w.st, RING_SPANS, (enum store_consumer)row);
        const uint64_t next = f.seq + 1;
        while (follow_pressure(&f, &w.st) < 1)
            append(1, (size_t)rand() % 30000);
        ck_assert_int_eq(follow_next(&f, &w.st, copy, sizeof copy, &v), 1);
        ck_assert_uint_eq(v.seq, next);
        while (follow_next(&f, &w.st, copy, sizeof copy, &v) == 1)
            ;
        const uint64_t n = f.seq - next + 1;
        follow_settle(&w.st, RING_SPANS, (enum store_consumer)row,
                      &(struct follow_done){f.position, f.seq, .delivered = n});
        store_commit(&w.st);
        ck_assert_uint_eq(ledger(row).overrun, 0);
    }
}
END_TEST

/* Into a smaller store: the row, the name and the ledger go along. */
START_TEST(goes_along_into_another_size)
{
    struct world big;
    world_init(&big, 4 * STORE_MIN);
    const struct world small = w;
    w = big;
    append(5, 100);
    const int row = claim("x");
    append(800, 2000);
    struct follow f;
    struct ring_view v;
    follow_init(&f, &w.st, RING_SPANS, (enum store_consumer)row);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(follow_next(&f, &w.st, copy, sizeof copy, &v), 1);
    follow_settle(&w.st, RING_SPANS, (enum store_consumer)row,
                  &(struct follow_done){f.position, f.seq, .delivered = 3});
    store_commit(&w.st);
    big = w;
    w = small;
    ck_assert_int_eq(store_copy(big.mem, big.size, &w.st, w.now), 0);
    ck_assert_int_eq(claim("x"), row);
    follow_init(&f, &w.st, RING_SPANS, (enum store_consumer)row);
    uint64_t got = 0;
    while (follow_next(&f, &w.st, copy, sizeof copy, &v) == 1)
        got++;
    ck_assert_uint_gt(got, 100);
    follow_settle(&w.st, RING_SPANS, (enum store_consumer)row,
                  &(struct follow_done){f.position, f.seq, .delivered = got});
    store_commit(&w.st);
    const struct consumer_view c = ledger(row);
    ck_assert_uint_eq(c.appended, 800);
    ck_assert_uint_eq(c.delivered, 3 + got);
    ck_assert_uint_eq(c.overrun, 800 - 3 - got);
    world_fini(&big);
}
END_TEST

/* What a row does not read does not wait for it, and its ledger goes on balanced. */
START_TEST(a_ring_is_not_read)
{
    const int row = claim("x");
    const enum store_consumer c = (enum store_consumer)row;
    append(5, 100);
    consumer_follow(&w.st, c, RING_SPANS, false);
    ck_assert(!consumer_reads(&w.st, (unsigned)row, RING_SPANS));
    ck_assert(consumer_reads(&w.st, (unsigned)row, RING_EVENTS));
    ck_assert_uint_eq(ledger(row).waiting, 0);
    ck_assert_uint_eq(ledger(row).overrun, 5);
    append(7, 100);
    consumer_follow(&w.st, c, RING_SPANS, false);
    consumer_follow(&w.st, c, RING_SPANS, true);
    consumer_follow(&w.st, c, RING_SPANS, true);
    append(2, 100);
    ck_assert_uint_eq(ledger(row).appended, 7);
    ck_assert_uint_eq(ledger(row).overrun, 5);
    ck_assert_uint_eq(ledger(row).waiting, 2);
    struct follow f;
    struct ring_view v;
    follow_init(&f, &w.st, RING_SPANS, c);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(follow_next(&f, &w.st, copy, sizeof copy, &v), 1);
    ck_assert_int_eq(follow_next(&f, &w.st, copy, sizeof copy, &v), 0);
    follow_settle(&w.st, RING_SPANS, c, &(struct follow_done){f.position, f.seq, .delivered = 2});
    store_commit(&w.st);
    ck_assert_uint_eq(ledger(row).appended, 7);
    ck_assert_uint_eq(ledger(row).delivered, 2);
    ck_assert_uint_eq(ledger(row).waiting, 0);
    consumer_follow(&w.st, c, RING_SPANS, false);
    const struct str others[] = {str_of("b"), str_of("c")};
    for (unsigned i = 0; i < 2; i++) /* whoever claims a row reads all */
        ck_assert(consumer_reads(&w.st, (unsigned)consumer_claim(&w.st, others[i], others, 2),
                                 RING_SPANS));
}
END_TEST

/* Rates fall when one that reads spans is behind, and for no other. */
START_TEST(pressure_is_of_those_that_read)
{
    const struct pipeline pl = {.st = &w.st};
    const enum store_consumer c = (enum store_consumer)claim("x");
    ck_assert_double_eq(pipeline_pressure(&pl), 0);
    append(800, 2000);
    ck_assert_double_eq(pipeline_pressure(&pl), 1);
    consumer_follow(&w.st, c, RING_SPANS, false);
    ck_assert_double_eq(pipeline_pressure(&pl), 0);
    consumer_follow(&w.st, c, RING_SPANS, true);
    ck_assert_double_eq(pipeline_pressure(&pl), 0);
    append(1, 2000);
    ck_assert(pipeline_pressure(&pl) > 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("follow");
    TCase *t = tcase_create("follow");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, rows_have_names);
    tcase_add_test(t, a_name_is_refused);
    tcase_add_test(t, rows_of_others_are_taken);
    tcase_add_test(t, begins_again_at_the_cursor);
    tcase_add_test(t, what_was_overwritten_is_overrun);
    tcase_add_test(t, pressure_comes_before_the_loss);
    tcase_add_test(t, goes_along_into_another_size);
    tcase_add_test(t, a_ring_is_not_read);
    tcase_add_test(t, pressure_is_of_those_that_read);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
