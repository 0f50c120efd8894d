/* env: what every edge of this room is handed when it is made. Floor 4. */
#ifndef MCPTALLY_SERVE_ENV_H
#define MCPTALLY_SERVE_ENV_H

#include <event2/event.h>
#include <stdint.h>

#include "base/clock.h"
#include "pipeline/pipeline.h"

struct serve_env {
    struct event_base *base;
    struct pipeline *pl; /* its open batch is empty whenever a callback begins */

    /* Told after each callback how long it held the loop, ns; may be NULL. */
    void (*spent)(void *arg, uint64_t ns);
    void *arg;
};

static inline void serve_spent(const struct serve_env *env, uint64_t began_mono)
{
    if (env->spent)
        env->spent(env->arg, clock_now().mono - began_mono);
}

#endif
