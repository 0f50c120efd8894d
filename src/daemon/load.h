/* load: the configuration from all its sources: defaults, file, command line. Floor 5. */
#ifndef MCPTALLY_DAEMON_LOAD_H
#define MCPTALLY_DAEMON_LOAD_H

#include "daemon/config.h"

struct load {
    const char *file;                    /* --config; NULL: places_config, if it is there */
    const char *runtime_dir, *state_dir; /* override the keys; NULL: not given */
    char **overrides;                    /* -o, in order */
    unsigned noverrides;
    const char *used; /* the file that was read by load_config(), or NULL */
};

/* Makes *c new; the file is read again at every call, which is what a reload
 * needs. False after faults; *c is then empty. */
bool load_config(struct load *l, struct config *c, struct faults *f);

#endif
