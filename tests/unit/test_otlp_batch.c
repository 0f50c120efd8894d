/* Records to requests: nothing is lost or changed, what belongs together stands together,
 * and the bounds hold. */
#include <check.h>
#include <stdlib.h>

#include "format/otlp_batch.h"
#include "format/otlp_event.h"
#include "otlp/logs.pb-c.h"
#include "otlp/put.h"
#include "otlp/trace.pb-c.h"
#include "otlp_random.h"
#include "otlp_whole.h"
#include "wire/encode.h"

static struct otlp_batch batch;
static struct buf b, c;
static struct event *e, *back;

static void setup(void)
{
    buf_init(&b, 1 << 20);
    buf_init(&c, 1 << 20);
    e = calloc(1, sizeof *e);
    back = calloc(1, sizeof *back);
}

static void teardown(void)
{
    buf_fini(&b);
    buf_fini(&c);
    free(e);
    free(back);
    otlp_batch_fini(&batch);
}

static void begin(enum otlp_signal signal, size_t items, size_t bytes)
{
    ck_assert_int_eq(otlp_batch_init(&batch, signal, items, bytes), 0);
}

/* The body of a record: span n of a service and scope. */
static struct ring_view otlp_record(unsigned n, const char *service, const char *scope,
                                    const char *state)
{
    struct buf parts;
    uint8_t id[16] = {(uint8_t)n, (uint8_t)(n >> 8), 1};
    buf_init(&parts, 1 << 16);
    otlp_put_resource(&parts, str_of(service), STR(""));
    put_text(&parts, 3, STR("http://schema"));
    const size_t r = parts.n;
    put_text(&parts, 1, STR("\x0a\x01s"));
    put_text(&parts, 60, str_of(scope));
    const size_t s = parts.n;
    put_id(&parts, 1, id, 16);
    put_text(&parts, 3, str_of(state));
    put_id(&parts, 2, id, 8);
    put_text(&parts, 90, STR("of a later version"));
    buf_reset(&b);
    otlp_join(&b, (struct str){parts.p, r}, (struct str){parts.p + r, s - r},
              (struct str){parts.p + s, parts.n - s});
    buf_fini(&parts);
    return (struct ring_view){
        .kind = RECORD_OTLP_SPAN, .service = str_of(service), .body = buf_str(&b)};
}

static Otlp__ExportTraceServiceRequest *end(size_t *items)
{
    struct str request;
    ck_assert_int_eq(otlp_batch_end(&batch, &request, items), 0);
    Otlp__ExportTraceServiceRequest *m =
        otlp__export_trace_service_request__unpack(NULL, request.n, (const uint8_t *)request.p);
    ck_assert_ptr_nonnull(m);
    return m;
}

static void done(Otlp__ExportTraceServiceRequest *m)
{
    otlp__export_trace_service_request__free_unpacked(m, NULL);
}

static unsigned number(const Otlp__Span *s)
{
    return s->trace_id.data[0] | (unsigned)s->trace_id.data[1] << 8;
}

START_TEST(groups)
{
    static const char *const services[] = {"a", "b"}, *const scopes[] = {"x", "y", "z"};
    size_t items;
    begin(OTLP_TRACES, 1000, 1 << 20);
    for (unsigned n = 0; n < 600; n++) {
        const struct ring_view v = otlp_record(n, services[n % 2], scopes[n % 3], "");
        ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 1);
    }
    Otlp__ExportTraceServiceRequest *m = end(&items);
    ck_assert_uint_eq(items, 600);
    ck_assert_uint_eq(m->n_resource_spans, 2);
    for (unsigned r = 0; r < 2; r++) {
        const Otlp__ResourceSpans *rs = m->resource_spans[r];
        ck_assert_str_eq(rs->resource->attributes[0]->value->string_value, services[r]);
        ck_assert_str_eq(rs->schema_url, "http://schema");
        ck_assert_uint_eq(rs->n_scope_spans, 3);
        for (unsigned s = 0; s < 3; s++) {
            const Otlp__ScopeSpans *ss = rs->scope_spans[s];
            const unsigned first = number(ss->spans[0]);
            ck_assert_uint_eq(ss->n_spans, 100);
            ck_assert_uint_eq(ss->base.n_unknown_fields, 1);
            ck_assert_uint_eq(first % 2, r);
            for (unsigned i = 0; i < 100; i++) {
                ck_assert_uint_eq(number(ss->spans[i]), first + 6 * i);
                ck_assert_uint_eq(ss->spans[i]->base.n_unknown_fields, 1);
            }
        }
    }
    done(m);
    m = end(&items);
    ck_assert_uint_eq(items + m->n_resource_spans, 0);
    done(m);
}
END_TEST

