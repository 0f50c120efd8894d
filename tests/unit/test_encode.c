/* What is encoded decodes to the same values. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "wire/encode.h"
#include "wire/frame.h"

static struct buf out;

static void setup(void)
{
    buf_init(&out, 1 << 20);
}

static void teardown(void)
{
    buf_fini(&out);
}

#define ck_assert_text_eq(s, literal) ck_assert(str_eq((s), STR(literal)))

/* The one frame that was encoded. */
static struct frame frame_of(unsigned type)
{
    ck_assert(!out.failed);
    struct frame_reader r;
    frame_reader_init(&r);
    struct frame f;
    const uint8_t *p = (const uint8_t *)out.p;
    size_t n = out.n;
    ck_assert_int_eq(frame_reader_next(&r, &p, &n, &f), 1);
    ck_assert_uint_eq(n, 0);
    ck_assert_uint_eq(f.type, type);
    return f;
}

START_TEST(hello)
{
    const struct hello in = {
        .version = 1,
        .capabilities = HELLO_WANTS_ACK,
        .session = "0123456789abcde",
        .store_id = 99,
        .first = 7,
        .next = 12,
        .service = STR("files"),
        .instance = STR("4711"),
        .domain = STR(""),
        .agent = STR("test/1"),
    };
    encode_hello(&out, &in);
    const struct frame f = frame_of(FRAME_HELLO);
    struct hello got;
    ck_assert_int_eq(decode_hello(f.payload, f.size, &got), 0);
    ck_assert_uint_eq(got.version, 1);
    ck_assert_uint_eq(got.capabilities, HELLO_WANTS_ACK);
    ck_assert_mem_eq(got.session, in.session, sizeof in.session);
    ck_assert_uint_eq(got.store_id, 99);
    ck_assert_uint_eq(got.first, 7);
    ck_assert_uint_eq(got.next, 12);
    ck_assert_text_eq(got.service, "files");
    ck_assert_text_eq(got.instance, "4711");
    ck_assert_text_eq(got.domain, "");
    ck_assert_text_eq(got.agent, "test/1");
}
END_TEST

START_TEST(welcome)
{
    for (uint32_t rings = 0; rings < 2; rings++) {
        const struct welcome in = {1, SESSION_KNOWN, 5, 41, 65536, 4096, rings};
        buf_reset(&out);
        encode_welcome(&out, &in);
        const struct frame f = frame_of(FRAME_WELCOME);
        struct welcome got;
        ck_assert_int_eq(decode_welcome(f.payload, f.size, &got), 0);
        ck_assert_uint_eq(got.version, 1);
        ck_assert_uint_eq(got.known, SESSION_KNOWN);
        ck_assert_uint_eq(got.store_id, 5);
        ck_assert_uint_eq(got.applied, 41);
        ck_assert_uint_eq(got.max_frame, 65536);
        ck_assert_uint_eq(got.max_ids, 4096);
        ck_assert_uint_eq(got.max_rings, rings);
    }
}
END_TEST

START_TEST(metric)
{
    const struct metric_def in = {
        .name = STR("mcp.server.operation.duration"),
        .unit = STR("s"),
        .help = STR("Time of a request."),
        .kind = METRIC_HISTOGRAM,
        .type = VALUE_F64,
        .flags = METRIC_QUANTILES,
        .nbounds = 3,
        .bounds = {0.01, 0.1, 1},
    };
    encode_metric(&out, 3, &in);
    const struct frame f = frame_of(FRAME_DEFINE_METRIC);
    uint32_t id;
    struct metric_def got;
    ck_assert_int_eq(decode_metric(f.payload, f.size, &id, &got), 0);
    ck_assert_uint_eq(id, 3);
    ck_assert(str_eq(got.name, in.name) && str_eq(got.unit, in.unit) && str_eq(got.help, in.help));
    ck_assert_int_eq(got.kind, METRIC_HISTOGRAM);
    ck_assert_int_eq(got.type, VALUE_F64);
    ck_assert_int_eq(got.join, JOIN_LAST);
    ck_assert_uint_eq(got.flags, METRIC_QUANTILES);
    ck_assert_uint_eq(got.nbounds, 3);
    ck_assert_mem_eq(got.bounds, in.bounds, 3 * sizeof *in.bounds);
}
END_TEST

START_TEST(series)
{
    const struct series_def in = {
        .id = 9,
        .metric_id = 3,
        .nlabels = 2,
        .labels = {{STR("tool.name"), STR("echo")}, {STR("error"), STR("")}},
    };
    encode_series(&out, &in);
    const struct frame f = frame_of(FRAME_DEFINE_SERIES);
    struct series_def got;
    ck_assert_int_eq(decode_series(f.payload, f.size, &got), 0);
    ck_assert_uint_eq(got.id, 9);
    ck_assert_uint_eq(got.metric_id, 3);
    ck_assert_uint_eq(got.nlabels, 2);
    ck_assert_text_eq(got.labels[0].key, "tool.name");
    ck_assert_text_eq(got.labels[0].value, "echo");
    ck_assert_text_eq(got.labels[1].key, "error");
    ck_assert_text_eq(got.labels[1].value, "");
}
END_TEST

