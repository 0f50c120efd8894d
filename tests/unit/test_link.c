/* A producer's connection: handshake, exactly-once, ledgers, and every fault by name. */
#include "link_fixture.h"

#include <math.h>

#include "base/bytes.h"
#include "pipeline/redact.h"
#include "pipeline/rules.h"
#include "store/read.h"
#include "store/series.h"
#include "store/session.h"

static uint64_t known_store;

static void few(struct pipeline_options *o)
{
    o->cardinality = 3;
    o->ids_per_connection = 64;
}

static void setup(void)
{
    begin_link(few);
}

/* The daemon is killed: what was not committed is gone, links with it. */
static void restart(void)
{
    stop_pipeline(); /* only to free memory: it commits before the kill */
    world_kill(&w);
    start_pipeline(few);
}

/* The next frame that the daemon sent. */
static struct frame answer(void)
{
    static uint8_t copy[4096];
    struct frame_reader reader;
    struct frame f = {0};
    const uint8_t *p = (const uint8_t *)out.p;
    size_t n = out.n;
    frame_reader_init(&reader);
    ck_assert_int_eq(frame_reader_next(&reader, &p, &n, &f), 1);
    memcpy(copy, f.payload, f.size);
    f.payload = copy;
    buf_drop(&out, PROTO_HEADER + f.size);
    frame_reader_fini(&reader);
    return f;
}

static struct reject rejected(void)
{
    struct reject r;
    const struct frame f = answer();
    ck_assert_uint_eq(f.type, FRAME_REJECT);
    ck_assert_int_eq(decode_reject(f.payload, f.size, &r), 0);
    return r;
}

static struct welcome hello_as(uint8_t session, uint64_t first, uint64_t next)
{
    struct hello h = {
        .version = PROTO_VERSION,
        .capabilities = HELLO_WANTS_ACK,
        .session = {session},
        .store_id = known_store,
        .first = first,
        .next = next,
        .service = STR("svc"),
        .instance = STR("1"),
    };
    struct welcome wel;
    encode_hello(&in, &h);
    ck_assert_int_eq(feed(), 0);
    const struct frame f = answer();
    ck_assert_uint_eq(f.type, FRAME_WELCOME);
    ck_assert_int_eq(decode_welcome(f.payload, f.size, &wel), 0);
    return wel;
}

static void updates(uint64_t first, uint32_t id, const uint64_t *bits, uint32_t n)
{
    const size_t at = encode_batch(&in, FRAME_UPDATE, first);
    for (uint32_t i = 0; i < n; i++)
        encode_update(&in, id, bits[i]);
    encode_batch_end(&in, at, n);
}

static void event(uint64_t first, const struct event *e)
{
    const size_t at = encode_batch(&in, (unsigned)e->kind, first);
    encode_item(&in, e);
    encode_batch_end(&in, at, 1);
}

static uint64_t own(enum own_metric m)
{
    uint64_t sum = 0;
    for (unsigned d = 0; d < pl.options.domains; d++)
        sum += own_get(&pl.own, m, d);
    return sum;
}

static uint64_t dropped(enum drop_reason why)
{
    uint64_t sum = 0;
    for (unsigned d = 0; d < pl.options.domains; d++)
        sum += own_get(&pl.own, OWN_DROPPED, own_drop_index(d, why));
    return sum;
}

static void check_ledger(uint64_t received)
{
    uint64_t lost = 0;
    for (unsigned why = 0; why < DROP_MAX; why++)
        lost += dropped((enum drop_reason)why);
    ck_assert_uint_eq(own(OWN_RECEIVED), received);
    ck_assert_uint_eq(own(OWN_APPLIED) + lost, received);
}

static struct sample value(const char *family)
{
    struct metric_view m;
    struct series_view s;
    struct sample v;
    ck_assert(metric_find(&w.st, str_of(family), &m));
    ck_assert(series_read(&w.st, m.first, &s));
    series_sample(&w.st, &m, &s, &v);
    return v;
}

