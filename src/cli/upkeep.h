/* upkeep: what the maintenance timers do, one function a timer. All of it works
 * beside a running daemon, changes nothing that a daemon uses, and may be done twice. */
#ifndef MCPTALLY_CLI_UPKEEP_H
#define MCPTALLY_CLI_UPKEEP_H

#include <stdint.h>

#include "cli/place.h"

struct upkeep {
    struct place place;
    char state[PLACE_MAX]; /* the state directory */
    uint64_t keep;         /* ns that files which were set aside are kept */
    uint64_t timeout;      /* ns to wait for a daemon's answer */
};

/* Finds the directories: those asked for, or NULL, as mcptallyd would. 0 or -ERR_RANGE. */
int upkeep_find(struct upkeep *u, const char *runtime_dir, const char *state_dir);

/* Each prints what it did or found, and returns an exit code. */
int upkeep_daily(const struct upkeep *u);   /* removes what was set aside long ago */
int upkeep_weekly(const struct upkeep *u);  /* is everything whole? */
int upkeep_monthly(const struct upkeep *u); /* figures since the report before */

#endif
