/* Spans. A span is held by whoever began it until mcptally_span_end(), and by the
 * stack of the thread that began it, which makes it the parent of what follows.
 * It may end on another thread: the stack then finds it ended, and lets go. */
#include "client/span.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/emit.h"
#include "model/text.h"
#include "client/traceparent.h"

enum { FLAG_SAMPLED = 1, BAGGAGE_MAX = 8192 };

/* Text by its place in `text`, which moves as it grows. */
struct piece {
    uint32_t at, n;
};

struct span_attr {
    struct piece key, text;
    enum attr_type type;
    union {
        int64_t i;
        double d;
    };
};

struct mcptally_span {
    _Atomic int holders;
    _Atomic bool ended;
    mcptally_span *outer; /* on the thread's stack */
    mcptally *m;
    struct trace_ref trace;
    uint8_t parent[8];
    unsigned flags;
    int kind;
    bool failed;
    uint64_t start, end; /* wall clock, ns; end 0: to be taken from `began` */
    uint64_t began;      /* CLOCK_BOOTTIME */
    struct buf text;
    char *tracestate, *baggage; /* NULL: none */
    struct piece name, message, correlation;
    unsigned nattrs, nevents;
    struct span_attr attrs[LIMIT_ATTRS];
    struct {
        uint64_t time;
        struct piece name;
    } events[LIMIT_SPAN_EVENTS];
};

static void let_go(mcptally_span *s)
{
    if (atomic_fetch_sub_explicit(&s->holders, 1, memory_order_acq_rel) > 1)
        return;
    buf_fini(&s->text);
    free(s->tracestate);
    free(s->baggage);
    free(s);
}

/* ---- the thread's stack ---- */

static mcptally_span *innermost(void)
{
    while (local.span && atomic_load_explicit(&local.span->ended, memory_order_acquire)) {
        mcptally_span *s = local.span;
        local.span = s->outer;
        let_go(s);
    }
    return local.span;
}

static void push(mcptally_span *s)
{
    (void)local_note(); /* else the stack would not be let go of */
    s->outer = local.span;
    local.span = s;
}

struct trace_ref span_current(void)
{
    const mcptally_span *s = innermost();
    return s ? s->trace : (struct trace_ref){0};
}

void span_thread_ended(void)
{
    while (local.span) {
        mcptally_span *s = local.span;
        local.span = s->outer;
        let_go(s);
    }
}

/* ---- text ---- */

static struct piece keep(mcptally_span *s, struct str t)
{
    const struct piece p = {(uint32_t)s->text.n, (uint32_t)t.n};
    buf_addstr(&s->text, t);
    return s->text.failed ? (struct piece){0} : p;
}

static struct str text_of(const mcptally_span *s, struct piece p)
{
    return p.n > 0 ? (struct str){s->text.p + p.at, p.n} : (struct str){NULL, 0};
}

/* ---- the beginning ---- */

static void set_parent(mcptally_span *s, const char *traceparent)
{
    struct trace_ref from;
    if (traceparent) {
        if (traceparent_parse(traceparent, &from, &s->flags)) {
            memcpy(s->trace.trace_id, from.trace_id, sizeof from.trace_id);
            memcpy(s->parent, from.span_id, sizeof from.span_id);
            return;
        }
    } else if (innermost()) {
        memcpy(s->trace.trace_id, local.span->trace.trace_id, sizeof from.trace_id);
        memcpy(s->parent, local.span->trace.span_id, sizeof from.span_id);
        s->flags = local.span->flags;
        return;
    }
    local_random(s->trace.trace_id, sizeof s->trace.trace_id);
    s->flags = FLAG_SAMPLED;
}

/* What goes on with the trace besides its ids; what memory is out for is left out. */
static void carry(mcptally_span *s, const mcptally_span *outer, const char *tracestate)
{
    if (tracestate && strlen(tracestate) > LIMIT_TRACESTATE)
        tracestate = NULL; /* half of one says something else than the whole */
    if (!tracestate && outer)
        tracestate = outer->tracestate;
    if (tracestate && *tracestate)
        s->tracestate = strdup(tracestate);
    if (outer && outer->baggage)
        s->baggage = strdup(outer->baggage);
}

mcptally_span *mcptally_span_start(mcptally *m, const char *name, int kind, const char *traceparent,
                                   const char *tracestate)
{
    mcptally_span *s = m ? malloc(sizeof *s) : NULL;
    if (!s)
        return NULL;
    const struct when now = clock_now();
    memset(s, 0, offsetof(mcptally_span, attrs));
    atomic_init(&s->holders, 2);
    s->m = m;
    s->kind = kind < SPAN_INTERNAL || kind > SPAN_CONSUMER ? SPAN_INTERNAL : kind;
    s->start = now.wall;
    s->began = now.mono;
    buf_init(&s->text, LIMIT_ITEM);
    set_parent(s, traceparent);
    push(s);
    local_random(s->trace.span_id, sizeof s->trace.span_id);
    s->name = keep(s, str_of(name));
    carry(s, traceparent ? NULL : s->outer, tracestate);
    s->correlation = keep(s, local_correlation());
    return s;
}

void span_become(mcptally_span *s, const char *traceparent)
{
    struct trace_ref own;
    unsigned flags;
    if (s && traceparent_parse(traceparent, &own, &flags))
        s->trace = own;
}

/* ---- attributes ---- */

