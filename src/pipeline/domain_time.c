#include "pipeline/domain_time.h"

#include "store/commit.h"

#define MINUTE (60 * NS_PER_S)
#define HOUR   (60 * MINUTE)

/* Between two ticks of a loop that turns; what lies beyond was not served. */
#define PAUSE (5 * NS_PER_S)

static const struct ring {
    unsigned first, n; /* buckets */
    uint64_t period;   /* ns */
} rings[DOMAIN_WINDOWS] = {
    [DOMAIN_HOUR] = {0, AVAILABLE_HOUR, MINUTE},
    [DOMAIN_DAY] = {AVAILABLE_HOUR, AVAILABLE_DAY, HOUR},
    [DOMAIN_MONTH] = {AVAILABLE_HOUR + AVAILABLE_DAY, AVAILABLE_MONTH, 24 * HOUR},
};

const char *domain_window_name(unsigned w)
{
    static const char *const names[DOMAIN_WINDOWS] = {"1h", "24h", "30d"};
    return w < DOMAIN_WINDOWS ? names[w] : "unknown";
}

static unsigned bucket(const struct ring *g, uint64_t period)
{
    return g->first + (unsigned)(period % g->n);
}

/* The periods that have begun since `from` begin with nothing. */
static void turn(struct store *st, struct domain_rec *r, const struct ring *g, uint64_t from,
                 uint64_t to)
{
    uint64_t p = from / g->period;
    const uint64_t last = to / g->period;
    if (last - p > g->n)
        p = last - g->n;
    while (p++ < last)
        if (r->available[bucket(g, p)])
            STORE_SET(st, r->available[bucket(g, p)], 0);
}

/* Adds [from, to), which is shorter than a period, to the one or two that it is in. */
static void add(struct store *st, struct domain_rec *r, const struct ring *g, uint64_t from,
                uint64_t to)
{
    const uint64_t edge = to / g->period * g->period;
    const uint64_t before = from < edge ? edge - from : 0;
    if (before)
        STORE_ADD(st, r->available[bucket(g, from / g->period)], before);
    if (to - from > before)
        STORE_ADD(st, r->available[bucket(g, to / g->period)], to - from - before);
}

void domain_settle(struct store *st, unsigned d, uint64_t mono, bool available)
{
    struct domain_rec *r = store_domain(st, d);
    if (r->begun == 0) {
        STORE_SET(st, r->begun, mono ? mono : 1);
        STORE_SET(st, r->settled, r->begun);
    }
    const uint64_t from = r->settled;
    if (mono <= from)
        return;
    for (unsigned w = 0; w < DOMAIN_WINDOWS; w++) {
        const uint64_t until = mono - from > PAUSE ? from + PAUSE : mono;
        turn(st, r, &rings[w], from, mono);
        /* What a turn has passed over is gone: the rest of its period is a pause. */
        if (available && mono / rings[w].period - from / rings[w].period < rings[w].n)
            add(st, r, &rings[w], from, until);
    }
    STORE_SET(st, r->settled, mono);
}

double domain_available(const struct store *st, unsigned d, enum domain_window w, uint64_t mono)
{
    const struct domain_rec *r = store_domain(st, d);
    const struct ring *g = &rings[w];
    if (!r || !r->begun || mono <= r->begun)
        return 1;
    const uint64_t last = mono / g->period;
    uint64_t p = last >= g->n ? last - g->n + 1 : 0, sum = 0;
    const uint64_t from = p * g->period > r->begun ? p * g->period : r->begun;
    for (; p <= r->settled / g->period && p <= last; p++)
        sum += r->available[bucket(g, p)];
    const double share = (double)sum / (double)(mono - from);
    return share < 1 ? share : 1;
}
