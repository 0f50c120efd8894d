/* slots: the memory in which the daemon tells producers how far it has read their rings.
 * Floor 4.
 *
 * A slot is one ring's for ever. A producer whose connection has ended goes by its tail until
 * it has come back and got another slot; when that is it alone knows. Were the slot another
 * ring's by then, it would overwrite what nobody has read. So the slots of a page are given
 * once, and the page is let go with the last of its rings; who maps it still finds what was
 * written there last.
 *
 * Sealed so that whoever has the descriptor can only read it. Each user has memory of
 * its own: nobody sees the pace of another's. */
#ifndef MCPTALLY_INTAKE_SLOTS_H
#define MCPTALLY_INTAKE_SLOTS_H

#include <sys/queue.h>

#include "wire/shm_ring.h"

/* A page: more is not kept for a ring that outlives all others of its area. */
enum { SLOTS_BYTES = 4096, SLOTS_COUNT = SLOTS_BYTES / SHM_SLOT_SIZE };

struct slot_area {
    struct slot_user *user;
    int fd;                     /* -1: all of its slots were told */
    unsigned taken;             /* the first so many were, and will not be again */
    unsigned untold;            /* of those, the ones that still need the descriptor */
    unsigned used;              /* and the ones whose rings are there */
    struct shm_ring_slot *slot; /* SLOTS_COUNT of them */
};

struct slot_user {
    LIST_ENTRY(slot_user) entry;
    uint32_t uid;
    unsigned used;          /* slots of all of his areas */
    struct slot_area *open; /* that the next one is taken from; NULL: none */
};

struct slots {
    LIST_HEAD(, slot_user) users; /* that have some */
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

/* The producer of one has the area's descriptor: it is closed when the last one has. */
void slots_told(struct slot_area *area);

/* The ring of one is there no longer, and it is not written any more. told: slots_told() was
 * called for it. */
void slots_give(struct slot_area *area, bool told);

#endif
