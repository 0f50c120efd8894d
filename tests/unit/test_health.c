/* health, and part, the state machine inside it. */
#include "watch/health.h"

#include <stdio.h>

#include "store/read.h"
#include "store/ring.h"
#include "store_fixture.h"
#include "wire/encode.h"

/* ---- part ---- */

static const struct part_rules rules = {30 * NS_PER_S, 5 * NS_PER_S, 10 * NS_PER_S, 3, 1};

/* Every pair of phases; a change of the table is a change of this test. */
START_TEST(moves)
{
    static const char *const may[PART_PHASES] = {
        /* from NEW, HEALTHY, DEGRADED, UNHEALTHY, RECOVERING; to, in the same order */
        [PART_NEW] = ".hdu.",       [PART_HEALTHY] = "n.du.",    [PART_DEGRADED] = "...ur",
        [PART_UNHEALTHY] = "..d.r", [PART_RECOVERING] = ".hdu.",
    };
    for (unsigned from = 0; from < PART_PHASES; from++)
        for (unsigned to = 0; to < PART_PHASES; to++)
            ck_assert_msg(part_may(from, to) == (may[from][to] != '.'), "%u to %u", from, to);
    ck_assert_int_eq(part_shown(PART_NEW), HEALTH_UNKNOWN);
    ck_assert_int_eq(part_shown(PART_HEALTHY), HEALTH_HEALTHY);
    ck_assert_int_eq(part_shown(PART_DEGRADED), HEALTH_DEGRADED);
    ck_assert_int_eq(part_shown(PART_UNHEALTHY), HEALTH_UNHEALTHY);
    ck_assert_int_eq(part_shown(PART_RECOVERING), HEALTH_DEGRADED);
}
END_TEST

/* A story: at each second a report (h d u ?) or a tick (.), and the phase after it. */
static const struct {
    const char *what;
    struct {
        unsigned at;
        char event;
        enum part_phase phase;
    } steps[12];
} stories[] = {
    {"the first report counts at once", {{1, 'h', PART_HEALTHY}}},
    {"likewise a bad one", {{1, 'u', PART_DEGRADED}}},
    {"three failures in a row",
     {{1, 'h', PART_HEALTHY},
      {2, 'u', PART_DEGRADED},
      {3, 'u', PART_DEGRADED},
      {4, 'u', PART_UNHEALTHY},
      {5, 'u', PART_UNHEALTHY}}},
    {"not in a row",
     {{1, 'u', PART_DEGRADED},
      {2, 'u', PART_DEGRADED},
      {3, 'd', PART_DEGRADED},
      {4, 'u', PART_DEGRADED},
      {5, 'u', PART_DEGRADED},
      {6, 'u', PART_UNHEALTHY}}},
    {"recovery takes ten seconds of good reports",
     {{1, 'd', PART_DEGRADED},
      {2, 'h', PART_RECOVERING},
      {11, '.', PART_RECOVERING},
      {11, 'h', PART_RECOVERING},
      {12, '.', PART_HEALTHY}}},
    {"a failure begins it anew",
     {{1, 'd', PART_DEGRADED},
      {2, 'h', PART_RECOVERING},
      {8, 'u', PART_DEGRADED},
      {9, 'h', PART_RECOVERING},
      {18, 'h', PART_RECOVERING},
      {19, 'h', PART_HEALTHY}}},
    {"silence is a failure for each report that does not come",
     {{0, 'h', PART_HEALTHY},
      {34, '.', PART_HEALTHY},
      {35, '.', PART_DEGRADED},
      {64, '.', PART_DEGRADED},
      {65, '.', PART_DEGRADED},
      {94, '.', PART_DEGRADED},
      {95, '.', PART_UNHEALTHY},
      {96, 'h', PART_RECOVERING},
      {106, '.', PART_HEALTHY}}},
    {"a late tick makes up for those before",
     {{0, 'h', PART_HEALTHY}, {200, '.', PART_UNHEALTHY}, {5000, '.', PART_UNHEALTHY}}},
    {"silence and bad reports add up",
     {{0, 'u', PART_DEGRADED}, {35, '.', PART_DEGRADED}, {36, 'u', PART_UNHEALTHY}}},
    {"silence ends a recovery",
     {{0, 'd', PART_DEGRADED}, {1, 'h', PART_RECOVERING}, {36, '.', PART_DEGRADED}}},
    {"not to know is no failure, and no recovery",
     {{0, 'h', PART_HEALTHY},
      {1, '?', PART_NEW},
      {2, 'u', PART_DEGRADED},
      {3, '?', PART_DEGRADED},
      {4, 'h', PART_RECOVERING}}},
};

