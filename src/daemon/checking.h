/* checking: active checks and recovery actions, put together. Floor 5.
 *
 * When a check runs is watch/check's to say, what it does is src/probe/'s, what its result
 * comes to is watch/health's, and what is done about it watch/recovery's. */
#ifndef MCPTALLY_DAEMON_CHECKING_H
#define MCPTALLY_DAEMON_CHECKING_H

#include <event2/event.h>

#include "daemon/config.h"
#include "format/json.h"
#include "format/verdict.h"
#include "helper/helper.h"
#include "watch/health.h"

struct checking;

struct checking_env {
    struct event_base *base;
    struct pipeline *pl; /* its open batch is empty whenever a callback begins */
    struct health_watch *health;
    struct helper *helper;

    /* Told after each callback how long it held the loop, ns. */
    void (*spent)(void *arg, uint64_t ns);
    /* A component's shown state has changed. */
    void (*changed)(void *arg);
    void *arg;
};

/* Begins. The configuration must outlive it, or the next checking_configure(). NULL when
 * memory is out. */
struct checking *checking_new(const struct checking_env *env, const struct config *c);
void checking_free(struct checking *c);

/* After a reload: runs in hand are given up, and what was known of a check that is still there
 * is kept. */
void checking_configure(struct checking *c, const struct config *config);

/* About once a second: actions that are due. */
void checking_tick(struct checking *c, struct when now);

/* Nothing begins any more. */
void checking_stop(struct checking *c);

/* Actions that have given up, as a check of the verdict. */
void checking_checks(const struct checking *c, struct verdict *v);

/* The members "active_checks" and "recovery" of the object in hand. */
void checking_put(const struct checking *c, struct json_writer *j, struct when now);

#endif
