#include "forward/bundle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool bundle_moves(enum bundle_state from, enum bundle_state to)
{
    static const bool table[BUNDLE_STATES][BUNDLE_STATES] = {
        /* Done at once: there was nothing in it to send. */
        [BUNDLE_READY] = {[BUNDLE_SENT] = true, [BUNDLE_KEEPING] = true, [BUNDLE_DONE] = true},
        [BUNDLE_SENT] = {[BUNDLE_READY] = true, [BUNDLE_DONE] = true},
        [BUNDLE_KEEPING] = {[BUNDLE_READY] = true, [BUNDLE_DONE] = true},
    };
    return table[from][to];
}

void bundle_set_state(struct bundle *b, enum bundle_state to)
{
    assert(bundle_moves(b->state, to));
    b->state = to;
}

void bundles_init(struct bundles *q)
{
    *q = (struct bundles){.tail = &q->head};
}

void bundles_fini(struct bundles *q)
{
    while (q->head)
        bundles_pop(q);
}

struct bundle *bundles_take(struct bundles *q, enum bundle_source source, char *bytes, size_t n)
{
    struct bundle *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->source = source;
    b->bytes = bytes;
    b->n = n;
    *q->tail = b;
    q->tail = &b->next;
    q->count++;
    q->bytes += n;
    return b;
}

struct bundle *bundles_add(struct bundles *q, enum bundle_source source, struct str request)
{
    char *bytes = request.n ? malloc(request.n) : NULL;
    if (request.n && !bytes)
        return NULL;
    if (bytes)
        memcpy(bytes, request.p, request.n);
    struct bundle *b = bundles_take(q, source, bytes, request.n);
    if (!b)
        free(bytes);
    return b;
}

void bundles_drop_bytes(struct bundles *q, struct bundle *b)
{
    assert(b->state == BUNDLE_DONE);
    free(b->bytes);
    b->bytes = NULL;
    q->bytes -= b->n;
    b->n = 0;
}

void bundles_pop(struct bundles *q)
{
    struct bundle *b = q->head;
    q->head = b->next;
    if (!q->head)
        q->tail = &q->head;
    q->count--;
    q->bytes -= b->n;
    free(b->bytes);
    free(b);
}

struct bundle *bundles_find(const struct bundles *q, uint64_t id)
{
    struct bundle *b = q->head;
    while (b && b->id != id)
        b = b->next;
    return b;
}

struct bundle *bundles_first(const struct bundles *q, enum bundle_state state)
{
    struct bundle *b = q->head;
    while (b && b->state != state)
        b = b->next;
    return b;
}

unsigned bundles_count(const struct bundles *q, enum bundle_state state)
{
    unsigned n = 0;
    for (const struct bundle *b = q->head; b; b = b->next)
        n += b->state == state;
    return n;
}
