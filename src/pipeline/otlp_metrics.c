#include <math.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "pipeline/exemplar.h"
#include "pipeline/otlp_request.h"
#include "pipeline/rules.h"
#include "store/series.h"
#include "wire/decode.h"

enum {
    WORD = 8,
    NO_VALUE = 1, /* flag of a point */
    /* Units that a point counts beside its own bytes: its labels are written and looked up
     * whatever there is in it. */
    POINT_COST = 128,
    /* Scales of exponential histograms: OpenTelemetry's own are -10 to 20. Beyond these a
     * peer could have bucket indexes that no number has. */
    SCALE_MIN = -32,
    SCALE_MAX = 64,
};

/* ---- the metric ---- */

/* What tells its streams from all others, but for their attributes. */
static void hash_metric(struct otlp_request *r)
{
    struct otlp_in_hand *h = &r->hand;
    const uint64_t seed = r->pl->st->head->secret;
    const uint64_t of[] = {
        r->origin_hash[0],
        r->origin_hash[1],
        hash_bytes(h->m.name.p, h->m.name.n, seed),
        hash_bytes(h->m.unit.p, h->m.unit.n, seed),
        (uint64_t)h->m.data << 1 | h->m.monotonic,
    };
    hash_bytes128(of, sizeof of, seed, h->hash);
}

void otlp_metric_open(struct otlp_request *r)
{
    struct otlp_in_hand *h = &r->hand;
    otlp_metric_begin(&h->m, r->item.bytes);
    h->open = true;
    h->known = false;
    h->metric = 0;
    buf_reset(&r->pl->points);
}

/* Reads more of what lies around its points. */
static int read_around(struct otlp_request *r)
{
    struct otlp_in_hand *h = &r->hand;
    const size_t before = h->m.work;
    const int got = otlp_metric_read(&h->m);
    r->work += FIELD_COST * (h->m.work - before);
    if (got == OTLP_MORE)
        return -1;
    h->open = h->known = got == 0;
    if (got < 0)
        return (int)drop_of_error(got);
    h->room = otlp_points_room(r);
    hash_metric(r);
    return -1;
}

void otlp_metric_pause(struct otlp_request *r)
{
    otlp_points_flush(r);
    r->hand.metric = 0;
}

/* ---- its definition ---- */

/* Buckets of an exponential histogram whose metric is new. */
static void default_bounds(struct metric_def *def)
{
    static const double seconds[RULES_NBOUNDS] = RULES_BOUNDS;
    static const double steps[] = {1, 2, 5};
    if (str_eq(def->unit, STR("s"))) {
        def->nbounds = RULES_NBOUNDS;
        memcpy(def->bounds, seconds, sizeof seconds);
        return;
    }
    double decade = 1;
    for (unsigned i = 0; i < 10; i++, decade *= 10)
        for (unsigned k = 0; k < 3; k++)
            def->bounds[def->nbounds++] = steps[k] * decade;
}

static void define_sum(const struct otlp_request *r, struct metric_def *def)
{
    def->kind = r->hand.m.monotonic ? METRIC_COUNTER : METRIC_GAUGE;
    if (def->kind == METRIC_COUNTER && r->point.is_int)
        def->type = VALUE_U64;
}

/* A histogram that gives no buckets is a count and a sum: a summary without quantiles. */
static void define_histogram(const struct otlp_request *r, struct metric_def *def)
{
    def->kind = r->point.nbounds ? METRIC_HISTOGRAM : METRIC_SUMMARY;
    def->nbounds = r->point.nbounds;
    memcpy(def->bounds, r->point.bounds, def->nbounds * sizeof *def->bounds);
}

static void definition(const struct otlp_request *r, struct metric_def *def)
{
    const struct otlp_metric *m = &r->hand.m;
    def->name = m->name;
    def->unit = m->unit;
    def->help = m->help;
    def->kind = METRIC_GAUGE;
    def->type = VALUE_F64;
    if (m->data == OTLP_SUM)
        define_sum(r, def);
    else if (m->data == OTLP_HISTOGRAM)
        define_histogram(r, def);
    else if (m->data == OTLP_SUMMARY)
        def->kind = METRIC_SUMMARY;
    if (m->data != OTLP_EXPONENTIAL)
        return;
    def->kind = METRIC_HISTOGRAM;
    def->flags = METRIC_QUANTILES;
    default_bounds(def);
}

