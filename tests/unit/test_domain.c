/* Failure domains: the breaker's table, budgets, turns, availability, shares of a ring. */
#include "store_fixture.h"

#include "pipeline/domain_time.h"
#include "pipeline/pipeline.h"
#include "store/commit.h"
#include "store/read.h"
#include "store/ring.h"

enum { BAD = 3, GOOD = 4 };
#define SECOND NS_PER_S
#define MINUTE (60 * NS_PER_S)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static struct world w;
static struct pipeline pl;
static const struct audit_who me = {.peer = true, .uid = 7, .pid = 8};

static void start_pipeline(void)
{
    struct pipeline_options o;
    pipeline_defaults(&o);
    o.domain.items = 1000;
    o.domain.bytes = 0;
    o.domain.spans = 10;
    o.domain.faults = 100;
    ck_assert_int_eq(pipeline_init(&pl, &w.st, &o, w.now), 0);
}

static void setup(void)
{
    world_init(&w, STORE_MIN);
    start_pipeline();
}

static void teardown(void)
{
    pipeline_fini(&pl);
    world_fini(&w);
}

static void restart(void)
{
    pipeline_fini(&pl);
    world_kill(&w);
    start_pipeline();
}

static void pass(uint64_t ns)
{
    w.now.mono += ns;
    w.now.wall += ns;
}

static void tick(void)
{
    pass(SECOND);
    domain_tick(&pl, w.now);
}

static void came(uint64_t items, uint64_t faults)
{
    domain_did(&pl, BAD, items, faults);
    domain_turned(&pl, BAD, w.now);
}

static enum domain_state state(void)
{
    return domain_state(&w.st, BAD);
}

/* ---- the breaker ---- */

START_TEST(moves_are_a_table)
{
    const struct {
        enum domain_state from, to;
    } allowed[] = {
        {DOMAIN_CLOSED, DOMAIN_OPEN},    {DOMAIN_OPEN, DOMAIN_HALF_OPEN},
        {DOMAIN_OPEN, DOMAIN_CLOSED},    {DOMAIN_HALF_OPEN, DOMAIN_CLOSED},
        {DOMAIN_HALF_OPEN, DOMAIN_OPEN},
    };
    unsigned n = 0;
    for (unsigned from = 0; from < DOMAIN_STATES; from++)
        for (unsigned to = 0; to < DOMAIN_STATES; to++)
            n += domain_moves((enum domain_state)from, (enum domain_state)to);
    ck_assert_uint_eq(n, sizeof allowed / sizeof *allowed);
    for (unsigned i = 0; i < n; i++)
        ck_assert(domain_moves(allowed[i].from, allowed[i].to));
    ck_assert_str_eq(domain_state_name(DOMAIN_HALF_OPEN), "half_open");
    ck_assert_str_eq(domain_state_name(DOMAIN_STATES), "unknown");
}
END_TEST

START_TEST(opens_by_count_and_share)
{
    came(99, 99);
    ck_assert_int_eq(state(), DOMAIN_CLOSED);
    pass(pl.options.domain.window);
    came(99, 99); /* another window */
    ck_assert_int_eq(state(), DOMAIN_CLOSED);
    came(1000, 1);
    ck_assert_int_eq(state(), DOMAIN_CLOSED); /* a hundred, but one in ten */
    pass(pl.options.domain.window);
    came(200, 100);
    ck_assert_int_eq(state(), DOMAIN_OPEN);
    ck_assert_int_eq(domain_cause(&w.st, BAD), DOMAIN_FAULTS);
    ck_assert(!domain_aside(&w.st, BAD));
    ck_assert_int_eq(domain_state(&w.st, GOOD), DOMAIN_CLOSED);
}
END_TEST

START_TEST(stays_closed_when_it_is_off)
{
    pl.options.domain.breaker = false;
    came(1000, 1000);
    ck_assert_int_eq(state(), DOMAIN_CLOSED);
}
END_TEST

