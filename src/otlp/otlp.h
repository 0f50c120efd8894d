/* otlp: an OTLP request into its items, without unpacking it. Floor 1.
 *
 * Export*ServiceRequest > Resource* > Scope* > Span, LogRecord or Metric. The walk
 * cuts the message where its repeated fields begin and end, item by item, and
 * looks no deeper. What surrounds an item (resource, scope, schema URLs, and
 * fields that this version does not know) is kept as bytes and goes with it:
 * `resource` is every field of the Resource* message but its Scope*s, tags
 * included, `scope` likewise every field of the Scope* message but its items.
 *
 * So [resource, tag 2, length, scope, tag 2, length, item] is a Resource* message
 * with one item again: the form in which rings keep OTLP items (otlp_join()). */
#ifndef MCPTALLY_OTLP_OTLP_H
#define MCPTALLY_OTLP_OTLP_H

#include "base/buf.h"
#include "base/err.h"
#include "model/event.h"
#include "model/limits.h"
#include "otlp/gather.h"
#include "otlp/limits.h"

enum otlp_signal { OTLP_TRACES, OTLP_METRICS, OTLP_LOGS, OTLP_SIGNALS };

const char *otlp_signal_name(unsigned signal); /* "traces", "metrics", "logs" */

struct otlp_item {
    enum otlp_signal signal;
    struct str resource, scope; /* as above; each at most LIMIT_ORIGIN bytes */
    struct str bytes;           /* the item's own message */
    bool new_resource;          /* the first item of its Resource* message */
    bool new_scope;
};

struct otlp_walk {
    enum otlp_signal signal;
    struct str request, in_resource, in_scope; /* what is left of each level */
    struct buf resource, scope;                /* the surrounding fields, gathered */
    struct gather gather;                      /* while a resource or scope is entered, */
    bool gathering;                            /* which is */
    struct str entered;                        /* this one */
    bool over; /* the resource is too large: its items are only counted */
    bool fresh_resource, fresh_scope;
    size_t skipped; /* items that the newest -ERR_RANGE passed over */
    size_t work;    /* units so far: fields that were read, and 64 bytes that were copied */
    int err;
};

enum {
    OTLP_MORE = 2,         /* there is more to do before there is a result */
    OTLP_CALL_WORK = 1088, /* units of work that a call does at most */
};

/* The bytes are borrowed and must outlive the walk. */
void otlp_walk_init(struct otlp_walk *w, enum otlp_signal signal, struct str request);
void otlp_walk_fini(struct otlp_walk *w);

/* 1 and the next item, whose texts are good until the next call; 0 at the end; OTLP_MORE
 * when it has done OTLP_CALL_WORK and has to be called again; -ERR_SYNTAX or -ERR_SHORT when
 * the rest cannot be read, -ERR_NOMEM; -ERR_RANGE when a resource or scope is larger than
 * LIMIT_ORIGIN: the walk then goes on behind it. Fields beside the Resource* messages, which
 * no version has, are passed over. */
int otlp_walk_next(struct otlp_walk *w, struct otlp_item *out);

/* The trace id with which the item behind the newest begins, as nearly every span does; NULL when
 * there is none, or it has another form. Unchecked. */
const uint8_t *otlp_walk_trace_ahead(const struct otlp_walk *w);

/* An item and its surroundings as one Resource* message, appended; and back
 * again, for bytes that otlp_join() made: 0 or -ERR_SYNTAX. */
void otlp_join(struct buf *to, struct str resource, struct str scope, struct str item);
int otlp_part(struct str joined, struct str *resource, struct str *scope, struct str *item);

/* ---- the trust line: an item into an event ---- */

/* Checks everything that the schema gives a form: lengths of ids, UTF-8, nesting
 * of at most LIMIT_OTLP_DEPTH, known fields' wire types. A message that may come
 * once and comes twice is refused; of a repeated number or text the last counts.
 *
 * The event is a view for metrics, sampling and people, and keeps the promises of
 * model/event.h; the bytes keep what it leaves out: attributes that are no scalars,
 * not finite, or beyond LIMIT_ATTRS in all, keys that are none (text_key_ok()), what
 * is longer than its limit, a name's control characters (an empty name becomes
 * "unknown"), text from a NUL on, events and links beyond LIMIT_SPAN_EVENTS, links
 * without ids, enum values of later versions, an end before the start (it becomes
 * the start). Strings are borrowed from the bytes. 0, or an error for drop_of_error(). */
int otlp_span(struct str bytes, struct event *out);