static const uint64_t ones[] = {1, 1, 1, 1, 1, 1, 1, 1};

static void open_counter(void)
{
    known_store = 0;
    const struct welcome wel = hello_as(1, 1, 1);
    known_store = wel.store_id;
    ck_assert_uint_eq(wel.known, SESSION_NEW);
    define(0, "c", METRIC_COUNTER, VALUE_U64);
    define_series(0, 0, "v");
    ck_assert_int_eq(feed(), 0);
    ck_assert_uint_eq(out.n, 0);
}

/* ---- exactly once ---- */

START_TEST(counts_and_acknowledges)
{
    uint64_t applied;
    open_counter();
    updates(1, 0, ones, 5);
    ck_assert_int_eq(feed(), 0);
    link_ack(&l, &out);
    const struct frame f = answer();
    ck_assert_int_eq(decode_ack(f.payload, f.size, &applied), 0);
    ck_assert_uint_eq(applied, 5);
    ck_assert_uint_eq(value("c").u, 5);
    link_ack(&l, &out);
    ck_assert_uint_eq(out.n, 0);
    check_ledger(5);
}
END_TEST

START_TEST(any_split_gives_the_same)
{
    open_counter();
    updates(1, 0, ones, 8);
    updates(9, 0, ones, 8);
    for (size_t i = 0; i < in.n; i++)
        ck_assert_int_eq(link_feed(&l, (const uint8_t *)in.p + i, 1, &out, w.now), 0);
    buf_reset(&in);
    ck_assert_uint_eq(value("c").u, 16);
    ck_assert_uint_eq(link_partial(&l), 0);
}
END_TEST

/* ---- turns ---- */

static struct event named(void)
{
    return (struct event){.kind = EVENT_NAMED, .name = STR("e")};
}

static void events(uint64_t first, uint32_t n)
{
    const struct event e = named();
    const size_t at = encode_batch(&in, EVENT_NAMED, first);
    for (uint32_t i = 0; i < n; i++)
        encode_item(&in, &e);
    encode_batch_end(&in, at, n);
}

/* A frame is carried over turns; the input may be gone by then, and what comes behind
 * it waits. The split input makes the reader hold the frame. */
START_TEST(a_frame_takes_many_turns)
{
    open_counter();
    pl.link_units = 1;
    events(1, 50);
    updates(51, 0, ones, 8);
    updates(59, 40, ones, 8); /* an id that is not defined: one REJECT for all of them */
    events(67, 50);
    const size_t split = _i ? in.n - 3 : in.n;
    int r = link_feed(&l, (const uint8_t *)in.p, split, &out, w.now);
    memset(in.p, 0xff, split);
    uint64_t last = 0;
    unsigned turns = 0;
    for (; r == LINK_MORE; turns++) {
        const uint64_t applied = session_at(&w.st, l.session)->applied;
        ck_assert_uint_ge(applied, last);
        ck_assert_uint_gt(link_partial(&l), 0);
        ck_assert_uint_eq(w.st.undo_used, 0);
        last = applied;
        r = link_go_on(&l, &out, w.now);
    }
    ck_assert_int_eq(r, 0);
    ck_assert_uint_ge(turns, _i ? 50 : 100);
    if (_i) {
        r = link_feed(&l, (const uint8_t *)in.p + split, 3, &out, w.now);
        while (r == LINK_MORE)
            r = link_go_on(&l, &out, w.now);
        ck_assert_int_eq(r, 0);
    }
    buf_reset(&in);
    ck_assert_uint_eq(link_partial(&l), 0);
    ck_assert_uint_eq(value("c").u, 8);
    ck_assert_uint_eq(dropped(DROP_UNKNOWN_ID), 8);
    ck_assert_uint_eq(rejected().count, 8);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_uint_eq(w.st.head->ring[RING_EVENTS].head_seq, 100);
    check_ledger(116);
}
END_TEST

