#include "store/series.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "store/budget.h"
#include "store/label_text.h"
#include "store/read.h"
#include "store/sketch.h"
#include "store/space.h"

enum { WORD = 8, DOMAIN_SHIFT = 32, FLAGS_SHIFT = 48, CHAIN_MAX = 4096 };

static struct metric_rec *metric_at(const struct store *st, uint32_t i)
{
    return table_get(st, TABLE_METRICS, i);
}

static struct series_rec *series_at(const struct store *st, uint32_t i)
{
    return table_get(st, TABLE_SERIES, i);
}

static uint32_t metric_of(const struct series_rec *r)
{
    return (uint32_t)r->metric;
}

static unsigned flags_of(const struct series_rec *r)
{
    return (unsigned)(r->metric >> FLAGS_SHIFT);
}

static uint32_t group_of(const struct series_rec *r)
{
    return (uint32_t)r->state;
}

static uint32_t next_of(const struct series_rec *r)
{
    return (uint32_t)r->links;
}

static uint32_t prev_of(const struct series_rec *r)
{
    return (uint32_t)(r->links >> SERIES_HIGH_SHIFT);
}

static uint64_t link_of(uint32_t next, uint32_t prev)
{
    return next | (uint64_t)prev << SERIES_HIGH_SHIFT;
}

static uint32_t touched_in(const struct series_rec *r)
{
    return (uint32_t)(r->state >> SERIES_HIGH_SHIFT);
}

static uint32_t epoch_of(const struct store *st)
{
    return (uint32_t)st->head->epoch;
}

static uint64_t state_of(uint32_t group, uint32_t epoch)
{
    return group | (uint64_t)epoch << SERIES_HIGH_SHIFT;
}

static uint64_t with_flags(const struct series_rec *r, unsigned flags)
{
    return (r->metric & ((UINT64_C(1) << FLAGS_SHIFT) - 1)) | (uint64_t)flags << FLAGS_SHIFT;
}

/* ---- cells of a series ---- */

static bool make_sketch(struct store *st, uint64_t cells, uint64_t word, struct when now)
{
    const uint64_t s = sketch_new(st, now.mono / (60 * NS_PER_S));
    *store_word(st, cells + word * WORD) = s;
    return s != 0;
}

/* Fresh cells, all zero; 0 when the heap is full. */
static uint64_t cells_new(struct store *st, const struct metric_view *m, uint64_t def,
                          struct when now)
{
    const uint64_t words = cell_words(m->kind, m->flags, m->nbounds);
    const uint64_t at = heap_alloc(st, words);
    if (!at)
        return 0;
    memset(st->base + at + WORD, 0, (words - 1) * WORD);
    bool ok = true;
    if (m->kind == METRIC_HISTOGRAM)
        *store_word(st, at + CELL_BOUNDS * WORD) = (uint64_t)m->nbounds << CELL_BOUNDS_SHIFT | def;
    if (m->flags & METRIC_QUANTILES)
        ok = make_sketch(st, at, CELL_BUCKETS + m->nbounds + 1, now);
    if (m->kind == METRIC_SUMMARY)
        ok = make_sketch(st, at, CELL_SKETCH, now);
    store_set(st, at, 0);
    if (ok)
        return at;
    heap_free(st, at, words);
    return 0;
}

static uint64_t sketch_word(const struct metric_view *m)
{
    if (m->kind == METRIC_SUMMARY)
        return CELL_SKETCH;
    return m->flags & METRIC_QUANTILES ? CELL_BUCKETS + m->nbounds + 1 : 0;
}

static void parts_free(struct store *st, uint64_t cells)
{
    heap_free_chain(st, store_get(st, cells + CELL_PARTS * WORD), PART_WORDS);
    store_set(st, cells + CELL_PARTS * WORD, 0);
}

static bool joined(const struct metric_view *m)
{
    return m->kind == METRIC_GAUGE && m->join != JOIN_LAST;
}

static void cells_free(struct store *st, const struct metric_view *m, uint64_t cells)
{
    const uint64_t sketch = sketch_word(m);
    if (sketch)
        sketch_free(st, store_get(st, cells + sketch * WORD));
    if (joined(m))
        parts_free(st, cells);
    heap_free(st, cells, cell_words(m->kind, m->flags, m->nbounds));
}

