/* ring_map: a producer's ring in our memory, after all checks. Floor 4. */
#ifndef MCPTALLY_INTAKE_RING_MAP_H
#define MCPTALLY_INTAKE_RING_MAP_H

#include "wire/shm_ring.h"

struct ring_map {
    const struct shm_ring_page *page; /* read-only; NULL: not mapped */
    const uint32_t *words;
    uint32_t mask;
};

/* Maps memory of shm_ring_bytes(words) bytes. The descriptor stays the caller's. 0;
 * -ERR_PERM: it could change its size or be written by others than those who have mapped
 * it, is no ordinary memory, or has not all its pages; -ERR_NOMEM. */
int ring_map_open(struct ring_map *m, int fd, uint32_t words);

void ring_map_close(struct ring_map *m);

#endif
