/* forwarding: destinations, put together: lanes, transports, spools. Floor 5.
 *
 * What a destination is sent follows the rings at its own pace: one lane a turn of
 * the loop, a bounded number of records, so that none of them slows down the intake
 * or each other. */
#ifndef MCPTALLY_DAEMON_FORWARDING_H
#define MCPTALLY_DAEMON_FORWARDING_H

#include <event2/event.h>

#include "daemon/config.h"
#include "format/status.h"
#include "forward/lane.h"
#include "helper/helper.h"
#include "pipeline/pipeline.h"

struct forwarding;

struct forwarding_env {
    struct event_base *base;
    struct pipeline *pl;
    struct helper *helper;
    const char *service, *instance;        /* whose metrics we push that have no service */
    struct sampling *sampling;             /* NULL: everything is kept */
    void (*spent)(void *arg, uint64_t ns); /* after each callback */
    void *arg;
};

/* With the destinations of the configuration. NULL when memory is out. */
struct forwarding *forwarding_new(const struct forwarding_env *env, const struct config *c);

/* What was under way is sent again by the daemon that comes next. */
void forwarding_free(struct forwarding *f);

/* Adds, removes and changes destinations, after a reload. */
void forwarding_configure(struct forwarding *f, const struct config *c);

/* After a turn of the intake: there may be something to send. */
void forwarding_wake(struct forwarding *f);

/* About once a second: gauges. */
void forwarding_tick(struct forwarding *f, struct when now);

/* Sends what there is, or puts it into the spool, then calls `done`, once. */
void forwarding_drain(struct forwarding *f, void (*done)(void *arg), void *arg);

/* A check for each destination: away or refusing is a warning, never a failure. */
void forwarding_checks(const struct forwarding *f, struct verdict *v);

/* For the status page; the texts are borrowed until the next callback. */
void forwarding_status(const struct forwarding *f, struct status_info *out);

#endif
