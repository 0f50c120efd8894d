/* One item's body, behind a byte that says its kind. What is taken keeps the promises of
 * model/event.h, points into the input, and encodes to the same bytes again. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/text.h"
#include "wire/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const char *p;
    size_t n;
};

/* Text of at most max bytes that lies in the input. */
static void check_text(const struct input *in, struct str s, size_t max)
{
    assert(s.n <= max && text_utf8(s));
    assert(s.n == 0 || (s.p >= in->p && s.p + s.n <= in->p + in->n));
}

static void check_attr(const struct input *in, const struct attr *a)
{
    check_text(in, a->key, LIMIT_KEY);
    assert(text_key_ok(a->key) && a->type >= ATTR_STRING && a->type <= ATTR_F64);
    check_text(in, a->s, LIMIT_TEXT);
    assert(a->type == ATTR_STRING || a->s.n == 0);
    assert(a->type != ATTR_BOOL || a->i == 0 || a->i == 1);
    assert(a->type != ATTR_F64 || isfinite(a->d));
}

static void check_span(const struct input *in, const struct event *e)
{
    unsigned at = e->nattrs;
    assert(e->end >= e->time && e->span_kind <= SPAN_CONSUMER && e->status <= SPAN_ERROR);
    assert(text_name_ok(e->name));
    check_text(in, e->tracestate, LIMIT_TRACESTATE);
    assert(e->nevents <= LIMIT_SPAN_EVENTS && e->nlinks <= LIMIT_SPAN_EVENTS);
    for (unsigned i = 0; i < e->nevents; i++) {
        assert(text_name_ok(e->events[i].name) && e->events[i].first_attr == at);
        at += e->events[i].nattrs;
    }
    for (unsigned i = 0; i < e->nlinks; i++) {
        check_text(in, e->links[i].tracestate, LIMIT_TRACESTATE);
        assert(e->links[i].first_attr == at);
        at += e->links[i].nattrs;
    }
    assert(at == e->all_attrs);
}

static void check_event(const struct input *in, const struct event *e)
{
    check_text(in, e->correlation, LIMIT_CORRELATION);
    check_text(in, e->name, LIMIT_NAME);
    check_text(in, e->text, e->kind == EVENT_LOG ? LIMIT_BODY : LIMIT_TEXT);
    assert(e->nattrs <= e->all_attrs && e->all_attrs <= LIMIT_ATTRS);
    for (unsigned i = 0; i < e->all_attrs; i++)
        check_attr(in, &e->attrs[i]);
    if (e->kind == EVENT_SPAN)
        check_span(in, e);
    else
        assert(e->nattrs == e->all_attrs);
    for (unsigned i = 0; e->kind == EVENT_NAMED && i < e->nmeasures; i++)
        assert(text_key_ok(e->measures[i].key) && isfinite(e->measures[i].value));
    assert(e->kind != EVENT_LOG || (e->severity >= 1 && e->severity <= 24));
    assert(e->kind != EVENT_HEALTH || e->state <= HEALTH_UNHEALTHY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct event e;
    if (size < 1)
        return 0;
    const enum event_kind kind = (enum event_kind)(EVENT_SPAN + data[0] % 4);
    const struct input in = {(const char *)data + 1, size - 1};
    memset(&e, 0xa5, sizeof e); /* what is not set must not be relied on */
    if (decode_body(kind, data + 1, size - 1, &e) < 0)
        return 0;
    assert(e.kind == kind);
    check_event(&in, &e);
    struct buf b;
    buf_init(&b, 1 << 20);
    encode_body(&b, &e);
    assert(!b.failed && b.n == in.n && memcmp(b.p, in.p, in.n) == 0);
    buf_fini(&b);
    return 0;
}
