/* One line for one operation: a histogram and a span. */
#include <string.h>

#include "base/clock.h"
#include "client/emit.h"
#include "client/span.h"

static mcptally_series *duration_of(mcptally *m, const char *name, const mcptally_label *labels)
{
    char metric[LIMIT_NAME + sizeof ".duration"];
    const size_t n = name ? strnlen(name, LIMIT_NAME) : 0;
    memcpy(metric, name ? name : "", n);
    memcpy(metric + n, ".duration", sizeof ".duration");
    return mcptally_with(mcptally_histogram(m, metric, "s", NULL, 0, NULL), labels);
}

mcptally_track mcptally_track_start(mcptally *m, const char *name, const mcptally_label *labels)
{
    mcptally_track t = {.m = m};
    if (!m)
        return t;
    t.duration = duration_of(m, name, labels);
    t.span = mcptally_span_start(m, name, MCPTALLY_SPAN_INTERNAL, NULL, NULL);
    for (; labels && labels->key; labels++)
        mcptally_span_attr(t.span, labels->key, labels->value);
    t.start = clock_mono();
    return t;
}

/* The series beside it that has the error's type. */
static mcptally_series *failed_series(const mcptally_series *s, const char *error_type)
{
    struct label labels[LIMIT_LABELS + 1];
    unsigned n = s->nlabels;
    if (n > 0)
        memcpy(labels, s->labels, n * sizeof *labels);
    labels[n++] = (struct label){STR("error.type"), str_of(error_type)};
    return registry_series(s->metric, labels, n);
}

void mcptally_track_end(mcptally_track *t, const char *error_type)
{
    if (!t || !t->m)
        return;
    const uint64_t now = clock_mono();
    const double seconds = (double)(now - t->start) / (double)NS_PER_S;
    if (error_type)
        mcptally_span_error(t->span, error_type, NULL);
    mcptally_observe(error_type ? failed_series(t->duration, error_type) : t->duration, seconds);
    if (t->span)
        span_end_at(t->span, now);
    t->m = NULL;
}

void mcptally_track_leave(mcptally_track *t)
{
    mcptally_track_end(t, NULL);
}
