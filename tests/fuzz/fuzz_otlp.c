/* An OTLP request behind a byte that says its signal: walked, joined, read and batched.
 * What is taken keeps the promises of model/event.h and points into the input, and
 * protobuf-c can read it too. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "format/otlp_batch.h"
#include "model/text.h"
#include "otlp/logs.pb-c.h"
#include "otlp/metrics.pb-c.h"
#include "otlp/record.h"
#include "otlp/trace.pb-c.h"
#include "../unit/otlp_whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct str in, struct str s)
{
    assert(s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n));
}

static void check_attrs(struct str in, const struct attr *a, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        check_inside(in, a[i].key);
        check_inside(in, a[i].s);
        assert(text_key_ok(a[i].key) && a[i].type >= ATTR_STRING && a[i].type <= ATTR_F64);
        assert(text_utf8(a[i].s) && a[i].s.n <= LIMIT_TEXT);
        assert(a[i].type == ATTR_STRING || a[i].s.n == 0);
        assert(a[i].type != ATTR_BOOL || a[i].i == 0 || a[i].i == 1);
        assert(a[i].type != ATTR_F64 || isfinite(a[i].d));
    }
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static void check_span(struct str in, const struct event *e)
{
    assert(e->kind == EVENT_SPAN && e->end >= e->time && text_name_ok(e->name));
    assert(e->span_kind <= SPAN_CONSUMER && e->status <= SPAN_ERROR);
    assert(!all_zero(e->trace.trace_id, 16) && !all_zero(e->trace.span_id, 8));
    assert(e->tracestate.n <= LIMIT_TRACESTATE && text_utf8(e->tracestate));
    assert(e->text.n <= LIMIT_TEXT && text_utf8(e->text));
    assert(e->nattrs <= e->all_attrs && e->all_attrs <= LIMIT_ATTRS);
    check_attrs(in, e->attrs, e->all_attrs);
    unsigned at = e->nattrs;
    for (unsigned i = 0; i < e->nevents; i++) {
        assert(text_name_ok(e->events[i].name) && e->events[i].first_attr == at);
        at += e->events[i].nattrs;
    }
    for (unsigned i = 0; i < e->nlinks; i++) {
        assert(!all_zero(e->links[i].to.trace_id, 16) && e->links[i].first_attr == at);
        at += e->links[i].nattrs;
    }
    assert(at == e->all_attrs && e->nevents <= LIMIT_SPAN_EVENTS && e->nlinks <= LIMIT_SPAN_EVENTS);
}

static void check_log(struct str in, const struct event *e)
{
    assert(e->kind == EVENT_LOG && e->severity >= 1 && e->severity <= 24);
    assert(e->text.n <= LIMIT_BODY && text_utf8(e->text) && e->nattrs == e->all_attrs);
    assert(e->name.n == 0 || text_name_ok(e->name));
    assert(!all_zero(e->trace.trace_id, 16) || all_zero(e->trace.span_id, 8));
    check_attrs(in, e->attrs, e->nattrs);
}

/* A message that we take is one for protobuf-c as well. */
static void check_unpacks(const ProtobufCMessageDescriptor *d, struct str s)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, s.n, (const uint8_t *)s.p);
    assert(m);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void check_metric(struct str in)
{
    static struct otlp_point p;
    static struct otlp_metric m; /* its memory is used again and again */
    struct str raw;
    int e;
    if (!m.around.max)
        otlp_metric_init(&m);
    if (metric_whole(in, &m) < 0)
        return;
    assert(m.name.n > 0 && m.name.n <= LIMIT_NAME && text_utf8(m.name));
    while ((e = otlp_point(&m, &p, &raw)) != 0) {
        check_inside(in, raw);
        if (e < 0)
            continue;
        check_attrs(in, p.attrs, p.nattrs);
        assert(isfinite(p.d) || (p.flags & 1));
        assert(p.nbounds <= LIMIT_OTLP_BUCKETS && p.nbuckets <= LIMIT_OTLP_BUCKETS + 1);
        assert(p.positive.n <= LIMIT_OTLP_BUCKETS && p.negative.n <= LIMIT_OTLP_BUCKETS);
    }
}

