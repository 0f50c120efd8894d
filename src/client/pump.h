/* pump: moves what threads emit to the daemon. One step does all that can be done
 * without waiting; the helper thread, or the host, sleeps in between.
 *
 * All of it under the session's lock, but for pump_wait(). */
#ifndef MCPTALLY_CLIENT_PUMP_H
#define MCPTALLY_CLIENT_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "model/limits.h"

struct mcptally;
struct ring;

struct pump {
    int epoll;                    /* readable when there is work; -1 before pump_open() */
    int fd;                       /* the connection, or -1 */
    bool wants_out;               /* the socket was full */
    bool started;                 /* something was emitted once: from then on it stays connected */
    bool starved;                 /* the queue is full: the rings wait for an ACK */
    bool unsaid;                  /* memory was out for what was to be sent */
    uint64_t next_drain;          /* CLOCK_BOOTTIME, ns; 0: no nap is due */
    uint64_t connected, next_try; /* likewise */
    uint64_t delay;               /* of the newest retry, ns; 0: none since it went well */
    uint8_t copy[LIMIT_ITEM];     /* an item that lies across the end of its ring */
};

void pump_init(struct pump *p);

/* Gets its descriptors: 0, -ERR_IO; may be called again. */
int pump_open(struct mcptally *m);
void pump_close(struct mcptally *m);

/* Takes over what the rings hold, up to where they were; frees those of threads
 * that have gone. Sets `starved`. True when there was something. */
bool pump_drain(struct mcptally *m);

/* Does what can be done; returns the milliseconds until it wants to be called
 * again at the latest, -1 for never. */
int pump_step(struct mcptally *m);

/* Sleeps until there is work, or the time is over. Without the lock. */
void pump_wait(const struct mcptally *m, int timeout_ms);

#endif
