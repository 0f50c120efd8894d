#include "export/http_client.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "export/call.h"
#include "export/http_reply.h"
#include "export/route.h"

enum { REQUEST_BYTES = 16384 }; /* more than evhttp needs for one that is empty */

enum state {
    SLOT_CONNECTING, /* it has a call, of which nothing has been written */
    SLOT_SENDING,    /* it has a call, of which bytes have been written */
    SLOT_IDLE,       /* connected, no call */
    SLOT_DEAD,       /* is freed in the next turn: evhttp may still be at work on it */
    STATES
};

/* A connection. */
struct slot {
    TAILQ_ENTRY(slot) entry;
    struct client *client;
    enum state state;
    struct evhttp_connection *conn;
    struct bufferevent *bev; /* the connection's */
    SSL *ssl;                /* the bufferevent's; NULL: plain */
    struct call *call;
    struct event *timer; /* the time to connect */
    unsigned at;         /* the address */
    bool reused;         /* it has carried a call before */
    bool closed;         /* by the collector, or since the last call */
    bool failed;         /* evhttp told of an error, */
    enum evhttp_request_error error;
    unsigned status; /* the answer's first line was there; 0: not yet */
    char tls_why[80];
};

struct client {
    struct setup *setup;
    struct endpoint to;
    struct route route;
    TAILQ_HEAD(, slot) slots;
    struct calls waiting; /* for the route */
    struct event *turn;   /* frees dead slots */
    char why[EXPORT_WHY];
};

static void set_state(struct slot *s, enum state to)
{
    static const bool may[STATES][STATES] = {
        [SLOT_CONNECTING] = {[SLOT_SENDING] = true, [SLOT_IDLE] = true, [SLOT_DEAD] = true},
        [SLOT_SENDING] = {[SLOT_IDLE] = true, [SLOT_DEAD] = true},
        [SLOT_IDLE] = {[SLOT_SENDING] = true, [SLOT_DEAD] = true},
        [SLOT_DEAD] = {0},
    };
    assert(may[s->state][to]);
    s->state = to;
}

static void slot_free(struct slot *s)
{
    TAILQ_REMOVE(&s->client->slots, s, entry);
    if (s->conn) {
        evhttp_connection_set_closecb(s->conn, NULL, NULL);
        evhttp_connection_free(s->conn);
    }
    if (s->timer)
        event_free(s->timer);
    free(s);
}

static void bury(struct slot *s)
{
    static const struct timeval at_once = {0, 0};
    event_del(s->timer);
    set_state(s, SLOT_DEAD);
    bufferevent_disable(s->bev, EV_READ | EV_WRITE); /* the call's bytes may go any time now */
    event_add(s->client->turn, &at_once);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct client *c = arg;
    struct slot *s, *next;
    (void)fd;
    (void)what;
    for (s = TAILQ_FIRST(&c->slots); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        if (s->state == SLOT_DEAD)
            slot_free(s);
    }
}

/* ---- the end of a call ---- */

static void answer(struct client *c, struct call *call)
{
    call->link = NULL;
    c->setup->answered(c->setup->arg, call);
}

static void fail_call(struct client *c, struct call *call, const char *why)
{
    snprintf(c->why, sizeof c->why, "%s: %s", c->to.authority, why);
    setup_failed(c->setup, c->why);
    route_lost(&c->route);
    call_lost(call, c->why);
    answer(c, call);
}

static void connect_call(struct client *c, struct call *call, unsigned at);

static const char *why_of(const struct slot *s)
{
    if (s->tls_why[0])
        return s->tls_why;
    if (!s->failed)
        return s->state == SLOT_CONNECTING ? "cannot be reached" : "the connection was lost";
    switch (s->error) {
    case EVREQ_HTTP_TIMEOUT:
        return "no answer in time";
    case EVREQ_HTTP_EOF:
        return "the collector closed the connection";
    case EVREQ_HTTP_INVALID_HEADER:
        return "the answer is no HTTP";
    case EVREQ_HTTP_DATA_TOO_LONG:
        return "the answer is too large";
    default:
        return "the connection failed";
    }
}

/* A handshake that failed may be one of certificates that have changed since. */
static void note_tls(struct slot *s)
{
    const char *why = s->ssl ? tls_reason(s->ssl, bufferevent_get_openssl_error(s->bev)) : NULL;
    if (!why)
        return;
    snprintf(s->tls_why, sizeof s->tls_why, "%s", why);
    tls_stale(s->client->setup->tls);
}

/* Without an answer: to the next address when nothing was written; once more when a kept
 * connection turned out to be closed; else the caller shall know. */
static void no_answer(struct slot *s)
{
    struct client *c = s->client;
    struct call *call = s->call;
    const bool unsent = s->state == SLOT_CONNECTING;
    const bool kept =
        s->reused && !call->again && s->status == 0 && (!s->failed || s->error == EVREQ_HTTP_EOF);
    note_tls(s);
    s->call = NULL;
    bury(s);
    if (unsent && s->at + 1 < c->route.n) {
        connect_call(c, call, s->at + 1);
    } else if (kept) {
        call->again = true;
        call->link = NULL;
        TAILQ_INSERT_TAIL(&c->waiting, call, entry);
        route_find(&c->route);
    } else {
        fail_call(c, call, why_of(s));
    }
}

