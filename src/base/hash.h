/* hash: the one hash of the project, XXH3 with 64 bits. Floor 0.
 * Its value is stored, so it must not change between releases. */
#ifndef MCPTALLY_BASE_HASH_H
#define MCPTALLY_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed);

/* The same of 16 bytes. */
uint64_t hash_id(const uint8_t id[16], uint64_t seed);

/* The same with 128 bits, for what is told apart by its hash alone. */
void hash_bytes128(const void *p, size_t n, uint64_t seed, uint64_t out[2]);

#endif
