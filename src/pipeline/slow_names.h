/* slow_names: how long spans of a service and name usually take. Floor 3. No I/O.
 *
 * Of each a running estimate of the 99th percentile, moved a little with every
 * span: up by much when it took longer, down by little when not, in the logarithm.
 * The table has a fixed size; a name that finds no place in it, or has been seen
 * too seldom, is never slow. */
#ifndef MCPTALLY_PIPELINE_SLOW_NAMES_H
#define MCPTALLY_PIPELINE_SLOW_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
    SLOW_NAMES = 1024, /* (service, name) pairs */
    SLOW_WARM_UP = 200 /* spans before one can be slow */
};

struct slow_names {
    uint64_t seed;
    struct slow_name {
        uint64_t hash; /* 0: none */
        uint64_t seen; /* mono ns */
        uint32_t n;
        float log_p99; /* natural logarithm of ns */
    } names[SLOW_NAMES];
};

void slow_names_init(struct slow_names *s, uint64_t seed);

/* Learns from a span that took so many ns, and says whether it is above what was
 * learned before it. */
bool slow_names_note(struct slow_names *s, struct str service, struct str name, uint64_t took,
                     uint64_t now_mono);

#endif
