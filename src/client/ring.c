#include "client/ring.h"

#include <assert.h>
#include <stdlib.h>

struct ring *ring_new(struct mcptally *m, uint64_t serial, uint32_t bytes)
{
    const uint32_t words = bytes / (uint32_t)sizeof(uint32_t);
    struct ring *r = aligned_alloc(_Alignof(struct ring), sizeof *r);
    void *memory = aligned_alloc(_Alignof(struct shm_ring_page), shm_ring_bytes(words));
    if (!r || !memory) {
        free(r);
        free(memory);
        return NULL;
    }
    memset(r, 0, sizeof *r);
    memset(memory, 0, sizeof(struct shm_ring_page)); /* the words are not read before written */
    shm_ring_init(&r->shm, memory, words, &r->own);
    r->serial = serial;
    r->m = m;
    atomic_init(&r->holders, 2);
    return r;
}

void ring_free(struct ring *r)
{
    free(r->shm.page);
    free(r);
}

void ring_let_go(struct ring *r)
{
    if (atomic_fetch_sub_explicit(&r->holders, 1, memory_order_acq_rel) == 1)
        ring_free(r);
}

void ring_close(struct ring *r)
{
    free(r->shm.page);
    r->shm.page = NULL;
    atomic_store_explicit(&r->closed, true, memory_order_release);
    ring_let_go(r);
}

bool ring_next(const struct ring *r, uint64_t head, uint8_t *copy, struct shm_piece *out)
{
    const struct shm_ring *s = &r->shm;
    const uint64_t tail = atomic_load_explicit(&r->own.tail, memory_order_relaxed);
    const int n = shm_piece_next(s->words, s->mask, tail, head, copy, out);
    assert(n >= 0);
    return n > 0;
}

void ring_took(struct ring *r, uint32_t words)
{
    const uint64_t tail = atomic_load_explicit(&r->own.tail, memory_order_relaxed);
    atomic_store_explicit(&r->own.tail, tail + words, memory_order_release);
}
