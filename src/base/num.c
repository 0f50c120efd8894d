#include "base/num.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/shortest.h"

const char num_pairs[] = "00010203040506070809101112131415161718192021222324"
                         "25262728293031323334353637383940414243444546474849"
                         "50515253545556575859606162636465666768697071727374"
                         "75767778798081828384858687888990919293949596979899";

/* Powers of ten; the first one is below 0's one digit. */
static const uint64_t powers[] = {
    0,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
    UINT64_C(10000000000000000000),
};

/* 1233/4096 is log10(2), near enough that the power tells the rest. */
static unsigned digits_of(uint64_t v)
{
    const unsigned about = (64 - (unsigned)__builtin_clzll(v | 1)) * 1233 >> 12;
    return about + (v >= powers[about]);
}

static size_t literal(char *to, const char *z)
{
    size_t n = strlen(z);
    memcpy(to, z, n);
    return n;
}

static char *put_zeros(char *p, int n)
{
    for (; n > 0; n--)
        *p++ = '0';
    return p;
}

/* Without an exponent: "0.0012", "1.2", "1200"; `decimals` of at least so many. */
static char *put_fixed(char *p, struct decimal d, int decimals)
{
    char text[NUM_U64_MAX];
    const int n = (int)num_u64(text, d.digits), whole = n + d.exponent;
    if (whole <= 0) {
        *p++ = '0';
        *p++ = '.';
        p = put_zeros(p, -whole);
        memcpy(p, text, (size_t)n);
        return p + n;
    }
    const int before = whole < n ? whole : n;
    memcpy(p, text, (size_t)before);
    p = put_zeros(p + before, whole - before);
    if (n - before + decimals > 0)
        *p++ = '.';
    memcpy(p, text + before, (size_t)(n - before));
    return put_zeros(p + n - before, decimals - (n - before));
}

/* With one: "1.2e+15"; as printf() has it. */
static char *put_scientific(char *p, struct decimal d)
{
    char *const begin = p;
    p += 1 + num_u64(p + 1, d.digits);
    int exponent = (int)(p - begin) - 2 + d.exponent;
    begin[0] = begin[1];
    begin[1] = '.';
    if (p == begin + 2)
        p--; /* one digit has no point */
    *p++ = 'e';
    *p++ = exponent < 0 ? '-' : '+';
    exponent = exponent < 0 ? -exponent : exponent;
    if (exponent >= 100)
        *p++ = (char)('0' + exponent / 100);
    memcpy(p, num_pairs + (ptrdiff_t)2 * (exponent % 100), 2);
    return p + 2;
}

/* Its place in powers of ten of the first digit. */
static int magnitude(struct decimal d)
{
    return (int)digits_of(d.digits) - 1 + d.exponent;
}

static size_t special(char *to, double v)
{
    return literal(to, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
}

enum { FIXED_MIN = -5, FIXED_MAX = 15, CANONICAL_MIN = -4, CANONICAL_MAX = 5 };

size_t num_f64(char *to, double v)
{
    const double a = fabs(v);
    char *p = to;
    if (!isfinite(v))
        return special(to, v);
    if (v < 0)
        *p++ = '-';
    if (a < 0x1p53 && a == (double)(uint64_t)a)
        return (size_t)(p - to) + num_u64(p, (uint64_t)a);
    const struct decimal d = shortest(a);
    const int m = magnitude(d);
    p = m >= FIXED_MIN && m <= FIXED_MAX ? put_fixed(p, d, 0) : put_scientific(p, d);
    return (size_t)(p - to);
}

size_t num_canonical(char *to, double v)
{
    char *p = to;
    if (!isfinite(v))
        return special(to, v);
    if (v == 0)
        return literal(to, "0.0");
    if (v < 0)
        *p++ = '-';
    const struct decimal d = shortest(fabs(v));
    const int m = magnitude(d);
    p = m >= CANONICAL_MIN && m <= CANONICAL_MAX ? put_fixed(p, d, 1) : put_scientific(p, d);
    return (size_t)(p - to);
}
