#include "serve/http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "serve/http_inside.h"
#include "serve/throttle.h"
#include "store/commit.h"

enum { DISCARD_MAX = 64 << 20 }; /* bytes of a body that nobody wants; else it goes on for ever */

/* ---- answers ---- */

struct http_body {
    struct MHD_Response *response;
    unsigned holds;
    bool dressed; /* has the headers that every answer has */
};

struct http_body *http_body_new(const char *type, struct str bytes, void (*release)(void *arg),
                                void *arg)
{
    struct http_body *b = malloc(sizeof *b);
    void *p = (void *)(uintptr_t)bytes.p; /* only read */
    if (!b)
        return NULL;
    b->holds = 1;
    b->dressed = false;
    b->response =
        release ? MHD_create_response_from_buffer_with_free_callback_cls(bytes.n, p, release, arg)
                : MHD_create_response_from_buffer(bytes.n, p, MHD_RESPMEM_MUST_COPY);
    if (!b->response) {
        free(b);
        return NULL;
    }
    http_body_add_header(b, "Content-Type", type);
    http_body_add_header(b, "Cache-Control", "no-store");
    return b;
}

void http_body_add_header(struct http_body *b, const char *name, const char *value)
{
    MHD_add_response_header(b->response, name, value);
}

void http_body_drop(struct http_body *b)
{
    if (!b || --b->holds > 0)
        return;
    MHD_destroy_response(b->response);
    free(b);
}

static void count_request(struct http_server *s)
{
    own_add(&s->env.pl->own, OWN_HTTP_REQUESTS, s->o.own_port, 1);
    store_commit(s->env.pl->st);
}

static void resume(struct http_exchange *x)
{
    x->waiting = false;
    MHD_resume_connection(x->connection);
    event_active(x->server->again, EV_TIMEOUT, 0); /* without a thread it wakes nobody */
}

void http_answer_body(struct http_exchange *x, unsigned status, struct http_body *b)
{
    assert(!x->answered);
    count_request(x->server);
    if (b)
        b->holds++;
    x->body = b;
    x->status = status;
    x->answered = true;
    if (x->waiting)
        resume(x);
}

void http_answer(struct http_exchange *x, unsigned status, const char *type, struct str text)
{
    struct http_body *b = http_body_new(type, text, NULL, NULL);
    http_answer_body(x, status, b);
    http_body_drop(b);
}

void http_set_context(struct http_exchange *x, void *context)
{
    x->context = context;
}

void *http_context(const struct http_exchange *x)
{
    return x->context;
}

