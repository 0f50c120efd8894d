#include "client/emit.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "model/text.h"
#include "client/span.h"
#include "wire/body.h"

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

static void ring_bell(struct mcptally *m, struct ring *r)
{
    atomic_store_explicit(&r->bell, true, memory_order_release);
    waker_wake(&m->waker);
}

/* The daemon reads this ring, and sleeps: the session wakes it. Once for each sleep. Or the
 * session reads it again: then it wakes itself. */
static __attribute__((noinline)) void note_sleep(struct mcptally *m, struct ring *r,
                                                 uint32_t asleep)
{
    if (asleep != RING_CAME_HOME)
        r->rung = asleep;
    if (asleep)
        ring_bell(m, r);
}

static inline bool is_away(const struct ring *r)
{
    return atomic_load_explicit(&r->away, memory_order_relaxed);
}

/* After a fence behind what was put into a ring that the daemon reads. */
static inline void look_whether_asleep(struct mcptally *m, struct ring *r)
{
    const uint32_t asleep =
        atomic_load_explicit(&shm_ring_slot(&r->shm)->asleep, memory_order_relaxed);
    if (__builtin_expect(asleep != r->rung, 0))
        note_sleep(m, r, asleep);
}

/* Something was put into the ring, or dropped because it is full; `pressing` when it is half
 * full. */
static inline void published(struct mcptally *m, struct ring *r, bool pressing)
{
    if (__builtin_expect(!is_away(r), 1)) {
        waker_published(&m->waker, pressing);
        return;
    }
    waker_fence(&m->waker);
    look_whether_asleep(m, r);
}

/* The ring is half full: the daemon is told, if it reads it, as its next look may be too late.
 * Not again before as much has been put in as half of what there was room for. */
static void press(struct mcptally *m, struct ring *r)
{
    const uint64_t head = shm_ring_head(&r->shm);
    if (!is_away(r) || head - r->pressed_at < r->shm.mask / 4)
        return;
    r->pressed_at = head;
    ring_bell(m, r);
}

/* Likewise, of a ring of which it is not known how full it is. */
static void published_in(struct mcptally *m, struct ring *r)
{
    const bool pressing = shm_ring_half_full(&r->shm);
    published(m, r, pressing);
    if (pressing)
        press(m, r);
}

/* ---- updates ---- */

/* The thread's first update in a session, or its ring is half full as far as it has looked, or
 * it lies across the end of the memory. Apart, so that all others need neither a call nor a
 * register to be saved. */
static __attribute__((noinline)) void put_slowly(const mcptally_series *s, uint64_t bits)
{
    struct ring *r = emit_ring(s->m);
    if (!r) {
        no_ring(s->m);
        return;
    }
    shm_ring_put_update(&r->shm, s->id, bits);
    published_in(s->m, r);
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
    const uint32_t at = (uint32_t)head & r->shm.mask;
    if (__builtin_expect(head >= r->shm.half || at > r->shm.mask + 1 - SHM_RING_UPDATE, 0)) {
        put_slowly(s, bits);
        return;
    }
    shm_ring_write_update(&r->shm, head, s->id, bits);
    published(m, r, false);
}

/* A small number to a counter, in a ring that the daemon reads. False: it is not that, or
 * takes longer. */
