#include "daemon/storefile.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/copy.h"
#include "store/migrate.h"

enum { STORE_MODE = 0640, STORE_PAGE = 4096, OPEN_TRIES = 8, ASIDES_KEPT = 2 };

static int failed(struct storefile *s, int result, const char *what)
{
    snprintf(s->why, sizeof s->why, "%s: %s: %s", s->path, what, strerror(errno));
    return result;
}

static int refused(struct storefile *s, int result, const char *what)
{
    snprintf(s->why, sizeof s->why, "%s: %s", s->path, what);
    return result;
}

/* ---- identity ---- */

/* The boot id, a UUID in text, as 128 bits. */
static int read_boot_id(uint64_t id[2])
{
    char text[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return -ERR_IO;
    unsigned digits = 0;
    for (ssize_t i = 0; i < n && digits < 32; i++) {
        const char *hex = "0123456789abcdef", *at = strchr(hex, text[i]);
        if (text[i] && at)
            id[digits / 16] = id[digits / 16] << 4 | (uint64_t)(at - hex), digits++;
    }
    return digits == 32 ? 0 : -ERR_IO;
}

static bool random_word(uint64_t *word)
{
    return getrandom(word, sizeof *word, 0) == (ssize_t)sizeof *word;
}

static int make_identity(struct store_identity *me)
{
    *me = (struct store_identity){0};
    if (read_boot_id(me->boot_id) < 0)
        return -ERR_IO;
    while (me->store_id == 0)
        if (!random_word(&me->store_id))
            return -ERR_IO;
    if (!random_word(&me->secret))
        return -ERR_IO;
    return 0;
}

/* ---- lock ---- */

static int lock(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -ERR_BUSY : -ERR_IO;
}

static int busy(struct storefile *s, int fd)
{
    uint64_t probe[MIGRATE_PROBE / sizeof(uint64_t)] = {0}, pid = 0;
    if (pread(fd, probe, sizeof probe, 0) != sizeof probe ||
        pread(fd, &pid, sizeof pid, (off_t)migrate_offset(probe, MIGRATE_PID)) != sizeof pid ||
        pid == 0)
        snprintf(s->why, sizeof s->why, "%s: another mcptallyd is starting here", s->path);
    else
        snprintf(s->why, sizeof s->why, "%s: mcptallyd with pid %llu is running here", s->path,
                 (unsigned long long)pid);
    return -ERR_BUSY;
}

/* Whether the path still leads to the descriptor: another daemon may have
 * renamed between our open() and our lock. */
static bool still_there(const char *path, int fd)
{
    struct stat a, b;
    return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

/* Opens and locks a path: a descriptor, -ERR_NOTFOUND or another error. */
static int open_locked(struct storefile *s, const char *path, int flags)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, STORE_MODE);
        if (fd < 0)
            return errno == ENOENT   ? -ERR_NOTFOUND
                   : errno == EACCES ? failed(s, -ERR_PERM, "open")
                                     : failed(s, -ERR_IO, "open");
        int r = lock(fd);
        if (r == 0 && still_there(path, fd))
            return fd;
        if (r == -ERR_BUSY)
            r = busy(s, fd);
        else if (r < 0)
            r = failed(s, r, "lock");
        close(fd);
        if (r < 0)
            return r;
    }
    return refused(s, -ERR_BUSY, "another mcptallyd is starting here");
}

/* ---- mapping ---- */

/* Another user who could truncate the file could end us with SIGBUS. */
static int check_owner(struct storefile *s, const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return refused(s, -ERR_PERM, "is not a regular file");
    if (st->st_uid != geteuid())
        return refused(s, -ERR_PERM, "belongs to another user");
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return refused(s, -ERR_PERM, "can be written by others");
    return 0;
}

static int map(struct storefile *s)
{
    struct stat st;
    if (fstat(s->fd, &st) < 0)
        return failed(s, -ERR_IO, "stat");
    int r = check_owner(s, &st);
    if (r < 0)
        return r;
    s->size = (size_t)st.st_size;
    if (s->size < STORE_MIN)
        return refused(s, -ERR_DAMAGED, "is too small for a store");
    s->mem = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (s->mem == MAP_FAILED) {
        s->mem = NULL;
        return failed(s, -ERR_NOMEM, "mmap");
    }
    return 0;
}

