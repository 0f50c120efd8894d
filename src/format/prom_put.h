/* prom_put: pieces of a line, written straight where there is room for them. Floor 3.
 *
 * Each returns the place behind what it wrote. */
#ifndef MCPTALLY_FORMAT_PROM_PUT_H
#define MCPTALLY_FORMAT_PROM_PUT_H

#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/str.h"

static inline char *put(char *p, const char *from, size_t n)
{
    memcpy(p, from, n);
    return p + n;
}

/* The same where there are STEP - 1 bytes to spare behind both: short texts, without a call. */
enum { STEP = 32 };

static inline char *put_steps(char *p, const char *from, size_t n)
{
    for (size_t i = 0; i < n; i += STEP)
        memcpy(p + i, from + i, STEP);
    return p + n;
}

/* The same with nothing to spare: what remains laps over what was there before. */
static inline char *put_laps(char *p, const char *from, size_t n)
{
    enum { LAP = 64 };
    size_t i = 0;
    if (n < STEP)
        return put(p, from, n);
    for (; i + LAP < n; i += LAP)
        memcpy(p + i, from + i, LAP);
    if (i + STEP < n)
        memcpy(p + i, from + i, STEP);
    memcpy(p + n - STEP, from + n - STEP, STEP);
    return p + n;
}

static inline char *put_whole(char *p, uint64_t v)
{
    p += num_u64(p, v);
    *p++ = '\n';
    return p;
}

static inline char *put_double(char *p, double v)
{
    p += num_f64(p, v);
    *p++ = '\n';
    return p;
}

/* Seconds with three decimals: what Prometheus keeps of a time. */
static inline char *put_time(char *p, uint64_t ns)
{
    p += num_u64(p, ns / NS_PER_S);
    const unsigned ms = (unsigned)(ns % NS_PER_S / NS_PER_MS);
    *p++ = '.';
    *p++ = (char)('0' + ms / 100);
    *p++ = (char)('0' + ms / 10 % 10);
    *p++ = (char)('0' + ms % 10);
    *p++ = '\n';
    return p;
}

#endif
