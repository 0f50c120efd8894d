/* paths: where the runtime, the state and the store lie. Floor 5.
 *
 * man/mcptallyd.8, section FILES, says the same in words. */
#ifndef MCPTALLY_DAEMON_PATHS_H
#define MCPTALLY_DAEMON_PATHS_H

#include "base/err.h"

enum { PATHS_MAX = 256 };

struct paths {
    char runtime[PATHS_MAX]; /* sockets */
    char state[PATHS_MAX];   /* what outlives a boot; not made before it is needed */
    char store[PATHS_MAX];   /* directory of the store: the runtime's, or one on tmpfs */
};

/* Finds the directories and makes the runtime's and the store's. Empty strings
 * mean the defaults. 0, or -ERR_PERM (owner or mode of a directory that others
 * could use against us), -ERR_IO, -ERR_RANGE (too long); `why` says which. */
int paths_find(struct paths *p, const char *runtime, const char *state, char *why, unsigned size);

/* `path` itself when it is absolute, else below `dir`: 0 or -ERR_RANGE. */
int paths_join(char *to, unsigned size, const char *dir, const char *path);

#endif
