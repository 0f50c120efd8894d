#include "export/grpc_client.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "export/grpc_caller.h"
#include "export/route.h"

/* A connection. */
struct link {
    TAILQ_ENTRY(link) entry;
    struct client *client;
    struct bufferevent *bev;
    SSL *ssl;                    /* the bufferevent's; NULL: plain */
    struct grpc_caller *session; /* NULL: not connected yet */
    struct event *timer;         /* the time to connect; then the session's pings */
    bool useful;                 /* a call was answered on it */
};

struct client {
    struct setup *setup;
    struct endpoint to;
    struct route route;
    unsigned at;          /* the address that is tried */
    struct link *current; /* takes new calls, or is being connected; NULL: none */
    TAILQ_HEAD(, link) links;
    struct calls waiting; /* for a connection, or for room on it */
    char why[EXPORT_WHY]; /* the newest failure to connect */
};

static void serve_waiting(struct client *c);
static void try_address(struct client *c);

/* ---- the end of a connection ---- */

static void close_tls(SSL *ssl)
{
    SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
    SSL_shutdown(ssl);
    (void)tls_reason(NULL, 0);
}

static void link_free(struct link *l, const char *why)
{
    struct client *c = l->client;
    if (c->current == l)
        c->current = NULL;
    TAILQ_REMOVE(&c->links, l, entry);
    grpc_caller_end(l->session, why);
    if (l->ssl && l->session)
        close_tls(l->ssl);
    if (l->bev)
        bufferevent_free(l->bev);
    if (l->timer)
        event_free(l->timer);
    free(l);
}

static void fail_waiting(struct client *c, const char *why)
{
    struct call *call;
    setup_failed(c->setup, why);
    while ((call = TAILQ_FIRST(&c->waiting))) {
        TAILQ_REMOVE(&c->waiting, call, entry);
        call_lost(call, why);
        c->setup->answered(c->setup->arg, call);
    }
}

/* A connection that stood is of no more use. A collector that says goodbye, or that closes
 * what has been of use, is asked for another one by whoever waits; with any other,
 * that would be a loop. */
static void link_lost(struct link *l, const char *why)
{
    struct client *c = l->client;
    const bool idle = !grpc_caller_open(l->session) && l->useful;
    const bool goes_on = idle && (grpc_caller_leaving(l->session) || TAILQ_EMPTY(&c->waiting));
    const bool newest = c->current == l || !c->current;
    snprintf(c->why, sizeof c->why, "%s: %s", c->to.authority, why);
    link_free(l, c->why);
    if (!goes_on)
        route_lost(&c->route);
    if (!goes_on && newest)
        fail_waiting(c, c->why);
    else
        serve_waiting(c);
}

/* ---- bytes ---- */

/* Fills the output up to a step. False when the connection has to go. */
static bool pump(struct link *l)
{
    struct evbuffer *out = bufferevent_get_output(l->bev);
    struct str bytes;
    while (evbuffer_get_length(out) < EXPORT_STEP) {
        if (grpc_caller_pull(l->session, &bytes) < 0)
            return false;
        if (bytes.n == 0)
            return !grpc_caller_over(l->session) || evbuffer_get_length(out) > 0;
        if (bufferevent_write(l->bev, bytes.p, bytes.n) < 0)
            return false;
        l->client->setup->stats->bytes_sent += bytes.n;
    }
    return true;
}

static void set_timer(struct link *l, uint64_t now)
{
    const uint64_t at = grpc_caller_wakes(l->session);
    if (at == UINT64_MAX) {
        event_del(l->timer);
        return;
    }
    const struct timeval tv = setup_time(at > now ? at - now : 0);
    event_add(l->timer, &tv);
}

/* Whatever has happened to a session: write, send on, rest, or end. */
static void settle(struct link *l)
{
    struct client *c = l->client;
    if (c->current == l && grpc_caller_leaving(l->session))
        c->current = NULL;
    const bool good = pump(l);
    const bool done = grpc_caller_leaving(l->session) && !grpc_caller_open(l->session);
    if (!good || done) {
        link_lost(l, grpc_caller_why(l->session));
        return;
    }
    set_timer(l, clock_now().mono);
    serve_waiting(c);
}

