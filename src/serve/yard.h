/* yard: connections that are over, and have not been read to their end. Floor 4.
 *
 * What they still hold are descriptors, perhaps: thousands on one connection, each of which
 * somebody has to close, and not the kernel, see foreign.h. So that a connection cannot keep
 * the loop by ending, a bounded number is closed a turn. */
#ifndef MCPTALLY_SERVE_YARD_H
#define MCPTALLY_SERVE_YARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "serve/env.h"

enum {
    YARD_STEP = 1024, /* descriptors closed in one turn, with up to one message's more */
    YARD_READ = 16,   /* a read counts as so many */
    YARD_FULL = 256,  /* connections; with more of them nobody else should be accepted */
};

#define YARD_NOBODY UINT32_MAX /* a user whose place need not be given back */

/* A connection of that user is closed. */
typedef void yard_gone(void *arg, uint32_t user);

struct yard {
    struct serve_env env;
    struct event *turn;
    TAILQ_HEAD(, yard_place) places;
    unsigned n;
    yard_gone *gone;
    void *arg;
};

/* Of the environment the loop is used, and who is told of each turn. gone: NULL, nobody wants
 * to know. 0, -ERR_NOMEM. */
int yard_init(struct yard *y, const struct serve_env *env, yard_gone *gone, void *arg);

/* Those that are left stay open: the end of the process closes them, and waits for nothing. */
void yard_fini(struct yard *y);

/* Takes a Unix socket and closes it: at once if nothing is left to be read in it. Nothing more
 * can be written to it. */
void yard_close(struct yard *y, int socket, uint32_t user);

#endif
