/* fake_server: a fake_daemon behind a socket, in a thread of its own. */
#ifndef MCPTALLY_TESTS_FAKE_SERVER_H
#define MCPTALLY_TESTS_FAKE_SERVER_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_daemon.h"

enum { SERVER_LINKS = 16 };

struct fake_server {
    struct fake_daemon d;
    pthread_mutex_t lock; /* for d */
    char dir[64], path[96];
    int listener, stop[2];
    pthread_t thread;
    bool running;
    _Atomic bool mute; /* no ACK is sent */
    struct fake_link *links[SERVER_LINKS];
    int fds[SERVER_LINKS];
    unsigned n;
};

static inline void server_init(struct fake_server *s)
{
    memset(s, 0, sizeof *s);
    s->d.store_id = 77;
    pthread_mutex_init(&s->lock, NULL);
    snprintf(s->dir, sizeof s->dir, "/tmp/mcptally-test-XXXXXX");
    assert(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%s/events.sock", s->dir);
}

static inline void server_drop(struct fake_server *s, unsigned i)
{
    close(s->fds[i]);
    fake_link_fini(s->links[i]);
    free(s->links[i]);
    s->n--;
    s->links[i] = s->links[s->n];
    s->fds[i] = s->fds[s->n];
}

/* Writes what there is to say; a peer that has gone is no error, its data may still be read. */
static inline void server_answer(struct fake_server *s, unsigned i)
{
    struct fake_link *l = s->links[i];
    if (!atomic_load(&s->mute))
        fake_ack(l);
    if (l->out.n > 0)
        assert(send(s->fds[i], l->out.p, l->out.n, MSG_NOSIGNAL) >= 0 || errno == EPIPE ||
               errno == ECONNRESET);
    buf_reset(&l->out);
}

static inline void server_read(struct fake_server *s, unsigned i)
{
    static _Thread_local uint8_t in[65536];
    const ssize_t n = recv(s->fds[i], in, sizeof in, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    pthread_mutex_lock(&s->lock);
    const int e = n > 0 ? fake_feed(s->links[i], in, (size_t)n) : -1;
    server_answer(s, i);
    pthread_mutex_unlock(&s->lock);
    if (e < 0)
        server_drop(s, i);
}

static inline void server_accept(struct fake_server *s)
{
    assert(s->n < SERVER_LINKS);
    s->fds[s->n] = accept(s->listener, NULL, NULL);
    assert(s->fds[s->n] >= 0);
    s->links[s->n] = malloc(sizeof(struct fake_link));
    pthread_mutex_lock(&s->lock);
    fake_link_init(s->links[s->n++], &s->d);
    pthread_mutex_unlock(&s->lock);
}

static inline void *server_run(void *arg)
{
    struct fake_server *s = arg;
    for (;;) {
        struct pollfd at[SERVER_LINKS + 2] = {{s->stop[0], POLLIN, 0}, {s->listener, POLLIN, 0}};
        const unsigned n = s->n;
        for (unsigned i = 0; i < n; i++)
            at[2 + i] = (struct pollfd){s->fds[i], POLLIN, 0};
        poll(at, 2 + n, -1);
        if (at[0].revents)
            return NULL;
        for (unsigned i = n; i-- > 0;)
            if (at[2 + i].revents)
                server_read(s, i);
        if (at[1].revents)
            server_accept(s);
    }
}

/* Begins to listen and to serve; again after server_kill(). */
static inline void server_start(struct fake_server *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, s->path, strlen(s->path) + 1);
    unlink(s->path);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(s->listener >= 0 && bind(s->listener, (struct sockaddr *)&a, sizeof a) == 0);
    assert(listen(s->listener, 64) == 0 && pipe(s->stop) == 0);
    assert(pthread_create(&s->thread, NULL, server_run, s) == 0);
    s->running = true;
}

/* Ends as SIGKILL would: nothing is read or said any more. */
static inline void server_kill(struct fake_server *s)
{
    if (!s->running)
        return;
    assert(write(s->stop[1], "", 1) == 1);
    pthread_join(s->thread, NULL);
    s->running = false;
    while (s->n > 0)
        server_drop(s, 0);
    close(s->listener);
    close(s->stop[0]);
    close(s->stop[1]);
}

static inline void server_fini(struct fake_server *s)
{
    server_kill(s);
    unlink(s->path);
    rmdir(s->dir);
    pthread_mutex_destroy(&s->lock);
}

static inline struct fake_series server_series(struct fake_server *s, const char *name)
{
    struct fake_series copy = {0};
    pthread_mutex_lock(&s->lock);
    const struct fake_series *found = fake_find(&s->d, name);
    if (found)
        copy = *found;
    pthread_mutex_unlock(&s->lock);
    return copy;
}

static inline uint64_t server_sum(struct fake_server *s, const char *name)
{
    return server_series(s, name).sum_u64;
}

/* Waits until the first session's producer has told of that many; the test's own
 * time limit ends it. */
static inline void server_wait_lost(struct fake_server *s, enum lost_reason reason, uint64_t items)
{
    bool told = false;
    while (!told) {
        poll(NULL, 0, 1);
        pthread_mutex_lock(&s->lock);
        told = s->d.sessions[0].lost.total[reason] == items;
        pthread_mutex_unlock(&s->lock);
    }
}

#endif
