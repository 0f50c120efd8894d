#include <math.h>

#include "cli/emission.h"

static const double WHOLE_MAX = 9007199254740992; /* doubles below hold every whole number */

static mcptally_metric *metric_of(const struct emission *e, mcptally *m)
{
    const struct emission_options *o = &e->options;
    const double *bounds = e->nbounds ? e->bounds : NULL;
    switch (e->kind) {
    case EMIT_COUNTER:
        return e->whole ? mcptally_counter(m, e->name, o->unit, o->help)
                        : mcptally_counterf(m, e->name, o->unit, o->help);
    case EMIT_GAUGE:
        return mcptally_gauge(m, e->name, o->unit, o->join, o->help);
    case EMIT_HISTOGRAM:
        return mcptally_histogram(m, e->name, o->unit, bounds, e->nbounds, o->help);
    default:
        return mcptally_summary(m, e->name, o->unit, o->help);
    }
}

/* The values as text; all of them for a metric, else those that are no numbers. */
static void labels_of(const struct emission *e, bool all, mcptally_label *out)
{
    for (unsigned i = 0; i < e->nvalues; i++)
        if (all || !e->values[i].is_number)
            *out++ = (mcptally_label){e->values[i].key, e->values[i].text};
    *out = (mcptally_label){0};
}

static void send_metric(const struct emission *e, mcptally *m)
{
    mcptally_label labels[LIMIT_ATTRS + 1];
    labels_of(e, true, labels);
    mcptally_series *s = mcptally_with(metric_of(e, m), labels);
    if (e->kind == EMIT_COUNTER && e->whole)
        mcptally_add(s, e->count);
    else if (e->kind == EMIT_COUNTER)
        mcptally_addf(s, e->value);
    else if (e->kind == EMIT_GAUGE)
        mcptally_set(s, e->value);
    else
        mcptally_observe(s, e->value);
}

static void send_event(const struct emission *e, mcptally *m)
{
    mcptally_label metadata[LIMIT_ATTRS + 1];
    mcptally_measure measures[LIMIT_ATTRS + 1];
    unsigned n = 0;
    labels_of(e, false, metadata);
    for (unsigned i = 0; i < e->nvalues; i++)
        if (e->values[i].is_number)
            measures[n++] = (mcptally_measure){e->values[i].key, e->values[i].number};
    measures[n] = (mcptally_measure){0};
    mcptally_event(m, e->name, measures, metadata);
}

static void send_log(const struct emission *e, mcptally *m)
{
    mcptally_label attributes[LIMIT_ATTRS + 1];
    labels_of(e, true, attributes);
    mcptally_log(m, e->level, e->text, attributes);
}

static void send_span(const struct emission *e, mcptally *m, uint64_t now)
{
    const uint64_t ns = (uint64_t)(e->value * 1e9 + 0.5);
    mcptally_span *s =
        mcptally_span_start(m, e->name, MCPTALLY_SPAN_INTERNAL, e->options.parent, NULL);
    for (unsigned i = 0; i < e->nvalues; i++) {
        const struct emission_value *v = &e->values[i];
        if (!v->is_number)
            mcptally_span_attr(s, v->key, v->text);
        else if (fabs(v->number) < WHOLE_MAX && v->number == floor(v->number))
            mcptally_span_attr_i64(s, v->key, (int64_t)v->number);
        else
            mcptally_span_attr_f64(s, v->key, v->number);
    }
    if (e->options.error)
        mcptally_span_error(s, e->options.error, NULL);
    mcptally_span_times(s, ns < now ? now - ns : 1, now);
    mcptally_span_end(s);
}

void emission_send(const struct emission *e, mcptally *m, uint64_t now)
{
    mcptally_correlation(m, e->options.correlation);
    switch (e->kind) {
    case EMIT_EVENT:
        send_event(e, m);
        break;
    case EMIT_LOG:
        send_log(e, m);
        break;
    case EMIT_HEALTH:
        mcptally_health(m, e->name, e->level, e->text);
        break;
    case EMIT_SPAN:
        send_span(e, m, now);
        break;
    default:
        send_metric(e, m);
    }
}
