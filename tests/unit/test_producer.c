#include <check.h>

#include "fake_daemon.h"

#include "wire/producer.h"

static const uint8_t id_a[16] = {0xa}, id_b[16] = {0xb};
static struct producer p;
static struct fake_daemon d;
static struct fake_link l;
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static struct producer_options options(void)
{
    struct producer_options o = {
        .service = STR("svc"),
        .instance = STR("i"),
        .agent = STR("test"),
        .queue_bytes = 1 << 20,
    };
    memcpy(o.session, id_a, sizeof id_a);
    return o;
}

static void setup(void)
{
    const struct producer_options o = options();
    producer_init(&p, &o);
    memset(&d, 0, sizeof d);
    d.store_id = 77;
    seed = 88172645463325252u;
}

static void teardown(void)
{
    producer_fini(&p);
    fake_link_fini(&l);
}

static uint32_t counter(const char *name)
{
    const struct metric_def def = {.name = str_of(name), .kind = METRIC_COUNTER, .type = VALUE_U64};
    const uint32_t id = producer_define_metric(&p, &def);
    ck_assert_uint_gt(id, 0);
    return producer_define_series(&p, id, NULL, 0);
}

static void connect_both(void)
{
    fake_link_fini(&l);
    fake_link_init(&l, &d);
    ck_assert_int_eq(producer_connected(&p), 0);
}

/* The first piece of what can be sent, NULL when there is none. */
static const uint8_t *output(size_t *n)
{
    struct str first = {0};
    *n = producer_output(&p, &first, 1) == 1 ? first.n : 0;
    return (const uint8_t *)first.p;
}

/* Moves all that goes, both ways, until nothing does. 0, or the first error. */
static int converse(void)
{
    size_t n;
    const uint8_t *out;
    do {
        while ((out = output(&n))) {
            const int e = fake_feed(&l, out, n);
            producer_sent(&p, n);
            if (e < 0)
                break;
        }
        fake_ack(&l);
        const int e = producer_feed(&p, (const uint8_t *)l.out.p, l.out.n);
        buf_reset(&l.out);
        if (e < 0)
            return e;
        out = output(&n);
    } while (out);
    return 0;
}

static uint64_t sum_of(const char *name)
{
    const struct fake_series *s = fake_find(&d, name);
    return s ? s->sum_u64 : 0;
}

START_TEST(says_hello_and_delivers)
{
    const uint32_t s = counter("c");
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(producer_update(&p, s, 5), 0);
    size_t n;
    ck_assert_ptr_null(output(&n));
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_str_eq(d.service, "svc");
    ck_assert_uint_eq(sum_of("c"), 15);
    ck_assert_uint_eq(p.acknowledged, 3);
    ck_assert_uint_eq(producer_waiting(&p), 0);
    ck_assert_uint_eq(p.held, 0);
    ck_assert_uint_eq(p.store_id, 77);
    ck_assert_uint_eq(p.max_ids, FAKE_IDS);
}
END_TEST

START_TEST(nothing_but_hello_before_welcome)
{
    const uint32_t s = counter("c");
    producer_update(&p, s, 1);
    connect_both();
    size_t n;
    ck_assert(output(&n) != NULL);
    producer_sent(&p, n);
    ck_assert_ptr_null(output(&n));
}
END_TEST

