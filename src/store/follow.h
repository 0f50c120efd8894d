/* follow: a consumer that delivers at least once. Floor 2. For the one writer.
 *
 * It reads ahead of its committed cursor and moves that only when what it read
 * is done: delivered, left out, or given up. After a crash it begins again at the
 * cursor, so a record may be delivered twice and none is passed over. What the
 * ring overwrote before it was read is counted as overrun when the cursor moves
 * past it. The ledger holds at every commit:
 *     appended = read + overrun + waiting, read = delivered + filtered + failed. */
#ifndef MCPTALLY_STORE_FOLLOW_H
#define MCPTALLY_STORE_FOLLOW_H

#include "store/read.h"
#include "store/ring.h"

struct follow {
    enum store_ring_id ring;
    enum store_consumer consumer;
    uint64_t position; /* next to read */
    uint64_t seq;      /* of the newest record passed, delivered or lost */
};

/* The consumer row of a name, which a configuration gives ("export/NAME"): the
 * row that had it, or a free one that then begins at the head of every ring.
 * `keep` names that are in use now; rows of others may be taken. Commits. The
 * row; -ERR_FULL; -ERR_RANGE for a name that is empty, longer than CONSUMER_NAME,
 * or not of printable ASCII without space, quote and backslash. The metrics of
 * its ledger come with own_consumers(). */
int consumer_claim(struct store *st, struct str name, const struct str *keep, unsigned nkeep);

/* Whether the row reads a ring; a row that is claimed anew reads all. What waits for one
 * that no longer does counts as overrun, and one that does again begins at the head: what
 * came meanwhile was not for it. Its follow is over before and made after. Commits. */
void consumer_follow(struct store *st, enum store_consumer row, enum store_ring_id ring,
                     bool reads);

/* Begins at the consumer's cursor. */
void follow_init(struct follow *f, const struct store *st, enum store_ring_id ring,
                 enum store_consumer consumer);

/* Copies the next record (into at least RING_COPY bytes) and moves on: 1
 * and a view of the copy, 0 at the head. Passes over what was overwritten. */
int follow_next(struct follow *f, const struct store *st, void *copy, size_t copy_size,
                struct ring_view *out);

/* Records appended and not yet passed by this reader. */
uint64_t follow_waiting(const struct follow *f, const struct store *st);

/* How much of the ring lies between this reader and the head, 0 to 1: at 1 the
 * next append overwrites what was not read. */
double follow_pressure(const struct follow *f, const struct store *st);

struct follow_done {
    uint64_t position, seq; /* of the follow after the last of these records */
    uint64_t delivered, filtered, failed;
};

/* Moves the cursor and the ledger to there, inside the open batch. What lies
 * between and is in none of the three counts was overrun. In order: a later one
 * never before an earlier one. */
void follow_settle(struct store *st, enum store_ring_id ring, enum store_consumer consumer,
                   const struct follow_done *done);

#endif
