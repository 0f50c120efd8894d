/* share: the rings that the daemon is to read itself.
 *
 * In a session that wants it every ring is offered when a connection is welcome, and
 * once more after each reconnect; the daemon says from where on it reads. Where it
 * does not want them the session reads them itself, as if nobody had asked. All of it
 * under the session's lock. */
#ifndef MCPTALLY_CLIENT_SHARE_H
#define MCPTALLY_CLIENT_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/sending.h"

struct mcptally;
struct ring;
struct ring_ready;

enum { SHARE_MEMORIES = 16 }; /* descriptors that came and wait for their frame */

struct share {
    bool wanted;
    bool unmapped;      /* a slot could not be mapped, as descriptors are out: rings come home */
    bool broken;        /* the connection is of no use any more */
    uint32_t streams;   /* given so far */
    uint32_t came_home; /* rings that the session reads again, so far */
    /* A bell with a number is answered when the daemon has read what was there. */
    uint64_t bell_wanted, bell_sent, bell_heard;
    int memory[SHARE_MEMORIES]; /* of the daemon's slots, in the order of their frames */
    unsigned nmemory;
};

/* For producer_options.heard; arg is the session. */
void share_heard(void *arg, const struct ring_ready *ready, uint64_t bell);

/* A descriptor that came over the connection. Taken. */
void share_memory(struct share *s, int fd);

/* The connection is welcome, or has ended. */
void share_welcome(struct mcptally *m);
void share_disconnected(struct mcptally *m);

/* Offers a ring that waits for it, or rings a bell. */
enum sending share_send(struct mcptally *m);

/* Whether a dead ring that the session does not read has come to its end: it is then to be
 * freed, and the daemon is told. */
bool share_ended(struct mcptally *m, const struct ring *r);

/* Asks to be told when the daemon has read all that is there now: the number to wait for
 * in bell_heard; 0: it reads nothing. */
uint64_t share_ask(struct mcptally *m);

/* Whether the daemon has read all that it is to read. */
bool share_idle(const struct mcptally *m);

/* The session is lost: what lies in the rings that it does not read counts as expired. */
void share_expired(struct mcptally *m);

#endif
