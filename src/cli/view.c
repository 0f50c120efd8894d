#include "cli/view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "store/commit.h"

enum { OPEN_TRIES = 20, SETTLE_TRIES = 64 };

static const struct timespec open_pause = {.tv_nsec = 10000000}, settle_pause = {.tv_nsec = 50000};

/* Whether a daemon holds the lock that a second one would ask for. */
static bool locked(int fd)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static int map_live(struct view *v)
{
    void *mem = mmap(NULL, v->size, PROT_READ, MAP_SHARED, v->fd, 0);
    if (mem == MAP_FAILED)
        return -ERR_IO;
    v->mem = mem;
    v->live = true;
    if (__atomic_load_n((const uint64_t *)mem, __ATOMIC_RELAXED) == 0)
        return -ERR_BUSY; /* it is being laid out */
    return store_attach_reader(&v->store, mem, v->size);
}

/* Reads [at, end) of the file into the same place of the copy. */
static int read_range(const struct view *v, off_t at, off_t end)
{
    while (at < end) {
        const ssize_t n = pread(v->fd, (char *)v->mem + at, (size_t)(end - at), at);
        if (n < 0 && errno != EINTR)
            return -ERR_IO;
        if (n == 0) /* it became shorter: the checks will tell */
            return 0;
        at += n > 0 ? n : 0;
    }
    return 0;
}

/* Reads what has pages behind it; holes stay zero and cost nothing. */
static int read_data(const struct view *v)
{
    const off_t size = (off_t)v->size;
    for (off_t at = 0; at < size;) {
        const off_t data = lseek(v->fd, at, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : -ERR_IO;
        off_t hole = lseek(v->fd, data, SEEK_HOLE);
        if (hole < 0)
            return -ERR_IO;
        if (hole > size)
            hole = size;
        const int r = read_range(v, data, hole);
        if (r < 0)
            return r;
        at = hole;
    }
    return 0;
}

/* The words that a daemon changes first when it attaches, and last. */
static bool same_state(const struct view *v)
{
    uint64_t starts = 0, commit = 0;
    const struct store_head *h = v->mem;
    const bool read = pread(v->fd, &starts, 8, offsetof(struct store_head, starts)) == 8 &&
                      pread(v->fd, &commit, 8, offsetof(struct store_head, commit)) == 8;
    return read && starts == h->starts && commit == h->commit && !locked(v->fd);
}

static int map_copy(struct view *v)
{
    void *mem = mmap(NULL, v->size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mem == MAP_FAILED)
        return -ERR_NOMEM;
    v->mem = mem;
    v->live = false;
    int r = read_data(v);
    if (r < 0)
        return r;
    if (!same_state(v))
        return -ERR_BUSY;
    r = store_attach_reader(&v->store, mem, v->size);
    if (r < 0)
        return r;
    r = store_rollback(&v->store);
    return r < 0 ? r : 0;
}

static int open_file(struct view *v, const char *path)
{
    struct stat s;
    v->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (v->fd < 0 || fstat(v->fd, &s) < 0)
        return -ERR_IO;
    if (!S_ISREG(s.st_mode) || s.st_size < (off_t)STORE_MIN)
        return -ERR_DAMAGED;
    v->size = (size_t)s.st_size;
    v->file = s.st_ino;
    return 0;
}

int view_open(struct view *v, const char *path)
{
    for (int i = 1;; i++) {
        *v = (struct view){.fd = -1};
        int r = open_file(v, path);
        if (r == 0)
            r = locked(v->fd) ? map_live(v) : map_copy(v);
        if (r == 0)
            return 0;
        const int error = errno;
        view_close(v);
        errno = error;
        if (r != -ERR_BUSY || i == OPEN_TRIES)
            return r;
        nanosleep(&open_pause, NULL);
    }
}

void view_close(struct view *v)
{
    if (v->mem)
        munmap(v->mem, v->size);
    if (v->fd >= 0)
        close(v->fd);
    *v = (struct view){.fd = -1};
}

bool view_current(const struct view *v, const char *path)
{
    struct stat s;
    if (stat(path, &s) < 0)
        return errno == ENOENT; /* nothing newer to see */
    return s.st_ino == v->file && locked(v->fd) == v->live &&
           !(v->live && __atomic_load_n(&v->store.head->superseded, __ATOMIC_RELAXED));
}

static void read_rings(const struct view *v, struct view_ring out[RING_MAX])
{
    for (int r = 0; r < RING_MAX; r++) {
        const struct ring_head *h = &v->store.head->ring[r];
        out[r].tail = __atomic_load_n(&h->tail, __ATOMIC_RELAXED);
        out[r].head = __atomic_load_n(&h->head, __ATOMIC_RELAXED);
        out[r].tail_seq = __atomic_load_n(&h->tail_seq, __ATOMIC_RELAXED);
    }
}

void view_settle(struct view *v)
{
    const uint64_t *commit = &v->store.head->commit;
    struct view_ring now[RING_MAX];
    for (int i = 0; i < SETTLE_TRIES; i++) {
        const uint64_t before = __atomic_load_n(commit, __ATOMIC_ACQUIRE);
        read_rings(v, now);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (COMMIT_COUNT(before) == 0 && __atomic_load_n(commit, __ATOMIC_RELAXED) == before) {
            memcpy(v->ring, now, sizeof now);
            v->settled = true;
            return;
        }
        nanosleep(&settle_pause, NULL);
    }
}

int view_report(const char *path, int error)
{
    const int why = errno;
    if (error == -ERR_IO && why == ENOENT)
        cli_error("no store at %s: no daemon has run there", path);
    else if (error == -ERR_IO)
        cli_error("cannot read the store %s: %s", path, strerror(why));
    else
        cli_error("cannot read the store %s: %s", path, err_help(error));
    return error == -ERR_IO ? cli_exit_of(why) : CLI_FAILURE;
}
