/* ring_share: whose records a ring keeps when it is full. Floor 3. No clock.
 *
 * A ring overwrites what is oldest, whoever it is of. That would let one domain push out
 * what the others have in it before its readers come to it. So while that is what the next
 * record would cost, a domain that has clearly more than an even share of the ring gets no
 * more into it. A reader that stands still protects nobody: it is overrun, as a ring's slow
 * reader is, and costs the intake nothing. */
#ifndef MCPTALLY_PIPELINE_RING_SHARE_H
#define MCPTALLY_PIPELINE_RING_SHARE_H

#include "base/clock.h"
#include "store/store.h"

struct pipeline;

struct ring_shares {
    struct {
        uint64_t cursor, moved; /* mono ns when it was seen to move last; 0: never looked at */
        bool still;
    } reader[CONSUMER_MAX][RING_MAX];
};

/* Looks which readers move; once a second. */
void ring_share_tick(struct pipeline *pl, struct when now);

/* Whether the domain may make the ring give up its oldest records. */
bool ring_share_allows(const struct pipeline *pl, enum store_ring_id ring, unsigned domain);

#endif
