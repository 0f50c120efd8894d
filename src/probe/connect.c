/* Connections: a Unix socket's is there at once or not at all, a TCP port's takes its time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe/reach.h"

/* Whether an error of socket() or connect() is our own want. */
static bool is_want(int e)
{
    return e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM || e == EADDRNOTAVAIL;
}

static void end_error(struct probe *p, const char *what, int e)
{
    probe_end(p,
              is_want(e)                  ? OWN_RESULT_NOT_RUN
              : e == EACCES || e == EPERM ? OWN_RESULT_UNKNOWN
                                          : OWN_RESULT_UNREACHABLE,
              "%s: %s", what, strerror(e));
}

/* ---- Unix ---- */

static int connect_unix(const char *path, int type)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    memcpy(a.sun_path, path, strnlen(path, sizeof a.sun_path - 1));
    const int e = connect(fd, (const struct sockaddr *)&a, sizeof a) < 0 ? errno : 0;
    close(fd);
    return e;
}

static void start_unix(struct probe *p)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    int e = EPROTOTYPE;
    for (size_t i = 0; i < 3 && e == EPROTOTYPE; i++)
        e = connect_unix(p->plan->path, types[i]);
    if (e == 0)
        probe_end(p, OWN_RESULT_OK, "%s", "");
    else if (e == EAGAIN)
        probe_end(p, OWN_RESULT_TIMEOUT, "%s: connections wait, and none is accepted",
                  p->plan->path);
    else
        end_error(p, p->plan->path, e);
}

static void stop_nothing(struct probe *p)
{
    (void)p;
}

const struct probe_ops probe_unix = {start_unix, stop_nothing};

/* ---- TCP ---- */

struct tcp {
    struct reach reach;
    int fd;
    struct event *ready;
};

static void try_next(struct probe *p);

static void close_try(struct tcp *t)
{
    if (t->ready)
        event_free(t->ready);
    if (t->fd >= 0)
        close(t->fd);
    t->ready = NULL;
    t->fd = -1;
}

/* Another address may do. */
static void fail_try(struct probe *p, int e)
{
    struct tcp *t = p->own;
    char text[REACH_TEXT];
    const struct sockaddr_storage *a = &t->reach.address[t->reach.at];
    close_try(t);
    if (++t->reach.at < t->reach.n && !is_want(e))
        try_next(p);
    else
        end_error(p, reach_text(a, text), e);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct probe *p = arg;
    int e = 0;
    socklen_t n = sizeof e;
    if (what & EV_TIMEOUT)
        fail_try(p, ETIMEDOUT);
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0 || e)
        fail_try(p, e ? e : errno);
    else
        probe_end(p, OWN_RESULT_OK, "%s", "");
}

/* Its share of the time that is left; the last one's ends with the run's. */
static struct timeval share(const struct probe *p, unsigned tries)
{
    const uint64_t now = clock_now().mono;
    const uint64_t left = now < p->deadline ? p->deadline - now : 0;
    const uint64_t ns = tries > 1 ? left / tries : left + NS_PER_S;
    return timeval_of(ns);
}

static void try_next(struct probe *p)
{
    struct tcp *t = p->own;
    const struct sockaddr_storage *a = &t->reach.address[t->reach.at];
    const struct timeval limit = share(p, t->reach.n - t->reach.at);
    t->fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->fd < 0) {
        fail_try(p, errno);
        return;
    }
    if (connect(t->fd, (const struct sockaddr *)a, reach_size(a)) < 0 && errno != EINPROGRESS) {
        fail_try(p, errno);
        return;
    }
    t->ready = event_new(p->all->env.base, t->fd, EV_WRITE, on_ready, p);
    if (!t->ready || event_add(t->ready, &limit) < 0)
        fail_try(p, ENOMEM);
}

static void start_tcp(struct probe *p)
{
    struct tcp *t = p->own = calloc(1, sizeof *t);
    if (!t) {
        probe_end_unrun(p, "no memory");
        return;
    }
    t->fd = -1;
    reach_find(&t->reach, p, p->plan->host, p->plan->port, try_next);
}

static void stop_tcp(struct probe *p)
{
    struct tcp *t = p->own;
    if (!t)
        return;
    reach_stop(&t->reach);
    close_try(t);
    free(t);
}

const struct probe_ops probe_tcp = {start_tcp, stop_tcp};