/* ---- calls ---- */

static void on_finished(void *arg, struct call *call, bool again)
{
    struct link *l = arg;
    struct client *c = l->client;
    call->link = NULL;
    l->useful |= !again;
    if (again && !call->again) {
        call->again = true;
        TAILQ_INSERT_HEAD(&c->waiting, call, entry);
        return;
    }
    c->setup->answered(c->setup->arg, call);
}

static void begin(struct link *l, struct call *call)
{
    TAILQ_REMOVE(&l->client->waiting, call, entry);
    call->link = l;
    if (grpc_caller_send(l->session, call, clock_now().mono) == 0)
        return;
    call->link = NULL;
    call_lost(call, "no memory for a request");
    l->client->setup->answered(l->client->setup->arg, call);
}

static void serve_waiting(struct client *c)
{
    struct link *l = c->current;
    bool begun = false;
    if (TAILQ_EMPTY(&c->waiting))
        return;
    if (!l) {
        route_find(&c->route);
        return;
    }
    for (; l->session && grpc_caller_may(l->session) && !TAILQ_EMPTY(&c->waiting); begun = true)
        begin(l, TAILQ_FIRST(&c->waiting));
    if (begun && !pump(l))
        link_lost(l, grpc_caller_why(l->session));
    else if (begun)
        set_timer(l, clock_now().mono);
}

/* ---- what the loop says ---- */

static void on_readable(struct bufferevent *bev, void *arg)
{
    struct link *l = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    const uint64_t now = clock_now().mono;
    while (evbuffer_get_length(in) > 0) {
        const size_t n = evbuffer_get_contiguous_space(in);
        const struct str bytes = {(const char *)evbuffer_pullup(in, (ev_ssize_t)n), n};
        if (grpc_caller_feed(l->session, bytes, now) < 0) {
            link_lost(l, grpc_caller_why(l->session));
            return;
        }
        evbuffer_drain(in, n);
    }
    settle(l);
}

static void on_writable(struct bufferevent *bev, void *arg)
{
    struct link *l = arg;
    (void)bev;
    if (l->session)
        settle(l);
}

/* HTTP/2 is not a guess: over TLS the other side must have agreed to it. */
static bool agreed(const struct link *l)
{
    const unsigned char *name = NULL;
    unsigned n = 0;
    if (!l->ssl)
        return true;
    SSL_get0_alpn_selected(l->ssl, &name, &n);
    return n == 2 && memcmp(name, "h2", 2) == 0;
}

static void next_address(struct link *l, const char *why)
{
    struct client *c = l->client;
    snprintf(c->why, sizeof c->why, "%s: %s", c->to.authority, why);
    link_free(l, why);
    c->at++;
    try_address(c);
}

