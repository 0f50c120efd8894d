/* batch: requests on their way, in order. Floor 3. No I/O, no clock. */
#ifndef MCPTALLY_FORWARD_BATCH_H
#define MCPTALLY_FORWARD_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum batch_state {
    BATCH_READY,   /* to be sent, or to be written to the spool */
    BATCH_SENT,    /* the transport has it */
    BATCH_KEEPING, /* the spool is writing it */
    BATCH_DONE,    /* nothing more is to be done; it waits for those before it */
    BATCH_STATES
};

/* What it is made of. */
enum batch_source {
    BATCH_RING,  /* records of a ring, up to `position` */
    BATCH_PUSH,  /* our own metrics, not of a ring */
    BATCH_SPOOL, /* a record of the spool */
};

struct batch {
    struct batch *next;
    enum batch_state state;
    enum batch_source source;
    uint64_t id;                 /* of the lane's batches, ascending */
    uint64_t position, ring_seq; /* BATCH_RING: of the reader after its last record */
    uint64_t seq;                /* BATCH_SPOOL: its number there */
    uint64_t began;              /* mono ns of the newest attempt */
    bool counted;                /* BATCH_SPOOL: in the ledger, but still in the spool */
    bool orphan;                 /* BATCH_SPOOL: the spool has dropped it meanwhile */
    uint32_t items;              /* of the request */
    char *bytes;                 /* the request; NULL once it is done */
    size_t n;
    /* What became of items. sampled, skipped and unreadable ones are not in the request. */
    uint64_t delivered, refused, rejected, spooled, sampled, skipped, unreadable;
};

/* A first-in, first-out list; owns its batches. */
struct batches {
    struct batch *head, **tail;
    unsigned count;
    size_t bytes; /* of their requests */
};

bool batch_moves(enum batch_state from, enum batch_state to);
void batch_set_state(struct batch *b, enum batch_state to);

void batches_init(struct batches *q);
void batches_fini(struct batches *q);

/* Appends a batch with a copy of the request (n may be 0); NULL when memory is out. */
struct batch *batches_add(struct batches *q, enum batch_source source, struct str request);

/* Frees the request of one of them, which is BATCH_DONE. */
void batches_drop_bytes(struct batches *q, struct batch *b);

void batches_pop(struct batches *q); /* frees the first */

struct batch *batches_find(const struct batches *q, uint64_t id);
struct batch *batches_first(const struct batches *q, enum batch_state state); /* or NULL */
unsigned batches_count(const struct batches *q, enum batch_state state);

#endif
