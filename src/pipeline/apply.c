#include "pipeline/apply.h"

#include "pipeline/link.h"
#include "pipeline/naming.h"
#include "pipeline/redact.h"
#include "pipeline/rules.h"
#include "pipeline/sampling.h"
#include "pipeline/span_metrics.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/series.h"
#include "store/session.h"
#include "wire/encode.h"

enum { WORD = 8 };

/* ---- the ledger ---- */

/* Brings session and ledger up to the item last finished, and commits. */
static void settle(struct link *l, struct tally *t)
{
    struct pipeline *pl = l->pl;
    struct session_rec *s = session_at(pl->st, l->session);
    if (t->done == 0)
        return;
    STORE_ADD(pl->st, s->applied, t->done);
    STORE_ADD(pl->st, s->items, t->applied);
    tally_post(t, &pl->own, l->domain);
    store_commit(pl->st);
}

static void finish(struct link *l, struct tally *t, uint64_t items, uint64_t applied)
{
    t->done += items;
    t->applied += applied;
    if (!store_has_room(l->pl->st))
        settle(l, t);
}

/* Before an item that goes into a ring: the tail moves in a commit of its own. */
static void make_room(struct link *l, enum store_ring_id ring, struct tally *t)
{
    if (ring_has_room(l->pl->st, ring))
        return;
    settle(l, t);
    ring_make_room(l->pl->st, ring);
}

/* Items of the frame that were applied before: they are counted and skipped. */
static uint64_t duplicates(struct link *l, const struct batch *b)
{
    const uint64_t applied = session_at(l->pl->st, l->session)->applied;
    if (b->first > applied)
        return 0;
    const uint64_t known = applied - b->first + 1;
    const uint64_t skip = known < b->count ? known : b->count;
    own_add(&l->pl->own, OWN_DUPLICATES, l->domain, skip);
    return skip;
}

/* ---- updates ---- */

static int update(struct link *l, uint32_t id, uint64_t bits, uint64_t minute, struct when now)
{
    struct store *st = l->pl->st;
    if (id >= l->nseries || l->series[id].cells == 0) {
        const uint32_t refused = id < l->nseries ? l->series[id].target : 0;
        return refused ? (int)refused - 1 : DROP_UNKNOWN_ID;
    }
    const struct link_series *s = &l->series[id];
    const enum cell_op op = (enum cell_op)(s->target >> LINK_SERIES_BITS & 7);
    const uint64_t cells = (uint64_t)s->cells * WORD;
    const int bad = cell_check(op, s->target & LINK_F64 ? VALUE_F64 : VALUE_U64, bits);
    if (bad)
        return bad == -ERR_RANGE ? DROP_NEGATIVE : DROP_NOT_FINITE;
    if (!series_touched(st, op, cells))
        series_touch(st, op, cells, now);
    (void)cell_apply(st, op, cells, bits, minute); /* a full sketch loses no count */
    return DROP_MAX;
}

/* The common case, many at a time: integer counters that were updated in this
 * epoch. False, and nothing is done, when one of the n is anything else. */
static bool add_block(struct link *l, const struct batch *b, uint64_t at, unsigned n)
{
    struct store *st = l->pl->st;
    const struct link_series *series = l->series;
    const uint32_t epoch = (uint32_t)st->head->epoch, nseries = l->nseries;
    struct store_adds adds;
    uint32_t odd = 0;
    for (unsigned i = 0; i < n; i++) {
        const uint32_t id = update_id(b, at + i);
        if (id >= nseries)
            return false;
        const struct link_series s = series[id];
        const uint64_t cells = (uint64_t)s.cells * WORD;
        odd |= (s.target >> LINK_SERIES_BITS) ^ CELL_ADD_U64;
        odd |= (uint32_t)store_get(st, cells + CELL_TOUCH * WORD) ^ epoch;
        adds.offset[i] = cells + CELL_VALUE * WORD;
        adds.n[i] = update_value(b, at + i);
    }
    if (odd)
        return false;
    store_add_all(st, &adds, n);
    return true;
}

static void apply_one(struct link *l, const struct batch *b, uint64_t at, struct tally *t,
                      struct when now)
{
    const uint64_t minute = now.mono / (60 * NS_PER_S);
    const int why = update(l, update_id(b, at), update_value(b, at), minute, now);
    if (why != DROP_MAX)
        tally_drop(t, (enum drop_reason)why, b->first + at);
    finish(l, t, 1, why == DROP_MAX);
}

void apply_updates(struct link *l, const struct batch *b, struct tally *t, struct when now)
{
    uint64_t i = duplicates(l, b);
    while (i < b->count) {
        const uint64_t left = b->count - i, end = i + (left < STORE_ADDS ? left : STORE_ADDS);
        if (add_block(l, b, i, (unsigned)(end - i))) {
            finish(l, t, end - i, end - i);
            i = end;
        }
        for (; i < end; i++)
            apply_one(l, b, i, t, now);
    }
    settle(l, t);
    store_commit(l->pl->st);
}

void apply_drop(struct link *l, const struct batch *b, enum drop_reason why, struct tally *t)
{
    for (uint64_t i = duplicates(l, b); i < b->count; i++) {
        tally_drop(t, why, b->first + i);
        finish(l, t, 1, 0);
    }
    settle(l, t);
    store_commit(l->pl->st);
}

/* ---- events ---- */

enum { RULES_PER_EVENT = 16 }; /* what COMMIT_ITEM_SETS has room for */

struct rule_target {
    struct link *l;
    struct when now;
    unsigned used;
};

