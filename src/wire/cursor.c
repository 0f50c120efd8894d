#include "wire/cursor.h"

#include <math.h>

#include "model/text.h"

uint16_t cursor_count(struct cursor *c, unsigned max)
{
    const uint16_t n = cursor_u16(c);
    if (n > max)
        cursor_fail(c, ERR_RANGE);
    return c->err == 0 ? n : 0;
}

uint8_t cursor_enum(struct cursor *c, unsigned max)
{
    const uint8_t v = cursor_u8(c);
    if (v > max)
        cursor_fail(c, ERR_SYNTAX);
    return c->err == 0 ? v : 0;
}

double cursor_f64(struct cursor *c)
{
    const double v = bits_f64(cursor_u64(c));
    if (!isfinite(v))
        cursor_fail(c, ERR_NOTFINITE);
    return c->err == 0 ? v : 0;
}

void cursor_zero(struct cursor *c, size_t n)
{
    const uint8_t *p = cursor_take(c, n);
    for (size_t i = 0; p && i < n; i++)
        if (p[i] != 0)
            cursor_fail(c, ERR_SYNTAX);
}

struct str cursor_str(struct cursor *c)
{
    const size_t n = cursor_u16(c);
    const uint8_t *p = cursor_take(c, n);
    return p ? (struct str){(const char *)p, n} : (struct str){NULL, 0};
}

struct str cursor_text(struct cursor *c, size_t max)
{
    const struct str s = cursor_str(c);
    if (s.n > max)
        cursor_fail(c, ERR_RANGE);
    else if (!text_utf8(s))
        cursor_fail(c, ERR_UTF8);
    return s;
}

/* Why a line or a name is none. */
static enum err unlike_a_line(struct str s)
{
    return text_utf8(s) ? ERR_NAME : ERR_UTF8;
}

struct str cursor_line(struct cursor *c, size_t max)
{
    const struct str s = cursor_str(c);
    if (s.n > max)
        cursor_fail(c, ERR_RANGE);
    else if (!text_line_ok(s))
        cursor_fail(c, unlike_a_line(s));
    return s;
}

struct str cursor_name(struct cursor *c)
{
    const struct str s = cursor_str(c);
    if (!text_name_ok(s))
        cursor_fail(c, unlike_a_line(s));
    return s;
}
