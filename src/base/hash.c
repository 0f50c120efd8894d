#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

uint64_t hash_id(const uint8_t id[16], uint64_t seed)
{
    return XXH3_64bits_withSeed(id, 16, seed);
}

void hash_bytes128(const void *p, size_t n, uint64_t seed, uint64_t out[2])
{
    const XXH128_hash_t h = XXH3_128bits_withSeed(p, n, seed);
    out[0] = h.low64;
    out[1] = h.high64;
}
