/* The line of OTLP messages and the gRPC session, without sockets: fairness, the budget, windows
 * that are held back, senders that leave. */
#include "intake/otlp_intake.h"

#include <check.h>
#include <stdlib.h>

#include "intake/otlp_grpc.h"
#include "memory_store.h"
#include "otlp/put.h"

enum { MIB = 1 << 20, ANSWERS = 16 };

static struct memory_store ms;
static struct pipeline pl;
static struct otlp_intake in;
static struct otlp_lane lanes[3];
static struct {
    int who;
    enum rpc_code code;
} answers[ANSWERS];
static unsigned nanswers;

static void setup(void)
{
    struct pipeline_options o;
    const struct otlp_intake_options limits = {
        .buffer = 2 * MIB,
        .message = 2 * MIB,
        .json = MIB,
        .receive_timeout = 10 * NS_PER_S,
        .idle_timeout = 60 * NS_PER_S,
        .streams = 4,
    };
    memory_store_init(&ms);
    pipeline_defaults(&o);
    ck_assert_int_eq(pipeline_init(&pl, &ms.st, &o, memory_store_now), 0);
    ck_assert_int_eq(otlp_intake_init(&in, event_base_new(), &pl, &limits), 0);
    for (int i = 0; i < 3; i++)
        otlp_lane_init(&lanes[i]);
    nanswers = 0;
}

static void teardown(void)
{
    ck_assert_uint_eq(in.budget.used, 0);
    ck_assert_uint_eq(in.njobs, 0);
    otlp_intake_fini(&in);
    event_base_free(in.base);
    pipeline_fini(&pl);
    memory_store_fini(&ms);
}

/* A request of n log records of about a hundred bytes each. */
static struct buf records(unsigned n)
{
    static const char record[] = "\x2a\x60\x0a\x5exxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    struct buf b;
    buf_init(&b, 16 * MIB);
    const size_t resource = put_open(&b, 1), scope = put_open(&b, 2);
    for (unsigned i = 0; i < n; i++)
        put_bytes(&b, 2, (struct str){record, sizeof record - 1});
    put_close_tight(&b, scope);
    put_close_tight(&b, resource);
    ck_assert(!b.failed);
    return b;
}

static void on_answered(void *arg, const struct otlp_answer *a)
{
    ck_assert_uint_lt(nanswers, ANSWERS);
    answers[nanswers].who = (int)(intptr_t)arg;
    answers[nanswers++].code = a->code;
}

static struct otlp_job *put(int who, unsigned n)
{
    struct otlp_message m = {.signal = OTLP_LOGS, .bytes = records(n)};
    ck_assert(otlp_hold(&in, &m.hold, m.bytes.cap));
    struct otlp_job *job = otlp_job_new(&in, &lanes[who], &m, on_answered, (void *)(intptr_t)who);
    ck_assert_ptr_nonnull(job);
    return job;
}

