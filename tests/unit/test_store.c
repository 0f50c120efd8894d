/* The store: attach, rollback, tables, heap, rings, and what a damaged one gives. */
#include "store_fixture.h"

#include "store/read.h"
#include "store/ring.h"
#include "store/session.h"
#include "store/space.h"

static struct world w;

static void setup(void)
{
    world_init(&w, STORE_MIN);
}

static void teardown(void)
{
    world_fini(&w);
}

START_TEST(goes_on_after_a_kill)
{
    STORE_SET(&w.st, w.st.head->epoch, 41);
    store_commit(&w.st);
    world_kill(&w);
    ck_assert_uint_eq(w.st.head->epoch, 41);
    ck_assert_uint_eq(w.st.head->starts, 2);
}
END_TEST

START_TEST(rolls_back_the_open_batch)
{
    STORE_SET(&w.st, w.st.head->epoch, 41);
    store_commit(&w.st);
    STORE_SET(&w.st, w.st.head->epoch, 42);
    STORE_SET(&w.st, w.st.head->epoch, 43);
    world_kill(&w);
    ck_assert_uint_eq(w.st.head->epoch, 41);
    ck_assert_uint_eq(w.st.head->rollbacks, 1);
}
END_TEST

START_TEST(rollback_is_idempotent)
{
    STORE_SET(&w.st, w.st.head->epoch, 41);
    const uint64_t open = w.st.head->commit;
    ck_assert_int_eq(store_rollback(&w.st), 1);
    w.st.head->commit = open; /* killed before the last word of the rollback */
    ck_assert_int_eq(store_rollback(&w.st), 1);
    ck_assert_uint_eq(w.st.head->epoch, 1);
}
END_TEST

START_TEST(starts_anew_after_a_boot)
{
    STORE_SET(&w.st, w.st.head->epoch, 41);
    store_commit(&w.st);
    store_detach(&w.st, false);
    w.me.boot_id[0]++;
    ck_assert_int_eq(world_attach(&w), STORE_CREATED);
    ck_assert_uint_eq(w.st.head->epoch, 1);
}
END_TEST

START_TEST(refuses_damage)
{
    struct store_head saved;
    memcpy(&saved, w.mem, sizeof saved);
    store_detach(&w.st, false);
    uint8_t *head = w.mem;
    for (size_t i = 0; i < offsetof(struct store_head, static_sum) + 8; i++) {
        head[i] ^= 0x40;
        const int r = world_attach(&w);
        ck_assert_msg(r < 0, "byte %zu went unseen", i);
        memcpy(w.mem, &saved, sizeof saved);
    }
    ck_assert_int_eq(world_attach(&w), STORE_CONTINUED);
}
END_TEST

START_TEST(refuses_an_undo_entry_outside)
{
    w.st.undo[0] = (struct undo_entry){w.size + 8, 1};
    w.st.head->commit = w.st.batch << COMMIT_SHIFT | 1;
    store_detach(&w.st, false);
    ck_assert_int_eq(world_attach(&w), -ERR_DAMAGED);
    ((struct store_head *)w.mem)->commit = UINT64_C(9) << COMMIT_SHIFT;
    ck_assert_int_eq(world_attach(&w), STORE_CONTINUED);
}
END_TEST

START_TEST(a_full_machine_is_an_error_code)
{
    w.pages_left = 0;
    uint64_t n = 0;
    while (heap_alloc(&w.st, 1000)) {
        n++;
        store_commit(&w.st);
    }
    ck_assert_uint_lt(n, 64 * 1024 / 8000 + 1);
    store_commit(&w.st);
}
END_TEST

START_TEST(freed_space_waits_for_the_commit)
{
    const uint64_t a = heap_alloc(&w.st, 5);
    store_commit(&w.st);
    heap_free(&w.st, a, 5);
    ck_assert_uint_ne(heap_alloc(&w.st, 5), a);
    store_commit(&w.st);
    ck_assert_uint_eq(heap_alloc(&w.st, 5), a);
    store_commit(&w.st);
}
END_TEST

static uint32_t first_session(void)
{
    uint32_t i = 1;
    while (!table_get(&w.st, TABLE_SESSIONS, i))
        i++;
    return i;
}

/* Sessions come and go by the thousand; after each kill all is as committed. */
START_TEST(tables_survive_kills)
{
    uint8_t id[16] = {0};
    const struct session_ask ask = {.id = id, .uid = 7, .service = STR("s"), .now = w.now};
    unsigned live = 0;
    srand(7);
    for (uint32_t round = 0; round < 4000; round++) {
        memcpy(id, &round, sizeof round);
        ck_assert_uint_ne(session_make(&w.st, &ask), 0);
        live++;
        const uint32_t back = round - (uint32_t)rand() % 100;
        memcpy(id, &back, sizeof back);
        const uint32_t old = round % 3 == 0 ? session_find(&w.st, id) : 0;
        if (old || live > 1500) {
            session_forget(&w.st, old ? old : first_session());
            live--;
        }
        store_commit(&w.st);
        if (round % 97 == 0) {
            memcpy(id, "an unfinished one", sizeof id);
            ck_assert_uint_ne(session_make(&w.st, &ask), 0);
            memset(id, 0, sizeof id);
            world_kill(&w);
        }
        ck_assert_uint_eq(w.st.head->table[TABLE_SESSIONS].live, live);
    }
}
END_TEST

/* ---- rings ---- */

static char copy[RING_COPY] __attribute__((aligned(8)));

static void append(size_t n, char fill)
{
    static char body[LIMIT_ITEM];
    memset(body, fill, n);
    const struct ring_item item = {.kind = 8, .service = STR("svc"), .body = {body, n}};
    ring_make_room(&w.st, RING_EVENTS);
    ck_assert_int_eq(ring_append(&w.st, RING_EVENTS, &item), 0);
    store_commit(&w.st);
}

