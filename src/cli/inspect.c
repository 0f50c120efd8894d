#include "cli/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/view.h"
#include "spool/spool.h"
#include "store/commit.h"

static const struct timespec copy_pause = {.tv_nsec = 20000000};

/* ---- the store ---- */

static uint64_t commit_word(const struct view *v)
{
    return __atomic_load_n(&v->store.head->commit, __ATOMIC_ACQUIRE);
}

/* Copies what has pages behind it; holes stay zero and cost nothing. */
static uint64_t copy_data(const struct view *v, uint8_t *to)
{
    uint64_t copied = 0;
    for (off_t at = 0; at < (off_t)v->size;) {
        const off_t data = lseek(v->fd, at, SEEK_DATA);
        off_t hole = data < 0 ? -1 : lseek(v->fd, data, SEEK_HOLE);
        if (hole < 0)
            break;
        if (hole > (off_t)v->size)
            hole = (off_t)v->size;
        memcpy(to + data, v->store.base + data, (size_t)(hole - data));
        copied += (uint64_t)(hole - data);
        at = hole;
    }
    return copied;
}

static int check_copy(void *copy, size_t size, char *why, size_t why_size)
{
    struct store st;
    int r = store_attach_reader(&st, copy, size);
    if (r == 0)
        r = store_rollback(&st);
    if (r < 0) {
        snprintf(why, why_size, "%s", err_help(r));
        return r;
    }
    return store_check(&st, why, why_size);
}

