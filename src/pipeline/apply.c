#include "pipeline/apply.h"

#include <string.h>

#include "pipeline/apply_item.h"
#include "pipeline/link.h"
#include "pipeline/ring_share.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/series.h"
#include "store/session.h"
#include "store/session_ring.h"
#include "wire/shm_ring.h"

enum { WORD = 8 };

/* ---- the ledger ---- */

/* How far its stream is. */
static void advance(struct link *l, struct apply *a)
{
    struct store *st = l->pl->st;
    if (!a->mark) {
        STORE_ADD(st, session_at(st, l->session)->applied, a->t.done);
        return;
    }
    struct ring_mark *m = ring_mark_at(st, a->mark);
    STORE_ADD(st, m->position, a->words);
    STORE_ADD(st, m->items, a->t.done);
    a->words = 0;
}

/* Brings session and ledger up to the item last finished, and commits. */
static void settle(struct link *l, struct apply *a)
{
    struct pipeline *pl = l->pl;
    struct session_rec *s = session_at(pl->st, l->session);
    struct tally *t = &a->t;
    if (t->done == 0)
        return;
    advance(l, a);
    STORE_ADD(pl->st, s->items, t->applied);
    tally_post(t, pl, l->domain);
    store_commit(pl->st);
}

static void finish(struct link *l, struct apply *a, uint64_t items, uint64_t applied)
{
    a->t.done += items;
    a->t.applied += applied;
    if (!store_has_room(l->pl->st))
        settle(l, a);
}

/* Before an item that goes into a ring: the tail moves in a commit of its own. False when
 * the domain gets no more in. */
static bool make_room(struct link *l, enum store_ring_id ring, struct apply *a)
{
    if (!ring_share_allows(l->pl, ring, l->domain))
        return false;
    if (ring_has_room(l->pl->st, ring))
        return true;
    settle(l, a);
    ring_make_room(l->pl->st, ring);
    return true;
}

/* Passes over `skip` items without looking into them. */
static void skip_items(struct apply *a, uint64_t skip)
{
    for (; skip > 0 && a->n >= 4; skip--) {
        const uint64_t size = 4 + (uint64_t)get_u32(a->p);
        const size_t step = size < a->n ? (size_t)size : a->n;
        a->p += step;
        a->n -= step;
    }
}

/* Items from here on that were applied before: they are counted and skipped. */
static void skip_known(struct link *l, struct apply *a)
{
    const uint64_t applied = session_at(l->pl->st, l->session)->applied;
    const uint64_t next = a->b.first + a->at, left = a->b.count - a->at;
    if (next > applied)
        return;
    const uint64_t known = applied - next + 1;
    const uint64_t skip = known < left ? known : left;
    own_add(&l->pl->own, OWN_DUPLICATES, l->domain, skip);
    skip_items(a, skip);
    a->at += skip;
}

/* The end of the frame, or of the turn: all is settled. Whether it is the former. */
static bool pause(struct link *l, struct apply *a)
{
    settle(l, a);
    store_commit(l->pl->st);
    return a->at == a->b.count;
}

/* ---- updates ---- */

enum {
    BLOCK = 64,
    SUMS = 2048,      /* series; the log has room for one change of each */
    SUMS_WORTH_IT = 2 /* updates of a series, on the average */
};

static void touch(struct link *l, uint32_t id, struct when now)
{
    struct link_series *s = &l->series[id];
    const uint32_t series = s->target & ((UINT32_C(1) << LINK_SERIES_BITS) - 1);
    series_touch(l->pl->st, series, link_op(s->target), (uint64_t)s->cells * WORD, now);
    s->target |= LINK_TOUCHED;
    link_runs_touched(l, id);
}

void apply_begin_round(struct link *l)
{
    if (l->round == l->pl->st->touch_round && l->runs.ids == l->nseries)
        return;
    for (uint32_t id = 0; id < l->nseries; id++)
        l->series[id].target &= ~LINK_TOUCHED;
    l->round = l->pl->st->touch_round;
    link_runs_begin(l);
}

static int update(struct link *l, uint32_t id, uint64_t bits, uint64_t minute, struct when now)
{
    struct store *st = l->pl->st;
    if (id >= l->nseries || l->series[id].cells == 0) {
        const uint32_t refused = id < l->nseries ? l->series[id].target : 0;
        return refused ? (int)refused - 1 : DROP_UNKNOWN_ID;
    }
    struct link_series *s = &l->series[id];
    const enum cell_op op = link_op(s->target);
    const int bad = cell_check(op, s->target & LINK_F64 ? VALUE_F64 : VALUE_U64, bits);
    if (bad)
        return bad == -ERR_RANGE ? DROP_NEGATIVE : DROP_NOT_FINITE;
    if (!(s->target & LINK_TOUCHED))
        touch(l, id, now);
    (void)cell_apply(st, op, (uint64_t)s->cells * WORD, bits, minute); /* a full sketch loses no
                                                                          count */
    return DROP_MAX;
}

