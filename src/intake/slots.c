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

static struct slot_area *new_area(struct slot_user *u)
{
    struct slot_area *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->user = u;
    a->fd = -1;
    if (!map(a)) {
        free_area(a);
        return NULL;
    }
    u->open = a;
    return a;
}

static struct slot_user *find(const struct slots *s, uint32_t uid)
{
    struct slot_user *u;
    LIST_FOREACH(u, &s->users, entry)
    if (u->uid == uid)
        break;
    return u;
}

static struct slot_user *find_or_make(struct slots *s, uint32_t uid)
{
    struct slot_user *u = find(s, uid);
    if (!u && (u = calloc(1, sizeof *u)) != NULL) {
        u->uid = uid;
        LIST_INSERT_HEAD(&s->users, u, entry);
    }
    return u;
}

static void forget_unused(struct slot_user *u)
{
    if (u->used > 0)
        return;
    LIST_REMOVE(u, entry);
    free(u);
}

struct shm_ring_slot *slots_take(struct slots *s, uint32_t uid, struct slot_area **area)
{
    struct slot_user *u = find_or_make(s, uid);
    if (!u)
        return NULL;
    struct slot_area *a = u->open && u->open->taken < SLOTS_COUNT ? u->open : new_area(u);
    if (!a) {
        forget_unused(u);
        return NULL;
    }
    a->untold++;
    a->used++;
    u->used++;
    *area = a;
    return &a->slot[a->taken++];
}

unsigned slots_used(const struct slots *s, uint32_t uid)
{
    const struct slot_user *u = find(s, uid);
    return u ? u->used : 0;
}

void slots_told(struct slot_area *a)
{
    if (--a->untold > 0 || a->taken < SLOTS_COUNT)
        return;
    close(a->fd);
    a->fd = -1;
}

void slots_give(struct slot_area *a, bool told)
{
    struct slot_user *u = a->user;
    if (!told)
        slots_told(a);
    u->used--;
    if (--a->used == 0) {
        if (u->open == a)
            u->open = NULL;
        free_area(a);
    }
    forget_unused(u);
}
