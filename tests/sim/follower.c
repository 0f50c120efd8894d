#include "follower.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/space.h"
#include "store/stream.h"

enum { STREAMS = 12, STREAM_VALUES = 5, POINT_BYTES = 12000 };

void follower_init(struct follower *fo, struct rng *rng)
{
    *fo = (struct follower){.rng = rng};
    fo->lane[0].ring = RING_SPANS;
    fo->lane[1].ring = RING_POINTS;
}

__attribute__((format(printf, 2, 3))) static bool fault(struct follower *fo, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!fo->wrong[0])
        vsnprintf(fo->wrong, sizeof fo->wrong, fmt, ap);
    va_end(ap);
    return false;
}

void follower_boot(struct follower *fo, struct store *st)
{
    fo->row = consumer_claim(st, STR("export/sim"), NULL, 0);
    assert(fo->row > 0);
    for (unsigned i = 0; i < FOLLOWER_LANES; i++) {
        struct follower_lane *l = &fo->lane[i];
        l->batches = 0;
        follow_init(&l->follow, st, l->ring, (enum store_consumer)fo->row);
    }
}

/* ---- points and streams ---- */

static void append(struct follower *fo, struct store *st)
{
    static const char body[POINT_BYTES];
    const struct ring_item item = {
        .kind = 1, .service = STR("sim"), .body = {body, rng_below(fo->rng, POINT_BYTES)}};
    ring_make_room(st, RING_POINTS);
    if (ring_append(st, RING_POINTS, &item) < 0)
        return;
    fo->appending = fo->appended + 1;
    store_commit(st);
    fo->appended = fo->appending;
}

/* Start, time and all values of a stream are the same number at every commit. */
static void set_stream(struct follower *fo, struct store *st)
{
    const uint64_t hash[2] = {rng_below(fo->rng, STREAMS), 1};
    uint64_t values[STREAM_VALUES];
    const uint64_t v = rng_next(fo->rng);
    uint32_t i = stream_find(st, hash);
    if (i && rng_chance(fo->rng, 10)) {
        stream_remove(st, i);
    } else {
        i = i ? i : stream_make(st, hash, 1, 0, STREAM_VALUES);
        for (unsigned w = 0; w < STREAM_VALUES; w++)
            values[w] = v;
        if (i)
            stream_set(st, i, v, v, values, STREAM_VALUES);
    }
    store_commit(st);
}

/* ---- reading and settling ---- */

/* One batch; the records come without a gap but for what was overwritten. */
static void read_batch(struct follower *fo, struct store *st, struct follower_lane *l)
{
    struct follow_done *b = &l->batch[l->batches];
    struct ring_view v;
    *b = (struct follow_done){.position = l->follow.position, .seq = l->follow.seq};
    for (uint32_t n = 1 + rng_below(fo->rng, 40); n > 0; n--) {
        const bool lost = l->follow.position < st->head->ring[l->ring].tail;
        const uint64_t last = l->follow.seq;
        if (follow_next(&l->follow, st, fo->copy, sizeof fo->copy, &v) == 0)
            break;
        /* The tail may have passed mere padding: then nothing is lost after all. */
        if (lost ? v.seq <= last : v.seq != last + 1)
            fault(fo, "follower: record %llu after %llu", (unsigned long long)v.seq,
                  (unsigned long long)last);
        b->delivered += v.seq % 3 == 0;
        b->filtered += v.seq % 3 == 1;
        b->failed += v.seq % 3 == 2;
    }
    b->position = l->follow.position;
    b->seq = l->follow.seq;
    l->batches++;
}

static void settle(struct follower *fo, struct store *st, struct follower_lane *l)
{
    const struct follow_done b = l->batch[0];
    struct consumer_view *a = &l->after;
    const uint64_t begun = st->head->ring[l->ring].consumer[fo->row].begun;
    a->delivered += b.delivered;
    a->filtered += b.filtered;
    a->failed += b.failed;
    a->read += b.delivered + b.filtered + b.failed;
    a->overrun = b.seq - begun - a->read;
    follow_settle(st, l->ring, (enum store_consumer)fo->row, &b);
    store_commit(st);
    fo->overrun += a->overrun - l->before.overrun;
    l->before = l->after;
    l->batches--;
    memmove(l->batch, l->batch + 1, l->batches * sizeof *l->batch);
    (void)follower_check(fo, st);
}

