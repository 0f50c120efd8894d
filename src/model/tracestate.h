/* tracestate: the `ot` member of a W3C tracestate. Floor 1. */
#ifndef MCPTALLY_MODEL_TRACESTATE_H
#define MCPTALLY_MODEL_TRACESTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define TRACESTATE_NEVER (UINT64_C(1) << 56)

struct tracestate_ot {
    bool has_threshold, has_random;
    uint64_t threshold; /* th: 0 keeps all, TRACESTATE_NEVER none */
    uint64_t random;    /* rv: 56 bits */
};

/* Reads it; what is malformed counts as absent. */
void tracestate_read(struct str tracestate, struct tracestate_ot *out);

/* Appends the tracestate with `ot=th:` set to that, as its first member; the other
 * members and the other fields of ot stay. */
void tracestate_with(struct buf *to, struct str tracestate, uint64_t threshold);

/* The threshold of a probability, (1-p) * 2^56, and back. */
uint64_t tracestate_threshold(double p);
double tracestate_probability(uint64_t threshold);

/* The randomness of a trace: rv, else the low 56 bits of its id. */
uint64_t tracestate_random(const uint8_t trace_id[16], const struct tracestate_ot *ot);

#endif