/* Another connection of the session applies what this one has kept. */
START_TEST(what_another_connection_applied_is_a_duplicate)
{
    struct link other = {0};
    open_counter();
    pl.link_units = 1;
    events(1, 20);
    ck_assert_int_eq(link_feed(&l, (const uint8_t *)in.p, in.n, &out, w.now), LINK_MORE);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(link_go_on(&l, &out, w.now), LINK_MORE);
    const struct link first = l;
    link_init(&l, &pl, &me);
    buf_reset(&in);
    const uint64_t applied = hello_as(1, 1, 21).applied;
    ck_assert_uint_gt(applied, 0);
    ck_assert_uint_lt(applied, 20);
    events(applied + 1, (uint32_t)(15 - applied));
    ck_assert_int_eq(feed(), 0);
    other = l;
    l = first;
    int r = LINK_MORE;
    while (r == LINK_MORE)
        r = link_go_on(&l, &out, w.now);
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(w.st.head->ring[RING_EVENTS].head_seq, 20);
    ck_assert_uint_eq(own(OWN_DUPLICATES), 15 - applied);
    check_ledger(20);
    link_fini(&other, w.now);
}
END_TEST

/* A connection that ends in the middle of a frame loses nothing that was acknowledged. */
START_TEST(an_end_between_two_turns)
{
    open_counter();
    pl.link_units = 1;
    events(1, 20);
    ck_assert_int_eq(link_feed(&l, (const uint8_t *)in.p, in.n, &out, w.now), LINK_MORE);
    ck_assert_int_eq(link_go_on(&l, &out, w.now), LINK_MORE);
    restart();
    buf_reset(&in);
    const uint64_t applied = hello_as(1, 1, 21).applied;
    ck_assert_uint_eq(applied, 1);
    check_ledger(applied);
    ck_assert_uint_eq(w.st.head->ring[RING_EVENTS].head_seq, applied);
}
END_TEST

/* Said on one of two connections of a session, whichever ends last. */
START_TEST(bye_of_one_of_two_connections)
{
    open_counter();
    const struct link first = l;
    link_init(&l, &pl, &me);
    hello_as(1, 1, 1);
    encode_bye(&in);
    ck_assert_int_eq(feed(), -ERR_CLOSED);
    link_fini(&l, w.now);
    l = first;
    ck_assert_uint_eq(w.st.head->table[TABLE_SESSIONS].live, 1);
    link_fini(&l, w.now);
    ck_assert_uint_eq(w.st.head->table[TABLE_SESSIONS].live, 0);
    link_init(&l, &pl, &me);
}
END_TEST

START_TEST(what_is_sent_again_counts_once)
{
    open_counter();
    updates(1, 0, ones, 5);
    feed();
    restart();
    const struct welcome wel = hello_as(1, 1, 6);
    ck_assert_uint_eq(wel.known, SESSION_KNOWN);
    ck_assert_uint_eq(wel.applied, 5);
    define(7, "c", METRIC_COUNTER, VALUE_U64);
    define_series(3, 7, "v");
    updates(3, 3, ones, 8); /* 3 4 5 are known, 6 to 10 are new */
    ck_assert_int_eq(feed(), 0);
    ck_assert_uint_eq(value("c").u, 10);
    ck_assert_uint_eq(own(OWN_DUPLICATES), 3);
    check_ledger(10);
}
END_TEST

START_TEST(a_forgotten_session_is_told)
{
    open_counter();
    restart();
    const struct welcome wel = hello_as(2, 4, 9);
    ck_assert_uint_eq(wel.known, SESSION_EXPIRED);
    ck_assert_uint_eq(wel.applied, 8);
}
END_TEST

