/* bound: the most memory that a configuration lets the daemon use. Floor 5. */
#ifndef MCPTALLY_DAEMON_BOUND_H
#define MCPTALLY_DAEMON_BOUND_H

#include <stdio.h>

#include "daemon/config.h"

/* One line an item, then the sum. */
void bound_print(FILE *to, const struct config *c);

#endif