START_TEST(unacknowledged_frames_are_sent_again_as_they_were)
{
    const uint32_t s = counter("c");
    connect_both();
    ck_assert_int_eq(converse(), 0);
    producer_update(&p, s, 1);
    size_t n, again;
    const uint8_t *out = output(&n);
    uint8_t copy[64];
    ck_assert_uint_le(n, sizeof copy);
    memcpy(copy, out, n);
    ck_assert_int_eq(fake_feed(&l, out, n), 0);
    producer_sent(&p, n);
    producer_update(&p, s, 1); /* a new frame: the first one was sent */
    producer_disconnected(&p);
    connect_both();
    l.d->sessions[0].applied = 0; /* a daemon that has not applied it */
    out = output(&again);
    fake_feed(&l, out, again);
    producer_sent(&p, again);
    ck_assert_int_eq(producer_feed(&p, (const uint8_t *)l.out.p, l.out.n), 0);
    buf_reset(&l.out);
    out = output(&again); /* definitions */
    fake_feed(&l, out, again);
    producer_sent(&p, again);
    out = output(&again);
    ck_assert_uint_eq(again, n);
    ck_assert_mem_eq(out, copy, n);
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(producer_waiting(&p), 0);
}
END_TEST

START_TEST(what_the_daemon_has_is_not_sent_again)
{
    const uint32_t s = counter("c");
    producer_update(&p, s, 1);
    connect_both();
    size_t n;
    const uint8_t *out;
    while ((out = output(&n)) || p.state == PRODUCER_GREETING) {
        if (out) {
            fake_feed(&l, out, n);
            producer_sent(&p, n);
        }
        producer_feed(&p, (const uint8_t *)l.out.p, l.out.n);
        buf_reset(&l.out);
    }
    ck_assert_uint_eq(sum_of("c"), 1); /* applied, and the ACK never comes */
    producer_disconnected(&p);
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(sum_of("c"), 1);
    ck_assert_uint_eq(d.duplicates, 0);
    ck_assert_uint_eq(p.acknowledged, 1);
}
END_TEST

START_TEST(a_new_store_gets_all_that_was_not_acknowledged)
{
    const uint32_t s = counter("c");
    connect_both();
    producer_update(&p, s, 1);
    ck_assert_int_eq(converse(), 0);
    producer_disconnected(&p);
    producer_update(&p, s, 10);
    memset(&d, 0, sizeof d);
    d.store_id = 78;
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(sum_of("c"), 10);
    ck_assert_uint_eq(p.lost.total[LOST_EXPIRED], 0);
    ck_assert_uint_eq(p.acknowledged, 2);
}
END_TEST

START_TEST(a_forgotten_session_counts_what_was_sent_as_expired)
{
    const uint32_t s = counter("c");
    connect_both();
    ck_assert_int_eq(converse(), 0);
    producer_update(&p, s, 1);
    producer_update(&p, s, 1);
    size_t n;
    ck_assert(output(&n) != NULL);
    producer_sent(&p, 1); /* a byte of it is out: it may have been applied */
    producer_update(&p, s, 100);
    producer_disconnected(&p);
    d.nsessions = 0;
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(sum_of("c"), 100);
    ck_assert_uint_eq(p.lost.total[LOST_EXPIRED], 2);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_EXPIRED], 2);
    ck_assert_uint_eq(p.acknowledged, 1);
    ck_assert_uint_eq(producer_waiting(&p), 0);
}
END_TEST

/* What an expired session had been told is counted already; a new store has counted
 * nothing. */
START_TEST(a_forgotten_session_is_not_told_of_losses_again)
{
    counter("c");
    connect_both();
    producer_lose(&p, LOST_BUFFER, 5);
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_BUFFER], 5);
    producer_disconnected(&p);
    producer_lose(&p, LOST_BUFFER, 2);
    d.nsessions = 0;
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_BUFFER], 2);
    producer_lose(&p, LOST_BUFFER, 1);
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_BUFFER], 3);
    producer_disconnected(&p);
    d.nsessions = 0;
    d.store_id++;
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_BUFFER], 8);
}
END_TEST

START_TEST(rejected_items_are_counted_and_used_up)
{
    const uint32_t s = counter("c"), bad = counter("bad");
    d.refuse_id = bad;
    connect_both();
    producer_update(&p, s, 1);
    producer_update(&p, bad, 1);
    producer_update(&p, bad, 1);
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(p.rejected, 2);
    ck_assert_uint_eq(p.acknowledged, 3);
    ck_assert_uint_eq(p.last_reject, DROP_RATE_LIMITED);
    ck_assert_uint_eq(producer_waiting(&p), 0);
}
END_TEST