/* What the usual forms are read as is what protobuf-c reads, and its part is read as the whole. */
static void check_same(struct str in, const struct event *e)
{
    static const struct str keys[] = {{"mcptally.keep", 13}, {"k", 1}};
    static struct event head;
    Otlp__Span *s = otlp__span__unpack(NULL, in.n, (const uint8_t *)in.p);
    assert(s && memcmp(s->trace_id.data, e->trace.trace_id, 16) == 0);
    assert(memcmp(s->span_id.data, e->trace.span_id, 8) == 0 && s->flags == e->span_flags);
    assert(s->start_time_unix_nano == e->time);
    assert(e->end == (s->end_time_unix_nano < e->time ? e->time : s->end_time_unix_nano));
    otlp__span__free_unpacked(s, NULL);
    assert(otlp_span_head(in, keys, 2, &head) == 0);
    assert(memcmp(&head.trace, &e->trace, sizeof head.trace) == 0 && str_eq(head.name, e->name));
    assert(memcmp(head.parent_id, e->parent_id, sizeof head.parent_id) == 0);
    assert(head.time == e->time && head.end == e->end && head.status == e->status);
    assert(head.span_kind == e->span_kind && head.span_flags == e->span_flags);
    assert(str_eq(head.tracestate, e->tracestate));
}

static void check_item(const struct otlp_item *item, struct buf *scratch)
{
    static struct event e;
    memset(&e, 0xa5, sizeof e);
    if (item->signal == OTLP_METRICS) {
        check_metric(item->bytes);
    } else if (item->signal == OTLP_TRACES && otlp_span(item->bytes, &e) == 0) {
        check_span(item->bytes, &e);
        check_same(item->bytes, &e);
    } else if (item->signal == OTLP_LOGS && otlp_log(item->bytes, &e, scratch) == 0) {
        check_log(item->bytes, &e);
        check_unpacks(&otlp__log_record__descriptor, item->bytes);
    }
}

static void check_origin(const struct otlp_item *item)
{
    static struct otlp_origin o;
    memset(&o, 0xa5, sizeof o);
    if (origin_whole(item->resource, item->scope, &o) < 0)
        return;
    check_inside(item->resource, o.service);
    check_inside(item->scope, o.scope);
    check_inside(item->resource, o.instance);
    check_inside(item->scope, o.scope_version);
    assert(text_utf8(o.service) && o.service.n <= LIMIT_SERVICE && o.nattrs <= LIMIT_ATTRS);
    check_attrs(item->resource, o.attrs, o.nattrs);
    check_unpacks(&otlp__resource_spans__descriptor, item->resource);
    check_unpacks(&otlp__scope_spans__descriptor, item->scope);
}

/* Joined and parted it is the same; a record reads it as the item itself is read. */
static void check_joined(const struct otlp_item *item, struct buf *to, struct otlp_batch *batch)
{
    static const unsigned kinds[] = {RECORD_OTLP_SPAN, RECORD_OTLP_METRIC, RECORD_OTLP_LOG};
    struct str resource, scope, bytes;
    struct trace_ref trace;
    const struct otlp_batch_how how = {.write = true, .threshold = 1};
    buf_reset(to);
    otlp_join(to, item->resource, item->scope, item->bytes);
    assert(!to->failed && otlp_part(buf_str(to), &resource, &scope, &bytes) == 0);
    assert(str_eq(resource, item->resource) && str_eq(scope, item->scope));
    assert(str_eq(bytes, item->bytes));
    (void)record_trace(kinds[item->signal], buf_str(to), &trace);
    const struct ring_view v = {.kind = kinds[item->signal], .body = buf_str(to)};
    const int e = otlp_batch_add(batch, &v, &how);
    assert(e == 1 || e == 0 || e == -ERR_SYNTAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf joined, scratch;
    struct otlp_walk w;
    struct otlp_item item;
    struct otlp_batch batch;
    size_t items, walked = 0;
    int e;
    if (size < 1)
        return 0;
    const enum otlp_signal signal = (enum otlp_signal)(data[0] % OTLP_SIGNALS);
    const struct str request = {(const char *)data + 1, size - 1};
    const int counted = count_items(request, &items);
    buf_init(&joined, 1 << 24);
    buf_init(&scratch, LIMIT_BODY * 2);
    assert(otlp_batch_init(&batch, signal, 100, 1 << 20) == 0);
    otlp_walk_init(&w, signal, request);
    while ((e = walk_on(&w, &item)) == 1 || e == -ERR_RANGE) {
        walked += e == 1 ? 1 : w.skipped;
        if (e != 1)
            continue;
        check_inside(request, item.bytes);
        check_origin(&item);
        check_item(&item, &scratch);
        check_joined(&item, &joined, &batch);
    }
    assert((e < 0) == (counted < 0) && (e != 0 || walked == items));
    struct str out;
    assert(otlp_batch_end(&batch, &out, &walked) == 0);
    assert(count_items(out, &items) == 0 && items == walked);
    otlp_walk_fini(&w);
    otlp_batch_fini(&batch);
    buf_fini(&joined);
    buf_fini(&scratch);
    return 0;
}
