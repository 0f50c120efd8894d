/* forward: histories of what is sent on: two lanes to one collector that goes away,
 * refuses, or answers late, a spool that fails, and a daemon that is killed. */
#ifndef MCPTALLY_SIM_FORWARD_H
#define MCPTALLY_SIM_FORWARD_H

#include <stdint.h>

#include "machine.h"

struct forward_sum {
    uint64_t items, delivered, again, refused, spooled, dropped, overrun, kills;
};

/* Runs one; `wrong` is empty when everything held. */
void forward_history(uint64_t seed, uint32_t steps, enum mutant mutant, char wrong[256],
                     struct forward_sum *sum);

#endif
