/* producer: the sending side of the protocol. Floor 1. No I/O, no clock.
 *
 * It holds a session: who it is, its definitions, and the frames that the daemon
 * has not acknowledged yet. The owner connects, moves bytes both ways and says
 * when the connection ends; the rest is decided here:
 *
 *     producer_connected(p);
 *     while ((out = producer_output(p, &n))) producer_sent(p, write(fd, out, n));
 *     producer_feed(p, in, read(fd, in, sizeof in));
 *     producer_disconnected(p);
 *
 * Exactly once rests on this: a sequence number belongs to one item for ever, a
 * frame is kept and sent again as it was until all of it is acknowledged, and
 * the daemon leaves out, item by item, what it has applied. A producer that asks
 * for no ACKs forgets a frame when its last byte is written; its items get their
 * numbers only when a frame begins to be sent.
 *
 * Used by libmcptally, by the simulation and by tests. Not thread-safe. */
#ifndef MCPTALLY_WIRE_PRODUCER_H
#define MCPTALLY_WIRE_PRODUCER_H

#include "base/buf.h"
#include "wire/decode.h"
#include "wire/frame.h"

enum {
    PRODUCER_FRAME = 16384,         /* bytes at which a frame is closed; an item may be longer */
    PRODUCER_DEFINITIONS = 8 << 20, /* bytes of all definitions */
    PRODUCER_RETRY_MS = 300000,     /* that a daemon which refuses us is believed at most */
};

enum producer_state {
    PRODUCER_OFF,      /* no connection; nothing to send */
    PRODUCER_GREETING, /* connected; HELLO goes out, WELCOME is expected */
    PRODUCER_OPEN,     /* welcome: definitions, LOST and items go out */
};

struct producer_options {
    uint8_t session[16];
    struct str service, instance, domain, agent; /* borrowed until producer_fini() */
    size_t queue_bytes;                          /* memory for unacknowledged frames */
    bool no_ack;                                 /* at most once */
    bool wants_rings;
    /* What the daemon says of rings: of one, or (NULL) that it has read them all up to where
     * they were when BELL with this token was sent. NULL when wants_rings is not set. */
    void (*heard)(void *arg, const struct ring_ready *ring, uint64_t token);
    void *heard_arg;
};

struct producer_frame;

struct producer {
    enum producer_state state;
    uint8_t session[16];
    bool no_ack, wants_rings;
    struct str service, instance, domain, agent; /* borrowed; may be replaced between connections */
    void (*heard)(void *arg, const struct ring_ready *ring, uint64_t token);
    void *heard_arg;

    uint64_t next;     /* sequence number of the next item */
    uint64_t unsent;   /* lowest one of which no byte was ever sent */
    uint64_t acked;    /* highest one that is never to be applied again */
    uint64_t store_id; /* of the last WELCOME, 0 before it */

    struct producer_frame *head, *tail; /* not acknowledged, oldest first */
    struct producer_frame *sending;     /* next to be sent, NULL when all are */
    size_t sent;                        /* bytes of it that are out */
    size_t held, queue_bytes;           /* memory of the frames, and its bound */

    struct buf definitions;   /* every DEFINE frame, in order */
    size_t defined;           /* bytes of them that are out */
    struct buf control;       /* HELLO, LOST, BYE */
    size_t controlled;        /* bytes of it that are out */
    uint32_t metrics, series; /* ids given so far */

    struct lost lost;
    struct lost told;     /* as of the last LOST frame */
    struct lost told_ago; /* of that, what went to a session that this store has forgotten */
    bool lost_changed, bye;
    struct frame_reader reader;

    uint64_t taken;           /* items accepted into the queue */
    uint64_t acknowledged;    /* of these, applied or rejected by the daemon */
    uint64_t rejected;        /* of these, rejected */
    uint64_t expired;         /* items taken that the daemon had forgotten */
    uint32_t last_reject;     /* reason of the newest REJECT */
    uint32_t max_ids;         /* of the last WELCOME */
    uint32_t max_rings;       /* likewise; 0: none */
    enum session_known known; /* likewise */
    uint32_t retry_ms;        /* when to connect again, as the daemon said; 0: as you like */
};

void producer_init(struct producer *p, const struct producer_options *o);
void producer_fini(struct producer *p);

/* Begins a new session without a connection: nothing is queued, sequence numbers
 * and totals begin anew, definitions stay. For a forked child. */
void producer_renew(struct producer *p, const uint8_t session[16]);

/* A new id, counted from 1; 0 when memory or PRODUCER_DEFINITIONS is used up.
 * They are sent again after every WELCOME, before any item. */
uint32_t producer_define_metric(struct producer *p, const struct metric_def *def);
uint32_t producer_define_series(struct producer *p, uint32_t metric_id, const struct label *labels,
                                unsigned n);

/* Queues updates, records of PROTO_UPDATE bytes as on the wire; returns how many
 * were taken, fewer than count when the queue is full. */
size_t producer_updates(struct producer *p, const uint8_t *records, size_t count);

/* Queues one. 0, -ERR_FULL. */
int producer_update(struct producer *p, uint32_t id, uint64_t bits);

/* Queues an item whose body is encoded. 0, -ERR_FULL; -ERR_RANGE when it is longer
 * than LIMIT_ITEM. */
int producer_item(struct producer *p, enum event_kind kind, const uint8_t *body, size_t n);

/* Adds to the totals of what never got into the queue. */
void producer_lose(struct producer *p, enum lost_reason reason, uint64_t items);

/* A connection is there: HELLO is the first output. -ERR_NOMEM. */
int producer_connected(struct producer *p);

/* The connection has ended; frames that are not acknowledged wait for the next. */
void producer_disconnected(struct producer *p);

/* Bytes that can be sent now: how many pieces, most at most, 0 when there are none. They
 * stay valid until the next call; producer_sent() says how many of their bytes the
 * transport took. */
unsigned producer_output(struct producer *p, struct str *to, unsigned most);
void producer_sent(struct producer *p, size_t n);

/* Takes bytes from the daemon. On an error the connection is to be closed:
 * -ERR_SYNTAX (not this protocol), -ERR_VERSION, -ERR_NOMEM; -ERR_DAMAGED when the
 * daemon's sequence number is not one that this session can go on from (then
 * only producer_renew() helps). */
int producer_feed(struct producer *p, const uint8_t *in, size_t n);

/* Whether all definitions are out and no frame is half sent: then the owner may send a
 * frame of its own, with a descriptor. */
bool producer_between(const struct producer *p);

/* Frames of that kind without one, if there is memory: after what is queued by now. */
bool producer_ring_ended(struct producer *p, uint32_t stream);
bool producer_bell(struct producer *p, uint64_t token);

/* The session will not come back: BYE is sent after everything else. */
void producer_bye(struct producer *p);

/* Items in the queue that are neither acknowledged nor given up. */
static inline uint64_t producer_waiting(const struct producer *p)
{
    return p->taken - p->acknowledged - p->expired;
}

#endif
