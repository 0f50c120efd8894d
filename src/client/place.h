/* place: where the daemon listens, and what this process is called. */
#ifndef MCPTALLY_CLIENT_PLACE_H
#define MCPTALLY_CLIENT_PLACE_H

#include <stdbool.h>
#include <sys/un.h>

#include "mcptally.h"
#include "model/limits.h"

struct names {
    char socket[sizeof((struct sockaddr_un *)0)->sun_path];  /* empty: the usual places */
    char runtime[sizeof((struct sockaddr_un *)0)->sun_path]; /* XDG_RUNTIME_DIR, or empty */
    char service[LIMIT_SERVICE + 1];
    char instance[LIMIT_SERVICE + 1];
    char domain[LIMIT_SERVICE + 1];
    bool instance_is_pid;
};

/* Takes the names of the options (NULL allowed), of the environment, or makes
 * them. Reads the environment, so it is for mcptally_open() only. */
void place_names(struct names *names, const mcptally_options *o);

/* Whether rings are to be shared with the daemon: by the options, else by
 * MCPTALLY_TRANSPORT. */
bool place_wants_rings(const mcptally_options *o);

/* A forked child: an instance name that is the pid changes. */
void place_forked(struct names *names);

/* Connects to the daemon without waiting: a descriptor, or -1. */
int place_connect(const struct names *names);

#endif
