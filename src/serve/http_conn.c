/* The connections of an HTTP port: accepted, timed, shut down. */
#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/acceptor.h"
#include "serve/http_inside.h"
#include "store/commit.h"

enum {
    CONNECTION_MEMORY = 16384,
    /* Bytes that wait in the kernel for a reader who comes by loopback; it doubles them for what
     * it needs itself. With room for a long page all of it goes in at once, and the socket is held
     * meanwhile: a reader on another processor empties what has come, falls asleep, and is woken
     * for each piece that follows. 1.3 MB take 0.8 ms so, most of it in one turn of the loop, and
     * 0.55 ms this way. A longer way takes more, and the kernel finds out how much. */
    LOOPBACK_QUEUE = 128 << 10,
};

void http_count_refused(struct http_server *s, enum own_http_reason reason)
{
    own_add(&s->env.pl->own, OWN_HTTP_REFUSED, own_http_index(s->o.own_port, reason), 1);
    store_commit(s->env.pl->st);
}

/* ---- deadlines ---- */

static uint64_t phase_ns(const struct http_server *s, enum phase phase)
{
    const uint64_t ns[] = {s->o.head_ns, s->o.body_ns, s->o.reply_ns, s->o.idle_ns};
    static const uint64_t defaults[] = {2 * NS_PER_S, 10 * NS_PER_S, 30 * NS_PER_S, 75 * NS_PER_S};
    return ns[phase] ? ns[phase] : defaults[phase];
}

static bool full(const struct http_server *s)
{
    return s->connections >= s->o.connections && s->o.connections > 1;
}

/* When one whose answer is being made or read gives way, if there is need; mono ns. */
static uint64_t patience_ends(const struct http_server *s, const struct connection *c)
{
    const uint64_t patience = s->o.patience_ns ? s->o.patience_ns : 10 * NS_PER_S;
    return c->deadline - phase_ns(s, PHASE_REPLY) + patience;
}

static uint64_t first_deadline(const struct http_server *s)
{
    uint64_t first = 0;
    for (int i = 0; i < PHASE_MAX; i++) {
        const struct connection *c = TAILQ_FIRST(&s->phases[i]);
        if (!c)
            continue;
        const uint64_t at = i == PHASE_REPLY && full(s) ? patience_ends(s, c) : c->deadline;
        if (!first || at < first)
            first = at;
    }
    return first;
}

static void arm_deadline(struct http_server *s)
{
    const uint64_t first = first_deadline(s);
    if (first == s->armed)
        return;
    s->armed = first;
    if (!first) {
        event_del(s->deadline);
        return;
    }
    const uint64_t now = clock_now().mono;
    const struct timeval tv = timeval_of(first > now ? first - now : 0);
    event_add(s->deadline, &tv);
}

void http_enter_phase(struct http_server *s, struct connection *c, enum phase phase)
{
    TAILQ_REMOVE(&s->phases[c->phase], c, link);
    c->phase = phase;
    c->deadline = clock_now().mono + phase_ns(s, phase);
    TAILQ_INSERT_TAIL(&s->phases[phase], c, link);
}

/* libmicrohttpd sees the hang-up and closes the connection itself. */
static void hang_up(struct http_server *s, struct connection *c)
{
    shutdown(c->fd, SHUT_RDWR);
    http_enter_phase(s, c, PHASE_REPLY);
}

/* Who has nothing to say, else who takes long to read; NULL: nobody. */
static struct connection *idle_or_slow(const struct http_server *s, uint64_t now)
{
    struct connection *c = TAILQ_FIRST(&s->phases[PHASE_IDLE]);
    if (!c && (c = TAILQ_FIRST(&s->phases[PHASE_REPLY])) && patience_ends(s, c) > now)
        c = NULL;
    return c;
}

/* Who gives way to a newcomer: who has nothing to say, else who is about to say something
 * and is not the newcomer himself, else who takes long to read. NULL: nobody yet, and
 * nobody is accepted until there is room. */
static struct connection *dispensable(const struct http_server *s, const struct connection *newest,
                                      uint64_t now)
{
    struct connection *c = TAILQ_FIRST(&s->phases[PHASE_IDLE]);
    if (!c && (c = TAILQ_FIRST(&s->phases[PHASE_HEAD])) == newest)
        c = TAILQ_FIRST(&s->phases[PHASE_BODY]);
    return c ? c : idle_or_slow(s, now);
}

/* So that there is a place for the next one; NULL is allowed. */
static void give_way(struct http_server *s, struct connection *c)
{
    if (!c)
        return;
    if (c->phase != PHASE_IDLE)
        http_count_refused(s, OWN_HTTP_CROWD);
    hang_up(s, c);
    if (s->o.full)
        s->o.full(s->o.arg);
}

static void hang_up_late(struct http_server *s, uint64_t now)
{
    for (int i = 0; i < PHASE_MAX; i++) {
        struct connection *c;
        while ((c = TAILQ_FIRST(&s->phases[i])) != NULL && c->deadline <= now) {
            if (i != PHASE_IDLE)
                http_count_refused(s, OWN_HTTP_SLOW);
            hang_up(s, c);
        }
    }
    if (full(s))
        give_way(s, idle_or_slow(s, now));
}

/* ---- running ---- */

