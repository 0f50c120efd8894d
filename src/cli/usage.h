/* usage: what a process and its descendants use, from /proc. A launcher such as
 * npx is only the parent of what is to be measured. */
#ifndef MCPTALLY_CLI_USAGE_H
#define MCPTALLY_CLI_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { USAGE_PROCESSES = 64 }; /* of one tree that are looked at */

struct usage {
    unsigned processes;
    uint64_t memory;   /* resident bytes */
    uint64_t open_fds; /* of those whose descriptors we may see */
    double cpu;        /* seconds, with those of children that have ended */
};

/* False when the root process is gone or cannot be seen. */
bool usage_read(struct usage *u, pid_t root);

#endif