/* Back to zero, but for what describes the cells. */
static void cells_clear(struct store *st, const struct metric_view *m, uint64_t cells)
{
    const uint64_t words = cell_words(m->kind, m->flags, m->nbounds), sketch = sketch_word(m);
    for (uint64_t w = CELL_VALUE; w < words; w++) {
        if ((sketch && w == sketch) || (m->kind == METRIC_HISTOGRAM && w == CELL_BOUNDS) ||
            joined(m))
            continue;
        if (store_get(st, cells + w * WORD))
            store_set(st, cells + w * WORD, 0);
    }
}

static const struct str no_text;

/* ---- finding ---- */

static uint64_t series_hash(const struct store *st, uint32_t metric, struct str labels,
                            unsigned group_domain)
{
    const uint64_t seed = st->head->secret ^ ((uint64_t)metric << 8 | group_domain);
    return hash_bytes(labels.p, labels.n, seed) | 1;
}

static uint32_t find(const struct store *st, uint32_t metric, struct str labels, uint64_t hash,
                     unsigned group)
{
    for (uint32_t i = table_first(st, TABLE_SERIES, hash), n = 0; i && n < CHAIN_MAX;
         i = table_next(st, TABLE_SERIES, i), n++) {
        const struct series_rec *r = series_at(st, i);
        if (r && r->head.hash == hash && metric_of(r) == metric &&
            (flags_of(r) & SERIES_GROUP) == group && str_eq(label_text(st, r->labels), labels))
            return i;
    }
    return 0;
}

uint32_t series_find(const struct store *st, uint32_t metric, struct str labels)
{
    return find(st, metric, labels, series_hash(st, metric, labels, 0), 0);
}

/* ---- budgets ---- */

static uint64_t cells_bytes(const struct metric_view *m)
{
    return heap_bytes(cell_words(m->kind, m->flags, m->nbounds)) +
           (sketch_word(m) ? heap_bytes(SKETCH_WORDS) : 0);
}

uint64_t series_sketch(const struct store *st, uint32_t series)
{
    const struct series_rec *r = series_at(st, series);
    struct metric_view m;
    if (!r || flags_of(r) & SERIES_GROUP || !metric_read(st, metric_of(r), &m) || !sketch_word(&m))
        return 0;
    return store_get(st, r->cells + sketch_word(&m) * WORD);
}

bool series_budget(const struct store *st, uint32_t series, struct budget_item *out)
{
    const struct series_rec *r = series_at(st, series);
    struct metric_view m;
    if (!r || !(flags_of(r) & SERIES_COUNTED))
        return false;
    *out = (struct budget_item){BUDGET_SERIES, (unsigned)(r->metric >> DOMAIN_SHIFT & 0xffff),
                                label_text_bytes(st, r->labels)};
    if (!(flags_of(r) & SERIES_GROUP) && metric_read(st, metric_of(r), &m))
        out->heap += cells_bytes(&m);
    return true;
}

static void count_in(struct store *st, uint32_t series, int change)
{
    struct budget_item item;
    if (series_budget(st, series, &item))
        budget_count(st, &item, change);
}

/* Whether the domain may have a record with this text, and cells of `cells` bytes. */
static bool may_have(const struct store *st, const struct series_ask *ask, uint64_t text,
                     uint64_t cells)
{
    const struct budget_item item = {BUDGET_SERIES, ask->domain, text_bytes(text) + cells};
    return ask->flags & SERIES_PINNED || budget_allows(st, &item, ask->budget);
}

static unsigned counted(const struct series_ask *ask)
{
    return ask->flags & SERIES_PINNED ? 0 : SERIES_COUNTED;
}

/* ---- groups: how many label sets a service has of a metric ---- */

