/* A lane whose destination is slow: memory is full, then the spool takes over, and the ring
 * loses nothing. One whose spool's keeper dies: what is in the spool comes first all the same. */
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

static struct spool_stats stats_now(void)
{
    return (struct spool_stats){
        .first = 1, .next = kept_records + 1, .records = kept_records, .items = kept_items};
}

static void answer_spool(void)
{
    const struct spool_stats stats = stats_now();
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

/* It takes little, but an end of it there is. */
START_TEST(what_is_done_behind_it_is_bounded)
{
    with.queue_batches = BATCHES;
    lane_configure(&lane, &with);
    willing = 1;
    for (unsigned i = 0; i < RECORDS; i++) {
        append_span();
        (void)lane_turn(&lane, 64, w.now);
        answer_spool();
        ck_assert_uint_le(lane.queue.count, 10 * BATCHES);
    }
    ck_assert_uint_gt(lane.queue.count, 2 * BATCHES);
    (void)ledger();
}
END_TEST

/* Nobody reads what was written past a request under way until that is answered; what came
 * behind it does not go ahead of it either. */
START_TEST(what_was_written_ahead_is_not_passed)
{
    const struct outcome good = {.kind = OUTCOME_OK};
    willing = 1;
    while (kept_records < 3) {
        append_span();
        (void)lane_turn(&lane, 64, w.now);
        answer_spool();
    }
    with.spool = false; /* what comes now stays in memory */
    lane_configure(&lane, &with);
    willing = 2;
    for (unsigned i = 0; i < RECORDS / 8; i++) {
        append_span();
        (void)lane_turn(&lane, 64, w.now);
        answer_spool();
    }
    ck_assert_uint_gt(bundles_count(&lane.queue, BUNDLE_READY), 0);
    ck_assert_uint_eq(ntaken, 1);
    ck_assert(!read_asked);
    lane_answer(&lane, taken[0], &good, w.now);
    (void)lane_turn(&lane, 64, w.now);
    ck_assert(read_asked && ntaken == 1);
}
END_TEST

/* ---- the process that keeps the spool dies ---- */

/* Some are in the spool, one waits in memory behind them, and the destination is there. */
static void keep_some(void)
{
    while (kept_records < 3) {
        append_span();
        lane_flush(&lane);
        (void)lane_turn(&lane, 64, w.now);
        lane.breaker.since = 1; /* it has failed for long */
        answer_spool();
    }
    lane.breaker.since = 0;
    with.spool = false; /* nothing more goes there */
    lane_configure(&lane, &with);
    append_span();
    willing = 1;
    (void)lane_turn(&lane, 64, w.now);
    ck_assert(read_asked && !append_asked && ntaken == 0);
    read_asked = false;
}

/* The next that it asks of the spool in ten seconds, or nothing. */
static void wait_for_question(void)
{
    for (unsigned i = 0; i < 1000 && !open_asked && !read_asked && ntaken == 0; i++) {
        w.now.mono += 10 * NS_PER_MS;
        (void)lane_turn(&lane, 64, w.now);
    }
}

static uint64_t spool_failures(void)
{
    return own_get(&pl.own, OWN_EXPORT_SPOOL_FAILURES, own_lane_index(0, OTLP_TRACES));
}

static void is_opened(int error)
{
    const struct spool_stats stats = stats_now();
    ck_assert(open_asked);
    open_asked = false;
    lane_spool_opened(&lane, error, error ? NULL : &stats, w.now);
}

START_TEST(what_is_in_the_spool_waits_for_its_keeper)
{
    const int there[] = {-ERR_CLOSED, -ERR_CLOSED, -ERR_BUSY, 0};
    const struct spool_stats stats = stats_now();
    static const char bytes[ITEM];
    const struct spool_record first = {.seq = 1, .items = 1, .payload = {bytes, sizeof bytes}};
    keep_some();
    lane_spool_was_read(&lane, -ERR_CLOSED, NULL, NULL, w.now);
    for (unsigned i = 0; i < sizeof there / sizeof *there; i++) {
        wait_for_question();
        ck_assert_uint_eq(ntaken, 0);
        ck_assert_ptr_null(lane_trouble(&lane));
        is_opened(there[i]);
    }
    ck_assert_uint_eq(spool_failures(), 1); /* the reading, which was under way */
    wait_for_question();
    ck_assert(read_asked && ntaken == 0);
    lane_spool_was_read(&lane, 0, &first, &stats, w.now);
    (void)lane_turn(&lane, 64, w.now);
    ck_assert_uint_eq(ntaken, 1);
    ck_assert_uint_eq(taken[0], lane.spool.replay.head->id);
    ck_assert_uint_eq(lane.spool.breakers[LANE_SPOOL_KEEPER].since, 0);
}
END_TEST

/* Some time everything that can be sent is. */
START_TEST(a_keeper_that_never_comes_is_not_waited_for)
{
    const uint64_t began = w.now.mono;
    keep_some();
    lane_spool_was_read(&lane, -ERR_CLOSED, NULL, NULL, w.now);
    while (ntaken == 0) {
        wait_for_question();
        if (ntaken == 0)
            is_opened(-ERR_CLOSED);
        ck_assert_uint_lt(w.now.mono - began, 2 * 60 * NS_PER_S);
    }
    ck_assert_uint_gt(w.now.mono - began, 26 * NS_PER_S); /* eight deaths in a row take so long */
    ck_assert_str_eq(lane_trouble(&lane), "the spool cannot be reached");
}
END_TEST

/* It is there again each time, and nothing is ever read. */
START_TEST(nor_is_one_that_dies_of_what_it_reads)
{
    keep_some();
    for (unsigned deaths = 0; ntaken == 0; deaths++) {
        ck_assert_uint_lt(deaths, 100);
        read_asked = false;
        lane_spool_was_read(&lane, -ERR_CLOSED, NULL, NULL, w.now);
        wait_for_question();
        if (ntaken == 0)
            is_opened(0);
        wait_for_question();
    }
    ck_assert_str_eq(lane_trouble(&lane), "the spool cannot be reached");
}
END_TEST

START_TEST(nor_is_any_when_memory_and_ring_are_full)
{
    keep_some();
    lane_spool_was_read(&lane, -ERR_CLOSED, NULL, NULL, w.now);
    while (!lane.pressed || lane_has_room(&lane)) {
        ck_assert_uint_eq(ntaken, 0);
        append_span();
        (void)lane_turn(&lane, 64, w.now);
    }
    (void)lane_turn(&lane, 64, w.now);
    ck_assert_uint_eq(ntaken, 1);
    ck_assert_uint_eq(ledger().overrun, 0);
}
END_TEST

START_TEST(a_disk_that_cannot_be_read_is_not_waited_for)
{
    keep_some();
    lane_spool_was_read(&lane, -ERR_IO, NULL, NULL, w.now);
    (void)lane_turn(&lane, 64, w.now);
    ck_assert_uint_eq(ntaken, 1);
    ck_assert_str_eq(lane_trouble(&lane), "the spool cannot be read");
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
    tcase_add_test(t, what_is_done_behind_it_is_bounded);
    tcase_add_test(t, what_was_written_ahead_is_not_passed);
    tcase_add_test(t, what_is_in_the_spool_waits_for_its_keeper);
    tcase_add_test(t, a_keeper_that_never_comes_is_not_waited_for);
    tcase_add_test(t, nor_is_one_that_dies_of_what_it_reads);
    tcase_add_test(t, nor_is_any_when_memory_and_ring_are_full);
    tcase_add_test(t, a_disk_that_cannot_be_read_is_not_waited_for);
    tcase_add_test(t, without_a_spool_memory_is_bounded);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