START_TEST(ring_reads_what_was_appended)
{
    struct ring_view v;
    uint64_t pos = 0;
    append(10, 'a');
    append(1000, 'b');
    ck_assert_int_eq(ring_read(&w.st, RING_EVENTS, &pos, copy, sizeof copy, &v), 1);
    ck_assert_uint_eq(v.seq, 1);
    ck_assert_uint_eq(v.body.n, 10);
    ck_assert(str_eq(v.service, STR("svc")));
    ck_assert_int_eq(ring_read(&w.st, RING_EVENTS, &pos, copy, sizeof copy, &v), 1);
    ck_assert_uint_eq(v.seq, 2);
    ck_assert_int_eq(v.body.p[999], 'b');
    ck_assert_int_eq(ring_read(&w.st, RING_EVENTS, &pos, copy, sizeof copy, &v), 0);
}
END_TEST

static uint64_t consume_all(void)
{
    struct ring_view v;
    uint64_t n = 0;
    while (ring_consume(&w.st, RING_EVENTS, CONSUMER_HEALTH, copy, sizeof copy, &v) == 1) {
        ring_outcome(&w.st, RING_EVENTS, CONSUMER_HEALTH, RING_FILTERED);
        store_commit(&w.st);
        n++;
    }
    return n;
}

/* A reader that sleeps through several laps is told, and the ledger balances. */
START_TEST(ring_overruns_a_slow_consumer)
{
    struct consumer_view c;
    srand(3);
    uint64_t got = 0;
    for (int i = 0; i < 3000; i++) {
        append((size_t)rand() % 5000, 'x');
        if (i % 700 == 0)
            got += consume_all();
        if (i % 501 == 0)
            world_kill(&w);
    }
    consumer_read(&w.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    ck_assert_uint_eq(c.appended, 3000);
    ck_assert_uint_eq(c.read, got);
    ck_assert_uint_gt(c.overrun, 0);
    ck_assert_uint_eq(c.appended, c.read + c.overrun + c.waiting);
    ck_assert_uint_eq(c.in_flight, 0);
}
END_TEST

START_TEST(ring_refuses_what_is_too_large)
{
    static char body[LIMIT_RECORD + 1];
    for (enum store_ring_id ring = 0; ring < RING_MAX; ring++) {
        const size_t limit = ring_limit(&w.st, ring);
        ck_assert_uint_ge(limit, LIMIT_ITEM);
        const struct ring_item item = {.kind = 8, .body = {body, limit + 1}};
        ck_assert_int_eq(ring_append(&w.st, ring, &item), -ERR_RANGE);
    }
}
END_TEST

/* Every ring takes records of its limit for ever, with the longest service name. */
START_TEST(ring_takes_records_of_its_limit)
{
    static char body[LIMIT_RECORD];
    char service[LIMIT_SERVICE];
    struct ring_view v;
    memset(service, 's', sizeof service);
    for (enum store_ring_id ring = 0; ring < RING_MAX; ring++) {
        for (unsigned i = 0; i < 50; i++) {
            const struct ring_item item = {.kind = 8,
                                           .service = {service, sizeof service},
                                           .body = {body, ring_limit(&w.st, ring) - i % 3}};
            ring_make_room(&w.st, ring);
            ck_assert_int_eq(ring_append(&w.st, ring, &item), 0);
            store_commit(&w.st);
        }
        uint64_t pos = ring_tail(&w.st, ring);
        uint64_t n = w.st.head->ring[ring].head_seq - w.st.head->ring[ring].tail_seq;
        for (; n > 0; n--)
            ck_assert_int_eq(ring_read(&w.st, ring, &pos, copy, sizeof copy, &v), 1);
        ck_assert_uint_eq(v.seq, 50);
        ck_assert_int_eq(ring_read(&w.st, ring, &pos, copy, sizeof copy, &v), 0);
    }
    world_kill(&w);
}
END_TEST

/* A reader with a small copy is not held up by a large record. */
START_TEST(ring_read_passes_over_what_does_not_fit)
{
    struct ring_view v;
    uint64_t pos = 0;
    append(10, 'a');
    append(5000, 'b');
    append(20, 'c');
    ck_assert_int_eq(ring_read(&w.st, RING_EVENTS, &pos, copy, 1024, &v), 1);
    ck_assert_uint_eq(v.seq, 1);
    ck_assert_int_eq(ring_read(&w.st, RING_EVENTS, &pos, copy, 1024, &v), 1);
    ck_assert_uint_eq(v.seq, 3);
    ck_assert_uint_eq(v.body.n, 20);
    ck_assert_int_eq(ring_read(&w.st, RING_EVENTS, &pos, copy, 1024, &v), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, goes_on_after_a_kill);
    tcase_add_test(t, rolls_back_the_open_batch);
    tcase_add_test(t, rollback_is_idempotent);
    tcase_add_test(t, starts_anew_after_a_boot);
    tcase_add_test(t, refuses_damage);
    tcase_add_test(t, refuses_an_undo_entry_outside);
    tcase_add_test(t, a_full_machine_is_an_error_code);
    tcase_add_test(t, freed_space_waits_for_the_commit);
    tcase_add_test(t, tables_survive_kills);
    tcase_add_test(t, ring_reads_what_was_appended);
    tcase_add_test(t, ring_overruns_a_slow_consumer);
    tcase_add_test(t, ring_refuses_what_is_too_large);
    tcase_add_test(t, ring_takes_records_of_its_limit);
    tcase_add_test(t, ring_read_passes_over_what_does_not_fit);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