/* The daemon said REJECT, and died with its store before its ACK. */
START_TEST(a_rejected_item_is_not_sent_to_a_new_store)
{
    const uint32_t bad = counter("bad");
    d.refuse_id = bad;
    connect_both();
    ck_assert_int_eq(converse(), 0);
    producer_update(&p, bad, 1);
    size_t n;
    const uint8_t *out = output(&n);
    fake_feed(&l, out, n);
    producer_sent(&p, n);
    ck_assert_int_eq(producer_feed(&p, (const uint8_t *)l.out.p, l.out.n), 0);
    producer_disconnected(&p);
    memset(&d, 0, sizeof d);
    d.store_id = 78;
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(d.applied + d.dropped + d.duplicates, 0);
    ck_assert_uint_eq(p.rejected, 1);
}
END_TEST

START_TEST(totals_of_losses_are_told_and_repeated)
{
    connect_both();
    ck_assert_int_eq(converse(), 0);
    producer_lose(&p, LOST_BUFFER, 5);
    producer_lose(&p, LOST_INVALID, 2);
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_BUFFER], 5);
    producer_disconnected(&p);
    memset(&d.sessions[0].lost, 0, sizeof d.sessions[0].lost);
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_BUFFER], 5);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_INVALID], 2);
}
END_TEST

START_TEST(frames_of_several_kinds_go_out_together)
{
    const uint32_t s = counter("c");
    struct str out[8];
    connect_both();
    ck_assert_int_eq(converse(), 0);
    for (unsigned i = 0; i < 3; i++) {
        producer_update(&p, s, 1);
        ck_assert_int_eq(producer_item(&p, EVENT_LOG, (const uint8_t *)"", 0), 0);
    }
    ck_assert_uint_eq(producer_output(&p, out, 4), 4);
    ck_assert_uint_eq(producer_output(&p, out, 8), 6);
    size_t n = 0;
    for (unsigned i = 0; i < 6; i++)
        n += out[i].n;
    producer_sent(&p, n);
    ck_assert_uint_eq(producer_output(&p, out, 8), 0);
    ck_assert_uint_eq(p.unsent, p.next);
}
END_TEST

/* A frame is half sent: what its followers need goes out before them, not behind it. */
START_TEST(definitions_and_losses_go_before_items_that_came_later)
{
    const uint32_t s = counter("c");
    struct str out[8];
    connect_both();
    ck_assert_int_eq(converse(), 0);
    producer_update(&p, s, 1);
    ck_assert_uint_eq(producer_output(&p, out, 8), 1);
    ck_assert_int_eq(fake_feed(&l, (const uint8_t *)out[0].p, 9), 0);
    producer_sent(&p, 9);
    producer_update(&p, counter("later"), 7);
    producer_lose(&p, LOST_BUFFER, 2);
    static const char types[] = {0, FRAME_DEFINE_METRIC, FRAME_LOST, FRAME_UPDATE};
    for (unsigned i = 0; i < sizeof types; i++) {
        ck_assert_uint_eq(producer_output(&p, out, 8), 1);
        ck_assert(i == 0 || out[0].p[4] == types[i]);
        ck_assert_int_eq(fake_feed(&l, (const uint8_t *)out[0].p, out[0].n), 0);
        producer_sent(&p, out[0].n);
    }
    ck_assert_uint_eq(sum_of("c"), 1);
    ck_assert_uint_eq(sum_of("later"), 7);
}
END_TEST

