/* target: what this daemon is and runs on, as info metrics. Floor 4. */
#ifndef MCPTALLY_SERVE_TARGET_H
#define MCPTALLY_SERVE_TARGET_H

#include "pipeline/own.h"

/* Gives mcptally_build_info and target_info their labels. Commits. */
void target_declare(struct own *o, const char *version, struct when now);

#endif
