#include "pipeline/ring_share.h"

#include "pipeline/pipeline.h"
#include "store/read.h"
#include "store/ring.h"

enum {
    EVEN_SLACK = 4,   /* a quarter more than even is clearly more */
    LEFT_TIMES = 7,   /* one that floods alone leaves an eighth; at three quarters sampling falls */
    JUDGE_SHARE = 64, /* of the ring is written between two looks */
};

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

_Static_assert(STORE_DOMAINS <= 64, "the bits of a word");

/* Which domains get no more into a ring. What of a domain is unread is taken to be as much
 * as of all. */
static uint64_t judge(const struct pipeline *pl, enum store_ring_id ring)
{
    const struct store *st = pl->st;
    const uint64_t size = ring_span(st, ring);
    const uint64_t behind = st->head->ring[ring].head - unread(pl, ring);
    const uint64_t left = behind < size ? size - behind : 0;
    uint64_t all = 0, active = 0, refused = 0;
    if (behind <= LEFT_TIMES * left)
        return 0;
    for (unsigned d = 0; d < STORE_DOMAINS; d++) {
        all += ring_use(st, ring, d);
        active += ring_use(st, ring, d) > 0;
    }
    for (unsigned d = 0; d < STORE_DOMAINS; d++) {
        const uint64_t use = ring_use(st, ring, d);
        const bool more_than_even = use * active > all + all / EVEN_SLACK;
        if (more_than_even &&
            (double)use * (double)behind > LEFT_TIMES * (double)left * (double)all)
            refused |= UINT64_C(1) << d;
    }
    return refused;
}

bool ring_share_allows(struct pipeline *pl, enum store_ring_id ring, unsigned domain)
{
    const uint64_t head = pl->st->head->ring[ring].head, bit = UINT64_C(1) << domain;
    uint64_t *refused = &pl->shares.ring[ring].refused;
    if (head < pl->shares.ring[ring].judge_at && !(*refused & bit))
        return true;
    *refused = judge(pl, ring);
    pl->shares.ring[ring].judge_at = head + ring_span(pl->st, ring) / JUDGE_SHARE;
    return !(*refused & bit);
}
