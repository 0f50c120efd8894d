#include "pipeline/otlp_cumulative.h"

#include <math.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "otlp/field.h"
#include "store/series.h"

/* ---- which stream ---- */

static unsigned attrs_field(enum otlp_data data)
{
    return data == OTLP_HISTOGRAM ? 9 : data == OTLP_EXPONENTIAL ? 1 : 7;
}

/* All attributes as they came, in any order, those too that make no labels. */
void cumulative_hash(const struct otlp_request *r, uint64_t hash[2])
{
    const uint64_t seed = r->pl->st->head->secret;
    const uint32_t tag = attrs_field(r->hand.m.data) << 3 | FIELD_BYTES;
    uint64_t of[4] = {r->hand.hash[0], r->hand.hash[1]};
    struct fields in = fields_of(r->raw);
    struct field f;
    while (fields_next(&in, &f)) {
        uint64_t one[2];
        if (f.tag != tag)
            continue;
        hash_bytes128(f.s.p, f.s.n, seed, one);
        of[2] += one[0];
        of[3] += one[1];
    }
    hash_bytes128(of, sizeof of, seed, hash);
}

/* One that leads to another metric than it did when it was made is of no use. */
bool cumulative_read(struct otlp_request *r, uint32_t id, struct stream_view *v)
{
    struct series_view s;
    return id && stream_read(r->pl->st, id, v) && series_read(r->pl->st, v->series, &s) &&
           s.metric == r->hand.metric;
}

/* ---- what a point means ---- */

enum point_verdict cumulative_first(const struct otlp_request *r, const uint64_t hash[2])
{
    const struct store_head *head = r->pl->st->head;
    const uint64_t start = r->point.start;
    const bool ours = start >= head->created && start > head->stream_horizon[STREAM_PART(hash)];
    return start && ours ? POINT_WHOLE : POINT_BASELINE;
}

enum point_verdict cumulative_judge(const struct otlp_point *p, const struct stream_view *v,
                                    bool fell)
{
    if (p->start && p->start > v->start && v->start)
        return POINT_WHOLE;
    if ((p->start && p->start < v->start) || (p->time && p->time <= v->time))
        return POINT_STALE;
    return fell ? POINT_WHOLE : POINT_ABOVE;
}

void cumulative_count(struct otlp_request *r, enum point_verdict verdict, bool known)
{
    struct own *own = &r->pl->own;
    if (verdict == POINT_STALE)
        own_add(own, OWN_OTLP_STALE, 0, 1);
    else if (verdict == POINT_BASELINE)
        own_add(own, OWN_OTLP_BASELINES, 0, 1);
    else if (verdict == POINT_WHOLE && known)
        own_add(own, OWN_OTLP_RESETS, 0, 1);
}

void cumulative_keep(struct otlp_request *r, uint32_t id, const struct stream_view *v,
                     const uint64_t *words, unsigned n)
{
    const uint64_t start = r->point.start ? r->point.start : v->start;
    const uint64_t time = r->point.time ? r->point.time : v->time;
    stream_set(r->pl->st, id, start, time, words, n);
}

/* ---- counters, histograms, summaries ---- */

static bool has_fallen(const struct otlp_total *t, bool floating, const uint64_t *kept)
{
    for (unsigned i = t->sums; i < t->n; i++)
        if (floating ? bits_f64(t->word[i]) < bits_f64(kept[i]) : t->word[i] < kept[i])
            return true;
    return false;
}

static void subtract(struct otlp_total *t, bool floating, const uint64_t *kept)
{
    for (unsigned i = 0; i < t->n; i++) {
        const double above = bits_f64(t->word[i]) - bits_f64(kept[i]);
        if (floating || i < t->sums)
            t->word[i] = f64_bits(isfinite(above) ? above : 0);
        else
            t->word[i] -= kept[i];
    }
}

int otlp_cumulative(struct otlp_request *r, struct otlp_total *t, bool floating, uint32_t *series)
{
    const struct otlp_total now = *t;
    struct stream_view v = {0};
    uint64_t hash[2];
    cumulative_hash(r, hash);
    uint32_t id = stream_find(r->pl->st, hash);
    const bool known = cumulative_read(r, id, &v) && v.words == t->n;
    if (!known) {
        const int why = otlp_series(r, series);
        if (why != DROP_MAX)
            return why;
        if (id)
            stream_remove(r->pl->st, id);
        v = (struct stream_view){0};
        id = stream_make(r->pl->st, hash, *series, r->domain, t->n);
        if (!id)
            return DROP_SERIES_FULL;
    } else {
        *series = v.series;
    }
    const bool fell = known && has_fallen(t, floating, v.values);
    const enum point_verdict verdict =
        known ? cumulative_judge(&r->point, &v, fell) : cumulative_first(r, hash);
    cumulative_count(r, verdict, known);
    if (verdict == POINT_ABOVE)
        subtract(t, floating, v.values);
    else if (verdict != POINT_WHOLE)
        memset(t->word, 0, sizeof t->word);
    if (verdict != POINT_STALE)
        cumulative_keep(r, id, &v, now.word, now.n);
    return DROP_MAX;
}
