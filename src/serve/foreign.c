#include "serve/foreign.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS /* of Linux 6.16 */
#define SO_PASSRIGHTS 83
#endif

ssize_t foreign_receive(int socket, void *to, size_t size, struct foreign *came)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * FOREIGN_MAX)];
    } control;
    struct iovec bytes = {to, size};
    struct msghdr message = {
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    came->n = 0;
    const ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return n;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(came->fd + came->n, CMSG_DATA(h), count * sizeof(int));
        came->n += (unsigned)count;
    }
    return n;
}

static void do_not_linger(int fd)
{
    static const struct linger none = {0, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none); /* if it is a socket */
}

void foreign_close(int fd)
{
    do_not_linger(fd);
    close(fd);
}

/* An older kernel has no such call, and a sandbox may not know it. */
static void close_each(unsigned first, unsigned last)
{
    for (unsigned fd = first; fd <= last; fd++)
        close((int)fd);
}

/* They are numbered one after the other, as a rule, so that one call closes all. */
static void close_all(const struct foreign *came)
{
    for (unsigned i = 0, first = 0; i < came->n; i++) {
        do_not_linger(came->fd[i]);
        if (i + 1 < came->n && came->fd[i + 1] == came->fd[i] + 1)
            continue;
        const unsigned from = (unsigned)came->fd[first], to = (unsigned)came->fd[i];
        if (close_range(from, to, 0) < 0)
            close_each(from, to);
        first = i + 1;
    }
}

ssize_t foreign_receive_bytes(int socket, void *to, size_t size, unsigned *closed)
{
    struct foreign came;
    const ssize_t n = foreign_receive(socket, to, size, &came);
    close_all(&came);
    *closed = came.n;
    return n;
}

static void allow(int socket, int whether)
{
    (void)setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &whether, sizeof whether);
}

void foreign_forbid(int socket)
{
    allow(socket, 0);
}

void foreign_allow(int socket)
{
    allow(socket, 1);
}
