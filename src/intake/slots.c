#include "intake/slots.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static void free_area(struct slot_area *a)
{
    if (a->slot)
        munmap(a->slot, SLOTS_BYTES);
    if (a->fd >= 0)
        close(a->fd);
    free(a);
}

/* Mapped before it is sealed: ours is the only mapping that can be written. */
static bool map(struct slot_area *a)
{
    a->fd = memfd_create("mcptally-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (a->fd < 0 || posix_fallocate(a->fd, 0, SLOTS_BYTES) != 0)
        return false;
    void *p = mmap(NULL, SLOTS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
    if (p == MAP_FAILED)
        return false;
    a->slot = p;
    return fcntl(a->fd, F_ADD_SEALS, SEALS) == 0;
}

static struct slot_area *new_area(struct slots *s, uint32_t uid)
{
    struct slot_area *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->uid = uid;
    a->fd = -1;
    if (!map(a)) {
        free_area(a);
        return NULL;
    }
    LIST_INSERT_HEAD(&s->areas, a, entry);
    return a;
}

static struct shm_ring_slot *take(struct slot_area *a)
{
    unsigned w = 0;
    while (a->taken[w] == UINT64_MAX)
        w++;
    const unsigned bit = (unsigned)__builtin_ctzll(~a->taken[w]);
    struct shm_ring_slot *slot = &a->slot[w * 64 + bit];
    a->taken[w] |= UINT64_C(1) << bit;
    a->used++;
    memset(slot, 0, sizeof *slot);
    return slot;
}

struct shm_ring_slot *slots_take(struct slots *s, uint32_t uid, struct slot_area **area)
{
    struct slot_area *a;
    LIST_FOREACH(a, &s->areas, entry)
    if (a->uid == uid && a->used < SLOTS_COUNT)
        break;
    if (!a)
        a = new_area(s, uid);
    *area = a;
    return a ? take(a) : NULL;
}

unsigned slots_used(const struct slots *s, uint32_t uid)
{
    const struct slot_area *a;
    unsigned n = 0;
    LIST_FOREACH(a, &s->areas, entry)
    n += a->uid == uid ? a->used : 0;
    return n;
}

void slots_give(struct slot_area *a, struct shm_ring_slot *slot)
{
    const unsigned i = (unsigned)(slot - a->slot);
    a->taken[i / 64] &= ~(UINT64_C(1) << i % 64);
    if (--a->used > 0)
        return;
    LIST_REMOVE(a, entry);
    free_area(a);
}
