/* info: the constant series that say what this daemon is. Floor 5. */
#ifndef MCPTALLY_DAEMON_INFO_H
#define MCPTALLY_DAEMON_INFO_H

#include "pipeline/own.h"

/* mcptally_build_info, and target_info: the daemon as a resource in the sense of
 * OpenTelemetry. Commits. */
void info_declare(struct own *o, struct when now);

#endif
