#include "cli/feed.h"

static void to_the_oldest(struct feed *f)
{
    f->file = f->view->file;
    for (unsigned r = 0; r < RING_MAX; r++)
        f->at.position[r] = f->view->ring[r].tail;
}

static void start_over(struct feed *f)
{
    f->store_id = f->view->store.head->store_id;
    to_the_oldest(f);
    for (unsigned r = 0; r < RING_MAX; r++)
        f->at.seq[r] = f->view->settled ? f->view->ring[r].tail_seq : FEED_UNKNOWN;
}

static void forget_ready(struct feed *f)
{
    for (unsigned r = 0; r < RING_MAX; r++)
        f->ring[r].ready = false;
}

void feed_init(struct feed *f, struct view *v)
{
    f->view = v;
    f->rings = 1u << RING_EVENTS | 1u << RING_SPANS;
    f->lost = 0;
    forget_ready(f);
    feed_refresh(f);
    start_over(f);
}

void feed_only(struct feed *f, enum store_ring_id ring)
{
    f->rings = 1u << ring;
}

void feed_reopened(struct feed *f)
{
    forget_ready(f);
    feed_refresh(f);
    if (f->view->store.head->store_id != f->store_id)
        start_over(f);
    else if (f->view->file != f->file)
        to_the_oldest(f);
}

void feed_rewind(struct feed *f, const struct feed_mark *mark)
{
    forget_ready(f);
    f->at = *mark;
}

void feed_refresh(struct feed *f)
{
    view_settle(f->view);
}

static bool handed_out(const struct feed *f, unsigned r, uint64_t seq)
{
    return f->at.seq[r] != FEED_UNKNOWN && seq <= f->at.seq[r];
}

/* Reads one record ahead in a ring. */
static void look(struct feed *f, unsigned r)
{
    struct feed_ring *ring = &f->ring[r];
    const uint64_t end = f->view->ring[r].head;
    uint64_t position = f->at.position[r];
    while (!ring->ready && position < end) {
        const uint64_t from = position;
        const int got = ring_read(&f->view->store, (enum store_ring_id)r, &position, ring->copy,
                                  sizeof ring->copy, &ring->next);
        if (got == 0)
            return;
        if (got < 0 && position <= from) /* a record that cannot be read, or a shorter ring */
            position = end;
        ring->ready = got > 0 && !handed_out(f, r, ring->next.seq);
        ring->after = position;
        if (!ring->ready)
            f->at.position[r] = position;
    }
}

static unsigned earlier(const struct feed *f)
{
    unsigned best = RING_MAX;
    for (unsigned r = 0; r < RING_MAX; r++)
        if (f->ring[r].ready &&
            (best == RING_MAX || f->ring[r].next.received < f->ring[best].next.received))
            best = r;
    return best;
}

const struct ring_view *feed_next(struct feed *f)
{
    for (unsigned r = 0; r < RING_MAX; r++)
        if (f->rings & 1u << r)
            look(f, r);
    const unsigned r = earlier(f);
    if (r == RING_MAX)
        return NULL;
    struct feed_ring *ring = &f->ring[r];
    const uint64_t before = f->at.seq[r], seq = ring->next.seq;
    if (before != FEED_UNKNOWN && seq > before + 1)
        f->lost += seq - before - 1;
    f->at.seq[r] = seq;
    f->at.position[r] = ring->after;
    ring->ready = false;
    return &ring->next;
}
