/* storefile: the file behind the store: found, locked, checked, mapped. Floor 5.
 *
 * The lock is an OFD write lock on the whole file, so it goes with the process
 * however that ends, and a second daemon is told who has it. A new store is made
 * as store.new and gets its name only when it is whole; so is the copy of a store
 * whose layout is an earlier one or whose size is to be another. What cannot be
 * gone on from is kept as store.damaged-TIME. What gives way is marked superseded,
 * so that readers open the path anew. */
#ifndef MCPTALLY_DAEMON_STOREFILE_H
#define MCPTALLY_DAEMON_STOREFILE_H

#include "daemon/paths.h"
#include "store/store.h"

struct storefile {
    int fd;
    void *mem;
    size_t size; /* bytes mapped */
    char path[PATHS_MAX + 16];
    struct store store;
    enum storefile_how {
        STOREFILE_NEW,       /* there was none, or one of an earlier boot */
        STOREFILE_CONTINUED, /* it was there and is gone on with */
        STOREFILE_COPIED,    /* likewise, in a new file: another layout or size */
        STOREFILE_REPLACED,  /* what was there had to be set aside */
    } how;
    bool clean;    /* the daemon before stopped in order */
    char why[512]; /* of a failure, or of what is out of the ordinary; else empty */
};

/* Opens `dir`/store, or makes one of `size` bytes. An existing store of another
 * size is copied, or keeps its own when it holds too much. 0; -ERR_BUSY: another daemon has it;
 * -ERR_PERM: owner or mode are not ours; -ERR_FULL: no memory for its pages; -ERR_NOMEM; -ERR_IO.
 * `why` says more. */
int storefile_open(struct storefile *s, const char *dir, uint64_t size, struct when now);

/* Sets the store that is open aside, and goes on with a new one of `size` bytes. */
int storefile_replace(struct storefile *s, uint64_t size, const char *why, struct when now);

/* Detaches; `clean` after an orderly stop. */
void storefile_close(struct storefile *s, bool clean);

#endif
