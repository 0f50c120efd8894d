/* read: metrics, series, sessions and ring records as values. Floor 2.
 *
 * For format/, serve/ and the commands. Every function works on a writer's and
 * on a reader's store; on a reader's, what a concurrent writer takes away simply
 * is not found. Strings point into the segment: a reader copies what it keeps. */
#ifndef MCPTALLY_STORE_READ_H
#define MCPTALLY_STORE_READ_H

#include <stdbool.h>

#include "base/str.h"
#include "model/metric.h"
#include "otlp/limits.h"
#include "store/store.h"

struct metric_view {
    uint32_t id;
    struct str name, family, unit, help; /* family: the Prometheus name, without _total */
    enum metric_kind kind;
    enum value_type type;
    enum gauge_join join;
    unsigned flags;
    unsigned nbounds;
    const double *bounds;
    uint32_t first; /* series; 0: none */
    uint32_t nseries;
    bool own;
    unsigned domain_known; /* domain + 1 of who defined it; 0: nobody's */
};

struct series_view {
    uint32_t id;
    uint32_t metric;
    struct str
        labels;       /* canonical: key="value",key="value" with Prometheus escapes; may be empty */
    struct str keys;  /* the keys as they came, NUL between them; empty when they are the same */
    uint64_t created; /* ns since 1970 */
    uint32_t next;    /* of the same metric; 0: none */
    unsigned domain;
    unsigned flags;       /* SERIES_* */
    uint64_t cells, text; /* offsets; text: of the labels */
};

struct sample {
    uint64_t u;   /* counter or gauge of type u64 */
    double d;     /* counter or gauge as a double, whatever its type */
    bool present; /* false: a joined gauge with no live session */
    double sum;
    uint64_t count;
    uint64_t buckets[LIMIT_BOUNDS + 1]; /* not cumulated; the last is +Inf */
};

/* Metric ids run from 1 to metric_ids()-1; some are unused (read gives false). */
uint32_t metric_ids(const struct store *st);
bool metric_read(const struct store *st, uint32_t id, struct metric_view *out);
bool metric_find(const struct store *st, struct str family, struct metric_view *out);

/* Series of all metrics, dormant ones too. */
uint64_t series_count(const struct store *st);

/* Dormant series are read as well: test SERIES_LIVE. */
bool series_read(const struct store *st, uint32_t id, struct series_view *out);

/* Up to `max` series of a metric, from `first` on: how many. Their labels are there only after
 * series_labels(); the memory of labels and cells has been asked for, so that what is done with
 * one does not wait for it. */
unsigned series_read_run(const struct store *st, uint32_t metric, uint32_t first,
                         struct series_view *to, unsigned max);
void series_labels(const struct store *st, struct series_view *s);

/* A series of a metric each of whose series is one number, in its first cell. */
struct number_view {
    struct str labels; /* as above */
    uint64_t bits;     /* of the number */
    uint64_t created;  /* ns since 1970 */
    uint32_t next;     /* of the same metric; 0: none */
    bool present;      /* false: dormant, or a group */
};

/* Up to NUMBER_RUN series of such a metric, from `first` on: how many. */
enum { NUMBER_RUN = 16 };
unsigned number_read_run(const struct store *st, uint32_t metric, uint32_t first,
                         struct number_view *restrict to);

void series_sample(const struct store *st, const struct metric_view *m, const struct series_view *s,
                   struct sample *out);

/* The q-quantile (0..1) over the last one to two minutes, within 1%; NaN when
 * the series keeps none or saw nothing. For summaries and METRIC_QUANTILES. */
double series_quantile(const struct store *st, const struct metric_view *m,
                       const struct series_view *s, double q, uint64_t now_mono);

/* The same of n of them, in ascending order, for little more than the time of one. */
void series_quantiles(const struct store *st, const struct metric_view *m,
                      const struct series_view *s, const double *q, unsigned n, uint64_t now_mono,
                      double *out);

/* The q-quantile by linear interpolation in the buckets, as PromQL does it. */
double sample_quantile(const struct metric_view *m, const struct sample *s, double q);

/* Walks a canonical label text: *text advances past one label, whose value has
 * its escapes still in. False at the end or at nonsense. */
bool labels_next(struct str *text, struct str *key, struct str *value);

/* The raw value of one label, or an empty str with p == NULL. */
struct str labels_get(struct str text, struct str key);

struct session_view {
    uint32_t id;
    uint64_t session[2];
    uint32_t uid;
    unsigned domain;
    struct str service, instance, agent;
    uint64_t applied, items, since; /* since: ns since 1970 */
    bool connected;
    uint64_t ended; /* mono ns, when not connected */
    uint64_t lost[4];
};

uint32_t session_ids(const struct store *st);
bool session_read(const struct store *st, uint32_t id, struct session_view *out);

struct part_view {
    struct str service, component, message;
    unsigned state, reported_state; /* enum health_state */
    unsigned failures, domain;
    bool active;                /* the daemon's own check, of no domain */
    uint64_t reported, changed; /* mono ns */
    uint64_t reports;
};

uint32_t part_ids(const struct store *st);
bool part_read(const struct store *st, uint32_t id, struct part_view *out);

struct ring_view {
    uint64_t position, seq, received;
    unsigned kind, domain;
    uint32_t session;
    struct str service;
    struct str body; /* for decode_body() */
};

/* Bytes of a copy that any record fits into. */
enum { RING_COPY = LIMIT_RECORD + 512 };

/* Copies the record at *position into `copy` and moves *position past it. Records
 * that are larger than the copy are passed over. Returns 1 and a view of the copy, 0 at the head,
 * or -ERR_RANGE when the record has been overwritten: *position is then that of the oldest one
 * left. The gap between the sequence numbers of two records that came in a row tells how many were
 * lost between them. */
int ring_read(const struct store *st, enum store_ring_id ring, uint64_t *position, void *copy,
              size_t copy_size, struct ring_view *out);

uint64_t ring_tail(const struct store *st, enum store_ring_id ring); /* oldest position */
uint64_t ring_head(const struct store *st, enum store_ring_id ring); /* next position */

/* `appended`: since the consumer began. */
struct consumer_view {
    uint64_t appended, read, overrun, waiting, delivered, filtered, failed, in_flight;
};

void consumer_read(const struct store *st, enum store_ring_id ring, enum store_consumer c,
                   struct consumer_view *out);

/* A consumer's name, empty when the row is free; and whether it reads a ring. */
struct str consumer_name(const struct store *st, unsigned consumer);
bool consumer_reads(const struct store *st, unsigned consumer, enum store_ring_id ring);

#endif
