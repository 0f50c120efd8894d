/* link: one producer's connection, without its socket. Floor 3. No I/O, no clock.
 *
 * The edge (intake/) reads bytes and hands them over; what has to go back is
 * appended to a buffer that the edge writes. A turn does a bounded amount of work:
 * what was taken and is not applied when it ends is kept, and the edge comes back
 * for it. What is applied is committed before a call returns. */
#ifndef MCPTALLY_PIPELINE_LINK_H
#define MCPTALLY_PIPELINE_LINK_H

#include "base/buf.h"
#include "base/clock.h"
#include "pipeline/link_runs.h"
#include "pipeline/pipeline.h"
#include "wire/frame.h"

enum link_state {
    LINK_GREETING, /* connected; only HELLO is expected */
    LINK_OPEN,     /* WELCOME was sent; a session is attached */
    LINK_CLOSING,  /* a closing REJECT was sent; input is ignored */
};

/* What an id of this connection leads to: 8 bytes. */
struct link_series {
    uint32_t cells;  /* offset / 8; 0: the id is not defined, or was refused */
    uint32_t target; /* series and LINK_* bits; of a refused id the reason + 1 */
};

/* What was taken and waits for another turn. */
struct link_rest;

struct link {
    struct pipeline *pl;
    struct link_rest *rest; /* NULL: nothing */
    struct frame_reader reader;
    struct peer peer;
    enum link_state state;
    uint32_t session; /* index in the store */
    uint16_t domain;
    bool wants_ack;
    unsigned spent;    /* units of work of the newest turn */
    uint32_t rings;    /* shared rings that WELCOME has offered to read; 0: none */
    uint64_t welcomed; /* a later link of the same session has a higher number */
    uint64_t acked;    /* newest sequence number acknowledged */
    uint32_t *metrics; /* id -> metric index; 0: not defined; a refused id: LINK_REFUSED + reason */
    struct link_series *series; /* id -> series */
    struct link_runs runs;      /* of them */
    uint32_t nmetrics, nseries; /* lengths of the two */
    uint32_t no_place;          /* the lowest id of a series that a budget had no room for */
    uint32_t round;             /* of the store's touches, that LINK_TOUCHED is of */
};

void link_init(struct link *l, struct pipeline *pl, const struct peer *peer);

/* The connection ended: its session is told, and its memory freed. */
void link_fini(struct link *l, struct when now);

/* Frees its memory alone; the store is not told. */
void link_free(struct link *l);

enum { LINK_MORE = 1 };

/* Units of work in one turn, see apply.h. A frame of 64 KiB can have several times as
 * much, for which all other producers would wait. */
enum { LINK_UNITS = 4096 };

/* Takes bytes, which need not outlast the call; nothing may be at rest. 0; LINK_MORE
 * when a part is kept for link_go_on(); -ERR_CLOSED when the connection is to be
 * closed once `out` is written. */
int link_feed(struct link *l, const uint8_t *p, size_t n, struct buf *out, struct when now);

/* Goes on with what is kept; answers as link_feed(). */
int link_go_on(struct link *l, struct buf *out, struct when now);

/* Appends an ACK when something was applied since the last one. */
void link_ack(struct link *l, struct buf *out);

/* Memory of a frame that has begun, and of what is kept, bytes: what the partial-frame budget
 * counts. */
size_t link_partial(const struct link *l);

/* Ends one whose domain takes nobody in now: appends an ACK and the REJECT. */
void link_shut(struct link *l, struct buf *out, struct when now);

/* Ends a connection whose frame took too long: appends the REJECT. */
void link_too_slow(struct link *l, struct buf *out);

/* Ends a connection whose ring holds what is no record: likewise. */
void link_bad_ring(struct link *l, struct buf *out);

/* Answers what was dropped of a frame or of a ring, one REJECT a reason. */
struct tally;
void link_reject_items(struct link *l, struct buf *out, unsigned type, const struct tally *t);

#endif
