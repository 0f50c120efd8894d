/* apply: a sequenced frame into the store, item by item. Floor 3.
 *
 * Every item of a frame ends up in exactly one of: duplicate, applied, dropped
 * with a reason. The session's applied sequence number and the ledger change in
 * the same batch as what they count. */
#ifndef MCPTALLY_PIPELINE_APPLY_H
#define MCPTALLY_PIPELINE_APPLY_H

#include "pipeline/pipeline.h"
#include "pipeline/tally.h"
#include "store/cells.h"
#include "wire/decode.h"

/* Of link_series.target: the series' index, and above it bits. */
enum { LINK_SERIES_BITS = 27, LINK_OP_SHIFT = 28, LINK_F64 = 1 << LINK_SERIES_BITS };
#define LINK_TOUCHED (UINT32_C(1) << 31) /* it is, as long as the link's round lasts */

/* Touched integer counters: of these, and of nothing else, all bits are set. */
#define LINK_PLAIN (LINK_TOUCHED | (uint32_t)CELL_ADD_U64 << LINK_OP_SHIFT)

static inline enum cell_op link_op(uint32_t target)
{
    return (enum cell_op)(target >> LINK_OP_SHIFT & ((1u << CELL_OP_BITS) - 1));
}

struct link;

/* What work costs: a unit is well below a microsecond, also of an item that has all done
 * to it that can be. */
enum {
    APPLY_UNITS_FRAME = 8,
    APPLY_UNITS_ITEM = 4,
    APPLY_BYTES_PER_UNIT = 8,
    APPLY_BLOCK_UNITS = 4,
    APPLY_UNITS_JOINED = 256 /* a definition that walks the contributions of a gauge */
};

/* A sequenced frame on its way: where it goes on, and for how long. */
struct apply {
    struct batch b;
    uint64_t at;      /* items behind us */
    const uint8_t *p; /* the items before us, n bytes; not of updates */
    size_t n;
    struct tally t;
    unsigned units; /* left of this turn */

    /* Of a shared ring. */
    uint64_t mark;  /* offset of its ring_mark; 0: the frame is of the session's own stream */
    uint64_t words; /* passed over since the mark was moved */
    uint32_t each;  /* of an update of `b` */
    bool patient;   /* an update of a series that is not defined is waited for */
    bool waits;     /* such a one is next */
    bool over;      /* the domain is over its rate: all is dropped */
};

/* Before LINK_TOUCHED is looked at: what was touched need not be so any more. */
void apply_begin_round(struct link *l);

static inline void apply_charge(struct apply *a, size_t units)
{
    a->units = a->units > units ? a->units - (unsigned)units : 0;
}

/* Go on, commit, and say whether the frame is finished; else there were no units
 * left, and they are called again with new ones. The caller has seen to it that the
 * frame begins at or before the session's next sequence number. What another
 * connection of the session has applied in between is a duplicate here. */
bool apply_updates(struct link *l, struct apply *a, struct when now);
bool apply_items(struct link *l, enum event_kind kind, struct apply *a, struct when now);

/* Applies what was copied out of a shared ring, n words at most LIMIT_ITEM bytes and one
 * record long, which it may change; until they, the units, or what is defined end. Commits.
 * The words that it has passed over, or -ERR_DAMAGED: no record begins there. */
int64_t apply_ring(struct link *l, struct apply *a, uint32_t *words, uint32_t n, struct when now);

/* Drops a whole frame that cannot be read beyond its range. */
void apply_drop(struct link *l, struct apply *a, enum drop_reason why);

#endif
