#include "client/ring.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/session.h"

enum { SLOT_PAGE = 4096 };

/* ---- memory ---- */

/* Without the last seal whoever has the descriptor could punch holes under the reader. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

/* Memory that can be shared, its pages there; a forked child does not get it, as it would
 * write where its parent does. */
static void *make_shared(size_t size, int *fd)
{
    void *p = MAP_FAILED;
    *fd = memfd_create("mcptally-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd >= 0 && posix_fallocate(*fd, 0, (off_t)size) == 0)
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (p != MAP_FAILED && madvise(p, size, MADV_DONTFORK) == 0 &&
        fcntl(*fd, F_ADD_SEALS, SEALS) == 0)
        return p;
    if (p != MAP_FAILED)
        munmap(p, size);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return NULL;
}

static void *make_memory(size_t size, bool shared, int *fd)
{
    void *p = shared ? make_shared(size, fd) : NULL;
    if (p)
        return p;
    *fd = -1;
    p = aligned_alloc(_Alignof(struct shm_ring_page), size);
    if (p)
        memset(p, 0, sizeof(struct shm_ring_page)); /* the words are not read before written */
    return p;
}

static void free_memory(struct ring *r)
{
    if (r->fd < 0)
        free(r->shm.page);
    else if (r->shm.page)
        munmap(r->shm.page, shm_ring_bytes(r->shm.mask + 1));
    if (r->fd >= 0)
        close(r->fd);
    if (r->slot_pages)
        munmap(r->slot_pages, RING_SLOT_PAGES * SLOT_PAGE);
    r->shm.page = NULL;
    r->slot_pages = NULL;
    r->fd = -1;
}

/* ---- life ---- */

struct ring *ring_new(struct mcptally *m, uint64_t serial, uint32_t bytes, bool shared)
{
    const uint32_t words = bytes / (uint32_t)sizeof(uint32_t);
    struct ring *r = aligned_alloc(_Alignof(struct ring), sizeof *r);
    int fd;
    void *memory = r ? make_memory(shm_ring_bytes(words), shared, &fd) : NULL;
    if (!memory) {
        free(r);
        return NULL;
    }
    memset(r, 0, sizeof *r);
    shm_ring_init(&r->shm, memory, words, &r->own);
    atomic_init(&r->own.asleep, RING_CAME_HOME);
    r->fd = fd;
    r->serial = serial;
    r->m = m;
    atomic_init(&r->holders, 2);
    return r;
}

void ring_let_go(struct ring *r)
{
    if (atomic_fetch_sub_explicit(&r->holders, 1, memory_order_acq_rel) > 1)
        return;
    free_memory(r);
    free(r);
}

void ring_close(struct ring *r)
{
    free_memory(r);
    atomic_store_explicit(&r->closed, true, memory_order_release);
    ring_let_go(r);
}

void ring_forget(struct ring *r)
{
    if (r->fd >= 0)
        r->shm.page = NULL; /* not mapped here */
    free_memory(r);
    free(r);
}

/* ---- reading at home ---- */

bool ring_next(const struct ring *r, uint64_t head, uint8_t *copy, struct shm_piece *out)
{
    const struct shm_ring *s = &r->shm;
    const int n = shm_piece_next(s->words, s->mask, ring_tail(r), head, copy, out);
    assert(n >= 0);
    return n > 0;
}

void ring_took(struct ring *r, uint32_t words)
{
    const uint64_t tail = atomic_load_explicit(&r->own.tail, memory_order_relaxed);
    assert(r->reader == RING_HOME);
    atomic_store_explicit(&r->own.tail, tail + words, memory_order_release);
}

/* ---- away and back ---- */

/* The thread may look at the page that was in use until now for a little longer: it stays
 * until the next one comes. Pages are replaced in place, so there is always one. */
bool ring_send_away(struct ring *r, int memory, uint32_t slot)
{
    if (!r->slot_pages) {
        void *p =
            mmap(NULL, RING_SLOT_PAGES * SLOT_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return false;
        r->slot_pages = p;
    }
    const unsigned next = (r->slot_page + 1) % RING_SLOT_PAGES;
    uint8_t *page = r->slot_pages + next * SLOT_PAGE;
    const off_t from = (off_t)(slot / SLOT_PAGE * SLOT_PAGE);
    struct stat st;
    const int seals = fcntl(memory, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(memory, &st) < 0 ||
        st.st_size < from + SLOT_PAGE)
        return false;
    if (mmap(page, SLOT_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, memory, from) == MAP_FAILED)
        return false;
    r->slot_page = next;
    r->reader = RING_AWAY;
    shm_ring_set_slot(&r->shm, (const struct shm_ring_slot *)(void *)(page + slot % SLOT_PAGE));
    atomic_store_explicit(&r->away, true, memory_order_release);
    atomic_store_explicit(&r->direct, !atomic_load(&r->m->waker.fence), memory_order_release);
    return true;
}

void ring_bring_home(struct ring *r, uint64_t tail)
{
    atomic_store_explicit(&r->own.tail, tail, memory_order_relaxed);
    shm_ring_set_slot(&r->shm, &r->own);
    atomic_store_explicit(&r->direct, false, memory_order_relaxed);
    atomic_store_explicit(&r->away, false, memory_order_release);
    r->reader = RING_HOME;
}