START_TEST(a_new_store_takes_everything)
{
    known_store = 0x999;
    const struct welcome wel = hello_as(2, 4, 9);
    ck_assert_uint_eq(wel.known, SESSION_NEW);
    ck_assert_uint_eq(wel.applied, 3);
}
END_TEST

START_TEST(bye_frees_the_session)
{
    open_counter();
    ck_assert_uint_eq(w.st.head->table[TABLE_SESSIONS].live, 1);
    encode_bye(&in);
    ck_assert_int_eq(feed(), -ERR_CLOSED);
    ck_assert_uint_eq(w.st.head->table[TABLE_SESSIONS].live, 0);
}
END_TEST

/* ---- faults ---- */

START_TEST(a_gap_closes)
{
    open_counter();
    updates(2, 0, ones, 1);
    ck_assert_int_eq(feed(), -ERR_CLOSED);
    ck_assert_uint_eq(rejected().reason, REJECT_GAP);
    check_ledger(0);
}
END_TEST

START_TEST(hello_comes_first_and_once)
{
    updates(1, 0, ones, 1);
    ck_assert_int_eq(feed(), -ERR_CLOSED);
    ck_assert_uint_eq(rejected().reason, REJECT_HELLO);
    restart();
    buf_reset(&out);
    hello_as(1, 1, 1);
    const struct hello h = {
        .version = 1, .session = {1}, .first = 1, .next = 1, .service = STR("s")};
    encode_hello(&in, &h);
    ck_assert_int_eq(feed(), -ERR_CLOSED);
    ck_assert_uint_eq(rejected().reason, REJECT_HELLO);
}
END_TEST

START_TEST(a_session_belongs_to_its_user)
{
    open_counter();
    struct link other;
    const struct peer stranger = {.uid = 1001};
    const struct hello h = {
        .version = 1, .session = {1}, .first = 1, .next = 1, .service = STR("s")};
    link_init(&other, &pl, &stranger);
    encode_hello(&in, &h);
    ck_assert_int_eq(link_feed(&other, (const uint8_t *)in.p, in.n, &out, w.now), -ERR_CLOSED);
    buf_reset(&in);
    ck_assert_uint_eq(rejected().reason, REJECT_OWNER);
    link_fini(&other, w.now);
}
END_TEST

START_TEST(bad_values_are_dropped_by_name)
{
    open_counter();
    define(1, "f", METRIC_COUNTER, VALUE_F64);
    define_series(1, 1, "v");
    const uint64_t bits[] = {f64_bits(1.5), f64_bits(NAN), f64_bits(-1), f64_bits(INFINITY)};
    updates(1, 1, bits, 4);
    updates(5, 40, ones, 2);
    ck_assert_int_eq(feed(), 0);
    ck_assert_double_eq(value("f").d, 1.5);
    ck_assert_uint_eq(dropped(DROP_NOT_FINITE), 2);
    ck_assert_uint_eq(dropped(DROP_NEGATIVE), 1);
    ck_assert_uint_eq(dropped(DROP_UNKNOWN_ID), 2);
    check_ledger(6);
    const struct reject r = rejected();
    ck_assert_uint_eq(r.first, 2);
    ck_assert_uint_eq(r.count, 2);
    ck_assert_uint_eq(r.reason, DROP_NOT_FINITE);
}
END_TEST

START_TEST(a_bad_frame_consumes_its_range)
{
    open_counter();
    updates(1, 0, ones, 3);
    put_u32(in.p, (uint32_t)in.n - PROTO_HEADER - 4); /* one item is four bytes short */
    in.n -= 4;
    updates(4, 0, ones, 2);
    ck_assert_int_eq(feed(), 0);
    ck_assert_uint_eq(dropped(DROP_MALFORMED), 3);
    ck_assert_uint_eq(value("c").u, 2);
    check_ledger(5);
}
END_TEST

