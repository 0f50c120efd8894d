#include "export/transport.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "export/call.h"
#include "export/grpc_client.h"
#include "export/http_client.h"
#include "export/tls.h"
#include "serve/squeeze.h"

enum {
    GRPC_PORT = 4317,
    GZIP_EXTRA = 32768, /* what gzip may add, and the room that squeeze_add() wants */
};

struct transport {
    struct setup setup;
    struct transport_stats stats;
    const struct client_ops *ops;
    struct client *clients[OTLP_SIGNALS]; /* one for each host; what comes later is NULL */
    struct client *client_of[OTLP_SIGNALS];
    transport_done *done;
    void *arg;
    struct call *calls; /* setup.concurrent of them */
    struct calls spare;
    struct calls open; /* by `age`, so that the first one's time is over first */
    unsigned nopen;
    struct calls compressing, answered;
    struct squeeze *squeeze; /* of the first that is compressing */
    struct event *deadline, *turn;
};

static void wake(struct transport *t)
{
    static const struct timeval at_once = {0, 0};
    if (!event_pending(t->turn, EV_TIMEOUT, NULL))
        event_add(t->turn, &at_once);
}

/* ---- calls ---- */

/* There is one for each request that may be open: sending needs memory for bytes only. */
static struct call *call_new(struct transport *t, uint64_t id, enum otlp_signal signal)
{
    struct call *c = TAILQ_FIRST(&t->spare);
    assert(c);
    TAILQ_REMOVE(&t->spare, c, entry);
    *c = (struct call){.id = id, .signal = signal, .client = t->client_of[signal]};
    c->deadline = clock_now().mono + t->setup.timeout;
    TAILQ_INSERT_TAIL(&t->open, c, age);
    t->nopen++;
    return c;
}

static bool call_copy(struct call *c, struct str request, bool compress)
{
    struct buf *to = compress ? &c->plain : &c->bytes;
    buf_init(to, request.n);
    if (compress)
        buf_init(&c->bytes, request.n + request.n / 256 + GZIP_EXTRA);
    buf_addstr(to, request);
    return !to->failed;
}

static void call_free(struct transport *t, struct call *c)
{
    buf_fini(&c->plain);
    buf_fini(&c->bytes);
    TAILQ_REMOVE(&t->open, c, age);
    t->nopen--;
    TAILQ_INSERT_TAIL(&t->spare, c, entry);
}

static void set_deadline(struct transport *t)
{
    const struct call *first = TAILQ_FIRST(&t->open);
    if (!first) {
        event_del(t->deadline);
        return;
    }
    const uint64_t now = clock_now().mono;
    const struct timeval tv = setup_time(first->deadline > now ? first->deadline - now : 0);
    event_add(t->deadline, &tv);
}

static void on_answered(void *arg, struct call *c)
{
    struct transport *t = arg;
    c->place = CALL_ANSWERED;
    TAILQ_INSERT_TAIL(&t->answered, c, entry);
    wake(t);
}

static void tell(struct transport *t)
{
    struct calls now = TAILQ_HEAD_INITIALIZER(now);
    char message[CALL_MESSAGE];
    struct call *c;
    TAILQ_CONCAT(&now, &t->answered, entry);
    while ((c = TAILQ_FIRST(&now))) {
        TAILQ_REMOVE(&now, c, entry);
        struct outcome o = c->outcome;
        const uint64_t id = c->id;
        memcpy(message, c->message, sizeof message);
        o.message.p = message;
        call_free(t, c); /* first: `done` may send the next one */
        t->done(t->arg, id, &o);
    }
    set_deadline(t);
}

/* ---- compressing, a step a turn ---- */

static void stop_squeeze(struct transport *t)
{
    squeeze_free(t->squeeze);
    t->squeeze = NULL;
}

/* True when the call is done with, for better or worse. */
static bool squeeze_step(struct transport *t, struct call *c)
{
    const size_t left = c->plain.n - c->squeezed, n = left < EXPORT_STEP ? left : EXPORT_STEP;
    if (!t->squeeze)
        t->squeeze = squeeze_new();
    if (!t->squeeze)
        return true;
    squeeze_add(t->squeeze, (struct str){c->plain.p + c->squeezed, n}, n == left, &c->bytes);
    c->squeezed += n;
    return n == left || c->bytes.failed;
}

