#include "intake/partial.h"

#include <assert.h>

void partial_init(struct partial *p, uint64_t budget, unsigned queues)
{
    assert(queues > 0 && queues <= PARTIAL_QUEUES);
    *p = (struct partial){.budget = budget, .queues = queues};
    for (unsigned i = 0; i < PARTIAL_QUEUES; i++)
        TAILQ_INIT(&p->holds[i]);
}

static void forget(struct partial *p, struct partial_hold *h)
{
    p->used -= h->bytes;
    p->queue_used[h->queue] -= h->bytes;
    TAILQ_REMOVE(&p->holds[h->queue], h, entry);
    h->bytes = 0;
}

void partial_set(struct partial *p, struct partial_hold *h, unsigned queue, size_t bytes,
                 bool fresh, uint64_t now)
{
    assert(queue < PARTIAL_QUEUES && bytes <= UINT32_MAX);
    if (h->bytes && (bytes == 0 || fresh || h->queue != queue))
        forget(p, h);
    if (bytes == 0)
        return;
    if (h->bytes == 0) {
        h->queue = queue;
        h->since = now;
        TAILQ_INSERT_TAIL(&p->holds[queue], h, entry);
    }
    p->used += bytes - h->bytes;
    p->queue_used[queue] += bytes - h->bytes;
    h->bytes = (uint32_t)bytes;
}

bool partial_room(const struct partial *p, unsigned queue)
{
    return p->used < p->budget || p->queue_used[queue] < p->budget / p->queues;
}

struct partial_hold *partial_oldest(const struct partial *p, unsigned queue)
{
    return TAILQ_FIRST(&p->holds[queue]);
}
