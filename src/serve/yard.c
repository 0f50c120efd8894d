#include "serve/yard.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "serve/foreign.h"

enum { DRAIN = 4096 };

struct yard_place {
    TAILQ_ENTRY(yard_place) link;
    int socket;
    uint32_t user;
};

/* Descriptors that were closed, and reads, are taken from *left. True: there may be more. */
static bool empty_some(int socket, int *left)
{
    char bytes[DRAIN];
    unsigned strange = 0;
    const bool more = foreign_receive_bytes(socket, bytes, sizeof bytes, &strange) > 0;
    *left -= YARD_READ + (int)strange;
    return more;
}

static void leave(struct yard *y, int socket, uint32_t user)
{
    close(socket);
    if (y->gone && user != YARD_NOBODY)
        y->gone(y->arg, user);
}

static void wake(struct yard *y)
{
    static const struct timeval at_once = {0, 0};
    if (y->n)
        event_add(y->turn, &at_once);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct yard *y = arg;
    struct yard_place *p;
    const uint64_t began = clock_now().mono;
    (void)fd;
    (void)what;
    for (int left = YARD_STEP; left > 0 && (p = TAILQ_FIRST(&y->places)) != NULL;) {
        if (empty_some(p->socket, &left))
            continue;
        TAILQ_REMOVE(&y->places, p, link);
        y->n--;
        leave(y, p->socket, p->user);
        free(p);
    }
    wake(y);
    serve_spent(&y->env, began);
}

int yard_init(struct yard *y, const struct serve_env *env, yard_gone *gone, void *arg)
{
    *y = (struct yard){.env = *env, .gone = gone, .arg = arg};
    TAILQ_INIT(&y->places);
    y->turn = event_new(env->base, -1, 0, on_turn, y);
    return y->turn ? 0 : -ERR_NOMEM;
}

void yard_fini(struct yard *y)
{
    struct yard_place *p;
    while ((p = TAILQ_FIRST(&y->places)) != NULL) {
        TAILQ_REMOVE(&y->places, p, link);
        free(p);
    }
    if (y->turn)
        event_free(y->turn);
    y->turn = NULL;
    y->n = 0;
}

/* Without memory to wait in it is emptied here and now. */
void yard_close(struct yard *y, int socket, uint32_t user)
{
    char byte;
    shutdown(socket, SHUT_RD); /* nothing comes behind what is there */
    struct yard_place *p =
        recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 ? malloc(sizeof *p) : NULL;
    if (!p) {
        for (int left = 0; empty_some(socket, &left);)
            ;
        leave(y, socket, user);
        return;
    }
    *p = (struct yard_place){.socket = socket, .user = user};
    TAILQ_INSERT_TAIL(&y->places, p, link);
    y->n++;
    wake(y);
}
