#include "probe/web.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <stdlib.h>
#include <string.h>

#include "export/tls.h"

enum { PIECE = 4096 };

struct web {
    struct probe *p;
    const struct web_events *events;
    struct endpoint to;
    struct reach reach;
    struct tls *tls; /* NULL: plain */
    struct tls_waiter certificates;
    void (*ready)(struct probe *p);
    struct evhttp_connection *conn, *used; /* used: of the request before, to be freed */
    struct bufferevent *bev;
    SSL *ssl;
    struct evhttp_request *request; /* while its answer comes */
    struct web_request what;
    struct buf body;
    unsigned status; /* 0: no head yet */
    bool failed, written, beginning;
    enum evhttp_request_error error;
};

static bool connect_to(struct web *w);

/* The connection in hand is left, and freed when it is not at work any more. */
static void retire(struct web *w)
{
    if (w->used)
        evhttp_connection_free(w->used);
    w->used = w->conn;
    w->conn = NULL;
}

/* ---- ends ---- */

static const char *why_of(const struct web *w)
{
    if (w->error == EVREQ_HTTP_INVALID_HEADER)
        return "what it answers is no HTTP";
    if (w->error == EVREQ_HTTP_EOF)
        return "it closed the connection before it had answered";
    if (w->error == EVREQ_HTTP_DATA_TOO_LONG)
        return "the answer is too large";
    return "the connection was lost";
}

static void end_failed(struct web *w)
{
    char text[REACH_TEXT];
    const char *tls = w->ssl ? tls_reason(w->ssl, bufferevent_get_openssl_error(w->bev)) : NULL;
    if (tls && w->tls)
        tls_stale(w->tls); /* the files may have been renewed */
    if (tls)
        probe_end(w->p, OWN_RESULT_FAILED, "TLS: %s", tls);
    else if (!w->failed || (!w->status && !w->written))
        probe_end(w->p, OWN_RESULT_UNREACHABLE, "no connection to %s",
                  reach_text(&w->reach.address[w->reach.at], text));
    else if (w->error == EVREQ_HTTP_TIMEOUT)
        probe_end(w->p, OWN_RESULT_TIMEOUT, "no answer in time");
    else
        probe_end(w->p, OWN_RESULT_FAILED, "%s", why_of(w));
}

/* ---- answers ---- */

/* No more than plan->output of an answer: what is longer libevent refuses. */
static void take(struct web *w, struct evbuffer *in)
{
    char piece[PIECE];
    int n;
    while (!w->p->ended && (n = evbuffer_remove(in, piece, sizeof piece)) > 0)
        w->events->data(w->p, piece, (size_t)n);
}

static void on_data(struct evhttp_request *request, void *arg)
{
    struct web *w = arg;
    const uint64_t began = clock_now().mono;
    take(w, evhttp_request_get_input_buffer(request));
    probe_spent(w->p->all, began);
}

static int on_head(struct evhttp_request *request, void *arg)
{
    struct web *w = arg;
    const unsigned status = (unsigned)evhttp_request_get_response_code(request);
    if (status < 200)
        return 0; /* more is to come */
    w->status = status;
    w->request = request;
    w->events->head(w->p, status, w);
    w->request = NULL;
    return 0;
}

static void on_error(enum evhttp_request_error error, void *arg)
{
    struct web *w = arg;
    w->failed = true;
    w->error = error;
}

/* To the next address while nothing has been said to this one. */
static bool try_next(struct web *w)
{
    if (w->written || w->status || w->reach.at + 1 >= w->reach.n)
        return false;
    w->reach.at++;
    retire(w);
    return connect_to(w);
}

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct web *w = arg;
    const uint64_t began = clock_now().mono;
    if (w->p->ended || w->beginning)
        return;
    if (request && w->status && evhttp_request_get_response_code(request) >= 200) {
        take(w, evhttp_request_get_input_buffer(request));
        if (!w->p->ended)
            w->events->end(w->p);
    } else if (!try_next(w)) {
        end_failed(w);
    }
    probe_spent(w->p->all, began);
}

const char *web_header(const struct web *w, const char *name)
{
    return w->request ? evhttp_find_header(evhttp_request_get_input_headers(w->request), name)
                      : NULL;
}

/* ---- requests ---- */

static void on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
    struct web *w = arg;
    (void)out;
    w->written |= info->n_deleted > 0;
}