void follower_step(struct follower *fo, struct store *st)
{
    for (uint32_t n = rng_below(fo->rng, 20); n > 0; n--)
        append(fo, st);
    set_stream(fo, st);
    for (unsigned i = 0; i < FOLLOWER_LANES; i++) {
        struct follower_lane *l = &fo->lane[i];
        if (l->batches < FOLLOWER_BATCHES && rng_chance(fo->rng, 70))
            read_batch(fo, st, l);
        while (l->batches > 0 && rng_chance(fo->rng, 30))
            settle(fo, st, l);
    }
}

void follower_drain(struct follower *fo, struct store *st)
{
    for (unsigned i = 0; i < FOLLOWER_LANES; i++) {
        struct follower_lane *l = &fo->lane[i];
        while (l->batches > 0 || follow_waiting(&l->follow, st) > 0) {
            if (l->batches < FOLLOWER_BATCHES && follow_waiting(&l->follow, st) > 0)
                read_batch(fo, st, l);
            settle(fo, st, l);
        }
    }
}

/* ---- what has to hold ---- */

static bool is(const struct consumer_view *c, const struct consumer_view *should)
{
    return c->read == should->read && c->overrun == should->overrun &&
           c->delivered == should->delivered && c->filtered == should->filtered &&
           c->failed == should->failed;
}

static bool check_lane(struct follower *fo, const struct store *st, struct follower_lane *l)
{
    const struct ring_head *h = &st->head->ring[l->ring];
    struct consumer_view c;
    consumer_read(st, l->ring, (enum store_consumer)fo->row, &c);
    if (!is(&c, &l->before) && !is(&c, &l->after))
        return fault(fo, "follower: ring %d: %llu read, %llu overrun, should be %llu, %llu",
                     l->ring, (unsigned long long)c.read, (unsigned long long)c.overrun,
                     (unsigned long long)l->before.read, (unsigned long long)l->before.overrun);
    if (c.read != c.delivered + c.filtered + c.failed || c.read + c.overrun > c.appended ||
        c.appended != c.read + c.overrun + c.waiting || h->consumer[fo->row].cursor > h->head ||
        (c.waiting == 0) != (h->consumer[fo->row].cursor == h->head))
        return fault(fo, "follower: ring %d: %llu of %llu passed at %llu of %llu", l->ring,
                     (unsigned long long)(c.read + c.overrun), (unsigned long long)c.appended,
                     (unsigned long long)h->consumer[fo->row].cursor, (unsigned long long)h->head);
    l->before = l->after = c;
    return true;
}

static bool check_streams(struct follower *fo, const struct store *st)
{
    struct stream_view v;
    for (uint32_t i = 1; i < stream_end(st); i++) {
        if (!table_get(st, TABLE_STREAMS, i))
            continue;
        const bool read = stream_read(st, i, &v);
        if (read && v.words != STREAM_VALUES)
            continue; /* a sender's */
        if (!read || v.start != v.time)
            return fault(fo, "stream %u is torn", i);
        for (unsigned w = 0; w < v.words; w++)
            if (v.values[w] != v.time)
                return fault(fo, "stream %u: value %u is torn", i, w);
    }
    return true;
}

bool follower_check(struct follower *fo, const struct store *st)
{
    const uint64_t points = st->head->ring[RING_POINTS].head_seq;
    bool good = !fo->wrong[0];
    for (unsigned i = 0; i < FOLLOWER_LANES && good; i++)
        good = check_lane(fo, st, &fo->lane[i]);
    if (good && points != fo->appended && points != fo->appending)
        good = fault(fo, "points: %llu of %llu", (unsigned long long)points,
                     (unsigned long long)fo->appended);
    fo->appended = fo->appending = points;
    return good && check_streams(fo, st);
}
