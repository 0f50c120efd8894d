#include "pipeline/text_view.h"

#include <stdlib.h>

#include "base/err.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int hex_pair(struct str s, size_t at)
{
    if (at + 2 > s.n || hex(s.p[at]) < 0 || hex(s.p[at + 1]) < 0)
        return -1;
    return hex(s.p[at]) * 16 + hex(s.p[at + 1]);
}

/* %XX, where the '%' may be escaped itself, again and again: %25..25XX. Returns
 * the bytes it takes, 0 when there is none. */
static size_t percent(struct str s, size_t at, char *c)
{
    size_t i = at + 1;
    while (i + 4 <= s.n && s.p[i] == '2' && s.p[i + 1] == '5' && hex_pair(s, i + 2) >= 0)
        i += 2;
    const int v = hex_pair(s, i);
    if (v < 0)
        return 0;
    *c = (char)v;
    return i + 2 - at;
}

/* Backslashes, then '/' or u00XX. */
static size_t backslash(struct str s, size_t at, char *c)
{
    size_t i = at;
    while (i < s.n && s.p[i] == '\\')
        i++;
    if (i < s.n && s.p[i] == '/') {
        *c = '/';
        return i + 1 - at;
    }
    if (i + 5 > s.n || s.p[i] != 'u' || s.p[i + 1] != '0' || s.p[i + 2] != '0')
        return 0;
    const int v = hex_pair(s, i + 3);
    if (v < 0 || v >= 0x80)
        return 0;
    *c = (char)v;
    return i + 5 - at;
}

/* How many bytes of the text make the next character of the view. */
static size_t step(struct str s, size_t at, char *c)
{
    size_t n = 0;
    *c = s.p[at];
    if (*c == '%')
        n = percent(s, at, c);
    else if (*c == '\\' && (at == 0 || s.p[at - 1] != '\\'))
        n = backslash(s, at, c);
    return n ? n : 1;
}

static bool escaped(struct str s)
{
    return memchr(s.p, '%', s.n) || memchr(s.p, '\\', s.n);
}

int text_view_init(struct text_view *v, struct str text)
{
    *v = (struct text_view){.p = text.p, .n = text.n};
    if (text.n == 0 || !escaped(text))
        return 0;
    if (text.n >= UINT32_MAX)
        return -ERR_RANGE;
    v->own = malloc(text.n);
    v->raw = malloc((text.n + 1) * sizeof *v->raw);
    if (!v->own || !v->raw) {
        text_view_fini(v);
        return -ERR_NOMEM;
    }
    size_t n = 0;
    for (size_t at = 0; at < text.n; n++) {
        v->raw[n] = (uint32_t)at;
        at += step(text, at, &v->own[n]);
    }
    v->raw[n] = (uint32_t)text.n;
    v->p = v->own;
    v->n = n;
    return 0;
}

void text_view_fini(struct text_view *v)
{
    free(v->own);
    free(v->raw);
    *v = (struct text_view){0};
}
