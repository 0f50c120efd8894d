#include "wire/encode.h"

#include "base/bytes.h"
#include "wire/body.h"

static void add_u8(struct buf *to, unsigned v)
{
    const uint8_t b = (uint8_t)v;
    buf_add(to, &b, sizeof b);
}

static void add_u16(struct buf *to, unsigned v)
{
    uint8_t b[2];
    put_u16(b, (uint16_t)v);
    buf_add(to, b, sizeof b);
}

static void add_u32(struct buf *to, uint32_t v)
{
    uint8_t b[4];
    put_u32(b, v);
    buf_add(to, b, sizeof b);
}

static void add_u64(struct buf *to, uint64_t v)
{
    uint8_t b[8];
    put_u64(b, v);
    buf_add(to, b, sizeof b);
}

static void add_f64(struct buf *to, double v)
{
    add_u64(to, f64_bits(v));
}

/* Writes a header whose size is not known yet; returns its offset. */
static size_t begin(struct buf *to, unsigned type)
{
    const size_t at = to->n;
    add_u32(to, 0);
    add_u8(to, type);
    add_u8(to, 0);
    add_u16(to, 0);
    return at;
}

/* Fills in the size, or takes back the part of the frame that fitted. */
static void end(struct buf *to, size_t at)
{
    if (to->failed)
        to->n = at;
    else
        put_u32(to->p + at, (uint32_t)(to->n - at - PROTO_HEADER));
}

void encode_hello(struct buf *to, const struct hello *h)
{
    const size_t at = begin(to, FRAME_HELLO);
    add_u32(to, h->version);
    add_u32(to, h->capabilities);
    buf_add(to, h->session, sizeof h->session);
    add_u64(to, h->store_id);
    add_u64(to, h->first);
    add_u64(to, h->next);
    body_str(to, h->service);
    body_str(to, h->instance);
    body_str(to, h->domain);
    body_str(to, h->agent);
    end(to, at);
}

void encode_welcome(struct buf *to, const struct welcome *w)
{
    const size_t at = begin(to, FRAME_WELCOME);
    add_u32(to, w->version);
    add_u32(to, w->known);
    add_u64(to, w->store_id);
    add_u64(to, w->applied);
    add_u32(to, w->max_frame);
    add_u32(to, w->max_ids);
    if (w->max_rings)
        add_u32(to, w->max_rings);
    end(to, at);
}

void encode_metric(struct buf *to, uint32_t id, const struct metric_def *def)
{
    const size_t at = begin(to, FRAME_DEFINE_METRIC);
    add_u32(to, id);
    add_u8(to, def->kind);
    add_u8(to, def->type);
    add_u8(to, def->join);
    add_u8(to, def->flags);
    add_u16(to, def->nbounds);
    add_u16(to, 0);
    for (unsigned i = 0; i < def->nbounds; i++)
        add_f64(to, def->bounds[i]);
    body_str(to, def->name);
    body_str(to, def->unit);
    body_str(to, def->help);
    end(to, at);
}

void encode_series(struct buf *to, const struct series_def *def)
{
    const size_t at = begin(to, FRAME_DEFINE_SERIES);
    add_u32(to, def->id);
    add_u32(to, def->metric_id);
    add_u16(to, def->nlabels);
    for (unsigned i = 0; i < def->nlabels; i++) {
        body_str(to, def->labels[i].key);
        body_str(to, def->labels[i].value);
    }
    end(to, at);
}

void encode_ack(struct buf *to, uint64_t applied)
{
    const size_t at = begin(to, FRAME_ACK);
    add_u64(to, applied);
    end(to, at);
}

void encode_reject(struct buf *to, const struct reject *r)
{
    const size_t at = begin(to, FRAME_REJECT);
    add_u64(to, r->first);
    add_u32(to, r->count);
    add_u32(to, r->id);
    add_u16(to, r->reason);
    add_u8(to, r->type);
    add_u8(to, 0);
    body_str(to, r->detail);
    end(to, at);
}

void encode_lost(struct buf *to, const struct lost *l)
{
    const size_t at = begin(to, FRAME_LOST);
    add_u16(to, LOST_MAX);
    for (unsigned i = 0; i < LOST_MAX; i++) {
        add_u16(to, i);
        add_u64(to, l->total[i]);
    }
    end(to, at);
}

void encode_bye(struct buf *to)
{
    end(to, begin(to, FRAME_BYE));
}

