/* Replies and statuses against protobuf-c, and the byte forms of gRPC. */
#include <check.h>
#include <stdlib.h>

#include "otlp/grpc.h"
#include "otlp/rpc.pb-c.h"
#include "otlp/trace.pb-c.h"

static struct buf b, c;

static void setup(void)
{
    buf_init(&b, 1 << 16);
    buf_init(&c, 1 << 16);
}

static void teardown(void)
{
    buf_fini(&b);
    buf_fini(&c);
}

static bool is(const struct buf *of, const char *text)
{
    return str_eq(buf_str(of), str_of(text));
}

START_TEST(replies)
{
    uint64_t rejected;
    struct str message;
    otlp_reply(&b, OTLP_TRACES, false, 0, (struct str){NULL, 0});
    ck_assert_uint_eq(b.n, 0);
    ck_assert_int_eq(otlp_reply_read(buf_str(&b), &rejected, &message), 0);
    ck_assert(rejected == 0 && message.n == 0);
    otlp_reply(&b, OTLP_TRACES, false, 300, STR("because"));
    ck_assert_int_eq(otlp_reply_read(buf_str(&b), &rejected, &message), 0);
    ck_assert(rejected == 300 && str_eq(message, STR("because")));
    Otlp__ExportTraceServiceResponse *m =
        otlp__export_trace_service_response__unpack(NULL, b.n, (const uint8_t *)b.p);
    ck_assert_int_eq(m->partial_success->rejected_spans, 300);
    ck_assert_str_eq(m->partial_success->error_message, "because");
    ck_assert_uint_eq(protobuf_c_message_get_packed_size(&m->base), b.n);
    otlp__export_trace_service_response__free_unpacked(m, NULL);
    for (size_t n = 1; n < b.n; n++)
        ck_assert_int_eq(otlp_reply_read((struct str){b.p, n}, &rejected, &message), -ERR_SYNTAX);
}
END_TEST

START_TEST(replies_in_json)
{
    otlp_reply(&b, OTLP_METRICS, true, 0, (struct str){NULL, 0});
    ck_assert(is(&b, "{}"));
    buf_reset(&b);
    otlp_reply(&b, OTLP_METRICS, true, 3, STR("a \"b\""));
    ck_assert(is(&b, "{\"partialSuccess\":{\"rejectedDataPoints\":\"3\",\"errorMessage\":"
                     "\"a \\\"b\\\"\"}}"));
    buf_reset(&b);
    otlp_status(&b, true, RPC_UNAVAILABLE, STR("full"), UINT64_C(1500000000));
    ck_assert(is(&b, "{\"code\":14,\"message\":\"full\",\"details\":[{\"@type\":"
                     "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":"
                     "\"1.500000000s\"}]}"));
}
END_TEST

START_TEST(statuses)
{
    struct otlp_status s;
    otlp_status(&b, false, RPC_RESOURCE_EXHAUSTED, STR("slow down"), UINT64_C(2000000300));
    ck_assert_int_eq(otlp_status_read(buf_str(&b), &s), 0);
    ck_assert(s.code == RPC_RESOURCE_EXHAUSTED && str_eq(s.message, STR("slow down")));
    ck_assert(s.has_retry && s.retry == UINT64_C(2000000300));
    Rpc__Status *m = rpc__status__unpack(NULL, b.n, (const uint8_t *)b.p);
    ck_assert_uint_eq(m->n_details, 1);
    ck_assert_str_eq(m->details[0]->type_url, "type.googleapis.com/google.rpc.RetryInfo");
    Rpc__RetryInfo *r =
        rpc__retry_info__unpack(NULL, m->details[0]->value.len, m->details[0]->value.data);
    ck_assert(r->retry_delay->seconds == 2 && r->retry_delay->nanos == 300);
    ck_assert_uint_eq(protobuf_c_message_get_packed_size(&m->base), b.n);
    rpc__retry_info__free_unpacked(r, NULL);
    rpc__status__free_unpacked(m, NULL);
    for (size_t n = 1; n < b.n; n++) /* no memory behind it is read */
        (void)otlp_status_read((struct str){b.p, n}, &s);
}
END_TEST

