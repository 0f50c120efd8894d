/* sampling: which traces are kept. Floor 3. No I/O, no clock.
 *
 * Rules put a span into a tier; a trace has the highest tier of its spans, and a
 * tier a rate. Which traces that keeps is a property of the trace id alone
 * (OpenTelemetry's consistent probability), so all who see a trace agree. Above
 * that stands a tail decision: the spans of a trace wait in the span ring for
 * `window`, and if one of them has an error, is slow, or carries a forced flag,
 * all are kept.
 *
 * Two halves: sampling_note() at the door tells whether the span enters the ring
 * at all (under pressure, or with window 0, the decision falls at once), and
 * remembers what it says of its trace; sampling_decide() is asked by whoever
 * sends spans on. What is remembered is an index over the ring and is rebuilt
 * from it after a crash; the rates that were changed at run time are in the store. */
#ifndef MCPTALLY_PIPELINE_SAMPLING_H
#define MCPTALLY_PIPELINE_SAMPLING_H

#include "base/clock.h"
#include "model/event.h"
#include "pipeline/own.h"
#include "store/store.h"

enum sample_tier { TIER_DEBUG, TIER_NORMAL, TIER_CRITICAL, TIER_MAX };
const char *sample_tier_name(unsigned tier); /* "debug", "normal", "critical" */
int sample_tier_of(struct str name);         /* or -ERR_NOTFOUND */

struct sample_rule {       /* all that is named must agree; empty: anything */
    struct str name;       /* span name, with '*' at its end for a prefix */
    struct str key, value; /* of an attribute; value may be empty: any, or end in '*' */
    struct str service;
    int domain; /* -1: any */
    enum sample_tier tier;
};

struct sampling_options {
    bool enabled;          /* false: everything is kept and nothing is written to spans */
    double rate[TIER_MAX]; /* 0 to 1 (0.01, 0.1, 1) */
    unsigned nrules;
    const struct sample_rule *rules; /* the first that matches counts; none: TIER_NORMAL */
    uint64_t window;                 /* ns that a trace is held; 0: no tail decision (5 s) */
    uint64_t late;                   /* ns that a decision is remembered after that (60 s) */
    uint64_t slow;                   /* ns from which a span is slow (1 s); 0: never */
    bool slow_p99;                   /* also above its own service and name's 99th percentile */
    unsigned traces;                 /* that are held or remembered (16384) */
    uint64_t spans_per_second;       /* above which the rates fall by themselves; 0: never */
};

void sampling_defaults(struct sampling_options *o);

struct sampling;
struct sampling *sampling_new(struct store *st, struct own *own, const struct sampling_options *o,
                              struct when now); /* copies; NULL: memory is out */
void sampling_free(struct sampling *s);
bool sampling_configure(struct sampling *s, const struct sampling_options *o);

struct sample_span {
    const struct event *event;
    struct str service;
    unsigned domain;
    bool local_root; /* its parent is remote or it has none */
};

enum sample_door { SAMPLE_ENTER, SAMPLE_DROP /* DROP_SAMPLED */ };

/* At the door, inside the open batch; `pressure` 0 to 1 says how full the ring is of
 * what nobody has read. */
enum sample_door sampling_note(struct sampling *s, const struct sample_span *span, double pressure,
                               struct when now);

enum sample_verdict {
    SAMPLE_WAIT, /* its window is open */
    SAMPLE_KEEP,
    SAMPLE_LEAVE_OUT,
};

struct sample_decision {
    enum sample_verdict verdict;
    bool write;         /* whether `threshold` is to be written to the tracestate */
    uint64_t threshold; /* th: 56 bits; 0: kept with certainty */
    bool partial;       /* came outside its trace's window */
};

/* What becomes of a span whose record was received then. pressed: the ring is nearly
 * full, so the window ends now. */
void sampling_decide(struct sampling *s, const struct event *span, uint64_t received, bool pressed,
                     struct when now, struct sample_decision *out);

/* Rates as they are: configured or set, and after the fall under flood. */
struct sampling_state {
    double configured, set; /* set: negative when it was not */
    double now;
};
void sampling_state(const struct sampling *s, enum sample_tier tier, struct sampling_state *out);

/* Changes a rate at run time, in a batch of its own; negative: back to the configured
 * one. 0 or -ERR_RANGE. */
int sampling_set(struct sampling *s, enum sample_tier tier, double rate);

/* Once a second. */
void sampling_tick(struct sampling *s, struct when now);

#endif