static uint32_t group_make(struct store *st, const struct series_ask *ask)
{
    const uint64_t hash = series_hash(st, ask->metric, ask->group, ask->domain + 1);
    uint32_t g = find(st, ask->metric, ask->group, hash, SERIES_GROUP);
    if (g)
        return g;
    g = may_have(st, ask, ask->group.n, 0) ? table_alloc(st, TABLE_SERIES) : 0;
    if (!g)
        return 0;
    struct series_rec *r =
        (struct series_rec *)(void *)store_word(st, table_offset(st, TABLE_SERIES, g));
    r->metric = ask->metric | (uint64_t)ask->domain << DOMAIN_SHIFT |
                (uint64_t)(SERIES_GROUP | counted(ask)) << FLAGS_SHIFT;
    r->labels = text_new(st, ask->group, no_text, no_text);
    r->cells = 0;
    if (r->labels && table_insert(st, TABLE_SERIES, g, hash)) {
        count_in(st, g, 1);
        return g;
    }
    if (r->labels)
        text_free(st, r->labels);
    table_remove(st, TABLE_SERIES, g);
    return 0;
}

static void group_count(struct store *st, uint32_t group, int change)
{
    struct series_rec *g = group ? series_at(st, group) : NULL;
    if (!g)
        return;
    STORE_SET(st, g->cells, g->cells + (uint64_t)(int64_t)change);
    if (g->cells > 0 || g->links > 0)
        return;
    count_in(st, group, -1);
    text_free(st, g->labels);
    table_remove(st, TABLE_SERIES, group);
}

/* A group's links count the series, live or dormant, that point to it. */
static void group_members(struct store *st, uint32_t group, int change)
{
    struct series_rec *g = group ? series_at(st, group) : NULL;
    if (g)
        STORE_SET(st, g->links, g->links + (uint64_t)(int64_t)change);
}

/* ---- making ---- */

static void link_to_metric(struct store *st, uint32_t metric, uint32_t series)
{
    struct metric_rec *m = metric_at(st, metric);
    struct series_rec *r = series_at(st, series);
    STORE_SET(st, r->links, link_of(0, (uint32_t)m->last));
    if (m->last) {
        struct series_rec *before = series_at(st, (uint32_t)m->last);
        STORE_SET(st, before->links, link_of(series, prev_of(before)));
    } else {
        STORE_SET(st, m->first, series);
    }
    STORE_SET(st, m->last, series);
    STORE_ADD(st, m->nseries, 1);
}

static void unlink_from_metric(struct store *st, uint32_t metric, uint32_t series)
{
    struct metric_rec *m = metric_at(st, metric);
    struct series_rec *r = series_at(st, series);
    const uint32_t p = prev_of(r), n = next_of(r);
    struct series_rec *prev = p ? series_at(st, p) : NULL;
    struct series_rec *next = n ? series_at(st, n) : NULL;
    if (prev)
        STORE_SET(st, prev->links, link_of(n, prev_of(prev)));
    else
        STORE_SET(st, m->first, n);
    if (next)
        STORE_SET(st, next->links, link_of(next_of(next), p));
    else
        STORE_SET(st, m->last, p);
    STORE_SET(st, m->nseries, m->nseries - 1);
}

/* A record with its label text and cells, in no list yet; 0 when full. */
static uint32_t series_new(struct store *st, const struct series_ask *ask, struct str labels,
                           unsigned flags, uint32_t group)
{
    struct metric_view m;
    if (!metric_read(st, ask->metric, &m) || !may_have(st, ask, labels.n, cells_bytes(&m)))
        return 0;
    const uint32_t i = table_alloc(st, TABLE_SERIES);
    if (!i)
        return 0;
    struct series_rec *r =
        (struct series_rec *)(void *)store_word(st, table_offset(st, TABLE_SERIES, i));
    r->metric = ask->metric | (uint64_t)ask->domain << DOMAIN_SHIFT |
                (uint64_t)(flags | counted(ask)) << FLAGS_SHIFT;
    r->created = ask->now.wall;
    r->state = state_of(group, epoch_of(st));
    r->labels = label_text_new(st, (uint32_t)metric_at(st, ask->metric)->last, labels,
                               flags & SERIES_OVERFLOW ? no_text : ask->keys);
    r->cells = r->labels ? cells_new(st, &m, metric_at(st, ask->metric)->def, ask->now) : 0;
    if (r->cells && table_insert(st, TABLE_SERIES, i, series_hash(st, ask->metric, labels, 0))) {
        link_to_metric(st, ask->metric, i);
        count_in(st, i, 1);
        return i;
    }
    if (r->cells)
        cells_free(st, &m, r->cells);
    if (r->labels)
        label_text_free(st, r->labels);
    table_remove(st, TABLE_SERIES, i);
    return 0;
}

