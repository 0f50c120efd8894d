/* num: numbers to decimal text, fast. Floor 0. */
#ifndef MCPTALLY_BASE_NUM_H
#define MCPTALLY_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    NUM_U64_MAX = 20, /* bytes that num_u64 writes into, however few of them count */
    NUM_F64_MAX = 32, /* the same of num_f64 */
};

extern const char num_pairs[201]; /* 00 to 99, and a NUL */

/* The four digits of v below 10000, the first one in the lowest byte. */
static inline uint32_t num_four(uint32_t v)
{
    const uint32_t high = v / 100, low = v % 100;
    return get_u16(num_pairs + 2 * (size_t)high) | (uint32_t)get_u16(num_pairs + 2 * (size_t)low)
                                                       << 16;
}

/* Writes v in decimal, without a NUL; returns the bytes that count. Inline, and by fours: a branch
 * for each pair of digits would be guessed wrong too often. */
static inline size_t num_u64(char *to, uint64_t v)
{
    uint32_t four[NUM_U64_MAX / 4];
    unsigned left = 0;
    for (; v >= 10000; v /= 10000)
        four[left++] = (uint32_t)(v % 10000);
    const unsigned zeros = (unsigned)(v < 10) + (v < 100) + (v < 1000);
    put_u32(to, num_four((uint32_t)v) >> 8 * zeros);
    size_t n = 4 - zeros;
    for (; left > 0; n += 4)
        put_u32(to + n, num_four(four[--left]));
    return n;
}

/* Writes the shortest decimal that reads back as v, without a NUL; returns
 * the bytes written. Whole numbers have no point ("3"). NaN, +Inf, -Inf. */
size_t num_f64(char *to, double v);

/* The same as OpenMetrics wants it in le and quantile: whole numbers have a point, and from
 * a million on and below 0.0001 there is an exponent ("1.0", "1e+06", "+Inf"). */
size_t num_canonical(char *to, double v);

#endif
