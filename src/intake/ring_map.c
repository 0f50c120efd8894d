#include "intake/ring_map.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Memory that its owner can truncate, or punch holes into, is a SIGBUS of ours; so is a
 * huge page that the kernel cannot have, sealed or not. Pages that the producer has paid
 * for are none that we would be charged with. */
static bool is_safe(int fd, size_t size)
{
    const int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    const int seals = fcntl(fd, F_GET_SEALS);
    struct statfs fs;
    struct stat st;
    return seals >= 0 && (seals & want) == want && fstatfs(fd, &fs) == 0 &&
           fs.f_type == TMPFS_MAGIC && fstat(fd, &st) == 0 && (size_t)st.st_size == size &&
           (size_t)st.st_blocks * 512 >= size;
}

int ring_map_open(struct ring_map *m, int fd, uint32_t words)
{
    const size_t size = shm_ring_bytes(words);
    if (!is_safe(fd, size))
        return -ERR_PERM;
    const void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -ERR_NOMEM;
    *m = (struct ring_map){
        .page = p,
        .words = (const uint32_t *)(const void *)((const uint8_t *)p + SHM_RING_PAGE),
        .mask = words - 1,
    };
    return 0;
}

void ring_map_close(struct ring_map *m)
{
    if (m->page)
        munmap((void *)(uintptr_t)m->page, shm_ring_bytes(m->mask + 1));
    m->page = NULL;
}
