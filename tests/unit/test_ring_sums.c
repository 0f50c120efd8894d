/* What is summed of a shared ring before it reaches the store. */
#include "link_fixture.h"

#include <stdio.h>

#include "base/bytes.h"
#include "pipeline/link_ring.h"
#include "pipeline/ring_sums.h"
#include "store/cells.h"
#include "store/series.h"
#include "store/session.h"
#include "store/session_ring.h"
#include "wire/shm_ring.h"

enum { COUNTERS = 60, REALS = 61, UNDEFINED = 62, WORDS = 30000 };

static struct link_ring ring;
static uint32_t words[WORDS], n;

static void say_hello(void)
{
    const struct hello h = {.version = PROTO_VERSION,
                            .capabilities = HELLO_WANTS_ACK | HELLO_WANTS_RINGS,
                            .session = {7},
                            .first = 1,
                            .next = 1,
                            .service = STR("svc"),
                            .instance = STR("1")};
    encode_hello(&in, &h);
}

/* Ids 1 to COUNTERS are integer counters, REALS is one of doubles. */
static void define_all(void)
{
    char text[8];
    define(1, "jobs", METRIC_COUNTER, VALUE_U64);
    define(2, "sum", METRIC_COUNTER, VALUE_F64);
    for (uint32_t id = 1; id <= REALS; id++) {
        snprintf(text, sizeof text, "%u", id);
        define_series(id, id == REALS ? 2 : 1, text);
    }
}

static uint64_t value(uint32_t id)
{
    return store_get(&w.st, (uint64_t)l.series[id].cells * 8 + CELL_VALUE * 8);
}

static void brief(uint32_t id, uint32_t v)
{
    words[n++] = htole32(shm_short(id, v));
}

static void full(uint32_t id, uint64_t v)
{
    put_u32(words + n, id);
    put_u64(words + n + 1, v);
    n += SHM_RING_UPDATE;
}

/* In one batch: a kill leaves all of it, or nothing. */
static uint32_t add(void)
{
    const uint64_t batch = w.st.batch;
    const uint32_t taken = link_ring_add(&l, &ring, words, n, w.now);
    ck_assert_uint_eq(w.st.undo_used, 0);
    ck_assert_uint_eq(w.st.batch, batch + (taken > 0));
    return taken;
}

/* As those that cannot be summed are. */
static uint32_t feed_words(void)
{
    uint32_t taken;
    ck_assert_int_eq(link_ring_feed(&l, &ring, words, n, false, &taken, &out, w.now),
                     LINK_RING_GOOD);
    return taken;
}

/* All series are of this epoch. */
static void touch(void)
{
    for (uint32_t id = 1; id <= REALS; id++)
        full(id, 0);
    ck_assert_uint_eq(feed_words(), n);
    n = 0;
}

static void setup(void)
{
    const struct ring_offer offer = {.stream = 1, .words = 1024};
    begin_link(NULL);
    say_hello();
    define_all();
    feed_good();
    n = 0;
    ck_assert_int_eq(link_ring_open(&l, &offer, &ring), 0);
    touch();
}

START_TEST(long_and_short_ones_add_up)
{
    const uint64_t items = link_ring_items(&l, &ring), at = link_ring_position(&l, &ring);
    brief(1, 16383);
    brief(2, 1);
    full(1, UINT64_C(1) << 40);
    full(3, 5);
    brief(1, 1);
    ck_assert_uint_eq(add(), n);
    ck_assert_uint_eq(value(1), (UINT64_C(1) << 40) + 16384);
    ck_assert_uint_eq(value(2), 1);
    ck_assert_uint_eq(value(3), 5);
    ck_assert_uint_eq(link_ring_items(&l, &ring), items + 5);
    ck_assert_uint_eq(link_ring_position(&l, &ring), at + n);
    ck_assert_uint_eq(session_at(&w.st, l.session)->items, items + 5);
    ck_assert_uint_eq(own_get(&pl.own, OWN_APPLIED, l.domain), items + 5);
    ck_assert_uint_eq(own_get(&pl.own, OWN_RECEIVED, l.domain), items + 5);
}
END_TEST

/* A sum that is 0 again, or still, is begun anew: it counts once. */
START_TEST(sums_that_are_nothing)
{
    full(1, 7);
    full(1, -UINT64_C(7));
    full(1, 0);
    full(1, 9);
    brief(2, 0);
    brief(2, 0);
    brief(2, 3);
    ck_assert_uint_eq(add(), n);
    ck_assert_uint_eq(value(1), 9);
    ck_assert_uint_eq(value(2), 3);
}
END_TEST

START_TEST(what_is_no_sum_is_left)
{
    static const uint32_t others[] = {
        REALS, UNDEFINED, 0, RING_SUMS, SHM_ITEM_MARK | EVENT_LOG << 24 | 4, 0xffffffff,
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        n = 0;
        brief(5, 2);
        full(6, 1);
        full(others[i], 1);
        brief(5, 2);
        ck_assert_uint_eq(add(), 4);
        ck_assert_uint_eq(value(5), sum += 2);
    }
    n = 0;
    brief(REALS, 2);
    ck_assert_uint_eq(add(), 0);
    n = 0;
    full(1, 2);
    n--; /* its last word is missing */
    ck_assert_uint_eq(add(), 0);
}
END_TEST

