/* num: numbers to decimal text, fast. Floor 0. */
#ifndef MCPTALLY_BASE_NUM_H
#define MCPTALLY_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

enum {
    NUM_U64_MAX = 20, /* bytes that num_u64 can write */
    NUM_F64_MAX = 32, /* bytes that num_f64 can write */
};

/* Writes v in decimal, without a NUL; returns the bytes written. */
size_t num_u64(char *to, uint64_t v);

/* Writes the shortest decimal that reads back as v, without a NUL; returns
 * the bytes written. Whole numbers have no point ("3"). NaN, +Inf, -Inf. */
size_t num_f64(char *to, double v);

/* The same as OpenMetrics wants it in le and quantile: whole numbers have a point, and from
 * a million on and below 0.0001 there is an exponent ("1.0", "1e+06", "+Inf"). */
size_t num_canonical(char *to, double v);

#endif
