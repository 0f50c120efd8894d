/* ring_share: how much of a ring a domain may have while its readers are behind. Floor 3.
 *
 * A ring overwrites what is oldest, whoever it is of. That would let one domain push out
 * what the others have in it before its readers come to it. So a domain that has clearly
 * more than an even share of what is unread, and seven times what is left free, gets no more
 * into it: the free part is for the others. Domains that send alike do not refuse each other,
 * and one that is alone overwrites its own. A reader that stands still protects nobody: it
 * is overrun, as a ring's slow reader is, and costs the intake nothing. */
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
    struct {
        uint64_t refused;  /* domains that get no more in: a bit each */
        uint64_t judge_at; /* head of the ring at which that is looked at again */
    } ring[RING_MAX];
};

/* Looks which readers move; once a second. */
void ring_share_tick(struct pipeline *pl, struct when now);

/* Whether a record of the domain may be appended. */
bool ring_share_allows(struct pipeline *pl, enum store_ring_id ring, unsigned domain);

#endif
