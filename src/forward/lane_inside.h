/* lane_inside: what lane.c and lane_spool.c have of each other. Floor 3. */
#ifndef MCPTALLY_FORWARD_LANE_INSIDE_H
#define MCPTALLY_FORWARD_LANE_INSIDE_H

#include "forward/lane.h"

void lane_count(struct lane *l, const struct bundle *b);
void lane_settle(struct lane *l);

void lane_spool_init(struct lane *l);
void lane_spool_fini(struct lane *l);

/* Whether what is in memory may be sent: the spool has nothing that comes before it; or
 * fails, so that waiting for it would lose more than order. */
bool lane_spool_lets_pass(const struct lane *l);

/* The first that waits in memory for being sent, unless the spool has one before it; or NULL. */
struct bundle *lane_spool_before(const struct lane *l);

/* Whether what is in memory is to go to the spool, and that is well. */
bool lane_spool_takes(const struct lane *l, struct when now);

/* The batch of it that may be sent now, or NULL. */
struct bundle *lane_spool_next(struct lane *l, struct when now);

/* Opens, writes, reads and removes, as far as nothing is under way. */
void lane_spool_turn(struct lane *l, struct when now);

/* Counts what has been sent from it. */
void lane_spool_settle(struct lane *l);

uint64_t lane_spool_wakes(const struct lane *l, struct when now);
void lane_spool_report(struct lane *l, struct when now);

#endif
