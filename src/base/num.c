#include "base/num.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

size_t num_u64(char *to, uint64_t v)
{
    char tmp[NUM_U64_MAX];
    char *p = tmp + sizeof tmp;
    while (v >= 100) {
        p -= 2;
        memcpy(p, digit_pairs + 2 * (v % 100), 2);
        v /= 100;
    }
    if (v >= 10) {
        p -= 2;
        memcpy(p, digit_pairs + 2 * v, 2);
    } else {
        *--p = (char)('0' + v);
    }
    size_t n = (size_t)(tmp + sizeof tmp - p);
    memcpy(to, p, n);
    return n;
}

static size_t literal(char *to, const char *z)
{
    size_t n = strlen(z);
    memcpy(to, z, n);
    return n;
}

/* A whole number n below 2^53 divided by 10^k (k up to 22) is one correctly
 * rounded division, so n/10^k == v proves that the decimal n·10^-k reads back
 * as v. The first k that does gives the shortest fixed form. */
static const double tens[] = {1e0, 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                              1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};

static size_t fixed(char *to, double v, bool negative)
{
    for (int k = 0; k < (int)(sizeof tens / sizeof *tens); k++) {
        double scaled = nearbyint(v * tens[k]);
        if (scaled >= 9007199254740992.0)
            return 0;
        if (scaled / tens[k] != v)
            continue;
        char digits[NUM_U64_MAX];
        size_t n = num_u64(digits, (uint64_t)scaled);
        char *p = to;
        if (negative)
            *p++ = '-';
        if (n <= (size_t)k) {
            *p++ = '0';
            *p++ = '.';
            memset(p, '0', (size_t)k - n);
            p += (size_t)k - n;
            memcpy(p, digits, n);
            return (size_t)(p + n - to);
        }
        memcpy(p, digits, n - (size_t)k);
        p += n - (size_t)k;
        if (k > 0) {
            *p++ = '.';
            memcpy(p, digits + n - (size_t)k, (size_t)k);
            p += k;
        }
        return (size_t)(p - to);
    }
    return 0;
}

size_t num_f64(char *to, double v)
{
    if (isnan(v))
        return literal(to, "NaN");
    if (isinf(v))
        return literal(to, v > 0 ? "+Inf" : "-Inf");
    double a = fabs(v);
    if (a == 0 || (a >= 1e-5 && a < 9007199254740992.0)) {
        size_t n = fixed(to, a, v < 0);
        if (n)
            return n;
    }
    char text[NUM_F64_MAX];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return literal(to, text);
}