START_TEST(rests_tries_and_closes)
{
    uint64_t retry;
    came(100, 100);
    ck_assert(!domain_admits(&pl, BAD, w.now, &retry));
    ck_assert_uint_eq(retry, 10 * SECOND);
    ck_assert(domain_admits(&pl, GOOD, w.now, &retry));
    for (int i = 0; i < 9; i++)
        tick();
    ck_assert_int_eq(state(), DOMAIN_OPEN);
    tick();
    ck_assert_int_eq(state(), DOMAIN_HALF_OPEN);
    ck_assert(domain_admits(&pl, BAD, w.now, &retry));
    pl.domain_sessions[BAD] = pl.options.domain.probes;
    ck_assert(!domain_admits(&pl, BAD, w.now, &retry));
    pl.domain_sessions[BAD] = 0;
    came(9, 9); /* a tenth of what opens it is ten */
    for (int i = 0; i < 10; i++)
        tick();
    ck_assert_int_eq(state(), DOMAIN_CLOSED);
    ck_assert_int_eq(domain_cause(&w.st, BAD), DOMAIN_NO_CAUSE);
    ck_assert_uint_eq(store_domain(&w.st, BAD)->recovery, 20 * SECOND);
    ck_assert_uint_eq(store_domain(&w.st, BAD)->returns, 1);
}
END_TEST

START_TEST(rests_longer_each_time_in_a_row)
{
    const uint64_t rests[] = {10, 20, 40, 80, 160, 300, 300};
    came(100, 100);
    for (unsigned i = 0; i < sizeof rests / sizeof *rests; i++) {
        ck_assert_int_eq(state(), DOMAIN_OPEN);
        ck_assert_uint_eq(domain_until(&w.st, &pl.options.domain, BAD) - w.now.mono,
                          rests[i] * SECOND);
        pass((rests[i] - 1) * SECOND);
        tick();
        ck_assert_int_eq(state(), DOMAIN_HALF_OPEN);
        came(10, 10);
    }
    ck_assert_uint_eq(store_domain(&w.st, BAD)->trips, 8);
}
END_TEST

START_TEST(outlives_the_daemon)
{
    came(100, 100);
    pass(3 * SECOND);
    restart();
    ck_assert_int_eq(state(), DOMAIN_OPEN);
    ck_assert_uint_eq(domain_until(&w.st, &pl.options.domain, BAD) - w.now.mono, 7 * SECOND);
}
END_TEST

START_TEST(is_reset_and_drained)
{
    uint64_t retry;
    came(100, 100);
    ck_assert(domain_drain(&pl, BAD, me, w.now));
    for (int i = 0; i < 30; i++)
        tick();
    ck_assert_int_eq(state(), DOMAIN_CLOSED);
    ck_assert(!domain_admits(&pl, BAD, w.now, &retry)); /* still drained */
    restart();
    ck_assert(domain_drained(&w.st, BAD) && !domain_drained(&w.st, GOOD));
    ck_assert(domain_reset(&pl, BAD, me, w.now));
    ck_assert(domain_admits(&pl, BAD, w.now, &retry));
    ck_assert(!domain_reset(&pl, pl.options.domains, me, w.now));
    ck_assert(!domain_drain(&pl, pl.options.domains, me, w.now));
}
END_TEST

START_TEST(is_set_aside_when_daemons_die_of_it)
{
    const struct domain_options *o = &pl.options.domain;
    ck_assert(!domain_crashed(&w.st, o, BAD, w.now));
    pass(61 * SECOND);
    ck_assert(!domain_crashed(&w.st, o, BAD, w.now)); /* that was another row */
    ck_assert(!domain_crashed(&w.st, o, BAD, w.now));
    ck_assert(!domain_aside(&w.st, BAD));
    ck_assert(domain_crashed(&w.st, o, BAD, w.now));
    ck_assert(domain_aside(&w.st, BAD) && !domain_aside(&w.st, GOOD));
    ck_assert_uint_eq(store_domain(&w.st, BAD)->deaths, 4);
    pass(9 * SECOND);
    tick();
    ck_assert_int_eq(state(), DOMAIN_HALF_OPEN);
    ck_assert(domain_crashed(&w.st, o, BAD, w.now)); /* one is enough while it tries */
    ck_assert_uint_eq(domain_until(&w.st, o, BAD) - w.now.mono, 20 * SECOND);
    ck_assert(domain_reset(&pl, BAD, me, w.now));
    ck_assert(!domain_crashed(&w.st, o, BAD, w.now)); /* all is forgotten */
    ck_assert(!domain_crashed(&w.st, &(struct domain_options){.crashes = 0}, GOOD, w.now));
}
END_TEST

/* ---- budgets ---- */

START_TEST(a_burst_is_read_later_and_loses_nothing)
{
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_GO);
    domain_charge(&pl, BAD, 1000, w.now); /* the burst of a second */
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_GO);
    domain_charge(&pl, BAD, 3000, w.now);
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_LATER);
    ck_assert_uint_eq(domain_even(&pl, BAD), w.now.mono + 3 * SECOND);
    ck_assert_int_eq(domain_pace(&pl, GOOD, w.now), DOMAIN_GO);
    pass(3 * SECOND);
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_GO);
}
END_TEST

