#include "mcp/pending.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"

enum { BUCKETS = 1024 };

static uint16_t *bucket_of(const struct pending *p, unsigned direction, const struct mcp_id *id)
{
    /* The low bits of FNV are its weak ones for short ids. */
    uint64_t h = (id->hash + direction) * UINT64_C(0x9E3779B97F4A7C15);
    return &p->buckets[h >> 54];
}

static uint16_t index_of(const struct pending *p, const struct pending_request *r)
{
    return (uint16_t)(r - p->slots);
}

int pending_init(struct pending *p, unsigned max)
{
    assert(max >= 1 && max <= PENDING_LIMIT);
    *p = (struct pending){.max = max};
    p->slots = calloc(max + 1, sizeof *p->slots);
    p->buckets = calloc(BUCKETS, sizeof *p->buckets);
    if (p->slots && p->buckets)
        return 0;
    pending_fini(p);
    return -ERR_NOMEM;
}

void pending_fini(struct pending *p)
{
    free(p->slots);
    free(p->buckets);
    *p = (struct pending){0};
}

static void enqueue(struct pending *p, struct pending_request *r, enum pending_queue queue,
                    struct when now)
{
    uint16_t i = index_of(p, r), last = p->queue[queue].last;
    r->queue = (uint8_t)queue;
    r->since = now;
    r->prev = last;
    r->next = 0;
    if (last)
        p->slots[last].next = i;
    else
        p->queue[queue].first = i;
    p->queue[queue].last = i;
    p->queue[queue].n[r->direction]++;
}

static void dequeue(struct pending *p, struct pending_request *r)
{
    if (r->prev)
        p->slots[r->prev].next = r->next;
    else
        p->queue[r->queue].first = r->next;
    if (r->next)
        p->slots[r->next].prev = r->prev;
    else
        p->queue[r->queue].last = r->prev;
    p->queue[r->queue].n[r->direction]--;
}

static struct pending_request *take_slot(struct pending *p)
{
    struct pending_request *r;
    if (p->free) {
        r = &p->slots[p->free];
        p->free = r->next;
    } else if (p->used < p->max) {
        r = &p->slots[++p->used];
    } else {
        return NULL;
    }
    *r = (struct pending_request){0};
    return r;
}

struct pending_request *pending_add(struct pending *p, unsigned direction, const struct mcp_id *id,
                                    enum pending_queue queue, struct when now)
{
    assert(direction < 2);
    struct pending_request *r = take_slot(p);
    if (!r)
        return NULL;
    r->direction = (uint8_t)direction;
    r->id = *id;
    r->start = now;
    uint16_t *bucket = bucket_of(p, direction, id);
    r->chain = *bucket;
    *bucket = index_of(p, r);
    enqueue(p, r, queue, now);
    return r;
}

struct pending_request *pending_find(const struct pending *p, unsigned direction,
                                     const struct mcp_id *id)
{
    for (uint16_t i = *bucket_of(p, direction, id); i; i = p->slots[i].chain)
        if (p->slots[i].direction == direction && mcp_id_equal(&p->slots[i].id, id))
            return &p->slots[i];
    return NULL;
}

void pending_move(struct pending *p, struct pending_request *r, enum pending_queue queue,
                  struct when now)
{
    dequeue(p, r);
    enqueue(p, r, queue, now);
}

void pending_remove(struct pending *p, struct pending_request *r)
{
    uint16_t i = index_of(p, r);
    uint16_t *link = bucket_of(p, r->direction, &r->id);
    while (*link != i)
        link = &p->slots[*link].chain;
    *link = r->chain;
    dequeue(p, r);
    r->next = p->free;
    p->free = i;
}

struct pending_request *pending_first(const struct pending *p, enum pending_queue queue)
{
    uint16_t i = p->queue[queue].first;
    return i ? &p->slots[i] : NULL;
}