static int make_overflow(struct store *st, const struct series_ask *ask, uint32_t *out)
{
    *out = series_find(st, ask->metric, ask->overflow);
    if (!*out)
        *out = series_new(st, ask, ask->overflow, SERIES_LIVE | SERIES_OVERFLOW, 0);
    return *out ? 1 : -ERR_FULL;
}

int series_make(struct store *st, const struct series_ask *ask, uint32_t *out)
{
    *out = series_find(st, ask->metric, ask->labels);
    if (*out) {
        if (ask->flags & SERIES_PINNED)
            series_pin(st, *out, true);
        return 0;
    }
    uint32_t group = 0;
    if (ask->cardinality) {
        group = group_make(st, ask);
        if (!group)
            return -ERR_FULL;
        const struct series_rec *g = series_at(st, group);
        if (g->cells >= ask->cardinality)
            return make_overflow(st, ask, out);
    }
    *out = series_new(st, ask, ask->labels, SERIES_LIVE | ask->flags, group);
    if (*out) {
        group_members(st, group, 1);
        group_count(st, group, 1);
        return 0;
    }
    group_count(st, group, 0);
    return -ERR_FULL;
}

/* ---- ids of connections ---- */

void series_hold(struct store *st, uint32_t series)
{
    assert(series < st->refs_size);
    st->refs[series]++;
}

void series_let_go(struct store *st, uint32_t series)
{
    assert(series < st->refs_size && st->refs[series] > 0);
    st->refs[series]--;
}

static bool part_counts(const struct store *st, uint64_t owner)
{
    const struct session_rec *s = table_get(st, TABLE_SESSIONS, (uint32_t)(owner >> 32));
    return s && (uint32_t)s->serial == (uint32_t)owner &&
           !(s->who >> WHO_FLAGS_SHIFT & SESSION_SILENT);
}

/* Takes out the contributions that do not count, as far as the log has room with the
 * item in hand before it; how many are left. */
static unsigned prune(struct store *st, uint32_t series)
{
    uint64_t at = series_at(st, series)->cells + CELL_PARTS * WORD;
    unsigned left = 0;
    for (uint64_t part; (part = store_get(st, at)) != 0;) {
        if (part_counts(st, store_get(st, part + PART_OWNER * WORD)) ||
            st->undo_max - st->undo_used < COMMIT_ITEM_SETS / 2) {
            at = part;
            left++;
            continue;
        }
        store_set(st, at, store_get(st, part));
        heap_free(st, part, PART_WORDS);
    }
    return left;
}

unsigned series_prune_parts(struct store *st, uint32_t series)
{
    const struct series_rec *r = series_at(st, series);
    struct metric_view m;
    if (!r || flags_of(r) & SERIES_GROUP || !metric_read(st, metric_of(r), &m) || !joined(&m))
        return 0;
    return prune(st, series);
}

/* The contribution of an owner, 0: none; and how many there are before it. */
static uint64_t find_part(struct store *st, uint64_t cells, uint64_t owner, unsigned *n)
{
    uint64_t at = store_get(st, cells + CELL_PARTS * WORD);
    for (*n = 0; at && store_get(st, at + PART_OWNER * WORD) != owner; ++*n)
        at = store_get(st, at);
    return at;
}

static uint64_t make_part(struct store *st, uint32_t series, uint64_t cells, uint64_t owner)
{
    unsigned n;
    uint64_t at = find_part(st, cells, owner, &n);
    if (at)
        return at;
    if (n >= SERIES_PARTS_MAX)
        n = prune(st, series);
    if (n >= SERIES_PARTS_MAX)
        return 0;
    at = heap_alloc(st, PART_WORDS);
    if (!at)
        return 0;
    *store_word(st, at + PART_TOUCH * WORD) = (uint64_t)series << 32;
    *store_word(st, at + PART_OWNER * WORD) = owner;
    *store_word(st, at + PART_VALUE * WORD) = 0;
    store_set(st, at, store_get(st, cells + CELL_PARTS * WORD));
    store_set(st, cells + CELL_PARTS * WORD, at);
    return at;
}

