/* rules: which named events become metric updates, and how. Floor 3. No I/O; the
 * store is not touched: the caller applies what is emitted.
 *
 * A rule without a measurement counts its events. With one, the event's
 * measurement of that name (or a numeric attribute, when there is no such
 * measurement) times `scale` is added, set or observed. */
#ifndef MCPTALLY_PIPELINE_RULES_H
#define MCPTALLY_PIPELINE_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "model/event.h"
#include "model/metric.h"
#include "wire/decode.h"

struct rule_label {
    struct str name; /* of the label; empty: the key */
    struct str key;  /* of the event's metadata; "event.name" is the event's name
                        unless the metadata has such a key */
};

/* One row of the table; all strings are borrowed. */
struct rule {
    struct str event;  /* exact name, or a prefix and a trailing '*' */
    struct str metric; /* as metric_name_ok() */
    enum metric_kind kind;
    enum gauge_join join;   /* gauges; JOIN_LAST elsewhere */
    struct str measurement; /* may be empty for a counter: counts events */
    double scale;           /* 0 is taken as 1; 0.001 makes seconds of ms */
    unsigned nlabels;
    struct rule_label labels[LIMIT_LABELS];
    unsigned nbounds; /* histograms; 0: RULES_BOUNDS */
    double bounds[LIMIT_BOUNDS];
    struct str unit, help;
};

/* The buckets of a histogram that gives none: those of OpenTelemetry's MCP
 * conventions, in seconds. */
#define RULES_BOUNDS                                                                               \
    {                                                                                              \
        0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300                             \
    }
enum { RULES_NBOUNDS = 14, RULES_LABELS = LIMIT_LABELS - 1 /* one is the service's */ };

/* 0, or -ERR_SYNTAX and in `why` a line that names the field and says what was
 * expected. */
int rules_check(const struct rule *r, char *why, size_t why_size);

/* An update that a rule made of an event. Valid during the call only. */
struct rule_update {
    const struct metric_def *def; /* lives as long as the rules */
    unsigned index;               /* of the rule, in the order given to rules_new() */
    uint64_t bits;                /* by def->type: a u64, or the bits of a double */
    unsigned nlabels;             /* labels whose key the event does not have are left out */
    struct label labels[LIMIT_LABELS];
    int error; /* 0; -ERR_NOTFOUND: the measurement is missing; -ERR_RANGE: a counter would
                  fall; -ERR_NOTFINITE: scaled out of range. Then bits mean nothing */
};

typedef void rules_emit(void *arg, const struct rule_update *u);

struct rules;

/* Copies n rules that rules_check() took. NULL when memory is out. */
struct rules *rules_new(const struct rule *rules, size_t n);
void rules_free(struct rules *rs);

/* Emits an update for each rule that the event matches, in the order of the
 * rules; returns how many. Events that are not EVENT_NAMED match none. rs may
 * be NULL. */
unsigned rules_match(const struct rules *rs, const struct event *e, rules_emit *emit, void *arg);

#endif