static int define_failed(int err)
{
    if (err == -ERR_PERM)
        return DROP_RESERVED;
    return err == -ERR_FULL ? DROP_METRICS_FULL : (int)drop_of_error(err);
}

/* The metric that the point in hand belongs to. A counter that has doubles takes whole
 * numbers as well. */
static int define(struct otlp_request *r)
{
    struct otlp_in_hand *h = &r->hand;
    struct store *st = r->pl->st;
    struct metric_def def = {.nbounds = 0};
    if (r->point.nbounds > LIMIT_BOUNDS)
        return DROP_LIMIT;
    definition(r, &def);
    if (h->metric && h->kind == def.kind && h->type == def.type)
        return DROP_MAX;
    h->metric = 0;
    h->kind = def.kind;
    h->type = def.type;
    uint32_t metric;
    int bad = metric_def_check(&def);
    if (bad == 0)
        bad = metric_define_by(st, &def, r->domain, r->pl->options.metrics_per_domain, &metric);
    if (bad == -ERR_CONFLICT && def.type == VALUE_U64) {
        def.type = VALUE_F64;
        bad = metric_define_by(st, &def, r->domain, r->pl->options.metrics_per_domain, &metric);
    }
    if (bad < 0 || !metric_read(st, metric, &h->view))
        return define_failed(bad);
    h->metric = metric;
    return DROP_MAX;
}

/* ---- cells ---- */

struct aim {
    enum cell_op op;
    uint64_t cells;
};

static struct aim aim_at(struct otlp_request *r, uint32_t series)
{
    struct aim a;
    a.op = series_target(r->pl->st, series, 0, &a.cells);
    series_touch(r->pl->st, series, a.op, a.cells, r->now);
    return a;
}

static void add_sum(struct store *st, uint64_t offset, double v)
{
    if (v < 0 || v > 0)
        cell_add_f64(st, offset, v);
}

/* A sum and buckets into a histogram; a sum and a count into a summary. */
static void add_totals(struct otlp_request *r, uint32_t series, const struct otlp_total *t)
{
    struct store *st = r->pl->st;
    const struct aim a = aim_at(r, series);
    const uint64_t first = a.op == CELL_SUMMARIZE ? CELL_COUNT : CELL_BUCKETS;
    add_sum(st, a.cells + CELL_SUM * WORD, bits_f64(t->word[0]));
    for (unsigned i = 1; i < t->n; i++)
        if (t->word[i])
            store_add(st, a.cells + (first + i - 1) * WORD, t->word[i]);
}

static void note_exemplar(struct otlp_request *r, uint32_t series)
{
    const struct otlp_point *p = &r->point;
    if (!p->exemplar.present)
        return;
    const struct exemplar e = {p->exemplar.trace, p->exemplar.value, p->exemplar.time};
    exemplar_note(&r->pl->exemplars, r->pl->st, series, &e);
}

/* ---- points of each kind ---- */

static bool temporal(const struct otlp_request *r)
{
    return r->hand.m.temporality != OTLP_UNSPECIFIED;
}

static bool cumulative(const struct otlp_request *r)
{
    return r->hand.m.temporality == OTLP_CUMULATIVE || r->hand.m.data == OTLP_SUMMARY;
}

/* A gauge, or a sum that may fall: the newest value, or a step from it. */
static int apply_gauge(struct otlp_request *r)
{
    const bool step = r->hand.m.data == OTLP_SUM && !cumulative(r);
    uint32_t series;
    const int why = otlp_series(r, &series);
    if (why != DROP_MAX)
        return why;
    const struct aim a = aim_at(r, series);
    const double before = bits_f64(store_get(r->pl->st, a.cells + CELL_VALUE * WORD));
    const double value = step ? before + r->point.d : r->point.d;
    if (!isfinite(value))
        return DROP_NOT_FINITE;
    (void)cell_apply(r->pl->st, a.op, a.cells, f64_bits(value), 0);
    return DROP_MAX;
}

static int apply_counter(struct otlp_request *r)
{
    const struct otlp_point *p = &r->point;
    const bool floating = r->hand.view.type == VALUE_F64;
    struct otlp_total t = {.n = 1};
    uint32_t series;
    if (p->is_int ? p->i < 0 : p->d < 0)
        return DROP_NEGATIVE;
    t.word[0] = floating ? f64_bits(p->d) : (uint64_t)p->i;
    const int why =
        cumulative(r) ? otlp_cumulative(r, &t, floating, &series) : otlp_series(r, &series);
    if (why != DROP_MAX)
        return why;
    const struct aim a = aim_at(r, series);
    if (t.word[0])
        (void)cell_apply(r->pl->st, a.op, a.cells, t.word[0], 0);
    return DROP_MAX;
}

