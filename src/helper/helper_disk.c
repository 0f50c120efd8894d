/* Real files for a spool: one directory, which nobody else can write to. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "helper/child.h"

enum {
    LOCK_TRIES = 200, /* while the helper of a daemon that was killed finishes */
    LOCK_US = 5000,
};

int disk_error(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return -ERR_FULL;
    case EROFS:
    case EACCES:
    case EPERM:
    case ELOOP:
    case EISDIR:
        return -ERR_PERM;
    case ENOENT:
    case ENOTDIR:
        return -ERR_NOTFOUND;
    case ENOMEM:
        return -ERR_NOMEM;
    default:
        return -ERR_IO;
    }
}

static struct disk *disk_of(void *arg)
{
    return arg;
}

/* Some file systems cannot preallocate: then a full disk is met by a write. */
static int preallocate(int fd, uint64_t size)
{
    if (fallocate(fd, 0, 0, (off_t)size) == 0)
        return 0;
    return errno == EOPNOTSUPP ? ftruncate(fd, (off_t)size) : -1;
}

static int on_create(void *arg, const char *name, uint64_t size, int *file)
{
    const int dir = disk_of(arg)->dir;
    const int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return disk_error(errno);
    if (preallocate(fd, size) < 0) {
        const int r = disk_error(errno);
        close(fd);
        unlinkat(dir, name, 0);
        return r;
    }
    *file = fd;
    return 0;
}

static int on_open(void *arg, const char *name, bool write, int *file, uint64_t *size)
{
    struct stat st;
    const int flags = (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    const int fd = openat(disk_of(arg)->dir, name, flags);
    if (fd < 0)
        return disk_error(errno);
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
    size_t got = 0;
    (void)arg;
    while (got < n) {
        const ssize_t r = pread(file, (char *)to + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return disk_error(errno);
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (int)got;
}

static int on_write(void *arg, int file, uint64_t at, const void *p, size_t n)
{
    (void)arg;
    for (size_t done = 0; done < n;) {
        const ssize_t r = pwrite(file, (const char *)p + done, n - done, (off_t)(at + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? disk_error(errno) : -ERR_IO;
        done += (size_t)r;
    }
    return 0;
}

static int on_sync(void *arg, int file)
{
    (void)arg;
    return fdatasync(file) == 0 ? 0 : disk_error(errno);
}

static int on_cut(void *arg, int file, uint64_t size)
{
    (void)arg;
    return ftruncate(file, (off_t)size) == 0 ? 0 : disk_error(errno);
}

static void on_close(void *arg, int file)
{
    (void)arg;
    close(file);
}

static int on_rename(void *arg, const char *from, const char *to)
{
    const int dir = disk_of(arg)->dir;
    return renameat(dir, from, dir, to) == 0 ? 0 : disk_error(errno);
}

static int on_remove(void *arg, const char *name)
{
    return unlinkat(disk_of(arg)->dir, name, 0) == 0 ? 0 : disk_error(errno);
}

static int on_sync_dir(void *arg)
{
    return fsync(disk_of(arg)->dir) == 0 ? 0 : disk_error(errno);
}

static int on_list(void *arg, void (*each)(void *each_arg, const char *name), void *each_arg)
{
    const int fd = openat(disk_of(arg)->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        const int r = disk_error(errno);
        if (fd >= 0)
            close(fd);
        return r;
    }
    errno = 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL; errno = 0)
        each(each_arg, e->d_name);
    const int r = errno ? disk_error(errno) : 0;
    closedir(d);
    return r;
}

void disk_io(struct disk *d, struct spool_io *io)
{
    *io = (struct spool_io){
        .arg = d,
        .create = on_create,
        .open = on_open,
        .read = on_read,
        .write = on_write,
        .sync = on_sync,
        .cut = on_cut,
        .close = on_close,
        .rename = on_rename,
        .remove = on_remove,
        .sync_dir = on_sync_dir,
        .list = on_list,
    };
}

/* ---- the directory ---- */

/* A directory in another that is made when it is not there; ours alone. */
static int enter(int at, const char *name)
{
    struct stat st;
    const bool made = mkdirat(at, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return disk_error(errno);
    if (made && fsync(at) < 0)
        return disk_error(errno);
    const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return disk_error(errno);
    if (fstat(fd, &st) < 0 || (st.st_uid != geteuid() && st.st_uid != 0) ||
        (st.st_mode & S_IWOTH)) {
        close(fd);
        return -ERR_PERM;
    }
    return fd;
}

/* The state directory is made with what leads to it: ~/.local/state may not be there. */
int disk_make_path(const char *path)
{
    char part[4096];
    const size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return -ERR_RANGE;
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != 0)
            continue;
        part[i] = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            return disk_error(errno);
        part[i] = path[i];
    }
    return 0;
}

/* Of a daemon that was killed the helper may still be writing what it had been given. */
int disk_lock(int dir)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(dir, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK)
            return disk_error(errno);
        usleep(LOCK_US);
    }
    return -ERR_BUSY;
}

int disk_open(struct disk *d, const char *state_dir, const char *name)
{
    int r = disk_make_path(state_dir);
    if (r < 0)
        return r;
    const int state = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state < 0)
        return disk_error(errno);
    const int all = enter(state, "spool");
    close(state);
    if (all < 0)
        return all;
    const int dir = enter(all, name);
    close(all);
    if (dir < 0)
        return dir;
    r = disk_lock(dir);
    if (r < 0) {
        close(dir);
        return r;
    }
    d->dir = dir;
    return 0;
}

void disk_close(struct disk *d)
{
    if (d->dir >= 0)
        close(d->dir);
    d->dir = -1;
}

/* ---- small files ---- */

static int read_all(int fd, char **bytes, uint32_t *n)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return disk_error(errno);
    if (!S_ISREG(st.st_mode))
        return -ERR_PERM;
    if (st.st_size > HELPER_FILE)
        return -ERR_RANGE;
    char *p = malloc((size_t)st.st_size + 1);
    if (!p)
        return -ERR_NOMEM;
    const int got = on_read(NULL, fd, 0, p, (size_t)st.st_size);
    if (got < 0) {
        free(p);
        return got;
    }
    *bytes = p;
    *n = (uint32_t)got;
    return 0;
}

int disk_read_file(const char *path, char **bytes, uint32_t *n)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == EISDIR ? -ERR_PERM : disk_error(errno);
    const int r = read_all(fd, bytes, n);
    close(fd);
    return r;
}

void disk_usage(struct answers *answers, const struct message *question, const char *state_dir)
{
    struct message m = *question;
    struct statvfs f;
    if (statvfs(state_dir, &f) == 0) {
        /* As df(1) has it: what is kept for root is neither used nor left. */
        m.seq = (uint64_t)(f.f_blocks - f.f_bfree + f.f_bavail) * f.f_frsize;
        m.written = (uint64_t)f.f_bavail * f.f_frsize;
    } else {
        m.error = disk_error(errno);
    }
    answers_send(answers, &m, NULL);
}