void encode_ring(struct buf *to, const struct ring_offer *r)
{
    const size_t at = begin(to, FRAME_RING);
    add_u32(to, r->stream);
    add_u32(to, r->words);
    add_u64(to, r->position);
    end(to, at);
}

void encode_ring_ready(struct buf *to, const struct ring_ready *r)
{
    const size_t at = begin(to, FRAME_RING_READY);
    add_u32(to, r->stream);
    add_u32(to, r->reason);
    add_u64(to, r->position);
    add_u64(to, r->items);
    add_u32(to, r->slot);
    end(to, at);
}

void encode_bell(struct buf *to, uint64_t token)
{
    const size_t at = begin(to, FRAME_BELL);
    add_u64(to, token);
    end(to, at);
}

size_t encode_batch(struct buf *to, unsigned type, uint64_t first)
{
    const size_t at = begin(to, type);
    add_u64(to, first);
    add_u32(to, 0);
    add_u32(to, 0);
    return at;
}

void encode_batch_end(struct buf *to, size_t at, uint32_t count)
{
    end(to, at);
    if (!to->failed)
        put_u32(to->p + at + PROTO_HEADER + 8, count);
}

void encode_update(struct buf *to, uint32_t id, uint64_t bits)
{
    char *p = buf_room(to, PROTO_UPDATE);
    if (!p)
        return;
    put_u32(p, id);
    put_u64(p + 4, bits);
    buf_added(to, PROTO_UPDATE);
}

static void add_attrs(struct buf *to, const struct attr *attrs, unsigned n)
{
    body_u16(to, n);
    for (unsigned i = 0; i < n; i++) /* `i` or d: the same 64 bits */
        body_attr(to, attrs[i].key, attrs[i].type, attrs[i].s, (uint64_t)attrs[i].i);
}

static void add_trace(struct buf *to, const struct trace_ref *t)
{
    buf_add(to, t->trace_id, sizeof t->trace_id);
    buf_add(to, t->span_id, sizeof t->span_id);
}

static void add_span(struct buf *to, const struct event *e)
{
    char *fixed = body_room(to, BODY_SPAN_FIXED);
    if (!fixed)
        return;
    body_write_span(fixed, e->end, e->parent_id, e->span_kind, e->status, e->span_flags);
    buf_added(to, BODY_SPAN_FIXED);
    body_str(to, e->name);
    body_str(to, e->text);
    body_str(to, e->tracestate);
    add_attrs(to, e->attrs, e->nattrs);
    add_u16(to, e->nevents);
    for (unsigned i = 0; i < e->nevents; i++) {
        const struct span_event *ev = &e->events[i];
        add_u64(to, ev->time);
        body_str(to, ev->name);
        add_attrs(to, e->attrs + ev->first_attr, ev->nattrs);
    }
    add_u16(to, e->nlinks);
    for (unsigned i = 0; i < e->nlinks; i++) {
        const struct span_link *link = &e->links[i];
        add_trace(to, &link->to);
        body_str(to, link->tracestate);
        add_attrs(to, e->attrs + link->first_attr, link->nattrs);
    }
}

static void add_named(struct buf *to, const struct event *e)
{
    body_str(to, e->name);
    add_u16(to, e->nmeasures);
    for (unsigned i = 0; i < e->nmeasures; i++) {
        body_str(to, e->measures[i].key);
        add_f64(to, e->measures[i].value);
    }
    add_attrs(to, e->attrs, e->nattrs);
}

static void add_log(struct buf *to, const struct event *e)
{
    add_u8(to, e->severity);
    body_str(to, e->text);
    add_attrs(to, e->attrs, e->nattrs);
}

static void add_health(struct buf *to, const struct event *e)
{
    add_u8(to, e->state);
    body_str(to, e->name);
    body_str(to, e->text);
    add_attrs(to, e->attrs, e->nattrs);
}

void encode_body(struct buf *to, const struct event *e)
{
    const size_t at = to->n;
    body_start(to, e->time, &e->trace, e->correlation);
    switch (e->kind) {
    case EVENT_SPAN:
        add_span(to, e);
        break;
    case EVENT_NAMED:
        add_named(to, e);
        break;
    case EVENT_LOG:
        add_log(to, e);
        break;
    case EVENT_HEALTH:
        add_health(to, e);
        break;
    }
    if (to->failed)
        to->n = at;
}

void encode_item(struct buf *to, const struct event *e)
{
    const size_t at = to->n;
    add_u32(to, 0);
    encode_body(to, e);
    if (to->failed)
        to->n = at;
    else
        put_u32(to->p + at, (uint32_t)(to->n - at - 4));
}
