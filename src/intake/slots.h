/* slots: the memory in which the daemon tells producers how far it has read their rings.
 * Floor 4.
 *
 * Sealed so that whoever has the descriptor can only read it. Each user has memory of
 * its own: nobody sees the pace of another's. */
#ifndef MCPTALLY_INTAKE_SLOTS_H
#define MCPTALLY_INTAKE_SLOTS_H

#include <sys/queue.h>

#include "wire/shm_ring.h"

enum { SLOTS_BYTES = 65536, SLOTS_COUNT = SLOTS_BYTES / SHM_SLOT_SIZE };

struct slot_area {
    LIST_ENTRY(slot_area) entry;
    uint32_t uid;
    int fd;
    unsigned used;
    uint64_t taken[SLOTS_COUNT / 64]; /* a bit each */
    struct shm_ring_slot *slot;       /* SLOTS_COUNT of them */
};

struct slots {
    LIST_HEAD(, slot_area) areas;
};

/* A slot of zeros for a ring of this user; *area: whose it is. NULL: no memory or no
 * descriptor for more. */
struct shm_ring_slot *slots_take(struct slots *s, uint32_t uid, struct slot_area **area);

/* How many a user has. */
unsigned slots_used(const struct slots *s, uint32_t uid);

static inline uint32_t slot_offset(const struct slot_area *a, const struct shm_ring_slot *slot)
{
    return (uint32_t)(slot - a->slot) * SHM_SLOT_SIZE;
}

void slots_give(struct slot_area *area, struct shm_ring_slot *slot);

#endif