START_TEST(bye_is_last)
{
    const uint32_t s = counter("c");
    producer_bye(&p);
    producer_update(&p, s, 3);
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert(d.sessions[0].gone);
    ck_assert_uint_eq(sum_of("c"), 3);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
    struct producer_options o = options();
    producer_fini(&p);
    o.queue_bytes = 100000;
    producer_init(&p, &o);
    const uint32_t s = counter("c");
    uint64_t taken = 0;
    while (producer_update(&p, s, 1) == 0)
        taken++;
    ck_assert_uint_gt(taken, 100000 / PROTO_UPDATE * 7 / 10);
    ck_assert_uint_le(p.held, 100000 + PRODUCER_FRAME);
    static const uint8_t records[1000 * PROTO_UPDATE];
    ck_assert_uint_eq(producer_updates(&p, records, 1000), 0);
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(sum_of("c"), taken);
    ck_assert_int_eq(producer_update(&p, s, 1), 0);
}
END_TEST

START_TEST(an_item_as_long_as_can_be)
{
    static uint8_t body[LIMIT_ITEM + 1];
    ck_assert_int_eq(producer_item(&p, EVENT_LOG, body, LIMIT_ITEM + 1), -ERR_RANGE);
    ck_assert_int_eq(producer_item(&p, EVENT_LOG, body, LIMIT_ITEM), 0);
    ck_assert_uint_eq(p.taken, 1);
}
END_TEST

START_TEST(a_renewed_session_keeps_definitions_only)
{
    const uint32_t s = counter("c");
    connect_both();
    producer_update(&p, s, 1);
    producer_lose(&p, LOST_BUFFER, 3);
    producer_renew(&p, id_b);
    ck_assert_uint_eq(producer_waiting(&p), 0);
    ck_assert_uint_eq(p.held, 0);
    producer_update(&p, s, 9);
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(sum_of("c"), 9);
    ck_assert_mem_eq(d.sessions[0].id, id_b, sizeof id_b);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_BUFFER], 0);
}
END_TEST

/* A frame from the daemon in a given state, and what becomes of it. */
static int answer(void (*encode)(struct buf *))
{
    struct buf b;
    buf_init(&b, 4096);
    encode(&b);
    const int e = producer_feed(&p, (const uint8_t *)b.p, b.n);
    buf_fini(&b);
    return e;
}

static void ack_9(struct buf *b)
{
    encode_ack(b, 9);
}

static void reject_9(struct buf *b)
{
    const struct reject r = {.first = 9, .count = 1, .reason = DROP_NAME};
    encode_reject(b, &r);
}

static void reject_all(struct buf *b)
{
    const struct reject r = {.first = UINT64_MAX, .count = 2, .reason = DROP_NAME};
    encode_reject(b, &r);
}

static void welcome_new(struct buf *b)
{
    const struct welcome w = {PROTO_VERSION, SESSION_NEW, 77, 0, LIMIT_FRAME, 16, 0};
    encode_welcome(b, &w);
}

static void welcome_2(struct buf *b)
{
    const struct welcome w = {2, SESSION_NEW, 77, 0, LIMIT_FRAME, 16, 0};
    encode_welcome(b, &w);
}

static void welcome_ahead(struct buf *b)
{
    const struct welcome w = {PROTO_VERSION, SESSION_KNOWN, 77, 4, LIMIT_FRAME, 16, 0};
    encode_welcome(b, &w);
}

static void refuse_domain(struct buf *b)
{
    const struct reject r = {.first = 1500, .reason = REJECT_DOMAIN};
    encode_reject(b, &r);
}

static void refuse_for_ever(struct buf *b)
{
    const struct reject r = {.first = UINT64_MAX, .reason = REJECT_DOMAIN};
    encode_reject(b, &r);
}

