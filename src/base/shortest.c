#include "base/shortest.h"

#include <stdbool.h>
#include <string.h>

#include "base/tens.h"

enum { FRACTION_BITS = 52, EXPONENT_BIAS = 1023 + FRACTION_BITS };

__extension__ typedef unsigned __int128 u128;

/* floor(log10(2^e)), and floor(log10(3/4 * 2^e)) */
static int log10_pow2(int e)
{
    return (int)((e * INT64_C(1262611)) >> 22);
}

static int log10_three_quarters_pow2(int e)
{
    return (int)((e * INT64_C(1262611) - 524031) >> 22);
}

/* floor(log2(10^e)) */
static int log2_pow10(int e)
{
    return (int)((e * INT64_C(1741647)) >> 19);
}

/* x times a power of ten, without the lower 128 bits of the product. The lowest bit left stands
 * for all that were cut off: whether a number is above a whole one, or is it, is what counts. */
static uint64_t scale(struct ten g, uint64_t x)
{
    const u128 low = (u128)g.low * x, high = (u128)g.high * x + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

static struct decimal without_zeros(uint64_t digits, int exponent)
{
    while (digits % 100000000 == 0) {
        digits /= 100000000;
        exponent += 8;
    }
    for (; digits % 10 == 0; exponent++)
        digits /= 10;
    return (struct decimal){digits, exponent};
}

/* Of the numbers that are read as c * 2^e, all between the middles of it and its neighbours: the
 * one of fewest digits. In quarters of a unit of 10^k, of which at most ten and at least one lie
 * between the middles, these are `lower` and `upper` and the number is `v`. */
static struct decimal choose(uint64_t lower, uint64_t v, uint64_t upper, int k)
{
    const uint64_t s = v / 4, tenth = s / 10;
    if (s >= 10) {
        const bool below = lower <= 40 * tenth, above = 40 * tenth + 40 <= upper;
        if (below != above)
            return without_zeros(tenth + above, k + 1);
    }
    const bool below = lower <= 4 * s, above = 4 * s + 4 <= upper;
    if (below != above)
        return without_zeros(s + above, k);
    const uint64_t middle = 4 * s + 2;
    const bool up = v > middle || (v == middle && (s & 1));
    return without_zeros(s + up, k);
}

struct decimal shortest(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    const uint64_t fraction = bits & ((UINT64_C(1) << FRACTION_BITS) - 1);
    const int biased = (int)(bits >> FRACTION_BITS);
    const uint64_t c = biased ? fraction | UINT64_C(1) << FRACTION_BITS : fraction;
    const int e = (biased ? biased : 1) - EXPONENT_BIAS;
    /* Below a power of two the neighbour is at half the distance. */
    const bool nearer = fraction == 0 && biased > 1;
    const int k = nearer ? log10_three_quarters_pow2(e) : log10_pow2(e);
    const int shift = e + log2_pow10(-k) + 1;
    const struct ten g = tens[-k - TENS_FIRST];
    const bool odd = c & 1; /* then the middles are read as the neighbours, which are even */
    const uint64_t lower = scale(g, (4 * c - 2 + nearer) << shift) + odd;
    const uint64_t upper = scale(g, (4 * c + 2) << shift) - odd;
    return choose(lower, scale(g, 4 * c << shift), upper, k);
}
