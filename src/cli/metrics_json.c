#include "cli/metrics_json.h"

#include <math.h>

#include "format/json.h"
#include "store/series.h"

static void put_labels(struct json_writer *j, struct str labels)
{
    struct str key, value;
    json_put_object(j, "labels");
    while (labels_next(&labels, &key, &value))
        json_put_escaped(j, key, value);
    json_end_object(j);
}

/* Cumulated, as Prometheus has them. */
static void put_buckets(struct json_writer *j, const struct metric_view *m, const struct sample *s)
{
    uint64_t sum = 0;
    json_put_array(j, "buckets");
    for (unsigned i = 0; i <= m->nbounds; i++) {
        sum += s->buckets[i];
        json_put_object(j, NULL);
        if (i < m->nbounds)
            json_put_f64(j, "le", m->bounds[i]);
        else
            json_put_text(j, "le", "+Inf");
        json_put_u64(j, "count", sum);
        json_end_object(j);
    }
    json_end_array(j);
}

/* Those that are kept: of summaries, and of histograms that ask for them. */
static void put_quantiles(struct json_writer *j, const struct store *st,
                          const struct metric_view *m, const struct series_view *series,
                          uint64_t now_mono)
{
    static const struct {
        const char *key;
        double q;
    } quantiles[] = {{"0.5", 0.5}, {"0.9", 0.9}, {"0.95", 0.95}, {"0.99", 0.99}};
    if (m->kind != METRIC_SUMMARY && !(m->flags & METRIC_QUANTILES))
        return;
    json_put_object(j, "quantiles");
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        json_put_f64(j, quantiles[i].key, series_quantile(st, m, series, quantiles[i].q, now_mono));
    json_end_object(j);
}

static void put_series(struct json_writer *j, const struct store *st, const struct metric_view *m,
                       const struct series_view *series, uint64_t now_mono)
{
    struct sample s;
    series_sample(st, m, series, &s);
    if (!s.present)
        return;
    json_put_object(j, NULL);
    put_labels(j, series->labels);
    if (m->kind == METRIC_HISTOGRAM || m->kind == METRIC_SUMMARY) {
        json_put_u64(j, "count", s.count);
        json_put_f64(j, "sum", s.sum);
        if (m->kind == METRIC_HISTOGRAM)
            put_buckets(j, m, &s);
        put_quantiles(j, st, m, series, now_mono);
    } else if (m->type == VALUE_U64) {
        json_put_u64(j, "value", s.u);
    } else {
        json_put_f64(j, "value", s.d);
    }
    json_end_object(j);
}

static void put_metric(struct json_writer *j, const struct store *st, const struct metric_view *m,
                       uint64_t now_mono)
{
    struct series_view series;
    uint32_t id = m->first, most = m->nseries;
    json_put_object(j, NULL);
    json_put_str(j, "name", m->name);
    json_put_str(j, "family", m->family);
    json_put_text(j, "kind", metric_kind_name(m->kind));
    json_put_str(j, "unit", m->unit);
    json_put_str(j, "help", m->help);
    json_put_array(j, "series");
    for (; id && most-- && series_read(st, id, &series); id = series.next)
        if (series.flags & SERIES_LIVE && !(series.flags & SERIES_GROUP))
            put_series(j, st, m, &series, now_mono);
    json_end_array(j);
    json_end_object(j);
}

void metrics_json(struct buf *to, const struct store *st, uint64_t now_mono)
{
    struct json_writer j = json_begin(to);
    struct metric_view m;
    json_put_object(&j, NULL);
    json_put_array(&j, "metrics");
    for (uint32_t id = 1; id < metric_ids(st); id++)
        if (metric_read(st, id, &m))
            put_metric(&j, st, &m, now_mono);
    json_end_array(&j);
    json_end_object(&j);
    buf_addc(to, '\n');
}
