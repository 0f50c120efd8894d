#include "daemon/shed.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- code and constants ---- */

/* Code that the loader has written to is not in any file. */
static bool is_written(const struct dl_phdr_info *o, const ElfW(Phdr) * dynamic)
{
    const ElfW(Dyn) *d = (const void *)(o->dlpi_addr + dynamic->p_vaddr);
    for (; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
            return true;
    return false;
}

static void drop(uintptr_t from, uintptr_t to, uintptr_t page)
{
    from &= ~(page - 1);
    to &= ~(page - 1);
    if (from < to)
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* the vdso does not let us */
}

enum { SEGMENTS = 16 }; /* of an object: five are usual */

/* The table of segments lies in one of them: dropped before it is read to its end, that would
 * come back, with its neighbours. */
static int drop_object(struct dl_phdr_info *o, size_t size, void *arg)
{
    const uintptr_t *page = arg;
    struct {
        uintptr_t from, to;
    } segment[SEGMENTS];
    unsigned n = 0;
    (void)size;
    for (unsigned i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &o->dlpi_phdr[i];
        if (h->p_type == PT_DYNAMIC && is_written(o, h))
            return 0;
        if (h->p_type != PT_LOAD || (h->p_flags & PF_W) || n == SEGMENTS)
            continue;
        segment[n].from = o->dlpi_addr + h->p_vaddr;
        segment[n].to = segment[n].from + h->p_memsz;
        n++;
    }
    while (n-- > 0)
        drop(segment[n].from, segment[n].to, *page);
    return 0;
}

/* ---- zeros ---- */

static bool is_zero(const uint64_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof *p; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static void drop_zeros(uintptr_t at, uintptr_t end, uintptr_t page)
{
    for (uintptr_t run = at; at < end; at += page) {
        const bool zero = is_zero((const void *)at, page);
        if (!zero || at + page >= end)
            drop(run, zero ? at + page : at, page);
        if (!zero)
            run = at + page;
    }
}

/* A fork may have left the heap in several parts. */
static void drop_heap(uintptr_t page)
{
    char line[512];
    uintptr_t from, to;
    FILE *f = fopen("/proc/self/maps", "re");
    while (f && fgets(line, sizeof line, f))
        if (strstr(line, " [heap]") && sscanf(line, "%lx-%lx", &from, &to) == 2)
            drop_zeros(from, to, page);
    if (f)
        fclose(f);
}

void shed(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    malloc_trim(0);
    drop_heap(page);
    dl_iterate_phdr(drop_object, &page);
}