/* The bounds: of items, of bytes, of groups. A record that did not fit is in the next. */
START_TEST(bounds)
{
    struct ring_view v = otlp_record(1, "a", "x", "");
    const size_t one = v.body.n;
    struct str request;
    size_t items;
    begin(OTLP_TRACES, 3, 1 << 20);
    for (unsigned n = 0; n < 3; n++)
        ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 1);
    ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 0);
    ck_assert_int_eq(otlp_batch_end(&batch, &request, &items), 0);
    ck_assert_uint_eq(items, 3);
    ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 1);
    otlp_batch_fini(&batch);
    begin(OTLP_TRACES, 1000, 3 * one);
    unsigned n = 0;
    while (otlp_batch_add(&batch, &v, NULL) == 1)
        n++;
    ck_assert_int_eq(otlp_batch_end(&batch, &request, &items), 0);
    ck_assert(items == n && n > 2 && request.n <= 3 * one);
    otlp_batch_fini(&batch);
    begin(OTLP_TRACES, 1000, 1); /* one is always taken */
    ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 1);
    ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 0);
    otlp_batch_fini(&batch);
    begin(OTLP_TRACES, 1000, 1 << 20);
    for (n = 0; n < 1000; n++) {
        char scope[16];
        snprintf(scope, sizeof scope, "%u", n);
        v = otlp_record(n, "a", scope, "");
        if (otlp_batch_add(&batch, &v, NULL) == 0)
            break;
    }
    ck_assert_uint_eq(n, OTLP_BATCH_GROUPS);
}
END_TEST

START_TEST(tracestates)
{
    const struct otlp_batch_how how = {.write = true, .threshold = UINT64_C(1) << 55};
    size_t items;
    begin(OTLP_TRACES, 10, 1 << 20);
    struct ring_view v = otlp_record(1, "a", "x", "");
    ck_assert_int_eq(otlp_batch_add(&batch, &v, &how), 1);
    v = otlp_record(2, "a", "x", "v=1,ot=rv:00000000000001");
    ck_assert_int_eq(otlp_batch_add(&batch, &v, &how), 1);
    ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 1);
    Otlp__ExportTraceServiceRequest *m = end(&items);
    Otlp__Span **spans = m->resource_spans[0]->scope_spans[0]->spans;
    ck_assert_str_eq(spans[0]->trace_state, "ot=th:8");
    ck_assert_ptr_nonnull(strstr(spans[1]->trace_state, "th:8"));
    ck_assert_ptr_nonnull(strstr(spans[1]->trace_state, "rv:00000000000001"));
    ck_assert_ptr_nonnull(strstr(spans[1]->trace_state, "v=1"));
    ck_assert_str_eq(spans[2]->trace_state, "v=1,ot=rv:00000000000001");
    ck_assert_uint_eq(number(spans[1]), 2);
    ck_assert_uint_eq(spans[1]->base.n_unknown_fields, 1);
    done(m);
}
END_TEST

/* ---- our own items ---- */

static void same_attrs(unsigned from, unsigned n)
{
    for (unsigned i = from; i < n; i++) {
        const struct attr *x = &e->attrs[i], *y = &back->attrs[i];
        ck_assert(str_eq(x->key, y->key) && x->type == y->type && str_eq(x->s, y->s));
        ck_assert(x->type == ATTR_STRING || x->i == y->i);
    }
}

static struct ring_view own_record(void)
{
    buf_reset(&b);
    encode_body(&b, e);
    return (struct ring_view){
        .kind = e->kind, .service = STR("mine"), .received = 77, .body = buf_str(&b)};
}

static void make_common(enum event_kind kind)
{
    e->kind = kind;
    e->time = 1000;
    memset(e->trace.trace_id, 7, 16);
    memset(e->trace.span_id, 8, 8);
    e->nattrs = 4;
    e->attrs[0] = (struct attr){.key = STR("s"), .type = ATTR_STRING, .s = STR("")};
    e->attrs[1] = (struct attr){.key = STR("b"), .type = ATTR_BOOL, .i = 0};
    e->attrs[2] = (struct attr){.key = STR("i"), .type = ATTR_I64, .i = -5};
    e->attrs[3] = (struct attr){.key = STR("d"), .type = ATTR_F64, .d = 0.5};
    e->all_attrs = 4;
}