static void connected(struct link *l)
{
    const int one = 1;
    const uint64_t now = clock_now().mono;
    struct client *c = l->client;
    if (!agreed(l)) {
        next_address(l, "does not speak HTTP/2 (ALPN h2)");
        return;
    }
    setsockopt(bufferevent_getfd(l->bev), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    l->session = grpc_caller_new(c->setup, &c->to, on_finished, l, now);
    if (!l->session) {
        next_address(l, "no memory for a connection");
        return;
    }
    setup_connected(c->setup, &c->to);
    settle(l);
}

static const char *reason(struct link *l, short what, int error)
{
    const char *tls = l->ssl ? tls_reason(l->ssl, bufferevent_get_openssl_error(l->bev)) : NULL;
    if (tls) {
        /* It may be one of certificates that have changed since. */
        tls_stale(l->client->setup->tls);
        return tls;
    }
    if (what & BEV_EVENT_EOF)
        return l->session ? grpc_caller_why(l->session) : "closed while connecting";
    return error ? evutil_socket_error_to_string(error) : "the connection failed";
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct link *l = arg;
    const int error = EVUTIL_SOCKET_ERROR();
    (void)bev;
    if (what & BEV_EVENT_CONNECTED) {
        connected(l);
        return;
    }
    const char *why = reason(l, what, error);
    if (l->session)
        link_lost(l, why);
    else
        next_address(l, why);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct link *l = arg;
    (void)fd;
    (void)what;
    if (!l->session)
        next_address(l, "no connection in time");
    else if (grpc_caller_tick(l->session, clock_now().mono) < 0)
        link_lost(l, grpc_caller_why(l->session));
    else
        settle(l);
}

/* ---- connecting ---- */

static bool start(struct link *l, struct sockaddr_storage *a)
{
    const struct timeval limit = setup_connect_time(l->client->setup);
    l->bev = setup_bufferevent(l->client->setup, &l->client->to, true, &l->ssl);
    l->timer = event_new(l->client->setup->base, -1, 0, on_timer, l);
    if (!l->bev || !l->timer)
        return false;
    bufferevent_setcb(l->bev, on_readable, on_writable, on_event, l);
    bufferevent_setwatermark(l->bev, EV_READ, 0, EXPORT_STEP);
    bufferevent_setwatermark(l->bev, EV_WRITE, EXPORT_STEP / 4, 0);
    bufferevent_enable(l->bev, EV_READ | EV_WRITE);
    event_add(l->timer, &limit);
    return bufferevent_socket_connect(l->bev, (struct sockaddr *)a, route_size(a)) == 0;
}

/* The next address that a connection can at least be begun to, or the end of it. */
static void try_address(struct client *c)
{
    while (c->at < c->route.n) {
        struct link *l = calloc(1, sizeof *l);
        if (!l)
            break;
        l->client = c;
        c->current = l;
        TAILQ_INSERT_TAIL(&c->links, l, entry);
        if (start(l, &c->route.address[c->at]))
            return;
        snprintf(c->why, sizeof c->why, "%s: %s", c->to.authority,
                 evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
        link_free(l, c->why);
        c->at++;
    }
    route_lost(&c->route);
    fail_waiting(c, c->why);
}

static void on_route(void *arg, const char *error)
{
    struct client *c = arg;
    if (error) {
        fail_waiting(c, error);
    } else if (!TAILQ_EMPTY(&c->waiting) && !c->current) {
        c->at = 0;
        snprintf(c->why, sizeof c->why, "%s: no memory for a connection", c->to.authority);
        try_address(c);
    }
}

/* ---- what the transport asks ---- */

static void grpc_send(struct client *c, struct call *call)
{
    call->link = NULL;
    TAILQ_INSERT_TAIL(&c->waiting, call, entry);
    serve_waiting(c);
}

static void grpc_cancel(struct client *c, struct call *call)
{
    struct link *l = call->link;
    call->link = NULL;
    if (!l) {
        TAILQ_REMOVE(&c->waiting, call, entry);
        return;
    }
    grpc_caller_cancel(l->session, call, clock_now().mono);
    settle(l);
}

static unsigned grpc_limit(const struct client *c)
{
    return c->current && c->current->session ? grpc_caller_limit(c->current->session) : UINT_MAX;
}

static bool grpc_connected(const struct client *c)
{
    return c->current && c->current->session;
}

/* Its calls are the transport's: none is answered any more. */
static void drop_answer(void *arg, struct call *call)
{
    (void)arg;
    (void)call;
}

static void grpc_free(struct client *c)
{
    struct link *l;
    void (*const answered)(void *arg, struct call *call) = c->setup->answered;
    c->setup->answered = drop_answer;
    while ((l = TAILQ_FIRST(&c->links)))
        link_free(l, "");
    c->setup->answered = answered;
    route_fini(&c->route);
    free(c);
}

static struct client *grpc_make(struct setup *s, const struct endpoint *e)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->setup = s;
    c->to = *e;
    TAILQ_INIT(&c->links);
    TAILQ_INIT(&c->waiting);
    if (route_init(&c->route, s, &c->to, on_route, c) == 0)
        return c;
    free(c);
    return NULL;
}

const struct client_ops grpc_client = {grpc_make,   grpc_free,  grpc_send,
                                       grpc_cancel, grpc_limit, grpc_connected};
