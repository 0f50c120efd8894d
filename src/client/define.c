/* Defining metrics and series: from C's types to ours. */
#include "model/text.h"
#include "client/session.h"

/* The buckets that OpenTelemetry's conventions name for MCP, seconds. */
static const double mcp_bounds[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300};

static mcptally_metric *define(mcptally *m, const char *name, const char *unit, const char *help,
                               struct metric_def *def)
{
    if (!m)
        return NULL;
    def->name = str_of(name);
    def->unit = str_of(unit);
    def->help = text_cut(str_of(help), LIMIT_HELP);
    return registry_metric(&m->registry, def);
}

mcptally_metric *mcptally_counter(mcptally *m, const char *name, const char *unit, const char *help)
{
    struct metric_def def = {.kind = METRIC_COUNTER, .type = VALUE_U64};
    return define(m, name, unit, help, &def);
}

mcptally_metric *mcptally_counterf(mcptally *m, const char *name, const char *unit,
                                   const char *help)
{
    struct metric_def def = {.kind = METRIC_COUNTER, .type = VALUE_F64};
    return define(m, name, unit, help, &def);
}

mcptally_metric *mcptally_gauge(mcptally *m, const char *name, const char *unit, const char *join,
                                const char *help)
{
    static const char *const words[] = {"last", "sum", "min", "max"}; /* enum gauge_join */
    struct metric_def def = {.kind = METRIC_GAUGE, .type = VALUE_F64};
    unsigned i = JOIN_LAST;
    while (join && i <= JOIN_MAX && !str_eq(str_of(join), str_of(words[i])))
        i++;
    if (i > JOIN_MAX)
        name = NULL; /* a word that we do not know: no metric's name */
    else
        def.join = (enum gauge_join)i;
    return define(m, name, unit, help, &def);
}

mcptally_metric *mcptally_histogram(mcptally *m, const char *name, const char *unit,
                                    const double *bounds, size_t nbounds, const char *help)
{
    struct metric_def def = {.kind = METRIC_HISTOGRAM, .type = VALUE_F64};
    if (!bounds) {
        bounds = mcp_bounds;
        nbounds = sizeof mcp_bounds / sizeof *mcp_bounds;
    }
    if (nbounds > LIMIT_BOUNDS)
        nbounds = 0; /* which a histogram may not have */
    memcpy(def.bounds, bounds, nbounds * sizeof *bounds);
    def.nbounds = (unsigned)nbounds;
    return define(m, name, unit, help, &def);
}

mcptally_metric *mcptally_summary(mcptally *m, const char *name, const char *unit, const char *help)
{
    struct metric_def def = {.kind = METRIC_SUMMARY, .type = VALUE_F64};
    return define(m, name, unit, help, &def);
}

mcptally_series *mcptally_with(mcptally_metric *metric, const mcptally_label *labels)
{
    struct label list[LIMIT_LABELS + 1];
    unsigned n = 0;
    if (!metric)
        return NULL;
    for (; labels && labels->key && n <= LIMIT_LABELS; labels++)
        list[n++] = (struct label){
            str_of(labels->key),
            text_cut(str_of(labels->value), LIMIT_LABEL_VALUE),
        };
    return registry_series(metric, list, n);
}
