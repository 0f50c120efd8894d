#include "serve/http.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "serve/acceptor.h"
#include "store/commit.h"

enum {
    CONNECTION_MEMORY = 16384,
    TEXT_MAX = 4096,
    SERVER_MAGIC = 0x68747470,
    DISCARD_MAX = 64 << 20, /* bytes of a body that nobody wants; else it goes on for ever */
};

enum phase {
    PHASE_HEAD,  /* no whole request head yet */
    PHASE_BODY,  /* its body is being read */
    PHASE_REPLY, /* a request is being answered */
    PHASE_IDLE,  /* the last answer is sent */
    PHASE_MAX
};

struct http_exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    const struct http_route *route; /* NULL: none has its path */
    void *context;                  /* an upload's */
    struct http_body *body;
    unsigned status;
    size_t discarded; /* bytes of the body that came behind the answer */
    bool answered;    /* body and status are there */
    bool waiting;     /* suspended until it is answered */
};

struct connection {
    TAILQ_ENTRY(connection) link; /* in its phase's list, by deadline */
    int fd;
    enum phase phase;
    uint64_t deadline;      /* mono ns */
    struct http_exchange x; /* the request in hand */
};

struct http_server {
    unsigned magic;
    struct serve_env env;
    struct http_options o;
    struct MHD_Daemon *mhd;
    struct acceptor *acceptor; /* libmicrohttpd's own would spin without descriptors */
    struct event *ready;       /* its epoll descriptor */
    struct event *again;       /* when it asks to be run again */
    struct event *deadline;    /* of the first connection to be shut down */
    uint64_t armed;            /* what `deadline` is set to, mono ns; 0: nothing */
    unsigned connections;
    unsigned active;            /* requests that have begun and not ended */
    void (*drained)(void *arg); /* set while draining */
    void *drained_arg;
    TAILQ_HEAD(connection_list, connection) phases[PHASE_MAX];
    struct buf text; /* scratch */
};

/* ---- deadlines ---- */

static uint64_t phase_ns(const struct http_server *s, enum phase phase)
{
    const uint64_t ns[] = {s->o.head_ns, s->o.body_ns, s->o.reply_ns, s->o.idle_ns};
    static const uint64_t defaults[] = {2 * NS_PER_S, 10 * NS_PER_S, 30 * NS_PER_S, 75 * NS_PER_S};
    return ns[phase] ? ns[phase] : defaults[phase];
}

static struct timeval timeval_of(uint64_t ns)
{
    const uint64_t us = (ns + NS_PER_US - 1) / NS_PER_US;
    return (struct timeval){.tv_sec = (time_t)(us / 1000000),
                            .tv_usec = (suseconds_t)(us % 1000000)};
}