START_TEST(ack)
{
    encode_ack(&out, UINT64_C(0x123456789abcdef0));
    const struct frame f = frame_of(FRAME_ACK);
    uint64_t applied;
    ck_assert_int_eq(decode_ack(f.payload, f.size, &applied), 0);
    ck_assert_uint_eq(applied, UINT64_C(0x123456789abcdef0));
}
END_TEST

START_TEST(reject)
{
    const struct reject in = {
        .first = 77,
        .count = 3,
        .id = 5,
        .reason = DROP_UNKNOWN_ID,
        .type = FRAME_UPDATE,
        .detail = STR("series 5"),
    };
    encode_reject(&out, &in);
    const struct frame f = frame_of(FRAME_REJECT);
    struct reject got;
    ck_assert_int_eq(decode_reject(f.payload, f.size, &got), 0);
    ck_assert_uint_eq(got.first, 77);
    ck_assert_uint_eq(got.count, 3);
    ck_assert_uint_eq(got.id, 5);
    ck_assert_uint_eq(got.reason, DROP_UNKNOWN_ID);
    ck_assert_uint_eq(got.type, FRAME_UPDATE);
    ck_assert_text_eq(got.detail, "series 5");
}
END_TEST

START_TEST(lost)
{
    const struct lost in = {.total = {1, 2, 3, 4}};
    encode_lost(&out, &in);
    const struct frame f = frame_of(FRAME_LOST);
    struct lost got;
    ck_assert_int_eq(decode_lost(f.payload, f.size, &got), 0);
    ck_assert_mem_eq(&got, &in, sizeof in);
}
END_TEST

START_TEST(bye)
{
    encode_bye(&out);
    ck_assert_uint_eq(frame_of(FRAME_BYE).size, 0);
}
END_TEST

START_TEST(updates)
{
    const size_t at = encode_batch(&out, FRAME_UPDATE, 100);
    for (unsigned i = 0; i < 5; i++)
        encode_update(&out, i + 1, UINT64_C(1) << (10 * i));
    encode_batch_end(&out, at, 5);
    const struct frame f = frame_of(FRAME_UPDATE);
    struct batch b;
    ck_assert_int_eq(decode_batch(FRAME_UPDATE, f.payload, f.size, &b), 0);
    ck_assert_uint_eq(b.first, 100);
    ck_assert_uint_eq(b.count, 5);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(update_id(&b, i), i + 1);
        ck_assert_uint_eq(update_value(&b, i), UINT64_C(1) << (10 * i));
    }
}
END_TEST