START_TEST(refused_definitions_keep_their_reason)
{
    open_counter();
    define(1, "c", METRIC_GAUGE, VALUE_F64);
    define_series(1, 1, "v");
    define(2, "mcptally_items_received", METRIC_COUNTER, VALUE_U64);
    define_series(2, 2, "v");
    define_series(64, 0, "v");
    updates(1, 1, ones, 2);
    updates(3, 2, ones, 3);
    ck_assert_int_eq(feed(), 0);
    ck_assert_uint_eq(dropped(DROP_CONFLICT), 2);
    ck_assert_uint_eq(dropped(DROP_RESERVED), 3);
    ck_assert_uint_eq(rejected().reason, DROP_CONFLICT);
    ck_assert_uint_eq(rejected().reason, DROP_CONFLICT);
    ck_assert_uint_eq(rejected().reason, DROP_RESERVED);
    ck_assert_uint_eq(rejected().reason, DROP_RESERVED);
    ck_assert_uint_eq(rejected().reason, DROP_IDS_FULL);
    check_ledger(5);
}
END_TEST

START_TEST(too_many_label_sets_overflow)
{
    open_counter();
    for (uint32_t i = 1; i < 9; i++) {
        const char text[] = {(char)('a' + i), '\0'};
        define_series(i, 0, text);
        updates(i, i, ones, 1);
    }
    ck_assert_int_eq(feed(), 0);
    ck_assert_uint_eq(own(OWN_SERIES_OVERFLOW), 6);
    check_ledger(8);
}
END_TEST

START_TEST(producers_report_their_losses_as_totals)
{
    open_counter();
    struct lost lost = {.total = {[LOST_BUFFER] = 10}};
    encode_lost(&in, &lost);
    lost.total[LOST_BUFFER] = 12;
    encode_lost(&in, &lost);
    ck_assert_int_eq(feed(), 0);
    restart();
    hello_as(1, 1, 1);
    encode_lost(&in, &lost);
    ck_assert_int_eq(feed(), 0);
    ck_assert_uint_eq(own_get(&pl.own, OWN_PRODUCER_LOST, LOST_BUFFER), 12);
}
END_TEST

static uint32_t plain_metric(const char *name, enum metric_kind kind, enum value_type type)
{
    const struct metric_def d = {.name = str_of(name), .kind = kind, .type = type};
    const struct series_ask ask = {.labels = STR("a=\"b\""), .now = w.now};
    struct series_ask with = ask;
    uint32_t series;
    ck_assert_int_eq(metric_define(&w.st, &d, false, &with.metric), 0);
    ck_assert_int_eq(series_make(&w.st, &with, &series), 0);
    store_commit(&w.st);
    return with.metric;
}

/* A store of a version that did not declare these names yet. */
START_TEST(our_own_metrics_come_first)
{
    struct metric_view m;
    link_fini(&l, w.now);
    pipeline_fini(&pl);
    store_detach(&w.st, false);
    memset(w.mem, 0, w.size);
    ck_assert_int_eq(world_attach(&w), STORE_CREATED);
    plain_metric("mcptally_starts", METRIC_GAUGE, VALUE_F64);
    plain_metric("mcptally_rollbacks_total", METRIC_GAUGE, VALUE_U64);
    plain_metric("mcptally_sessions", METRIC_GAUGE, VALUE_U64);
    start_pipeline(few);
    ck_assert(metric_find(&w.st, STR("mcptally_starts"), &m) && m.own);
    ck_assert_int_eq((int)m.kind, METRIC_COUNTER);
    ck_assert(metric_find(&w.st, STR("mcptally_rollbacks"), &m) && m.own);
    ck_assert(!metric_find(&w.st, STR("mcptally_rollbacks_total"), &m));
    ck_assert(metric_find(&w.st, STR("mcptally_sessions"), &m) && m.own);
}
END_TEST

/* ---- events ---- */

