/* spool_sim: seeded histories of one spool on a simulated disk. */
#ifndef MCPTALLY_SIM_SPOOL_SIM_H
#define MCPTALLY_SIM_SPOOL_SIM_H

#include <stdint.h>

/* As sim: `count` histories from `seed` on, or with a mutant's name (or all) whether
 * they find it. Prints what failed; returns the exit status. */
int spool_sim(uint64_t seed, uint64_t count, uint32_t steps, const char *mutant);

#endif
