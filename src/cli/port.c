#include "cli/port.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool has_hung_up(int fd)
{
    struct pollfd one = {.fd = fd};
    return poll(&one, 1, 0) > 0;
}

/* A second description of the same pipe or terminal, in the place of the first.
 * It fails where the owner is another user, or a pipe has no reader left; and it
 * is no use for a named pipe that has no writer left, for then poll() tells of
 * the end of file only through a description that has seen the writer. */
static bool reopen(int fd, bool reading)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int flags = (reading ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int own = open(path, flags);
    if (own < 0)
        return false;
    bool done = !has_hung_up(fd) && dup3(own, fd, O_CLOEXEC) == fd;
    close(own);
    return done;
}

void port_adopt(struct port *p, int fd, bool reading)
{
    struct stat st;
    *p = (struct port){.fd = fd, .kind = PORT_POLLED};
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (fstat(fd, &st) != 0)
        return;
    if (S_ISSOCK(st.st_mode))
        p->kind = PORT_SOCKET;
    else if ((S_ISFIFO(st.st_mode) || isatty(fd)) && reopen(fd, reading))
        p->kind = PORT_PRIVATE;
}

void port_own(struct port *p, int fd)
{
    *p = (struct port){.fd = fd, .kind = set_nonblocking(fd) ? PORT_PRIVATE : PORT_POLLED};
}

void port_close(struct port *p)
{
    if (port_is_open(p))
        close(p->fd);
    *p = (struct port){.fd = -1, .kind = PORT_CLOSED};
}

static bool may_use(const struct port *p, short events)
{
    struct pollfd one = {.fd = p->fd, .events = events};
    if (p->kind != PORT_POLLED || poll(&one, 1, 0) > 0)
        return true;
    errno = EAGAIN;
    return false;
}

__attribute__((hot)) ssize_t port_read(struct port *p, void *to, size_t n)
{
    if (p->kind == PORT_SOCKET)
        return recv(p->fd, to, n, MSG_DONTWAIT);
    return may_use(p, POLLIN) ? read(p->fd, to, n) : -1;
}

__attribute__((hot)) ssize_t port_write(struct port *p, const void *from, size_t n)
{
    if (p->kind == PORT_SOCKET)
        return send(p->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!may_use(p, POLLOUT))
        return -1;
    /* A pipe that poll() calls writable takes this much without blocking. */
    return write(p->fd, from, p->kind == PORT_POLLED && n > PIPE_BUF ? PIPE_BUF : n);
}