const char *http_path(const struct http_exchange *x)
{
    return x->route ? x->route->path : "";
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

/* A header that says TLS is to be spoken from now on is for those that speak it. */
static void dress(const struct http_server *s, struct http_body *b)
{
    const struct http_guard *g = s->o.guard;
    for (enum web_header h = 0; h < WEB_HEADERS && !b->dressed; h++) {
        const char *value = g && g->access ? access_header(g->access, h) : web_header_default(h);
        if (*value && (h != WEB_HEADER_HSTS || (g && g->gate)))
            http_body_add_header(b, web_header_name(h), value);
    }
    b->dressed = true;
}

static enum MHD_Result send_answer(struct http_exchange *x)
{
    if (!x->body)
        return MHD_NO;
    dress(x->server, x->body);
    const enum MHD_Result r = MHD_queue_response(x->connection, x->status, x->body->response);
    http_body_drop(x->body);
    x->body = NULL;
    return r;
}

/* ---- requests ---- */

static void answer_index(struct http_exchange *x)
{
    const struct http_options *o = &x->server->o;
    struct buf *t = &x->server->text;
    buf_reset(t);
    buf_addf(t, "<!DOCTYPE html>\n<title>%s</title>\n<h1>%s</h1>\n<ul>\n", o->title, o->title);
    for (size_t i = 0; i < o->nroutes; i++)
        if (o->routes[i].about)
            buf_addf(t, "<li><a href=\"%s\">%s</a> %s\n", o->routes[i].path, o->routes[i].path,
                     o->routes[i].about);
    buf_adds(t, "</ul>\n");
    http_answer(x, MHD_HTTP_OK, "text/html; charset=utf-8", buf_str(t));
}

static void answer_not_found(struct http_exchange *x)
{
    const struct http_options *o = &x->server->o;
    struct buf *t = &x->server->text;
    buf_reset(t);
    buf_adds(t, "not found; there is:");
    for (size_t i = 0; i < o->nroutes; i++)
        buf_addf(t, " %s", o->routes[i].path);
    buf_addc(t, '\n');
    http_answer(x, MHD_HTTP_NOT_FOUND, "text/plain; charset=utf-8", buf_str(t));
}

static const struct http_route *route_of(const struct http_options *o, const char *path)
{
    for (size_t i = 0; i < o->nroutes; i++)
        if (strcmp(path, o->routes[i].path) == 0)
            return &o->routes[i];
    return NULL;
}

static bool takes_uploads(const struct http_options *o)
{
    for (size_t i = 0; i < o->nroutes; i++)
        if (o->routes[i].upload)
            return true;
    return false;
}

static void dispatch(struct http_exchange *x, const char *path)
{
    const struct http_options *o = &x->server->o;
    if (x->route && x->route->upload)
        x->route->upload->end(o->arg, x);
    else if (x->route)
        x->route->handler(o->arg, x);
    else if (strcmp(path, "/") == 0)
        answer_index(x);
    else
        answer_not_found(x);
}

/* With a header, unless that is NULL. */
static void refuse(struct http_exchange *x, enum own_http_reason reason, unsigned status,
                   const char *header, const char *value, struct str why)
{
    struct http_body *b = http_body_new("text/plain; charset=utf-8", why, NULL, NULL);
    if (b && header)
        http_body_add_header(b, header, value);
    http_count_refused(x->server, reason);
    http_answer_body(x, status, b);
    http_body_drop(b);
}

static bool has_body(const struct http_exchange *x)
{
    const char *length = http_header(x, "Content-Length");
    return http_header(x, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

/* Answers at once what is not going to be read; a body that comes all the same ends the
 * connection. */
static void refuse_body(struct http_exchange *x, const char *method)
{
    if (strcmp(method, "HEAD") != 0 && strcmp(method, "GET") != 0)
        refuse(x, OWN_HTTP_METHOD, MHD_HTTP_METHOD_NOT_ALLOWED, "Allow", "GET, HEAD",
               STR("only GET and HEAD\n"));
    else if (has_body(x))
        refuse(x, OWN_HTTP_BODY, MHD_HTTP_CONTENT_TOO_LARGE, "Connection", "close",
               STR("no request body is taken\n"));
}

/* ---- who asks ---- */

static struct connection *connection_of(struct MHD_Connection *connection);

static void refuse_rate(struct http_exchange *x, unsigned seconds)
{
    char after[16];
    snprintf(after, sizeof after, "%u", seconds);
    refuse(x, OWN_HTTP_RATE, MHD_HTTP_TOO_MANY_REQUESTS, "Retry-After", after,
           STR("too many requests\n"));
}

static void judge(struct http_exchange *x, enum access_verdict v)
{
    if (v == ACCESS_DENIED)
        refuse(x, OWN_HTTP_UNAUTHORIZED, MHD_HTTP_UNAUTHORIZED, "WWW-Authenticate",
               access_challenge(x->server->o.guard->access), STR("who are you?\n"));
    else if (v == ACCESS_BUSY)
        refuse(x, OWN_HTTP_CHECKS, MHD_HTTP_SERVICE_UNAVAILABLE, "Retry-After", "1",
               STR("too many passwords are being checked\n"));
}

static void on_verdict(struct access_wait *w, enum access_verdict v)
{
    struct http_exchange *x = (void *)((char *)w - offsetof(struct http_exchange, who));
    x->asking = false;
    judge(x, v);
    if (!x->answered)
        resume(x);
}

/* Answers a request that is one too many, or of somebody who may not; or asks who he is,
 * and then x->asking says so. */
static void admit(struct http_exchange *x)
{
    const struct http_guard *g = x->server->o.guard;
    const struct client_address *from = &connection_of(x->connection)->from;
    const uint64_t now = clock_now().mono;
    const unsigned wait = g && g->throttle ? throttle_ask(g->throttle, from, now) : 0;
    if (wait) {
        refuse_rate(x, wait);
    } else if (g && g->limited && !access_rate(g->access, now)) {
        refuse_rate(x, 1);
    } else if (g && g->authenticate) {
        x->who.done = on_verdict;
        const enum access_verdict v =
            access_ask(g->access, http_header(x, "Authorization"), from, &x->who);
        x->asking = v == ACCESS_LATER;
        judge(x, v);
    }
}

/* What the head of a request leads to, once it is known who asks. */
static void begin(struct http_exchange *x, const char *method)
{
    const struct http_options *o = &x->server->o;
    const bool post = strcmp(method, "POST") == 0;
    x->begun = true;
    if (x->answered)
        return;
    if (x->route && x->route->upload && post)
        x->route->upload->begin(o->arg, x);
    else if (x->route && x->route->upload)
        refuse(x, OWN_HTTP_METHOD, MHD_HTTP_METHOD_NOT_ALLOWED, "Allow", "POST",
               STR("only POST\n"));
    else if (takes_uploads(o) && post && !x->route)
        answer_not_found(x);
    else
        refuse_body(x, method);
}

/* Whether the answer goes out now, which ends the connection if a body follows. On a port
 * for uploads it waits for the end of the body, unless the peer does. */
static bool at_once(const struct http_exchange *x)
{
    return x->answered && (!takes_uploads(&x->server->o) || http_header(x, "Expect"));
}

/* A piece of a body. False when there is no end of what nobody wants. */
static bool take_piece(struct http_exchange *x, const char *p, size_t n)
{
    if (!x->answered && x->route && x->route->upload) {
        x->route->upload->data(x->server->o.arg, x, (struct str){p, n});
        return true;
    }
    x->discarded += n;
    return x->discarded <= DISCARD_MAX;
}

static struct connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}

static enum MHD_Result on_head(struct http_exchange *x, const char *method)
{
    if (!takes_uploads(&x->server->o))
        refuse_body(x, method); /* whoever asks: it costs less than to know who */
    if (!x->answered)
        admit(x);
    if (x->asking) {
        x->waiting = true;
        MHD_suspend_connection(x->connection);
        return MHD_YES;
    }
    begin(x, method);
    return at_once(x) ? send_answer(x) : MHD_YES;
}

/* Called when a request's head is there, again when it is known who asks, for each piece of its
 * body, when all of it is there, and when an exchange that waited is answered. */
enum MHD_Result http_on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **request)
{
    struct http_server *s = arg;
    struct connection *c = connection_of(connection);
    (void)version;
    if (!c)
        return MHD_NO; /* memory was out when it came */
    if (!*request) {
        *request = c;
        s->active++;
        c->x = (struct http_exchange){
            .server = s, .connection = connection, .route = route_of(&s->o, path)};
        http_enter_phase(s, c, takes_uploads(&s->o) ? PHASE_BODY : PHASE_REPLY);
        return on_head(&c->x, method);
    }
    if (!c->x.begun) {
        begin(&c->x, method);
        if (at_once(&c->x))
            return send_answer(&c->x);
        if (*upload_size == 0 && has_body(&c->x))
            return MHD_YES; /* which comes next */
    }
    if (*upload_size > 0) {
        const size_t n = *upload_size;
        *upload_size = 0;
        return take_piece(&c->x, upload, n) ? MHD_YES : MHD_NO;
    }
    if (c->phase == PHASE_BODY)
        http_enter_phase(s, c, PHASE_REPLY);
    if (!c->x.answered)
        dispatch(&c->x, path);
    if (c->x.answered)
        return send_answer(&c->x);
    c->x.waiting = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

void http_on_completed(void *arg, struct MHD_Connection *connection, void **request,
                       enum MHD_RequestTerminationCode how)
{
    struct http_server *s = arg;
    struct connection *c = connection_of(connection);
    (void)how;
    if (!c || !*request)
        return;
    if (c->x.asking)
        access_forget(s->o.guard->access, &c->x.who);
    c->x.asking = false;
    if (c->x.begun && !c->x.answered && c->x.route && c->x.route->upload)
        c->x.route->upload->gone(s->o.arg, &c->x);
    http_body_drop(c->x.body);
    c->x.body = NULL;
    *request = NULL;
    http_enter_phase(s, c, PHASE_IDLE);
    s->active--;
    http_check_drained(s);
}
