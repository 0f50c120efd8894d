/* body: the parts of an item's body, appended to a buffer. Floor 1.
 * The form is man/mcptally-protocol.7, section ITEMS; what is said there of good text and
 * names is up to the caller. A text too long for its length field makes the buffer fail. */
#ifndef MCPTALLY_WIRE_BODY_H
#define MCPTALLY_WIRE_BODY_H

#include "base/buf.h"
#include "base/bytes.h"
#include "model/event.h"

/* Where a body holds what all of them begin with. */
enum { BODY_TIME = 0, BODY_TRACE = 8, BODY_SPAN = 24, BODY_CORRELATION = 32 };

/* And a span's, behind the correlation id: a run of fixed length, then its name. */
enum {
    BODY_SPAN_END = 0,
    BODY_SPAN_PARENT = 8,
    BODY_SPAN_KIND = 16,
    BODY_SPAN_STATUS = 17,
    BODY_SPAN_ZERO = 18,
    BODY_SPAN_FLAGS = 20,
    BODY_SPAN_FIXED = 24,
};

/* As buf_room(); nothing is called when there is room. */
static inline char *body_room(struct buf *to, size_t n)
{
    return __builtin_expect(!to->failed && n <= to->cap - to->n, 1) ? to->p + to->n
                                                                    : buf_room(to, n);
}

/* Copies n bytes. Most texts are short: the two halves overlap, and no function is called. */
static inline __attribute__((always_inline)) void body_copy(char *to, const char *from, size_t n)
{
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        char last[16];
        memcpy(last, from + n - 16, 16);
        memcpy(to, from, 16);
        memcpy(to + n - 16, last, 16);
    } else if (n >= 8) {
        uint64_t last;
        memcpy(&last, from + n - 8, 8);
        memcpy(to, from, 8);
        memcpy(to + n - 8, &last, 8);
    } else if (n >= 4) {
        uint32_t last;
        memcpy(&last, from + n - 4, 4);
        memcpy(to, from, 4);
        memcpy(to + n - 4, &last, 4);
    } else if (n > 0) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}

/* Writes a text and its length, in 2 + s.n bytes; returns where it ends. */
static inline __attribute__((always_inline)) char *body_write_str(char *to, struct str s)
{
    put_u16(to, (uint16_t)s.n);
    body_copy(to + 2, s.p, s.n);
    return to + 2 + s.n;
}

static inline void body_str(struct buf *to, struct str s)
{
    char *p = s.n <= UINT16_MAX ? body_room(to, 2 + s.n) : NULL;
    if (!p) {
        to->failed = true;
        return;
    }
    body_write_str(p, s);
    to->n += 2 + s.n;
}

static inline void body_u16(struct buf *to, unsigned v)
{
    char *p = body_room(to, 2);
    if (!p)
        return;
    put_u16(p, (uint16_t)v);
    to->n += 2;
}

/* An attribute; `bits` is its value when that is no text. False when there is no room. */
static inline bool body_attr(struct buf *to, struct str key, enum attr_type type, struct str text,
                             uint64_t bits)
{
    const size_t value = type == ATTR_STRING ? 2 + text.n : type == ATTR_BOOL ? 1 : 8;
    const bool possible = key.n <= UINT16_MAX && text.n <= UINT16_MAX;
    char *p = possible ? body_room(to, 2 + key.n + 1 + value) : NULL;
    if (!p) {
        to->failed = true;
        return false;
    }
    p = body_write_str(p, key);
    *p++ = (char)type;
    if (type == ATTR_STRING)
        body_write_str(p, text);
    else if (type == ATTR_BOOL)
        *p = bits != 0;
    else
        put_u64(p, bits);
    to->n += 2 + key.n + 1 + value;
    return true;
}

/* What every body begins with. */
static inline void body_start(struct buf *to, uint64_t time, const struct trace_ref *trace,
                              struct str correlation)
{
    char *p = body_room(to, BODY_CORRELATION);
    if (!p)
        return;
    put_u64(p + BODY_TIME, time);
    memcpy(p + BODY_TRACE, trace->trace_id, sizeof trace->trace_id);
    memcpy(p + BODY_SPAN, trace->span_id, sizeof trace->span_id);
    to->n += BODY_CORRELATION;
    body_str(to, correlation);
}

/* A span's run of fixed length, at `to`. */
static inline void body_write_span(char *to, uint64_t end, const uint8_t parent[8],
                                   enum span_kind kind, enum span_status status, uint32_t flags)
{
    put_u64(to + BODY_SPAN_END, end);
    memcpy(to + BODY_SPAN_PARENT, parent, 8);
    to[BODY_SPAN_KIND] = (char)kind;
    to[BODY_SPAN_STATUS] = (char)status;
    put_u16(to + BODY_SPAN_ZERO, 0);
    put_u32(to + BODY_SPAN_FLAGS, flags);
}

#endif
