/* tick: calls back at a fixed rate, and costs an idle loop one wakeup each time. libevent's
 * own timers go by a clock of 4 ms and sleep in whole ms, so that every second of them or so
 * wakes the loop a second time, because it was early. Floor 5. */
#ifndef MCPTALLY_DAEMON_TICK_H
#define MCPTALLY_DAEMON_TICK_H

#include <event2/event.h>
#include <stdint.h>

struct tick {
    int fd; /* of a timer */
    struct event *event;
    void (*call)(void *arg);
    void *arg;
};

/* Calls every `ns` from now on, once for all that was missed. 0, or -1: out of descriptors or
 * memory, and there is nothing to stop. */
int tick_start(struct tick *t, struct event_base *base, uint64_t ns, void (*call)(void *arg),
               void *arg);
void tick_stop(struct tick *t);

#endif
