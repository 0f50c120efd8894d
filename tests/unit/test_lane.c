/* A lane whose destination is slow: memory is full, then the spool takes over, and the ring
 * loses nothing. */
#include "otlp_fixture.h"

#include "base/log.h"
#include "forward/lane.h"

enum { BATCHES = 4, ITEM = 1000, BATCH = 20 * ITEM, RECORDS = 8192 };

static struct lane lane;
static struct lane_options with;
static int row;
static bool open_asked, append_asked, read_asked;
static uint64_t kept_items, kept_records;

static unsigned willing; /* requests that the destination takes and does not answer */
static uint64_t taken[8];
static unsigned ntaken;

static bool is_ready(void *arg)
{
    (void)arg;
    return ntaken < willing;
}

static void on_send(void *arg, enum otlp_signal signal, uint64_t id, struct str request)
{
    (void)arg;
    (void)signal;
    (void)request;
    ck_assert_uint_lt(ntaken, willing);
    taken[ntaken++] = id;
}

static void on_open(void *arg, enum otlp_signal signal)
{
    (void)arg;
    (void)signal;
    open_asked = true;
}

static void on_append(void *arg, enum otlp_signal signal, uint32_t items, struct str payload)
{
    (void)arg;
    (void)signal;
    ck_assert_uint_gt(payload.n, 0);
    append_asked = true;
    kept_items += items;
    kept_records++;
}

static void on_read(void *arg, enum otlp_signal signal, uint64_t seq)
{
    (void)arg;
    (void)signal;
    (void)seq;
    read_asked = true; /* and is not answered */
}

static void on_finish(void *arg, enum otlp_signal signal, uint64_t seq)
{
    (void)arg;
    (void)signal;
    (void)seq; /* which is not answered */
}

static uint64_t no_chance(void *arg)
{
    (void)arg;
    return 0;
}

static void answer_spool(void)
{
    const struct spool_stats stats = {
        .first = 1, .next = kept_records + 1, .records = kept_records, .items = kept_items};
    static const struct spool_stats none = {.first = 1, .next = 1};
    if (open_asked)
        lane_spool_opened(&lane, 0, &none, w.now);
    if (append_asked) {
        append_asked = false;
        lane_spool_kept(&lane, 0, &stats, w.now);
    }
    open_asked = false;
}

static void quiet(void *arg, const struct log_line *line)
{
    (void)arg;
    (void)line;
}

static void begin(void)
{
    const struct lane_io io = {
        .ready = is_ready,
        .send = on_send,
        .spool_open = on_open,
        .spool_append = on_append,
        .spool_read = on_read,
        .spool_finish = on_finish,
        .random = no_chance,
    };
    setup();
    log_set_sink(quiet, NULL);
    lane_defaults(&with);
    with.batch_bytes = BATCH;
    with.queue_bytes = BATCHES * BATCH + BATCH / 2; /* no whole number of batches */
    row = consumer_claim(&w.st, STR("export/up"), NULL, 0);
    ck_assert_int_ge(row, 0);
    ck_assert_int_eq(own_destination(&pl.own, 0, STR("up"), 7, w.now), 0);
    ck_assert(lane_init(&lane, &w.st, &pl.own, 0, OTLP_TRACES, RING_SPANS, (enum store_consumer)row,
                        &with, &io, "up"));
    open_asked = append_asked = read_asked = false;
    kept_items = kept_records = 0;
    willing = ntaken = 0;
}

static void end(void)
{
    lane_fini(&lane);
    log_set_sink(NULL, NULL);
    teardown();
}

