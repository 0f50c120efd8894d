#include "pipeline/link_ring.h"

#include "pipeline/apply.h"
#include "pipeline/domain.h"
#include "pipeline/ring_sums.h"
#include "store/commit.h"
#include "store/session.h"
#include "store/session_ring.h"
#include "wire/encode.h"
#include "wire/shm_ring.h"

int link_ring_open(struct link *l, const struct ring_offer *o, struct link_ring *r)
{
    struct store *st = l->pl->st;
    const struct ring_mark from = {.stream = o->stream, .position = o->position};
    uint64_t mark = ring_mark_find(st, l->session, o->stream);
    if (!mark)
        mark = ring_mark_make(st, l->session, &from, l->pl->options.rings_per_session);
    store_commit(st);
    if (!l->pl->sums)
        l->pl->sums = ring_sums_new(); /* without it everything is fed */
    *r = (struct link_ring){.stream = o->stream, .mark = mark};
    return mark ? 0 : -ERR_FULL;
}

bool link_ring_forget(struct link *l,
                      bool (*is_read)(void *arg, const struct link *l, uint64_t mark), void *arg)
{
    struct store *st = l->pl->st;
    uint64_t at = session_at(st, l->session)->rings;
    for (int n = 0; at && n < RING_MARKS_MAX && is_read(arg, l, at); n++)
        at = ring_mark_at(st, at)->next;
    if (!at)
        return false;
    ring_mark_drop(st, l->session, (uint32_t)ring_mark_at(st, at)->stream);
    store_commit(st);
    return true;
}

uint64_t link_ring_position(const struct link *l, const struct link_ring *r)
{
    return ring_mark_at(l->pl->st, r->mark)->position;
}

uint64_t link_ring_items(const struct link *l, const struct link_ring *r)
{
    return ring_mark_at(l->pl->st, r->mark)->items;
}

/* Brings mark, session and ledger up to `n` items that were all applied, and commits. */
static void settle(struct link *l, const struct link_ring *r, uint32_t words, uint32_t n)
{
    struct store *st = l->pl->st;
    struct ring_mark *m = ring_mark_at(st, r->mark);
    struct tally t = {.done = n, .applied = n};
    STORE_ADD(st, m->position, words);
    STORE_ADD(st, m->items, n);
    STORE_ADD(st, session_at(st, l->session)->items, n);
    tally_post(&t, l->pl, l->domain);
    store_commit(st);
}

uint32_t link_ring_add(struct link *l, const struct link_ring *r, const uint32_t *words, uint32_t n,
                       struct when now)
{
    struct pipeline *pl = l->pl;
    l->spent = 0;
    if (!pl->sums || domain_pace(pl, l->domain, now) == DOMAIN_DROP)
        return 0;
    pl->st->head->domain_in_hand = l->domain + 1u;
    uint32_t updates;
    const uint32_t taken = ring_sums_add(pl->sums, l, words, n, &updates);
    if (taken)
        settle(l, r, taken, updates);
    domain_turned(pl, l->domain, now);
    pl->st->head->domain_in_hand = 0;
    return taken;
}

enum link_ring_end link_ring_feed(struct link *l, const struct link_ring *r, uint32_t *words,
                                  uint32_t n, bool patient, uint32_t *taken, struct buf *out,
                                  struct when now)
{
    struct store_head *h = l->pl->st->head;
    struct apply a = {
        .units = l->pl->link_units,
        .mark = r->mark,
        .patient = patient,
        .over = domain_pace(l->pl, l->domain, now) == DOMAIN_DROP,
    };
    h->domain_in_hand = l->domain + 1u;
    const int64_t done = apply_ring(l, &a, words, n, now);
    l->spent = l->pl->link_units - a.units;
    domain_turned(l->pl, l->domain, now);
    h->domain_in_hand = 0;
    *taken = done > 0 ? (uint32_t)done : 0;
    link_reject_items(l, out, FRAME_RING, &a.t);
    if (done < 0)
        return LINK_RING_BROKEN;
    if (a.waits)
        return LINK_RING_WAITS;
    return LINK_RING_GOOD;
}

void link_ring_torn(struct link *l, const struct link_ring *r)
{
    struct tally t = {.done = 1};
    tally_drop(&t, DROP_TORN, 0);
    tally_post(&t, l->pl, l->domain);
    STORE_ADD(l->pl->st, ring_mark_at(l->pl->st, r->mark)->items, 1);
    store_commit(l->pl->st);
}

void link_ring_close(struct link *l, const struct link_ring *r)
{
    ring_mark_drop(l->pl->st, l->session, r->stream);
    store_commit(l->pl->st);
}
