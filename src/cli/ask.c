#include "cli/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

enum { READ_SIZE = 65536 };

static uint64_t mono(void)
{
    return clock_now().mono;
}

/* Waits until the socket can do `events`; 0, -ERR_TIMEOUT, -ERR_IO. */
static int wait_for(int fd, short events, uint64_t deadline)
{
    for (;;) {
        const uint64_t now = mono();
        if (now >= deadline)
            return -ERR_TIMEOUT;
        struct pollfd p = {.fd = fd, .events = events};
        const int r = poll(&p, 1, (int)((deadline - now) / NS_PER_MS) + 1);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -ERR_IO;
    }
}

static int connect_to(int fd, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const size_t n = strlen(path);
    if (n >= sizeof a.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(a.sun_path, path, n);
    return connect(fd, (const struct sockaddr *)&a, sizeof a);
}

static int dial(int fd, const char *path, uint64_t deadline)
{
    while (connect_to(fd, path) < 0) {
        if (errno != EAGAIN && errno != EINTR) /* EAGAIN: the backlog is full */
            return -ERR_IO;
        if (mono() >= deadline)
            return -ERR_TIMEOUT;
        poll(NULL, 0, 10);
    }
    return 0;
}

static int send_all(int fd, const char *p, size_t n, uint64_t deadline)
{
    while (n > 0) {
        const ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
        if (r >= 0) {
            p += r;
            n -= (size_t)r;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -ERR_IO;
        const int w = wait_for(fd, POLLOUT, deadline);
        if (w < 0)
            return w;
    }
    return 0;
}

/* Reads up to the end of the stream. */
static int receive(int fd, uint64_t deadline, struct buf *answer)
{
    for (;;) {
        char *room = buf_room(answer, READ_SIZE);
        if (!room)
            return -ERR_FULL;
        const ssize_t r = recv(fd, room, READ_SIZE, 0);
        if (r == 0)
            return 0;
        if (r > 0) {
            buf_added(answer, (size_t)r);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -ERR_IO;
        const int w = wait_for(fd, POLLIN, deadline);
        if (w < 0)
            return w;
    }
}

int ask(const char *path, const char *request, uint64_t timeout, struct buf *answer)
{
    const uint64_t deadline = mono() + timeout;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -ERR_IO;
    int r = dial(fd, path, deadline);
    if (r == 0)
        r = send_all(fd, request, strlen(request), deadline);
    if (r == 0)
        r = send_all(fd, "\n", 1, deadline);
    if (r == 0 && shutdown(fd, SHUT_WR) < 0)
        r = -ERR_IO;
    if (r == 0)
        r = receive(fd, deadline, answer);
    const int error = errno;
    close(fd);
    errno = error;
    return r;
}

int ask_listening(const char *path)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -ERR_IO;
    const int r = connect_to(fd, path) == 0 || errno == EAGAIN ? 0 : -ERR_IO;
    const int error = errno;
    close(fd);
    errno = error;
    return r;
}
