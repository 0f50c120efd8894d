#include "gate/gate_child.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "gate/gate_context.h"

enum {
    NICE = 5,
    MESSAGES = 32, /* taken at one wakeup */
    WATCHED = 1 + WEB_FILES,
};

/* What tells one content of a file from another. */
struct sight {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
};

struct watched {
    char *path;         /* NULL: none */
    struct sight seen;  /* a second ago */
    struct sight known; /* when the daemon was told, or the file was read */
};

struct child {
    int fd;
    struct event_base *base;
    struct event *readable, *tick;
    struct pumps *pumps;
    struct verifier *verifier;
    struct gate_context *context; /* NULL: TLS is not spoken */
    struct watched watched[WATCHED];
    char bytes[GATE_BYTES];
};

static void say(const struct child *c, enum gate_kind kind, uint64_t number, struct str bytes)
{
    const struct gate_message m = {.kind = kind, .number = number};
    if (gate_send(c->fd, &m, bytes, NULL) == -ERR_CLOSED)
        _exit(0);
}

/* ---- files ---- */

static struct sight look(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return (struct sight){0};
    return (struct sight){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static bool same(const struct sight *a, const struct sight *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* A file that was watched before keeps what is known of it: it may have changed since the
 * daemon read it. */
static void watch(struct watched *w, const char *path)
{
    if (!w->path || strcmp(w->path, path) != 0) {
        free(w->path);
        w->path = strdup(path);
        w->known = look(path);
    }
    w->seen = look(path);
}

static void watch_all(struct child *c, const char *config, const struct web_tls *t)
{
    watch(&c->watched[0], config);
    for (unsigned i = 0; i < WEB_PEMS; i++) {
        struct watched *w = &c->watched[1 + i];
        watch(w, t->pem[i].file);
        w->known = w->seen; /* it is read next */
    }
}

/* Whoever writes a file has a second to write all of it. */
static bool settled(struct watched *w)
{
    if (!w->path || !*w->path)
        return false;
    const struct sight now = look(w->path);
    const bool still = same(&now, &w->seen);
    w->seen = now;
    if (!still || same(&now, &w->known))
        return false;
    w->known = now;
    return true;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct child *c = arg;
    bool changed = false;
    (void)fd;
    (void)what;
    for (unsigned i = 0; i < WATCHED; i++)
        changed |= settled(&c->watched[i]);
    if (changed)
        say(c, GATE_CHANGED, 0, STR(""));
    const uint64_t failed = pumps_failed(c->pumps);
    if (failed)
        say(c, GATE_FAILED, failed, STR(""));
}

/* ---- questions ---- */

static void configure(struct child *c, uint64_t number, struct str bytes)
{
    struct web_tls t;
    char why[GATE_WHY] = "", *config;
    struct gate_context *context = NULL;
    const bool read = gate_read_tls(bytes, &t, &config), on = t.on;
    if (read)
        watch_all(c, config, &t);
    free(config);
    if (read && on)
        context = gate_context_new(&t, why);
    else
        web_tls_fini(&t);
    if (!read)
        snprintf(why, sizeof why, "out of memory");
    else if (context || !on) {
        gate_context_drop(c->context);
        c->context = context;
        *why = '\0';
    }
    say(c, GATE_CONFIGURED, number, str_of(why));
}

static void take_connection(struct child *c, uint64_t protocol, const int *fds)
{
    if (c->context && fds[0] >= 0 && fds[1] >= 0) {
        pumps_add(c->pumps, c->context, protocol == GATE_HTTP2 ? GATE_HTTP2 : GATE_HTTP1, fds[0],
                  fds[1]);
        return;
    }
    for (unsigned i = 0; i < GATE_DESCRIPTORS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void verify(struct child *c, uint64_t number, struct str bytes)
{
    const char *end = memchr(bytes.p, '\0', bytes.n);
    const size_t rest = end ? bytes.n - (size_t)(end + 1 - bytes.p) : 0;
    if (rest > 0 && end[rest] == '\0')
        verifier_ask(c->verifier, number, bytes.p, end + 1);
    explicit_bzero(c->bytes, bytes.n);
}

static bool take_message(struct child *c)
{
    struct gate_message m;
    int fds[GATE_DESCRIPTORS];
    const int r = gate_receive(c->fd, &m, c->bytes, fds);
    if (r < 0)
        _exit(0); /* the daemon has gone */
    if (r == 0)
        return false;
    const struct str bytes = {c->bytes, m.size};
    if (m.kind == GATE_CONFIGURE)
        configure(c, m.number, bytes);
    else if (m.kind == GATE_CONNECT)
        take_connection(c, m.number, fds);
    else if (m.kind == GATE_VERIFY)
        verify(c, m.number, bytes);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    for (int i = 0; i < MESSAGES && take_message(arg); i++)
        ;
}

_Noreturn void gate_child(int fd)
{
    static const struct timeval second = {1, 0};
    struct child *c = calloc(1, sizeof *c);
    prctl(PR_SET_NAME, "mcptally-gate");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0); /* it has the key in its memory */
    setpriority(PRIO_PROCESS, 0, NICE);
    if (!c)
        _exit(1);
    c->fd = fd;
    c->base = event_base_new();
    c->verifier = verifier_new(fd);
    c->pumps = c->base ? pumps_new(c->base) : NULL;
    if (!c->pumps || !c->verifier)
        _exit(1);
    c->readable = event_new(c->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->tick = event_new(c->base, -1, EV_PERSIST, on_tick, c);
    if (!c->readable || !c->tick || event_add(c->readable, NULL) < 0 ||
        event_add(c->tick, &second) < 0)
        _exit(1);
    event_base_dispatch(c->base);
    _exit(0);
}