START_TEST(a_flood_is_dropped_until_it_is_read_to_the_end)
{
    domain_charge(&pl, BAD, 100000, w.now);
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_LATER);
    pass(pl.options.domain.defer - 1);
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_LATER);
    pass(1);
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_DROP);
    domain_relieved(&pl, BAD);
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_LATER);
}
END_TEST

START_TEST(no_limit_is_none)
{
    pl.options.domain.items = pl.options.domain.spans = 0;
    domain_charge(&pl, BAD, UINT64_MAX / 2, w.now);
    domain_read(&pl, BAD, UINT64_MAX / 2, w.now);
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_GO);
    for (int i = 0; i < 100; i++)
        ck_assert(domain_span(&pl, BAD, w.now));
}
END_TEST

START_TEST(spans_have_a_budget_of_their_own)
{
    unsigned n = 0;
    while (domain_span(&pl, BAD, w.now))
        n++;
    ck_assert_uint_eq(n, 11); /* a second's, and the one that goes beyond */
    ck_assert(domain_span(&pl, GOOD, w.now));
    ck_assert_int_eq(domain_pace(&pl, BAD, w.now), DOMAIN_GO);
}
END_TEST

/* ---- turns ---- */

/* Two that always have something: what each got of the work of so many turns. */
START_TEST(a_dear_frame_costs_its_domain_turns)
{
    uint64_t got[2] = {0};
    const uint64_t cost[2] = {DOMAIN_QUANTUM * 8, DOMAIN_QUANTUM / 4};
    for (int i = 0; i < 10000; i++) {
        const unsigned d = domain_has_turn(&pl, BAD) ? BAD : GOOD;
        if (!domain_has_turn(&pl, d)) {
            domain_next_round(&pl);
            continue;
        }
        domain_spend(&pl, d, cost[d - BAD]);
        got[d - BAD] += cost[d - BAD];
    }
    ck_assert_uint_gt(got[0], 0);
    ck_assert_uint_lt(got[0], got[1] * 11 / 10);
    ck_assert_uint_lt(got[1], got[0] * 11 / 10);
}
END_TEST

START_TEST(debts_are_bounded)
{
    unsigned rounds = 0;
    for (int i = 0; i < 100; i++)
        domain_spend(&pl, BAD, UINT64_MAX);
    for (; !domain_has_turn(&pl, BAD); rounds++)
        domain_next_round(&pl);
    ck_assert_uint_le(rounds, DOMAIN_DEBT / DOMAIN_QUANTUM + 1);
}
END_TEST

/* ---- availability ---- */

static double share(enum domain_window window)
{
    return domain_available(&w.st, BAD, window, w.now.mono);
}

START_TEST(time_that_it_was_not_served_is_missing)
{
    ck_assert_double_eq(share(DOMAIN_HOUR), 1);
    for (int i = 0; i < 300; i++)
        tick();
    ck_assert_double_eq_tol(share(DOMAIN_HOUR), 1, 1e-9);
    domain_drain(&pl, BAD, me, w.now);
    for (int i = 0; i < 300; i++)
        tick();
    ck_assert_double_eq_tol(share(DOMAIN_HOUR), 0.5, 1e-9);
    ck_assert_double_eq_tol(share(DOMAIN_MONTH), 0.5, 1e-9);
    domain_reset(&pl, BAD, me, w.now);
    pass(600 * SECOND); /* no daemon */
    restart();
    ck_assert_double_eq_tol(share(DOMAIN_HOUR), 0.25, 1e-9);
    ck_assert_double_eq_tol(domain_available(&w.st, GOOD, DOMAIN_HOUR, w.now.mono), 0.5, 1e-9);
}
END_TEST

START_TEST(old_time_leaves_its_window)
{
    pass(HOUR); /* no tick, and none is missing from what follows */
    domain_tick(&pl, w.now);
    for (unsigned i = 0; i < 62 * 60; i++)
        tick();
    ck_assert_double_eq_tol(share(DOMAIN_HOUR), 1, 1e-9);
    ck_assert_double_lt(share(DOMAIN_DAY), 0.6);
    pass(26 * HOUR);
    domain_settle(&w.st, BAD, w.now.mono, false);
    store_commit(&w.st);
    ck_assert_double_eq(share(DOMAIN_DAY), 0);
    ck_assert_double_gt(share(DOMAIN_MONTH), 0);
    pass(32 * DAY);
    ck_assert_double_eq(share(DOMAIN_MONTH), 0); /* as a reader sees it that settles nothing */
    domain_settle(&w.st, BAD, w.now.mono, false);
    store_commit(&w.st);
    for (unsigned i = 0; i < AVAILABLE_BUCKETS; i++)
        ck_assert_uint_eq(store_domain(&w.st, BAD)->available[i], 0);
}
END_TEST

