/* flood: how far the rates have fallen. Floor 3. No clock.
 *
 * A level is a factor of two: at level n a flood of up to 2^n times the limit is
 * answered. It rises at once and falls a step a tick, when the flood is well below what
 * the step answers. The lowest tier falls first and twice as fast. */
#ifndef MCPTALLY_PIPELINE_FLOOD_H
#define MCPTALLY_PIPELINE_FLOOD_H

#include <stdint.h>

#include "pipeline/sampling.h"

enum { FLOOD_LEVELS = 16 };

struct flood {
    unsigned level;
    uint64_t spans;  /* since the last tick */
    double pressure; /* highest since then */
    uint64_t ticked; /* mono ns */
};

static inline void flood_note(struct flood *f, double pressure)
{
    f->spans++;
    f->pressure = pressure > f->pressure ? pressure : f->pressure;
}

/* Sets the level by what came since the last tick; limit: spans a second, 0: none. */
void flood_tick(struct flood *f, uint64_t limit, struct when now);

/* What a rate is multiplied by. */
double flood_factor(const struct flood *f, enum sample_tier tier);

#endif