static void run(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(s->mhd);
    if (s->connections < s->o.connections)
        acceptor_go_on(s->acceptor);
    if (MHD_get_timeout(s->mhd, &ms) == MHD_YES) {
        const struct timeval tv = timeval_of(ms * NS_PER_MS);
        event_add(s->again, &tv);
    } else {
        event_del(s->again);
    }
    arm_deadline(s);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;
    (void)fd;
    (void)what;
    assert(s->magic == HTTP_MAGIC);
    const uint64_t began = clock_now().mono;
    run(s);
    serve_spent(&s->env, began);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;
    (void)fd;
    (void)what;
    assert(s->magic == HTTP_MAGIC);
    const uint64_t began = clock_now().mono;
    s->armed = 0;
    hang_up_late(s, began);
    run(s);
    serve_spent(&s->env, began);
}

/* ---- accepting ---- */

static void limit_queue(int fd, const struct sockaddr *from)
{
    static const int size = LOOPBACK_QUEUE;
    struct client_address a;
    client_address_of(&a, from);
    if (client_address_loopback(&a))
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

/* libmicrohttpd does not accept: it would spin without descriptors, and knows nothing of the
 * gate. */
static void take(struct http_server *s, int fd, const struct sockaddr *from, socklen_t size)
{
    const struct http_guard *g = s->o.guard;
    limit_queue(fd, from);
    if (g && g->gate)
        fd = gate_connect(g->gate, fd, GATE_HTTP1);
    if (fd < 0)
        http_count_refused(s, OWN_HTTP_GATE);
    else
        (void)MHD_add_connection(s->mhd, fd, from, size); /* closes it when it fails */
}

static bool on_accepted(void *arg, int fd, const struct sockaddr_storage *from, socklen_t size)
{
    struct http_server *s = arg;
    s->dry = false;
    take(s, fd, (const struct sockaddr *)from, size);
    event_active(s->again, EV_TIMEOUT, 0);
    return s->connections < s->o.connections;
}

static void on_dry(void *arg)
{
    struct http_server *s = arg;
    http_count_refused(s, OWN_HTTP_DESCRIPTORS);
    if (!s->dry)
        log_warn("http", "%s: no descriptor left for another connection", s->o.title);
    s->dry = true;
}

/* ---- what libmicrohttpd tells ---- */

static void on_started(struct http_server *s, struct MHD_Connection *connection, void **context)
{
    struct connection *c = calloc(1, sizeof *c);
    *context = c;
    if (!c)
        return;
    c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    client_address_of(
        &c->from,
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    c->phase = PHASE_HEAD;
    TAILQ_INSERT_TAIL(&s->phases[PHASE_HEAD], c, link);
    http_enter_phase(s, c, PHASE_HEAD);
    s->connections++;
    if (full(s))
        give_way(s, dispensable(s, c, clock_now().mono));
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = arg;
    struct connection *c = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        on_started(s, connection, context);
        return;
    }
    if (!c)
        return;
    TAILQ_REMOVE(&s->phases[c->phase], c, link);
    s->connections--;
    *context = NULL;
    free(c);
}

/* ---- life ---- */

void http_check_drained(struct http_server *s)
{
    if (!s->drained || s->active > 0)
        return;
    void (*done)(void *arg) = s->drained;
    s->drained = NULL;
    done(s->drained_arg);
}

static struct MHD_Daemon *start_mhd(struct http_server *s)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0,
                            NULL, NULL, http_on_request, s, MHD_OPTION_CONNECTION_LIMIT,
                            s->o.connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                            s, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, s, MHD_OPTION_END);
}

static bool make_events(struct http_server *s)
{
    const union MHD_DaemonInfo *i = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    if (!i)
        return false;
    s->ready = event_new(s->env.base, i->epoll_fd, EV_READ | EV_PERSIST, on_ready, s);
    s->again = event_new(s->env.base, -1, 0, on_ready, s);
    s->deadline = event_new(s->env.base, -1, 0, on_deadline, s);
    if (!s->ready || !s->again || !s->deadline)
        return false;
    return event_add(s->ready, NULL) == 0;
}

/* Fewer than there is room for: who comes makes room for itself, and who came in the same
 * wakeup has not been listened to yet. */
static unsigned accepts_at_once(const struct http_options *o)
{
    const unsigned n = o->connections / 4;
    return n < 1 ? 1 : n < 64 ? n : 64;
}

struct http_server *http_server_new(const struct serve_env *env, const struct http_options *o,
                                    int listen_fd)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s) {
        close(listen_fd);
        return NULL;
    }
    s->magic = HTTP_MAGIC;
    s->env = *env;
    s->o = *o;
    buf_init(&s->text, HTTP_TEXT);
    for (int i = 0; i < PHASE_MAX; i++)
        TAILQ_INIT(&s->phases[i]);
    const struct acceptor_owner owner = {
        .take = on_accepted, .dry = on_dry, .arg = s, .at_once = accepts_at_once(&s->o)};
    s->acceptor = acceptor_new(env, listen_fd, &owner);
    s->mhd = start_mhd(s);
    if (s->acceptor && s->mhd && make_events(s))
        return s;
    http_server_free(s);
    return NULL;
}

void http_server_drain(struct http_server *s, void (*done)(void *arg), void *arg)
{
    acceptor_free(s->acceptor);
    s->acceptor = NULL;
    s->drained = done;
    s->drained_arg = arg;
    http_check_drained(s);
}

unsigned http_server_connections(const struct http_server *s)
{
    return s->connections;
}

static void free_event(struct event *e)
{
    if (e)
        event_free(e);
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    free_event(s->ready);
    free_event(s->again);
    free_event(s->deadline);
    acceptor_free(s->acceptor);
    if (s->mhd)
        MHD_stop_daemon(s->mhd);
    buf_fini(&s->text);
    s->magic = 0;
    free(s);
}
