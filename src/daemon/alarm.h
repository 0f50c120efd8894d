/* alarm: one timer of the loop that is only ever brought forward. Floor 5.
 *
 * libevent takes a timer that has come due, and waits for its callback in the same round,
 * back out when it is added again: who adds it in each round, as after each turn of the
 * intake, would put it off for as long as the turns go on. So only an earlier time adds it. */
#ifndef MCPTALLY_DAEMON_ALARM_H
#define MCPTALLY_DAEMON_ALARM_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct alarm {
    struct event *timer;
    uint64_t at; /* mono ns that it is set for; 0: it is not */
};

/* `fired` has to begin with alarm_fired(). False when memory is out. */
bool alarm_init(struct alarm *a, struct event_base *base, event_callback_fn fired, void *arg);
void alarm_fini(struct alarm *a);

/* By `at`, mono ns, at the latest; what lies behind `now` is due at once. */
void alarm_by(struct alarm *a, uint64_t at, uint64_t now);

static inline void alarm_fired(struct alarm *a)
{
    a->at = 0;
}

#endif
