/* bundle: requests on their way, in order. Floor 3. No I/O, no clock. */
#ifndef MCPTALLY_FORWARD_BUNDLE_H
#define MCPTALLY_FORWARD_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum bundle_state {
    BUNDLE_READY,   /* to be sent, or to be written to the spool */
    BUNDLE_SENT,    /* the transport has it */
    BUNDLE_KEEPING, /* the spool is writing it */
    BUNDLE_DONE,    /* nothing more is to be done; it waits for those before it */
    BUNDLE_STATES
};

/* What it is made of. */
enum bundle_source {
    BUNDLE_RING,  /* records of a ring, up to `position` */
    BUNDLE_PUSH,  /* our own metrics, not of a ring */
    BUNDLE_SPOOL, /* a record of the spool */
};

struct bundle {
    struct bundle *next;
    enum bundle_state state;
    enum bundle_source source;
    uint64_t id;                 /* of the lane's batches, ascending */
    uint64_t position, ring_seq; /* BUNDLE_RING: of the reader after its last record */
    uint64_t seq;                /* BUNDLE_SPOOL, or once it is spooled: its number there */
    uint64_t began;              /* mono ns of the newest attempt */
    bool counted;                /* BUNDLE_SPOOL: in the ledger, but still in the spool */
    bool orphan;                 /* BUNDLE_SPOOL: the spool has dropped it meanwhile */
    uint32_t items;              /* of the request */
    char *bytes;                 /* the request; NULL once it is done */
    size_t n;
    /* What became of items. sampled, skipped and unreadable ones are not in the request. */
    uint64_t delivered, refused, rejected, spooled, sampled, skipped, unreadable;
};

/* A first-in, first-out list; owns its batches. */
struct bundles {
    struct bundle *head, **tail;
    unsigned count;
    size_t bytes; /* of their requests */
};

bool bundle_moves(enum bundle_state from, enum bundle_state to);
void bundle_set_state(struct bundle *b, enum bundle_state to);

void bundles_init(struct bundles *q);
void bundles_fini(struct bundles *q);

/* Appends a batch with a copy of the request (n may be 0); NULL when memory is out. */
struct bundle *bundles_add(struct bundles *q, enum bundle_source source, struct str request);

/* The same with bytes of the heap that are the batch's then; NULL, and they are not, when memory
 * is out. */
struct bundle *bundles_take(struct bundles *q, enum bundle_source source, char *bytes, size_t n);

/* Frees the request of one of them, which is BUNDLE_DONE. */
void bundles_drop_bytes(struct bundles *q, struct bundle *b);

void bundles_pop(struct bundles *q); /* frees the first */

struct bundle *bundles_find(const struct bundles *q, uint64_t id);
struct bundle *bundles_first(const struct bundles *q, enum bundle_state state); /* or NULL */
unsigned bundles_count(const struct bundles *q, enum bundle_state state);

#endif