static uint64_t counter_word(uint32_t cells)
{
    return (uint64_t)cells * WORD + CELL_VALUE * WORD;
}

/* Of a touched integer counter; of anything else it takes bits from `all`. */
static inline uint32_t counter_cells(const struct link *l, const struct link_run *runs, uint32_t id,
                                     uint32_t *all)
{
    if (runs && runs[id / LINK_RUN].cells)
        return runs[id / LINK_RUN].cells + id % LINK_RUN;
    *all &= l->series[id].target;
    return l->series[id].cells;
}

/* What add_block() is about to change. Cells that may not be in a cache are asked for `ahead`
 * items before their turn, while it waits for others. */
static inline __attribute__((always_inline)) bool plan_block(const struct link *l,
                                                             const struct link_run *runs,
                                                             const struct batch *b, uint64_t at,
                                                             unsigned n, unsigned ahead)
{
    const struct store *st = l->pl->st;
    const uint32_t nseries = l->nseries;
    struct undo_entry *plan = store_plan(st, n);
    uint32_t all = UINT32_MAX;
    for (unsigned i = 0; i < n; i++) {
        const uint32_t id = update_id(b, at + i), later = update_id(b, at + i + ahead);
        if (runs && later < nseries)
            __builtin_prefetch(
                store_word(st, counter_word(runs[later / LINK_RUN].cells + later % LINK_RUN)), 1);
        if (id >= nseries)
            return false;
        /* without cells a word of the head */
        store_plan_add(st, plan + i, counter_word(counter_cells(l, runs, id, &all)));
    }
    return (all & LINK_PLAIN) == LINK_PLAIN;
}

/* The common case, many at a time: integer counters that were updated in this
 * epoch. False, and nothing is done, when one of the n is anything else. */
static bool add_block(struct link *l, const struct batch *b, uint64_t at, unsigned n)
{
    struct store *st = l->pl->st;
    const struct undo_entry *plan = store_plan(st, n);
    const struct link_run *runs = l->runs.run;
    const unsigned ahead = b->count - at >= 2 * BLOCK ? BLOCK : 0;
    if (runs ? !plan_block(l, runs, b, at, n, ahead) : !plan_block(l, NULL, b, at, n, 0))
        return false;
    store_publish(st, n);
    for (unsigned i = 0; i < n; i++)
        store_planned_add(st, plan + i, update_value(b, at + i));
    return true;
}

/* The same for a block of a run that add_sums() ends. */
static bool sum_block(const struct link *l, const struct batch *b, uint64_t at, unsigned n,
                      uint64_t *sum)
{
    const struct link_series *series = l->series;
    const uint32_t nseries = l->nseries;
    uint32_t all = UINT32_MAX;
    unsigned i = 0;
    for (; i < n; i++) {
        const uint32_t id = update_id(b, at + i);
        if (id >= nseries)
            break;
        all &= series[id].target;
        sum[id] += update_value(b, at + i);
    }
    if (i == n && (all & LINK_PLAIN) == LINK_PLAIN)
        return true;
    while (i-- > 0)
        sum[update_id(b, at + i)] -= update_value(b, at + i);
    return false;
}

/* Adds to each series what has come of it; the sums are used up. */
static void add_sums(struct link *l, uint64_t *sum)
{
    struct store *st = l->pl->st;
    struct undo_entry *plan = store_plan(st, l->nseries);
    unsigned n = 0;
    for (uint32_t id = 0; id < l->nseries; id++) {
        if (sum[id] == 0)
            continue;
        store_plan_add(st, plan + n, counter_word(l->series[id].cells));
        sum[n++] = sum[id];
    }
    if (n == 0)
        return;
    store_publish(st, n);
    for (unsigned i = 0; i < n; i++)
        store_planned_add(st, plan + i, sum[i]);
}

_Static_assert((int)SUMS <= (int)COMMIT_ITEM_SETS, "as for one item");

/* Of few series many updates: added up first, so that each series is logged and written
 * once. Takes what it can from the beginning of what is left. */
static void run_sums(struct link *l, struct apply *a)
{
    uint64_t sum[SUMS];
    const uint64_t begin = a->at;
    if (l->nseries > SUMS || a->units == 0 ||
        a->b.count - begin < (uint64_t)SUMS_WORTH_IT * l->nseries)
        return;
    memset(sum, 0, l->nseries * sizeof *sum);
    while (a->at < a->b.count) {
        const uint64_t left = a->b.count - a->at, n = left < BLOCK ? left : BLOCK;
        if (!sum_block(l, &a->b, a->at, (unsigned)n, sum))
            break;
        a->at += n;
    }
    const uint64_t n = a->at - begin;
    if (n == 0)
        return;
    add_sums(l, sum);
    a->words += n * a->each;
    finish(l, a, n, n);
    apply_charge(a, n / BLOCK * APPLY_BLOCK_UNITS + APPLY_BLOCK_UNITS);
}

