#include "daemon/alarm.h"

#include "base/clock.h"

bool alarm_init(struct alarm *a, struct event_base *base, event_callback_fn fired, void *arg)
{
    *a = (struct alarm){.timer = event_new(base, -1, 0, fired, arg)};
    return a->timer;
}

void alarm_fini(struct alarm *a)
{
    if (a->timer)
        event_free(a->timer);
    a->timer = NULL;
}

void alarm_by(struct alarm *a, uint64_t at, uint64_t now)
{
    if (at < now)
        at = now; /* or times in the past would bring it forward without end */
    if (a->at && a->at <= at)
        return;
    const uint64_t ns = at - now;
    const struct timeval t = timeval_of(ns);
    a->at = event_add(a->timer, &t) == 0 ? at : 0;
}
