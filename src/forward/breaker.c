#include "forward/breaker.h"

#include <assert.h>

const char *breaker_name(unsigned state)
{
    static const char *const names[BREAKER_STATES] = {"closed", "half_open", "open"};
    return state < BREAKER_STATES ? names[state] : "unknown";
}

bool breaker_moves(enum breaker_state from, enum breaker_state to)
{
    static const bool table[BREAKER_STATES][BREAKER_STATES] = {
        [BREAKER_CLOSED] = {[BREAKER_OPEN] = true},
        [BREAKER_HALF_OPEN] = {[BREAKER_CLOSED] = true, [BREAKER_OPEN] = true},
        /* Closed: an answer to what was sent before the breaker opened. */
        [BREAKER_OPEN] = {[BREAKER_HALF_OPEN] = true, [BREAKER_CLOSED] = true},
    };
    return table[from][to];
}

static void set_state(struct breaker *b, enum breaker_state to)
{
    assert(breaker_moves(b->state, to));
    b->state = to;
}

bool breaker_may(struct breaker *b, unsigned under_way, uint64_t now)
{
    if (now < b->until)
        return false;
    if (b->state == BREAKER_OPEN)
        set_state(b, BREAKER_HALF_OPEN);
    return b->state == BREAKER_CLOSED || under_way == 0;
}

bool breaker_good(struct breaker *b)
{
    const bool closes = b->state != BREAKER_CLOSED;
    if (closes)
        set_state(b, BREAKER_CLOSED);
    b->failures = 0;
    b->until = b->since = 0;
    return closes;
}

/* first * 1.5^(failures - 1), at most `most`, then 50% to 100% of it. */
static uint64_t delay_of(const struct breaker *b, const struct breaker_options *o, uint64_t random)
{
    uint64_t d = o->first < o->most ? o->first : o->most;
    for (unsigned i = 1; i < b->failures && d < o->most; i++)
        d += d / 2;
    if (d > o->most)
        d = o->most;
    return d / 2 + (d / 2 ? random % (d / 2) : 0);
}

bool breaker_bad(struct breaker *b, const struct breaker_options *o, uint64_t began, uint64_t after,
                 uint64_t random, uint64_t now)
{
    const bool another = b->failures == 0 || began >= b->failed;
    if (another)
        b->failures++;
    b->failed = now;
    if (!b->since)
        b->since = now ? now : 1;
    uint64_t wait = delay_of(b, o, random);
    if (after > BREAKER_AFTER)
        after = BREAKER_AFTER;
    if (after > wait)
        wait = after;
    if ((another || after) && now + wait > b->until)
        b->until = now + wait;
    if (b->state == BREAKER_CLOSED && b->failures < o->failures)
        return false;
    const bool opens = b->state == BREAKER_CLOSED;
    if (b->state != BREAKER_OPEN)
        set_state(b, BREAKER_OPEN);
    b->opened += opens;
    return opens;
}
