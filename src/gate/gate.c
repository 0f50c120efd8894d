#include "gate/gate.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

enum {
    MESSAGES = 32, /* taken at one wakeup */
    PASSWORD_MAX = 1024,
    FIRST_DELAY = 100, /* ms until a new one is forked; doubled with each death */
    DELAYS = 7,
    WELL = 10, /* s; one that lived so long did not die of its start */
    GATE_SOUND = 0x67617465,
};

struct settings {
    uint64_t number; /* 0: none */
    struct buf bytes;
};

struct gate {
    unsigned magic;
    struct event_base *base;
    struct gate_hooks hooks;
    int fd; /* -1: there is none */
    struct event *readable, *again;
    unsigned deaths; /* in a row */
    uint64_t born;
    struct settings current; /* in force */
    struct settings trying;  /* sent, and not answered yet */
    char bytes[GATE_BYTES];
};

static void on_readable(evutil_socket_t fd, short what, void *arg);

/* ---- its life ---- */

static void close_gate(struct gate *g)
{
    if (g->readable)
        event_free(g->readable);
    g->readable = NULL;
    if (g->fd >= 0)
        close(g->fd);
    g->fd = -1;
}

static void try_again(struct gate *g)
{
    const unsigned ms = (unsigned)FIRST_DELAY << (g->deaths < DELAYS ? g->deaths : DELAYS);
    const struct timeval t = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    g->deaths++;
    event_add(g->again, &t);
}

static void send_settings(struct gate *g, const struct settings *s)
{
    const struct gate_message m = {.kind = GATE_CONFIGURE, .number = s->number};
    if (s->number && g->fd >= 0)
        (void)gate_send(g->fd, &m, buf_str(&s->bytes), NULL); /* its death is read, too */
}

static bool fork_gate(struct gate *g)
{
    const int size = 2 * GATE_BYTES;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    const int r = g->hooks.fork(g->hooks.arg, pair[1]);
    close(pair[1]);
    g->fd = pair[0];
    g->born = clock_now().mono;
    if (r == 0 && evutil_make_socket_nonblocking(g->fd) == 0)
        g->readable = event_new(g->base, g->fd, EV_READ | EV_PERSIST, on_readable, g);
    if (g->readable && event_add(g->readable, NULL) == 0) {
        send_settings(g, &g->current);
        send_settings(g, &g->trying);
        return true;
    }
    close_gate(g);
    return false;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct gate *g = arg;
    (void)fd;
    (void)what;
    if (!fork_gate(g))
        try_again(g);
}

static void on_dead(struct gate *g)
{
    if (clock_now().mono - g->born > WELL * NS_PER_S)
        g->deaths = 0;
    if (g->deaths == 0)
        log_warn("gate", "the process for TLS and passwords has ended; another one is started");
    close_gate(g);
    try_again(g);
    g->hooks.lost(g->hooks.arg);
}

/* ---- what it says ---- */

static void swap(struct settings *a, struct settings *b)
{
    const struct settings keep = *a;
    *a = *b;
    *b = keep;
}

static void forget(struct settings *s)
{
    if (s->bytes.p)
        explicit_bzero(s->bytes.p, s->bytes.cap);
    buf_fini(&s->bytes);
    buf_init(&s->bytes, GATE_BYTES - sizeof(struct gate_message));
    s->number = 0;
}

static void on_configured(struct gate *g, uint64_t number, struct str why)
{
    char error[512];
    const size_t n = why.n < sizeof error ? why.n : sizeof error - 1;
    memcpy(error, why.p, n);
    error[n] = '\0';
    if (number == g->trying.number) {
        if (n == 0)
            swap(&g->current, &g->trying);
        forget(&g->trying);
    } else if (number != g->current.number || n == 0) {
        return; /* overtaken, or told to a new gate again */
    }
    g->hooks.configured(g->hooks.arg, number, n ? error : NULL);
}

static void on_message(struct gate *g, const struct gate_message *m)
{
    switch (m->kind) {
    case GATE_CONFIGURED:
        on_configured(g, m->number, (struct str){g->bytes, m->size});
        break;
    case GATE_VERIFIED:
        g->hooks.verified(g->hooks.arg, m->number, m->yes);
        break;
    case GATE_CHANGED:
        g->hooks.changed(g->hooks.arg);
        break;
    case GATE_FAILED:
        g->hooks.failed(g->hooks.arg, m->number);
        break;
    default:
        break;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct gate *g = arg;
    struct gate_message m;
    int fds[GATE_DESCRIPTORS], r = 1;
    (void)what;
    assert(g->magic == GATE_SOUND);
    for (int i = 0; i < MESSAGES && r == 1 && g->fd == fd; i++) {
        r = gate_receive(fd, &m, g->bytes, fds);
        for (unsigned k = 0; k < GATE_DESCRIPTORS; k++)
            if (fds[k] >= 0)
                close(fds[k]);
        if (r == 1)
            on_message(g, &m);
    }
    if (r < 0)
        on_dead(g);
}

/* ---- what it is told ---- */

bool gate_configure(struct gate *g, uint64_t number, const struct web_tls *t, const char *watched)
{
    forget(&g->trying);
    gate_write_tls(&g->trying.bytes, t, watched);
    if (g->trying.bytes.failed) {
        forget(&g->trying);
        return false;
    }
    g->trying.number = number;
    send_settings(g, &g->trying);
    return true;
}

int gate_connect(struct gate *g, int client, enum gate_protocol protocol)
{
    const struct gate_message m = {.kind = GATE_CONNECT, .number = protocol};
    int pair[2], r = -ERR_CLOSED;
    if (g->fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        r = g->fd < 0 ? -ERR_CLOSED : -ERR_FULL;
    } else {
        const int fds[GATE_DESCRIPTORS] = {client, pair[1]};
        r = gate_send(g->fd, &m, STR(""), fds);
        close(pair[1]);
        if (r < 0)
            close(pair[0]);
        else
            r = pair[0];
    }
    close(client);
    return r;
}

bool gate_verify(struct gate *g, uint64_t question, const char *hash, struct str password)
{
    char bytes[PASSWORD_MAX + 128];
    const size_t n = strlen(hash) + 1;
    const struct gate_message m = {.kind = GATE_VERIFY, .number = question};
    if (g->fd < 0 || n + password.n + 1 > sizeof bytes)
        return false;
    memcpy(bytes, hash, n);
    memcpy(bytes + n, password.p, password.n);
    bytes[n + password.n] = '\0';
    const int r = gate_send(g->fd, &m, (struct str){bytes, n + password.n + 1}, NULL);
    explicit_bzero(bytes, sizeof bytes);
    return r == 0;
}

/* ---- start and stop ---- */

struct gate *gate_new(struct event_base *base, const struct gate_hooks *h)
{
    struct gate *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->magic = GATE_SOUND;
    g->base = base;
    g->hooks = *h;
    g->fd = -1;
    forget(&g->current);
    forget(&g->trying);
    g->again = evtimer_new(base, on_again, g);
    if (g->again && fork_gate(g))
        return g;
    gate_free(g);
    return NULL;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    close_gate(g);
    if (g->again)
        event_free(g->again);
    forget(&g->current);
    forget(&g->trying);
    g->magic = 0;
    free(g);
}