static uint64_t owner_of(const struct store *st, uint32_t session)
{
    const struct session_rec *s = table_get(st, TABLE_SESSIONS, session);
    return (uint64_t)session << 32 | (s ? (uint32_t)s->serial : 0);
}

enum cell_op series_target(struct store *st, uint32_t series, uint32_t session, uint64_t *cells)
{
    const struct series_rec *r = series_at(st, series);
    struct metric_view m = {0};
    const bool found = metric_read(st, metric_of(r), &m);
    assert(found);
    *cells = r->cells;
    if (joined(&m))
        *cells = make_part(st, series, r->cells, owner_of(st, session));
    return cell_op_of(m.kind, m.type, m.join, m.flags);
}

/* ---- life ---- */

static void touch_part(struct store *st, uint32_t series, uint64_t part)
{
    const uint64_t touch = (uint64_t)series << 32 | epoch_of(st);
    if (store_get(st, part + PART_TOUCH * WORD) != touch)
        store_set(st, part + PART_TOUCH * WORD, touch);
}

void series_touch(struct store *st, uint32_t series, enum cell_op op, uint64_t cells,
                  struct when now)
{
    struct series_rec *r = series_at(st, series);
    assert(r);
    if (op == CELL_PART)
        touch_part(st, series, cells);
    if (touched_in(r) == epoch_of(st))
        return;
    STORE_SET(st, r->state, state_of(group_of(r), epoch_of(st)));
    if (flags_of(r) & SERIES_LIVE)
        return;
    STORE_SET(st, r->metric, with_flags(r, flags_of(r) | SERIES_LIVE));
    STORE_SET(st, r->created, now.wall);
    group_count(st, group_of(r), 1);
}

void series_set_touched(struct store *st, uint32_t series, uint32_t epoch)
{
    struct series_rec *r = series_at(st, series);
    assert(r);
    STORE_SET(st, r->state, state_of(group_of(r), epoch));
}

void series_next_epoch(struct store *st)
{
    STORE_ADD(st, st->head->epoch, 1);
    st->touch_round++;
}

void series_pin(struct store *st, uint32_t series, bool pinned)
{
    const struct series_rec *r = series_at(st, series);
    const unsigned others = flags_of(r) & ~(unsigned)SERIES_PINNED;
    STORE_SET(st, r->metric, with_flags(r, pinned ? others | SERIES_PINNED : others));
}

uint64_t series_age(const struct store *st, uint32_t series)
{
    const struct series_rec *r = series_at(st, series);
    if (!r || flags_of(r) & (SERIES_PINNED | SERIES_GROUP))
        return 0;
    if (!(flags_of(r) & SERIES_LIVE))
        return st->refs[series] ? 0 : UINT64_MAX;
    return (uint32_t)(epoch_of(st) - touched_in(r));
}

bool series_expire(struct store *st, uint32_t series)
{
    struct series_rec *r = series_at(st, series);
    struct metric_view m = {0};
    const bool found = metric_read(st, metric_of(r), &m);
    assert(found && !(flags_of(r) & SERIES_GROUP));
    const uint32_t group = group_of(r);
    const bool live = flags_of(r) & SERIES_LIVE;
    if (st->refs[series]) {
        cells_clear(st, &m, r->cells);
        st->touch_round += touched_in(r) == epoch_of(st);
        STORE_SET(st, r->state, state_of(group, 0));
        STORE_SET(st, r->metric, with_flags(r, flags_of(r) & ~(unsigned)SERIES_LIVE));
        if (live)
            group_count(st, group, -1);
        return false;
    }
    count_in(st, series, -1);
    unlink_from_metric(st, metric_of(r), series);
    cells_free(st, &m, r->cells);
    label_text_free(st, r->labels);
    table_remove(st, TABLE_SERIES, series);
    group_members(st, group, -1);
    group_count(st, group, live ? -1 : 0);
    return true;
}
