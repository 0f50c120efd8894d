#include "cli/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static int join(struct upkeep *u, const char *dir, const char *below)
{
    const int n = snprintf(u->state, sizeof u->state, "%s%s", dir, below);
    return n >= 0 && (size_t)n < sizeof u->state ? 0 : -ERR_RANGE;
}

/* Where a daemon with that runtime directory has its state, as mcptallyd(8) says. */
static int find_state(struct upkeep *u)
{
    const char *given = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (given && *given == '/' && !strchr(given, ':'))
        return join(u, given, "");
    if (geteuid() == 0 || strcmp(u->place.dir, "/run/mcptally") == 0)
        return join(u, "/var/lib/mcptally", "");
    if (xdg && *xdg == '/')
        return join(u, xdg, "/mcptally");
    return join(u, home && *home == '/' ? home : "", "/.local/state/mcptally");
}

int upkeep_find(struct upkeep *u, const char *runtime_dir, const char *state_dir)
{
    const int r = place_find(&u->place, runtime_dir);
    if (r < 0)
        return r;
    return state_dir ? join(u, state_dir, "") : find_state(u);
}