/* The attribute of that key, new or to be replaced; NULL when it cannot be had. */
static struct span_attr *attr_of(mcptally_span *s, const char *key)
{
    const struct str k = str_of(key);
    if (!s || !text_key_ok(k))
        return NULL;
    for (unsigned i = 0; i < s->nattrs; i++)
        if (str_eq(text_of(s, s->attrs[i].key), k))
            return &s->attrs[i];
    if (s->nattrs == LIMIT_ATTRS)
        return NULL;
    struct span_attr *a = &s->attrs[s->nattrs++];
    *a = (struct span_attr){.key = keep(s, k)};
    return a;
}

void mcptally_span_attr(mcptally_span *s, const char *key, const char *value)
{
    const struct str v = text_cut(str_of(value), LIMIT_TEXT);
    struct span_attr *a = text_utf8(v) ? attr_of(s, key) : NULL;
    if (!a)
        return;
    a->type = ATTR_STRING;
    a->text = keep(s, v);
    a->i = 0;
}

void mcptally_span_attr_i64(mcptally_span *s, const char *key, int64_t value)
{
    struct span_attr *a = attr_of(s, key);
    if (!a)
        return;
    a->type = ATTR_I64;
    a->i = value;
}

void mcptally_span_attr_f64(mcptally_span *s, const char *key, double value)
{
    struct span_attr *a = isfinite(value) ? attr_of(s, key) : NULL;
    if (!a)
        return;
    a->type = ATTR_F64;
    a->d = value;
}

void mcptally_span_event(mcptally_span *s, const char *name)
{
    const struct str n = str_of(name);
    if (!s || !text_name_ok(n) || s->nevents == LIMIT_SPAN_EVENTS)
        return;
    s->events[s->nevents].time = emit_now();
    s->events[s->nevents++].name = keep(s, n);
}

void mcptally_span_error(mcptally_span *s, const char *type, const char *message)
{
    if (!s)
        return;
    const struct str text = text_cut(str_of(message), LIMIT_TEXT);
    s->failed = true;
    mcptally_span_attr(s, "error.type", type ? type : "_OTHER");
    s->message = keep(s, text_utf8(text) ? text : (struct str){NULL, 0});
}

void mcptally_span_times(mcptally_span *s, uint64_t start, uint64_t end)
{
    if (!s)
        return;
    if (start)
        s->start = start;
    if (end)
        s->end = end;
}

void mcptally_span_context(const mcptally_span *s, char traceparent[56])
{
    static const struct trace_ref none;
    traceparent_format(traceparent, s ? &s->trace : &none, s ? s->flags : 0);
}

const char *mcptally_span_tracestate(const mcptally_span *s)
{
    return s && s->tracestate ? s->tracestate : "";
}

/* ---- baggage ---- */

const char *mcptally_span_baggage(const mcptally_span *s)
{
    return s && s->baggage ? s->baggage : "";
}

/* The form of the header: printable ASCII without quotes or backslash, each member a
 * key and a value. Only so much that it cannot become another header. */
static bool is_baggage(const char *text)
{
    bool assigned = false;
    for (const char *p = text;; p++) {
        if (*p == '\0' || *p == ',') {
            if (!assigned)
                return false;
            if (*p == '\0')
                return p - text <= BAGGAGE_MAX;
            assigned = false;
        } else if ((*p < ' ' && *p != '\t') || *p > '~' || *p == '"' || *p == '\\') {
            return false;
        }
        assigned |= *p == '=';
    }
}

int mcptally_span_set_baggage(mcptally_span *s, const char *baggage)
{
    if (!s)
        return 0;
    free(s->baggage);
    s->baggage = NULL;
    if (!baggage || !*baggage)
        return 0;
    if (!is_baggage(baggage)) {
        errno = EINVAL;
        return -1;
    }
    s->baggage = strdup(baggage);
    return s->baggage ? 0 : -1;
}

/* ---- the end ---- */

static void fill_event(const mcptally_span *s, struct event *e)
{
    e->kind = EVENT_SPAN;
    e->time = s->start;
    e->end = s->end < s->start ? s->start : s->end;
    e->trace = s->trace;
    memcpy(e->parent_id, s->parent, sizeof s->parent);
    e->span_kind = (enum span_kind)s->kind;
    e->status = s->failed ? SPAN_ERROR : SPAN_UNSET;
    e->span_flags = s->flags;
    e->name = text_of(s, s->name);
    e->text = text_of(s, s->message);
    e->tracestate = str_of(s->tracestate);
    e->correlation = text_of(s, s->correlation);
    e->nattrs = e->all_attrs = s->nattrs;
    for (unsigned i = 0; i < s->nattrs; i++) {
        const struct span_attr *a = &s->attrs[i];
        e->attrs[i] = (struct attr){
            .key = text_of(s, a->key),
            .type = a->type,
            .s = text_of(s, a->text),
            .i = a->i, /* or d: the same 64 bits */
        };
    }
    e->nevents = s->nevents;
    for (unsigned i = 0; i < s->nevents; i++)
        e->events[i] = (struct span_event){
            .time = s->events[i].time,
            .name = text_of(s, s->events[i].name),
        };
    e->nlinks = 0;
}

void mcptally_span_end(mcptally_span *s)
{
    struct event e;
    if (!s)
        return;
    if (s->end == 0)
        s->end = s->start + (clock_now().mono - s->began);
    if (s->text.failed) {
        emit_invalid(s->m); /* longer than an item may be */
    } else {
        fill_event(s, &e);
        emit_item(s->m, &e);
    }
    atomic_store_explicit(&s->ended, true, memory_order_release);
    let_go(s);
    (void)innermost();
}
