/* OTLP/JSON: random requests written as JSON come back as protobuf-c has them, and what
 * the specification does not allow is refused with its place. */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>

#include "otlp/grpc.h"
#include "otlp/logs.pb-c.h"
#include "otlp/metrics.pb-c.h"
#include "otlp/trace.pb-c.h"
#include "otlp_json_whole.h"
#include "otlp_whole.h"
#include "otlp_random.h"

static struct buf text, out;
static char why[200];

static void setup(void)
{
    buf_init(&text, 4 << 20);
    buf_init(&out, 4 << 20);
}

static void teardown(void)
{
    buf_fini(&text);
    buf_fini(&out);
}

/* Converts it in steps of many sizes, which all come to the same. */
static int otlp_json(struct buf *to, enum otlp_signal signal, struct str json, char *line,
                     size_t line_size)
{
    static const size_t sizes[] = {1, 2, 7, 40, 300, 4096};
    const int whole = convert_json(to, signal, json, SIZE_MAX, line, line_size);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char other[200];
        struct buf b;
        buf_init(&b, to->max);
        const int e = convert_json(&b, signal, json, sizes[i], other, sizeof other);
        ck_assert_msg(e == whole, "steps of %zu: %d (%s), not %d (%s)", sizes[i], e, other, whole,
                      line);
        ck_assert(e != 0 || str_eq(buf_str(&b), buf_str(to)));
        buf_fini(&b);
    }
    return whole;
}

static void write_message(const ProtobufCMessage *m);

static void write_key(const char *name)
{
    buf_addc(&text, '"');
    for (; *name; name++) {
        if (*name == '_')
            name++, buf_addc(&text, (char)(*name - 'a' + 'A'));
        else
            buf_addc(&text, *name);
    }
    buf_adds(&text, "\":");
}

static void write_text(const char *s)
{
    buf_addc(&text, '"');
    for (; *s; s++) {
        if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\')
            buf_addf(&text, "\\u%04x", (unsigned)*s);
        else
            buf_addc(&text, *s);
    }
    buf_addc(&text, '"');
}

static void write_bytes(const char *name, const ProtobufCBinaryData *b)
{
    buf_addc(&text, '"');
    if (strstr(name, "_id"))
        for (size_t i = 0; i < b->len; i++)
            buf_addf(&text, i % 2 ? "%02x" : "%02X", b->data[i]);
    else
        grpc_base64(&text, (struct str){(const char *)b->data, b->len});
    buf_addc(&text, '"');
}

/* 64 bits as a string or a number, by chance of the value. */
static void write_value(const ProtobufCFieldDescriptor *f, const void *p)
{
    const uint64_t u = random_size(f) == 8 ? *(const uint64_t *)p : 0;
    const char *quote = u % 2 || u > INT64_MAX ? "\"" : "";
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        write_text(*(char *const *)p);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        write_bytes(f->name, p);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        write_message(*(ProtobufCMessage *const *)p);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        buf_addf(&text, "%.17g", *(const double *)p);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        buf_adds(&text, *(const protobuf_c_boolean *)p ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        buf_addf(&text, "%s%" PRId64 "%s", quote, (int64_t)u, quote);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        buf_addf(&text, "%s%" PRIu64 "%s", quote, u, quote);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        buf_addf(&text, "%" PRIu32, *(const uint32_t *)p);
        break;
    default:
        buf_addf(&text, "%" PRId32, *(const int32_t *)p);
    }
}

static void write_repeated(const ProtobufCFieldDescriptor *f, const char *m)
{
    const size_t n = *(const size_t *)(m + f->quantifier_offset);
    const char *array = *(char *const *)(m + f->offset);
    buf_addc(&text, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_addc(&text, ',');
        write_value(f, array + i * random_size(f));
    }
    buf_addc(&text, ']');
}

static void write_message(const ProtobufCMessage *message)
{
    const char *m = (const char *)message;
    buf_adds(&text, "{\"notKnown\": [1, {\"x\": null}]");
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &message->descriptor->fields[i];
        const bool oneof = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
        if ((oneof && *(const uint32_t *)(m + f->quantifier_offset) != f->id) ||
            (f->type == PROTOBUF_C_TYPE_MESSAGE && !*(void *const *)(m + f->offset)))
            continue;
        buf_addc(&text, ',');
        write_key(f->name);
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            write_repeated(f, m);
        else
            write_value(f, m + f->offset);
    }
    buf_addc(&text, '}');
}