/* Delays that nobody means. */
START_TEST(delays)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        uint64_t ns;
    } cases[] = {{0, 0, 0}, {-1, 0, 0}, {0, -1, 0}, {0, 5, 5}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        Rpc__Duration d = RPC__DURATION__INIT;
        Rpc__RetryInfo info = RPC__RETRY_INFO__INIT;
        Rpc__Any any = RPC__ANY__INIT, *details[] = {&any};
        Rpc__Status status = RPC__STATUS__INIT;
        uint8_t bytes[64], whole[256];
        d.seconds = cases[i].seconds;
        d.nanos = cases[i].nanos;
        info.retry_delay = &d;
        any.type_url = (char *)(uintptr_t) "type.googleapis.com/google.rpc.RetryInfo";
        any.value = (ProtobufCBinaryData){rpc__retry_info__pack(&info, bytes), bytes};
        status.n_details = 1;
        status.details = details;
        status.code = 99;
        struct otlp_status s;
        const size_t n = rpc__status__pack(&status, whole);
        ck_assert_int_eq(otlp_status_read((struct str){(char *)whole, n}, &s), 0);
        ck_assert(s.code == RPC_UNKNOWN && s.has_retry && s.retry == cases[i].ns);
        d.seconds = INT64_MAX;
        any.value.len = rpc__retry_info__pack(&info, bytes);
        const size_t most = rpc__status__pack(&status, whole);
        ck_assert_int_eq(otlp_status_read((struct str){(char *)whole, most}, &s), 0);
        ck_assert(d.nanos < 0 ? s.retry == 0 : s.retry > UINT64_C(1) << 63);
    }
}
END_TEST

