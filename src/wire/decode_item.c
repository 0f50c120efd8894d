/* The items: spans, events, logs and health reports. Their form is in
 * man/mcptally-protocol.7, section ITEMS. */
#include "wire/cursor.h"
#include "wire/decode.h"
#include "model/text.h"

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static bool has_trace(const struct trace_ref *t)
{
    return !all_zero(t->trace_id, sizeof t->trace_id);
}

static bool has_span(const struct trace_ref *t)
{
    return !all_zero(t->span_id, sizeof t->span_id);
}

static struct str take_key(struct cursor *c)
{
    const struct str key = cursor_str(c);
    if (!text_key_ok(key))
        cursor_fail(c, ERR_NAME);
    return key;
}

static void take_attr(struct cursor *c, struct attr *out)
{
    out->key = take_key(c);
    out->type = cursor_enum(c, ATTR_F64);
    out->s = (struct str){NULL, 0};
    switch (out->type) {
    case ATTR_STRING:
        out->s = cursor_text(c, LIMIT_TEXT);
        out->i = 0;
        break;
    case ATTR_BOOL:
        out->i = cursor_enum(c, 1);
        break;
    case ATTR_I64:
        out->i = (int64_t)cursor_u64(c);
        break;
    case ATTR_F64:
        out->d = cursor_f64(c);
        break;
    default:
        cursor_fail(c, ERR_SYNTAX);
    }
}

/* A list of attributes, appended to the event's; returns how many. */
static unsigned take_attrs(struct cursor *c, struct event *e)
{
    const unsigned n = cursor_count(c, LIMIT_ATTRS - e->all_attrs);
    for (unsigned i = 0; i < n && c->err == 0; i++)
        take_attr(c, &e->attrs[e->all_attrs++]);
    return n;
}

static void take_named(struct cursor *c, struct event *out)
{
    out->name = cursor_name(c);
    out->nmeasures = cursor_count(c, LIMIT_MEASURES);
    for (unsigned i = 0; i < out->nmeasures && c->err == 0; i++) {
        out->measures[i].key = take_key(c);
        out->measures[i].value = cursor_f64(c);
    }
    out->nattrs = take_attrs(c, out);
}

static void take_log(struct cursor *c, struct event *out)
{
    out->severity = cursor_enum(c, 24);
    if (out->severity < 1)
        cursor_fail(c, ERR_SYNTAX);
    out->text = cursor_text(c, LIMIT_BODY);
    out->nattrs = take_attrs(c, out);
}

static void take_health(struct cursor *c, struct event *out)
{
    out->state = cursor_enum(c, HEALTH_UNHEALTHY);
    out->name = cursor_name(c);
    out->text = cursor_text(c, LIMIT_TEXT);
    out->nattrs = take_attrs(c, out);
}

static void take_span_events(struct cursor *c, struct event *out)
{
    out->nevents = cursor_count(c, LIMIT_SPAN_EVENTS);
    for (unsigned i = 0; i < out->nevents && c->err == 0; i++) {
        struct span_event *ev = &out->events[i];
        ev->time = cursor_u64(c);
        ev->name = cursor_name(c);
        ev->first_attr = out->all_attrs;
        ev->nattrs = take_attrs(c, out);
    }
}

static void take_span_links(struct cursor *c, struct event *out)
{
    out->nlinks = cursor_count(c, LIMIT_SPAN_EVENTS);
    for (unsigned i = 0; i < out->nlinks && c->err == 0; i++) {
        struct span_link *link = &out->links[i];
        cursor_copy(c, link->to.trace_id, sizeof link->to.trace_id);
        cursor_copy(c, link->to.span_id, sizeof link->to.span_id);
        if (!has_trace(&link->to) || !has_span(&link->to))
            cursor_fail(c, ERR_SYNTAX);
        link->tracestate = cursor_line(c, LIMIT_TRACESTATE);
        link->first_attr = out->all_attrs;
        link->nattrs = take_attrs(c, out);
    }
}

static void take_span(struct cursor *c, struct event *out)
{
    out->end = cursor_u64(c);
    cursor_copy(c, out->parent_id, sizeof out->parent_id);
    out->span_kind = cursor_enum(c, SPAN_CONSUMER);
    out->status = cursor_enum(c, SPAN_ERROR);
    cursor_zero(c, 2);
    out->span_flags = cursor_u32(c);
    if (!has_trace(&out->trace) || !has_span(&out->trace) || out->end < out->time)
        cursor_fail(c, ERR_SYNTAX);
    out->name = cursor_name(c);
    out->text = cursor_text(c, LIMIT_TEXT);
    out->tracestate = cursor_line(c, LIMIT_TRACESTATE);
    out->nattrs = take_attrs(c, out);
    take_span_events(c, out);
    take_span_links(c, out);
}

/* What all items begin with. The arrays are left as they are: their counts say
 * what of them is valid. */
static void take_start(struct cursor *c, enum event_kind kind, struct event *out)
{
    out->kind = kind;
    out->time = cursor_u64(c);
    cursor_copy(c, out->trace.trace_id, sizeof out->trace.trace_id);
    cursor_copy(c, out->trace.span_id, sizeof out->trace.span_id);
    if (has_span(&out->trace) && !has_trace(&out->trace))
        cursor_fail(c, ERR_SYNTAX);
    out->correlation = cursor_line(c, LIMIT_CORRELATION);
    out->name = (struct str){NULL, 0};
    out->text = (struct str){NULL, 0};
    out->nattrs = 0;
    out->all_attrs = 0;
}

int decode_body(enum event_kind kind, const uint8_t *p, size_t n, struct event *out)
{
    struct cursor c = cursor_at(p, n);
    take_start(&c, kind, out);
    switch (kind) {
    case EVENT_SPAN:
        take_span(&c, out);
        break;
    case EVENT_NAMED:
        take_named(&c, out);
        break;
    case EVENT_LOG:
        take_log(&c, out);
        break;
    case EVENT_HEALTH:
        take_health(&c, out);
        break;
    default:
        cursor_fail(&c, ERR_SYNTAX);
    }
    return cursor_end(&c);
}

int decode_item(enum event_kind kind, const uint8_t **p, size_t *n, struct event *out)
{
    struct cursor c = cursor_at(*p, *n);
    const uint32_t size = cursor_u32(&c);
    const uint8_t *body = cursor_take(&c, size);
    if (!body)
        return -ERR_SHORT;
    *p = c.p;
    *n = c.n;
    if (size > LIMIT_ITEM)
        return -ERR_RANGE;
    const int e = decode_body(kind, body, size, out);
    return e == -ERR_SHORT ? -ERR_SYNTAX : e; /* this item's end is known: the next is readable */
}