static void unmap(struct storefile *s)
{
    if (s->mem)
        munmap(s->mem, s->size);
    if (s->fd >= 0)
        close(s->fd);
    s->mem = NULL;
    s->fd = -1;
}

/* Memory behind the pages before they are touched: a tmpfs that is full is then
 * an error code and not a SIGBUS. */
static int reserve(void *arg, uint64_t offset, uint64_t size)
{
    const struct storefile *s = arg;
    return posix_fallocate(s->fd, (off_t)offset, (off_t)size) == 0 ? 0 : -ERR_FULL;
}

/* ---- new stores ---- */

/* Files that were set aside lie in memory: only the newest few are kept. */
static void prune_asides(const struct storefile *s)
{
    char pattern[sizeof s->path + 16];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s.damaged-*", s->path);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i + ASIDES_KEPT <= found.gl_pathc; i++)
        (void)unlink(found.gl_pathv[i]);
    globfree(&found);
}

/* The old file's name gives way; the new one's follows. One rename replaces the
 * path, so there is no moment without a store. */
static int take_name(struct storefile *s, const char *fresh, bool replaces)
{
    char aside[sizeof s->path + 64];
    if (replaces)
        prune_asides(s);
    for (unsigned i = 0; replaces; i++) {
        const struct when now = clock_now();
        snprintf(aside, sizeof aside, "%s.damaged-%llu.%u", s->path,
                 (unsigned long long)(now.wall / NS_PER_S), i);
        if (link(s->path, aside) == 0)
            break;
        if (errno != EEXIST)
            return failed(s, -ERR_IO, "set aside");
    }
    return rename(fresh, s->path) == 0 ? 0 : failed(s, -ERR_IO, "rename");
}

/* A new file beside the path, locked and mapped, whose bytes are all zero. */
static int make_fresh(struct storefile *s, const char *fresh, uint64_t size, bool replaces)
{
    s->fd = open_locked(s, fresh, O_CREAT);
    if (s->fd < 0)
        return s->fd;
    /* A lock on a new store.new means that nobody else is making one, but somebody
     * may just have finished. */
    if (!replaces && access(s->path, F_OK) == 0) {
        (void)unlink(fresh);
        return refused(s, -ERR_BUSY, "another mcptallyd is starting here");
    }
    if (ftruncate(s->fd, 0) < 0 || fchmod(s->fd, STORE_MODE) < 0 ||
        ftruncate(s->fd, (off_t)size) < 0)
        return failed(s, -ERR_IO, "make store.new");
    return map(s);
}

/* What was mapped, when something else takes its place. */
struct old {
    int fd;
    void *mem;
    size_t size;
};

static struct old step_back(struct storefile *s)
{
    const struct old old = {s->fd, s->mem, s->size};
    s->fd = -1;
    s->mem = NULL;
    return old;
}

static void step_forth(struct storefile *s, const struct old *old)
{
    unmap(s);
    s->fd = old->fd;
    s->mem = old->mem;
    s->size = old->size;
}

/* A word of a head that may be of another version. */
static uint64_t *plain_word(void *mem, enum migrate_word word)
{
    return (uint64_t *)(void *)((uint8_t *)mem + migrate_offset(mem, word));
}

/* The old file stays locked until the new one has its name. */
static void supersede(const struct old *old)
{
    if (old->mem) {
        *plain_word(old->mem, MIGRATE_SUPERSEDED) = 1;
        munmap(old->mem, old->size);
    }
    close(old->fd);
}

static int create(struct storefile *s, uint64_t size, bool replaces, struct when now)
{
    char fresh[sizeof s->path + 8];
    struct store_identity me;
    snprintf(fresh, sizeof fresh, "%s.new", s->path);
    int r = make_identity(&me) < 0 ? failed(s, -ERR_IO, "boot id and random bits")
                                   : make_fresh(s, fresh, size, replaces);
    if (r == 0)
        r = store_create(&s->store, s->mem, s->size, &me, reserve, s, now);
    if (r < 0)
        return *s->why ? r : refused(s, r, err_help(r));
    return take_name(s, fresh, replaces);
}

/* ---- from one file to another ---- */

static int replace(struct storefile *s, uint64_t size, struct when now)
{
    const struct old old = step_back(s);
    char why[sizeof s->why];
    memcpy(why, s->why, sizeof why);
    *s->why = '\0';
    int r = create(s, size, true, now);
    if (r < 0) {
        step_forth(s, &old);
        return r;
    }
    supersede(&old);
    memcpy(s->why, why, sizeof why);
    s->how = STOREFILE_REPLACED;
    return 0;
}