START_TEST(codes)
{
    ck_assert_str_eq(rpc_code_name(RPC_OK), "OK");
    ck_assert_str_eq(rpc_code_name(RPC_INVALID_ARGUMENT), "INVALID_ARGUMENT");
    ck_assert_str_eq(rpc_code_name(RPC_PERMISSION_DENIED), "PERMISSION_DENIED");
    ck_assert_str_eq(rpc_code_name(RPC_ABORTED), "ABORTED");
    ck_assert_str_eq(rpc_code_name(RPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    ck_assert_str_eq(rpc_code_name(17), "UNKNOWN");
}
END_TEST

/* ---- gRPC ---- */

START_TEST(messages)
{
    static const uint8_t wire[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    for (size_t cut = 0; cut <= sizeof wire; cut++) {
        struct grpc_message m;
        grpc_message_init(&m, 3);
        int e = grpc_message_feed(&m, wire, cut);
        ck_assert_int_eq(e, cut == sizeof wire);
        if (e == 0)
            ck_assert_int_eq(grpc_message_feed(&m, wire + cut, sizeof wire - cut), 1);
        ck_assert(!m.compressed && is(&m.bytes, "abc"));
        ck_assert_int_eq(grpc_message_feed(&m, wire, 1), -ERR_SYNTAX);
        grpc_message_fini(&m);
    }
}
END_TEST

START_TEST(messages_that_are_none)
{
    static const uint8_t large[] = {0, 0, 0, 0, 4}, flag[] = {2, 0, 0, 0, 1, 'a'},
                         empty[] = {1, 0, 0, 0, 0}, more[] = {0, 0, 0, 0, 1, 'a', 'b'};
    struct grpc_message m;
    grpc_message_init(&m, 3);
    ck_assert_int_eq(grpc_message_feed(&m, large, sizeof large), -ERR_RANGE);
    ck_assert_uint_eq(m.bytes.cap, 0);
    ck_assert_int_lt(grpc_message_feed(&m, large, sizeof large), 0);
    grpc_message_init(&m, 3);
    ck_assert_int_eq(grpc_message_feed(&m, flag, sizeof flag), -ERR_SYNTAX);
    grpc_message_init(&m, 3);
    ck_assert_int_eq(grpc_message_feed(&m, empty, sizeof empty), 1);
    ck_assert(m.compressed && m.size == 0);
    grpc_message_init(&m, 3);
    ck_assert_int_eq(grpc_message_feed(&m, more, sizeof more), -ERR_SYNTAX);
    grpc_message_fini(&m);
    uint8_t prefix[GRPC_PREFIX];
    grpc_prefix(prefix, true, 0x01020304);
    ck_assert_mem_eq(prefix, "\1\1\2\3\4", 5);
}
END_TEST

START_TEST(timeouts)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"10S", UINT64_C(10000000000)},
                {"250m", 250000000},
                {"1n", 1},
                {"2u", 2000},
                {"3M", UINT64_C(180000000000)},
                {"1H", UINT64_C(3600000000000)},
                {"99999999H", UINT64_MAX},
                {"0S", 0}};
    static const char *const bad[] = {"", "S", "10", "10s", "-1S", "1.5S", "123456789S", " 1S"};
    uint64_t ns;
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert(grpc_timeout_read(str_of(good[i].text), &ns));
        ck_assert_uint_eq(ns, good[i].ns);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!grpc_timeout_read(str_of(bad[i]), &ns), "%s", bad[i]);
    static const uint64_t written[] = {0,         1,         1500,       10000000000,  99999999,
                                       100000000, 123456789, UINT64_MAX, 5400000000000};
    for (unsigned i = 0; i < sizeof written / sizeof *written; i++) {
        buf_reset(&b);
        grpc_timeout(&b, written[i]);
        ck_assert(grpc_timeout_read(buf_str(&b), &ns));
        ck_assert(ns <= written[i] && ns >= written[i] - written[i] / 10000);
    }
}
END_TEST

START_TEST(percent)
{
    grpc_percent(&b, STR("100% \xc3\xa4\n~"));
    ck_assert(is(&b, "100%25 %C3%A4%0A~"));
    grpc_unpercent(&c, buf_str(&b));
    ck_assert(is(&c, "100% \xc3\xa4\n~"));
    buf_reset(&c);
    grpc_unpercent(&c, STR("%zz %4 %"));
    ck_assert(is(&c, "%zz %4 %"));
}
END_TEST

START_TEST(base64)
{
    static const char *const pairs[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xef", "/+8="}};
    static const char *const bad[] = {"Z", "Zg=", "Zg===", "Zm8==", "Z!==", "=", "Zm9v=", "Z g="};
    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        buf_reset(&b);
        buf_reset(&c);
        grpc_base64(&b, str_of(pairs[i][0]));
        ck_assert(is(&b, pairs[i][1]));
        ck_assert_int_eq(grpc_base64_read(&c, buf_str(&b)), 0);
        ck_assert(is(&c, pairs[i][0]));
        while (b.n > 0 && b.p[b.n - 1] == '=')
            b.n--;
        buf_reset(&c);
        ck_assert_int_eq(grpc_base64_read(&c, buf_str(&b)), 0);
        ck_assert(is(&c, pairs[i][0]));
    }
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(grpc_base64_read(&c, str_of(bad[i])) == -ERR_SYNTAX, "%s", bad[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_reply");
    TCase *t = tcase_create("replies");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, replies);
    tcase_add_test(t, replies_in_json);
    tcase_add_test(t, statuses);
    tcase_add_test(t, delays);
    tcase_add_test(t, codes);
    tcase_add_test(t, messages);
    tcase_add_test(t, messages_that_are_none);
    tcase_add_test(t, timeouts);
    tcase_add_test(t, percent);
    tcase_add_test(t, base64);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
