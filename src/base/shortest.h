/* shortest: the shortest decimal that reads back as a double. Floor 0.
 *
 * By Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2021): three
 * multiplications with a power of ten from a table, and no loop but for zeros at the end. */
#ifndef MCPTALLY_BASE_SHORTEST_H
#define MCPTALLY_BASE_SHORTEST_H

#include <stdint.h>

struct decimal {
    uint64_t digits; /* at most 17; the last one is not 0 */
    int exponent;    /* the number is digits * 10^exponent */
};

/* Of a finite number above 0. Of the shortest ones it is the nearest. */
struct decimal shortest(double v);

#endif
