/* metric: what a metric is. Floor 1. */
#ifndef MCPTALLY_MODEL_METRIC_H
#define MCPTALLY_MODEL_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "model/limits.h"

/* The numbers of these enums are on the wire and in the store. */
enum metric_kind {
    METRIC_COUNTER = 1, /* only grows; updates are increments */
    METRIC_GAUGE,       /* goes up and down; updates are absolute values */
    METRIC_HISTOGRAM,   /* explicit buckets and a sum; updates are observations */
    METRIC_SUMMARY,     /* count, sum and 1% quantiles over the last minutes */
};

enum value_type { VALUE_U64 = 1, VALUE_F64 };

/* How a gauge joins the values of several sessions. */
enum gauge_join {
    JOIN_LAST = 0, /* the newest value, kept until the series is idle */
    JOIN_SUM,      /* over the live sessions' newest values */
    JOIN_MIN,
    JOIN_MAX,
};

enum { METRIC_QUANTILES = 1 }; /* flag: a histogram keeps 1% quantiles beside its buckets */

/* A definition, as it comes in; strings and bounds are borrowed. */
struct metric_def {
    struct str name; /* OpenTelemetry or Prometheus style: [A-Za-z_][A-Za-z0-9_.:/-]* */
    struct str unit; /* UCUM ("s", "By", "1") or empty */
    struct str help;
    enum metric_kind kind;
    enum value_type type; /* f64 for histograms and summaries */
    enum gauge_join join; /* gauges only */
    unsigned flags;
    unsigned nbounds;            /* histograms only */
    double bounds[LIMIT_BOUNDS]; /* ascending, finite; +Inf is implied */
};

const char *metric_kind_name(enum metric_kind kind); /* "counter" ...; "unknown" outside */

/* Whether a name may be a metric's. */
bool metric_name_ok(struct str name);

/* Checks a definition: 0, -ERR_NAME, -ERR_UTF8 or -ERR_SYNTAX. */
int metric_def_check(const struct metric_def *def);

/* The Prometheus family name: dots and other characters to '_', the unit as a
 * suffix, without "_total" ("mcp.server.operation.duration", "s" ->
 * "mcp_server_operation_duration_seconds"). Appended to `to`. */
void metric_family_name(struct buf *to, struct str name, struct str unit, enum metric_kind kind);

/* The word that Prometheus uses for a UCUM unit ("s" -> "seconds"), or empty
 * for none and for annotations such as "{request}". */
struct str metric_unit_word(struct str unit);

#endif
