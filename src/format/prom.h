/* prom: the store as a Prometheus page, in slices. Floor 3.
 *
 * The daemon's own metrics, and with them both ledgers, come first and in one
 * slice, so that their sums agree; then the producers' metrics by id, the series
 * of each in the order of their creation. The order does not change from page to
 * page. Between two slices the store may change, but `series`, the one that comes
 * next, may not be freed. */
#ifndef MCPTALLY_FORMAT_PROM_H
#define MCPTALLY_FORMAT_PROM_H

#include "format/prom_family.h"

/* Where a page in the making stands. */
struct prom_page {
    const struct store *st;
    enum prom_format format;
    uint64_t now_mono;                 /* for the quantiles' windows */
    const struct exemplars *exemplars; /* NULL: none are shown; to be set after prom_begin() */
    bool own;                          /* the slice of the daemon's own metrics is still to come */
    uint32_t metric;                   /* in hand */
    uint32_t series;                   /* its next one; 0: it has not begun */
    uint32_t visited;                  /* of its series: a list that is damaged must end */
    bool quantile;                     /* in its second family */
    bool headed;                       /* HELP and TYPE are written */
};

void prom_begin(struct prom_page *page, const struct store *st, enum prom_format format,
                uint64_t now_mono);

/* Appends the next slice; one series is never split. True while more is to come. A full buffer
 * shows in `to->failed`. */
bool prom_step(struct prom_page *page, struct buf *to, const struct prom_share *share);

/* The Content-Type of a format. */
const char *prom_content_type(enum prom_format format);

#endif
