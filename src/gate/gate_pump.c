#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/gate_child.h"
#include "gate/gate_context.h"

enum {
    PIECE = 16 << 10,    /* bytes of one record, and what is read at once */
    HELD = 64 << 10,     /* of one direction that the other end has not taken */
    LINGERING = 256,     /* clients that still receive what the daemon is done with */
    LINGER_SECONDS = 30, /* and how long one may take for it */
};

struct pump {
    TAILQ_ENTRY(pump) link;
    struct pumps *all;
    struct gate_context *context;
    struct bufferevent *tls, *plain;
    struct event *closed; /* tells that the daemon has closed, also when nothing is read */
    struct event *limit;  /* pending while it lingers */
    bool lingers;
    bool open;        /* the handshake is done */
    bool client_done; /* has sent its last byte */
    bool daemon_done;
};

TAILQ_HEAD(pump_list, pump);

struct pumps {
    struct event_base *base;
    struct pump_list lingering; /* the daemon is done with them */
    unsigned nlingering;
    uint64_t failed;
};

static size_t unsent(struct bufferevent *b)
{
    return evbuffer_get_length(bufferevent_get_output(b));
}

/* Before their descriptor is. */
static void forget_event(struct event **e)
{
    if (*e)
        event_free(*e);
    *e = NULL;
}

static void pump_free(struct pump *p)
{
    if (p->lingers) {
        TAILQ_REMOVE(&p->all->lingering, p, link);
        p->all->nlingering--;
    }
    if (!p->open)
        p->all->failed++;
    SSL *ssl = bufferevent_openssl_get_ssl(p->tls);
    if (p->open)
        SSL_shutdown(ssl); /* its last record goes to the socket, or nowhere */
    ERR_clear_error();
    forget_event(&p->closed);
    forget_event(&p->limit);
    bufferevent_free(p->tls);
    if (p->plain)
        bufferevent_free(p->plain);
    gate_context_drop(p->context);
    free(p);
}

/* ---- bytes ---- */

static void move(struct bufferevent *from, struct bufferevent *to)
{
    bufferevent_write_buffer(to, bufferevent_get_input(from));
    if (unsent(to) >= HELD)
        bufferevent_disable(from, EV_READ);
}

static void on_client_bytes(struct bufferevent *b, void *arg)
{
    struct pump *p = arg;
    if (p->daemon_done)
        evbuffer_drain(bufferevent_get_input(b), evbuffer_get_length(bufferevent_get_input(b)));
    else
        move(b, p->plain);
}

static void on_daemon_bytes(struct bufferevent *b, void *arg)
{
    struct pump *p = arg;
    move(b, p->tls);
}

/* Nothing waits for the client any more. */
static void on_client_took(struct bufferevent *b, void *arg)
{
    struct pump *p = arg;
    (void)b;
    if (p->daemon_done)
        pump_free(p);
    else if (p->open)
        bufferevent_enable(p->plain, EV_READ);
}

static void on_daemon_took(struct bufferevent *b, void *arg)
{
    struct pump *p = arg;
    if (p->client_done)
        shutdown(bufferevent_getfd(b), SHUT_WR);
    else
        bufferevent_enable(p->tls, EV_READ);
}

/* ---- ends ---- */

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    pump_free(arg);
}

/* The daemon has closed: what it said is still to be sent, within a time and a number.
 * False: there is no memory for the time. */
static bool linger(struct pump *p)
{
    static const struct timeval limit = {LINGER_SECONDS, 0};
    struct pumps *all = p->all;
    if (p->lingers)
        return true;
    p->limit = event_new(all->base, -1, 0, on_limit, p);
    if (!p->limit || event_add(p->limit, &limit) < 0)
        return false;
    p->lingers = true;
    TAILQ_INSERT_TAIL(&all->lingering, p, link);
    if (++all->nlingering > LINGERING)
        pump_free(TAILQ_FIRST(&all->lingering));
    return true;
}

/* A client that does not take what is held has us read nothing of the daemon's, its end
 * neither: without this he would stay for as long as he likes. */
static void on_daemon_closed(evutil_socket_t fd, short what, void *arg)
{
    struct pump *p = arg;
    (void)fd;
    (void)what;
    if (!linger(p))
        pump_free(p);
}

/* All that it said is read. */
static void daemon_ends(struct pump *p)
{
    bufferevent_write_buffer(p->tls, bufferevent_get_input(p->plain));
    forget_event(&p->closed);
    bufferevent_free(p->plain);
    p->plain = NULL;
    p->daemon_done = true;
    if (!p->open || unsent(p->tls) == 0 || !linger(p))
        pump_free(p);
}

static void on_daemon_event(struct bufferevent *b, short what, void *arg)
{
    (void)b;
    (void)what; /* end and reset alike: it closes with unread bytes, too */
    daemon_ends(arg);
}

/* A client may say that it has sent all and still read. */
static void client_ends(struct pump *p)
{
    p->client_done = true;
    bufferevent_disable(p->tls, EV_READ);
    if (unsent(p->plain) == 0)
        shutdown(bufferevent_getfd(p->plain), SHUT_WR);
}

static void on_client_event(struct bufferevent *b, short what, void *arg)
{
    struct pump *p = arg;
    (void)b;
    if (what & BEV_EVENT_CONNECTED) {
        p->open = true;
        bufferevent_enable(p->plain, EV_READ | EV_WRITE);
    } else if (what & BEV_EVENT_EOF && p->open && !p->daemon_done) {
        client_ends(p);
    } else {
        pump_free(p);
    }
}

/* ---- life ---- */

static void start(struct pump *p)
{
    bufferevent_setcb(p->tls, on_client_bytes, on_client_took, on_client_event, p);
    bufferevent_setcb(p->plain, on_daemon_bytes, on_daemon_took, on_daemon_event, p);
    bufferevent_setwatermark(p->tls, EV_READ, 0, PIECE);
    bufferevent_setwatermark(p->plain, EV_READ, 0, PIECE);
    bufferevent_enable(p->tls, EV_READ | EV_WRITE);
    /* Before there is a client to send to, only its end is of interest: it is the deadline. */
    bufferevent_enable(p->plain, EV_READ);
}

void pumps_add(struct pumps *all, struct gate_context *context, enum gate_protocol protocol,
               int client, int plain)
{
    struct pump *p = calloc(1, sizeof *p);
    SSL *ssl = p ? SSL_new(context->ctx) : NULL;
    if (ssl)
        SSL_set_app_data(ssl, (void *)(uintptr_t)gate_protocol_name(protocol));
    if (ssl)
        p->tls = bufferevent_openssl_socket_new(all->base, client, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                                BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (p && p->tls)
        p->plain = bufferevent_socket_new(all->base, plain,
                                          BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (p && p->plain) {
        p->all = all;
        p->context = gate_context_hold(context);
        p->closed = event_new(all->base, plain, EV_CLOSED, on_daemon_closed, p);
        if (p->closed && event_add(p->closed, NULL) == 0)
            start(p);
        else
            pump_free(p);
        return;
    }
    if (p && p->tls) {
        bufferevent_free(p->tls);
    } else {
        SSL_free(ssl);
        close(client);
    }
    free(p);
    close(plain);
    all->failed++;
}

struct pumps *pumps_new(struct event_base *base)
{
    struct pumps *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->base = base;
    TAILQ_INIT(&p->lingering);
    return p;
}

uint64_t pumps_failed(struct pumps *p)
{
    const uint64_t n = p->failed;
    p->failed = 0;
    return n;
}
