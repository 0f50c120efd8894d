#include "forward/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool batch_moves(enum batch_state from, enum batch_state to)
{
    static const bool table[BATCH_STATES][BATCH_STATES] = {
        /* Done at once: there was nothing in it to send. */
        [BATCH_READY] = {[BATCH_SENT] = true, [BATCH_KEEPING] = true, [BATCH_DONE] = true},
        [BATCH_SENT] = {[BATCH_READY] = true, [BATCH_DONE] = true},
        [BATCH_KEEPING] = {[BATCH_READY] = true, [BATCH_DONE] = true},
    };
    return table[from][to];
}

void batch_set_state(struct batch *b, enum batch_state to)
{
    assert(batch_moves(b->state, to));
    b->state = to;
}

void batches_init(struct batches *q)
{
    *q = (struct batches){.tail = &q->head};
}

void batches_fini(struct batches *q)
{
    while (q->head)
        batches_pop(q);
}

struct batch *batches_add(struct batches *q, enum batch_source source, struct str request)
{
    struct batch *b = calloc(1, sizeof *b);
    char *bytes = request.n ? malloc(request.n) : NULL;
    if (!b || (request.n && !bytes)) {
        free(b);
        free(bytes);
        return NULL;
    }
    if (bytes)
        memcpy(bytes, request.p, request.n);
    b->source = source;
    b->bytes = bytes;
    b->n = request.n;
    *q->tail = b;
    q->tail = &b->next;
    q->count++;
    q->bytes += b->n;
    return b;
}

void batches_drop_bytes(struct batches *q, struct batch *b)
{
    assert(b->state == BATCH_DONE);
    free(b->bytes);
    b->bytes = NULL;
    q->bytes -= b->n;
    b->n = 0;
}

void batches_pop(struct batches *q)
{
    struct batch *b = q->head;
    q->head = b->next;
    if (!q->head)
        q->tail = &q->head;
    q->count--;
    q->bytes -= b->n;
    free(b->bytes);
    free(b);
}

struct batch *batches_find(const struct batches *q, uint64_t id)
{
    struct batch *b = q->head;
    while (b && b->id != id)
        b = b->next;
    return b;
}

struct batch *batches_first(const struct batches *q, enum batch_state state)
{
    struct batch *b = q->head;
    while (b && b->state != state)
        b = b->next;
    return b;
}

unsigned batches_count(const struct batches *q, enum batch_state state)
{
    unsigned n = 0;
    for (const struct batch *b = q->head; b; b = b->next)
        n += b->state == state;
    return n;
}
