/* feed: the records of the events and spans as one sequence, in the order received. Only
 * what is committed is handed out, so that nothing shows twice after a crash. */
#ifndef MCPTALLY_CLI_FEED_H
#define MCPTALLY_CLI_FEED_H

#include "cli/view.h"
#include "model/limits.h"

#define FEED_UNKNOWN UINT64_MAX

enum { FEED_COPY = RING_COPY };

/* A place in the sequence. */
struct feed_mark {
    uint64_t position[RING_MAX];
    uint64_t seq[RING_MAX]; /* of the record before it, or FEED_UNKNOWN */
};

struct feed {
    struct view *view;
    unsigned rings;          /* those that are read, a bit each */
    uint64_t store_id, file; /* inode */
    struct feed_mark at;     /* behind what was handed out */
    uint64_t lost;           /* records overwritten before they were read; the caller resets it */
    struct feed_ring {
        bool ready; /* next is waiting in copy */
        uint64_t after;
        struct ring_view next;
        _Alignas(8) char copy[FEED_COPY];
    } ring[RING_MAX];
};

/* From the oldest record on. */
void feed_init(struct feed *f, struct view *v);

/* After feed_init(): reads nothing but this ring. */
void feed_only(struct feed *f, enum store_ring_id ring);

/* The view was opened anew: goes on where it was when it is the same store, also in
 * another file, where the same records lie in other places; else from the oldest
 * record. */
void feed_reopened(struct feed *f);

/* From a place that feed_next() had reached. */
void feed_rewind(struct feed *f, const struct feed_mark *mark);

/* Learns how far the rings have grown; feed_next() goes up to there. */
void feed_refresh(struct feed *f);

/* The next record, or NULL; it stays until the next call. */
const struct ring_view *feed_next(struct feed *f);

#endif
