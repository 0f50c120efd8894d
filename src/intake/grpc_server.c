#include "intake/grpc_server.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "gate/gate.h"
#include "intake/otlp_grpc.h"
#include "serve/http.h"
#include "store/commit.h"

enum {
    SERVER_MAGIC = 0x67737276,
    CONN_MAGIC = 0x67636f6e,
    READ_BYTES = 65536, /* at once: what is read is copied while it is in the caches */
    READS = 4,          /* one after the other, unless a message is whole before */
    READ_MOST = READS * READ_BYTES,
    READ_LEAST = 16384, /* of a message that is under way: less does not wake us for nothing */
    WRITE_BYTES = 16384,
    ACCEPTS = 16, /* at one wakeup */
    REST_MS = 100,
};
#define LULL_NS   (20 * NS_PER_MS)  /* without a read, until less than a good part is read, too */
#define STUCK_NS  (10 * NS_PER_S)   /* an answer is not read: its memory is not for ever */
#define LINGER_NS NS_PER_S          /* from our last word to the peer's end */
#define BRIEF_NS  (200 * NS_PER_MS) /* the same when the daemon stops */

struct grpc_conn {
    unsigned magic;
    int fd;
    struct grpc_server *server;
    struct grpc_session *session;
    TAILQ_ENTRY(grpc_conn) link, dirty_link;
    struct event *readable, *writable, *timer;
    uint64_t armed;       /* what the timer is set to, mono ns; 0: nothing */
    int lowat;            /* SO_RCVLOWAT */
    bool held;            /* what there is to say waits for an answer or a lull */
    uint64_t read_at;     /* of the newest bytes */
    struct buf out;       /* what the peer has not taken yet */
    uint64_t stuck_since; /* since when there is some */
    uint64_t closing;     /* when a connection of which all is said is closed; 0: it is open */
    bool dirty;           /* to be flushed when the turn is over */
};

TAILQ_HEAD(grpc_conns, grpc_conn);

struct grpc_server {
    unsigned magic;
    struct otlp_intake *in;
    int fd;
    struct event *listener, *rest;
    unsigned limit, n;
    struct grpc_conns all; /* the one that was silent longest first */
    struct grpc_conns dirty;
    bool stalled; /* some connections wait for windows that are held back */
    bool dry;     /* descriptors have run out */
    void (*drained)(void *arg);
    void *drained_arg;
    struct buf out; /* scratch */
    uint8_t scratch[READ_BYTES];
};

static void count_connections(struct grpc_server *s)
{
    own_set(&s->in->pl->own, OWN_OTLP_CONNECTIONS, OTLP_GRPC, s->n);
    store_commit(s->in->pl->st);
}

/* ---- ends ---- */

static void free_events(struct grpc_conn *c)
{
    struct event *all[] = {c->readable, c->writable, c->timer};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            event_free(all[i]);
}

static void close_conn(struct grpc_conn *c)
{
    struct grpc_server *s = c->server;
    free_events(c);
    if (c->dirty)
        TAILQ_REMOVE(&s->dirty, c, dirty_link);
    TAILQ_REMOVE(&s->all, c, link);
    s->n--;
    count_connections(s);
    grpc_session_free(c->session);
    close(c->fd);
    buf_fini(&c->out);
    c->magic = 0;
    free(c);
    if (s->drained && s->n == 0) {
        void (*done)(void *arg) = s->drained;
        s->drained = NULL;
        done(s->drained_arg);
    }
}

/* Closing with something unread would take back what we have said: the peer ends first. */
static void begin_close(struct grpc_conn *c, uint64_t now)
{
    c->closing = now + (c->server->drained ? BRIEF_NS : LINGER_NS);
    shutdown(c->fd, SHUT_WR);
    event_add(c->readable, NULL);
}

/* ---- deadlines ---- */

static uint64_t deadline_of(const struct grpc_conn *c)
{
    if (c->closing)
        return c->closing;
    uint64_t first = grpc_session_deadline(c->session);
    const uint64_t stuck = c->stuck_since + STUCK_NS, lull = c->read_at + LULL_NS;
    if (c->out.n && stuck < first)
        first = stuck;
    return (c->lowat > 1 || c->held) && lull < first ? lull : first;
}

/* A timer that is early looks again; only one that would be late is set anew. */
static void arm(struct grpc_conn *c, uint64_t now)
{
    const uint64_t at = deadline_of(c);
    if (c->armed && c->armed <= at)
        return;
    const struct timeval t = timeval_of(at > now ? at - now : 0);
    event_add(c->timer, &t);
    c->armed = at;
}

/* ---- out ---- */

