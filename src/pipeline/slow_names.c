#include "pipeline/slow_names.h"

#include <math.h>

#include "base/clock.h"
#include "base/hash.h"

enum { WAYS = 4, FIRST = 100 };

/* A name that was not seen for that long gives its place to another. */
#define IDLE_NS (60 * NS_PER_S)

/* Of a step, in the logarithm: one above the estimate lifts it by 5%. */
static const float gain = 0.05F, above = 0.99F, below = 0.01F;

void slow_names_init(struct slow_names *s, uint64_t seed)
{
    *s = (struct slow_names){.seed = seed};
}

/* Its place, or one of four that it may take; NULL when all four are in use. */
static struct slow_name *place_of(struct slow_names *s, uint64_t hash, uint64_t now)
{
    struct slow_name *ways = &s->names[hash % (SLOW_NAMES / WAYS) * WAYS], *free = NULL;
    for (unsigned i = 0; i < WAYS; i++) {
        if (ways[i].hash == hash)
            return &ways[i];
        if (!free && (ways[i].hash == 0 || now > ways[i].seen + IDLE_NS))
            free = &ways[i];
    }
    if (free)
        *free = (struct slow_name){.hash = hash};
    return free;
}

/* The largest of the first hundred is the first estimate. */
static void learn(struct slow_name *p, float took)
{
    if (p->n < FIRST)
        p->log_p99 = p->n == 0 || took > p->log_p99 ? took : p->log_p99;
    else
        p->log_p99 += gain * (took > p->log_p99 ? above : -below);
    p->n += p->n < SLOW_WARM_UP;
}

bool slow_names_note(struct slow_names *s, struct str service, struct str name, uint64_t took,
                     uint64_t now_mono)
{
    const uint64_t both = hash_bytes(service.p, service.n, s->seed);
    struct slow_name *p = place_of(s, hash_bytes(name.p, name.n, both) | 1, now_mono);
    if (!p)
        return false;
    const float log_took = logf((float)took + 1);
    const bool slow = p->n == SLOW_WARM_UP && log_took > p->log_p99;
    p->seen = now_mono;
    learn(p, log_took);
    return slow;
}
