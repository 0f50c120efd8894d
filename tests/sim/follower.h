/* follower: a consumer of the simulated daemon that settles late, is killed in
 * between and is overrun, and what its ledger must say then. It also fills the
 * ring of points, and sets streams. */
#ifndef MCPTALLY_SIM_FOLLOWER_H
#define MCPTALLY_SIM_FOLLOWER_H

#include "rng.h"
#include "store/follow.h"

enum { FOLLOWER_LANES = 2, FOLLOWER_BATCHES = 6 };

/* A ring, as the consumer sees it. */
struct follower_lane {
    enum store_ring_id ring;
    struct follow follow;
    struct follow_done batch[FOLLOWER_BATCHES]; /* read and not settled yet, oldest first */
    unsigned batches;
    struct consumer_view before, after; /* of an open settling: one of the two must hold */
};

struct follower {
    struct rng *rng;
    int row;
    struct follower_lane lane[FOLLOWER_LANES];
    uint64_t appended, appending; /* points, likewise before and after */
    uint64_t overrun;             /* records, in all that was settled */
    char wrong[160];              /* empty: nothing yet */
    uint64_t copy[RING_COPY / sizeof(uint64_t)];
};

void follower_init(struct follower *fo, struct rng *rng);

/* The daemon has started: it knows what the store knows. */
void follower_boot(struct follower *fo, struct store *st);

/* It goes on: appends points, reads some batches, settles some. */
void follower_step(struct follower *fo, struct store *st);

/* Everything is read and settled. */
void follower_drain(struct follower *fo, struct store *st);

/* Whether the store says what it must; fo->wrong if not. */
bool follower_check(struct follower *fo, const struct store *st);

#endif