/* Sends from p; the number of bytes sent, -1 when the connection is dead. */
static ssize_t send_some(int fd, const char *p, size_t n)
{
    const ssize_t sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

/* Sends what is kept; true when all of it is gone. */
static bool send_kept(struct grpc_conn *c, bool *dead)
{
    const ssize_t sent = send_some(c->fd, c->out.p, c->out.n);
    *dead = sent < 0;
    if (sent > 0)
        buf_drop(&c->out, (size_t)sent);
    buf_trim(&c->out);
    return c->out.n == 0;
}

/* Sends what is new and keeps what the peer does not take; true when there may be more. */
static bool send_new(struct grpc_conn *c, uint64_t now, bool *dead)
{
    struct buf *new = &c->server->out;
    buf_reset(new);
    if (!grpc_session_output(c->session, new, WRITE_BYTES)) {
        *dead = true;
        return false;
    }
    if (new->n == 0)
        return false;
    const ssize_t sent = send_some(c->fd, new->p, new->n);
    *dead = sent < 0;
    if (sent < 0 || (size_t)sent == new->n)
        return !*dead && new->n >= WRITE_BYTES;
    buf_add(&c->out, new->p + sent, new->n - (size_t)sent);
    *dead = c->out.failed;
    c->stuck_since = now;
    return false;
}

/* Sends what there is; the connection may be gone then. */
static void flush(struct grpc_conn *c, uint64_t now)
{
    bool dead = false;
    if (c->closing)
        return;
    c->held = false;
    if (c->out.n == 0 || send_kept(c, &dead))
        while (!dead && send_new(c, now, &dead))
            ;
    if (dead) {
        close_conn(c);
        return;
    }
    if (c->out.n) {
        event_del(c->readable);
        event_add(c->writable, NULL);
    } else if (grpc_session_over(c->session)) {
        begin_close(c, now);
    } else {
        event_add(c->readable, NULL);
    }
    arm(c, now);
}

static void on_wake(void *arg)
{
    struct grpc_conn *c = arg;
    if (c->dirty)
        return;
    c->dirty = true;
    TAILQ_INSERT_TAIL(&c->server->dirty, c, dirty_link);
}

static void release_windows(struct grpc_server *s, uint64_t now)
{
    struct grpc_conn *c, *next;
    s->stalled = false;
    for (c = TAILQ_FIRST(&s->all); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (grpc_session_release(c->session))
            s->stalled = true;
        flush(c, now);
    }
}

/* After a turn of the intake. */
static void on_settled(void *arg)
{
    struct grpc_server *s = arg;
    const uint64_t now = clock_now().mono;
    struct grpc_conn *c;
    assert(s->magic == SERVER_MAGIC);
    while ((c = TAILQ_FIRST(&s->dirty)) != NULL) {
        TAILQ_REMOVE(&s->dirty, c, dirty_link);
        c->dirty = false;
        flush(c, now);
    }
    if (s->stalled && otlp_go_on(s->in))
        release_windows(s, now);
}

/* ---- in ---- */

/* In the midst of a message the kernel wakes us when there is a good part of it, not for each
 * segment. It does for an end of the connection, too, and when its memory is short. A peer that
 * says something else instead, as that it gives up, is heard after a lull. */
static void set_lowat(struct grpc_conn *c, size_t missing)
{
    int lowat = missing < READ_MOST ? (int)missing : READ_MOST;
    if (lowat < READ_LEAST)
        lowat = 1;
    if (lowat != c->lowat && setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat) == 0)
        c->lowat = lowat;
}

/* Behind reads; `full`: the last of them was, so that there is more already. */
static void await_rest(struct grpc_conn *c, bool full)
{
    const size_t missing = grpc_session_missing(c->session);
    if (!full || missing < READ_LEAST)
        set_lowat(c, missing);
}

/* What the peer can wait for goes with the answer, or after a lull. */
static void flush_later(struct grpc_conn *c, uint64_t now)
{
    c->held = grpc_session_patient(c->session);
    if (c->held)
        arm(c, now);
    else
        flush(c, now);
}

/* False when the connection is gone. */
static bool take(struct grpc_conn *c, const uint8_t *p, size_t n, uint64_t now)
{
    struct grpc_server *s = c->server;
    TAILQ_REMOVE(&s->all, c, link);
    TAILQ_INSERT_TAIL(&s->all, c, link);
    const bool ok = grpc_session_feed(c->session, p, n, now);
    if (grpc_session_release(c->session))
        s->stalled = true;
    c->read_at = now;
    if (ok)
        return true;
    bool dead = false;
    while (!dead && c->out.n == 0 && send_new(c, now, &dead))
        ;
    close_conn(c);
    return false;
}

enum got { GOT_ALL, GOT_SOME /* there is more */, GOT_END };