static void compress(struct transport *t)
{
    struct call *c = TAILQ_FIRST(&t->compressing);
    if (!c || !squeeze_step(t, c))
        return;
    const bool good = t->squeeze && !c->bytes.failed;
    stop_squeeze(t);
    TAILQ_REMOVE(&t->compressing, c, entry);
    buf_fini(&c->plain);
    if (good) {
        c->place = CALL_SENT;
        t->ops->send(c->client, c);
    } else {
        call_lost(c, "no memory to compress a request");
        on_answered(t, c);
    }
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct transport *t = arg;
    (void)fd;
    (void)what;
    compress(t);
    if (!TAILQ_EMPTY(&t->compressing))
        wake(t);
    tell(t);
}

/* ---- time ---- */

static void expire(struct transport *t, struct call *c)
{
    if (c->place == CALL_COMPRESSING) {
        if (c == TAILQ_FIRST(&t->compressing))
            stop_squeeze(t);
        TAILQ_REMOVE(&t->compressing, c, entry);
    } else {
        t->ops->cancel(c->client, c);
    }
    const bool grpc = t->ops == &grpc_client;
    call_outcome(c, grpc, grpc ? RPC_DEADLINE_EXCEEDED : 0, OUTCOME_RETRY,
                 STR("no answer within the time limit"));
    on_answered(t, c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct transport *t = arg;
    struct call *c, *next;
    const uint64_t now = clock_now().mono;
    (void)fd;
    (void)what;
    for (c = TAILQ_FIRST(&t->open); c && c->deadline <= now; c = next) {
        next = TAILQ_NEXT(c, age);
        if (c->place != CALL_ANSWERED)
            expire(t, c);
    }
    /* Those that are answered leave in the next turn, which looks at the clock again. */
    if (TAILQ_EMPTY(&t->answered))
        set_deadline(t);
}

/* ---- what others ask ---- */

bool transport_ready(const struct transport *t)
{
    unsigned limit = t->setup.concurrent;
    for (unsigned i = 0; i < OTLP_SIGNALS && t->clients[i]; i++)
        if (t->ops->limit(t->clients[i]) < limit)
            limit = t->ops->limit(t->clients[i]);
    return t->nopen < (limit ? limit : 1);
}

void transport_send(struct transport *t, uint64_t id, enum otlp_signal signal, struct str request)
{
    assert(signal < OTLP_SIGNALS && t->setup.sends[signal]);
    struct call *c = call_new(t, id, signal);
    if (!call_copy(c, request, t->setup.gzip)) {
        call_lost(c, "no memory for a request");
        on_answered(t, c);
    } else if (t->setup.gzip) {
        c->place = CALL_COMPRESSING;
        TAILQ_INSERT_TAIL(&t->compressing, c, entry);
        wake(t);
    } else {
        c->place = CALL_SENT;
        t->ops->send(c->client, c);
    }
    if (TAILQ_FIRST(&t->open) == c)
        set_deadline(t);
}

void transport_stats(const struct transport *t, struct transport_stats *out)
{
    *out = t->stats;
    out->connected = false;
    for (unsigned i = 0; i < OTLP_SIGNALS && t->clients[i]; i++)
        out->connected |= t->ops->connected(t->clients[i]);
}

/* ---- life ---- */

static int read_endpoints(struct transport *t, const struct transport_options *o, char *why,
                          size_t size)
{
    const bool grpc = o->protocol == TRANSPORT_GRPC;
    bool any = false;
    for (unsigned i = 0; i < OTLP_SIGNALS; i++) {
        struct endpoint *e = &t->setup.endpoint[i];
        if (!o->endpoint[i])
            continue;
        any = t->setup.sends[i] = true;
        if (endpoint_read(e, o->endpoint[i], !o->plain, grpc ? GRPC_PORT : 0, why, size) < 0)
            return -ERR_SYNTAX;
        if (!grpc && !strstr(o->endpoint[i], "://")) {
            snprintf(why, size, "endpoint: expected http:// or https://");
            return -ERR_SYNTAX;
        }
        if (grpc && strcmp(e->path, "/") != 0) {
            snprintf(why, size, "endpoint: gRPC has a path of its own; give host and port only");
            return -ERR_SYNTAX;
        }
    }
    if (!any)
        snprintf(why, size, "endpoint: none is given");
    return any ? 0 : -ERR_SYNTAX;
}

static int check_options(const struct transport_options *o, char *why, size_t size)
{
    const char *wrong = NULL;
    if (!o->cert_file != !o->key_file)
        wrong = "a client certificate and its key go together";
    else if (o->concurrent < 1 || o->concurrent > TRANSPORT_CONCURRENT)
        wrong = "the number of requests at one time is out of range";
    else if (o->timeout < NS_PER_MS)
        wrong = "the timeout is too short";
    if (wrong)
        snprintf(why, size, "%s", wrong);
    return wrong ? -ERR_RANGE : 0;
}

static int add_fields(struct setup *s, const struct transport_options *o, char *why, size_t size)
{
    for (unsigned i = 0; i < o->nheaders; i++) {
        const int e = fields_add(&s->fields, o->headers[i].name, o->headers[i].value, why, size);
        if (e < 0)
            return e;
    }
    return 0;
}

static bool make_tls(struct transport *t, const struct transport_options *o)
{
    const struct tls_files files = {o->ca_file, o->cert_file, o->key_file, o->insecure_skip_verify};
    bool wanted = false;
    for (unsigned i = 0; i < OTLP_SIGNALS; i++)
        wanted |= t->setup.sends[i] && t->setup.endpoint[i].tls;
    if (!wanted)
        return true;
    t->setup.tls = tls_new(t->setup.base, t->setup.helper, &files);
    return t->setup.tls;
}

/* Signals that go to the same host share a client. */
static struct client *client_for(struct transport *t, unsigned signal)
{
    for (unsigned i = 0; i < signal; i++)
        if (t->setup.sends[i] && endpoint_same(&t->setup.endpoint[i], &t->setup.endpoint[signal]))
            return t->client_of[i];
    unsigned n = 0;
    while (t->clients[n])
        n++;
    t->clients[n] = t->ops->make(&t->setup, &t->setup.endpoint[signal]);
    return t->clients[n];
}

static bool make_clients(struct transport *t)
{
    for (unsigned i = 0; i < OTLP_SIGNALS; i++)
        if (t->setup.sends[i] && !(t->client_of[i] = client_for(t, i)))
            return false;
    return true;
}

static bool make_calls(struct transport *t)
{
    t->calls = calloc(t->setup.concurrent, sizeof *t->calls);
    for (unsigned i = 0; t->calls && i < t->setup.concurrent; i++)
        TAILQ_INSERT_TAIL(&t->spare, &t->calls[i], entry);
    return t->calls;
}

static bool make_parts(struct transport *t, const struct transport_options *o)
{
    t->setup.name = strdup(o->name ? o->name : "collector");
    t->deadline = event_new(t->setup.base, -1, 0, on_deadline, t);
    t->turn = event_new(t->setup.base, -1, 0, on_turn, t);
    return t->setup.name && t->deadline && t->turn && make_calls(t) && make_tls(t, o) &&
           make_clients(t);
}

struct transport *transport_new(struct event_base *base, struct helper *helper,
                                const struct transport_options *o, transport_done *done, void *arg,
                                char *why, size_t why_size)
{
    struct transport *t = calloc(1, sizeof *t);
    snprintf(why, why_size, "out of memory");
    if (!t)
        return NULL;
    t->setup = (struct setup){.base = base, .helper = helper, .gzip = o->gzip};
    t->setup.timeout = o->timeout;
    t->setup.keepalive = o->keepalive;
    t->setup.concurrent = o->concurrent;
    t->setup.stats = &t->stats;
    t->setup.answered = on_answered;
    t->setup.arg = t;
    t->ops = o->protocol == TRANSPORT_GRPC ? &grpc_client : &http_client;
    t->done = done;
    t->arg = arg;
    TAILQ_INIT(&t->spare);
    TAILQ_INIT(&t->open);
    TAILQ_INIT(&t->compressing);
    TAILQ_INIT(&t->answered);
    if (check_options(o, why, why_size) == 0 && read_endpoints(t, o, why, why_size) == 0 &&
        add_fields(&t->setup, o, why, why_size) == 0 && make_parts(t, o))
        return t;
    transport_free(t);
    return NULL;
}

void transport_free(struct transport *t)
{
    struct call *c;
    if (!t)
        return;
    for (unsigned i = 0; i < OTLP_SIGNALS && t->clients[i]; i++)
        t->ops->free(t->clients[i]);
    while ((c = TAILQ_FIRST(&t->open)))
        call_free(t, c);
    free(t->calls);
    stop_squeeze(t);
    tls_free(t->setup.tls);
    fields_fini(&t->setup.fields);
    if (t->deadline)
        event_free(t->deadline);
    if (t->turn)
        event_free(t->turn);
    free(t->setup.name);
    free(t);
}