/* What waits stays, and is sent when the daemon takes it. */
START_TEST(a_refused_domain_is_told_when_to_come_back)
{
    const uint32_t id = counter("c");
    ck_assert_int_eq(producer_update(&p, id, 1), 0);
    ck_assert_int_eq(producer_connected(&p), 0);
    ck_assert_int_eq(answer(refuse_domain), 0);
    ck_assert_uint_eq(p.retry_ms, 1500);
    producer_disconnected(&p);
    ck_assert_uint_eq(p.retry_ms, 1500);
    ck_assert_int_eq(producer_connected(&p), 0);
    ck_assert_uint_eq(p.retry_ms, 0);
    ck_assert_int_eq(answer(refuse_for_ever), 0);
    ck_assert_uint_eq(p.retry_ms, PRODUCER_RETRY_MS);
    producer_disconnected(&p);
    ck_assert_uint_eq(producer_waiting(&p), 1);
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(producer_waiting(&p), 0);
    ck_assert_uint_eq(p.rejected, 0);
}
END_TEST

START_TEST(a_daemon_that_lies_is_not_believed)
{
    const uint32_t s = counter("c");
    producer_update(&p, s, 1);
    ck_assert_int_eq(answer(welcome_new), -ERR_SYNTAX); /* not connected */
    connect_both();
    ck_assert_int_eq(answer(welcome_new), -ERR_SYNTAX); /* HELLO is not out */
    size_t n;
    (void)output(&n);
    producer_sent(&p, n);
    ck_assert_int_eq(answer(ack_9), -ERR_SYNTAX);
    ck_assert_int_eq(answer(reject_9), -ERR_SYNTAX);
    ck_assert_int_eq(answer(welcome_2), -ERR_VERSION);
    ck_assert_int_eq(answer(welcome_ahead), -ERR_DAMAGED);
    ck_assert_int_eq(answer(welcome_new), 0);
    ck_assert_int_eq(answer(welcome_new), -ERR_SYNTAX); /* twice */
    ck_assert_int_eq(answer(ack_9), -ERR_SYNTAX);
    ck_assert_int_eq(answer(reject_9), -ERR_SYNTAX);
    ck_assert_int_eq(answer(reject_all), -ERR_SYNTAX);
    ck_assert_int_eq(answer(encode_bye), -ERR_SYNTAX);
    ck_assert_int_eq(producer_feed(&p, (const uint8_t *)"GET / HTTP/1.1\r\n", 16), -ERR_SYNTAX);
    ck_assert_uint_eq(p.acknowledged, 0);
}
END_TEST

START_TEST(a_session_that_went_back_is_damaged)
{
    const uint32_t s = counter("c");
    connect_both();
    producer_update(&p, s, 1);
    ck_assert_int_eq(converse(), 0);
    producer_disconnected(&p);
    d.sessions[0].applied = 0;
    connect_both();
    ck_assert_int_eq(converse(), -ERR_DAMAGED);
}
END_TEST

/* ---- at random ---- */

/* Two pipes between the producer and the daemon, moved by any number of bytes. */
static struct buf up, down;
static uint64_t given[5];
static uint32_t ids[5];

static void push(void)
{
    const unsigned which = (unsigned)draw(5);
    const unsigned n = (unsigned)draw(draw(20) ? 40 : 3000) + 1;
    static uint8_t records[3000 * PROTO_UPDATE];
    for (unsigned i = 0; i < n; i++) {
        put_u32(records + i * PROTO_UPDATE, ids[which]);
        put_u64(records + i * PROTO_UPDATE + 4, i + 1);
    }
    const size_t taken = producer_updates(&p, records, n);
    given[which] += taken * (taken + 1) / 2;
    producer_lose(&p, LOST_QUEUE, n - taken);
}

static void push_item(void)
{
    static struct event e;
    static struct buf body;
    e.kind = draw(2) ? EVENT_NAMED : EVENT_HEALTH;
    e.name = STR("an event");
    buf_init(&body, LIMIT_ITEM);
    encode_body(&body, &e);
    if (producer_item(&p, e.kind, (const uint8_t *)body.p, body.n) < 0)
        producer_lose(&p, LOST_QUEUE, 1);
    buf_fini(&body);
}

static size_t some(size_t n)
{
    return n == 0 ? 0 : (size_t)draw(draw(4) ? n + 1 : (n < 9 ? n + 1 : 9));
}

