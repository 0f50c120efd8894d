#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/value.h"

enum { LISTEN_FIRST = 3 }; /* of sd_listen_fds(3) */

/* Whether a variable that names a process names this one; true when it is absent. */
static bool for_me(const char *variable)
{
    const char *text = getenv(variable);
    uint64_t pid;
    return !text || (value_count(text, &pid) && pid == (uint64_t)getpid());
}

static uint64_t watchdog_interval(void)
{
    const char *text = getenv("WATCHDOG_USEC");
    uint64_t us;
    if (!text || !value_count(text, &us) || us > UINT64_MAX / NS_PER_US || !for_me("WATCHDOG_PID"))
        return 0;
    return us * NS_PER_US;
}

void notify_init(struct notify *n)
{
    *n = (struct notify){.fd = -1, .watchdog = watchdog_interval()};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t size = path ? strlen(path) : 0;
    if (size < 2 || size >= sizeof n->to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, path, size);
    n->to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (path[0] == '@')
        n->to.sun_path[0] = '\0';
    n->asked = true;
}

void notify_fini(struct notify *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
    n->asked = false;
}

static bool post(struct notify *n, const char *text)
{
    if (n->fd < 0)
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd < 0)
        return false;
    ssize_t sent;
    do
        sent = sendto(n->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&n->to,
                      n->to_size);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

void notify_send(struct notify *n, const char *fmt, ...)
{
    if (!n->asked)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(n->untold, sizeof n->untold, fmt, ap);
    va_end(ap);
    notify_again(n);
}

void notify_again(struct notify *n)
{
    if (n->untold[0] && post(n, n->untold))
        n->untold[0] = '\0';
}

void notify_watchdog(struct notify *n)
{
    if (n->asked && n->watchdog)
        (void)post(n, "WATCHDOG=1");
}

void notify_reloading(struct notify *n)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%llu",
                (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000);
}

/* systemd before 248 sets only the first. */
bool notify_is_parent(void)
{
    return getenv("INVOCATION_ID") && for_me("SYSTEMD_EXEC_PID");
}

/* ---- passed descriptors ---- */

static bool listens(int fd)
{
    int type = 0, accepting = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
        return false;
    size = sizeof accepting;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &size) == 0 && accepting;
}

static void prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Copies the next of the names, which are separated by colons. */
static void next_name(const char **names, char *to)
{
    size_t n = strcspn(*names, ":");
    snprintf(to, PASSED_NAME, "%.*s", (int)n, *names);
    *names += n + ((*names)[n] == ':');
}

void passed_init(struct passed *p)
{
    *p = (struct passed){0};
    const char *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    uint64_t n = 0;
    if (count && getenv("LISTEN_PID") && for_me("LISTEN_PID") && value_count(count, &n)) {
        names = names ? names : "";
        for (uint64_t i = 0; i < n && i < 1024; i++) {
            int fd = LISTEN_FIRST + (int)i;
            if (p->n == PASSED_MAX) {
                close(fd);
                continue;
            }
            prepare(fd);
            next_name(&names, p->fds[p->n].name);
            p->fds[p->n++].fd = fd;
        }
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
}

int passed_take(struct passed *p, const char *name)
{
    for (unsigned i = 0; i < p->n; i++) {
        int fd = p->fds[i].fd;
        if (fd < 0 || strcmp(p->fds[i].name, name) != 0 || !listens(fd))
            continue;
        p->fds[i].fd = -1;
        return fd;
    }
    return -1;
}

unsigned passed_fini(struct passed *p, char *names, size_t size)
{
    unsigned left = 0;
    size_t used = 0;
    names[0] = '\0';
    for (unsigned i = 0; i < p->n; i++) {
        if (p->fds[i].fd < 0)
            continue;
        int n = snprintf(names + used, size - used, "%s%s", left++ ? ", " : "", p->fds[i].name);
        if (n > 0 && (size_t)n < size - used)
            used += (size_t)n;
        close(p->fds[i].fd);
    }
    p->n = 0;
    return left;
}
