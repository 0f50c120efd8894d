/* pending: the requests that wait for their answer. Floor 2.
 *
 * Keyed by (direction, id). Bounded in count; memory follows the largest number
 * that ever waited at once. Three queues, each in order of entry: OPEN requests
 * have a time limit, STREAMs stay open for ever, CANCELLED ones may yet get a
 * late answer that is to be known as such. */
#ifndef MCPTALLY_MCP_PENDING_H
#define MCPTALLY_MCP_PENDING_H

#include "base/clock.h"
#include "mcp/message.h"
#include "mcp/method.h"

enum pending_queue { PENDING_OPEN, PENDING_STREAM, PENDING_CANCELLED, PENDING_QUEUES };

struct pending_request {
    uint16_t next, prev; /* in the queue; next also in the free list */
    uint16_t chain;      /* in the hash bucket */
    uint8_t queue;
    uint8_t direction;
    struct mcp_id id;
    struct when since; /* of entry into its queue */
    struct when start;
    enum mcp_method method;
    const char *method_label; /* borrowed from the session's name sets */
    const char *name_label;   /* "" for none */
    const char *version;
    char name[129]; /* of the tool or prompt, "" unless of a sane form */
    char uri[257];
    char traceparent[56];
    char tracestate[257];
};

struct pending {
    struct pending_request *slots; /* slot 0 is never used: index 0 means none */
    uint16_t *buckets;
    unsigned max, used;
    uint16_t free;
    struct {
        uint16_t first, last;
        unsigned n[2]; /* by direction */
    } queue[PENDING_QUEUES];
};

enum { PENDING_LIMIT = 65534 }; /* largest max */

/* 0 or -ERR_NOMEM. */
int pending_init(struct pending *p, unsigned max);
void pending_fini(struct pending *p);

/* A new request at the end of a queue, all else zero; NULL when the table is
 * full. The key must not be in the table. */
struct pending_request *pending_add(struct pending *p, unsigned direction, const struct mcp_id *id,
                                    enum pending_queue queue, struct when now);

struct pending_request *pending_find(const struct pending *p, unsigned direction,
                                     const struct mcp_id *id);

/* Moves it to the end of another queue. */
void pending_move(struct pending *p, struct pending_request *r, enum pending_queue queue,
                  struct when now);
void pending_remove(struct pending *p, struct pending_request *r);

/* The one that entered first, or NULL. */
struct pending_request *pending_first(const struct pending *p, enum pending_queue queue);

static inline unsigned pending_count(const struct pending *p, enum pending_queue queue,
                                     unsigned direction)
{
    return p->queue[queue].n[direction];
}

#endif
