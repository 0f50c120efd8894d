/* partial: the budget of frames that have begun and not ended. Floor 4. No I/O.
 *
 * All connections share one budget of bytes. When it is used up, a domain that
 * holds more than its even share gets no further partial frames until others
 * end; one below its share goes on. A frame has a deadline. Producers that have
 * not said HELLO have no domain; they are a queue of their own. */
#ifndef MCPTALLY_INTAKE_PARTIAL_H
#define MCPTALLY_INTAKE_PARTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pipeline/pipeline.h"

enum { PARTIAL_QUEUES = DOMAINS_MAX + 1 };

/* Embedded in a connection. */
struct partial_hold {
    TAILQ_ENTRY(partial_hold) entry; /* among those of its queue, oldest first */
    uint64_t since;                  /* mono ns of the frame's first byte */
    uint32_t bytes;                  /* 0: not in a queue */
    uint32_t queue;
};

TAILQ_HEAD(partial_list, partial_hold);

struct partial {
    uint64_t budget, used; /* bytes */
    unsigned queues;       /* that share it */
    uint64_t queue_used[PARTIAL_QUEUES];
    struct partial_list holds[PARTIAL_QUEUES];
};

void partial_init(struct partial *p, uint64_t budget, unsigned queues);

/* Records what a connection holds now; `fresh` when its frame is another than
 * at the last call. */
void partial_set(struct partial *p, struct partial_hold *h, unsigned queue, size_t bytes,
                 bool fresh, uint64_t now);

/* Whether a connection of the queue may begin another frame that does not end. */
bool partial_room(const struct partial *p, unsigned queue);

/* The oldest of a queue, or NULL. */
struct partial_hold *partial_oldest(const struct partial *p, unsigned queue);

#endif
