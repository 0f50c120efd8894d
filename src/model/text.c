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

static bool key_char(unsigned char c)
{
    return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '\'';
}

/* Sixteen characters that are judged at once; compilers have these without intrinsics. */
typedef uint8_t block __attribute__((vector_size(16)));

static bool key_block_ok(uint64_t first, uint64_t second)
{
    const uint64_t words[2] = {first, second};
    uint64_t bad[2];
    block w;
    memcpy(&w, words, sizeof w);
    const block not_key = (block)((w <= ' ') | (w > '~') | (w == '"') | (w == '\\') | (w == '\''));
    memcpy(bad, &not_key, sizeof bad);
    return (bad[0] | bad[1]) == 0;
}

/* The last sixteen may overlap those before, and of fewer the two halves each other. */
bool text_key_ok(struct str key)
{
    bool ok = true;
    if (key.n == 0 || key.n > LIMIT_KEY)
        return false;
    if (key.n < 8) {
        for (size_t i = 0; i < key.n; i++)
            ok &= key_char((unsigned char)key.p[i]);
        return ok;
    }
    for (size_t i = 0; i + 16 < key.n; i += 16)
        ok &= key_block_ok(load_word(key.p + i), load_word(key.p + i + 8));
    const char *last = key.p + key.n - 8;
    return ok && key_block_ok(load_word(key.n < 16 ? key.p : last - 8), load_word(last));
}

bool text_name_ok(struct str name)
{
    if (name.n == 0 || name.n > LIMIT_NAME || !text_utf8(name))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7F)
            return false;
    return true;
}
