/* tally: what became of a run of items, until the ledger is told. Floor 3.
 *
 * Law: received = applied + dropped by reason, in the same batch as the items. */
#ifndef MCPTALLY_PIPELINE_TALLY_H
#define MCPTALLY_PIPELINE_TALLY_H

#include "pipeline/pipeline.h"

struct tally {
    uint64_t done;    /* items finished since the ledger was last brought up to date */
    uint64_t applied; /* of these */
    uint32_t dropped[DROP_MAX];
    uint64_t first_dropped[DROP_MAX]; /* sequence number of the first, over the whole frame */
    uint32_t all_dropped[DROP_MAX];   /* over the whole frame, or the whole request */
};

/* More dropped items; they are not yet `done`. */
static inline void tally_drop_many(struct tally *t, enum drop_reason why, uint32_t n)
{
    t->dropped[why] += n;
    t->all_dropped[why] += n;
}

static inline void tally_drop(struct tally *t, enum drop_reason why, uint64_t seq)
{
    if (t->all_dropped[why] == 0)
        t->first_dropped[why] = seq;
    tally_drop_many(t, why, 1);
}

/* Leaves out of the ledger what is not there yet. */
static inline void tally_forget(struct tally *t)
{
    for (unsigned why = 0; why < DROP_MAX; why++)
        t->dropped[why] = 0;
    t->done = t->applied = 0;
}

/* Adds what is not there yet to the ledger of a domain, inside the open batch. */
static inline void tally_post(struct tally *t, struct pipeline *pl, unsigned domain)
{
    struct own *own = &pl->own;
    uint64_t faults = 0;
    own_add(own, OWN_RECEIVED, domain, t->done);
    own_add(own, OWN_APPLIED, domain, t->applied);
    for (unsigned why = 0; why < DROP_MAX; why++)
        if (t->dropped[why]) {
            own_dropped(own, domain, why, t->dropped[why]);
            faults += domain_is_fault((enum drop_reason)why) ? t->dropped[why] : 0;
        }
    domain_did(pl, domain, t->done, faults);
    tally_forget(t);
}

#endif
