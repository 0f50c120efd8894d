/* Spans. A span is held by whoever began it until mcptally_span_end(), and by the
 * stack of the thread that began it, which makes it the parent of what follows.
 * It may end on another thread: the stack then finds it ended, and lets go. */
#include "client/span.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/emit.h"
#include "client/span_body.h"
#include "client/traceparent.h"

enum {
    FLAG_SAMPLED = 1,
    BAGGAGE_MAX = 8192,
    SPARE_MAX = 8, /* ended spans whose memory a thread keeps for its next ones */
};

/* Who has let go of a span; the other one frees it. */
enum { GONE_ENDED = 1, GONE_THREAD = 2 };

struct mcptally_span {
    mcptally_span *outer;         /* on the thread's stack; the next that is spare */
    _Atomic(struct local *) home; /* of the thread on whose stack it is; NULL: it has ended */
    _Atomic unsigned gone;
    mcptally *m;
    struct trace_ref trace;
    uint8_t parent[8];
    unsigned flags;
    int kind;
    bool failed;
    uint64_t start, end; /* wall clock, ns; end 0: to be taken from `began` */
    uint64_t began;      /* CLOCK_BOOTTIME */
    char *baggage;       /* NULL: none */
    char tracestate[LIMIT_TRACESTATE + 1];
    struct span_body body;
};

/* ---- memory ---- */

static mcptally_span *take(void)
{
    mcptally_span *s = local.spare;
    if (!s)
        return calloc(1, sizeof *s);
    local.spare = s->outer;
    local.nspare--;
    return s;
}

static void free_span(mcptally_span *s)
{
    span_body_fini(&s->body);
    free(s);
}

/* Nobody holds it any more. */
static void release(mcptally_span *s)
{
    if (s->baggage) {
        free(s->baggage);
        s->baggage = NULL;
    }
    if (local.nspare == SPARE_MAX || !local_note()) {
        free_span(s);
        return;
    }
    span_body_trim(&s->body);
    s->outer = local.spare;
    local.spare = s;
    local.nspare++;
}

static void let_go(mcptally_span *s, unsigned who)
{
    if (atomic_fetch_or_explicit(&s->gone, who, memory_order_acq_rel) != 0)
        release(s);
}

/* ---- the thread's stack ---- */

static mcptally_span *innermost(void)
{
    mcptally_span *s = local.span;
    while (s && atomic_load_explicit(&s->gone, memory_order_acquire)) {
        local.span = s->outer;
        release(s);
        s = local.span;
    }
    return s;
}

static void push(mcptally_span *s)
{
    (void)local_note(); /* else the stack would not be let go of */
    s->outer = innermost();
    local.span = s;
    atomic_store_explicit(&s->home, &local, memory_order_relaxed);
    atomic_store_explicit(&s->gone, 0, memory_order_relaxed);
}

/* It has ended. Its own thread needs nobody's leave. */
static void pull(mcptally_span *s)
{
    if (atomic_load_explicit(&s->home, memory_order_relaxed) != &local) {
        let_go(s, GONE_ENDED);
    } else if (local.span == s) {
        local.span = s->outer;
        release(s);
    } else {
        atomic_store_explicit(&s->gone, GONE_ENDED, memory_order_relaxed);
    }
    (void)innermost();
}

struct trace_ref span_current(void)
{
    const mcptally_span *s = innermost();
    return s ? s->trace : (struct trace_ref){0};
}

/* Another thread may have this one's memory later, and the spans are not its own. */
void span_thread_ended(void)
{
    mcptally_span *s;
    while ((s = local.span)) {
        local.span = s->outer;
        atomic_store_explicit(&s->home, NULL, memory_order_relaxed);
        let_go(s, GONE_THREAD);
    }
    while ((s = local.spare)) {
        local.spare = s->outer;
        free_span(s);
    }
    local.nspare = 0;
}

/* ---- the beginning ---- */

/* The context that it continues; false when it begins a trace. */
static bool find_parent(const mcptally_span *s, const char *traceparent, struct trace_ref *from,
                        unsigned *flags)
{
    if (traceparent)
        return traceparent_parse(traceparent, from, flags);
    if (!s->outer)
        return false;
    *from = s->outer->trace;
    *flags = s->outer->flags;
    return true;
}

