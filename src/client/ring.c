#include "client/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/limits.h"
#include "wire/proto.h"

/* A word that begins an item: ids of series are far below. */
#define ITEM_MARK  UINT32_C(0x80000000)
#define KIND_SHIFT 24
#define SIZE_MASK  UINT32_C(0x00ffffff)

_Static_assert(LIMIT_ITEM <= SIZE_MASK, "an item's size fits beside its kind");
_Static_assert(RING_UPDATE * sizeof(uint32_t) == PROTO_UPDATE, "updates are as on the wire");

struct ring *ring_new(struct mcptally *m, uint64_t serial, uint32_t bytes)
{
    struct ring *r = aligned_alloc(_Alignof(struct ring), sizeof *r);
    uint32_t *words = malloc(bytes);
    if (!r || !words) {
        free(r);
        free(words);
        return NULL;
    }
    memset(r, 0, sizeof *r);
    r->words = words;
    r->mask = bytes / (uint32_t)sizeof *words - 1;
    r->serial = serial;
    r->m = m;
    atomic_init(&r->holders, 2);
    return r;
}

void ring_let_go(struct ring *r)
{
    if (atomic_fetch_sub_explicit(&r->holders, 1, memory_order_acq_rel) > 1)
        return;
    free(r->words);
    free(r);
}

void ring_close(struct ring *r)
{
    free(r->words);
    r->words = NULL;
    atomic_store_explicit(&r->closed, true, memory_order_release);
    ring_let_go(r);
}

static uint32_t words_of(uint32_t bytes)
{
    return (bytes + 3) / 4;
}

void ring_put_item(struct ring *r, enum event_kind kind, const void *body, uint32_t n)
{
    const uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    const uint32_t size = r->mask + 1, need = 1 + words_of(n);
    ring_count(&r->emitted);
    if (need > size || ring_used(r, head, size - need) > size - need) {
        ring_count(&r->full);
        return;
    }
    r->words[head & r->mask] = htole32(ITEM_MARK | (uint32_t)kind << KIND_SHIFT | n);
    const uint32_t at = (head + 1) & r->mask;
    const uint32_t to_end = (size - at) * 4;
    const uint32_t first = n < to_end ? n : to_end;
    memcpy(r->words + at, body, first);
    memcpy(r->words, (const uint8_t *)body + first, n - first);
    atomic_store_explicit(&r->head, head + need, memory_order_release);
}

static uint32_t word_at(const struct ring *r, uint32_t at)
{
    return le32toh(r->words[at & r->mask]);
}

static void take_item(const struct ring *r, uint32_t tail, uint8_t *copy, struct ring_piece *out)
{
    const uint32_t mark = word_at(r, tail);
    out->count = 0;
    out->kind = (enum event_kind)(mark >> KIND_SHIFT & 0x7f);
    out->size = mark & SIZE_MASK;
    out->words = 1 + words_of(out->size);
    const uint32_t at = (tail + 1) & r->mask;
    const uint32_t to_end = (r->mask + 1 - at) * 4;
    out->bytes = (const uint8_t *)(r->words + at);
    if (out->size <= to_end)
        return;
    assert(out->size <= LIMIT_ITEM);
    memcpy(copy, r->words + at, to_end);
    memcpy(copy + to_end, r->words, out->size - to_end);
    out->bytes = copy;
}

/* The updates from here to the next item, or to the end of the memory. */
static void take_updates(const struct ring *r, uint32_t tail, uint32_t head, uint8_t *copy,
                         struct ring_piece *out)
{
    const uint32_t at = tail & r->mask, to_end = r->mask + 1 - at;
    const uint32_t most = (head - tail < to_end ? head - tail : to_end) / RING_UPDATE;
    uint32_t n = 0;
    while (n < most && !(word_at(r, tail + n * RING_UPDATE) & ITEM_MARK))
        n++;
    out->bytes = (const uint8_t *)(r->words + at);
    if (most == 0) { /* one that lies across the end */
        for (uint32_t i = 0; i < RING_UPDATE; i++)
            memcpy(copy + 4 * i, &r->words[(tail + i) & r->mask], 4);
        out->bytes = copy;
        n = 1;
    }
    out->count = n;
    out->words = n * RING_UPDATE;
}

bool ring_next(const struct ring *r, uint32_t head, uint8_t *copy, struct ring_piece *out)
{
    const uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail == head)
        return false;
    if (word_at(r, tail) & ITEM_MARK)
        take_item(r, tail, copy, out);
    else
        take_updates(r, tail, head, copy, out);
    return true;
}

void ring_took(struct ring *r, uint32_t words)
{
    const uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    atomic_store_explicit(&r->tail, tail + words, memory_order_release);
}
