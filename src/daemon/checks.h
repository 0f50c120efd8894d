/* checks: the daemon's verdict on itself. Floor 5.
 *
 * Made about once a second and after new health reports; the health port and the
 * control socket only show it. Liveness is the loop's alone, so that nothing
 * outside the process can have it restarted. */
#ifndef MCPTALLY_DAEMON_CHECKS_H
#define MCPTALLY_DAEMON_CHECKS_H

#include "daemon/daemon.h"

/* Writes d->verdict anew. */
void checks_make(struct daemon *d);

#endif
