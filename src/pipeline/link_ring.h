/* link_ring: a shared ring of a link, without its memory. Floor 3. No I/O, no clock.
 *
 * The edge (intake/) maps the memory, copies records out of it and hands them over.
 * Updates of series whose definition is still on its way over the socket are waited
 * for; the edge says for how long. */
#ifndef MCPTALLY_PIPELINE_LINK_RING_H
#define MCPTALLY_PIPELINE_LINK_RING_H

#include "pipeline/link.h"

struct link_ring {
    uint32_t stream;
    uint64_t mark; /* offset of its ring_mark in the store */
};

enum link_ring_end {
    LINK_RING_GOOD,   /* all words were taken, or as many as are a turn's work */
    LINK_RING_WAITS,  /* the next update has no definition yet */
    LINK_RING_BROKEN, /* what lies there is no record */
};

/* What the daemon has of the ring, else from the offer's position on. 0, -ERR_FULL. */
int link_ring_open(struct link *l, const struct ring_offer *o, struct link_ring *r);

/* Forgets a ring of the session that nobody reads: its end was lost with a connection, as those
 * that are still there are offered again before any that is new. False: there is none. */
bool link_ring_forget(struct link *l,
                      bool (*is_read)(void *arg, const struct link *l, uint64_t mark), void *arg);

/* Everything before this is applied, and committed. */
uint64_t link_ring_position(const struct link *l, const struct link_ring *r);
uint64_t link_ring_items(const struct link *l, const struct link_ring *r);

/* Applies what the n words begin with, as far as it is additions to counters; where the words
 * lie their writer may change them. Returns the words passed over, committed; 0: those that
 * come next are for link_ring_feed(). */
uint32_t link_ring_add(struct link *l, const struct link_ring *r, const uint32_t *words, uint32_t n,
                       struct when now);

/* Applies n words, which it may change. *taken: those that it has passed over, committed.
 * `patient`: what is not defined is waited for. Appends what is to be answered. */
enum link_ring_end link_ring_feed(struct link *l, const struct link_ring *r, uint32_t *words,
                                  uint32_t n, bool patient, uint32_t *taken, struct buf *out,
                                  struct when now);

/* Its writer was killed while it wrote an item: that is counted. */
void link_ring_torn(struct link *l, const struct link_ring *r);

/* It has come to its end. */
void link_ring_close(struct link *l, const struct link_ring *r);

#endif
