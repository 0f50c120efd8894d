#include "wire/shm_ring.h"

#include "base/bytes.h"
#include "model/limits.h"
#include "wire/proto.h"

#define KIND_SHIFT 24
#define SIZE_MASK  UINT32_C(0x00ffffff)
#define MARKS      (SHM_ITEM_MARK | SHM_SHORT_MARK)

_Static_assert(LIMIT_ITEM <= SIZE_MASK, "an item's size fits beside its kind");
_Static_assert(SHM_RING_UPDATE * sizeof(uint32_t) == PROTO_UPDATE, "updates are as on the wire");
_Static_assert(SHM_RING_EXPANDED *PROTO_UPDATE <= LIMIT_ITEM, "they fit in a copy");
_Static_assert(SHM_RING_COPY >= LIMIT_ITEM + 2 * sizeof(uint32_t), "a copy holds any item");

static void see_tail(struct shm_ring *r, uint64_t tail)
{
    r->tail_seen = tail;
    r->half = tail + r->mask / 2;
}

void shm_ring_init(struct shm_ring *r, void *memory, uint32_t words,
                   const struct shm_ring_slot *slot)
{
    struct shm_ring_page *page = memory;
    page->magic = SHM_RING_MAGIC;
    page->words = words;
    *r = (struct shm_ring){
        .page = page,
        .words = (uint32_t *)(void *)((uint8_t *)memory + SHM_RING_PAGE),
        .mask = words - 1,
    };
    see_tail(r, 0);
    atomic_init(&r->slot, slot);
}

void shm_ring_look(struct shm_ring *r)
{
    const struct shm_ring_slot *slot, *again = shm_ring_slot(r);
    uint64_t tail;
    do { /* what is read of a slot that was replaced meanwhile may be another ring's */
        slot = again;
        tail = atomic_load_explicit(&slot->tail, memory_order_acquire);
        again = shm_ring_slot(r);
    } while (slot != again);
    const uint64_t head = atomic_load_explicit(&r->page->head, memory_order_relaxed);
    if (head - tail <= (uint64_t)r->mask + 1)
        see_tail(r, tail); /* else the reader lies: nothing is overwritten for that */
}

static uint32_t words_of(uint32_t bytes)
{
    return (bytes + 3) / 4;
}

