#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->failed = b->starved = false;
}

void buf_trim(struct buf *b)
{
    if (b->n == 0) {
        free(b->p);
        b->p = NULL;
        b->cap = 0;
        return;
    }
    char *p = realloc(b->p, b->n);
    if (!p)
        return;
    b->p = p;
    b->cap = b->n;
}

static bool set_cap(struct buf *b, size_t cap)
{
    char *p = realloc(b->p, cap);
    if (!p)
        return false;
    b->p = p;
    b->cap = cap;
    return true;
}

static bool grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap *= 2;
    b->starved = !set_cap(b, cap < b->max ? cap : b->max);
    return !b->starved;
}

void buf_reserve(struct buf *b, size_t n)
{
    if (n > b->cap && n <= b->max)
        (void)set_cap(b, n);
}

char *buf_grow(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (n > b->max - b->n || !grow(b, b->n + n)) {
        b->failed = true;
        return NULL;
    }
    return b->p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    char *to = n ? buf_room(b, n) : NULL;
    if (!to)
        return;
    memcpy(to, p, n);
    b->n += n;
}

void buf_adds(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z));
}

void buf_addstr(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_addc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *to = buf_room(b, (size_t)n + 1);
    if (!to)
        return;
    va_start(ap, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void buf_addu(struct buf *b, uint64_t v)
{
    char *to = buf_room(b, NUM_U64_MAX);
    if (to)
        b->n += num_u64(to, v);
}

void buf_addd(struct buf *b, double v)
{
    char *to = buf_room(b, NUM_F64_MAX);
    if (to)
        b->n += num_f64(to, v);
}

void buf_drop(struct buf *b, size_t n)
{
    assert(n <= b->n);
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}