static enum store_ring_id ring_of(enum event_kind kind)
{
    return kind == EVENT_SPAN ? RING_SPANS : RING_EVENTS;
}

static int rule_series(struct rule_target *to, const struct rule_update *u, uint32_t *series)
{
    struct pipeline *pl = to->l->pl;
    uint32_t metric;
    const int r =
        metric_define_by(pl->st, u->def, to->l->domain, pl->options.metrics_per_domain, &metric);
    if (r < 0)
        return r;
    struct series_ask ask = {.metric = metric, .domain = to->l->domain, .now = to->now};
    const int bad = naming_ask(pl, naming_session(pl, to->l->session), u->labels, u->nlabels, &ask);
    return bad < 0 ? bad : series_make(pl->st, &ask, series);
}

static bool rule_apply(struct rule_target *to, const struct rule_update *u)
{
    struct store *st = to->l->pl->st;
    uint32_t series;
    uint64_t cells;
    if (u->error || rule_series(to, u, &series) < 0)
        return false;
    const enum cell_op op = series_target(st, series, to->l->session, &cells);
    if (!cells || cell_check(op, u->def->type, u->bits))
        return false;
    if (!series_touched(st, op, cells))
        series_touch(st, op, cells, to->now);
    (void)cell_apply(st, op, cells, u->bits, to->now.mono / (60 * NS_PER_S));
    return true;
}

static void on_rule(void *arg, const struct rule_update *u)
{
    struct rule_target *to = arg;
    const bool ok = to->used++ < RULES_PER_EVENT && rule_apply(to, u);
    own_add(&to->l->pl->own, ok ? OWN_RULE_MATCHES : OWN_RULE_FAILURES, 0, 1);
}

/* Redacts in place; the body as the ring keeps it. */
static struct str redacted_body(struct pipeline *pl, struct event *e, struct str raw)
{
    struct redact_count n = {0};
    if (!pl->redact)
        return raw;
    buf_reset(&pl->redacted);
    redact_event(pl->redact, e, &pl->redacted, &n);
    if (n.all == 0)
        return raw;
    own_add_redacted(&pl->own, &n);
    buf_reset(&pl->body);
    encode_body(&pl->body, e);
    return buf_str(&pl->body);
}

/* Redacted, into its ring; DROP_MAX when it is there. */
static int keep(struct link *l, enum event_kind kind, struct str service, struct str raw,
                struct when now)
{
    struct pipeline *pl = l->pl;
    const struct str body = redacted_body(pl, &pl->event, raw);
    const struct ring_item record = {
        .kind = kind,
        .domain = l->domain,
        .session = l->session,
        .service = service,
        .body = body,
        .received = now.wall,
    };
    if (body.n == 0)
        return DROP_LIMIT;
    return ring_append(pl->st, ring_of(kind), &record) < 0 ? DROP_RING_FULL : DROP_MAX;
}

/* Sampling and the metrics look at a span before it is redacted: what is left out need
 * not be, and the metrics' labels are redacted by themselves. */
static int keep_span(struct link *l, struct str service, struct str raw, struct when now)
{
    struct pipeline *pl = l->pl;
    const struct sample_span sample = {
        .event = &pl->event,
        .service = service,
        .domain = l->domain,
        .local_root = sampling_local_root(&pl->event),
    };
    const struct span_source from = {.service = service, .domain = l->domain};
    span_metrics_note(pl, &pl->event, &from, now);
    if (sampling_note(pl->sampling, &sample, pipeline_pressure(pl), now) == SAMPLE_DROP)
        return DROP_SAMPLED;
    return keep(l, EVENT_SPAN, service, raw, now);
}

/* One item; DROP_MAX when it is applied. */
static int item(struct link *l, enum event_kind kind, const uint8_t **p, size_t *n, struct when now)
{
    struct pipeline *pl = l->pl;
    const uint8_t *begin = *p;
    const int bad = decode_item(kind, p, n, &pl->event);
    if (bad < 0)
        return (int)drop_of_error(bad);
    const struct str raw = {(const char *)begin + 4, (size_t)(*p - begin) - 4};
    const struct str service = naming_session(pl, l->session);
    if (kind == EVENT_SPAN)
        return keep_span(l, service, raw, now);
    const int why = keep(l, kind, service, raw, now);
    if (why == DROP_MAX && kind == EVENT_NAMED && pl->rules) {
        struct rule_target to = {l, now, 0};
        rules_match(pl->rules, &pl->event, on_rule, &to);
    }
    return why;
}

/* Passes over the first `skip` items without looking into them. */
static void skip_items(const uint8_t **p, size_t *n, uint64_t skip)
{
    for (; skip > 0 && *n >= 4; skip--) {
        const uint64_t size = 4 + (uint64_t)get_u32(*p);
        const size_t step = size < *n ? (size_t)size : *n;
        *p += step;
        *n -= step;
    }
}

void apply_items(struct link *l, enum event_kind kind, const struct batch *b, struct tally *t,
                 struct when now)
{
    const uint8_t *p = b->items;
    size_t n = b->size;
    const uint64_t skip = duplicates(l, b);
    skip_items(&p, &n, skip);
    for (uint64_t i = skip; i < b->count; i++) {
        make_room(l, ring_of(kind), t);
        const int why = item(l, kind, &p, &n, now);
        if (why != DROP_MAX)
            tally_drop(t, (enum drop_reason)why, b->first + i);
        finish(l, t, 1, why == DROP_MAX);
    }
    settle(l, t);
    store_commit(l->pl->st);
}