static const ProtobufCMessageDescriptor *descriptor(unsigned signal)
{
    return signal == OTLP_TRACES    ? &otlp__export_trace_service_request__descriptor
           : signal == OTLP_METRICS ? &otlp__export_metrics_service_request__descriptor
                                    : &otlp__export_logs_service_request__descriptor;
}

START_TEST(random_requests)
{
    struct rng rng = {(uint64_t)_i};
    const unsigned signal = (unsigned)_i % OTLP_SIGNALS;
    ProtobufCMessage *m = random_message(&rng, descriptor(signal), 1);
    write_message(m);
    ck_assert(!text.failed);
    ck_assert_msg(otlp_json(&out, signal, buf_str(&text), why, sizeof why) == 0, "%s", why);
    ProtobufCMessage *got =
        protobuf_c_message_unpack(descriptor(signal), NULL, out.n, (const uint8_t *)out.p);
    ck_assert_ptr_nonnull(got);
    const size_t n = protobuf_c_message_get_packed_size(m);
    ck_assert_uint_eq(n, protobuf_c_message_get_packed_size(got));
    uint8_t *a = malloc(n + 1), *b = malloc(n + 1);
    protobuf_c_message_pack(m, a);
    protobuf_c_message_pack(got, b);
    ck_assert_mem_eq(a, b, n);
    free(a);
    free(b);
    protobuf_c_message_free_unpacked(m, NULL);
    protobuf_c_message_free_unpacked(got, NULL);
}
END_TEST

/* A request as an exporter writes it. */
START_TEST(an_example)
{
    static const char example[] =
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
        "{\"stringValue\":\"orders\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"orders-client\","
        "\"version\":\"1.0.0\"},\"spans\":[{\"traceId\":\"5B8EFFF798038103D269B633813FC60C\","
        "\"spanId\":\"EEE19B7EC3C1B174\",\"parentSpanId\":\"EEE19B7EC3C1B173\",\"name\":"
        "\"place order\",\"startTimeUnixNano\":\"1544712660000000000\",\"endTimeUnixNano\":"
        "\"1544712661000000000\",\"kind\":2,\"attributes\":[{\"key\":\"order.kind\",\"value\":"
        "{\"stringValue\":\"some value\"}}]}]}]}]}";
    struct otlp_walk w;
    struct otlp_item item;
    static struct event e;
    ck_assert_int_eq(otlp_json(&out, OTLP_TRACES, str_of(example), why, sizeof why), 0);
    otlp_walk_init(&w, OTLP_TRACES, buf_str(&out));
    ck_assert_int_eq(walk_on(&w, &item), 1);
    ck_assert_int_eq(otlp_span(item.bytes, &e), 0);
    ck_assert_uint_eq(e.trace.trace_id[0], 0x5b);
    ck_assert_uint_eq(e.span_kind, SPAN_SERVER);
    ck_assert_uint_eq(e.end - e.time, 1000000000);
    otlp_walk_fini(&w);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *text, *why;
        int error;
    } cases[] = {
        {"", "line 1, column 0: ", -ERR_SYNTAX},
        {"[]", "the request: expected an object", -ERR_SYNTAX},
        {"{\"resourceSpans\": 1}", "resourceSpans: expected an array", -ERR_SYNTAX},
        {"{\"resourceSpans\": [{}, 1]}", "resourceSpans[1]: expected an object", -ERR_SYNTAX},
        {"{\n  \"a\": 1,\n  \"a\": 2}", "line 3, column 5: duplicate object key", -ERR_SYNTAX},
        {"{\"a\": \"\\u0000\"}", "line 1, column ", -ERR_SYNTAX},
        {"{\"a\": \"\xff\"}", "line 1, column ", -ERR_SYNTAX},
        {"{\"a\": 1} x", "line 1, column ", -ERR_SYNTAX},
#define SPAN(field)                                                                                \
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" field "}]}]}]}",                          \
        "resourceSpans[0].scopeSpans[0].spans[0]."
        {SPAN("\"traceId\":\"zz\""), -ERR_SYNTAX},
        {SPAN("\"traceId\":\"abc\""), -ERR_SYNTAX},
        {SPAN("\"kind\":\"SPAN_KIND_SERVER\""), -ERR_SYNTAX},
        {SPAN("\"kind\":-1"), -ERR_RANGE},
        {SPAN("\"name\":5"), -ERR_SYNTAX},
        {SPAN("\"startTimeUnixNano\":\"-1\""), -ERR_RANGE},
        {SPAN("\"startTimeUnixNano\":\"1x\""), -ERR_SYNTAX},
        {SPAN("\"startTimeUnixNano\":1.5"), -ERR_SYNTAX},
        {SPAN("\"startTimeUnixNano\":\"18446744073709551616\""), -ERR_SYNTAX},
        {SPAN("\"flags\":4294967296"), -ERR_RANGE},
        {SPAN("\"attributes\":[{\"value\":{\"bytesValue\":\"!\"}}]"), -ERR_SYNTAX},
        {SPAN("\"attributes\":[{\"value\":{\"boolValue\":1}}]"), -ERR_SYNTAX},
        {SPAN("\"attributes\":[{\"value\":{\"doubleValue\":\"nan\"}}]"), -ERR_SYNTAX},
        {SPAN("\"attributes\":[{\"value\":{\"doubleValue\":\"0x1p3\"}}]"), -ERR_SYNTAX},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_reset(&out);
        const int e = otlp_json(&out, OTLP_TRACES, str_of(cases[i].text), why, sizeof why);
        ck_assert_msg(e == cases[i].error, "%s: %d", cases[i].text, e);
        ck_assert_msg(strncmp(why, cases[i].why, strlen(cases[i].why)) == 0, "%s", why);
    }
}
END_TEST

