/* attach: the store as this start finds it, and what its past starts mean. Floor 5. */
#ifndef MCPTALLY_DAEMON_ATTACH_H
#define MCPTALLY_DAEMON_ATTACH_H

#include "daemon/daemon.h"

/* Opens d->file; sets d->brake by the ladder, and a domain aside that daemons die of. 0 or the
 * error of storefile_open(); has logged what it did. */
int attach_store(struct daemon *d);

#endif