/* ---- shares of a ring ---- */

static bool append(unsigned d)
{
    static char body[4000];
    const struct ring_item item = {.kind = 8, .domain = d, .body = {body, sizeof body}};
    if (!ring_share_allows(&pl, RING_EVENTS, d))
        return false;
    ring_make_room(&w.st, RING_EVENTS);
    ck_assert_int_eq(ring_append(&w.st, RING_EVENTS, &item), 0);
    store_commit(&w.st);
    return true;
}

static uint64_t overrun(void)
{
    const struct ring_head *h = &w.st.head->ring[RING_EVENTS];
    const struct ring_consumer_head *c = &h->consumer[CONSUMER_HEALTH];
    return h->tail_seq > c->read + c->overrun ? h->tail_seq - c->read - c->overrun : 0;
}

START_TEST(a_flood_does_not_push_out_what_others_have_not_had_read)
{
    uint64_t refused = 0;
    for (int i = 0; i < 10; i++)
        ck_assert(append(GOOD));
    for (int i = 0; i < 1000; i++)
        refused += !append(BAD);
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_eq(overrun(), 0);
    for (int i = 0; i < 3; i++)
        ck_assert(append(GOOD)); /* who has little may always */
}
END_TEST

START_TEST(a_domain_that_is_alone_overwrites_its_own)
{
    for (int i = 0; i < 1000; i++)
        ck_assert(append(BAD));
    ck_assert_uint_gt(overrun(), 0);
}
END_TEST

START_TEST(domains_that_send_alike_do_not_refuse_each_other)
{
    for (int i = 0; i < 2000; i++)
        ck_assert(append((unsigned)i % 5));
}
END_TEST

START_TEST(a_reader_that_stands_still_protects_nobody)
{
    ck_assert(append(GOOD));
    while (append(BAD))
        continue;
    ring_share_tick(&pl, w.now);
    pass(pl.options.reader_still);
    ring_share_tick(&pl, w.now);
    ck_assert(append(BAD));
}
END_TEST

START_TEST(the_count_is_the_same_after_a_kill)
{
    uint64_t before[10];
    for (int i = 0; i < 300; i++)
        (void)append((unsigned)i % 3);
    for (unsigned d = 0; d < 10; d++)
        before[d] = ring_use(&w.st, RING_EVENTS, d);
    ck_assert_uint_gt(before[1], 0);
    restart();
    for (unsigned d = 0; d < 10; d++)
        ck_assert_uint_eq(ring_use(&w.st, RING_EVENTS, d), before[d]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("domain");
    const struct {
        const char *name;
        const TTest *tests[9];
    } cases[] = {
        {"breaker",
         {moves_are_a_table, opens_by_count_and_share, stays_closed_when_it_is_off,
          rests_tries_and_closes, rests_longer_each_time_in_a_row, outlives_the_daemon,
          is_reset_and_drained, is_set_aside_when_daemons_die_of_it}},
        {"budgets",
         {a_burst_is_read_later_and_loses_nothing, a_flood_is_dropped_until_it_is_read_to_the_end,
          no_limit_is_none, spans_have_a_budget_of_their_own}},
        {"turns", {a_dear_frame_costs_its_domain_turns, debts_are_bounded}},
        {"availability", {time_that_it_was_not_served_is_missing, old_time_leaves_its_window}},
        {"rings",
         {a_flood_does_not_push_out_what_others_have_not_had_read,
          a_domain_that_is_alone_overwrites_its_own,
          domains_that_send_alike_do_not_refuse_each_other,
          a_reader_that_stands_still_protects_nobody, the_count_is_the_same_after_a_kill}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        TCase *t = tcase_create(cases[i].name);
        tcase_add_checked_fixture(t, setup, teardown);
        for (size_t k = 0; k < 9 && cases[i].tests[k]; k++)
            tcase_add_test(t, cases[i].tests[k]);
        suite_add_tcase(s, t);
    }
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