static void append_span(void)
{
    static uint8_t span[ITEM];
    struct buf body;
    buf_init(&body, 2 * ITEM);
    struct buf inner;
    buf_init(&inner, 2 * ITEM);
    memset(span, 7, sizeof span);
    put_bytes(&inner, 1, (struct str){(const char *)span, 16});
    put_bytes(&inner, 2, (struct str){(const char *)span, 8});
    put_bytes(&inner, 100, (struct str){(const char *)span, ITEM - 40}); /* of a later version */
    otlp_join(&body, STR(""), STR(""), buf_str(&inner));
    const struct ring_item item = {
        .kind = RECORD_OTLP_SPAN, .service = STR("s"), .body = buf_str(&body)};
    ring_make_room(&w.st, RING_SPANS);
    ck_assert_int_eq(ring_append(&w.st, RING_SPANS, &item), 0);
    store_commit(&w.st);
    buf_fini(&inner);
    buf_fini(&body);
}

static struct consumer_view ledger(void)
{
    struct consumer_view c;
    consumer_read(&w.st, RING_SPANS, (enum store_consumer)row, &c);
    ck_assert_uint_eq(c.appended, c.read + c.overrun + c.waiting);
    return c;
}

START_TEST(a_full_queue_goes_to_the_spool)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        append_span();
        if (i % 8 == 0)
            (void)lane_turn(&lane, 64, w.now);
        answer_spool();
    }
    const struct consumer_view c = ledger();
    ck_assert_uint_eq(c.overrun, 0);
    ck_assert_uint_eq(c.delivered, kept_items);
    ck_assert_uint_gt(kept_items, RECORDS / 2); /* many times what the ring has room for */
}
END_TEST

/* What is under way is neither delivered nor in the spool: what came behind it waits for it in
 * the ledger alone. */
START_TEST(what_is_under_way_holds_up_nothing)
{
    const unsigned index = own_lane_index(0, OTLP_TRACES);
    const struct outcome good = {.kind = OUTCOME_OK};
    willing = 2;
    for (unsigned i = 0; i < RECORDS; i++) {
        append_span();
        if (i % 8 == 0)
            (void)lane_turn(&lane, 64, w.now);
        answer_spool();
        ck_assert_uint_eq(own_get(&pl.own, OWN_EXPORT_SPOOL_ITEMS, index), 0);
        ck_assert_uint_le(lane.queue.bytes + lane.request.bytes, with.queue_bytes + BATCH);
    }
    ck_assert_uint_eq(ntaken, 2);
    struct consumer_view c = ledger();
    ck_assert_uint_eq(c.overrun, 0);
    ck_assert_uint_eq(c.read, 0);
    ck_assert_uint_gt(kept_items, RECORDS / 2);
    lane_answer(&lane, taken[1], &good, w.now);
    ck_assert_uint_eq(ledger().read, 0);
    ck_assert(!read_asked);
    lane_answer(&lane, taken[0], &good, w.now);
    c = ledger();
    ck_assert_uint_eq(c.failed, 0);
    ck_assert_uint_eq(own_get(&pl.own, OWN_EXPORT_SPOOL_ITEMS, index), kept_items);
    ck_assert_uint_eq(own_get(&pl.own, OWN_EXPORT_FOUND, index), 0);
    ck_assert_uint_eq(c.delivered, kept_items + own_get(&pl.own, OWN_EXPORT_ITEMS,
                                                        index * OWN_OUTCOMES + OWN_OUT_DELIVERED));
    (void)lane_turn(&lane, 64, w.now);
    ck_assert(read_asked);
}
END_TEST

START_TEST(without_a_spool_memory_is_bounded)
{
    with.spool = false;
    lane_configure(&lane, &with);
    for (unsigned i = 0; i < RECORDS; i++) {
        append_span();
        (void)lane_turn(&lane, 64, w.now);
        answer_spool();
    }
    ck_assert_uint_eq(kept_items, 0);
    ck_assert_uint_le(lane.queue.bytes + lane.request.bytes, with.queue_bytes + BATCH);
    ck_assert_uint_gt(lane.queue.count, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lane");
    TCase *t = tcase_create("lane");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, begin, end);
    tcase_add_test(t, a_full_queue_goes_to_the_spool);
    tcase_add_test(t, what_is_under_way_holds_up_nothing);
    tcase_add_test(t, without_a_spool_memory_is_bounded);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
