/* apply_item: one span, event, log record or health report into the store. Floor 3.
 *
 * Decoded, sampled, redacted, and appended to its ring; and what metrics come of it. No ledger:
 * that an item is accounted for, and that its ring has room, is apply's. */
#ifndef MCPTALLY_PIPELINE_APPLY_ITEM_H
#define MCPTALLY_PIPELINE_APPLY_ITEM_H

#include "base/clock.h"
#include "model/event.h"
#include "store/layout.h"

struct link;

/* Where items of a kind are kept. */
enum store_ring_id apply_ring_of(enum event_kind kind);

/* Takes the item at *p, of which n bytes are there, with its size before it, and moves both
 * behind it; into the open batch, within COMMIT_ITEM_SETS changes. `room`: that its ring may take
 * it. DROP_MAX when it is applied, else the enum drop_reason. */
int apply_item(struct link *l, enum event_kind kind, const uint8_t **p, size_t *n, bool room,
               struct when now);

#endif