static bool add_headers(const struct web *w, struct evhttp_request *request)
{
    struct evkeyvalq *to = evhttp_request_get_output_headers(request);
    int bad = evhttp_add_header(to, "Host", w->to.authority);
    bad |= evhttp_add_header(to, "User-Agent", "mcptallyd/" MCPTALLY_BUILD_VERSION);
    bad |= evhttp_add_header(to, "Connection", "close");
    for (unsigned i = 0; i < w->what.nheaders; i++)
        bad |= evhttp_add_header(to, w->what.headers[i].name, w->what.headers[i].value);
    return bad == 0;
}

static bool begin(struct web *w)
{
    struct evhttp_request *request = evhttp_request_new(on_answer, w);
    if (!request)
        return false;
    evhttp_request_set_error_cb(request, on_error);
    evhttp_request_set_header_cb(request, on_head);
    evhttp_request_set_chunked_cb(request, on_data);
    struct evbuffer *body = evhttp_request_get_output_buffer(request);
    if (!add_headers(w, request) || evbuffer_add(body, w->body.p, w->body.n) < 0) {
        evhttp_request_free(request);
        return false;
    }
    w->beginning = true; /* a failure at once is told by what it returns */
    const int r = evhttp_make_request(w->conn, request, w->what.method, w->to.path);
    w->beginning = false;
    return r == 0;
}

static struct bufferevent *make_bev(struct web *w)
{
    const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
    struct event_base *base = w->p->all->env.base;
    w->ssl = NULL;
    if (!w->tls)
        return bufferevent_socket_new(base, -1, options);
    SSL *ssl = tls_session(w->tls, w->to.host, w->to.literal, false);
    if (!ssl)
        return NULL;
    struct bufferevent *bev =
        bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, options);
    if (!bev) {
        SSL_free(ssl);
        return NULL;
    }
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    w->ssl = ssl;
    return bev;
}

static bool make_connection(struct web *w)
{
    char host[REACH_TEXT];
    w->bev = make_bev(w);
    if (!w->bev)
        return false;
    w->conn = evhttp_connection_base_bufferevent_new(
        w->p->all->env.base, NULL, w->bev, reach_text(&w->reach.address[w->reach.at], host),
        w->to.port);
    if (!w->conn) {
        bufferevent_free(w->bev);
        return false;
    }
    const struct timeval limit = {.tv_sec = (time_t)(w->p->plan->timeout / NS_PER_S) + 1};
    evhttp_connection_set_timeout_tv(w->conn, &limit);
    evhttp_connection_set_max_body_size(w->conn, w->p->plan->output);
    evhttp_connection_set_max_headers_size(w->conn, WEB_HEADS);
    return evbuffer_add_cb(bufferevent_get_output(w->bev), on_output, w) != NULL;
}

static bool connect_to(struct web *w)
{
    w->failed = w->written = false;
    w->status = 0;
    return make_connection(w) && begin(w);
}

void web_send(struct web *w, const struct web_request *r)
{
    w->what = *r;
    buf_reset(&w->body);
    buf_addstr(&w->body, r->body);
    retire(w);
    if (w->body.failed || !connect_to(w))
        probe_end_unrun(w->p, "no memory for a request");
}

/* ---- finding the host ---- */

static void on_certificates(void *arg, const char *error)
{
    struct web *w = arg;
    if (error)
        probe_end(w->p, OWN_RESULT_NOT_RUN, "%s", error);
    else
        w->ready(w->p);
}

static void on_reached(struct probe *p)
{
    struct web *const *own = p->own;
    struct web *w = *own;
    if (!w->to.tls) {
        w->ready(p);
        return;
    }
    w->tls = probe_tls(p->all, p->plan);
    if (!w->tls)
        probe_end_unrun(p, "no memory for certificates");
    else if (tls_want(w->tls, &w->certificates))
        w->ready(p);
}

void web_find(struct web *w, void (*ready)(struct probe *p))
{
    w->ready = ready;
    reach_find(&w->reach, w->p, w->to.host, w->to.port, on_reached);
}

struct web *web_new(struct probe *p, const struct web_events *events)
{
    char why[160];
    struct web *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->p = p;
    w->events = events;
    buf_init(&w->body, 4096);
    w->certificates = (struct tls_waiter){.done = on_certificates, .arg = w};
    if (endpoint_read(&w->to, p->plan->url, false, 0, why, sizeof why) == 0)
        return w;
    web_free(w);
    return NULL;
}

void web_free(struct web *w)
{
    if (!w)
        return;
    reach_stop(&w->reach);
    if (w->tls)
        tls_forget(w->tls, &w->certificates);
    if (w->used)
        evhttp_connection_free(w->used);
    if (w->conn)
        evhttp_connection_free(w->conn);
    buf_fini(&w->body);
    free(w);
}
