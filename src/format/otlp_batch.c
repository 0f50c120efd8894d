#include "format/otlp_batch.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "format/otlp_event.h"
#include "otlp/field.h"
#include "otlp/put.h"
#include "wire/decode.h"

enum { HEAD_MAX = 6 }; /* bytes of a tag and a length */
#define NONE SIZE_MAX

int otlp_batch_init(struct otlp_batch *b, enum otlp_signal signal, size_t max_items,
                    size_t max_bytes)
{
    assert(max_items > 0 && max_bytes < PUT_OPEN_MAX);
    *b = (struct otlp_batch){.signal = signal, .max_items = max_items, .max_bytes = max_bytes};
    const size_t most = max_bytes + 4 * LIMIT_RECORD; /* the one item that is always taken */
    buf_init(&b->arena, most);
    buf_init(&b->request, most);
    buf_init(&b->own, 2 * LIMIT_RECORD);
    buf_init(&b->item, 2 * LIMIT_RECORD);
    buf_init(&b->tracestate, LIMIT_RECORD);
    b->entries = calloc(max_items, sizeof *b->entries);
    b->event = malloc(sizeof *b->event);
    if (b->entries && b->event)
        return 0;
    otlp_batch_fini(b);
    return -ERR_NOMEM;
}

void otlp_batch_fini(struct otlp_batch *b)
{
    buf_fini(&b->arena);
    buf_fini(&b->request);
    buf_fini(&b->own);
    buf_fini(&b->item);
    buf_fini(&b->tracestate);
    free(b->entries);
    free(b->event);
    b->entries = NULL;
    b->event = NULL;
}

void otlp_batch_reset(struct otlp_batch *b)
{
    buf_reset(&b->arena);
    b->items = 0;
    b->bytes = 0;
    b->ngroups = 0;
    b->newest = 0;
}

static struct str text(const struct otlp_batch *b, struct otlp_batch_place at)
{
    return at.n ? (struct str){b->arena.p + at.at, at.n} : (struct str){NULL, 0};
}

static struct otlp_batch_place keep(struct otlp_batch *b, struct str s)
{
    const struct otlp_batch_place at = {b->arena.n, s.n};
    buf_addstr(&b->arena, s);
    return at;
}

/* ---- what a record is, in parts ---- */

/* The newest tracestate of a span, and the span without any, in b->item. */
static int without_tracestate(struct otlp_batch *b, struct str span, struct str *tracestate)
{
    struct fields r = fields_of(span);
    struct field f;
    const uint8_t *from = r.p, *at;
    *tracestate = (struct str){NULL, 0};
    buf_reset(&b->item);
    for (at = fields_pass_short(&r, 3); fields_next(&r, &f); at = fields_pass_short(&r, 3)) {
        if (f.tag != FIELD(3, BYTES))
            continue;
        buf_add(&b->item, from, (size_t)(at - from));
        from = r.p;
        *tracestate = f.s;
    }
    at = r.p;
    buf_add(&b->item, from, (size_t)(at - from));
    return r.err != 0 ? -ERR_SYNTAX : 0;
}

/* The tracestate that goes out with a span, in b->tracestate when it is changed. */
static struct str tracestate(struct otlp_batch *b, struct str own, const struct otlp_batch_how *how)
{
    if (!how->write)
        return own;
    buf_reset(&b->tracestate);
    tracestate_with(&b->tracestate, own, how->threshold);
    return buf_str(&b->tracestate);
}

static int otlp_parts(struct otlp_batch *b, const struct ring_view *v,
                      const struct otlp_batch_how *how, struct otlp_batch_parts *out)
{
    struct str own;
    if (otlp_part(v->body, &out->resource, &out->scope, &out->item) < 0)
        return -ERR_SYNTAX;
    if (b->signal != OTLP_TRACES || !how->write)
        return 0;
    if (without_tracestate(b, out->item, &own) < 0)
        return -ERR_SYNTAX;
    put_text(&b->item, 3, tracestate(b, own, how));
    out->item = buf_str(&b->item);
    return b->item.failed || b->tracestate.failed ? -ERR_NOMEM : 0;
}

static int own_parts(struct otlp_batch *b, const struct ring_view *v,
                     const struct otlp_batch_how *how, struct otlp_batch_parts *out)
{
    struct event *e = b->event;
    if (decode_body((enum event_kind)v->kind, (const uint8_t *)v->body.p, v->body.n, e) < 0)
        return -ERR_SYNTAX;
    buf_reset(&b->own);
    otlp_put_resource(&b->own, v->service, how->instance);
    const size_t scope = b->own.n;
    otlp_put_scope(&b->own);
    buf_reset(&b->item);
    if (v->kind == EVENT_SPAN)
        otlp_put_span(&b->item, e, tracestate(b, e->tracestate, how));
    else
        otlp_put_log(&b->item, e, v->received);
    out->resource = (struct str){b->own.p, scope};
    out->scope = (struct str){b->own.p + scope, b->own.n - scope};
    out->item = buf_str(&b->item);
    return b->own.failed || b->item.failed || b->tracestate.failed ? -ERR_NOMEM : 0;
}

static int take_apart(struct otlp_batch *b, const struct ring_view *v,
                      const struct otlp_batch_how *how, struct otlp_batch_parts *out)
{
    static const struct {
        unsigned kind;
        enum otlp_signal signal;
        int (*parts)(struct otlp_batch *, const struct ring_view *, const struct otlp_batch_how *,
                     struct otlp_batch_parts *);
    } kinds[] = {
        {EVENT_SPAN, OTLP_TRACES, own_parts},     {EVENT_LOG, OTLP_LOGS, own_parts},
        {EVENT_NAMED, OTLP_LOGS, own_parts},      {RECORD_OTLP_SPAN, OTLP_TRACES, otlp_parts},
        {RECORD_OTLP_LOG, OTLP_LOGS, otlp_parts}, {RECORD_OTLP_METRIC, OTLP_METRICS, otlp_parts},
    };
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == v->kind && kinds[i].signal == b->signal)
            return kinds[i].parts(b, v, how, out);
    return -ERR_NOTFOUND;
}