static inline bool put_short(const mcptally_series *s, uint64_t n)
{
    struct mcptally *m = s->m;
    struct ring *r = local.ring;
    if (n >= s->below || __builtin_expect(local.serial != m->serial, 0) ||
        __builtin_expect(!atomic_load_explicit(&r->direct, memory_order_relaxed), 0))
        return false;
    const uint64_t head = atomic_load_explicit(&r->shm.page->head, memory_order_relaxed);
    if (__builtin_expect(head >= r->shm.half, 0))
        return false;
    shm_ring_write_short(&r->shm, head, s->word + (uint32_t)n * SHM_SHORT_IDS);
    atomic_signal_fence(memory_order_seq_cst);
    look_whether_asleep(m, r);
    return true;
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
    if (__builtin_expect(!s, 0) || __builtin_expect(put_short(s, n), 1))
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

void emit_body(struct mcptally *m, enum event_kind kind, const struct buf *b)
{
    if (b->failed) {
        emit_invalid(m);
        return;
    }
    struct ring *r = emit_ring(m);
    if (!r) {
        no_ring(m);
        return;
    }
    shm_ring_put_item(&r->shm, kind, b->p, (uint32_t)b->n);
    published_in(m, r);
}

/* What all items but spans begin with. What the daemon would not take makes the buffer fail,
 * here and below, so that nobody has to look at it again. */
static struct buf *begin(void)
{
    struct buf *b = local_scratch();
    const struct trace_ref trace = span_current();
    body_start(b, local_now().wall, &trace, local_correlation());
    return b;
}

static void add_u8(struct buf *b, unsigned v)
{
    buf_addc(b, (char)v);
}

static void add_name(struct buf *b, const char *name)
{
    const struct str s = str_of(name);
    body_str(b, s);
    b->failed |= !text_name_ok(s);
}

static void add_text(struct buf *b, const char *text, size_t max)
{
    const struct str s = text_cut(str_of(text), max);
    body_str(b, s);
    b->failed |= !text_utf8(s);
}

/* How many there are is written in front of them at the end. */
static void set_count(struct buf *b, size_t at, unsigned n)
{
    if (!b->failed)
        put_u16(b->p + at, (uint16_t)n);
}

static void add_attrs(struct buf *b, const mcptally_label *labels)
{
    const size_t at = b->n;
    unsigned n = 0;
    body_u16(b, 0);
    for (; labels && labels->key && n < LIMIT_ATTRS; labels++, n++) {
        const struct str k = str_of(labels->key), v = text_cut(str_of(labels->value), LIMIT_TEXT);
        body_attr(b, k, ATTR_STRING, v, 0);
        b->failed |= !text_key_ok(k) || !text_utf8(v);
    }
    set_count(b, at, n);
}

static void add_measures(struct buf *b, const mcptally_measure *list)
{
    const size_t at = b->n;
    unsigned n = 0;
    body_u16(b, 0);
    for (; list && list->key && n < LIMIT_MEASURES; list++, n++) {
        const struct str k = str_of(list->key);
        char *p = text_key_ok(k) && isfinite(list->value) ? body_room(b, 2 + k.n + 8) : NULL;
        if (!p) {
            b->failed = true;
            return;
        }
        put_u64(body_write_str(p, k), f64_bits(list->value));
        buf_added(b, 2 + k.n + 8);
    }
    set_count(b, at, n);
}

void mcptally_event(mcptally *m, const char *name, const mcptally_measure *measurements,
                    const mcptally_label *metadata)
{
    if (!m)
        return;
    struct buf *b = begin();
    add_name(b, name);
    add_measures(b, measurements);
    add_attrs(b, metadata);
    emit_body(m, EVENT_NAMED, b);
}

void mcptally_log(mcptally *m, int severity, const char *message, const mcptally_label *attributes)
{
    if (!m)
        return;
    struct buf *b = begin();
    add_u8(b, (unsigned)severity);
    add_text(b, message, LIMIT_BODY);
    add_attrs(b, attributes);
    b->failed |= severity < 1 || severity > 24;
    emit_body(m, EVENT_LOG, b);
}

void mcptally_health(mcptally *m, const char *component, int state, const char *message)
{
    if (!m)
        return;
    struct buf *b = begin();
    add_u8(b, (unsigned)state);
    add_name(b, component);
    add_text(b, message, LIMIT_TEXT);
    body_u16(b, 0); /* attributes */
    b->failed |= state < HEALTH_UNKNOWN || state > HEALTH_UNHEALTHY;
    emit_body(m, EVENT_HEALTH, b);
}

void mcptally_correlation(mcptally *m, const char *id)
{
    struct str s = text_cut(str_of(id), LIMIT_CORRELATION);
    if (!m || !text_name_ok(s))
        s.n = 0;
    local_set_correlation(s);
}
