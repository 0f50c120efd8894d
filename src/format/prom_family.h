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
    PROM_NAME_MAX = LIMIT_NAME + LIMIT_UNIT + 64, /* bytes of a sample's name, and some to spare */
    PROM_LE_MAX = 48,                             /* bytes of le="..."} and a space */
};

struct prom_family {
    struct metric_view m;
    enum prom_format format;
    enum prom_shape shape;
    uint64_t now_mono;                 /* for the quantiles' windows */
    const struct exemplars *exemplars; /* NULL: none are shown; OpenMetrics only */
    bool number;                       /* a series is one number, and it lies in its cells */
    size_t name_size;                  /* of OpenMetrics' family name: no _total, no _info */
    size_t lead_size; /* of that, the suffix of plain samples and a brace, in `name` too */
    char name[PROM_NAME_MAX];
    uint8_t le_size[LIMIT_BOUNDS + 1];
    char le[LIMIT_BOUNDS + 1][PROM_LE_MAX];
};

/* What one slice of a page may come to, both above 0: it ends with the series that reaches either.
 * A series or a metric that is looked at counts as a line. */
struct prom_share {
    unsigned lines;
    size_t bytes;
};

enum { PROM_SKIP = 1 }; /* lines that looking at one without showing it counts for */

static inline void prom_spend(struct prom_share *left, unsigned lines)
{
    left->lines -= lines < left->lines ? lines : left->lines;
}

/* Here `bytes` is where the text is to end. */
static inline bool prom_spent(const struct prom_share *left, const struct buf *to)
{
    return left->lines == 0 || to->n >= left->bytes;
}

/* The family of a metric; `quantile` asks for the second one. False when the
 * metric has no second one. The family points into the store and is good until
 * the metric is removed. */
bool prom_family_init(struct prom_family *f, const struct metric_view *m, enum prom_format format,
                      bool quantile, uint64_t now_mono);

/* HELP, TYPE and UNIT. */
void prom_family_head(const struct prom_family *f, struct buf *to);

/* The same unless *headed says that they are there. */
static inline void prom_family_begin(const struct prom_family *f, bool *headed, struct buf *to)
{
    if (!*headed)
        prom_family_head(f, to);
    *headed = true;
}

/* The lines of one series, where f->number is false, behind the head where *headed is false, which
 * is true then. Returns how many lines' work that was; 0 when it has nothing to show: it is
 * dormant, a group, or has no value. */
unsigned prom_family_show(const struct prom_family *f, const struct store *st,
                          const struct series_view *s, bool *headed, struct buf *to);

#endif