static void make_span(void)
{
    make_common(EVENT_SPAN);
    e->name = STR("tools/call");
    e->text = STR("it broke");
    e->end = 3000;
    memset(e->parent_id, 9, 8);
    e->span_kind = SPAN_SERVER;
    e->status = SPAN_ERROR;
    e->span_flags = 0x101;
    e->tracestate = STR("k=v");
    e->nevents = 1;
    e->events[0] =
        (struct span_event){.time = 2000, .name = STR("e"), .nattrs = 1, .first_attr = 4};
    e->nlinks = 1;
    e->links[0] = (struct span_link){.tracestate = STR("l=1"), .nattrs = 1, .first_attr = 5};
    memset(&e->links[0].to, 3, sizeof e->links[0].to);
    e->attrs[4] = (struct attr){.key = STR("in.event"), .type = ATTR_I64, .i = 1};
    e->attrs[5] = (struct attr){.key = STR("in.link"), .type = ATTR_I64, .i = 2};
    e->all_attrs = 6;
}

/* What a span is survives the way out, and back in through our own door. */
START_TEST(own_spans)
{
    make_span();
    otlp_put_span(&c, e, e->tracestate);
    ck_assert_int_eq(otlp_span(buf_str(&c), back), 0);
    ck_assert_mem_eq(&e->trace, &back->trace, sizeof e->trace);
    ck_assert_mem_eq(e->parent_id, back->parent_id, 8);
    ck_assert(str_eq(e->name, back->name) && str_eq(e->text, back->text));
    ck_assert(str_eq(e->tracestate, back->tracestate));
    ck_assert(e->time == back->time && e->end == back->end);
    ck_assert(e->span_kind == back->span_kind && e->status == back->status);
    ck_assert_uint_eq(e->span_flags, back->span_flags);
    ck_assert(e->nattrs == back->nattrs && e->all_attrs == back->all_attrs);
    same_attrs(0, e->all_attrs);
    ck_assert(back->nevents == 1 && back->events[0].time == 2000);
    ck_assert(back->nlinks == 1 && str_eq(back->links[0].tracestate, STR("l=1")));
    ck_assert_mem_eq(&e->links[0].to, &back->links[0].to, sizeof e->links[0].to);
}
END_TEST

START_TEST(own_spans_in_a_request)
{
    size_t items;
    const struct otlp_batch_how how = {.instance = STR("i1"), .write = true, .threshold = 0};
    make_span();
    e->correlation = STR("req-1");
    begin(OTLP_TRACES, 10, 1 << 20);
    struct ring_view v = own_record();
    ck_assert_int_eq(otlp_batch_add(&batch, &v, &how), 1);
    v.kind = EVENT_HEALTH;
    ck_assert_int_eq(otlp_batch_add(&batch, &v, &how), -ERR_NOTFOUND);
    v.kind = EVENT_SPAN;
    v.body.n--;
    ck_assert_int_eq(otlp_batch_add(&batch, &v, &how), -ERR_SYNTAX);
    Otlp__ExportTraceServiceRequest *m = end(&items);
    ck_assert_uint_eq(items, 1);
    const Otlp__ResourceSpans *r = m->resource_spans[0];
    ck_assert_uint_eq(r->resource->n_attributes, 2);
    ck_assert_str_eq(r->resource->attributes[0]->key, "service.name");
    ck_assert_str_eq(r->resource->attributes[0]->value->string_value, "mine");
    ck_assert_str_eq(r->resource->attributes[1]->key, "service.instance.id");
    ck_assert_str_eq(r->resource->attributes[1]->value->string_value, "i1");
    ck_assert_str_eq(r->scope_spans[0]->scope->name, "mcptally");
    const Otlp__Span *s = r->scope_spans[0]->spans[0];
    ck_assert_str_eq(s->trace_state, "ot=th:0,k=v");
    ck_assert_str_eq(s->attributes[4]->key, "mcptally.correlation_id");
    ck_assert_str_eq(s->attributes[4]->value->string_value, "req-1");
    done(m);
}
END_TEST

