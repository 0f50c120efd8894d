#include "cli/plain.h"

#include <stdint.h>

/* The character at p, of up to n bytes: its length, 1 with a code point of
 * NOT_UTF8 for a byte that is part of none. */
enum { NOT_UTF8 = 0x110000 };

static size_t decode(const unsigned char *p, size_t n, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t size = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    *c = NOT_UTF8;
    if (size == 0 || size > n || p[0] > 0xf4)
        return 1;
    uint32_t v = size == 1 ? p[0] : p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 1;
        v = v << 6 | (p[i] & 0x3f);
    }
    if (v < least[size] || v >= NOT_UTF8)
        return 1;
    *c = v;
    return size;
}

static const struct range {
    uint32_t first, last;
} unsafe[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},     /* C0, DEL, C1 */
    {0x061c, 0x061c}, {0x200e, 0x200f}, /* bidirectional marks */
    {0x2028, 0x202e}, {0x2066, 0x2069}, /* line separators, overrides, isolates */
    {0xd800, 0xdfff}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
};

static bool is_safe(uint32_t c)
{
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++)
        if (c >= unsafe[i].first && c <= unsafe[i].last)
            return false;
    return c < NOT_UTF8;
}

static void add_escape(struct buf *to, uint32_t c, unsigned char byte)
{
    if (c == '\n')
        buf_adds(to, "\\n");
    else if (c == '\t')
        buf_adds(to, "\\t");
    else if (c == '\r')
        buf_adds(to, "\\r");
    else if (c < 0x100 || c == NOT_UTF8)
        buf_addf(to, "\\x%02x", c == NOT_UTF8 ? byte : (unsigned)c);
    else
        buf_addf(to, "\\u%04x", (unsigned)c);
}

/* Appends the character at s->p and moves past it. */
static void add_one(struct buf *to, struct str *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    uint32_t c;
    const size_t n = decode(p, s->n, &c);
    if (is_safe(c))
        buf_add(to, p, n);
    else
        add_escape(to, c, *p);
    s->p += n;
    s->n -= n;
}

void plain_add(struct buf *to, struct str s)
{
    while (s.n > 0)
        add_one(to, &s);
}

/* Characters among the bytes added since `from`. */
static size_t width(const struct buf *b, size_t from)
{
    size_t n = 0;
    for (size_t i = from; i < b->n; i++)
        n += ((unsigned char)b->p[i] & 0xc0) != 0x80;
    return n;
}

size_t plain_width(struct str s)
{
    char room[16];
    size_t n = 0;
    while (s.n > 0) {
        struct buf one = {.p = room, .cap = sizeof room, .max = sizeof room};
        add_one(&one, &s);
        n += width(&one, 0);
    }
    return n;
}

void plain_add_fixed(struct buf *to, struct str s, size_t columns)
{
    const size_t start = to->n;
    size_t kept = start; /* up to here there is still a column for the mark */
    while (s.n > 0 && !to->failed) {
        if (width(to, start) + 1 <= columns)
            kept = to->n;
        add_one(to, &s);
        if (width(to, start) > columns) {
            to->n = kept;
            if (columns > 0)
                buf_addc(to, '~');
            break;
        }
    }
    for (size_t n = width(to, start); n < columns && !to->failed; n++)
        buf_addc(to, ' ');
}