/* Copies the store that is mapped into a new file, as the same store to every
 * producer and reader. -ERR_FULL: it does not fit; the old one is untouched. */
static int copy(struct storefile *s, const struct store_identity *me, uint64_t size,
                struct when now)
{
    char fresh[sizeof s->path + 8];
    snprintf(fresh, sizeof fresh, "%s.new", s->path);
    int r = store_rollback_old(s->mem, s->size);
    if (r < 0)
        return r;
    const struct old old = step_back(s);
    r = make_fresh(s, fresh, size, true);
    if (r == 0)
        r = store_create(&s->store, s->mem, s->size, me, reserve, s, now);
    if (r == 0)
        r = store_copy(old.mem, old.size, &s->store, now);
    if (r == 0)
        r = take_name(s, fresh, false);
    if (r < 0) {
        store_detach(&s->store, false);
        (void)unlink(fresh);
        step_forth(s, &old);
        return r;
    }
    supersede(&old);
    s->how = STOREFILE_COPIED;
    return 0;
}

static int attach(struct storefile *s, const struct store_identity *me, struct when now)
{
    int r = store_attach(&s->store, s->mem, s->size, me, reserve, s, now);
    if (r < 0)
        return refused(s, r, err_help(r));
    s->how = r == STORE_CONTINUED ? STOREFILE_CONTINUED : STOREFILE_NEW;
    return 0;
}

/* Goes on with the store that is mapped, in another file where it has to be. */
static int go_on(struct storefile *s, uint64_t size, struct when now)
{
    struct store_identity me, its;
    if (make_identity(&me) < 0)
        return failed(s, -ERR_IO, "boot id and random bits");
    const bool whole = store_identify(s->mem, s->size, &its) == 0;
    const bool ours = whole && memcmp(its.boot_id, me.boot_id, sizeof me.boot_id) == 0;
    const bool earlier = ours && ((struct store_head *)s->mem)->version != STORE_VERSION;
    int r = 0;
    its.secret = me.secret;
    s->clean = whole && *plain_word(s->mem, MIGRATE_CLEAN);
    if (ours && (earlier || s->size != size / STORE_PAGE * STORE_PAGE)) {
        r = copy(s, &its, size, now);
        if (r == -ERR_FULL && earlier) /* versions differ in what a size has room for */
            r = copy(s, &its, 2 * size, now);
        if (r == 0)
            return 0;
        snprintf(s->why, sizeof s->why, "%s: cannot be copied to %llu bytes: %s", s->path,
                 (unsigned long long)size, err_help(r));
    }
    if (earlier)
        return -ERR_VERSION;
    return attach(s, &me, now);
}

/* ---- interface ---- */

static bool can_replace(int error)
{
    return error == -ERR_DAMAGED || error == -ERR_VERSION;
}

static int open_existing(struct storefile *s, uint64_t size, struct when now)
{
    int r = map(s);
    if (r == 0)
        r = go_on(s, size, now);
    return can_replace(r) ? replace(s, size, now) : r;
}

int storefile_open(struct storefile *s, const char *dir, uint64_t size, struct when now)
{
    *s = (struct storefile){.fd = -1};
    if (paths_join(s->path, sizeof s->path, dir, "store") < 0)
        return refused(s, -ERR_RANGE, "path too long");
    int r = open_locked(s, s->path, 0);
    if (r >= 0) {
        s->fd = r;
        r = open_existing(s, size, now);
    } else if (r == -ERR_NOTFOUND) {
        r = create(s, size, false, now);
    }
    if (r < 0)
        unmap(s);
    else
        s->store.head->pid = (uint64_t)getpid();
    return r;
}

int storefile_replace(struct storefile *s, uint64_t size, const char *why, struct when now)
{
    store_detach(&s->store, false);
    refused(s, 0, why);
    int r = replace(s, size, now);
    if (r < 0)
        unmap(s);
    else
        s->store.head->pid = (uint64_t)getpid();
    return r;
}

void storefile_close(struct storefile *s, bool clean)
{
    if (s->store.base) {
        s->store.head->pid = 0;
        store_detach(&s->store, clean);
    }
    unmap(s);
}
