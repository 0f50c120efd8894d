/* breaker: when to try again with somebody who fails. Floor 3. No clock, no chance.
 *
 * After a failure nothing is tried until a delay is over, which grows by half with
 * each failure in a row, up to a limit, with jitter, and is never shorter than what the
 * other side asked for. From `failures` in a row on the breaker is open: after
 * its rest one probe is let through, and its result closes it or begins a rest. */
#ifndef MCPTALLY_FORWARD_BREAKER_H
#define MCPTALLY_FORWARD_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state {
    BREAKER_CLOSED,    /* whatever was tried last went well, or failed too seldom to rest */
    BREAKER_HALF_OPEN, /* the rest is over: one probe is under way, or may begin */
    BREAKER_OPEN,      /* resting until `until` */
    BREAKER_STATES
};

struct breaker_options {
    unsigned failures; /* in a row that open it, at least 1 */
    uint64_t first;    /* ns of the first delay */
    uint64_t most;     /* ns of the longest */
};

struct breaker {
    enum breaker_state state;
    unsigned failures; /* in a row, those of requests begun before the newest one left out */
    uint64_t until;    /* mono ns before which nothing is tried */
    uint64_t failed;   /* mono ns of the newest failure */
    uint64_t since;    /* mono ns of the first failure of the row; 0: all is well */
    uint64_t opened;   /* times that it opened */
};

const char *breaker_name(unsigned state); /* "closed", "half_open", "open" */

/* The moves that there are. */
bool breaker_moves(enum breaker_state from, enum breaker_state to);

/* Whether another one may be tried, with `under_way` unanswered. Ends a rest. */
bool breaker_may(struct breaker *b, unsigned under_way, uint64_t now);

/* What began at `began` went well; true when that closed it. */
bool breaker_good(struct breaker *b);

/* It failed; true when that opened it for the first time in this row. `after`: ns that
 * the other side asked us to wait; at most BREAKER_AFTER of it is believed. */
#define BREAKER_AFTER (UINT64_C(3600) * 1000000000) /* who says "next year" is asked in an hour */
bool breaker_bad(struct breaker *b, const struct breaker_options *o, uint64_t began, uint64_t after,
                 uint64_t random, uint64_t now);

/* Mono ns when breaker_may() can say yes, as far as time is what it waits for. */
static inline uint64_t breaker_wakes(const struct breaker *b)
{
    return b->until;
}

#endif
