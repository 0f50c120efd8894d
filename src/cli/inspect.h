/* inspect: is a store whole, is a spool whole. Looks, changes nothing, and works
 * beside a daemon that is running. */
#ifndef MCPTALLY_CLI_INSPECT_H
#define MCPTALLY_CLI_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inspect_verdict {
    INSPECT_WHOLE,
    INSPECT_DAMAGED,
    INSPECT_ABSENT,
    INSPECT_BUSY,       /* it changes too fast for a copy that shows one moment */
    INSPECT_UNREADABLE, /* not allowed, no memory, a failing disk */
};

struct inspect_store {
    enum inspect_verdict verdict;
    char why[256];            /* what is damaged, or why it cannot be read */
    bool live;                /* a daemon has it */
    uint64_t bytes;           /* of data that were looked at */
    uint64_t metrics, series; /* that are whole */
    unsigned copies;          /* that were made until one showed one moment */
};

/* Copies the store at `path`, takes the open batch back in the copy, and walks all of
 * it. Of a running daemon up to `tries` copies are made, until nothing was committed
 * meanwhile. */
void inspect_store(const char *path, unsigned tries, struct inspect_store *out);

struct inspect_spool {
    enum inspect_verdict verdict;
    char why[256];
    uint64_t bytes, records, items; /* good ones that wait */
    uint64_t damaged_records;       /* lost to damage */
    uint64_t set_aside;             /* files kept for inspection */
};

/* Reads every record of the spool in a directory and checks its sums. */
void inspect_spool(const char *dir, struct inspect_spool *out);

#endif
