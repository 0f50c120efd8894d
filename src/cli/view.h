/* view: the store of a daemon, running or not, for reading.
 *
 * While a daemon holds the store's lock the file is mapped as it is, and changes
 * under the reader. Otherwise it is copied and the batch that was open when the
 * daemon died is rolled back in the copy, so that only what was committed shows. */
#ifndef MCPTALLY_CLI_VIEW_H
#define MCPTALLY_CLI_VIEW_H

#include <stdbool.h>

#include "store/read.h"

/* A ring as of a moment when no batch was open. */
struct view_ring {
    uint64_t tail, head; /* positions of the oldest record and of the next one */
    uint64_t tail_seq;   /* sequence number of the record before the oldest */
};

struct view {
    struct store store;
    bool live; /* a daemon has it */
    int fd;
    void *mem;
    size_t size;   /* of the mapping */
    uint64_t file; /* inode */
    bool settled;
    struct view_ring ring[RING_MAX];
};

/* Opens the store at `path`. 0; -ERR_IO (errno tells why; ENOENT: there is none);
 * -ERR_DAMAGED, -ERR_VERSION; -ERR_BUSY when daemons come and go faster than it
 * can be copied; -ERR_NOMEM. */
int view_open(struct view *v, const char *path);
void view_close(struct view *v);

/* Whether it still shows what is at `path`: false when a daemon has come or gone,
 * or the file was replaced; view_close() and view_open() then show the new state. */
bool view_current(const struct view *v, const char *path);

/* Brings view.ring up to what is committed. Records beyond may be rolled back and
 * their places taken by others. When a busy daemon leaves no gap between two
 * batches the rings stay as they were, and view.settled is false when they were
 * never read. */
void view_settle(struct view *v);

/* Reports why a store could not be opened and returns the exit code. */
int view_report(const char *path, int error);

#endif