static int attribute(const char *value)
{
    buf_reset(&out);
    buf_reset(&text);
    buf_addf(&text,
             "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"attributes\":[{\"value\":%s}]}]}"
             "]}]}",
             value);
    return otlp_json(&out, OTLP_TRACES, buf_str(&text), why, sizeof why);
}

START_TEST(numbers)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1", 1}, {"1.5", 1.5}, {"\"2.5\"", 2.5}, {"-1e3", -1000}, {"\"-3\"", -3}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char value[64];
        snprintf(value, sizeof value, "{\"doubleValue\":%s}", cases[i].text);
        ck_assert_int_eq(attribute(value), 0);
        double d;
        memcpy(&d, out.p + out.n - sizeof d, sizeof d);
        ck_assert_double_eq(d, cases[i].value);
    }
    ck_assert_int_eq(attribute("{\"doubleValue\":\"NaN\"}"), 0);
    ck_assert_int_eq(attribute("{\"doubleValue\":\"-Infinity\"}"), 0);
    ck_assert_int_eq(attribute("{\"intValue\":1e3}"), 0);
    ck_assert_int_eq(attribute("{\"intValue\":\"-9223372036854775808\"}"), 0);
    ck_assert_int_eq(attribute("{\"intValue\":\"9223372036854775808\"}"), -ERR_RANGE);
    ck_assert_int_eq(attribute("null"), 0);
}
END_TEST

START_TEST(bounds)
{
    struct buf deep;
    buf_init(&deep, 1 << 20);
    for (unsigned i = 0; i < 500; i++)
        buf_adds(&deep, "{\"arrayValue\":{\"values\":[");
    buf_adds(&deep, "{}");
    for (unsigned i = 0; i < 500; i++)
        buf_adds(&deep, "]}}");
    buf_addc(&deep, 0);
    ck_assert_int_eq(attribute(deep.p), -ERR_RANGE);
    buf_reset(&text);
    buf_adds(&text, "{\"x\":[0");
    for (unsigned i = 0; i < 1 << 17; i++)
        buf_adds(&text, ",0");
    buf_adds(&text, "]}");
    ck_assert_int_eq(otlp_json(&out, OTLP_LOGS, buf_str(&text), why, sizeof why), -ERR_RANGE);
    struct buf small;
    buf_init(&small, 10);
    static const char larger[] = "{\"resourceSpans\":[{\"schemaUrl\":\"0123456789\"}]}";
    ck_assert_int_eq(otlp_json(&small, OTLP_TRACES, str_of(larger), why, sizeof why), -ERR_RANGE);
    buf_fini(&small);
    buf_fini(&deep);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_json");
    TCase *t = tcase_create("json");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, random_requests, 0, 200);
    tcase_add_test(t, an_example);
    tcase_add_test(t, refused);
    tcase_add_test(t, numbers);
    tcase_add_test(t, bounds);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