/* A part of that, for whoever leaves most spans out and must not pay for all of them:
 * ids, times, flags, name, tracestate, status, and the attributes with one of `keys`, as
 * otlp_span() would read them if LIMIT_ATTRS were not. The rest is passed over unchecked: 0 does
 * not mean that otlp_span() takes the span, but an error means that it does not. */
int otlp_span_head(struct str bytes, const struct str *keys, unsigned nkeys, struct event *out);

/* The form that nearly every attribute has: a KeyValue of a key, then a text, both shorter
 * than 128 bytes. Where they lie, in *key and *text, unchecked; false for any other form, which
 * is no judgement. */
bool otlp_short_pair(struct str pair, struct str *key, struct str *text);

/* A log record: its time is the observed one when it has no other, its severity comes
 * from the text when it has no number, else "info", its name is its event_name (empty:
 * none). A body that is no string is written as JSON into scratch, which is emptied
 * first, and should hold LIMIT_BODY * 2 bytes; NULL: such a body is left out. */
int otlp_log(struct str bytes, struct event *out, struct buf *scratch);

struct otlp_origin {              /* whose items these are */
    struct str service, instance; /* service.name, service.instance.id; empty: none */
    struct str scope, scope_version;
    unsigned nattrs; /* scalar attributes of the resource, as above */
    struct attr attrs[LIMIT_ATTRS];
};

/* From `resource`, and from `scope`, of an item: 0 or an error as above. Each leaves what
 * is of the other as it is: a resource may have very many scopes. */
int otlp_origin_resource(struct str resource, struct otlp_origin *out);
int otlp_origin_scope(struct str scope, struct otlp_origin *out);

/* ---- metrics ---- */

enum otlp_data {
    OTLP_GAUGE = 5,
    OTLP_SUM = 7,
    OTLP_HISTOGRAM = 9,
    OTLP_EXPONENTIAL = 10,
    OTLP_SUMMARY = 11
};
enum otlp_temporality { OTLP_UNSPECIFIED, OTLP_DELTA, OTLP_CUMULATIVE };

struct otlp_metric {
    struct str name, unit, help; /* in `around` */
    enum otlp_data data;
    enum otlp_temporality temporality;
    bool monotonic;
    struct str points;      /* the data message, of which the points are left to read */
    struct buf around;      /* the fields of the Metric but its data, */
    struct buf data_around; /* and those of the data but its points */
    struct gather gather;   /* of the two */
    size_t work;            /* units so far, as of a walk */
};

struct otlp_point {
    uint64_t start, time; /* ns since 1970; 0: not given */
    unsigned flags;       /* 1: no recorded value */
    unsigned nattrs;
    struct attr attrs[LIMIT_ATTRS];
    bool attrs_cut; /* some were left out */
    bool is_int;
    int64_t i; /* of a sum or gauge */
    double d;
    uint64_t count;
    double sum;
    bool has_sum;
    unsigned nbounds, nbuckets;
    double bounds[LIMIT_OTLP_BUCKETS];
    uint64_t buckets[LIMIT_OTLP_BUCKETS + 1];
    int scale; /* exponential */
    uint64_t zero_count;
    double zero_threshold;
    struct otlp_exp_buckets {
        int offset;
        unsigned n;
        uint64_t counts[LIMIT_OTLP_BUCKETS];
    } positive, negative;
    unsigned nquantiles; /* summary */
    struct {
        double q, value;
    } quantiles[LIMIT_OTLP_QUANTILES];
    struct { /* the newest exemplar that has a trace */
        bool present;
        uint64_t time;
        double value;
        struct trace_ref trace;
    } exemplar;
};

void otlp_metric_init(struct otlp_metric *m);
void otlp_metric_fini(struct otlp_metric *m);

/* Begins another one. The bytes are borrowed until the last point is read. */
void otlp_metric_begin(struct otlp_metric *m, struct str bytes);

/* All but the points: 0, and they can be read; OTLP_MORE when it has to be called again, as
 * of a walk; -ERR_NAME for a name that is empty or longer than LIMIT_NAME; -ERR_RANGE when
 * what lies around the points is more than LIMIT_ORIGIN; errors as above. A metric without
 * data (0) has no points. */
int otlp_metric_read(struct otlp_metric *m);

/* 1 and the next point (with *raw its bytes); 0 at the end; for a bad point its
 * error, and the metric goes on behind it; -ERR_RANGE for one larger than LIMIT_RECORD,
 * which is not looked at. A
 * point has finite numbers (but for the values of quantiles), ascending bounds and one
 * bucket more than bounds, or none of both; unless its flags say that it has no value. */
int otlp_point(struct otlp_metric *m, struct otlp_point *out, struct str *raw);

#endif
