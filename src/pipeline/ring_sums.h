/* ring_sums: what a thread has added to counters, summed before it goes into the store. Floor 3.
 *
 * A thread counts few things often. Of one turn the additions to a counter go into the
 * store as one, with one entry of the undo log, and the records are read where they
 * lie, in memory that their writer may be changing: each word once. */
#ifndef MCPTALLY_PIPELINE_RING_SUMS_H
#define MCPTALLY_PIPELINE_RING_SUMS_H

#include "pipeline/link.h"
#include "store/commit.h"

enum {
    RING_SUMS = 4096, /* ids of a connection that are summed; those above go in one by one */
    RING_SUMS_TOUCHED = COMMIT_ITEM_SETS - 128 /* counters of a batch; the rest is the ledger's */
};

/* Between two calls all sums are 0. */
struct ring_sums {
    uint64_t sum[RING_SUMS];
    unsigned n; /* ids in `touched`; an id may be there twice, its sum then counts once */
    uint16_t touched[RING_SUMS_TOUCHED];
};

/* NULL: no memory. */
struct ring_sums *ring_sums_new(void);
void ring_sums_free(struct ring_sums *s);

/* Adds updates from n words, and changes their counters in the open batch, which has room.
 * Ends at the first that is no addition to an integer counter of this epoch, or no update.
 * Returns the words that were passed over, in *updates how many updates they were. */
uint32_t ring_sums_add(struct ring_sums *s, struct link *l, const uint32_t *words, uint32_t n,
                       uint32_t *updates);

#endif
