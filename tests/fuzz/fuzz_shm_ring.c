/* A ring as a hostile producer may leave it: where the reader's tail is, and its words. What
 * is taken out of it, in place or out of a copy, lies inside and covers whole records. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "model/limits.h"
#include "wire/shm_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS = SHM_RING_MIN };

static uint32_t ring[WORDS], chunk[SHM_RING_COPY / sizeof(uint32_t)];
static uint8_t copy[LIMIT_ITEM];

/* Walks the pieces; the words that they cover. */
static uint64_t walk(const uint32_t *words, uint32_t mask, uint64_t tail, uint64_t head)
{
    const uint64_t begin = tail;
    struct shm_piece p;
    while (shm_piece_next(words, mask, tail, head, copy, &p) > 0) {
        const size_t bytes = p.count ? (size_t)p.count * 12 : p.size;
        volatile uint8_t sum = 0;
        assert(p.words > 0 && p.words <= head - tail && bytes <= (size_t)p.words * 4);
        assert(p.count || p.size <= LIMIT_ITEM);
        for (size_t i = 0; i < bytes; i++)
            sum = (uint8_t)(sum + p.bytes[i]); /* the sanitizer says whether they are there */
        tail += p.words;
    }
    return tail - begin;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t at;
    if (size < sizeof at)
        return 0;
    memcpy(&at, data, sizeof at);
    data += sizeof at;
    size -= sizeof at;
    const uint32_t n = size < sizeof ring ? (uint32_t)(size / 4) : WORDS;
    for (uint32_t i = 0; i < n; i++)
        memcpy(&ring[(at + i) % WORDS], data + 4 * i, 4);
    const uint32_t copied = shm_ring_copy(ring, WORDS - 1, at, (uint64_t)at + n, chunk, 64);
    assert(copied <= n && copied <= sizeof chunk / sizeof *chunk);
    const uint64_t some = walk(chunk, UINT32_MAX, 0, copied);
    const uint64_t all = walk(ring, WORDS - 1, at, (uint64_t)at + n);
    assert(some <= all); /* the copy ends earlier, and says the same as far as it goes */
    return 0;
}