static enum health_state state_of(char c)
{
    switch (c) {
    case 'h':
        return HEALTH_HEALTHY;
    case 'd':
        return HEALTH_DEGRADED;
    case 'u':
        return HEALTH_UNHEALTHY;
    default:
        return HEALTH_UNKNOWN;
    }
}

START_TEST(story)
{
    struct part p = {0};
    for (unsigned i = 0; stories[_i].steps[i].event; i++) {
        const uint64_t now = (1000 + stories[_i].steps[i].at) * NS_PER_S;
        const char event = stories[_i].steps[i].event;
        if (event == '.')
            part_tick(&p, &rules, 0, now);
        else
            part_report(&p, &rules, state_of(event), now);
        ck_assert_msg(p.phase == stories[_i].steps[i].phase, "%s: step %u is %d", stories[_i].what,
                      i, (int)p.phase);
    }
}
END_TEST

/* The daemon was away: nobody could report, so silence counts from its return. */
START_TEST(nobody_listened)
{
    struct part p = {0};
    part_report(&p, &rules, HEALTH_HEALTHY, 0);
    part_tick(&p, &rules, 500 * NS_PER_S, 534 * NS_PER_S);
    ck_assert_int_eq(p.phase, PART_HEALTHY);
    part_tick(&p, &rules, 500 * NS_PER_S, 535 * NS_PER_S);
    ck_assert_int_eq(p.phase, PART_DEGRADED);
    ck_assert_uint_eq(p.failures, 1);
}
END_TEST

START_TEST(counts_do_not_wrap)
{
    struct part p = {0};
    for (unsigned i = 0; i < 70000; i++)
        part_report(&p, &rules, HEALTH_UNHEALTHY, i);
    ck_assert_uint_eq(p.failures, UINT16_MAX);
    part_tick(&p, &rules, 0, UINT64_MAX);
    ck_assert_uint_eq(p.failures, UINT16_MAX);
    ck_assert_uint_eq(p.missed, UINT8_MAX);
}
END_TEST

/* ---- health_watch ---- */

static struct world w;
static struct health_watch watch;
static struct health_options options;

static void setup(void)
{
    world_init(&w, STORE_MIN);
    health_defaults(&options);
    health_watch_init(&watch, &w.st, NULL, &options, w.now);
}

/* Whatever happened, the ledger of the consumer is balanced. */
static void check_ledger(void)
{
    struct consumer_view c;
    consumer_read(&w.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    ck_assert_uint_eq(c.appended, c.read + c.overrun + c.waiting);
    ck_assert_uint_eq(c.read, c.delivered + c.filtered + c.failed + c.in_flight);
    ck_assert_uint_eq(c.in_flight, 0);
}

static void teardown(void)
{
    check_ledger();
    world_fini(&w);
}

static void append(unsigned domain, struct str service, const struct event *e)
{
    struct buf body;
    buf_init(&body, LIMIT_ITEM);
    encode_body(&body, e);
    const struct ring_item item = {.kind = e->kind,
                                   .domain = domain,
                                   .service = service,
                                   .body = buf_str(&body),
                                   .received = w.now.wall};
    ring_make_room(&w.st, RING_EVENTS);
    ck_assert_int_eq(ring_append(&w.st, RING_EVENTS, &item), 0);
    store_commit(&w.st);
    buf_fini(&body);
}

static void report(unsigned domain, const char *service, const char *component,
                   enum health_state state, const char *message)
{
    const struct event e = {.kind = EVENT_HEALTH,
                            .time = w.now.wall,
                            .name = str_of(component),
                            .text = str_of(message),
                            .state = state};
    append(domain, str_of(service), &e);
}

static void read_all(void)
{
    while (health_watch_step(&watch, 64, w.now))
        check_ledger();
}

static void pass(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        w.now.mono += NS_PER_S;
        w.now.wall += NS_PER_S;
        while (health_watch_tick(&watch, 16, w.now))
            continue;
    }
}

static bool lookup(const char *component, struct part_view *out)
{
    for (uint32_t i = 1; i < part_ids(&w.st); i++)
        if (part_read(&w.st, i, out) && str_eq(out->component, str_of(component)))
            return true;
    return false;
}

