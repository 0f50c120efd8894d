/* otlp_request: a message that is being applied. Floor 3. What the otlp_*.c of this
 * room share; others use otlp.h.
 *
 * The functions that apply one item or point return what became of it: DROP_MAX when
 * it was applied, else the reason. */
#ifndef MCPTALLY_PIPELINE_OTLP_REQUEST_H
#define MCPTALLY_PIPELINE_OTLP_REQUEST_H

#include "pipeline/otlp.h"
#include "pipeline/tally.h"
#include "store/cells.h"
#include "store/read.h"
#include "store/ring.h"

enum { FIELD_COST = 2 }; /* units of a field that is passed over */

#define OTLP_UNKNOWN_SERVICE STR("unknown_service")

/* The Metric message in hand; its points may take several steps. */
struct otlp_in_hand {
    bool open;
    bool known; /* what lies around its points has been read */
    struct otlp_metric m;
    uint64_t hash[2]; /* of the stream but its attributes */
    /* The metric in the store that the newest point's definition led to. Forgotten at the
     * end of a step: until it has a series it may be swept away. */
    uint32_t metric;
    struct metric_view view;
    enum metric_kind kind; /* that was asked for */
    enum value_type type;
    size_t room; /* bytes of points in one record */
};

struct otlp_request {
    struct pipeline *pl;
    enum otlp_signal signal;
    uint8_t *bytes; /* owned */
    size_t size;
    struct otlp_walk walk;
    size_t work; /* of this step, in units of about 15 ns: that of a byte that is decoded */
    struct otlp_item item;
    struct when now; /* of the step */
    bool ended, unreadable, begun;
    uint64_t applied, sampled; /* items; sampled: left out by sampling */

    /* Whose items they are. */
    struct otlp_origin origin; /* borrows from the walk */
    struct str service;        /* of the origin, or OTLP_UNKNOWN_SERVICE */
    unsigned domain;
    bool owned;               /* an owner was found */
    bool ledger;              /* its domain has one */
    enum drop_reason refused; /* why none of its items is taken; DROP_MAX: they are */
    enum drop_reason barred;  /* the same of all of its domain, for now */
    bool counted;             /* an item is in the ledger */
    bool put_off;             /* the whole is, for `retry` ns */
    uint64_t retry;
    uint64_t spent;                            /* units for this owner that are not yet charged */
    int bad_resource;                          /* 0, or why it cannot be read */
    uint64_t resource_hash[2], origin_hash[2]; /* the second: of resource and scope */
    bool resource_kept, scope_kept;            /* these are as the rings keep them: */
    struct str resource, scope;                /* redacted; in the walk, or in the two below */
    struct buf resource_text, scope_text;

    struct otlp_in_hand hand;
    struct otlp_point point; /* the one in hand */
    struct str raw;          /* its bytes */
    struct tally tally;
    double pressure; /* of the span ring */
    char message[512];
};

/* Ends the open batch with the ledger in it. */
void otlp_settle(struct otlp_request *r);

/* Room for one record. Commits when the tail has to move. False when the
 * domain gets no more into the ring. */
bool otlp_make_room(struct otlp_request *r, enum store_ring_id ring);

/* The item (the bytes of a Span, LogRecord or Metric) into a ring: redacted, with its
 * surroundings. */
int otlp_keep(struct otlp_request *r, enum store_ring_id ring, unsigned kind, struct str bytes);

/* Whether a record of so many bytes of item is too large for a ring, redaction left out
 * of account. */
bool otlp_too_large(const struct otlp_request *r, enum store_ring_id ring, size_t item);

/* ---- otlp_spans.c, otlp_logs.c ---- */

int otlp_apply_span(struct otlp_request *r);
int otlp_apply_log(struct otlp_request *r);

/* ---- otlp_metrics.c ---- */

/* Opens the Metric of the item, which takes no time. */
void otlp_metric_open(struct otlp_request *r);

/* Reads some of the metric, or applies its next point: DROP_MAX or a reason, or -1 when no
 * point is done with. Closes the metric when there is none left, or when it cannot be read
 * and stands for one. */
int otlp_metric_point(struct otlp_request *r);

/* Before the end of a step. */
void otlp_metric_pause(struct otlp_request *r);

/* ---- otlp_points.c: metrics as they came, for those who send them on ---- */

/* Bytes of points that a record of the metric in hand has room for. */
size_t otlp_points_room(const struct otlp_request *r);

/* Takes a point that passed the trust line; false when it is too large for the ring. */
bool otlp_points_add(struct otlp_request *r, struct str raw);

/* Appends a record of what was taken. */
void otlp_points_flush(struct otlp_request *r);

/* ---- otlp_labels.c ---- */

/* The series of a point by its attributes, with what else the options make labels. */
int otlp_series(struct otlp_request *r, uint32_t *series);

/* Keeps target_info{} of the resource in hand up to date. */
void otlp_target_info(struct otlp_request *r);

/* ---- otlp_cumulative.c ---- */

/* What a cumulative point says, as words: of a counter its value; of a histogram its sum
 * and buckets; of a summary its sum and count. */
struct otlp_total {
    unsigned n;
    unsigned sums; /* words from the first on that are doubles and may fall */
    uint64_t word[LIMIT_BOUNDS + 2];
};

/* The series that the point in hand adds to, and in *t only what it adds to it. */
int otlp_cumulative(struct otlp_request *r, struct otlp_total *t, bool floating, uint32_t *series);

/* The same for an exponential histogram, in the point itself. */
int otlp_cumulative_exponential(struct otlp_request *r, uint32_t *series);

/* ---- otlp_exponential.c ---- */

/* Merges buckets in pairs, `steps` times. */
void exponential_merge(struct otlp_exp_buckets *b, unsigned steps);

/* Adds a point to the cells of a histogram. */
void exponential_observe(struct store *st, const struct metric_view *m, enum cell_op op,
                         uint64_t cells, const struct otlp_point *p, uint64_t minute);

#endif