/* Of as many frames as are given, any part. */
static void send_some(void)
{
    struct str out[8];
    const unsigned pieces = producer_output(&p, out, 1 + (unsigned)draw(8));
    const size_t begin = up.n;
    for (unsigned i = 0; i < pieces; i++)
        buf_add(&up, out[i].p, out[i].n);
    if (pieces == 0)
        return;
    up.n = begin + some(up.n - begin);
    producer_sent(&p, up.n - begin);
}

static void lose_connection(void)
{
    buf_reset(&up);
    buf_reset(&down);
    producer_disconnected(&p);
}

static void daemon_reads(size_t n)
{
    if (n == 0)
        return;
    if (fake_feed(&l, (const uint8_t *)up.p, n) < 0) { /* it died in the middle of a frame */
        lose_connection();
        return;
    }
    buf_drop(&up, n);
    if (draw(3) == 0)
        fake_ack(&l);
    buf_addstr(&down, buf_str(&l.out));
    buf_reset(&l.out);
}

static void producer_reads(size_t n)
{
    if (n == 0)
        return;
    ck_assert_int_eq(producer_feed(&p, (const uint8_t *)down.p, n), 0);
    buf_drop(&down, n);
}

/* Either side died: what is under way may arrive in part, or not at all. */
static void cut(void)
{
    daemon_reads(some(up.n));
    lose_connection();
}

static void step(void)
{
    for (int i = 0; i < 3; i++) {
        send_some();
        daemon_reads(some(up.n));
        producer_reads(some(down.n));
    }
    switch (draw(40)) {
    case 0:
        if (p.state != PRODUCER_OFF)
            cut();
        break;
    case 1:
        d.die_after = draw(500) + 1;
        break;
    default:
        if (draw(3))
            push();
        else
            push_item();
    }
    if (p.state == PRODUCER_OFF && draw(4) == 0)
        connect_both();
}

static void begin_random(unsigned round, bool no_ack)
{
    struct producer_options o = options();
    o.no_ack = no_ack;
    o.queue_bytes = 60000;
    producer_fini(&p);
    producer_init(&p, &o);
    seed = 88172645463325252u + round * UINT64_C(0x9e3779b97f4a7c15);
    buf_init(&up, 1 << 24);
    buf_init(&down, 1 << 24);
    memset(given, 0, sizeof given);
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    for (unsigned i = 0; i < 5; i++)
        ids[i] = counter(names[i]);
}

static void end_random(void)
{
    if (p.state != PRODUCER_OFF)
        cut();
    d.die_after = 0;
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(producer_waiting(&p), 0);
    ck_assert_uint_eq(p.held, 0);
    buf_fini(&up);
    buf_fini(&down);
}

START_TEST(exactly_once_over_any_cuts)
{
    begin_random((unsigned)_i, false);
    for (int i = 0; i < 1500; i++)
        step();
    end_random();
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(sum_of(names[i]), given[i]);
    ck_assert_uint_eq(d.applied, p.taken);
    ck_assert_uint_eq(p.acknowledged, p.taken);
    ck_assert_uint_eq(d.sessions[0].lost.total[LOST_QUEUE], p.lost.total[LOST_QUEUE]);
    ck_assert_uint_eq(d.nsessions, 1);
    /* It was a hard case: items were sent twice, and the queue was full. */
    ck_assert_uint_gt(d.links, 1);
    ck_assert_uint_gt(d.duplicates, 0);
    ck_assert_uint_gt(p.lost.total[LOST_QUEUE], 0);
}
END_TEST

