/* observing: whose processes are looked at. Floor 5. */
#ifndef MCPTALLY_DAEMON_OBSERVING_H
#define MCPTALLY_DAEMON_OBSERVING_H

#include "daemon/daemon.h"

/* One round, once a second: the producers that have been connected longest. */
void observing_tick(struct daemon *d, struct when now);

#endif
