#include "serve/acceptor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { REST_MS = 100, ACCEPTOR_MAGIC = 0x61636370 };

struct acceptor {
    unsigned magic;
    struct serve_env env;
    struct acceptor_owner owner;
    int fd;
    int reserve; /* -1: not to be had */
    struct event *ready, *rest;
    bool full; /* the owner has no room */
};

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Whether anybody waits: the kernel says that there is no descriptor also when not. */
static bool turn_away(struct acceptor *a)
{
    if (a->reserve >= 0)
        close(a->reserve);
    const int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    const bool nobody = fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (fd >= 0)
        close(fd);
    a->reserve = open_reserve();
    return !nobody;
}

/* Out of descriptors or memory. Without a timer to end the rest there is none. */
static void rest(struct acceptor *a)
{
    static const struct timeval t = {0, REST_MS * 1000};
    if (a->owner.dry)
        a->owner.dry(a->owner.arg);
    if (event_add(a->rest, &t) == 0)
        event_del(a->ready);
}

/* False when it is enough for now. */
static bool accept_one(struct acceptor *a)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    const int fd = accept4(a->fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
        return true;
    if (fd < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && turn_away(a))
            rest(a);
        return false;
    }
    a->full = !a->owner.take(a->owner.arg, fd, &from, size);
    if (a->full)
        event_del(a->ready);
    return !a->full;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct acceptor *a = arg;
    (void)fd;
    (void)what;
    assert(a->magic == ACCEPTOR_MAGIC);
    const uint64_t began = clock_now().mono;
    for (unsigned i = 0; i < a->owner.at_once && accept_one(a); i++)
        ;
    serve_spent(&a->env, began);
}

/* Where the kernel has no memory to watch a descriptor either, the next rest begins. */
static void watch(struct acceptor *a)
{
    if (event_add(a->ready, NULL) < 0)
        rest(a);
}

static void on_rest(evutil_socket_t fd, short what, void *arg)
{
    struct acceptor *a = arg;
    (void)fd;
    (void)what;
    assert(a->magic == ACCEPTOR_MAGIC);
    if (!a->full)
        watch(a);
}

struct acceptor *acceptor_new(const struct serve_env *env, int listen_fd,
                              const struct acceptor_owner *owner)
{
    struct acceptor *a = calloc(1, sizeof *a);
    if (!a) {
        close(listen_fd);
        return NULL;
    }
    *a = (struct acceptor){.magic = ACCEPTOR_MAGIC, .env = *env, .owner = *owner, .fd = listen_fd};
    a->reserve = open_reserve();
    a->ready = event_new(env->base, listen_fd, EV_READ | EV_PERSIST, on_ready, a);
    a->rest = event_new(env->base, -1, 0, on_rest, a);
    if (a->ready && a->rest && event_add(a->ready, NULL) == 0)
        return a;
    acceptor_free(a);
    return NULL;
}

void acceptor_free(struct acceptor *a)
{
    if (!a)
        return;
    if (a->ready)
        event_free(a->ready);
    if (a->rest)
        event_free(a->rest);
    close(a->fd);
    if (a->reserve >= 0)
        close(a->reserve);
    a->magic = 0;
    free(a);
}

void acceptor_go_on(struct acceptor *a)
{
    if (!a || !a->full)
        return;
    a->full = false;
    if (!evtimer_pending(a->rest, NULL))
        watch(a);
}
