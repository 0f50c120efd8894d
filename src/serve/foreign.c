#include "serve/foreign.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DRAIN = 4096 };

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

void foreign_close(int fd)
{
    static const struct linger none = {0, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none); /* if it is a socket */
    close(fd);
}

static void close_all(const struct foreign *came)
{
    for (unsigned i = 0; i < came->n; i++)
        foreign_close(came->fd[i]);
}

ssize_t foreign_receive_bytes(int socket, void *to, size_t size)
{
    struct foreign came;
    const ssize_t n = foreign_receive(socket, to, size, &came);
    close_all(&came);
    return n;
}

/* After the shutdown nothing comes behind what is there. */
void foreign_hang_up(int socket)
{
    char bytes[DRAIN];
    shutdown(socket, SHUT_RD);
    while (foreign_receive_bytes(socket, bytes, sizeof bytes) > 0)
        ;
    close(socket);
}