/* One copy of a live store: whether it shows one moment. */
static bool try_copy(const struct view *v, struct inspect_store *out, int *result)
{
    void *copy = mmap(NULL, v->size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (copy == MAP_FAILED) {
        snprintf(out->why, sizeof out->why, "no memory for a copy");
        *result = -ERR_NOMEM;
        return true;
    }
    const uint64_t before = commit_word(v);
    out->bytes = copy_data(v, copy);
    const bool still = commit_word(v) == before;
    *result = check_copy(copy, v->size, out->why, sizeof out->why);
    munmap(copy, v->size);
    return still;
}

/* A copy that is whole although it changed meanwhile is whole; one that is not may be
 * the fault of the copying. */
static int check_live(const struct view *v, unsigned tries, struct inspect_store *out)
{
    int result = -ERR_BUSY;
    for (out->copies = 1;; out->copies++) {
        const bool still = try_copy(v, out, &result);
        if (still || result == 0)
            return result;
        if (out->copies >= tries)
            return -ERR_BUSY;
        nanosleep(&copy_pause, NULL);
    }
}

static enum inspect_verdict verdict_of(int result)
{
    switch (result) {
    case 0:
        return INSPECT_WHOLE;
    case -ERR_DAMAGED:
        return INSPECT_DAMAGED;
    case -ERR_BUSY:
        return INSPECT_BUSY;
    default:
        return INSPECT_UNREADABLE;
    }
}

void inspect_store(const char *path, unsigned tries, struct inspect_store *out)
{
    struct view v;
    *out = (struct inspect_store){.copies = 1};
    int r = view_open(&v, path);
    if (r < 0) {
        const int why = errno;
        const bool absent = r == -ERR_IO && why == ENOENT;
        snprintf(out->why, sizeof out->why, "%s", r == -ERR_IO ? strerror(why) : err_help(r));
        out->verdict = absent ? INSPECT_ABSENT : verdict_of(r);
        return;
    }
    out->live = v.live;
    out->bytes = v.size;
    r = v.live ? check_live(&v, tries, out) : store_check(&v.store, out->why, sizeof out->why);
    out->verdict = verdict_of(r);
    if (r == 0) {
        out->metrics = v.store.head->table[TABLE_METRICS].live;
        out->series = series_count(&v.store);
    }
    view_close(&v);
}

/* ---- a spool ---- */

/* A disk that cannot be written to: the spool reads what is there and changes nothing. */

static int no_create(void *arg, const char *name, uint64_t size, int *file)
{
    (void)arg, (void)name, (void)size, (void)file;
    return -ERR_PERM;
}

static int no_write(void *arg, int file, uint64_t at, const void *p, size_t n)
{
    (void)arg, (void)file, (void)at, (void)p, (void)n;
    return -ERR_PERM;
}

static int no_sync(void *arg, int file)
{
    (void)arg, (void)file;
    return -ERR_PERM;
}

static int no_cut(void *arg, int file, uint64_t size)
{
    (void)arg, (void)file, (void)size;
    return -ERR_PERM;
}

static int no_rename(void *arg, const char *from, const char *to)
{
    (void)arg, (void)from, (void)to;
    return -ERR_PERM;
}

static int no_remove(void *arg, const char *name)
{
    (void)arg, (void)name;
    return -ERR_PERM;
}

static int no_sync_dir(void *arg)
{
    (void)arg;
    return -ERR_PERM;
}

static int on_open(void *arg, const char *name, bool write, int *file, uint64_t *size)
{
    struct stat st;
    if (write)
        return -ERR_PERM;
    const int fd = openat(*(int *)arg, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? -ERR_NOTFOUND : -ERR_IO;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -ERR_PERM;
    }
    *file = fd;
    *size = (uint64_t)st.st_size;
    return 0;
}

static int on_read(void *arg, int file, uint64_t at, void *to, size_t n)
{
    const ssize_t got = pread(file, to, n, (off_t)at);
    (void)arg;
    return got < 0 ? -ERR_IO : (int)got;
}

static void on_close(void *arg, int file)
{
    (void)arg;
    close(file);
}

static int on_list(void *arg, void (*each)(void *each_arg, const char *name), void *each_arg)
{
    const int fd = openat(*(int *)arg, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return -ERR_IO;
    }
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        each(each_arg, e->d_name);
    closedir(d);
    return 0;
}

/* Nothing is to be dropped for its age or its size. */
static int open_spool(int *dir, struct spool **out)
{
    const struct spool_io io = {
        .arg = dir,
        .create = no_create,
        .open = on_open,
        .read = on_read,
        .write = no_write,
        .sync = no_sync,
        .cut = no_cut,
        .close = on_close,
        .rename = no_rename,
        .remove = no_remove,
        .sync_dir = no_sync_dir,
        .list = on_list,
    };
    const struct spool_options o = {.bytes = UINT64_MAX / 4, .segment = 1 << 20};
    return spool_open(out, &io, &o, clock_now());
}

enum { READ_TRIES = 100 }; /* of a record that cannot be read: then it is damaged */

static int read_all(struct spool *s, struct inspect_spool *out)
{
    struct spool_record record;
    unsigned failures = 0;
    for (uint64_t seq = 0;;) {
        const int r = spool_read(s, seq, &record);
        if (r == 0)
            return 0;
        if (r < 0 && ++failures > READ_TRIES)
            return r;
        if (r < 0)
            continue;
        failures = 0;
        out->records++;
        out->items += record.items;
        seq = record.seq + 1;
    }
}

void inspect_spool(const char *dir, struct inspect_spool *out)
{
    struct spool *s = NULL;
    struct spool_stats stats;
    *out = (struct inspect_spool){.verdict = INSPECT_UNREADABLE};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        out->verdict = errno == ENOENT ? INSPECT_ABSENT : INSPECT_UNREADABLE;
        snprintf(out->why, sizeof out->why, "%s", strerror(errno));
        return;
    }
    int r = open_spool(&fd, &s);
    if (r == 0)
        r = read_all(s, out);
    if (r == 0) {
        spool_stats(s, &stats);
        out->bytes = stats.bytes;
        out->damaged_records = stats.dropped_records[SPOOL_DAMAGED];
        out->set_aside = stats.set_aside;
        out->verdict = out->damaged_records ? INSPECT_DAMAGED : INSPECT_WHOLE;
    } else {
        snprintf(out->why, sizeof out->why, "%s", err_help(r));
    }
    spool_close(s);
    close(fd);
}
