/* What a producer may try that means harm: the daemon goes on, and every item is accounted for. */
#include "link_fixture.h"

#include <stdio.h>

#include "base/bytes.h"
#include "pipeline/redact.h"
#include "pipeline/rules.h"
#include "store/read.h"
#include "store/session.h"
#include "store/space.h"

static uint64_t next; /* sequence number */

static void hello(uint8_t session, const char *service)
{
    const struct hello h = {
        .version = PROTO_VERSION,
        .session = {session},
        .first = 1,
        .next = 1,
        .service = str_of(service),
    };
    encode_hello(&in, &h);
    feed_good();
    next = 1;
}

static void few_label_sets(struct pipeline_options *o)
{
    o->cardinality = 3;
}

static void setup(void)
{
    begin_link(few_label_sets);
    hello(1, "svc");
}

static uint64_t dropped(enum drop_reason why)
{
    uint64_t sum = 0;
    for (unsigned d = 0; d < pl.options.domains; d++)
        sum += own_get(&pl.own, OWN_DROPPED, own_drop_index(d, why));
    return sum;
}

/* ---- items ---- */

static void send_event(const struct event *e)
{
    const size_t at = encode_batch(&in, EVENT_NAMED, next++);
    encode_item(&in, e);
    encode_batch_end(&in, at, 1);
}

/* The largest item there is, full of secrets that are shorter than [REDACTED]. */
START_TEST(redaction_can_make_an_item_too_large)
{
    static struct event e;
    static char pad[LIMIT_TEXT];
    enum { PADS = 8 };
    const struct redact_options ro = {.enabled = true};
    struct redact *redact = redact_new(&ro);
    struct buf body;
    ck_assert_ptr_nonnull(redact);
    pl.redact = redact;
    memset(pad, '-', sizeof pad);
    e.kind = EVENT_NAMED;
    e.name = STR("e");
    e.nattrs = e.all_attrs = LIMIT_ATTRS;
    for (unsigned i = 0; i < PADS; i++)
        e.attrs[i] = (struct attr){
            .key = STR("pad"), .type = ATTR_STRING, .s = {pad, i < PADS - 1 ? sizeof pad : 0}};
    for (unsigned i = PADS; i < LIMIT_ATTRS; i++)
        e.attrs[i] = (struct attr){.key = STR("password"), .type = ATTR_STRING, .s = STR("x")};
    buf_init(&body, LIMIT_ITEM);
    encode_body(&body, &e);
    e.attrs[PADS - 1].s.n = LIMIT_ITEM - body.n;
    send_event(&e);
    feed_good();
    ck_assert_uint_eq(dropped(DROP_LIMIT), 1);
    ck_assert_uint_eq(w.st.head->ring[RING_EVENTS].head_seq, 0);
    buf_fini(&body);
    pl.redact = NULL;
    redact_free(redact);
}
END_TEST

/* ---- batches ---- */

enum { RULES = 16 };

/* Rules by which each event "turn" goes into 16 summaries and each "fill" into a counter. */
static struct rules *make_rules(void)
{
    static struct rule table[RULES + 1];
    static char names[RULES][16];
    for (unsigned i = 0; i < RULES; i++) {
        snprintf(names[i], sizeof names[i], "summary%u", i);
        table[i] = (struct rule){.event = STR("turn"),
                                 .metric = str_of(names[i]),
                                 .kind = METRIC_SUMMARY,
                                 .measurement = STR("v")};
    }
    table[RULES] =
        (struct rule){.event = STR("fill"), .metric = STR("fill"), .kind = METRIC_COUNTER};
    return rules_new(table, RULES + 1);
}

static void turn(double v)
{
    static struct event e = {.kind = EVENT_NAMED, .name = {"turn", 4}, .nmeasures = 1};
    e.measures[0] = (struct measure){STR("v"), v};
    send_event(&e);
}

/* n events of one frame, and a last one by which 16 full summaries turn their windows. */
static void fill_and_turn(unsigned n)
{
    static struct event fill = {.kind = EVENT_NAMED, .name = {"fill", 4}};
    static struct event e = {.kind = EVENT_NAMED, .name = {"turn", 4}, .nmeasures = 1};
    const size_t at = encode_batch(&in, EVENT_NAMED, next);
    e.measures[0] = (struct measure){STR("v"), 1};
    for (unsigned i = 0; i < n; i++)
        encode_item(&in, &fill);
    encode_item(&in, &e);
    encode_batch_end(&in, at, n + 1);
    next += n + 1;
    feed_good();
}

START_TEST(one_event_turns_sixteen_summaries)
{
    struct rules *rules = make_rules();
    ck_assert_ptr_nonnull(rules);
    pl.rules = rules;
    for (unsigned n = 1300; n > 1000; n -= 50) {
        for (int window = 0; window < 2; window++) {
            w.now.mono += 60 * NS_PER_S;
            double v = 1;
            for (int i = 0; i < 40; i++, v *= 2)
                turn(v);
            feed_good();
        }
        w.now.mono += 180 * NS_PER_S;
        fill_and_turn(n);
    }
    ck_assert_uint_eq(own_get(&pl.own, OWN_RULE_FAILURES, 0), 0);
    pl.rules = NULL;
    rules_free(rules);
}
END_TEST

/* ---- sessions and totals ---- */

/* A flood of sessions in one domain fills the table, and then drives out its own. */
START_TEST(sessions_of_other_domains_stay)
{
    const uint8_t id[16] = {1};
    link_fini(&l, w.now);
    const uint32_t kept = session_find(&w.st, id);
    const uint64_t who = session_at(&w.st, kept)->who;
    const uint32_t capacity = table_capacity(&w.st, TABLE_SESSIONS);
    w.now.mono += NS_PER_S;
    for (uint32_t i = 0; i < 2 * capacity; i++) {
        uint8_t other[16] = {2};
        put_u32(other + 4, i);
        const struct session_ask ask = {.id = other,
                                        .domain = (unsigned)(who >> WHO_DOMAIN_SHIFT & 0xffff) + 1,
                                        .service = STR("flood"),
                                        .now = w.now};
        const uint32_t s = session_make(&w.st, &ask);
        ck_assert_uint_ne(s, 0);
        session_set_ended(&w.st, s, w.now.mono);
        store_commit(&w.st);
    }
    ck_assert_uint_eq(session_find(&w.st, id), kept);
}
END_TEST

START_TEST(huge_totals_do_not_wrap)
{
    const struct lost lost = {.total = {UINT64_MAX - 1}};
    encode_lost(&in, &lost);
    feed_good();
    link_fini(&l, w.now);
    link_init(&l, &pl, &me);
    hello(2, "svc");
    encode_lost(&in, &lost);
    feed_good();
    ck_assert_uint_eq(own_get(&pl.own, OWN_PRODUCER_LOST, 0), UINT64_MAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hostile");
    TCase *t = tcase_create("hostile");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, redaction_can_make_an_item_too_large);
    tcase_add_test(t, one_event_turns_sixteen_summaries);
    tcase_add_test(t, sessions_of_other_domains_stay);
    tcase_add_test(t, huge_totals_do_not_wrap);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
