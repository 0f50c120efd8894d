/* session_ring: how far each shared ring of a session is read. Floor 2. For the writer,
 * inside the open batch.
 *
 * A mark is a piece of the heap in a list of the session; it moves in the batch that
 * applies what it passes over. */
#ifndef MCPTALLY_STORE_SESSION_RING_H
#define MCPTALLY_STORE_SESSION_RING_H

#include "store/store.h"

/* All words are committed. */
struct ring_mark {
    uint64_t next;     /* offset of the session's next one, 0 at the end */
    uint64_t stream;   /* the producer's number of the ring */
    uint64_t position; /* words of the ring that were read */
    uint64_t items;    /* that they held */
};

enum {
    RING_MARK_WORDS = sizeof(struct ring_mark) / sizeof(uint64_t),
    RING_MARKS_MAX = 4096 /* of a session; where a damaged list ends */
};

static inline struct ring_mark *ring_mark_at(const struct store *st, uint64_t mark)
{
    return (struct ring_mark *)(void *)store_word(st, mark);
}

/* The offset of a mark; 0: the session has none of that number. */
uint64_t ring_mark_find(const struct store *st, uint32_t session, uint32_t stream);

/* How many the session has. */
unsigned ring_mark_count(const struct store *st, uint32_t session);

/* A new one. 0: the heap is full, or the session has `limit` of them. */
uint64_t ring_mark_make(struct store *st, uint32_t session, const struct ring_mark *from,
                        unsigned limit);

/* The ring has come to its end. */
void ring_mark_drop(struct store *st, uint32_t session, uint32_t stream);

/* Of a session that is forgotten. */
void ring_mark_drop_all(struct store *st, uint32_t session);

#endif
