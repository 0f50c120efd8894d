/* allow: which producers may connect. Floor 5.
 *
 * socket.allow_uids, allow_gids and allow_exes: an empty list allows everybody, and who
 * connects has to be on each of the others. The groups are all that he has. The executable
 * is what his pid shows when he connects: it keeps mistakes out, but a process that runs
 * an allowed program and another one after it has connected was allowed, and one whose
 * program has been replaced on disk is not. */
#ifndef MCPTALLY_DAEMON_ALLOW_H
#define MCPTALLY_DAEMON_ALLOW_H

#include <stdbool.h>

#include "daemon/config.h"
#include "pipeline/pipeline.h"

/* For intake_options.allow; arg is a struct config, fd the connection. */
bool allow_producer(void *arg, const struct peer *peer, int fd);

#endif
