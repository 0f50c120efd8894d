/* apply: a sequenced frame into the store, item by item. Floor 3.
 *
 * Every item of a frame ends up in exactly one of: duplicate, applied, dropped
 * with a reason. The session's applied sequence number and the ledger change in
 * the same batch as what they count. */
#ifndef MCPTALLY_PIPELINE_APPLY_H
#define MCPTALLY_PIPELINE_APPLY_H

#include "pipeline/pipeline.h"
#include "pipeline/tally.h"
#include "wire/decode.h"

enum { LINK_SERIES_BITS = 27, LINK_F64 = 1 << 30 };

struct link;

/* Applies and commits. The caller has seen to it that the frame begins at or
 * before the session's next sequence number. */
void apply_updates(struct link *l, const struct batch *b, struct tally *t, struct when now);
void apply_items(struct link *l, enum event_kind kind, const struct batch *b, struct tally *t,
                 struct when now);

/* Drops a whole frame that cannot be read beyond its range. */
void apply_drop(struct link *l, const struct batch *b, enum drop_reason why, struct tally *t);

#endif