static bool same_bounds(const struct metric_view *m, const struct otlp_point *p)
{
    if (m->nbounds != p->nbounds)
        return false;
    for (unsigned i = 0; i < m->nbounds; i++)
        if (m->bounds[i] < p->bounds[i] || m->bounds[i] > p->bounds[i])
            return false;
    return true;
}

static int apply_totals(struct otlp_request *r, struct otlp_total *t)
{
    uint32_t series;
    const int why = cumulative(r) ? otlp_cumulative(r, t, false, &series) : otlp_series(r, &series);
    if (why != DROP_MAX)
        return why;
    add_totals(r, series, t);
    if (r->hand.kind == METRIC_HISTOGRAM)
        note_exemplar(r, series);
    return DROP_MAX;
}

static int apply_summary(struct otlp_request *r)
{
    struct otlp_total t = {.n = 2, .sums = 1};
    t.word[0] = f64_bits(r->point.sum);
    t.word[1] = r->point.count;
    return apply_totals(r, &t);
}

static int apply_histogram(struct otlp_request *r)
{
    const struct otlp_point *p = &r->point;
    struct otlp_total t = {.n = 2 + p->nbounds, .sums = 1};
    uint64_t count = 0;
    if (p->nbounds == 0)
        return apply_summary(r);
    if (!same_bounds(&r->hand.view, p))
        return DROP_BOUNDS_MISMATCH;
    t.word[0] = f64_bits(p->sum);
    for (unsigned i = 0; i <= p->nbounds; i++)
        count += t.word[1 + i] = p->buckets[i];
    return count == p->count ? apply_totals(r, &t) : DROP_MALFORMED;
}

static uint64_t count_of(const struct otlp_exp_buckets *b)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < b->n; i++)
        n += b->counts[i];
    return n;
}

static int apply_exponential(struct otlp_request *r)
{
    const struct otlp_point *p = &r->point;
    uint32_t series;
    if (p->scale < SCALE_MIN || p->scale > SCALE_MAX)
        return DROP_LIMIT;
    if (p->zero_count + count_of(&p->positive) + count_of(&p->negative) != p->count)
        return DROP_MALFORMED;
    const int why =
        cumulative(r) ? otlp_cumulative_exponential(r, &series) : otlp_series(r, &series);
    if (why != DROP_MAX)
        return why;
    const struct aim a = aim_at(r, series);
    exponential_observe(r->pl->st, &r->hand.view, a.op, a.cells, p, r->now.mono / (60 * NS_PER_S));
    note_exemplar(r, series);
    return DROP_MAX;
}

static int apply_point(struct otlp_request *r)
{
    const enum otlp_data data = r->hand.m.data;
    if (r->point.flags & NO_VALUE)
        return DROP_MAX;
    if (data != OTLP_GAUGE && data != OTLP_SUMMARY && !temporal(r))
        return DROP_MALFORMED;
    const int why = define(r);
    if (why != DROP_MAX)
        return why;
    switch (data) {
    case OTLP_GAUGE:
        return apply_gauge(r);
    case OTLP_SUM:
        return r->hand.m.monotonic ? apply_counter(r) : apply_gauge(r);
    case OTLP_HISTOGRAM:
        return apply_histogram(r);
    case OTLP_EXPONENTIAL:
        return apply_exponential(r);
    case OTLP_SUMMARY:
        break;
    }
    return apply_summary(r);
}

int otlp_metric_point(struct otlp_request *r)
{
    struct otlp_in_hand *h = &r->hand;
    if (!h->known)
        return read_around(r);
    r->raw = (struct str){0};
    const int got = otlp_point(&h->m, &r->point, &r->raw);
    r->work += POINT_COST + (r->raw.n <= LIMIT_RECORD ? r->raw.n : 0);
    if (got == 0) {
        otlp_points_flush(r);
        h->open = false;
        return -1;
    }
    if (got < 0)
        return (int)drop_of_error(got);
    return otlp_points_add(r, r->raw) ? apply_point(r) : DROP_RING_FULL;
}