/* The store is lost now and then: a new one gets exactly what was never acknowledged. */
START_TEST(exactly_once_over_new_stores)
{
    begin_random(100 + (unsigned)_i, false);
    uint64_t before = 0; /* items that earlier stores acknowledged */
    for (int i = 0; i < 1500; i++) {
        step();
        if (p.state != PRODUCER_OFF || draw(30))
            continue;
        before = p.acknowledged;
        const uint64_t store = d.store_id, links = d.links;
        memset(&d, 0, sizeof d);
        d.store_id = store + 1;
        d.links = links;
    }
    end_random();
    ck_assert_uint_eq(before + d.applied, p.taken);
    ck_assert_uint_gt(d.store_id, 77);
}
END_TEST

/* The daemon has taken the first of three, of a frame of which the others did not get out. */
START_TEST(at_most_once_what_is_out_of_a_frame_stays_out)
{
    struct producer_options o = options();
    size_t n;
    o.no_ack = true;
    producer_init(&p, &o); /* nothing is held yet by the one before */
    const uint32_t s = counter("c");
    connect_both();
    ck_assert_int_eq(converse(), 0);
    for (uint64_t v = 1; v <= 100; v *= 10)
        ck_assert_int_eq(producer_update(&p, s, v), 0);
    ck_assert(output(&n) != NULL);
    producer_sent(&p, PROTO_HEADER + PROTO_BATCH + PROTO_UPDATE + 5);
    producer_disconnected(&p);
    ck_assert_uint_eq(p.acknowledged, 1);
    d.sessions[0].applied = 1;
    connect_both();
    ck_assert_int_eq(converse(), 0);
    ck_assert_uint_eq(sum_of("c"), 110);
    ck_assert_uint_eq(p.acknowledged, 3);
}
END_TEST

/* Without ACKs nothing is applied twice, and the numbers never have a gap. */
START_TEST(at_most_once_over_any_cuts)
{
    begin_random(200 + (unsigned)_i, true);
    for (int i = 0; i < 1500; i++)
        step();
    end_random();
    ck_assert_uint_le(d.applied, p.taken);
    ck_assert_uint_gt(d.applied, p.taken / 2);
    ck_assert_uint_eq(d.duplicates, 0);
    ck_assert_uint_eq(p.acknowledged, p.taken);
    ck_assert_uint_gt(d.links, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("producer");
    TCase *c = tcase_create("producer");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, says_hello_and_delivers);
    tcase_add_test(c, nothing_but_hello_before_welcome);
    tcase_add_test(c, unacknowledged_frames_are_sent_again_as_they_were);
    tcase_add_test(c, what_the_daemon_has_is_not_sent_again);
    tcase_add_test(c, a_new_store_gets_all_that_was_not_acknowledged);
    tcase_add_test(c, a_forgotten_session_counts_what_was_sent_as_expired);
    tcase_add_test(c, a_forgotten_session_is_not_told_of_losses_again);
    tcase_add_test(c, rejected_items_are_counted_and_used_up);
    tcase_add_test(c, a_rejected_item_is_not_sent_to_a_new_store);
    tcase_add_test(c, totals_of_losses_are_told_and_repeated);
    tcase_add_test(c, frames_of_several_kinds_go_out_together);
    tcase_add_test(c, definitions_and_losses_go_before_items_that_came_later);
    tcase_add_test(c, at_most_once_what_is_out_of_a_frame_stays_out);
    tcase_add_test(c, bye_is_last);
    tcase_add_test(c, the_queue_is_bounded);
    tcase_add_test(c, an_item_as_long_as_can_be);
    tcase_add_test(c, a_renewed_session_keeps_definitions_only);
    tcase_add_test(c, a_refused_domain_is_told_when_to_come_back);
    tcase_add_test(c, a_daemon_that_lies_is_not_believed);
    tcase_add_test(c, a_session_that_went_back_is_damaged);
    suite_add_tcase(s, c);
    c = tcase_create("random");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, exactly_once_over_any_cuts, 0, 5);
    tcase_add_loop_test(c, exactly_once_over_new_stores, 0, 5);
    tcase_add_loop_test(c, at_most_once_over_any_cuts, 0, 5);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