/* Or never will be: ids that have no place are not remembered one by one. */
static bool is_defined(const struct link *l, uint32_t id)
{
    if (id < l->nseries)
        return l->series[id].cells || l->series[id].target;
    return id >= l->pl->options.ids_per_connection || (l->no_place && id >= l->no_place);
}

static void apply_one(struct link *l, struct apply *a, struct when now)
{
    const uint64_t minute = now.mono / (60 * NS_PER_S);
    const uint32_t id = update_id(&a->b, a->at);
    if (a->patient && !is_defined(l, id)) {
        a->waits = true;
        return;
    }
    const int why = update(l, id, update_value(&a->b, a->at), minute, now);
    if (why != DROP_MAX)
        tally_drop(&a->t, (enum drop_reason)why, a->b.first + a->at);
    a->at++;
    a->words += a->each;
    finish(l, a, 1, why == DROP_MAX);
    apply_charge(a, 1);
}

static void run_updates(struct link *l, struct apply *a, struct when now)
{
    apply_begin_round(l);
    run_sums(l, a);
    while (a->at < a->b.count && a->units && !a->waits) {
        const uint64_t left = a->b.count - a->at, n = left < BLOCK ? left : BLOCK;
        const uint64_t end = a->at + n;
        if (add_block(l, &a->b, a->at, (unsigned)n)) {
            a->words += n * a->each;
            finish(l, a, n, n);
            a->at = end;
            apply_charge(a, APPLY_BLOCK_UNITS);
        }
        while (a->at < end && !a->waits)
            apply_one(l, a, now);
    }
}

bool apply_updates(struct link *l, struct apply *a, struct when now)
{
    skip_known(l, a);
    run_updates(l, a, now);
    return pause(l, a);
}

void apply_drop(struct link *l, struct apply *a, enum drop_reason why)
{
    skip_known(l, a);
    for (; a->at < a->b.count; a->at++) {
        tally_drop(&a->t, why, a->b.first + a->at);
        finish(l, a, 1, 0);
    }
    (void)pause(l, a);
}

/* ---- items that have a body ---- */

bool apply_items(struct link *l, enum event_kind kind, struct apply *a, struct when now)
{
    skip_known(l, a);
    for (; a->at < a->b.count && a->units; a->at++) {
        const size_t before = a->n;
        const bool room = make_room(l, apply_ring_of(kind), a);
        const int why = apply_item(l, kind, &a->p, &a->n, room, now);
        if (why != DROP_MAX)
            tally_drop(&a->t, (enum drop_reason)why, a->b.first + a->at);
        finish(l, a, 1, why == DROP_MAX);
        apply_charge(a, APPLY_UNITS_ITEM + (before - a->n) / APPLY_BYTES_PER_UNIT);
    }
    return pause(l, a);
}

/* ---- rings ---- */

/* An item as it lies in a ring; its mark gives way to the size that stands before it in a
 * frame. */
static void ring_item(struct link *l, struct apply *a, uint32_t *words, const struct shm_piece *p,
                      struct when now)
{
    const uint8_t *at = (const uint8_t *)words;
    size_t n = sizeof *words + p->size;
    *words = htole32(p->size);
    const bool room = make_room(l, apply_ring_of(p->kind), a);
    const int why = apply_item(l, p->kind, &at, &n, room, now);
    if (why != DROP_MAX)
        tally_drop(&a->t, (enum drop_reason)why, 0);
    a->words += p->words;
    finish(l, a, 1, why == DROP_MAX);
    apply_charge(a, APPLY_UNITS_ITEM + p->size / APPLY_BYTES_PER_UNIT);
}

static uint32_t drop_piece(struct link *l, struct apply *a, const struct shm_piece *p)
{
    const uint32_t items = p->count ? p->count : 1;
    tally_drop_many(&a->t, DROP_RATE_LIMITED, items);
    a->words += p->words;
    finish(l, a, items, 0);
    apply_charge(a, items);
    return p->words;
}

static uint32_t ring_updates(struct link *l, struct apply *a, const struct shm_piece *p,
                             struct when now)
{
    a->b = (struct batch){.count = p->count, .items = p->bytes};
    a->at = 0;
    a->each = p->each;
    run_updates(l, a, now);
    return (uint32_t)a->at * p->each;
}

int64_t apply_ring(struct link *l, struct apply *a, uint32_t *words, uint32_t n, struct when now)
{
    struct shm_piece p;
    uint8_t copy[SHM_RING_EXPANDED * PROTO_UPDATE];
    uint32_t at = 0;
    int r = 1;
    while (a->units && !a->waits && (r = shm_piece_next(words, UINT32_MAX, at, n, copy, &p)) > 0) {
        if (a->over) {
            at += drop_piece(l, a, &p);
        } else if (p.count) {
            at += ring_updates(l, a, &p, now);
        } else {
            ring_item(l, a, words + at, &p, now);
            at += p.words;
        }
    }
    settle(l, a);
    store_commit(l->pl->st);
    return r < 0 && at == 0 ? -ERR_DAMAGED : (int64_t)at;
}