static uint64_t first_deadline(const struct http_server *s)
{
    uint64_t first = 0;
    for (int i = 0; i < PHASE_MAX; i++) {
        const struct connection *c = TAILQ_FIRST(&s->phases[i]);
        if (c && (!first || c->deadline < first))
            first = c->deadline;
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

static void enter_phase(struct http_server *s, struct connection *c, enum phase phase)
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
    enter_phase(s, c, PHASE_REPLY);
}

static void hang_up_late(struct http_server *s, uint64_t now)
{
    for (int i = 0; i < PHASE_MAX; i++) {
        struct connection *c;
        while ((c = TAILQ_FIRST(&s->phases[i])) != NULL && c->deadline <= now)
            hang_up(s, c);
    }
}

static void make_room(struct http_server *s, struct connection *newest)
{
    struct connection *c = TAILQ_FIRST(&s->phases[PHASE_IDLE]);
    if (!c && TAILQ_FIRST(&s->phases[PHASE_HEAD]) != newest)
        c = TAILQ_FIRST(&s->phases[PHASE_HEAD]);
    if (!c)
        c = TAILQ_FIRST(&s->phases[PHASE_BODY]);
    hang_up(s, c ? c : newest);
    if (s->o.full)
        s->o.full(s->o.arg);
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
    assert(s->magic == SERVER_MAGIC);
    const uint64_t began = clock_now().mono;
    run(s);
    serve_spent(&s->env, began);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;
    (void)fd;
    (void)what;
    assert(s->magic == SERVER_MAGIC);
    const uint64_t began = clock_now().mono;
    s->armed = 0;
    hang_up_late(s, began);
    run(s);
    serve_spent(&s->env, began);
}

/* ---- answers ---- */

struct http_body {
    struct MHD_Response *response;
    unsigned holds;
};

struct http_body *http_body_new(const char *type, struct str bytes, void (*release)(void *arg),
                                void *arg)
{
    struct http_body *b = malloc(sizeof *b);
    void *p = (void *)(uintptr_t)bytes.p; /* only read */
    if (!b)
        return NULL;
    b->holds = 1;
    b->response =
        release ? MHD_create_response_from_buffer_with_free_callback_cls(bytes.n, p, release, arg)
                : MHD_create_response_from_buffer(bytes.n, p, MHD_RESPMEM_MUST_COPY);
    if (!b->response) {
        free(b);
        return NULL;
    }
    http_body_add_header(b, "Content-Type", type);
    http_body_add_header(b, "Cache-Control", "no-store");
    http_body_add_header(b, "X-Content-Type-Options", "nosniff");
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

void http_answer_body(struct http_exchange *x, unsigned status, struct http_body *b)
{
    assert(!x->answered);
    count_request(x->server);
    if (b)
        b->holds++;
    x->body = b;
    x->status = status;
    x->answered = true;
    if (!x->waiting)
        return;
    x->waiting = false;
    MHD_resume_connection(x->connection);
    event_active(x->server->again, EV_TIMEOUT, 0); /* without a thread it wakes nobody */
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

static enum MHD_Result send_answer(struct http_exchange *x)
{
    if (!x->body)
        return MHD_NO;
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

static void refuse(struct http_exchange *x, unsigned status, const char *allow, struct str why)
{
    struct http_body *b = http_body_new("text/plain; charset=utf-8", why, NULL, NULL);
    if (b && allow)
        http_body_add_header(b, "Allow", allow);
    http_answer_body(x, status, b);
    http_body_drop(b);
}

static bool has_body(const struct http_exchange *x)
{
    const char *length = http_header(x, "Content-Length");
    return http_header(x, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

/* Answers at once what is not going to be read. */
static void refuse_body(struct http_exchange *x, const char *method)
{
    if (strcmp(method, "HEAD") != 0 && strcmp(method, "GET") != 0)
        refuse(x, MHD_HTTP_METHOD_NOT_ALLOWED, "GET, HEAD", STR("only GET and HEAD\n"));
    else if (has_body(x))
        refuse(x, MHD_HTTP_CONTENT_TOO_LARGE, NULL, STR("no request body is taken\n"));
}

/* What the head of a request leads to; true when it is answered now, which ends the
 * connection. On a port for uploads an answer waits for the end of the body, unless
 * the peer does. */
static bool begin(struct http_exchange *x, const char *method)
{
    const struct http_options *o = &x->server->o;
    const bool post = strcmp(method, "POST") == 0;
    if (x->route && x->route->upload && post)
        x->route->upload->begin(o->arg, x);
    else if (x->route && x->route->upload)
        refuse(x, MHD_HTTP_METHOD_NOT_ALLOWED, "POST", STR("only POST\n"));
    else if (takes_uploads(o) && post && !x->route)
        answer_not_found(x);
    else
        refuse_body(x, method);
    return x->answered && (!takes_uploads(o) || http_header(x, "Expect"));
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

/* Called when a request's head is there, for each piece of its body, when all of it
 * is there, and when an exchange that waited is answered. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
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
        enter_phase(s, c, takes_uploads(&s->o) ? PHASE_BODY : PHASE_REPLY);
        return begin(&c->x, method) ? send_answer(&c->x) : MHD_YES;
    }
    if (*upload_size > 0) {
        const size_t n = *upload_size;
        *upload_size = 0;
        return take_piece(&c->x, upload, n) ? MHD_YES : MHD_NO;
    }
    if (c->phase == PHASE_BODY)
        enter_phase(s, c, PHASE_REPLY);
    if (!c->x.answered)
        dispatch(&c->x, path);
    if (c->x.answered)
        return send_answer(&c->x);
    c->x.waiting = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

static void check_drained(struct http_server *s)
{
    if (!s->drained || s->active > 0)
        return;
    void (*done)(void *arg) = s->drained;
    s->drained = NULL;
    done(s->drained_arg);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode how)
{
    struct http_server *s = arg;
    struct connection *c = connection_of(connection);
    (void)how;
    if (!c || !*request)
        return;
    if (!c->x.answered && c->x.route && c->x.route->upload)
        c->x.route->upload->gone(s->o.arg, &c->x);
    http_body_drop(c->x.body);
    c->x.body = NULL;
    *request = NULL;
    enter_phase(s, c, PHASE_IDLE);
    s->active--;
    check_drained(s);
}

static void on_started(struct http_server *s, struct MHD_Connection *connection, void **context)
{
    struct connection *c = calloc(1, sizeof *c);
    *context = c;
    if (!c)
        return;
    c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->phase = PHASE_HEAD;
    TAILQ_INSERT_TAIL(&s->phases[PHASE_HEAD], c, link);
    enter_phase(s, c, PHASE_HEAD);
    if (++s->connections >= s->o.connections && s->o.connections > 1)
        make_room(s, c);
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

/* What libmicrohttpd does not want, or cannot have, it closes. */
static bool on_accepted(void *arg, int fd, const struct sockaddr_storage *from, socklen_t size)
{
    struct http_server *s = arg;
    (void)MHD_add_connection(s->mhd, fd, (const struct sockaddr *)from, size);
    event_active(s->again, EV_TIMEOUT, 0);
    return s->connections < s->o.connections;
}

/* ---- life ---- */

static struct MHD_Daemon *start_mhd(struct http_server *s)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0,
                            NULL, NULL, on_request, s, MHD_OPTION_CONNECTION_LIMIT,
                            s->o.connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                            s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
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

struct http_server *http_server_new(const struct serve_env *env, const struct http_options *o,
                                    int listen_fd)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s) {
        close(listen_fd);
        return NULL;
    }
    s->magic = SERVER_MAGIC;
    s->env = *env;
    s->o = *o;
    buf_init(&s->text, TEXT_MAX);
    for (int i = 0; i < PHASE_MAX; i++)
        TAILQ_INIT(&s->phases[i]);
    const struct acceptor_owner owner = {.take = on_accepted, .arg = s};
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
    check_drained(s);
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
