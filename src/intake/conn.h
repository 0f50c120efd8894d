/* conn: one producer's connection. Floor 4.
 *
 * Its event is edge-triggered: it only puts the connection in line; the reads
 * are made by intake's turns until there is nothing left to read. About 350
 * bytes, a raw event included. What the peer does not take at once of our
 * answers is kept, up to CONN_PENDING; ACKs are never queued: the newest number
 * is sent when there is room again. A peer that has died is read to its end. */
#ifndef MCPTALLY_INTAKE_CONN_H
#define MCPTALLY_INTAKE_CONN_H

#include "intake/intake.h"
#include "pipeline/link.h"

enum { CONN_MAGIC = 0x636f6e6e, CONN_PENDING = 16384 };

enum conn_place {
    CONN_IDLE,     /* nothing to read; its event will say when there is */
    CONN_READY,    /* in intake's line */
    CONN_PAUSED,   /* would be, but its user is over his rates */
    CONN_DEFERRED, /* would be, but its domain is over its bytes or items a second */
    CONN_WAITING,  /* would be, but the budget of partial frames is used up */
};

struct conn {
    uint32_t magic;
    int fd;
    struct intake *in;
    struct link link;
    struct event *ev; /* lies behind this struct; NULL: not made yet */
    TAILQ_ENTRY(conn) all, line;
    struct partial_hold hold;
    struct buf pending;       /* answers that the peer has not taken yet */
    struct conn_rings *rings; /* NULL: none */
    enum conn_place place;
    uint8_t queue;      /* its line */
    uint8_t unanswered; /* reads since the last ACK */
    bool deaf;          /* the peer takes no more answers */
    bool unread;        /* there may be something to read in the socket */
    bool ring_next;     /* the next read is of a ring */
    bool ended;         /* the peer has gone; its rings are read to their ends */
};

struct conn *conn_of_link(struct link *l);

/* Takes fd, and the user's place among intake's users, also when it fails: NULL
 * when memory is out. */
struct conn *conn_new(struct intake *in, int fd, const struct peer *peer, struct when now);

/* Ends it at once. */
void conn_close(struct conn *c, struct when now);

/* Ends it because its domain takes nobody in now: what it has written is not read. */
void conn_shut(struct conn *c, struct when now);

/* One read, what it leads to, and the answers. The connection is then in line
 * again, idle, or gone. Returns what it cost, in bytes. */
size_t conn_read(struct conn *c, struct when now);

/* Puts it in its line, unless it is there. */
void conn_queue(struct conn *c);

/* Sends or keeps an answer. False when the peer lets too much pile up. */
bool conn_answer(struct conn *c, struct buf *out);

/* Sends a small answer with a descriptor (-1: none), while nothing is pending; false when
 * it does not go out, which ends the connection. */
bool conn_send_with(struct conn *c, const struct buf *out, int fd);

/* Ends it with a REJECT because its frame does not end. */
void conn_too_slow(struct conn *c, struct when now);

#endif
