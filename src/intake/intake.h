/* intake: the socket that producers connect to. Floor 4.
 *
 * Connections that have something to read stand in line by failure domain; a
 * turn of the loop deals with INTAKE_TURN_BYTES of them, or what takes as long, by deficit
 * round-robin over the domains, INTAKE_READ bytes at a time. So a flood in one domain
 * delays another's by one read, whatever it sends and on however many connections. One
 * that is alone in line is read in larger pieces, which cost less.
 *
 * A domain that is over its bytes or items a second is not read until it is not.
 *
 * A connection that is idle holds its struct and nothing else (see conn.h).
 * Frames that have begun share a budget; see partial.h. */
#ifndef MCPTALLY_INTAKE_INTAKE_H
#define MCPTALLY_INTAKE_INTAKE_H

#include <event2/event.h>
#include <sys/queue.h>

#include "intake/partial.h"
#include "intake/rings.h"
#include "intake/users.h"
#include "pipeline/link.h"
#include "serve/yard.h"

enum {
    INTAKE_READ = 16384,                 /* bytes of one read while others are ready */
    INTAKE_READ_ALONE = 65536,           /* and while nobody is */
    INTAKE_TURN_BYTES = 8 * INTAKE_READ, /* of one turn of the loop */
    INTAKE_READ_COST = INTAKE_READ / 4,  /* bytes that a read counts at least */
    INTAKE_UNIT_COST = INTAKE_TURN_BYTES / LINK_UNITS, /* and a unit of work */
    INTAKE_STRANGE_COST = 96,                          /* and a descriptor that has to be closed */
    INTAKE_ACCEPTS = 64,                               /* connections accepted at one wakeup */
    INTAKE_QUEUES = DOMAINS_MAX + 1, /* the last is of those that have not said HELLO */
};

struct intake_options {
    unsigned connections;         /* at one time */
    unsigned user_connections;    /* the same of one user, whatever the domains */
    uint64_t partial_bytes;       /* memory of frames that have begun */
    uint64_t partial_timeout;     /* ns from a frame's first byte to its last */
    struct user_rates user_rates; /* what one user may send */
    /* Whether a producer may connect at all; NULL: everybody. */
    bool (*allow)(void *arg, const struct peer *peer, int fd);
    void *allow_arg;
    uint64_t reply_bytes; /* answers that peers have not taken, all together */
    unsigned rings;       /* shared rings of all connections */
    unsigned user_rings;  /* and of one user */
};

struct conn;
TAILQ_HEAD(conn_list, conn);

typedef void intake_drained(void *arg);
typedef void intake_turned(void *arg);

struct intake {
    struct event_base *base;
    struct pipeline *pl;
    struct intake_options options;
    int fd;      /* listener, -1 once it is closed */
    int reserve; /* a descriptor to give up when there are none */
    struct event *listener, *rest, *turn, *later;
    bool turning; /* the turn is due */
    bool dry;     /* descriptors have run out */
    unsigned nconns;
    struct conn_list all;
    struct conn_list ready[INTAKE_QUEUES];
    struct conn_list waiting[INTAKE_QUEUES];  /* for room in the budget of partial frames */
    struct conn_list deferred[INTAKE_QUEUES]; /* until their domain is within its budgets */
    struct conn_list paused;                  /* until their user is within his rates */
    unsigned npaused;
    unsigned nready, nwaiting, ndeferred;
    struct conn *shutting; /* where going through all of them goes on; NULL: nowhere */
    unsigned next;         /* queue that the next turn begins with */
    struct users users;
    uint64_t before; /* items of the domain whose connection is being read, before that */
    struct partial partial;
    struct rings rings;
    struct yard yard;
    size_t strange;        /* descriptors that came in this turn */
    uint64_t pending;      /* bytes of answers that are kept */
    intake_turned *turned; /* called after each turn; NULL: nobody asks */
    void *turned_arg;
    intake_drained *drained; /* set while draining */
    void *drained_arg;
    struct buf out; /* scratch: what one read is answered with */
    _Alignas(uint64_t) uint8_t scratch[INTAKE_READ_ALONE];
};

/* Takes the listening descriptor. 0 or -ERR_NOMEM (the descriptor is closed). */
int intake_init(struct intake *in, struct event_base *base, struct pipeline *pl, int fd,
                const struct intake_options *o);

/* After a domain was opened or drained: its connections end from now on. */
void intake_shut(struct intake *in);

/* New limits; connections that are there stay. */
void intake_configure(struct intake *in, const struct intake_options *o);

/* Makes a turn due when there is something for it to do. For conn.c. */
void intake_wake(struct intake *in);

/* Once a second: closes connections whose frame takes too long. */
void intake_sweep(struct intake *in, struct when now);

/* Accepts no more, reads what producers have written, answers and closes each;
 * then calls `done` from the loop. */
void intake_drain(struct intake *in, intake_drained *done, void *arg);

/* Closes everything at once. */
void intake_fini(struct intake *in);

#endif
