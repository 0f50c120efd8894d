#include "client/span_body.h"

#include "model/text.h"

enum { KEEP = 2048 }; /* bytes of memory that a buffer holds on to for the next span */

/* ---- life ---- */

void span_body_begin(struct span_body *s, struct str name, struct str tracestate,
                     struct str correlation)
{
    const size_t fixed = BODY_CORRELATION + BODY_SPAN_FIXED + (4 + 1) * sizeof(uint16_t);
    const size_t n = fixed + correlation.n + name.n + tracestate.n; /* up to the attributes */
    struct buf *b = &s->b;
    b->max = s->events.max = LIMIT_ITEM;
    buf_reset(b);
    buf_reset(&s->events);
    s->nattrs = s->nevents = 0;
    b->failed = !text_name_ok(name) || !text_line_ok(tracestate);
    char *p = body_room(b, n);
    if (!p)
        return;
    buf_added(b, n);
    p = body_write_str(p + BODY_CORRELATION, correlation);
    s->fixed = (uint16_t)(p - b->p);
    p = body_write_str(p + BODY_SPAN_FIXED, name);
    s->message = (uint16_t)(p - b->p);
    p = body_write_str(p, (struct str){NULL, 0});
    (void)body_write_str(p, tracestate);
    s->attrs = (uint16_t)n;
}

void span_body_fini(struct span_body *s)
{
    buf_fini(&s->b);
    buf_fini(&s->events);
}

void span_body_trim(struct span_body *s)
{
    if (s->b.cap > KEEP)
        buf_fini(&s->b);
    if (s->events.cap > KEEP)
        buf_fini(&s->events);
}

/* ---- attributes ---- */

/* Takes n bytes out of the middle. */
static void take_out(struct buf *b, size_t at, size_t n)
{
    memmove(b->p + at, b->p + at + n, b->n - at - n);
    b->n -= n;
}

/* Those behind it move up; its own place is the last one's then. */
static void remove_attr(struct span_body *s, unsigned i)
{
    const unsigned at = s->keys[i].at;
    const size_t end = i + 1 < s->nattrs ? s->keys[i + 1].at : s->b.n - s->attrs;
    take_out(&s->b, s->attrs + at, end - at);
    for (s->nattrs--; i < s->nattrs; i++) {
        s->keys[i] = s->keys[i + 1];
        s->keys[i].at = (uint16_t)(s->keys[i].at - (end - at));
    }
}

static void make_way(struct span_body *s, struct str key)
{
    const char *attrs = s->b.p + s->attrs;
    for (unsigned i = 0; i < s->nattrs; i++)
        if (s->keys[i].nkey == key.n && memcmp(attrs + s->keys[i].at + 2, key.p, key.n) == 0) {
            remove_attr(s, i);
            return;
        }
}

/* The attribute of this key, without those that it replaces, up to its type; where its value
 * of n bytes goes, or NULL. */
static inline char *set(struct span_body *s, struct str key, enum attr_type type, size_t n)
{
    struct buf *b = &s->b;
    if (b->failed)
        return NULL;
    make_way(s, key);
    char *p = s->nattrs < LIMIT_ATTRS ? body_room(b, 2 + key.n + 1 + n) : NULL;
    if (!p)
        return NULL;
    s->keys[s->nattrs].at = (uint16_t)(b->n - s->attrs);
    s->keys[s->nattrs].nkey = (uint8_t)key.n;
    s->nattrs++;
    buf_added(b, 2 + key.n + 1 + n);
    p = body_write_str(p, key);
    *p = (char)type;
    return p + 1;
}

void span_body_text(struct span_body *s, const char *key, const char *value)
{
    const struct str k = str_of(key), v = text_cut(str_of(value), LIMIT_TEXT);
    char *p = text_key_ok(k) && text_utf8(v) ? set(s, k, ATTR_STRING, 2 + v.n) : NULL;
    if (p)
        body_write_str(p, v);
}

void span_body_number(struct span_body *s, const char *key, enum attr_type type, uint64_t bits)
{
    const struct str k = str_of(key);
    char *p = text_key_ok(k) ? set(s, k, type, sizeof bits) : NULL;
    if (p)
        put_u64(p, bits);
}

/* ---- what is rare ---- */

void span_body_event(struct span_body *s, uint64_t time, const char *name)
{
    const struct str n = str_of(name);
    if (!text_name_ok(n) || s->nevents == LIMIT_SPAN_EVENTS)
        return;
    char *p = body_room(&s->events, 8 + 2 + n.n + 2);
    if (!p) {
        s->b.failed = true;
        return;
    }
    put_u64(p, time);
    put_u16(body_write_str(p + 8, n), 0); /* attributes */
    buf_added(&s->events, 8 + 2 + n.n + 2);
    s->nevents++;
}

void span_body_message(struct span_body *s, const char *text)
{
    struct buf *b = &s->b;
    const struct str t = text_cut(str_of(text), LIMIT_TEXT);
    const size_t n = text_utf8(t) ? t.n : 0;
    if (b->failed)
        return;
    const size_t before = get_u16(b->p + s->message), at = s->message + 2u;
    take_out(b, at, before);
    s->attrs = (uint16_t)(s->attrs - before);
    if (!body_room(b, n))
        return;
    memmove(b->p + at + n, b->p + at, b->n - at);
    if (n > 0)
        memcpy(b->p + at, t.p, n);
    put_u16(b->p + s->message, (uint16_t)n);
    buf_added(b, n);
    s->attrs = (uint16_t)(s->attrs + n);
}

/* ---- the end ---- */

void span_body_end(struct span_body *s, const struct span_facts *facts)
{
    struct buf *b = &s->b;
    char *p = body_room(b, 2 + s->events.n + 2);
    if (!p)
        return;
    put_u16(p, s->nevents);
    if (s->events.n > 0)
        memcpy(p + 2, s->events.p, s->events.n);
    put_u16(p + 2 + s->events.n, 0); /* links */
    buf_added(b, 2 + s->events.n + 2);
    put_u64(b->p + BODY_TIME, facts->start);
    memcpy(b->p + BODY_TRACE, &facts->trace, sizeof facts->trace);
    body_write_span(b->p + s->fixed, facts->end, facts->parent, facts->kind, facts->status,
                    facts->flags);
    put_u16(b->p + s->attrs - 2, s->nattrs);
}
