#include "model/text.h"

#include <stdint.h>

#include "model/limits.h"

/* The length of the character that starts with c, 0 when none does. */
static size_t sequence_length(unsigned char c)
{
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        return 2;
    if (c >= 0xE0 && c <= 0xEF)
        return 3;
    return c >= 0xF0 && c <= 0xF4 ? 4 : 0;
}

static bool sequence_ok(const unsigned char *p, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return false;
    switch (p[0]) {
    case 0xE0:
        return p[1] >= 0xA0;
    case 0xED:
        return p[1] < 0xA0;
    case 0xF0:
        return p[1] >= 0x90;
    case 0xF4:
        return p[1] < 0x90;
    default:
        return true;
    }
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

static uint64_t load_word(const void *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* Non-zero when a byte of the word is 0 or above 0x7F; no carry can hide one. */
static uint64_t not_ascii(uint64_t w)
{
    return (w | (w - EACH_BYTE(1))) & EACH_BYTE(0x80);
}

/* Good without a closer look: ASCII without NUL, eight bytes at a time; the last eight
 * may overlap those before. */
static bool plain_ascii(const unsigned char *p, size_t n)
{
    uint64_t bad = 0;
    if (n < 8) {
        for (size_t i = 0; i < n; i++)
            bad |= p[i] | ((uint64_t)p[i] - 1);
        return bad < 0x80;
    }
    for (size_t i = 0; i + 8 < n; i += 8)
        bad |= not_ascii(load_word(p + i));
    return (bad | not_ascii(load_word(p + n - 8))) == 0;
}

bool text_utf8(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    if (plain_ascii(p, s.n))
        return true;
    for (size_t i = 0; i < s.n;) {
        const size_t n = p[i] ? sequence_length(p[i]) : 0;
        if (n == 0 || n > s.n - i || !sequence_ok(p + i, n))
            return false;
        i += n;
        while (s.n - i >= 8 && not_ascii(load_word(p + i)) == 0)
            i += 8;
    }
    return true;
}

struct str text_cut(struct str s, size_t n)
{
    if (s.n <= n)
        return s;
    while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    return (struct str){s.p, n};
}

/* Sixteen characters that are judged at once; compilers have these without intrinsics. Above
 * 0x7F they are negative. */
typedef int8_t block __attribute__((vector_size(16)));
typedef uint64_t halves __attribute__((vector_size(16)));

static inline bool none(block bad)
{
    const halves h = (halves)bad;
    return (h[0] | h[1]) == 0;
}

static inline bool key_block(block b)
{
    return none((block)((b <= ' ') | (b == 0x7F) | (b == '"') | (b == '\\') | (b == '\'')));
}

static inline bool line_block(block b)
{
    return none((block)((b < ' ') | (b == 0x7F)));
}

/* One to fifteen characters, some of them twice. */
static inline block short_block(struct str s)
{
    const char *end = s.p + s.n;
    if (s.n >= 8)
        return (block)(halves){load_word(s.p), load_word(end - 8)};
    if (s.n >= 4) {
        uint32_t first, last;
        memcpy(&first, s.p, sizeof first);
        memcpy(&last, end - 4, sizeof last);
        return (block)(halves){first | (uint64_t)last << 32, first | (uint64_t)last << 32};
    }
    const uint64_t all = EACH_BYTE((unsigned char)s.p[0]) << 16 |
                         (uint64_t)(unsigned char)s.p[s.n / 2] << 8 | (unsigned char)end[-1];
    return (block)(halves){all, all};
}

/* Whether each of them is good; the last sixteen may overlap those before. */
static inline bool every_block(struct str s, bool (*good)(block))
{
    bool ok = true;
    block b;
    if (s.n < sizeof b)
        return good(short_block(s));
    for (size_t i = 0; i + sizeof b < s.n; i += sizeof b) {
        memcpy(&b, s.p + i, sizeof b);
        ok &= good(b);
    }
    memcpy(&b, s.p + s.n - sizeof b, sizeof b);
    return ok && good(b);
}

bool text_key_ok(struct str key)
{
    return key.n > 0 && key.n <= LIMIT_KEY && every_block(key, key_block);
}

bool text_line_ok(struct str s)
{
    if (s.n == 0 || every_block(s, line_block))
        return true;
    if (!text_utf8(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7F)
            return false;
    return true;
}

bool text_name_ok(struct str name)
{
    return name.n > 0 && name.n <= LIMIT_NAME && text_line_ok(name);
}