static void set_parent(mcptally_span *s, const char *traceparent)
{
    struct trace_ref from;
    put_u64(s->trace.span_id, local_random());
    if (find_parent(s, traceparent, &from, &s->flags)) {
        memcpy(s->trace.trace_id, from.trace_id, sizeof from.trace_id);
        memcpy(s->parent, from.span_id, sizeof from.span_id);
    } else {
        put_u64(s->trace.trace_id, local_random());
        put_u64(s->trace.trace_id + 8, local_random());
        memset(s->parent, 0, sizeof s->parent);
        s->flags = FLAG_SAMPLED;
    }
}

/* What goes on with the trace besides its ids; what memory is out for is left out. Returns the
 * bytes of the tracestate. */
static size_t carry(mcptally_span *s, const mcptally_span *outer, const char *tracestate)
{
    size_t n = tracestate ? strlen(tracestate) : 0;
    if (n > LIMIT_TRACESTATE) { /* half of one says something else than the whole */
        tracestate = NULL;
        n = 0;
    }
    if (!tracestate && outer) {
        tracestate = outer->tracestate;
        n = strlen(tracestate);
    }
    if (n > 0)
        memcpy(s->tracestate, tracestate, n);
    s->tracestate[n] = '\0';
    if (outer && outer->baggage)
        s->baggage = strdup(outer->baggage);
    return n;
}

mcptally_span *mcptally_span_start(mcptally *m, const char *name, int kind, const char *traceparent,
                                   const char *tracestate)
{
    mcptally_span *s = m ? take() : NULL;
    if (!s)
        return NULL;
    const struct when now = local_now();
    s->m = m;
    s->kind = kind < SPAN_INTERNAL || kind > SPAN_CONSUMER ? SPAN_INTERNAL : kind;
    s->failed = false;
    s->start = now.wall;
    s->end = 0;
    s->began = now.mono;
    push(s);
    set_parent(s, traceparent);
    const size_t n = carry(s, traceparent ? NULL : s->outer, tracestate);
    span_body_begin(&s->body, str_of(name), (struct str){s->tracestate, n}, local_correlation());
    return s;
}

void span_become(mcptally_span *s, const char *traceparent)
{
    struct trace_ref own;
    unsigned flags;
    if (s && traceparent_parse(traceparent, &own, &flags))
        s->trace = own;
}

/* ---- what is said of it ---- */

void mcptally_span_attr(mcptally_span *s, const char *key, const char *value)
{
    if (s)
        span_body_text(&s->body, key, value);
}

void mcptally_span_attr_i64(mcptally_span *s, const char *key, int64_t value)
{
    if (s)
        span_body_number(&s->body, key, ATTR_I64, (uint64_t)value);
}

void mcptally_span_attr_f64(mcptally_span *s, const char *key, double value)
{
    if (s && isfinite(value))
        span_body_number(&s->body, key, ATTR_F64, f64_bits(value));
}

void mcptally_span_event(mcptally_span *s, const char *name)
{
    if (s)
        span_body_event(&s->body, local_now().wall, name);
}

void mcptally_span_error(mcptally_span *s, const char *type, const char *message)
{
    if (!s)
        return;
    s->failed = true;
    span_body_text(&s->body, "error.type", type ? type : "_OTHER");
    span_body_message(&s->body, message);
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
    return s ? s->tracestate : "";
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

void span_end_at(mcptally_span *s, uint64_t mono)
{
    if (s->end == 0)
        s->end = s->start + (mono - s->began);
    const struct span_facts facts = {
        .start = s->start,
        .end = s->end < s->start ? s->start : s->end,
        .trace = s->trace,
        .parent = s->parent,
        .kind = (enum span_kind)s->kind,
        .status = s->failed ? SPAN_ERROR : SPAN_UNSET,
        .flags = s->flags,
    };
    span_body_end(&s->body, &facts);
    emit_body(s->m, EVENT_SPAN, &s->body.b);
    pull(s);
}

void mcptally_span_end(mcptally_span *s)
{
    if (s)
        span_end_at(s, clock_mono());
}
