#include "store_fixture.h"

#include "store/commit.h"
#include "store/copy.h"
#include "store/session.h"
#include "store/session_ring.h"

static struct world w;
static uint32_t session;

static uint32_t make_session(struct store *st, uint8_t id)
{
    const uint8_t bytes[16] = {id};
    const struct session_ask ask = {.id = bytes,
                                    .service = STR("demo"),
                                    .instance = STR("1"),
                                    .agent = STR("a/1"),
                                    .now = w.now};
    return session_make(st, &ask);
}

static uint64_t make_mark(uint32_t stream, uint64_t position)
{
    const struct ring_mark from = {.stream = stream, .position = position, .items = position / 3};
    const uint64_t at = ring_mark_make(&w.st, session, &from, 4);
    store_commit(&w.st);
    return at;
}

static void setup(void)
{
    world_init(&w, STORE_MIN);
    session = make_session(&w.st, 7);
    ck_assert_uint_ne(session, 0);
    store_commit(&w.st);
}

static void teardown(void)
{
    world_fini(&w);
}

/* The mark of a stream says this. */
static void is(const struct store *st, uint32_t of, uint32_t stream, uint64_t position)
{
    const uint64_t at = ring_mark_find(st, of, stream);
    ck_assert_uint_ne(at, 0);
    ck_assert_uint_eq(ring_mark_at(st, at)->position, position);
    ck_assert_uint_eq(ring_mark_at(st, at)->items, position / 3);
}

START_TEST(a_mark_is_found_after_a_kill)
{
    make_mark(1, 30);
    make_mark(65535, UINT64_C(3) << 40);
    world_kill(&w);
    is(&w.st, session, 1, 30);
    is(&w.st, session, 65535, UINT64_C(3) << 40);
    ck_assert_uint_eq(ring_mark_find(&w.st, session, 2), 0);
}
END_TEST

START_TEST(a_move_that_was_not_committed_is_taken_back)
{
    struct ring_mark *m = ring_mark_at(&w.st, make_mark(1, 30));
    STORE_ADD(&w.st, m->position, 3);
    world_kill(&w);
    is(&w.st, session, 1, 30);
}
END_TEST

START_TEST(a_session_has_so_many)
{
    for (uint32_t i = 1; i <= 4; i++)
        ck_assert_uint_ne(make_mark(i, 3 * i), 0);
    ck_assert_uint_eq(make_mark(5, 15), 0);
    ring_mark_drop(&w.st, session, 2);
    store_commit(&w.st);
    ck_assert_uint_eq(ring_mark_find(&w.st, session, 2), 0);
    ck_assert_uint_ne(make_mark(5, 15), 0);
    for (uint32_t i = 1; i <= 5; i++)
        if (i != 2)
            is(&w.st, session, i, 3 * i);
}
END_TEST

START_TEST(they_go_with_their_session)
{
    const uint64_t before = w.st.head->heap_live;
    const uint32_t other = make_session(&w.st, 8);
    const struct ring_mark from = {.stream = 1, .position = 3};
    ck_assert_uint_ne(ring_mark_make(&w.st, other, &from, 4), 0);
    ck_assert_uint_ne(make_mark(1, 30), 0);
    session_forget(&w.st, other);
    store_commit(&w.st);
    is(&w.st, session, 1, 30);
    ring_mark_drop(&w.st, session, 1);
    store_commit(&w.st);
    ck_assert_uint_eq(w.st.head->heap_live, before);
}
END_TEST

/* Else what lies in the rings would count twice. */
START_TEST(they_go_along_into_another_size)
{
    struct world n;
    for (uint32_t i = 1; i <= 3; i++)
        make_mark(i, 30 * i);
    world_init(&n, 2 * STORE_MIN);
    ck_assert_int_eq(store_copy(w.mem, w.size, &n.st, n.now), 0);
    const uint32_t copied = session_find(&n.st, (const uint8_t[16]){7});
    ck_assert_uint_ne(copied, 0);
    for (uint32_t i = 1; i <= 3; i++)
        is(&n.st, copied, i, 30 * i);
    world_fini(&n);
}
END_TEST

START_TEST(damage_is_found)
{
    char why[128] = "";
    uint64_t *rings = &session_at(&w.st, session)->rings;
    make_mark(1, 30);
    const uint64_t good = *rings;
    const uint64_t bad[] = {8, w.size - 8, UINT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        *rings = bad[i];
        ck_assert_int_eq(store_check(&w.st, why, sizeof why), -ERR_DAMAGED);
    }
    *rings = good;
    ring_mark_at(&w.st, good)->next = good; /* a circle */
    ck_assert_int_eq(store_check(&w.st, why, sizeof why), -ERR_DAMAGED);
    ring_mark_at(&w.st, good)->next = 0;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("session_ring");
    TCase *c = tcase_create("session_ring");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_mark_is_found_after_a_kill);
    tcase_add_test(c, a_move_that_was_not_committed_is_taken_back);
    tcase_add_test(c, a_session_has_so_many);
    tcase_add_test(c, they_go_with_their_session);
    tcase_add_test(c, they_go_along_into_another_size);
    tcase_add_test(c, damage_is_found);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
