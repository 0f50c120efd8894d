#include "watch/part.h"

#include <assert.h>

/* What the store has room for. */
enum { FAILURES_MAX = UINT16_MAX, MISSED_MAX = UINT8_MAX, SUCCESSES_MAX = UINT8_MAX };

enum health_state part_shown(enum part_phase phase)
{
    static const enum health_state shown[PART_PHASES] = {
#define X(sym, shown, help) [PART_##sym] = shown,
        PART_PHASE_TABLE(X)
#undef X
    };
    assert(phase < PART_PHASES);
    return shown[phase];
}

/* A component that was not well gets to HEALTHY through RECOVERING only, and
 * only one that was not well has something to recover from. */
bool part_may(enum part_phase from, enum part_phase to)
{
    static const bool may[PART_PHASES][PART_PHASES] = {
        [PART_NEW] = {[PART_HEALTHY] = true, [PART_DEGRADED] = true, [PART_UNHEALTHY] = true},
        [PART_HEALTHY] = {[PART_NEW] = true, [PART_DEGRADED] = true, [PART_UNHEALTHY] = true},
        [PART_DEGRADED] = {[PART_UNHEALTHY] = true, [PART_RECOVERING] = true},
        [PART_UNHEALTHY] = {[PART_DEGRADED] = true, [PART_RECOVERING] = true},
        [PART_RECOVERING] =
            {[PART_HEALTHY] = true, [PART_DEGRADED] = true, [PART_UNHEALTHY] = true},
    };
    return may[from][to];
}

static void part_set_state(struct part *p, enum part_phase to, uint64_t now)
{
    if (p->phase == to)
        return;
    assert(part_may(p->phase, to));
    p->phase = to;
    p->changed = now;
}

static bool well(const struct part *p)
{
    return p->phase == PART_NEW || p->phase == PART_HEALTHY;
}

static void recovered(struct part *p, const struct part_rules *r, uint64_t now)
{
    if (p->phase == PART_RECOVERING && p->missed == 0 && now - p->changed >= r->recovery &&
        p->successes >= r->successes)
        part_set_state(p, PART_HEALTHY, now);
}

static void good(struct part *p, const struct part_rules *r, uint64_t now)
{
    if (p->phase == PART_NEW)
        part_set_state(p, PART_HEALTHY, now);
    if (!well(p))
        part_set_state(p, PART_RECOVERING, now);
    recovered(p, r, now);
}

static void failed(struct part *p, const struct part_rules *r, unsigned times, uint64_t now)
{
    p->failures = times < FAILURES_MAX - p->failures ? p->failures + times : FAILURES_MAX;
    part_set_state(p, p->failures >= r->failures ? PART_UNHEALTHY : PART_DEGRADED, now);
}

void part_report(struct part *p, const struct part_rules *r, enum health_state state, uint64_t now)
{
    p->reported = state;
    p->heard = now;
    p->missed = 0;
    if (state != HEALTH_UNHEALTHY)
        p->failures = 0;
    p->successes = state != HEALTH_HEALTHY        ? 0
                   : p->successes < SUCCESSES_MAX ? p->successes + 1
                                                  : SUCCESSES_MAX;
    switch (state) {
    case HEALTH_UNKNOWN:
        part_set_state(p, well(p) ? PART_NEW : PART_DEGRADED, now);
        break;
    case HEALTH_HEALTHY:
        good(p, r, now);
        break;
    case HEALTH_DEGRADED:
        part_set_state(p, PART_DEGRADED, now);
        break;
    case HEALTH_UNHEALTHY:
        failed(p, r, 1, now);
        break;
    }
}

/* Reports that should have come by now. */
static unsigned missing(const struct part *p, const struct part_rules *r, uint64_t since,
                        uint64_t now)
{
    const uint64_t heard = p->heard > since ? p->heard : since;
    const uint64_t first = r->interval + r->timeout;
    if (now < heard || now - heard < first)
        return 0;
    const uint64_t n = 1 + (now - heard - first) / r->interval;
    return n < MISSED_MAX ? (unsigned)n : MISSED_MAX;
}

void part_tick(struct part *p, const struct part_rules *r, uint64_t since, uint64_t now)
{
    const unsigned n = missing(p, r, since, now);
    if (n > p->missed) {
        const unsigned more = n - p->missed;
        p->missed = n;
        failed(p, r, more, now);
    }
    recovered(p, r, now);
}
