/* ring: the event bus, two rings of records with cursors. Floor 2. The writer's
 * half. Reading is ring_read() in read.h.
 *
 * The tail moves in a commit of its own before anything there is overwritten, so
 * a rollback never finds a record half gone, and a reader that copied one can
 * tell whether it was still there. */
#ifndef MCPTALLY_STORE_RING_H
#define MCPTALLY_STORE_RING_H

#include "base/str.h"
#include "store/commit.h"

struct ring_item {
    unsigned kind; /* enum event_kind */
    unsigned domain;
    uint32_t session;
    struct str service; /* at most LIMIT_SERVICE bytes */
    struct str body;    /* at most ring_limit() bytes, redacted */
    uint64_t received;  /* ns since 1970 */
};

/* Bytes of body that a record of this ring may have: LIMIT_RECORD, or an eighth of
 * a ring that is small; never less than LIMIT_ITEM. */
uint64_t ring_limit(const struct store *st, enum store_ring_id ring);

/* Bytes of records that the ring always keeps, at least. */
uint64_t ring_span(const struct store *st, enum store_ring_id ring);

/* Whether one more record of any size fits without moving the tail. */
bool ring_has_room(const struct store *st, enum store_ring_id ring);

/* Bytes of the records that a domain has in the ring; and their count made anew. */
uint64_t ring_use(const struct store *st, enum store_ring_id ring, unsigned domain);
void ring_count_all(struct store *st, enum store_ring_id ring);

/* Makes room for one record of any size. Called at an item boundary: it commits
 * the open batch when it has to move the tail. */
void ring_make_room(struct store *st, enum store_ring_id ring);

/* Appends inside the open batch; ring_make_room() came before. 0, -ERR_RANGE when
 * the record is too large, -ERR_FULL when pages cannot be had. */
int ring_append(struct store *st, enum store_ring_id ring, const struct ring_item *item);

/* A consumer's step: reads the record at its cursor as ring_read() does, and
 * moves the cursor and its ledger (read, overrun) inside the open batch. The copy
 * has RING_COPY bytes. The caller then says what became of it. */
struct ring_view;
int ring_consume(struct store *st, enum store_ring_id ring, enum store_consumer c, void *copy,
                 size_t copy_size, struct ring_view *out);

enum ring_outcome { RING_DELIVERED, RING_FILTERED, RING_FAILED };
void ring_outcome(struct store *st, enum store_ring_id ring, enum store_consumer c,
                  enum ring_outcome outcome);

#endif
