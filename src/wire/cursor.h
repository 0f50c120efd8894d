/* cursor: bounds-checked reading of a payload. Floor 1. Private to wire/.
 *
 * The first error sticks: after it every read gives zero or nothing, so that a
 * decoder reads all fields and asks once, at the end. Nothing is copied; what is
 * handed out points into the payload. */
#ifndef MCPTALLY_WIRE_CURSOR_H
#define MCPTALLY_WIRE_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/str.h"

struct cursor {
    const uint8_t *p;
    size_t n;
    int err; /* 0, or the negative of an enum err */
};

static inline struct cursor cursor_at(const uint8_t *p, size_t n)
{
    return (struct cursor){.p = p, .n = n};
}

/* Keeps the first error. */
static inline void cursor_fail(struct cursor *c, enum err e)
{
    if (c->err == 0)
        c->err = -(int)e;
}

/* The next n bytes, or NULL. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t n)
{
    if (n > c->n)
        cursor_fail(c, ERR_SHORT);
    if (c->err != 0)
        return NULL;
    const uint8_t *p = c->p;
    c->p += n;
    c->n -= n;
    return p;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    const uint8_t *p = cursor_take(c, 1);
    return p ? *p : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    const uint8_t *p = cursor_take(c, 2);
    return (uint16_t)(p ? get_u16(p) : 0);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    const uint8_t *p = cursor_take(c, 4);
    return p ? get_u32(p) : 0;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
    const uint8_t *p = cursor_take(c, 8);
    return p ? get_u64(p) : 0;
}

/* Copies n bytes to `to`, or zeroes it. */
static inline void cursor_copy(struct cursor *c, void *to, size_t n)
{
    const uint8_t *p = cursor_take(c, n);
    if (p)
        memcpy(to, p, n);
    else
        memset(to, 0, n);
}

/* A count of things to come, at most max, else ERR_RANGE; 0 after an error, so
 * that loops over it end. */
uint16_t cursor_count(struct cursor *c, unsigned max);

/* A number of an enum whose last is max, else ERR_SYNTAX. */
uint8_t cursor_enum(struct cursor *c, unsigned max);

/* A finite double, else ERR_NOTFINITE. */
double cursor_f64(struct cursor *c);

/* Fields that must be zero, else ERR_SYNTAX. */
void cursor_zero(struct cursor *c, size_t n);

struct str cursor_str(struct cursor *c);              /* u16 length and bytes, unchecked */
struct str cursor_text(struct cursor *c, size_t max); /* UTF-8 of at most max bytes */
struct str cursor_line(struct cursor *c, size_t max); /* likewise, no control characters */
struct str cursor_name(struct cursor *c);             /* text_name_ok() */

/* The verdict: 0, the error that stuck, or -ERR_SYNTAX when bytes are left over. */
static inline int cursor_end(const struct cursor *c)
{
    if (c->err != 0)
        return c->err;
    return c->n > 0 ? -ERR_SYNTAX : 0;
}

#endif