/* Encodes an item in a batch of one and reads it back. */
static void item_round(const struct event *in, struct event *got)
{
    const size_t at = encode_batch(&out, in->kind, 1);
    encode_item(&out, in);
    encode_batch_end(&out, at, 1);
    const struct frame f = frame_of(in->kind);
    struct batch b;
    ck_assert_int_eq(decode_batch(f.type, f.payload, f.size, &b), 0);
    const uint8_t *p = b.items;
    size_t n = b.size;
    ck_assert_int_eq(decode_item(in->kind, &p, &n, got), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(got->kind, in->kind);
    ck_assert_uint_eq(got->time, in->time);
    ck_assert_mem_eq(&got->trace, &in->trace, sizeof in->trace);
    ck_assert(str_eq(got->correlation, in->correlation));
    ck_assert(str_eq(got->name, in->name));
    ck_assert(str_eq(got->text, in->text));
    ck_assert_uint_eq(got->nattrs, in->nattrs);
    for (unsigned i = 0; i < in->all_attrs; i++) {
        ck_assert(str_eq(got->attrs[i].key, in->attrs[i].key));
        ck_assert_int_eq(got->attrs[i].type, in->attrs[i].type);
        ck_assert(str_eq(got->attrs[i].s, in->attrs[i].s));
        ck_assert_int_eq(got->attrs[i].i, in->attrs[i].i);
    }
}

static struct event *new_event(enum event_kind kind)
{
    struct event *e = calloc(1, sizeof *e);
    e->kind = kind;
    e->time = UINT64_C(1700000000123456789);
    e->trace = (struct trace_ref){"0123456789abcde", "1234567"};
    e->correlation = STR("req-1");
    e->attrs[0] = (struct attr){STR("path"), ATTR_STRING, STR("/tmp/é"), {.i = 0}};
    e->attrs[1] = (struct attr){.key = STR("ok"), .type = ATTR_BOOL, .i = 1};
    e->attrs[2] = (struct attr){.key = STR("n"), .type = ATTR_I64, .i = -3};
    e->attrs[3] = (struct attr){.key = STR("x"), .type = ATTR_F64, .d = 2.5};
    e->nattrs = e->all_attrs = 4;
    return e;
}

START_TEST(named_event)
{
    struct event *in = new_event(EVENT_NAMED), *got = calloc(1, sizeof *got);
    in->name = STR("memory.search");
    in->nmeasures = 2;
    in->measures[0] = (struct measure){STR("duration_ms"), 12.5};
    in->measures[1] = (struct measure){STR("hits"), 3};
    item_round(in, got);
    ck_assert_uint_eq(got->nmeasures, 2);
    ck_assert_text_eq(got->measures[1].key, "hits");
    ck_assert_double_eq(got->measures[0].value, 12.5);
    free(in);
    free(got);
}
END_TEST

START_TEST(log_record)
{
    struct event *in = new_event(EVENT_LOG), *got = calloc(1, sizeof *got);
    in->severity = 17;
    in->text = STR("it broke");
    item_round(in, got);
    ck_assert_uint_eq(got->severity, 17);
    free(in);
    free(got);
}
END_TEST

START_TEST(health_report)
{
    struct event *in = new_event(EVENT_HEALTH), *got = calloc(1, sizeof *got);
    in->state = HEALTH_DEGRADED;
    in->name = STR("database");
    in->text = STR("slow");
    item_round(in, got);
    ck_assert_int_eq(got->state, HEALTH_DEGRADED);
    free(in);
    free(got);
}
END_TEST

START_TEST(span)
{
    struct event *in = new_event(EVENT_SPAN), *got = calloc(1, sizeof *got);
    in->name = STR("tools/call echo");
    in->text = STR("timed out");
    in->end = in->time + 1000;
    memcpy(in->parent_id, "parentid", 8);
    in->span_kind = SPAN_SERVER;
    in->status = SPAN_ERROR;
    in->span_flags = 1;
    in->tracestate = STR("ot=th:8");
    in->nattrs = 1;
    in->nevents = 1;
    in->events[0] = (struct span_event){in->time + 1, STR("retry"), 1, 1};
    in->nlinks = 1;
    in->links[0] = (struct span_link){{"fedcba987654321", "7654321"}, STR("a=b"), 2, 2};
    item_round(in, got);
    ck_assert_uint_eq(got->end, in->end);
    ck_assert_mem_eq(got->parent_id, "parentid", 8);
    ck_assert_int_eq(got->span_kind, SPAN_SERVER);
    ck_assert_int_eq(got->status, SPAN_ERROR);
    ck_assert_uint_eq(got->span_flags, 1);
    ck_assert_text_eq(got->tracestate, "ot=th:8");
    ck_assert_uint_eq(got->nevents, 1);
    ck_assert_uint_eq(got->events[0].time, in->time + 1);
    ck_assert_text_eq(got->events[0].name, "retry");
    ck_assert_uint_eq(got->events[0].first_attr, 1);
    ck_assert_uint_eq(got->events[0].nattrs, 1);
    ck_assert_uint_eq(got->nlinks, 1);
    ck_assert_mem_eq(&got->links[0].to, &in->links[0].to, sizeof in->links[0].to);
    ck_assert_text_eq(got->links[0].tracestate, "a=b");
    ck_assert_uint_eq(got->links[0].first_attr, 2);
    ck_assert_uint_eq(got->links[0].nattrs, 2);
    ck_assert_uint_eq(got->all_attrs, 4);
    free(in);
    free(got);
}
END_TEST

/* A buffer of any size holds the whole frame or nothing of it. */
START_TEST(a_full_buffer_gets_nothing)
{
    const struct hello h = {.session = {1}, .first = 1, .next = 1, .service = STR("s")};
    struct event *e = new_event(EVENT_NAMED);
    e->name = STR("n");
    encode_ack(&out, 1);
    const size_t before = out.n;
    encode_hello(&out, &h);
    const size_t hello_size = out.n - before;
    encode_item(&out, e);
    const size_t item_size = out.n - before - hello_size;
    for (size_t max = before; max < before + hello_size + item_size; max++) {
        struct buf b;
        buf_init(&b, max);
        encode_ack(&b, 1);
        encode_hello(&b, &h);
        ck_assert_int_eq(b.failed, max < before + hello_size);
        encode_item(&b, e);
        ck_assert(b.failed);
        ck_assert_uint_eq(b.n, max < before + hello_size ? before : before + hello_size);
        ck_assert_mem_eq(b.p, out.p, b.n);
        buf_fini(&b);
    }
    free(e);
}
END_TEST

START_TEST(text_too_long_for_its_length)
{
    char *text = malloc(UINT16_MAX + 1);
    memset(text, 'a', UINT16_MAX + 1);
    const struct reject r = {.detail = {text, UINT16_MAX + 1}};
    encode_reject(&out, &r);
    ck_assert(out.failed);
    ck_assert_uint_eq(out.n, 0);
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("encode");
    TCase *c = tcase_create("encode");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, hello);
    tcase_add_test(c, welcome);
    tcase_add_test(c, metric);
    tcase_add_test(c, series);
    tcase_add_test(c, ack);
    tcase_add_test(c, reject);
    tcase_add_test(c, lost);
    tcase_add_test(c, bye);
    tcase_add_test(c, updates);
    tcase_add_test(c, named_event);
    tcase_add_test(c, log_record);
    tcase_add_test(c, health_report);
    tcase_add_test(c, span);
    tcase_add_test(c, a_full_buffer_gets_nothing);
    tcase_add_test(c, text_too_long_for_its_length);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