/* A new epoch is for the slow way. */
START_TEST(who_was_not_touched_is_left)
{
    brief(1, 1);
    series_next_epoch(&w.st);
    store_commit(&w.st);
    ck_assert_uint_eq(add(), 0);
    ck_assert_uint_eq(feed_words(), n);
    ck_assert_uint_eq(add(), n);
    ck_assert_uint_eq(value(1), 2);
}
END_TEST

/* Who is written as nothing takes a place each time: there are so many. */
START_TEST(places_end)
{
    for (uint32_t i = 0; i < RING_SUMS_TOUCHED + 10; i++)
        brief(1 + i % COUNTERS, 0);
    ck_assert_uint_eq(add(), RING_SUMS_TOUCHED);
    n = 0;
    brief(1, 3);
    ck_assert_uint_eq(add(), 1);
    ck_assert_uint_eq(value(1), 3);
}
END_TEST

/* In runs that are too short to be summed, and in others. */
START_TEST(short_ones_are_fed_as_well)
{
    uint64_t wanted[COUNTERS + 1] = {0};
    const uint64_t items = link_ring_items(&l, &ring), at = link_ring_position(&l, &ring);
    for (uint32_t i = 0; i < 1400; i++) {
        brief(1 + i % COUNTERS, i);
        wanted[1 + i % COUNTERS] += i;
        if (i % (i < 700 ? 50 : 300))
            continue;
        full(2, UINT64_C(1) << 33);
        wanted[2] += UINT64_C(1) << 33;
    }
    ck_assert_uint_eq(feed_words(), n);
    ck_assert_uint_eq(link_ring_position(&l, &ring), at + n);
    ck_assert_uint_eq(link_ring_items(&l, &ring), items + 1400 + (n - 1400) / SHM_RING_UPDATE);
    for (uint32_t id = 1; id <= COUNTERS; id++)
        ck_assert_uint_eq(value(id), wanted[id]);
}
END_TEST

/* Nor is more added of a domain that is over its rate: it is fed, and dropped. */
START_TEST(over_its_rate_nothing_is_added)
{
    const uint64_t per_second = pl.options.domain.items = 10;
    for (uint64_t i = 0; i < 100 * per_second; i++)
        brief(1, 1);
    ck_assert_uint_eq(add(), n);
    const uint64_t added = value(1);
    ck_assert_int_eq(domain_pace(&pl, l.domain, w.now), DOMAIN_LATER);
    w.now.mono += pl.options.domain.defer + NS_PER_MS;
    n = 0;
    brief(1, 1);
    ck_assert_uint_eq(add(), 0);
    ck_assert_uint_eq(feed_words(), 1);
    ck_assert_uint_eq(value(1), added);
    ck_assert_uint_eq(own_get(&pl.own, OWN_DROPPED, own_drop_index(l.domain, DROP_RATE_LIMITED)),
                      1);
}
END_TEST

START_TEST(a_torn_one_is_an_item)
{
    const uint64_t items = link_ring_items(&l, &ring), at = link_ring_position(&l, &ring);
    const uint64_t received = own_get(&pl.own, OWN_RECEIVED, l.domain);
    link_ring_torn(&l, &ring);
    ck_assert_uint_eq(link_ring_items(&l, &ring), items + 1);
    ck_assert_uint_eq(link_ring_position(&l, &ring), at);
    ck_assert_uint_eq(own_get(&pl.own, OWN_RECEIVED, l.domain), received + 1);
    ck_assert_uint_eq(own_get(&pl.own, OWN_DROPPED, own_drop_index(l.domain, DROP_TORN)), 1);
}
END_TEST

/* Either way a kill takes back what was not committed, and only that. */
START_TEST(a_kill_takes_back_a_batch)
{
    struct ring_sums *s = ring_sums_new();
    uint32_t updates;
    brief(1, 4);
    ck_assert_uint_eq(add(), 1);
    ck_assert_uint_eq(ring_sums_add(s, &l, words, n, &updates), 1);
    ck_assert_uint_eq(updates, 1);
    ck_assert_uint_eq(value(1), 8);
    const uint64_t cells = l.series[1].cells, position = link_ring_position(&l, &ring);
    link_free(&l);
    world_kill(&w);
    ck_assert_uint_eq(store_get(&w.st, cells * 8 + CELL_VALUE * 8), 4);
    ck_assert_uint_eq(ring_mark_at(&w.st, ring.mark)->position, position);
    ring_sums_free(s);
    link_init(&l, &pl, &me);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ring_sums");
    TCase *c = tcase_create("ring_sums");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, long_and_short_ones_add_up);
    tcase_add_test(c, sums_that_are_nothing);
    tcase_add_test(c, what_is_no_sum_is_left);
    tcase_add_test(c, who_was_not_touched_is_left);
    tcase_add_test(c, places_end);
    tcase_add_test(c, short_ones_are_fed_as_well);
    tcase_add_test(c, over_its_rate_nothing_is_added);
    tcase_add_test(c, a_torn_one_is_an_item);
    tcase_add_test(c, a_kill_takes_back_a_batch);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
