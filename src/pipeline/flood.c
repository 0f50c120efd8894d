#include "pipeline/flood.h"

#include <math.h>

/* The ring is nearly full of what nobody has read: fall; and until it is half empty, do
 * not rise. */
static const double high = 0.75, low = 0.5;

/* Of what a level answers; above it, it stays. */
static const double margin = 0.7;

static double rate_of(const struct flood *f, struct when now)
{
    const uint64_t ns = now.mono > f->ticked ? now.mono - f->ticked : 1;
    return (double)f->spans * (double)NS_PER_S / (double)ns;
}

static unsigned level_for(double excess)
{
    const double level = excess > 1 ? ceil(log2(excess)) : 0;
    return level < FLOOD_LEVELS ? (unsigned)level : FLOOD_LEVELS;
}

void flood_tick(struct flood *f, uint64_t limit, struct when now)
{
    const double excess = limit && f->ticked ? rate_of(f, now) / (double)limit : 0;
    unsigned want = level_for(excess);
    if (f->pressure >= high && want <= f->level)
        want = f->level + (f->level < FLOOD_LEVELS);
    const bool calm = excess <= margin * ldexp(1, (int)f->level - 1) && f->pressure < low;
    if (want > f->level)
        f->level = want;
    else if (f->level > 0 && calm)
        f->level--;
    f->spans = 0;
    f->pressure = 0;
    f->ticked = now.mono ? now.mono : 1;
}

double flood_factor(const struct flood *f, enum sample_tier tier)
{
    const int level = (int)f->level;
    if (level == 0 || tier == TIER_CRITICAL)
        return 1;
    return ldexp(1, tier == TIER_DEBUG ? -2 * level : 1 - level);
}