static void read_reply(struct evhttp_request *request, struct http_reply *r)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    const size_t n = evbuffer_get_length(body);
    *r = (struct http_reply){
        .status = (unsigned)evhttp_request_get_response_code(request),
        .type = evhttp_find_header(headers, "Content-Type"),
        .retry_after = evhttp_find_header(headers, "Retry-After"),
        .location = evhttp_find_header(headers, "Location"),
        .body = {(const char *)evbuffer_pullup(body, -1), n},
    };
}

static void got_answer(struct slot *s, const struct http_reply *r)
{
    struct call *call = s->call;
    s->call = NULL;
    http_reply_outcome(r, call, clock_now().wall);
    answer(s->client, call);
}

/* NULL or without a status: evhttp got no answer. */
static void on_answer(struct evhttp_request *request, void *arg)
{
    struct slot *s = arg;
    struct http_reply r = {0};
    if (s->state == SLOT_DEAD || !s->call)
        return;
    if (request)
        read_reply(request, &r);
    if (r.status >= 200) {
        got_answer(s, &r);
        s->reused = true;
        set_state(s, SLOT_IDLE);
        if (s->closed || evbuffer_get_length(bufferevent_get_output(s->bev)) > 0)
            bury(s);
    } else if (s->failed && s->error == EVREQ_HTTP_DATA_TOO_LONG && s->status) {
        /* The status is what counts, and it was there. */
        got_answer(s, &(struct http_reply){.status = s->status, .cut = true});
        bury(s);
    } else {
        no_answer(s);
    }
}

static void on_error(enum evhttp_request_error error, void *arg)
{
    struct slot *s = arg;
    s->failed = true;
    s->error = error;
}

static int on_headers(struct evhttp_request *request, void *arg)
{
    struct slot *s = arg;
    s->status = (unsigned)evhttp_request_get_response_code(request);
    return 0;
}

static void on_close(struct evhttp_connection *conn, void *arg)
{
    struct slot *s = arg;
    (void)conn;
    s->closed = true;
    if (s->state == SLOT_IDLE)
        bury(s);
}

/* ---- sending ---- */

/* Bytes leave the connection's buffer once it is connected, its TLS handshake included. */
static void on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
    struct slot *s = arg;
    if (s->conn && info->n_deleted > 0 && evbuffer_get_length(out) == 0)
        evhttp_connection_set_flags(s->conn, 0);
    s->client->setup->stats->bytes_sent += info->n_deleted;
    if (info->n_deleted == 0 || s->state != SLOT_CONNECTING)
        return;
    event_del(s->timer);
    set_state(s, SLOT_SENDING);
    setup_connected(s->client->setup, &s->client->to);
}

static bool add_headers(const struct slot *s, struct evhttp_request *request)
{
    struct evkeyvalq *to = evhttp_request_get_output_headers(request);
    const struct setup *setup = s->client->setup;
    int bad = evhttp_add_header(to, "Host", s->client->to.authority);
    bad |= evhttp_add_header(to, "User-Agent", EXPORT_AGENT);
    bad |= evhttp_add_header(to, "Content-Type", "application/x-protobuf");
    if (setup->gzip)
        bad |= evhttp_add_header(to, "Content-Encoding", "gzip");
    for (unsigned i = 0; i < setup->fields.n; i++)
        bad |= evhttp_add_header(to, setup->fields.all[i].name, setup->fields.all[i].value);
    return bad == 0;
}

/* libevent 2.1 dies of an allocation that fails in evhttp_request_new(): it frees lists that
 * it has not made. What is free now it will get. */
static struct evhttp_request *request_new(struct slot *s)
{
    void *volatile enough = malloc(REQUEST_BYTES); /* which is not to be optimized away */
    free(enough);
    return enough ? evhttp_request_new(on_answer, s) : NULL;
}

static struct evhttp_request *make_request(struct slot *s)
{
    struct evhttp_request *request = request_new(s);
    if (!request)
        return NULL;
    evhttp_request_set_error_cb(request, on_error);
    evhttp_request_set_header_cb(request, on_headers);
    /* The bytes stay the call's, which lives until the request has ended. */
    struct evbuffer *body = evhttp_request_get_output_buffer(request);
    if (add_headers(s, request) &&
        evbuffer_add_reference(body, s->call->bytes.p, s->call->bytes.n, NULL, NULL) == 0)
        return request;
    evhttp_request_free(request);
    return NULL;
}

static void begin(struct slot *s, struct call *call)
{
    struct client *c = s->client;
    s->call = call;
    s->failed = false;
    s->status = 0;
    call->link = s;
    c->setup->stats->requests++;
    /* Who says "too large" may not read the rest before he closes: then what he said is
     * read. Only while writing, since later evhttp would not see the end of half an answer. */
    evhttp_connection_set_flags(s->conn, EVHTTP_CON_READ_ON_WRITE_ERROR);
    struct evhttp_request *request = make_request(s);
    if (request && evhttp_make_request(s->conn, request, EVHTTP_REQ_POST,
                                       c->setup->endpoint[call->signal].path) == 0)
        return;
    if (!s->call)
        return; /* answered meanwhile */
    s->call = NULL;
    bury(s);
    fail_call(c, call, "no request could be begun");
}