/* ---- groups ---- */

static bool is_group(const struct otlp_batch *b, const struct otlp_batch_group *g,
                     const struct otlp_batch_parts *p, const uint64_t hash[2])
{
    return g->resource_hash == hash[0] && g->scope_hash == hash[1] &&
           str_eq(text(b, g->resource), p->resource) && str_eq(text(b, g->scope), p->scope);
}

/* The group of these parts; ngroups when there is none. */
static unsigned find_group(const struct otlp_batch *b, const struct otlp_batch_parts *p,
                           const uint64_t hash[2])
{
    if (b->newest < b->ngroups && is_group(b, &b->group[b->newest], p, hash))
        return b->newest;
    unsigned i = 0;
    while (i < b->ngroups && !is_group(b, &b->group[i], p, hash))
        i++;
    return i;
}

/* What a request grows by at most with a new group: its resource and scope, and heads. */
static size_t group_cost(const struct otlp_batch_parts *p)
{
    return p->resource.n + p->scope.n + 2 * (size_t)HEAD_MAX;
}

static void make_group(struct otlp_batch *b, const struct otlp_batch_parts *p,
                       const uint64_t hash[2])
{
    b->group[b->ngroups++] = (struct otlp_batch_group){
        .resource_hash = hash[0],
        .scope_hash = hash[1],
        .resource = keep(b, p->resource),
        .scope = keep(b, p->scope),
        .first = NONE,
        .last = NONE,
    };
}

static void link_item(struct otlp_batch *b, struct otlp_batch_group *g, struct str item)
{
    const size_t i = b->items++;
    b->entries[i] = (struct otlp_batch_entry){keep(b, item), NONE};
    if (g->last == NONE)
        g->first = i;
    else
        b->entries[g->last].next = i;
    g->last = i;
    g->size += 1 + put_varint_size(item.n) + item.n;
}

int otlp_batch_put(struct otlp_batch *b, const struct otlp_batch_parts *p)
{
    const uint64_t hash[2] = {hash_bytes(p->resource.p, p->resource.n, 1),
                              hash_bytes(p->scope.p, p->scope.n, 2)};
    const unsigned group = find_group(b, p, hash);
    const size_t cost = HEAD_MAX + p->item.n + (group == b->ngroups ? group_cost(p) : 0);
    if (b->items == b->max_items || group == OTLP_BATCH_GROUPS ||
        (b->items > 0 && b->bytes + cost > b->max_bytes))
        return 0;
    if (!buf_room(&b->arena, cost)) { /* for all that is kept now */
        b->arena.failed = false;
        return -ERR_NOMEM;
    }
    if (group == b->ngroups)
        make_group(b, p, hash);
    link_item(b, &b->group[group], p->item);
    b->newest = group;
    b->bytes += cost;
    return 1;
}

int otlp_batch_add(struct otlp_batch *b, const struct ring_view *record,
                   const struct otlp_batch_how *how)
{
    static const struct otlp_batch_how plain = {0};
    struct otlp_batch_parts p;
    const int e = take_apart(b, record, how ? how : &plain, &p);
    return e < 0 ? e : otlp_batch_put(b, &p);
}

/* ---- the request ---- */

static size_t scope_size(const struct otlp_batch_group *g)
{
    return g->scope.n + g->size;
}

static bool same_resource(const struct otlp_batch *b, const struct otlp_batch_group *x,
                          const struct otlp_batch_group *y)
{
    return x->resource_hash == y->resource_hash &&
           str_eq(text(b, x->resource), text(b, y->resource));
}

static void write_scope(struct otlp_batch *b, struct otlp_batch_group *g)
{
    put_head(&b->request, 2, scope_size(g));
    buf_addstr(&b->request, text(b, g->scope));
    for (size_t i = g->first; i != NONE; i = b->entries[i].next)
        put_bytes(&b->request, 2, text(b, b->entries[i].item));
    g->written = true;
}

/* The Resource* of a group, with all scopes of that resource. */
static void write_resource(struct otlp_batch *b, unsigned first)
{
    size_t size = b->group[first].resource.n;
    for (unsigned i = first; i < b->ngroups; i++)
        if (same_resource(b, &b->group[first], &b->group[i]))
            size += 1 + put_varint_size(scope_size(&b->group[i])) + scope_size(&b->group[i]);
    put_head(&b->request, 1, size);
    buf_addstr(&b->request, text(b, b->group[first].resource));
    for (unsigned i = first; i < b->ngroups; i++)
        if (same_resource(b, &b->group[first], &b->group[i]))
            write_scope(b, &b->group[i]);
}

int otlp_batch_end(struct otlp_batch *b, struct str *request, size_t *items)
{
    buf_reset(&b->request);
    buf_reserve(&b->request, b->bytes);
    for (unsigned i = 0; i < b->ngroups; i++)
        b->group[i].written = false;
    for (unsigned i = 0; i < b->ngroups; i++)
        if (!b->group[i].written)
            write_resource(b, i);
    if (b->request.failed)
        return -ERR_NOMEM;
    *request = buf_str(&b->request);
    if (items)
        *items = b->items;
    otlp_batch_reset(b);
    return 0;
}

char *otlp_batch_steal(struct otlp_batch *b)
{
    char *bytes = b->request.p;
    buf_init(&b->request, b->request.max);
    return bytes;
}