static enum got read_some(struct grpc_conn *c, uint64_t now)
{
    struct grpc_server *s = c->server;
    const ssize_t n = recv(c->fd, s->scratch, READ_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return GOT_ALL;
    if (n <= 0) {
        close_conn(c);
        return GOT_END;
    }
    if (!c->closing && !take(c, s->scratch, (size_t)n, now))
        return GOT_END;
    return n < READ_BYTES ? GOT_ALL : GOT_SOME;
}

/* A peer that sends and has not acknowledged our windows goes by those that it is given
 * meanwhile. */
static enum got read_on(struct grpc_conn *c, uint64_t now)
{
    const struct otlp_intake *in = c->server->in;
    enum got got = read_some(c, now);
    for (unsigned i = 1; i < READS && got == GOT_SOME && in->njobs == 0 && !c->closing &&
                         grpc_session_agreed(c->session);
         i++)
        got = read_some(c, now);
    return got;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct grpc_conn *c = arg;
    struct otlp_intake *in = c->server->in;
    const uint64_t now = clock_now().mono;
    (void)fd;
    (void)what;
    assert(c->magic == CONN_MAGIC);
    const enum got got = read_on(c, now);
    if (got != GOT_END && !c->closing) {
        await_rest(c, got == GOT_SOME);
        flush_later(c, now);
    }
    otlp_spent(in, now);
    otlp_intake_hurry(in);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct grpc_conn *c = arg;
    struct otlp_intake *in = c->server->in;
    const uint64_t now = clock_now().mono;
    (void)fd;
    (void)what;
    assert(c->magic == CONN_MAGIC);
    flush(c, now);
    otlp_spent(in, now);
}

static void expire(struct grpc_conn *c, uint64_t now)
{
    if (now - c->read_at >= LULL_NS) {
        c->held = false;
        set_lowat(c, 0);
    }
    if (c->closing && now >= c->closing) {
        close_conn(c);
    } else if (c->closing) {
        arm(c, now);
    } else if (c->out.n && now - c->stuck_since >= STUCK_NS) {
        otlp_refused(c->server->in, OWN_LIMIT_SLOW);
        close_conn(c);
    } else {
        grpc_session_expire(c->session, now);
        flush(c, now);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct grpc_conn *c = arg;
    struct otlp_intake *in = c->server->in;
    const uint64_t now = clock_now().mono;
    (void)fd;
    (void)what;
    assert(c->magic == CONN_MAGIC);
    c->armed = 0;
    expire(c, now);
    otlp_spent(in, now);
}

/* ---- accepting ---- */

static bool make_events(struct grpc_conn *c, struct event_base *base)
{
    c->readable = event_new(base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(base, c->fd, EV_WRITE, on_writable, c);
    c->timer = event_new(base, -1, 0, on_timer, c);
    return c->readable && c->writable && c->timer;
}

static bool make_conn(struct grpc_server *s, int fd, const struct client_address *from,
                      uint64_t now)
{
    struct grpc_conn *c = calloc(1, sizeof *c);
    if (!c)
        return false;
    const struct grpc_session_hooks hooks = {.wake = on_wake, .arg = c, .from = *from};
    c->magic = CONN_MAGIC;
    c->fd = fd;
    c->lowat = 1;
    c->server = s;
    c->session = grpc_session_new(s->in, &hooks, now);
    if (!make_events(c, s->in->base) || !c->session) {
        free_events(c);
        grpc_session_free(c->session);
        free(c);
        return false;
    }
    buf_init(&c->out, 8 * WRITE_BYTES);
    TAILQ_INSERT_TAIL(&s->all, c, link);
    s->n++;
    count_connections(s);
    flush(c, now); /* our SETTINGS */
    return true;
}

/* The one that has been idle, or whose message is awaited, longest: of those that have had no
 * request applied, or whoever holds places with nothing or half messages would push out the
 * senders that rest between two requests; else of all. NULL when all have work in hand. */
static struct grpc_conn *dispensable(struct grpc_server *s)
{
    struct grpc_conn *c, *found[2] = {NULL, NULL};
    uint64_t since[2] = {UINT64_MAX, UINT64_MAX};
    TAILQ_FOREACH(c, &s->all, link)
    {
        const uint64_t waits = c->closing ? 0 : grpc_session_waits(c->session);
        const bool served = !c->closing && grpc_session_served(c->session);
        if (waits < since[served]) {
            since[served] = waits;
            found[served] = c;
        }
    }
    return found[0] ? found[0] : found[1];
}

/* One connection is told to come back and closed. */
static bool make_room(struct grpc_server *s, uint64_t now)
{
    struct grpc_conn *c = dispensable(s);
    bool dead = false;
    if (!c)
        return false;
    grpc_session_leave(c->session);
    if (!c->closing && c->out.n == 0)
        (void)send_new(c, now, &dead);
    close_conn(c);
    return true;
}

static void welcome(struct grpc_server *s, int fd, const struct client_address *from, uint64_t now)
{
    const int yes = 1;
    if (s->n >= s->limit) {
        otlp_refused(s->in, OWN_LIMIT_CONNECTIONS);
        if (!make_room(s, now)) {
            close(fd);
            return;
        }
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (!make_conn(s, fd, from, now))
        close(fd);
}

/* Out of descriptors or memory: the listener rests, or it would spin. */
static void rest(struct grpc_server *s)
{
    const struct timeval t = {0, REST_MS * 1000};
    event_del(s->listener);
    event_add(s->rest, &t);
    if (!s->dry) {
        log_warn("otlp_grpc", "no descriptor left for another connection");
        otlp_refused(s->in, OWN_LIMIT_DESCRIPTORS);
    }
    s->dry = true;
}

/* The gate speaks TLS for us, when that is what is spoken. */
static int plain_of(struct grpc_server *s, int fd)
{
    const struct http_guard *g = s->in->guard;
    const int plain = g && g->gate ? gate_connect(g->gate, fd, GATE_HTTP2) : fd;
    if (plain < 0)
        otlp_refused(s->in, OWN_LIMIT_GATE);
    return plain;
}

static bool accept_one(struct grpc_server *s, uint64_t now)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    struct client_address from;
    socklen_t size = sizeof peer;
    const int fd = accept4(s->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        client_address_of(&from, (const struct sockaddr *)&peer);
        const int plain = plain_of(s, fd);
        if (plain >= 0)
            welcome(s, plain, &from, now);
        return true;
    }
    if (errno == ECONNABORTED || errno == EINTR)
        return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        s->dry = false; /* everybody who waited is in */
    else
        rest(s);
    return false;
}

static void on_listener(evutil_socket_t fd, short what, void *arg)
{
    struct grpc_server *s = arg;
    const uint64_t now = clock_now().mono;
    (void)fd;
    (void)what;
    assert(s->magic == SERVER_MAGIC);
    for (int i = 0; i < ACCEPTS && accept_one(s, now); i++)
        ;
    otlp_spent(s->in, now);
}

static void on_rest(evutil_socket_t fd, short what, void *arg)
{
    struct grpc_server *s = arg;
    (void)fd;
    (void)what;
    assert(s->magic == SERVER_MAGIC);
    if (s->fd >= 0)
        event_add(s->listener, NULL);
}

/* ---- life ---- */

struct grpc_server *grpc_server_new(struct otlp_intake *in, unsigned connections, int listen_fd)
{
    struct grpc_server *s = calloc(1, sizeof *s);
    if (!s) {
        close(listen_fd);
        return NULL;
    }
    s->magic = SERVER_MAGIC;
    s->in = in;
    s->fd = listen_fd;
    s->limit = connections;
    TAILQ_INIT(&s->all);
    TAILQ_INIT(&s->dirty);
    buf_init(&s->out, 4 * WRITE_BYTES);
    s->listener = event_new(in->base, listen_fd, EV_READ | EV_PERSIST, on_listener, s);
    s->rest = event_new(in->base, -1, 0, on_rest, s);
    if (!s->listener || !s->rest || event_add(s->listener, NULL) < 0) {
        grpc_server_free(s);
        return NULL;
    }
    in->settled = on_settled;
    in->settled_arg = s;
    return s;
}

static void close_listener(struct grpc_server *s)
{
    if (s->listener)
        event_free(s->listener);
    if (s->rest)
        event_free(s->rest);
    s->listener = s->rest = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void grpc_server_drain(struct grpc_server *s, void (*done)(void *arg), void *arg)
{
    const uint64_t now = clock_now().mono;
    struct grpc_conn *c, *next;
    close_listener(s);
    if (s->n == 0) {
        done(arg);
        return;
    }
    s->drained = done;
    s->drained_arg = arg;
    for (c = TAILQ_FIRST(&s->all); c; c = next) {
        next = TAILQ_NEXT(c, link);
        grpc_session_leave(c->session);
        flush(c, now);
    }
}

void grpc_server_free(struct grpc_server *s)
{
    if (!s)
        return;
    assert(s->magic == SERVER_MAGIC);
    close_listener(s);
    s->drained = NULL;
    while (!TAILQ_EMPTY(&s->all))
        close_conn(TAILQ_FIRST(&s->all));
    if (s->in->settled_arg == s)
        s->in->settled = NULL;
    buf_fini(&s->out);
    s->magic = 0;
    free(s);
}