START_TEST(reports)
{
    struct part_view p;
    report(3, "svc", "db", HEALTH_HEALTHY, "fine");
    report(3, "svc", "cache", HEALTH_DEGRADED, "slow");
    append(3, STR("svc"), &(struct event){.kind = EVENT_LOG, .text = STR("x"), .severity = 9});
    read_all();
    ck_assert(lookup("db", &p));
    ck_assert(str_eq(p.service, STR("svc")));
    ck_assert(str_eq(p.message, STR("fine")));
    ck_assert_uint_eq(p.state, HEALTH_HEALTHY);
    ck_assert_uint_eq(p.domain, 3);
    ck_assert_uint_eq(p.reports, 1);
    report(3, "svc", "db", HEALTH_UNHEALTHY, "gone");
    read_all();
    ck_assert(lookup("db", &p));
    ck_assert_uint_eq(p.state, HEALTH_DEGRADED);
    ck_assert_uint_eq(p.reported_state, HEALTH_UNHEALTHY);
    ck_assert_uint_eq(p.failures, 1);
    ck_assert_uint_eq(p.domain, 3);
    ck_assert(str_eq(p.message, STR("gone")));
    ck_assert_uint_eq(watch.count[HEALTH_DEGRADED], 2);
    ck_assert_uint_eq(watch.count[HEALTH_HEALTHY], 0);
    struct consumer_view c;
    consumer_read(&w.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    ck_assert_uint_eq(c.delivered, 3);
    ck_assert_uint_eq(c.filtered, 1);
}
END_TEST

START_TEST(silence)
{
    struct part_view p;
    report(0, "svc", "db", HEALTH_HEALTHY, "");
    read_all();
    pass(34);
    ck_assert(lookup("db", &p));
    ck_assert_uint_eq(p.state, HEALTH_HEALTHY);
    pass(61);
    ck_assert(lookup("db", &p));
    ck_assert_uint_eq(p.state, HEALTH_UNHEALTHY);
    ck_assert_uint_eq(p.failures, 3);
    w.now.mono += options.expire;
    pass(1);
    ck_assert(!lookup("db", &p));
    ck_assert_uint_eq(watch.count[HEALTH_UNHEALTHY], 0);
    ck_assert_uint_eq(watch.domain_count[0], 0);
}
END_TEST

/* The same name in another domain or service is another component. */
START_TEST(identity)
{
    report(1, "a", "db", HEALTH_HEALTHY, "");
    report(2, "a", "db", HEALTH_HEALTHY, "");
    report(1, "b", "db", HEALTH_HEALTHY, "");
    report(1, "a", "db", HEALTH_HEALTHY, "");
    read_all();
    ck_assert_uint_eq(watch.count[HEALTH_HEALTHY], 3);
    ck_assert_uint_eq(watch.domain_count[1], 2);
}
END_TEST

/* One domain's flood of names leaves room for another's. */
START_TEST(budget)
{
    struct part_view p;
    char name[32];
    options.per_domain = 10;
    health_watch_configure(&watch, &options);
    for (unsigned i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "c%u", i);
        report(1, "flood", name, HEALTH_HEALTHY, "");
    }
    report(2, "quiet", "db", HEALTH_HEALTHY, "");
    read_all();
    ck_assert_uint_eq(watch.domain_count[1], 10);
    ck_assert(lookup("db", &p));
    struct consumer_view c;
    consumer_read(&w.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    ck_assert_uint_eq(c.failed, 20);
}
END_TEST

/* The table itself is full: counted, nothing torn. */
START_TEST(table_full)
{
    char name[32];
    options.per_domain = 1000000;
    health_watch_configure(&watch, &options);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "component %u", i);
        report(i % 8, "svc", name, HEALTH_HEALTHY, "a message of its own");
        read_all();
    }
    struct consumer_view c;
    consumer_read(&w.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    ck_assert_uint_eq(c.delivered + c.failed, 3000);
    ck_assert_uint_gt(c.failed, 0);
    ck_assert_uint_eq(watch.count[HEALTH_HEALTHY], c.delivered);
}
END_TEST

