/* rings: the shared rings of the connections, and when they are looked at. Floor 4.
 *
 * A ring that has something is read in its connection's turns, in line with everything
 * else of its domain. To find out, rings that were written lately are looked at every
 * few milliseconds; one that stays empty goes to sleep: its slot says so, and its
 * producer then sends BELL with the next record. Before a ring sleeps its head is read
 * once more behind a barrier that reaches the producers, so that nothing is missed. */
#ifndef MCPTALLY_INTAKE_RINGS_H
#define MCPTALLY_INTAKE_RINGS_H

#include <event2/event.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "intake/ring_map.h"
#include "intake/slots.h"
#include "pipeline/link_ring.h"

/* Ring descriptors that came and whose frame did not, of one connection: one that sends
 * more is none of ours and only wants to use up descriptors. */
enum { RINGS_WAITING = 4 };

/* Bytes of a turn while others are ready, and while nobody is. */
enum { RINGS_READ = 16384, RINGS_READ_ALONE = 65536 };

/* Offers beyond what the connection was told: they are refused, and more end it. One that
 * takes no answers would else make a heap of refused rings that are still to be answered. */
enum { RINGS_BEYOND = 16 };

struct intake;
struct conn;

struct shared_ring {
    TAILQ_ENTRY(shared_ring) entry; /* of its connection's; the first is read next */
    TAILQ_ENTRY(shared_ring) look;  /* of those that are awake */
    struct conn *conn;
    struct link_ring link;
    struct ring_map map;
    struct slot_area *area;
    struct shm_ring_slot *slot;
    uint64_t tail;  /* read, applied and committed */
    uint64_t items; /* that lay before it */
    uint64_t until; /* the head when it was last looked at; no more is read now */
    uint64_t goal;  /* head when the bell was rung that is to be answered */
    uint64_t waits; /* mono ns since when a definition is missing; 0: none is */
    bool retry;     /* it may have come meanwhile */
    unsigned empty; /* looks in a row that found nothing */
    unsigned mixed; /* turns in which it is not read in place */
    bool awake;
    bool announced;  /* RING_READY is out */
    uint32_t reason; /* it is not read, for this reject reason, and goes when that is said; 0 */
};

TAILQ_HEAD(shared_ring_list, shared_ring);

/* Of one connection. */
struct conn_rings {
    LIST_ENTRY(conn_rings) same; /* among those of its session */
    struct conn *conn;
    struct shared_ring_list all;
    unsigned n;
    int fd[RINGS_WAITING]; /* that came, in order */
    unsigned nfd;
    uint64_t bell;  /* number to be answered; 0: none */
    bool rung;      /* they are to be looked at */
    uint64_t ended; /* mono ns when its peer had gone and all was read; 0: not yet */
};

enum { RINGS_SHARERS = 256 }; /* lists that sessions are spread over */

struct rings {
    struct intake *in;
    LIST_HEAD(sharers, conn_rings) sharers[RINGS_SHARERS];
    struct event *look;
    int timer;     /* whose end is the next look */
    uint64_t due;  /* mono ns of it; 0: it is not set */
    uint64_t rest; /* ns between two looks */
    struct shared_ring_list awake;
    unsigned n; /* of all connections */
    uint32_t sleep;
    bool barrier; /* the kernel has it; else no ring sleeps */
    struct slots slots;
    struct ring_edge edge; /* for pipeline.rings */
};

/* 0, -ERR_NOMEM. */
int rings_init(struct rings *r, struct intake *in);
void rings_fini(struct rings *r); /* after the connections */

/* A descriptor that came over a connection; taken. False: too many. */
bool rings_take(struct conn *c, int fd);

/* Looks at all of its rings now: what was published is to be read. */
void rings_see(struct conn *c);

/* Whether a ring of it can be read on. */
bool rings_ready(const struct conn *c, struct when now);

/* Reads RINGS_READ bytes of one ring, or a longer item; *bytes of it were taken. Appends
 * answers. False: the connection is to be closed. */
bool rings_read(struct conn *c, struct buf *out, size_t *bytes, struct when now);

/* What is to be said of rings; while nothing else waits to be sent. False: it cannot be. */
bool rings_answer(struct conn *c);

/* Something came over the socket: what was missing may be there, or a bell was rung. */
void rings_heard(struct conn *c);

/* Its peer has gone, and its rings are read to their ends: counts items that it was
 * writing when it was killed. True: whether it was is not sure yet; ask again soon. */
bool rings_mourn(struct conn *c, struct when now);

/* The connection ends. */
void rings_close(struct conn *c);

#endif