/* ---- connecting ---- */

static void on_late(evutil_socket_t fd, short what, void *arg)
{
    struct slot *s = arg;
    (void)fd;
    (void)what;
    if (s->state == SLOT_CONNECTING)
        no_answer(s);
}

static bool make_connection(struct slot *s, const struct sockaddr_storage *a)
{
    char host[NI_MAXHOST];
    struct client *c = s->client;
    if (getnameinfo((const struct sockaddr *)a, (socklen_t)route_size(a), host, sizeof host, NULL,
                    0, NI_NUMERICHOST) != 0)
        return false;
    s->bev = setup_bufferevent(c->setup, &c->to, false, &s->ssl);
    s->timer = event_new(c->setup->base, -1, 0, on_late, s);
    if (!s->bev || !s->timer)
        return false;
    s->conn =
        evhttp_connection_base_bufferevent_new(c->setup->base, NULL, s->bev, host, c->to.port);
    if (!s->conn)
        return false;
    const struct timeval limit = setup_time(c->setup->timeout + NS_PER_S);
    evhttp_connection_set_timeout_tv(s->conn, &limit);
    evhttp_connection_set_max_body_size(s->conn, EXPORT_REPLY);
    evhttp_connection_set_max_headers_size(s->conn, EXPORT_HEADERS);
    evhttp_connection_set_closecb(s->conn, on_close, s);
    return evbuffer_add_cb(bufferevent_get_output(s->bev), on_output, s) != NULL;
}

static void connect_call(struct client *c, struct call *call, unsigned at)
{
    const struct timeval limit = setup_connect_time(c->setup);
    struct slot *s = calloc(1, sizeof *s);
    if (!s) {
        fail_call(c, call, "no memory for a connection");
        return;
    }
    s->client = c;
    s->at = at;
    TAILQ_INSERT_TAIL(&c->slots, s, entry);
    if (!make_connection(s, &c->route.address[at])) {
        if (s->bev && !s->conn)
            bufferevent_free(s->bev);
        slot_free(s);
        fail_call(c, call, "no connection could be begun");
        return;
    }
    event_add(s->timer, &limit);
    begin(s, call);
}

static void on_route(void *arg, const char *error)
{
    struct client *c = arg;
    struct calls now = TAILQ_HEAD_INITIALIZER(now);
    struct call *call;
    TAILQ_CONCAT(&now, &c->waiting, entry);
    if (error)
        setup_failed(c->setup, error);
    while ((call = TAILQ_FIRST(&now))) {
        TAILQ_REMOVE(&now, call, entry);
        if (!error) {
            connect_call(c, call, 0);
            continue;
        }
        call_lost(call, error);
        answer(c, call);
    }
}

/* ---- what the transport asks ---- */

static struct slot *idle_slot(const struct client *c)
{
    struct slot *s;
    TAILQ_FOREACH(s, &c->slots, entry)
    if (s->state == SLOT_IDLE)
        return s;
    return NULL;
}

static void http_send(struct client *c, struct call *call)
{
    struct slot *s = idle_slot(c);
    if (s) {
        set_state(s, SLOT_SENDING);
        begin(s, call);
        return;
    }
    call->link = NULL;
    TAILQ_INSERT_TAIL(&c->waiting, call, entry);
    route_find(&c->route);
}

static void http_cancel(struct client *c, struct call *call)
{
    struct slot *s = call->link;
    call->link = NULL;
    if (s)
        slot_free(s);
    else
        TAILQ_REMOVE(&c->waiting, call, entry);
}

static unsigned http_limit(const struct client *c)
{
    (void)c;
    return UINT_MAX;
}

static bool http_connected(const struct client *c)
{
    struct slot *s;
    TAILQ_FOREACH(s, &c->slots, entry)
    if (s->state == SLOT_SENDING || s->state == SLOT_IDLE)
        return true;
    return false;
}

static void http_free(struct client *c)
{
    struct slot *s;
    while ((s = TAILQ_FIRST(&c->slots)))
        slot_free(s);
    route_fini(&c->route);
    if (c->turn)
        event_free(c->turn);
    free(c);
}

static struct client *http_make(struct setup *s, const struct endpoint *e)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->setup = s;
    c->to = *e;
    TAILQ_INIT(&c->slots);
    TAILQ_INIT(&c->waiting);
    c->turn = event_new(s->base, -1, 0, on_turn, c);
    if (c->turn && route_init(&c->route, s, &c->to, on_route, c) == 0)
        return c;
    if (c->turn)
        event_free(c->turn);
    free(c);
    return NULL;
}

const struct client_ops http_client = {http_make,   http_free,  http_send,
                                       http_cancel, http_limit, http_connected};
