/* otlp_series: the store's series as OTLP metrics, for a push. Floor 3. No I/O, no clock.
 *
 * A pass over the store goes in steps and puts metrics into batches; points of one metric
 * and service that follow each other in the store share a Metric. The resource is made of
 * the labels service_name and service_instance_id, or is the daemon's own for series that
 * have no service_name. The other labels are attributes, under the keys that they came
 * with.
 *
 * Cumulative points start when their series was created. Delta points are what was
 * added since the pass before, which is remembered here and not in the store: after a
 * start, what a series had before is not sent, rather than sent twice. Summaries have no
 * delta form and are cumulative always. Points that would say nothing (a delta of nothing,
 * a joined gauge of nobody) are left out. */
#ifndef MCPTALLY_FORMAT_OTLP_SERIES_H
#define MCPTALLY_FORMAT_OTLP_SERIES_H

#include "format/otlp_batch.h"
#include "pipeline/exemplar.h"

/* What of each series has been sent. */
struct otlp_sent {
    uint64_t began; /* ns since 1970: of the first pass */
    uint32_t size;
    struct otlp_sent_series {
        uint64_t created; /* of the series: its record may be another's by now */
        uint64_t time;    /* of the newest point */
        uint64_t words[]; /* counter: value; histogram: sum, then buckets */
    } * *series;          /* by its id */
};

void otlp_sent_init(struct otlp_sent *sent, uint64_t now_wall);
void otlp_sent_fini(struct otlp_sent *sent);

struct otlp_series {
    const struct store *st;
    struct otlp_sent *sent;       /* NULL: cumulative */
    struct when now;              /* of all points of this pass */
    struct str service, instance; /* of the daemon; borrowed */
    uint32_t metric, series;      /* next to look at */
    bool begun;                   /* with this metric's series; series 0 is then their end */
    struct buf resource, scope, item, labels;
    const struct exemplars *exemplars; /* of histograms; NULL: none. Set after otlp_series_init() */
    bool pending;                      /* an item waits for a batch that has room */
    uint64_t lost;                     /* points that had no memory */
};

void otlp_series_init(struct otlp_series *s, const struct store *st);
void otlp_series_fini(struct otlp_series *s);

/* A new pass, of the whole store. `sent` is NULL for cumulative points. */
void otlp_series_begin(struct otlp_series *s, struct otlp_sent *sent, struct str service,
                       struct str instance, struct when now);

enum otlp_series_state {
    OTLP_SERIES_END,  /* the pass is over */
    OTLP_SERIES_MORE, /* call again */
    OTLP_SERIES_FULL, /* end the batch, then call again */
};

/* Looks at up to `most` series and puts them into a batch of OTLP_METRICS. */
enum otlp_series_state otlp_series_step(struct otlp_series *s, struct otlp_batch *to,
                                        unsigned most);

#endif
