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
 * from it after a crash; the rates that were changed at run time are in the store.
 *
 * The tier is the highest that any of the trace's spans matched while it was held;
 * normal when none did. A trace that is not held has that of its first span, until its
 * first local root has one.
 *
 * A trace is kept by probability when its randomness (rv, else its id) is at least the
 * threshold of its tier's rate. What is written is the stricter of that and the th that
 * the span came with, so that whoever counts spans by their threshold counts right: a
 * th that the randomness contradicts is no promise and is overwritten. A trace that is
 * kept by the tail decision is certain to be kept here, so th:0 is written; but a span
 * that came with a th keeps that, because it stands for those that others left out.
 *
 * Forced is what has the attribute sampling.priority of 1 or more, or mcptally.keep =
 * true. The sampled flag of W3C forces nothing, nor does an incoming th:0: they say
 * what others did, not what we are to do.
 *
 * A span that comes after its trace was decided goes its trace's way, and counts as
 * partial; with an error, slow or forced it is kept, and what follows it. A trace that
 * the table has no room for is decided span by span, by probability and by what each
 * span itself is. */
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
    bool slow_p99;                   /* also above its own service and name's 99th percentile,
                                        which every hundredth span is */
    unsigned traces;                 /* that are held or remembered (16384) */
    uint64_t spans_per_second;       /* received, above which rates fall (50,000); 0: never */
};

void sampling_defaults(struct sampling_options *o);

struct sampling;
struct sampling *sampling_new(struct store *st, struct own *own, const struct sampling_options *o,
                              struct when now); /* copies; NULL: memory is out */
void sampling_free(struct sampling *s);
bool sampling_configure(struct sampling *s, const struct sampling_options *o);

/* After a start: looks at up to `records` records of the span ring; true while there are
 * more. Until then every decision is SAMPLE_WAIT. */
bool sampling_recover(struct sampling *s, unsigned records, struct when now);

struct sample_span {
    const struct event *event;
    struct str service;
    unsigned domain;
    bool local_root; /* sampling_local_root() */
};

/* Whether its parent is remote or it has none. */
bool sampling_local_root(const struct event *span);

enum sample_door { SAMPLE_ENTER, SAMPLE_DROP /* DROP_SAMPLED */ };

/* Whether most spans are left out at the door, because no trace is held; and which
 * attributes sampling_note() then looks at. s may be NULL in the first. */
bool sampling_at_door(const struct sampling *s);
const struct str *sampling_keys(const struct sampling *s, unsigned *n);

/* Before a span is looked at: a span of that trace comes behind it (NULL: nobody knows), and what
 * is remembered of the trace is got from memory meanwhile. s may be NULL. */
void sampling_expect(struct sampling *s, const uint8_t *trace_id);

/* At the door, before redaction; `pressure` 0 to 1 says how full the ring is of what
 * nobody has read. s may be NULL: nothing is sampled. */
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
 * full, so the window ends now. The answer stays what it was for every other span of the
 * trace and for whoever asks again. */
void sampling_decide(struct sampling *s, const struct sample_span *span, uint64_t received,
                     bool pressed, struct when now, struct sample_decision *out);

/* Rates as they are: configured or set, and after the fall under flood. */
struct sampling_state {
    double configured, set; /* set: negative when it was not */
    double now;
};
void sampling_state(const struct sampling *s, enum sample_tier tier, struct sampling_state *out);

bool sampling_enabled(const struct sampling *s);

/* 0: no flood; each step is a factor of two. For a log line when it changes. */
unsigned sampling_level(const struct sampling *s);

/* Traces that are held or remembered. */
unsigned sampling_traces(const struct sampling *s);

/* Changes a rate at run time, in a batch of its own; negative: back to the configured
 * one. 0 or -ERR_RANGE. */
int sampling_set(struct sampling *s, enum sample_tier tier, double rate);

/* Once a second: decides what is due, sets the rates, brings the own metrics up to date.
 * Commits. */
void sampling_tick(struct sampling *s, struct when now);

#endif
