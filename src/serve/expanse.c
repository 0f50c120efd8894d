#include "serve/expanse.h"

#include <sys/mman.h>

/* SMALL is of small pages; HUGE is the size of a huge one, and where it has to begin. Of less
 * than LARGE a huge one that is mostly empty would be too much. */
enum { SMALL = 256 << 10, HUGE = 2 << 20, LEAST = 64 << 10, LARGE = 16 << 20 };

static void *map(size_t *size)
{
    for (; *size >= HUGE + SMALL + LEAST; *size /= 2) {
        void *p = mmap(NULL, *size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED)
            return p;
    }
    return NULL;
}

/* Bytes from p to where a huge page can begin. */
static size_t to_boundary(const char *p)
{
    return -(uintptr_t)p & (HUGE - 1);
}

bool expanse_init(struct expanse *e, size_t max)
{
    *e = (struct expanse){.size = max + 2 * HUGE, .huge = max >= LARGE};
    e->map = map(&e->size);
    if (!e->map)
        return false;
    char *const begin = e->map, *const end = begin + e->size;
    char *const huge = begin + SMALL + to_boundary(begin + SMALL);
    char *const p = huge - SMALL;
    const size_t room = (size_t)(end - p);
    /* Where there are none it is a hint that nobody takes. */
    if (e->huge)
        (void)madvise(huge, (size_t)(end - huge), MADV_HUGEPAGE);
    e->text.p = p;
    e->text.cap = e->text.max = room < max ? room : max;
    return true;
}

/* Bytes from the text's begin to the end of the huge page that n ends in. */
static size_t to_end(size_t n)
{
    return n <= SMALL ? SMALL : SMALL + (n - SMALL + HUGE - 1) / HUGE * HUGE;
}

size_t expanse_bytes(const struct expanse *e)
{
    return e->huge && e->text.n > SMALL ? to_end(e->text.n) : e->text.n;
}

void expanse_fini(struct expanse *e)
{
    if (e->map)
        munmap(e->map, e->size);
    *e = (struct expanse){0};
}

void expanse_reset(struct expanse *e, size_t keep)
{
    const size_t kept = keep <= SMALL ? SMALL : SMALL + (keep - SMALL) / HUGE * HUGE;
    const size_t room = (size_t)((char *)e->map + e->size - e->text.p);
    const size_t end = to_end(e->text.n) < room ? to_end(e->text.n) : room;
    if (end > kept)
        madvise(e->text.p + kept, end - kept, MADV_DONTNEED);
    buf_reset(&e->text);
}
