#include "daemon/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

bool journal_is_stream(int fd)
{
    struct stat st;
    unsigned long long device, inode;
    const char *stream = getenv("JOURNAL_STREAM");
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void journal_init(struct journal *j, const char *path)
{
    *j = (struct journal){.path = path, .fd = -1};
    buf_init(&j->kept, JOURNAL_BYTES);
}

static void shut(struct journal *j)
{
    if (j->writable)
        event_free(j->writable);
    j->writable = NULL;
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
}

int journal_open(struct journal *j)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const size_t n = strlen(j->path);
    shut(j);
    errno = ENAMETOOLONG;
    if (n >= sizeof a.sun_path)
        return -ERR_IO;
    memcpy(a.sun_path, j->path, n);
    j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (j->fd < 0)
        return -ERR_IO;
    if (connect(j->fd, (const struct sockaddr *)&a, sizeof a) == 0)
        return 0;
    const int error = errno;
    shut(j);
    errno = error;
    return -ERR_IO;
}

static int make_memfd(struct str datagram)
{
    const int fd = memfd_create("mcptally-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    if (write(fd, datagram.p, datagram.n) == (ssize_t)datagram.n &&
        fcntl(fd, F_ADD_SEALS, seals) == 0)
        return fd;
    close(fd);
    return -1;
}

/* An empty datagram with a descriptor. */
static int send_memfd(int to, struct str datagram)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr m = {.msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    const int fd = make_memfd(datagram);
    if (fd < 0)
        return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    const ssize_t r = sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    const int error = errno;
    close(fd);
    errno = error;
    return r < 0 ? -1 : 0;
}

/* 0: it has it. 1: no room now. -1: it has gone. */
static int send_one(struct journal *j, struct str datagram)
{
    int r;
    do
        r = send(j->fd, datagram.p, datagram.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
    while (r < 0 && errno == EINTR);
    if (r < 0 && (errno == EMSGSIZE || errno == ENOBUFS))
        r = send_memfd(j->fd, datagram);
    return r == 0 ? 0 : errno == EAGAIN ? 1 : -1;
}

static void on_writable(evutil_socket_t fd, short what, void *arg);

static void wait_for_room(struct journal *j)
{
    if (!j->writable && j->base)
        j->writable = event_new(j->base, j->fd, EV_WRITE, on_writable, j);
    if (j->writable)
        event_add(j->writable, NULL);
}

/* As send_one(), for all that is kept. */
static int flush(struct journal *j)
{
    while (j->kept.n > 0) {
        uint32_t n;
        memcpy(&n, j->kept.p, sizeof n);
        const int r = send_one(j, (struct str){j->kept.p + sizeof n, n});
        if (r != 0)
            return r;
        buf_drop(&j->kept, sizeof n + n);
    }
    return 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct journal *j = arg;
    (void)fd;
    (void)what;
    if (flush(j) == 1)
        wait_for_room(j);
    buf_trim(&j->kept); /* what could not be sent waits for the next line */
}

static int keep(struct journal *j, struct str datagram)
{
    const uint32_t n = (uint32_t)datagram.n;
    const size_t before = j->kept.n;
    buf_add(&j->kept, &n, sizeof n);
    buf_addstr(&j->kept, datagram);
    if (j->kept.failed) {
        j->kept.failed = false;
        j->kept.n = before;
        return -ERR_FULL;
    }
    wait_for_room(j);
    return 0;
}

int journal_send(struct journal *j, struct str datagram)
{
    if (j->fd < 0) {
        errno = ENOTCONN;
        return -ERR_IO;
    }
    int r = flush(j);
    if (r == 0)
        r = send_one(j, datagram);
    if (r == 0)
        return 0;
    if (r > 0)
        return keep(j, datagram);
    const int error = errno;
    shut(j);
    errno = error;
    return -ERR_IO;
}

void journal_start(struct journal *j, struct event_base *base)
{
    j->base = base;
    if (!base && j->writable) {
        event_free(j->writable);
        j->writable = NULL;
    }
}

void journal_fini(struct journal *j)
{
    if (j->fd >= 0)
        (void)flush(j);
    shut(j);
    buf_fini(&j->kept);
}
