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

bool text_utf8(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        if (s.n - i >= 8) {
            uint64_t w;
            memcpy(&w, p + i, sizeof w);
            const uint64_t zero = (w - UINT64_C(0x0101010101010101)) & ~w;
            if (((w | zero) & UINT64_C(0x8080808080808080)) == 0) {
                i += 8;
                continue;
            }
        }
        size_t n = p[i] ? sequence_length(p[i]) : 0;
        if (n == 0 || n > s.n - i || !sequence_ok(p + i, n))
            return false;
        i += n;
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

bool text_key_ok(struct str key)
{
    if (key.n == 0 || key.n > LIMIT_KEY)
        return false;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '\'')
            return false;
    }
    return true;
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
