/* health: who of the watched components is well. Floor 3. No I/O, no clock.
 *
 * The consumer CONSUMER_HEALTH of the event ring: it reads health reports at its
 * own pace, in bounded steps, and keeps one record a component in the store's
 * part table. A component is (domain, service, name). Everything it changes it
 * changes inside batches of its own, ledger included; the open batch must be
 * empty when it is called, and is when it returns. */
#ifndef MCPTALLY_WATCH_HEALTH_H
#define MCPTALLY_WATCH_HEALTH_H

#include "base/buf.h"
#include "base/clock.h"
#include "pipeline/own.h"
#include "pipeline/pipeline.h"
#include "store/read.h"
#include "watch/part.h"

enum {
    HEALTH_MESSAGE = 256,        /* bytes of a message that are kept */
    HEALTH_ACTIVE = DOMAINS_MAX, /* in place of a domain: an active check, for which no
                                    producer can report */
};

struct health_options {
    struct part_rules rules;
    uint64_t expire;       /* ns of silence until a component is forgotten */
    unsigned per_domain;   /* components that a domain may have */
    double memory_warning; /* used / limit */
    double memory_critical;
    unsigned nrequired;
    const struct str *required; /* components that readiness asks for: "name" or
                                   "service/name"; borrowed */
};

/* 30 s, 5 s, 10 s, 3 failures, 24 h, 256, 0.85, 0.95, none. */
void health_defaults(struct health_options *o);

/* A component's shown state has changed, or it is forgotten (to HEALTH_UNKNOWN). Texts are
 * good during the call. */
struct health_move {
    uint32_t part;   /* index of its record */
    unsigned domain; /* HEALTH_ACTIVE: it is a check */
    struct str service, component, message;
    enum health_state from, to;
};
/* Called inside an open batch: it may note, and change nothing of the store. */
typedef void health_moved(void *arg, const struct health_move *m);

/* An active check as a component. Its rules have no interval: we do not miss our own. */
struct health_check {
    struct str service, name;
    unsigned failures, successes; /* in a row */
};

struct health_watch {
    struct store *st;
    struct own *own; /* for mcptally_components; NULL: not kept up */
    struct health_options options;
    uint64_t since;                           /* mono ns when this daemon began to listen */
    uint32_t tick_at;                         /* component that the next tick looks at */
    unsigned count[HEALTH_UNHEALTHY + 1];     /* components by shown state */
    unsigned domain_count[HEALTH_ACTIVE + 1]; /* and by domain */
    health_moved *moved;                      /* NULL: nobody asks */
    void *moved_arg;
    struct event event;
    uint64_t copy[RING_COPY / sizeof(uint64_t)];
};

/* Goes on from what the store has. options->required has to outlive the watch. */
void health_watch_init(struct health_watch *w, struct store *st, struct own *own,
                       const struct health_options *options, struct when now);

/* New options after a reload. */
void health_watch_configure(struct health_watch *w, const struct health_options *options);

/* Reads up to `records` of the ring; true when there may be more. */
bool health_watch_step(struct health_watch *w, unsigned records, struct when now);

/* Looks at up to `units` components for silence, recovery and expiry; to be
 * called about once a second. True when it wants to go on at once. */
bool health_watch_tick(struct health_watch *w, unsigned units, struct when now);

/* A check has a result, which counts as a report does. HEALTH_UNHEALTHY is a failure. The
 * shown state before and after; no room for its component: both HEALTH_UNKNOWN. */
struct health_change {
    enum health_state from, to;
};
struct health_change health_watch_result(struct health_watch *w, const struct health_check *c,
                                         enum health_state state, struct str message,
                                         struct when now);

/* Forgets the components of checks that are not among these any more. */
void health_watch_checks(struct health_watch *w, const struct health_check *all, unsigned n);

/* Tells `moved` of every component that is unhealthy now: of what the store had. */
void health_watch_recall(struct health_watch *w);

enum health_status { HEALTH_PASS, HEALTH_WARN, HEALTH_FAIL }; /* worst last */

/* The components together: fail when one is unhealthy, warn when one is
 * degraded. Appends a line on it to `why`, without a line end. */
enum health_status health_components(const struct health_watch *w, struct buf *why);

/* Whether every component that readiness asks for is healthy or degraded. What
 * is missing is named in `why`; nothing is appended when none is. */
bool health_ready(const struct health_watch *w, struct buf *why);

/* The use of memory, by the two thresholds; pass when the limit is 0. */
enum health_status health_memory(const struct health_options *o, uint64_t used, uint64_t limit);

#endif