/* A slow watch is overrun and told by how many. */
START_TEST(overrun)
{
    char message[1000];
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    for (unsigned i = 0; i < 2000; i++)
        report(0, "svc", "db", i < 1999 ? HEALTH_UNHEALTHY : HEALTH_DEGRADED, message);
    read_all();
    struct consumer_view c;
    consumer_read(&w.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    ck_assert_uint_gt(c.overrun, 0);
    ck_assert_uint_eq(c.overrun + c.delivered, 2000);
    ck_assert_uint_eq(c.waiting, 0);
    struct part_view p;
    ck_assert(lookup("db", &p));
    ck_assert_uint_eq(p.reported_state, HEALTH_DEGRADED);
    ck_assert_uint_eq(p.message.n, HEALTH_MESSAGE);
}
END_TEST

/* The daemon dies and comes back: nothing is read twice, nothing is forgotten,
 * and the time it was away is nobody's silence. */
START_TEST(restart)
{
    struct part_view p;
    report(4, "svc", "db", HEALTH_UNHEALTHY, "first");
    report(4, "svc", "db", HEALTH_UNHEALTHY, "second");
    read_all();
    report(4, "svc", "db", HEALTH_UNHEALTHY, "third");
    w.now.mono += 600 * NS_PER_S;
    world_kill(&w);
    health_watch_init(&watch, &w.st, NULL, &options, w.now);
    ck_assert_uint_eq(watch.domain_count[4], 1);
    ck_assert_uint_eq(watch.count[HEALTH_DEGRADED], 1);
    pass(1);
    ck_assert(lookup("db", &p));
    ck_assert_uint_eq(p.failures, 2);
    read_all();
    ck_assert(lookup("db", &p));
    ck_assert_uint_eq(p.failures, 3);
    ck_assert_uint_eq(p.reports, 3);
    ck_assert_uint_eq(p.state, HEALTH_UNHEALTHY);
    ck_assert(str_eq(p.message, STR("third")));
}
END_TEST

/* A state that cannot be is not trusted, wherever it comes from. */
START_TEST(nonsense_in_the_store)
{
    struct part_view p;
    report(4, "svc", "db", HEALTH_HEALTHY, "");
    read_all();
    struct part_rec *r = (struct part_rec *)(void *)store_word(
        &w.st, w.st.head->section[SECTION_PARTS].offset + sizeof *r);
    STORE_SET(&w.st, r->state, UINT64_MAX);
    store_commit(&w.st);
    health_watch_init(&watch, &w.st, NULL, &options, w.now);
    ck_assert(!lookup("db", &p));
    pass(1);
}
END_TEST

/* ---- what it comes to ---- */

static void expect_ready(bool ready, const char *why)
{
    struct buf b;
    buf_init(&b, 1000);
    ck_assert(health_ready(&watch, &b) == ready);
    ck_assert_msg(str_eq(buf_str(&b), str_of(why)), "%.*s", STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

START_TEST(readiness)
{
    const struct str required[] = {STR("db"), STR("svc/cache")};
    options.nrequired = 2;
    options.required = required;
    health_watch_configure(&watch, &options);
    expect_ready(false, "db is unknown, svc/cache is unknown");
    report(0, "other", "cache", HEALTH_HEALTHY, "");
    report(0, "svc", "cache", HEALTH_DEGRADED, "");
    report(0, "svc", "db", HEALTH_HEALTHY, "");
    read_all();
    expect_ready(true, "");
    for (unsigned i = 0; i < 3; i++)
        report(0, "other", "db", HEALTH_UNHEALTHY, "");
    read_all();
    expect_ready(false, "db is unhealthy");
}
END_TEST

START_TEST(together)
{
    struct buf b;
    buf_init(&b, 1000);
    ck_assert_int_eq(health_components(&watch, &b), HEALTH_PASS);
    report(0, "svc", "a", HEALTH_HEALTHY, "");
    report(0, "svc", "b", HEALTH_DEGRADED, "");
    read_all();
    ck_assert_int_eq(health_components(&watch, &b), HEALTH_WARN);
    for (unsigned i = 0; i < 3; i++)
        report(0, "svc", "c", HEALTH_UNHEALTHY, "");
    read_all();
    buf_reset(&b);
    ck_assert_int_eq(health_components(&watch, &b), HEALTH_FAIL);
    ck_assert(str_eq(buf_str(&b), STR("1 healthy, 1 degraded, 1 unhealthy, 0 unknown")));
    buf_fini(&b);
}
END_TEST

START_TEST(memory)
{
    ck_assert_int_eq(health_memory(&options, 84, 100), HEALTH_PASS);
    ck_assert_int_eq(health_memory(&options, 85, 100), HEALTH_WARN);
    ck_assert_int_eq(health_memory(&options, 95, 100), HEALTH_FAIL);
    ck_assert_int_eq(health_memory(&options, 95, 0), HEALTH_PASS);
}
END_TEST

/* ---- active checks ---- */

static struct health_change result(const char *name, enum health_state state, const char *message)
{
    const struct health_check c = {
        .service = STR("shop"), .name = str_of(name), .failures = 2, .successes = 2};
    return health_watch_result(&watch, &c, state, str_of(message), w.now);
}

START_TEST(results)
{
    struct part_view p;
    struct health_change c = result("port", HEALTH_HEALTHY, "");
    ck_assert(c.from == HEALTH_UNKNOWN && c.to == HEALTH_HEALTHY);
    c = result("port", HEALTH_UNHEALTHY, "refused");
    ck_assert_int_eq(c.to, HEALTH_DEGRADED);
    c = result("port", HEALTH_UNHEALTHY, "refused");
    ck_assert_int_eq(c.to, HEALTH_UNHEALTHY);
    c = result("port", HEALTH_HEALTHY, "");
    ck_assert(c.from == HEALTH_UNHEALTHY && c.to == HEALTH_DEGRADED);
    world_kill(&w); /* results in a row outlive the daemon */
    health_watch_init(&watch, &w.st, NULL, &options, w.now);
    c = result("port", HEALTH_HEALTHY, "again");
    ck_assert(c.from == HEALTH_DEGRADED && c.to == HEALTH_HEALTHY);
    ck_assert(lookup("port", &p) && p.active && p.reports == 5);
    ck_assert(str_eq(p.message, STR("again")) && str_eq(p.service, STR("shop")));
}
END_TEST

/* Nobody but the daemon reports for a check, and time alone changes nothing of it. */
START_TEST(results_are_apart)
{
    struct part_view p;
    result("port", HEALTH_HEALTHY, "");
    report(0, "shop", "port", HEALTH_UNHEALTHY, "a lie");
    read_all();
    ck_assert_uint_eq(part_ids(&w.st), 3);
    pass(200);
    ck_assert_uint_eq(watch.count[HEALTH_HEALTHY], 1);
    const struct health_check other = {.service = STR("shop"), .name = STR("other")};
    health_watch_checks(&watch, &other, 1);
    ck_assert(lookup("port", &p) && !p.active);
    ck_assert_uint_eq(watch.count[HEALTH_HEALTHY], 0);
}
END_TEST

static unsigned moves_seen;
static struct health_move last_move;

static void note_move(void *arg, const struct health_move *m)
{
    (void)arg;
    moves_seen++;
    last_move = *m;
    ck_assert(str_eq(m->component, STR("port")) && str_eq(m->service, STR("shop")));
}

START_TEST(moves_are_told)
{
    watch.moved = note_move;
    moves_seen = 0;
    result("port", HEALTH_HEALTHY, "");
    result("port", HEALTH_HEALTHY, "");
    ck_assert_uint_eq(moves_seen, 1);
    ck_assert_uint_eq(last_move.domain, HEALTH_ACTIVE);
    result("port", HEALTH_UNHEALTHY, "");
    result("port", HEALTH_UNHEALTHY, "");
    ck_assert_uint_eq(moves_seen, 3);
    ck_assert(last_move.from == HEALTH_DEGRADED && last_move.to == HEALTH_UNHEALTHY);
    health_watch_recall(&watch);
    ck_assert_uint_eq(moves_seen, 4);
    ck_assert_int_eq(last_move.from, HEALTH_UNHEALTHY);
    health_watch_checks(&watch, NULL, 0);
    ck_assert_uint_eq(moves_seen, 5);
    ck_assert_int_eq(last_move.to, HEALTH_UNKNOWN);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("health");
    TCase *part = tcase_create("part"), *t = tcase_create("watch");
    tcase_add_test(part, moves);
    tcase_add_loop_test(part, story, 0, sizeof stories / sizeof *stories);
    tcase_add_test(part, nobody_listened);
    tcase_add_test(part, counts_do_not_wrap);
    suite_add_tcase(s, part);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, reports);
    tcase_add_test(t, silence);
    tcase_add_test(t, identity);
    tcase_add_test(t, budget);
    tcase_add_test(t, table_full);
    tcase_add_test(t, overrun);
    tcase_add_test(t, restart);
    tcase_add_test(t, nonsense_in_the_store);
    tcase_add_test(t, readiness);
    tcase_add_test(t, together);
    tcase_add_test(t, memory);
    tcase_add_test(t, results);
    tcase_add_test(t, results_are_apart);
    tcase_add_test(t, moves_are_told);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