static void turn(void)
{
    event_base_loop(in.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void finish(void)
{
    for (int i = 0; in.njobs && i < 10000; i++)
        turn();
    ck_assert_uint_eq(in.njobs, 0);
}

static uint64_t applied(void)
{
    uint64_t n = 0;
    for (unsigned d = 0; d < pl.options.domains; d++)
        n += own_get(&pl.own, OWN_APPLIED, d);
    return n;
}

START_TEST(a_large_message_does_not_hold_up_a_small_one)
{
    put(0, 6000);
    put(0, 10);
    put(1, 10);
    finish();
    ck_assert_uint_eq(nanswers, 3);
    ck_assert_int_eq(answers[0].who, 1);
    ck_assert_int_eq(answers[1].who, 0);
    ck_assert_uint_eq(applied(), 6020);
}
END_TEST

START_TEST(a_message_takes_several_turns)
{
    unsigned turns = 0;
    put(0, 6000);
    for (; in.njobs; turns++)
        turn();
    ck_assert_uint_ge(turns, 6000 * 90 / OTLP_TURN_MOST);
    ck_assert_int_eq(answers[0].code, RPC_OK);
}
END_TEST

START_TEST(what_has_begun_is_ended_without_its_sender)
{
    struct otlp_job *job = put(0, 6000);
    while (!otlp_job_begun(job))
        turn();
    otlp_job_abandon(job);
    otlp_job_abandon(put(1, 100));
    finish();
    ck_assert_uint_eq(nanswers, 0);
    ck_assert_uint_eq(applied(), 6000);
}
END_TEST

START_TEST(the_budget_is_one_for_all)
{
    struct otlp_hold a = {0}, b = {0};
    ck_assert(otlp_hold(&in, &a, MIB));
    ck_assert(otlp_hold(&in, &b, MIB));
    ck_assert(!otlp_hold(&in, &b, MIB + 1));
    ck_assert_uint_eq(b.bytes, MIB);
    struct otlp_intake_options less = in.options;
    less.buffer = MIB;
    otlp_intake_configure(&in, &less);
    ck_assert(!otlp_hold(&in, &b, MIB + 1));
    ck_assert(otlp_hold(&in, &b, MIB - 1));
    ck_assert(otlp_hold(&in, &a, 0));
    ck_assert(otlp_hold(&in, &b, 0));
    ck_assert_uint_eq(in.budget.used, 0);
}
END_TEST

/* ---- a session, and a client without flow control of its own ---- */

static struct grpc_session *session;
static nghttp2_session *client;
static struct buf body;
static unsigned wakes;
static char grpc_status[8];

static void on_wake(void *arg)
{
    (void)arg;
    wakes++;
}

static int on_client_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                            size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
                            void *arg)
{
    (void)h2;
    (void)frame;
    (void)flags;
    (void)arg;
    if (name_n == 11 && memcmp(name, "grpc-status", 11) == 0 && value_n < sizeof grpc_status)
        memcpy(grpc_status, value, value_n + 1);
    return 0;
}

static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *to, size_t size, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    const size_t n = body.n < size ? body.n : size;
    (void)h2;
    (void)id;
    (void)source;
    (void)arg;
    memcpy(to, body.p, n);
    buf_drop(&body, n);
    if (body.n == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* Lets both sides talk until neither has anything to say; `piece` bytes at a time. */
static void talk(size_t piece)
{
    struct buf back;
    const uint8_t *p;
    ssize_t n;
    buf_init(&back, 4 * MIB);
    do {
        while ((n = nghttp2_session_mem_send(client, &p)) > 0)
            for (size_t at = 0; at < (size_t)n; at += piece)
                ck_assert(grpc_session_feed(
                    session, p + at, (size_t)n - at < piece ? (size_t)n - at : piece, NS_PER_S));
        buf_reset(&back);
        ck_assert(grpc_session_output(session, &back, MIB));
        ck_assert_int_ge(nghttp2_session_mem_recv(client, (const uint8_t *)back.p, back.n), 0);
    } while (back.n || nghttp2_session_want_write(client));
    buf_fini(&back);
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* Connects and begins an Export of n records. */
static void begin_export(unsigned n)
{
    const struct grpc_session_hooks hooks = {.wake = on_wake};
    nghttp2_session_callbacks *callbacks;
    const nghttp2_nv nv[] = {
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
        header(":authority", "x"),
        header("content-type", "application/grpc"),
    };
    const nghttp2_data_provider source = {.read_callback = read_body};
    struct buf message = records(n);
    const uint8_t prefix[] = {0, 0, (uint8_t)(message.n >> 16), (uint8_t)(message.n >> 8),
                              (uint8_t)message.n};
    buf_init(&body, 4 * MIB);
    buf_add(&body, prefix, sizeof prefix);
    buf_addstr(&body, buf_str(&message));
    buf_fini(&message);
    wakes = 0;
    grpc_status[0] = '\0';
    session = grpc_session_new(&in, &hooks, NS_PER_S);
    ck_assert_ptr_nonnull(session);
    ck_assert_int_eq(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_client_header);
    ck_assert_int_eq(nghttp2_session_client_new(&client, callbacks, NULL), 0);
    nghttp2_session_callbacks_del(callbacks);
    ck_assert_int_eq(nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0), 0);
    ck_assert_int_gt(nghttp2_submit_request(client, NULL, nv, 5, &source, NULL), 0);
}

static void end_export(void)
{
    nghttp2_session_del(client);
    grpc_session_free(session);
    buf_fini(&body);
}

START_TEST(one_byte_at_a_time)
{
    begin_export(20);
    talk(1);
    finish();
    ck_assert_uint_eq(wakes, 1);
    talk(1);
    ck_assert_str_eq(grpc_status, "0");
    ck_assert_uint_eq(applied(), 20);
    end_export();
}
END_TEST

START_TEST(a_window_is_held_back_while_there_is_no_room)
{
    struct otlp_hold other = {0};
    begin_export(5000);
    ck_assert(otlp_hold(&in, &other, in.options.buffer / 4 * 3));
    struct otlp_job *job = put(0, 10); /* somebody who will make room */
    const size_t whole = body.n;
    talk(16384);
    ck_assert_uint_ge(body.n, whole - GRPC_STREAM_WINDOW - 16384);
    ck_assert(grpc_session_release(session));
    talk(16384);
    ck_assert_uint_ge(body.n, whole - GRPC_STREAM_WINDOW - 16384);
    ck_assert(otlp_hold(&in, &other, 0));
    ck_assert(!grpc_session_release(session));
    talk(16384);
    ck_assert_uint_eq(body.n, 0);
    (void)job;
    finish();
    talk(16384);
    ck_assert_str_eq(grpc_status, "0");
    ck_assert_uint_eq(applied(), 5010);
    end_export();
}
END_TEST

START_TEST(a_session_that_ends_holds_nothing)
{
    begin_export(5000);
    const size_t whole = body.n;
    while (body.n > whole / 2) {
        const uint8_t *p;
        const ssize_t n = nghttp2_session_mem_send(client, &p);
        if (n == 0)
            break;
        ck_assert(grpc_session_feed(session, p, (size_t)n, NS_PER_S));
    }
    ck_assert_uint_gt(in.budget.used, 0);
    end_export();
    ck_assert_uint_eq(in.budget.used, 0);
}
END_TEST

START_TEST(time_ends_what_is_slow)
{
    begin_export(10);
    buf_reset(&body);
    buf_add(&body, "\0\0\0\1\0x", 6);
    const uint64_t began = NS_PER_S;
    const uint8_t *p;
    ck_assert_uint_eq(grpc_session_deadline(session), began + GRPC_GREETING_NS);
    for (ssize_t n; (n = nghttp2_session_mem_send(client, &p)) > 0;)
        if (!(p[3] == 0 && p[4] & 1)) /* all but the frame that ends the stream */
            ck_assert(grpc_session_feed(session, p, (size_t)n, began));
    ck_assert_uint_eq(grpc_session_waits(session), NS_PER_S);
    ck_assert_uint_eq(grpc_session_deadline(session), began + 10 * NS_PER_S);
    grpc_session_expire(session, began + 10 * NS_PER_S);
    talk(16384);
    ck_assert_str_eq(grpc_status, "4");
    ck_assert_uint_lt(grpc_session_waits(session), UINT64_MAX);
    grpc_session_expire(session, began + 71 * NS_PER_S);
    talk(16384);
    ck_assert(grpc_session_over(session));
    end_export();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_intake");
    TCase *t = tcase_create("otlp_intake");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_large_message_does_not_hold_up_a_small_one);
    tcase_add_test(t, a_message_takes_several_turns);
    tcase_add_test(t, what_has_begun_is_ended_without_its_sender);
    tcase_add_test(t, the_budget_is_one_for_all);
    tcase_add_test(t, one_byte_at_a_time);
    tcase_add_test(t, a_window_is_held_back_while_there_is_no_room);
    tcase_add_test(t, a_session_that_ends_holds_nothing);
    tcase_add_test(t, time_ends_what_is_slow);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