START_TEST(own_logs)
{
    struct str request;
    size_t items;
    begin(OTLP_LOGS, 10, 1 << 20);
    make_common(EVENT_LOG);
    e->severity = 17;
    e->text = STR("what happened");
    struct ring_view v = own_record();
    ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 1);
    make_common(EVENT_NAMED);
    e->name = STR("cache.miss");
    e->text = STR("");
    e->nmeasures = 1;
    e->measures[0] = (struct measure){STR("size"), 0};
    v = own_record();
    ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 1);
    ck_assert_int_eq(otlp_batch_end(&batch, &request, &items), 0);
    Otlp__ExportLogsServiceRequest *m =
        otlp__export_logs_service_request__unpack(NULL, request.n, (const uint8_t *)request.p);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(m->n_resource_logs, 1);
    ck_assert_uint_eq(m->resource_logs[0]->scope_logs[0]->n_log_records, 2);
    Otlp__LogRecord **logs = m->resource_logs[0]->scope_logs[0]->log_records;
    ck_assert_str_eq(logs[0]->body->string_value, "what happened");
    ck_assert_str_eq(logs[0]->severity_text, "error");
    ck_assert_uint_eq(logs[0]->severity_number, 17);
    ck_assert_uint_eq(logs[0]->observed_time_unix_nano, 77);
    ck_assert_uint_eq(logs[0]->n_attributes, 4);
    ck_assert_str_eq(logs[1]->event_name, "cache.miss");
    ck_assert_str_eq(logs[1]->attributes[0]->key, "size");
    ck_assert_int_eq(logs[1]->attributes[0]->value->value_case,
                     OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE);
    ck_assert_uint_eq(logs[1]->n_attributes, 5);
    ck_assert_ptr_null(logs[1]->body);
    otlp__export_logs_service_request__free_unpacked(m, NULL);
}
END_TEST

/* Whole random requests, walked, joined and batched again, are equal item by item. */
START_TEST(random_requests)
{
    struct rng rng = {(uint64_t)_i};
    ProtobufCMessage *m = random_message(&rng, &otlp__export_trace_service_request__descriptor, 1);
    struct otlp_walk w, again;
    struct otlp_item item, twin;
    struct str request;
    const size_t n = protobuf_c_message_get_packed_size(m);
    protobuf_c_message_pack(m, (uint8_t *)buf_room(&c, n + 1));
    buf_added(&c, n);
    begin(OTLP_TRACES, 1000, 1 << 20);
    otlp_walk_init(&w, OTLP_TRACES, buf_str(&c));
    while (walk_on(&w, &item) == 1) {
        buf_reset(&b);
        otlp_join(&b, item.resource, item.scope, item.bytes);
        const struct ring_view v = {.kind = RECORD_OTLP_SPAN, .body = buf_str(&b)};
        ck_assert_int_eq(otlp_batch_add(&batch, &v, NULL), 1);
    }
    ck_assert_int_eq(otlp_batch_end(&batch, &request, NULL), 0);
    otlp_walk_fini(&w);
    otlp_walk_init(&w, OTLP_TRACES, buf_str(&c));
    otlp_walk_init(&again, OTLP_TRACES, request);
    size_t left, right, found = 0;
    ck_assert_int_eq(count_items(buf_str(&c), &left), 0);
    ck_assert_int_eq(count_items(request, &right), 0);
    ck_assert_uint_eq(left, right);
    while (walk_on(&w, &item) == 1) { /* order may change between groups only */
        otlp_walk_fini(&again);
        otlp_walk_init(&again, OTLP_TRACES, request);
        while (walk_on(&again, &twin) == 1)
            if (str_eq(item.bytes, twin.bytes) && str_eq(item.scope, twin.scope) &&
                str_eq(item.resource, twin.resource)) {
                found++;
                break;
            }
    }
    ck_assert_uint_eq(found, left);
    otlp_walk_fini(&w);
    otlp_walk_fini(&again);
    protobuf_c_message_free_unpacked(m, NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_batch");
    TCase *t = tcase_create("batches");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, groups);
    tcase_add_test(t, bounds);
    tcase_add_test(t, tracestates);
    tcase_add_test(t, own_spans);
    tcase_add_test(t, own_spans_in_a_request);
    tcase_add_test(t, own_logs);
    tcase_add_loop_test(t, random_requests, 0, 100);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
