/* prom_family: the lines of one metric in the Prometheus text formats. Floor 3.
 *
 * A metric is one family, and a histogram that keeps quantiles is two: its
 * buckets, and a summary NAME_quantile without sum and count. Nothing is allocated but in the
 * buffer. */
#ifndef MCPTALLY_FORMAT_PROM_FAMILY_H
#define MCPTALLY_FORMAT_PROM_FAMILY_H

#include "base/buf.h"
#include "pipeline/exemplar.h"
#include "store/read.h"

enum prom_format {
    PROM_TEXT,        /* text/plain; version=0.0.4 */
    PROM_OPENMETRICS, /* application/openmetrics-text; version=1.0.0 */
};

enum prom_shape {
    SHAPE_COUNTER,
    SHAPE_GAUGE,
    SHAPE_INFO, /* a gauge in 0.0.4 */
    SHAPE_HISTOGRAM,
    SHAPE_SUMMARY,
    SHAPE_QUANTILE, /* the second family of a histogram */
};

enum {
    PROM_NAME_MAX = LIMIT_NAME + LIMIT_UNIT + 32, /* bytes of a sample's name */
    PROM_LE_MAX = 32,                             /* bytes of le="..." */
};

struct prom_family {
    struct metric_view m;
    enum prom_format format;
    enum prom_shape shape;
    uint64_t now_mono;                 /* for the quantiles' windows */
    const struct exemplars *exemplars; /* NULL: none are shown; OpenMetrics only */
    size_t name_size;
    char name[PROM_NAME_MAX]; /* OpenMetrics' family name: no _total, no _info */
    uint8_t le_size[LIMIT_BOUNDS + 1];
    char le[LIMIT_BOUNDS + 1][PROM_LE_MAX];
};

/* The family of a metric; `quantile` asks for the second one. False when the
 * metric has no second one. The family points into the store and is good until
 * the metric is removed. */
bool prom_family_init(struct prom_family *f, const struct metric_view *m, enum prom_format format,
                      bool quantile, uint64_t now_mono);

/* HELP, TYPE and UNIT. */
void prom_family_head(const struct prom_family *f, struct buf *to);

/* Whether a series has anything to show: live, no group, and a value; which is
 * then in *out. */
bool prom_family_shows(const struct prom_family *f, const struct store *st,
                       const struct series_view *s, struct sample *out);

/* The lines of one series; returns how many. */
unsigned prom_family_series(const struct prom_family *f, const struct store *st,
                            const struct series_view *s, const struct sample *sample,
                            struct buf *to);

#endif
