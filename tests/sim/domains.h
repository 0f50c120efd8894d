/* domains: histories of failure domains: two that behave, one that floods and one that
 * sends what cannot be read, a slow reader of the rings, and a daemon that is killed. */
#ifndef MCPTALLY_SIM_DOMAINS_H
#define MCPTALLY_SIM_DOMAINS_H

#include <stdint.h>

/* Runs `count` histories; with a mutant, looks for one that finds it ("all": each of them).
 * Prints what it found and a last line `N passed, N failed`. The exit status. */
int domains_sim(uint64_t seed, uint64_t count, uint32_t steps, const char *mutant);

#endif
