#include "client/emit.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "model/text.h"
#include "client/span.h"
#include "wire/encode.h"

static void no_ring(struct mcptally *m)
{
    atomic_fetch_add_explicit(&m->homeless, 1, memory_order_relaxed);
}

void emit_invalid(struct mcptally *m)
{
    struct ring *r = emit_ring(m);
    if (!r) {
        no_ring(m);
        return;
    }
    shm_ring_count(&r->shm.page->invalid, 1);
}

/* ---- waking ---- */

/* The daemon reads this ring, and sleeps: the session wakes it. Once for each sleep. */
static __attribute__((noinline)) void ring_bell(struct mcptally *m, struct ring *r, uint32_t asleep)
{
    r->rung = asleep;
    if (asleep == 0)
        return;
    atomic_store_explicit(&r->bell, true, memory_order_release);
    waker_wake(&m->waker);
}

/* Something was put into the ring, or dropped because it is full; `pressing` when it is half
 * full. */
static inline void published(struct mcptally *m, struct ring *r, bool pressing)
{
    if (__builtin_expect(!atomic_load_explicit(&r->away, memory_order_relaxed), 1)) {
        waker_published(&m->waker, pressing);
        return;
    }
    waker_fence(&m->waker);
    const uint32_t asleep =
        atomic_load_explicit(&shm_ring_slot(&r->shm)->asleep, memory_order_relaxed);
    if (__builtin_expect(asleep != r->rung, 0))
        ring_bell(m, r, asleep);
}

/* ---- updates ---- */

/* The thread's first update in a session, or its ring is half full as far as it has looked.
 * Apart, so that all others need neither a call nor a register to be saved. */
static __attribute__((noinline)) void put_slowly(const mcptally_series *s, uint64_t bits)
{
    struct ring *r = emit_ring(s->m);
    if (!r) {
        no_ring(s->m);
        return;
    }
    shm_ring_put_update(&r->shm, s->id, bits);
    published(s->m, r, shm_ring_half_full(&r->shm));
}

static inline void put(const mcptally_series *s, uint64_t bits)
{
    struct mcptally *m = s->m;
    struct ring *r = local.ring; /* there is one when the session is its own */
    if (__builtin_expect(local.serial != m->serial, 0)) {
        put_slowly(s, bits);
        return;
    }
    const uint64_t head = atomic_load_explicit(&r->shm.page->head, memory_order_relaxed);
    if (__builtin_expect(head + SHM_RING_UPDATE - r->shm.tail_seen > r->shm.mask / 2, 0)) {
        put_slowly(s, bits);
        return;
    }
    shm_ring_write_update(&r->shm, head, s->id, bits);
    published(m, r, false);
}

static inline void put_double(mcptally_series *s, double v, bool ok)
{
    if (__builtin_expect(ok && isfinite(v), 1))
        put(s, f64_bits(v));
    else
        emit_invalid(s->m);
}

void mcptally_add(mcptally_series *s, uint64_t n)
{
    if (!s)
        return;
    if (s->kind == METRIC_COUNTER)
        put(s, s->type == VALUE_U64 ? n : f64_bits((double)n));
    else
        emit_invalid(s->m);
}

void mcptally_addf(mcptally_series *s, double n)
{
    if (s)
        put_double(s, n, s->kind == METRIC_COUNTER && s->type == VALUE_F64 && n >= 0);
}

void mcptally_set(mcptally_series *s, double value)
{
    if (s)
        put_double(s, value, s->kind == METRIC_GAUGE);
}

void mcptally_observe(mcptally_series *s, double value)
{
    if (s)
        put_double(s, value, s->kind == METRIC_HISTOGRAM || s->kind == METRIC_SUMMARY);
}

/* ---- items ---- */

uint64_t emit_now(void)
{
    return clock_now().wall;
}

/* Whether the daemon will take it: its own decoder says. */
static bool good(enum event_kind kind, const struct buf *b)
{
    struct event e;
    return !b->failed && decode_body(kind, (const uint8_t *)b->p, b->n, &e) == 0;
}

void emit_item(struct mcptally *m, const struct event *e)
{
    struct buf *b = local_scratch();
    encode_body(b, e);
    if (!good(e->kind, b)) {
        emit_invalid(m);
        return;
    }
    struct ring *r = emit_ring(m);
    if (!r) {
        no_ring(m);
        return;
    }
    shm_ring_put_item(&r->shm, e->kind, b->p, (uint32_t)b->n);
    published(m, r, shm_ring_half_full(&r->shm));
}

void emit_attrs(struct event *e, const mcptally_label *labels)
{
    for (; labels && labels->key && e->nattrs < LIMIT_ATTRS; labels++)
        e->attrs[e->nattrs++] = (struct attr){
            .key = str_of(labels->key),
            .type = ATTR_STRING,
            .s = text_cut(str_of(labels->value), LIMIT_TEXT),
        };
    e->all_attrs = e->nattrs;
}

void emit_context(struct event *e)
{
    e->correlation = local_correlation();
    e->trace = span_current();
}

/* What all items but spans begin with. The arrays stay as they are. */
static void begin(struct event *e, enum event_kind kind)
{
    e->kind = kind;
    e->time = emit_now();
    e->name = e->text = (struct str){NULL, 0};
    e->nattrs = e->all_attrs = 0;
    emit_context(e);
}

void mcptally_event(mcptally *m, const char *name, const mcptally_measure *measurements,
                    const mcptally_label *metadata)
{
    struct event e;
    if (!m)
        return;
    begin(&e, EVENT_NAMED);
    e.name = str_of(name);
    e.nmeasures = 0;
    for (; measurements && measurements->key && e.nmeasures < LIMIT_MEASURES; measurements++)
        e.measures[e.nmeasures++] =
            (struct measure){str_of(measurements->key), measurements->value};
    emit_attrs(&e, metadata);
    emit_item(m, &e);
}

void mcptally_log(mcptally *m, int severity, const char *message, const mcptally_label *attributes)
{
    struct event e;
    if (!m)
        return;
    begin(&e, EVENT_LOG);
    e.severity = severity < 1 || severity > 24 ? 0 : (unsigned)severity; /* 0 is invalid */
    e.text = text_cut(str_of(message), LIMIT_BODY);
    emit_attrs(&e, attributes);
    emit_item(m, &e);
}

void mcptally_health(mcptally *m, const char *component, int state, const char *message)
{
    struct event e;
    if (!m)
        return;
    if (state < HEALTH_UNKNOWN || state > HEALTH_UNHEALTHY) {
        emit_invalid(m);
        return;
    }
    begin(&e, EVENT_HEALTH);
    e.state = (enum health_state)state;
    e.name = str_of(component);
    e.text = text_cut(str_of(message), LIMIT_TEXT);
    emit_item(m, &e);
}

void mcptally_correlation(mcptally *m, const char *id)
{
    struct str s = text_cut(str_of(id), LIMIT_CORRELATION);
    if (!m || !text_name_ok(s))
        s.n = 0;
    local_set_correlation(s);
}
