#include "store/follow.h"

#include <assert.h>
#include <string.h>

#include "store/space.h"

/* ---- rows ---- */

static bool name_ok(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == '"' || name.p[i] == '\\')
            return false;
    return name.n > 0 && name.n <= CONSUMER_NAME;
}

static bool is_kept(struct str name, const struct str *keep, unsigned nkeep)
{
    for (unsigned i = 0; i < nkeep; i++)
        if (str_eq(keep[i], name))
            return true;
    return false;
}

static void begin(struct store *st, unsigned row, struct str name)
{
    uint64_t words[CONSUMER_NAME / sizeof(uint64_t)] = {0};
    memcpy(words, name.p, name.n);
    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        STORE_SET(st, st->head->consumer[row][w], words[w]);
    for (int k = 0; k < RING_MAX; k++) {
        struct ring_head *h = &st->head->ring[k];
        STORE_SET(st, st->head->unread, st->head->unread & ~UNREAD(row, k));
        const struct ring_consumer_head fresh = {.cursor = h->head, .begun = h->head_seq};
        const uint64_t *from = &fresh.cursor, at = store_off(st, &h->consumer[row]);
        for (size_t w = 0; w < sizeof fresh / sizeof *from; w++)
            store_set(st, at + w * sizeof *from, from[w]);
    }
    store_commit(st);
}

int consumer_claim(struct store *st, struct str name, const struct str *keep, unsigned nkeep)
{
    int unused = 0, other = 0;
    if (!name_ok(name))
        return -ERR_RANGE;
    for (int row = CONSUMER_EXPORT; row < CONSUMER_MAX; row++) {
        const struct str has = consumer_name(st, (unsigned)row);
        if (str_eq(has, name))
            return row;
        if (has.n == 0 && !unused)
            unused = row;
        if (has.n && !other && !is_kept(has, keep, nkeep))
            other = row;
    }
    if (!unused)
        unused = other;
    if (!unused)
        return -ERR_FULL;
    store_commit(st);
    begin(st, (unsigned)unused, name);
    return unused;
}

void consumer_follow(struct store *st, enum store_consumer row, enum store_ring_id ring, bool reads)
{
    const struct ring_head *h = &st->head->ring[ring];
    struct ring_consumer_head *me = &st->head->ring[ring].consumer[row];
    const uint64_t passed = me->read + me->overrun;
    if (consumer_name(st, row).n == 0 || consumer_reads(st, row, ring) == reads)
        return;
    assert(row >= CONSUMER_EXPORT && row < CONSUMER_MAX);
    store_commit(st);
    if (reads)
        STORE_SET(st, me->begun, h->head_seq - passed);
    else
        STORE_SET(st, me->overrun, h->head_seq - me->begun - me->read);
    STORE_SET(st, me->cursor, h->head);
    STORE_SET(st, st->head->unread, st->head->unread ^ UNREAD(row, ring));
    store_commit(st);
}

/* ---- reading ---- */

void follow_init(struct follow *f, const struct store *st, enum store_ring_id ring,
                 enum store_consumer consumer)
{
    const struct ring_consumer_head *me = &st->head->ring[ring].consumer[consumer];
    *f = (struct follow){
        .ring = ring,
        .consumer = consumer,
        .position = me->cursor,
        .seq = me->begun + me->read + me->overrun,
    };
}

/* Over what was overwritten, to the oldest record. */
static void pass_lost(struct follow *f, const struct ring_head *h)
{
    if (f->position >= h->tail)
        return;
    f->position = h->tail;
    f->seq = h->tail_seq;
}

int follow_next(struct follow *f, const struct store *st, void *copy, size_t copy_size,
                struct ring_view *out)
{
    const struct ring_head *h = &st->head->ring[f->ring];
    assert(copy_size >= RING_COPY);
    pass_lost(f, h);
    uint64_t position = f->position;
    const int r = ring_read(st, f->ring, &position, copy, copy_size, out);
    if (r == 0)
        return 0;
    if (r < 0) { /* it cannot be read, by us who wrote it: nothing behind it can be found */
        f->position = h->head;
        f->seq = h->head_seq;
        return 0;
    }
    f->position = position;
    f->seq = out->seq;
    return 1;
}

uint64_t follow_waiting(const struct follow *f, const struct store *st)
{
    return st->head->ring[f->ring].head_seq - f->seq;
}

double follow_pressure(const struct follow *f, const struct store *st)
{
    const struct ring_head *h = &st->head->ring[f->ring];
    const uint64_t behind = h->head - f->position, span = ring_span(st, f->ring);
    return behind >= span ? 1 : (double)behind / (double)span;
}

/* ---- settling ---- */

void follow_settle(struct store *st, enum store_ring_id ring, enum store_consumer consumer,
                   const struct follow_done *done)
{
    struct ring_consumer_head *me = &st->head->ring[ring].consumer[consumer];
    const uint64_t passed = me->begun + me->read + me->overrun;
    const uint64_t read = done->delivered + done->filtered + done->failed;
    assert(done->position >= me->cursor && done->seq >= passed && read <= done->seq - passed);
    STORE_SET(st, me->cursor, done->position);
    STORE_ADD(st, me->read, read);
    STORE_ADD(st, me->overrun, done->seq - passed - read);
    STORE_ADD(st, me->delivered, done->delivered);
    STORE_ADD(st, me->filtered, done->filtered);
    STORE_ADD(st, me->failed, done->failed);
}