START_TEST(events_reach_ring_and_rules_redacted)
{
    const struct rule rule = {
        .event = STR("call.done"),
        .metric = STR("call.duration"),
        .unit = STR("s"),
        .kind = METRIC_HISTOGRAM,
        .measurement = STR("ms"),
        .scale = 0.001,
        .nlabels = 1,
        .labels = {{{0}, STR("tool")}},
    };
    const struct redact_options ro = {.enabled = true};
    struct redact *redact = redact_new(&ro);
    struct rules *rules = rules_new(&rule, 1);
    pl.redact = redact;
    pl.rules = rules;
    open_counter();
    static struct event e = {
        .kind = EVENT_NAMED,
        .name = {"call.done", 9},
        .nattrs = 2,
        .all_attrs = 2,
        .attrs = {{.key = {"tool", 4}, .type = ATTR_STRING, .s = {"echo", 4}},
                  {.key = {"password", 8}, .type = ATTR_STRING, .s = {"hunter2", 7}}},
        .nmeasures = 1,
        .measures = {{{"ms", 2}, 1500}},
    };
    event(1, &e);
    ck_assert_int_eq(feed(), 0);
    ck_assert_double_eq(value("call_duration_seconds").sum, 1.5);
    ck_assert_uint_eq(own_redacted(&pl.own, REDACT_ATTRIBUTE), 1);
    char copy[RING_COPY];
    uint64_t pos = 0;
    struct ring_view v;
    ck_assert_int_eq(ring_read(&w.st, RING_EVENTS, &pos, copy, sizeof copy, &v), 1);
    ck_assert_ptr_null(memmem(v.body.p, v.body.n, "hunter2", 7));
    ck_assert_ptr_nonnull(memmem(v.body.p, v.body.n, "[REDACTED]", 10));
    check_ledger(1);
    pl.redact = NULL;
    pl.rules = NULL;
    rules_free(rules);
    redact_free(redact);
}
END_TEST

/* ---- idle ---- */

START_TEST(idle_things_expire)
{
    open_counter();
    updates(1, 0, ones, 5);
    feed();
    link_fini(&l, w.now);
    link_init(&l, &pl, &me);
    for (int i = 0; i < 40; i++) {
        w.now.mono += 3600 * NS_PER_S;
        while (pipeline_sweep(&pl, w.now, 4096))
            ;
    }
    struct metric_view m;
    ck_assert(!metric_find(&w.st, STR("c"), &m));
    ck_assert_uint_eq(w.st.head->table[TABLE_SESSIONS].live, 0);
    ck_assert_uint_eq(own_get(&pl.own, OWN_SERIES_EXPIRED, 0), 1);
    check_ledger(5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link");
    TCase *t = tcase_create("link");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, counts_and_acknowledges);
    tcase_add_test(t, any_split_gives_the_same);
    tcase_add_loop_test(t, a_frame_takes_many_turns, 0, 2);
    tcase_add_test(t, what_another_connection_applied_is_a_duplicate);
    tcase_add_test(t, an_end_between_two_turns);
    tcase_add_test(t, bye_of_one_of_two_connections);
    tcase_add_test(t, what_is_sent_again_counts_once);
    tcase_add_test(t, a_forgotten_session_is_told);
    tcase_add_test(t, a_new_store_takes_everything);
    tcase_add_test(t, bye_frees_the_session);
    tcase_add_test(t, a_gap_closes);
    tcase_add_test(t, hello_comes_first_and_once);
    tcase_add_test(t, a_session_belongs_to_its_user);
    tcase_add_test(t, bad_values_are_dropped_by_name);
    tcase_add_test(t, a_bad_frame_consumes_its_range);
    tcase_add_test(t, refused_definitions_keep_their_reason);
    tcase_add_test(t, too_many_label_sets_overflow);
    tcase_add_test(t, our_own_metrics_come_first);
    tcase_add_test(t, producers_report_their_losses_as_totals);
    tcase_add_test(t, events_reach_ring_and_rules_redacted);
    tcase_add_test(t, idle_things_expire);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