void shm_ring_put_item(struct shm_ring *r, enum event_kind kind, const void *body, uint32_t n)
{
    struct shm_ring_page *page = r->page;
    const uint64_t head = atomic_load_explicit(&page->head, memory_order_relaxed);
    const uint32_t size = r->mask + 1, need = 1 + words_of(n);
    if (need > size || shm_ring_used(r, head, size - need) > size - need) {
        shm_ring_count(&page->full, 1);
        return;
    }
    atomic_store_explicit(&page->writing, head + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* a kill comes between two instructions */
    r->words[head & r->mask] = htole32(SHM_ITEM_MARK | (uint32_t)kind << KIND_SHIFT | n);
    const uint32_t at = (uint32_t)(head + 1) & r->mask;
    const uint32_t to_end = (size - at) * 4;
    const uint32_t first = n < to_end ? n : to_end;
    memcpy(r->words + at, body, first);
    memcpy(r->words, (const uint8_t *)body + first, n - first);
    shm_ring_publish(page, head, need);
}

uint64_t shm_ring_emitted(const struct shm_ring *r)
{
    const struct shm_ring_page *p = r->page;
    /* The head last: what is counted then lies before it, and the sum is never too small. */
    const uint64_t extra = atomic_load_explicit(&p->extra, memory_order_acquire);
    const uint64_t head = atomic_load_explicit(&p->head, memory_order_acquire);
    return head - extra + atomic_load_explicit(&p->full, memory_order_relaxed) +
           atomic_load_explicit(&p->invalid, memory_order_relaxed);
}

static uint32_t word_at(const uint32_t *words, uint32_t mask, uint64_t at)
{
    return le32toh(words[at & mask]);
}

/* n bytes that begin at a position: in place, or in `copy` when they lie across the end. */
static const uint8_t *bytes_at(const uint32_t *words, uint32_t mask, uint64_t from, uint32_t n,
                               uint8_t *copy)
{
    const uint32_t at = (uint32_t)from & mask;
    const uint64_t to_end = ((uint64_t)mask + 1 - at) * 4;
    if (n <= to_end)
        return (const uint8_t *)(words + at);
    memcpy(copy, words + at, to_end);
    memcpy(copy + to_end, words, n - to_end);
    return copy;
}

static int take_item(const uint32_t *words, uint32_t mask, uint64_t tail, uint64_t head,
                     uint8_t *copy, struct shm_piece *out)
{
    const uint32_t mark = word_at(words, mask, tail);
    out->count = 0;
    out->kind = (enum event_kind)(mark >> KIND_SHIFT & 0x7f);
    out->size = mark & SIZE_MASK;
    out->words = 1 + words_of(out->size);
    if (out->size > LIMIT_ITEM || out->kind < EVENT_SPAN || out->kind > EVENT_HEALTH)
        return -ERR_RANGE;
    if (out->words > head - tail)
        return -ERR_SHORT;
    out->bytes = bytes_at(words, mask, tail + 1, out->size, copy);
    return 1;
}

/* The updates from here to the next item, or to the end of the memory. */
static int take_updates(const uint32_t *words, uint32_t mask, uint64_t tail, uint64_t head,
                        uint8_t *copy, struct shm_piece *out)
{
    const uint64_t to_end = (uint64_t)mask + 1 - (tail & mask);
    const uint64_t most = (head - tail < to_end ? head - tail : to_end) / SHM_RING_UPDATE;
    uint32_t n = 0;
    if (head - tail < SHM_RING_UPDATE)
        return -ERR_SHORT;
    while (n < most && !(word_at(words, mask, tail + n * SHM_RING_UPDATE) & MARKS))
        n++;
    out->count = n ? n : 1; /* or one that lies across the end */
    out->each = SHM_RING_UPDATE;
    out->bytes = bytes_at(words, mask, tail, out->count * PROTO_UPDATE, copy);
    out->words = out->count * SHM_RING_UPDATE;
    return 1;
}

/* Those of one word, made as they are on the wire. */
static int take_shorts(const uint32_t *words, uint32_t mask, uint64_t tail, uint64_t head,
                       uint8_t *copy, struct shm_piece *out)
{
    const uint64_t most = head - tail < SHM_RING_EXPANDED ? head - tail : SHM_RING_EXPANDED;
    uint32_t n = 0, word;
    for (; n < most && ((word = word_at(words, mask, tail + n)) & MARKS) == SHM_SHORT_MARK; n++) {
        put_u32(copy + n * PROTO_UPDATE, word % SHM_SHORT_IDS);
        put_u64(copy + n * PROTO_UPDATE + 4, word / SHM_SHORT_IDS % SHM_SHORT_VALUES);
    }
    out->count = out->words = n;
    out->each = 1;
    out->bytes = copy;
    return 1;
}

int shm_piece_next(const uint32_t *words, uint32_t mask, uint64_t tail, uint64_t head,
                   uint8_t *copy, struct shm_piece *out)
{
    if (tail == head)
        return 0;
    const uint32_t marks = word_at(words, mask, tail) & MARKS;
    if (marks & SHM_ITEM_MARK)
        return take_item(words, mask, tail, head, copy, out);
    return marks ? take_shorts(words, mask, tail, head, copy, out)
                 : take_updates(words, mask, tail, head, copy, out);
}

uint32_t shm_ring_copy(const uint32_t *words, uint32_t mask, uint64_t tail, uint64_t head,
                       uint32_t *to, uint32_t most)
{
    const uint32_t at = (uint32_t)tail & mask, mark = tail == head ? 0 : word_at(words, mask, tail);
    const uint32_t first = mark & SHM_ITEM_MARK ? 1 + words_of(mark & SIZE_MASK) : SHM_RING_UPDATE;
    const uint32_t all = SHM_RING_COPY / sizeof *to;
    if (most < first)
        most = first < all ? first : all;
    const uint32_t n = head - tail < most ? (uint32_t)(head - tail) : most;
    const uint64_t to_end = (uint64_t)mask + 1 - at;
    const uint32_t before = n < to_end ? n : (uint32_t)to_end;
    memcpy(to, words + at, before * sizeof *to);
    memcpy(to + before, words, (n - before) * sizeof *to);
    return n;
}
