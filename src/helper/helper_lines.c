/* Files of lines that only grow, in the helper. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/child.h"

enum { PATH_BYTES = 4096 + 8 };

struct line_file {
    int fd; /* -1: not open */
    char path[PATH_BYTES];
    struct helper_lines_options o;
    bool torn; /* a line without an end may be at the end */
};

struct lines {
    const char *state_dir;
    struct answers *answers;
    struct line_file files[HELPER_LINE_FILES];
};

struct lines *lines_new(const char *state_dir, struct answers *answers)
{
    struct lines *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->state_dir = state_dir;
    all->answers = answers;
    for (unsigned i = 0; i < HELPER_LINE_FILES; i++)
        all->files[i].fd = -1;
    return all;
}

static void shut(struct line_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* Never waits for the other end of a pipe, and never follows a link at the end. */
static int open_file(struct line_file *f)
{
    struct stat st;
    char last = '\n';
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    shut(f);
    int fd = open(f->path, flags);
    if (fd < 0 && errno == ENOENT) {
        fd = open(f->path, flags | O_CREAT | O_EXCL, (mode_t)f->o.mode);
        if (fd >= 0)
            (void)fchmod(fd, (mode_t)f->o.mode); /* the mode is said, whatever the umask is */
        else if (errno == EEXIST)
            fd = open(f->path, flags); /* whoever rotates was faster */
    }
    if (fd < 0)
        return disk_error(errno);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -ERR_PERM;
    }
    if (f->o.sync)
        (void)disk_lock(fd); /* told to a daemon that starts; another helper's is no hindrance */
    if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
        last = 0;
    f->torn = last != '\n';
    f->fd = fd;
    return 0;
}

/* Whether the file at the path is still the one that is open: else it was rotated. */
static bool in_place(const struct line_file *f)
{
    struct stat here, there;
    return stat(f->path, &there) == 0 && fstat(f->fd, &here) == 0 && here.st_dev == there.st_dev &&
           here.st_ino == there.st_ino;
}

/* Without anybody who rotates, the file gives way to a new one: two of them at most. */
static int keep_bound(struct line_file *f, uint64_t more)
{
    struct stat st;
    char old[PATH_BYTES + 8];
    if (!in_place(f)) {
        const int r = open_file(f);
        if (r < 0)
            return r;
    }
    if (fstat(f->fd, &st) < 0)
        return disk_error(errno);
    if (f->o.bytes == 0 || st.st_size == 0 || (uint64_t)st.st_size + more <= f->o.bytes)
        return 0;
    snprintf(old, sizeof old, "%s.old", f->path);
    return rename(f->path, old) == 0 ? open_file(f) : disk_error(errno);
}

static int write_lines(struct line_file *f, const char *p, size_t n)
{
    struct stat before;
    size_t done = 0;
    if (fstat(f->fd, &before) < 0)
        return disk_error(errno);
    const bool torn = f->torn; /* and so again when all of this is taken back */
    if (torn && write(f->fd, "\n", 1) != 1)
        return disk_error(errno);
    f->torn = false;
    while (done < n) {
        const ssize_t r = write(f->fd, p + done, n - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0) {
            const int e = r < 0 ? disk_error(errno) : -ERR_IO;
            f->torn = ftruncate(f->fd, before.st_size) < 0 ? done > 0 : torn;
            return e;
        }
        done += (size_t)r;
    }
    return f->o.sync && fdatasync(f->fd) < 0 ? disk_error(errno) : 0;
}

static void answer(struct lines *all, const struct message *question, int error, const char *tail,
                   uint32_t n)
{
    struct message m = *question;
    m.error = error;
    m.size = n;
    answers_send(all->answers, &m, tail);
}

static uint32_t read_tail(int fd, char *to)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return 0;
    const off_t from = st.st_size > HELPER_TAIL ? st.st_size - HELPER_TAIL : 0;
    const ssize_t n = pread(fd, to, HELPER_TAIL, from);
    return n > 0 ? (uint32_t)n : 0;
}

void lines_open(struct lines *all, const struct message *question, const char *path)
{
    char tail[HELPER_TAIL];
    const size_t n = strlen(all->state_dir);
    if (question->signal >= HELPER_LINE_FILES) {
        answer(all, question, -ERR_RANGE, NULL, 0);
        return;
    }
    struct line_file *f = &all->files[question->signal];
    snprintf(f->path, sizeof f->path, "%s", path);
    f->o = (struct helper_lines_options){
        .mode = question->items, .bytes = question->options.bytes, .sync = question->port != 0};
    int r = 0;
    if (strncmp(path, all->state_dir, n) == 0 && path[n] == '/')
        r = disk_make_path(all->state_dir);
    if (r == 0)
        r = open_file(f);
    answer(all, question, r, tail, r == 0 ? read_tail(f->fd, tail) : 0);
}

void lines_add(struct lines *all, const struct message *question, const char *bytes)
{
    int r = -ERR_NOTFOUND;
    if (question->signal < HELPER_LINE_FILES && all->files[question->signal].fd >= 0) {
        struct line_file *f = &all->files[question->signal];
        r = keep_bound(f, question->size);
        if (r == 0)
            r = write_lines(f, bytes, question->size);
    }
    answer(all, question, r, NULL, 0);
}
