#include "pipeline/ring_share.h"

#include "pipeline/pipeline.h"
#include "store/read.h"
#include "store/ring.h"

void ring_share_tick(struct pipeline *pl, struct when now)
{
    for (unsigned c = 0; c < CONSUMER_MAX; c++) {
        for (int k = 0; k < RING_MAX; k++) {
            const struct ring_head *h = &pl->st->head->ring[k];
            const uint64_t cursor = h->consumer[c].cursor;
            uint64_t *seen = &pl->shares.reader[c][k].cursor;
            uint64_t *moved = &pl->shares.reader[c][k].moved;
            if (*moved == 0 || cursor != *seen || cursor >= h->head)
                *moved = now.mono ? now.mono : 1;
            *seen = cursor;
            pl->shares.reader[c][k].still = now.mono - *moved >= pl->options.reader_still;
        }
    }
}

/* The oldest position that a reader which moves has still to come to; the head when none. */
static uint64_t unread(const struct pipeline *pl, enum store_ring_id ring)
{
    const struct ring_head *h = &pl->st->head->ring[ring];
    uint64_t oldest = h->head;
    for (unsigned c = 0; c < CONSUMER_MAX; c++) {
        const uint64_t cursor = h->consumer[c].cursor;
        if (cursor < oldest && !pl->shares.reader[c][ring].still && consumer_reads(pl->st, c, ring))
            oldest = cursor;
    }
    return oldest;
}

bool ring_share_allows(const struct pipeline *pl, enum store_ring_id ring, unsigned domain)
{
    const struct store *st = pl->st;
    uint64_t all = 0, active = 0;
    if (ring_keeps(st, ring, unread(pl, ring)))
        return true;
    for (unsigned d = 0; d < STORE_DOMAINS; d++) {
        all += ring_use(st, ring, d);
        active += ring_use(st, ring, d) > 0;
    }
    /* A quarter more than even: domains that send alike do not refuse each other. */
    return ring_use(st, ring, domain) * active <= all + all / 4;
}
