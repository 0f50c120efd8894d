#include "export/grpc_caller.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/blocks.h"
#include "base/clock.h"
#include "export/grpc_reply.h"

struct grpc_caller {
    nghttp2_session *h2;
    struct blocks memory; /* of h2 */
    const struct setup *setup;
    const struct endpoint *to;
    grpc_finished *finished;
    void *arg;
    struct calls open;
    unsigned nopen;
    bool settled;      /* SETTINGS have come */
    bool away;         /* GOAWAY has come */
    int64_t allowance; /* frames that may still come */
    int64_t bytes;     /* likewise */
    uint64_t refilled; /* mono ns */
    uint64_t born;     /* mono ns */
    uint64_t heard;    /* mono ns of the newest bytes */
    uint64_t quiet;    /* mono ns since when there is something to answer */
    uint64_t pinged;   /* mono ns; 0: no ping is under way */
    char why[120];
};

/* ---- the end of a call ---- */

static void forget(struct grpc_caller *g, struct call *c)
{
    TAILQ_REMOVE(&g->open, c, entry);
    g->nopen--;
    if (!g->memory.starved)
        nghttp2_session_set_stream_user_data(g->h2, c->stream, NULL);
    grpc_reply_free(c->reply);
    c->reply = NULL;
}

static void refill(struct grpc_caller *g)
{
    g->allowance = GRPC_FRAMES;
    g->bytes = GRPC_BYTES + (int64_t)g->setup->concurrent * (EXPORT_REPLY + EXPORT_HEADERS);
}

static void finish(struct grpc_caller *g, struct call *c, bool again)
{
    refill(g);
    forget(g, c);
    g->finished(g->arg, c, again);
}

static void cut(struct grpc_caller *g, struct call *c)
{
    nghttp2_submit_rst_stream(g->h2, NGHTTP2_FLAG_NONE, c->stream, NGHTTP2_CANCEL);
}

static size_t size_of(const struct call *c)
{
    return GRPC_PREFIX + c->bytes.n;
}

/* ---- what nghttp2 calls ---- */

static struct call *call_of(nghttp2_session *h2, int32_t stream)
{
    return stream > 0 ? nghttp2_session_get_stream_user_data(h2, stream) : NULL;
}

static const char flooded[] = "the collector floods the connection";

static int on_begin_frame(nghttp2_session *h2, const nghttp2_frame_hd *hd, void *arg)
{
    struct grpc_caller *g = arg;
    (void)h2;
    (void)hd;
    if (g->allowance-- > 0)
        return 0;
    snprintf(g->why, sizeof g->why, "%s", flooded);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct call *c = call_of(h2, frame->hd.stream_id);
    (void)flags;
    (void)arg;
    if (c)
        grpc_reply_field(c->reply, (struct str){(const char *)name, name_n},
                         (struct str){(const char *)value, value_n});
    return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *p, size_t n,
                   void *arg)
{
    struct grpc_caller *g = arg;
    struct call *c = call_of(h2, stream);
    (void)flags;
    if (!c)
        return 0;
    const int e = grpc_reply_data(c->reply, (struct str){(const char *)p, n});
    if (e < 0) {
        grpc_reply_bad(c, e);
        cut(g, c);
        finish(g, c, false);
    }
    return 0;
}

static void said_goodbye(struct grpc_caller *g, const nghttp2_goaway *frame)
{
    g->away = true;
    snprintf(g->why, sizeof g->why, "the collector said goodbye: %s",
             nghttp2_http2_strerror(frame->error_code));
}

/* The answer is complete; one that comes before the request has been sent ends that too. */
static void stream_ended(struct grpc_caller *g, struct call *c)
{
    grpc_reply_outcome(c->reply, c);
    if (c->sent < size_of(c))
        cut(g, c);
    finish(g, c, false);
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
    struct grpc_caller *g = arg;
    struct call *c;
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
        g->settled = g->settled || !(frame->hd.flags & NGHTTP2_FLAG_ACK);
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            g->pinged = 0;
        break;
    case NGHTTP2_GOAWAY:
        said_goodbye(g, &frame->goaway);
        break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        c = call_of(h2, frame->hd.stream_id);
        if (c && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            stream_ended(g, c);
        break;
    default:
        break;
    }
    return 0;
}

/* Streams above a GOAWAY are closed as refused, too. */
static int on_close(nghttp2_session *h2, int32_t stream, uint32_t error, void *arg)
{
    struct call *c = call_of(h2, stream);
    if (c) {
        grpc_reply_reset(c, error);
        finish(arg, c, error == NGHTTP2_REFUSED_STREAM);
    }
    return 0;
}

static ssize_t on_pull(nghttp2_session *h2, int32_t stream, uint8_t *to, size_t size,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct grpc_caller *g = arg;
    struct call *c = call_of(h2, stream);
    size_t n = 0;
    (void)source;
    if (!c)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    while (n < size && c->sent < GRPC_PREFIX)
        to[n++] = c->prefix[c->sent++];
    const size_t left = size_of(c) - c->sent, part = left < size - n ? left : size - n;
    if (part > 0)
        memcpy(to + n, c->bytes.p + (c->sent - GRPC_PREFIX), part);
    c->sent += part;
    g->allowance += GRPC_FRAMES_EACH;
    g->bytes += GRPC_FRAMES_EACH * 16; /* WINDOW_UPDATEs, say */
    if (c->sent == size_of(c))
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)(n + part);
}

/* ---- a call ---- */

enum { OURS = 10 }; /* headers of our own */

struct headers {
    size_t n;
    nghttp2_nv all[OURS + FIELDS_MAX];
};

static void put(struct headers *h, const char *name, const char *value)
{
    h->all[h->n++] = (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
                                  strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static void put_all(struct headers *h, const struct grpc_caller *g, const struct call *c,
                    const char *timeout)
{
    static const char *const paths[OTLP_SIGNALS] = {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    };
    put(h, ":method", "POST");
    put(h, ":scheme", g->to->tls ? "https" : "http");
    put(h, ":path", paths[c->signal]);
    put(h, ":authority", g->to->authority);
    put(h, "te", "trailers");
    put(h, "content-type", "application/grpc");
    put(h, "user-agent", EXPORT_AGENT);
    put(h, "grpc-timeout", timeout);
    put(h, "grpc-accept-encoding", "identity,gzip");
    if (g->setup->gzip)
        put(h, "grpc-encoding", "gzip");
    for (unsigned i = 0; i < g->setup->fields.n; i++)
        put(h, g->setup->fields.all[i].name, g->setup->fields.all[i].value);
}

static int32_t submit(struct grpc_caller *g, struct call *c, uint64_t now)
{
    const nghttp2_data_provider body = {.read_callback = on_pull};
    struct headers h = {0};
    struct buf timeout;
    int32_t stream = NGHTTP2_ERR_NOMEM;
    buf_init(&timeout, 32);
    grpc_timeout(&timeout, c->deadline > now ? c->deadline - now : 1);
    buf_addc(&timeout, '\0');
    if (!timeout.failed) {
        put_all(&h, g, c, timeout.p);
        stream = nghttp2_submit_request(g->h2, NULL, h.all, h.n, &body, c);
    }
    buf_fini(&timeout);
    return stream;
}

int grpc_caller_send(struct grpc_caller *g, struct call *c, uint64_t now)
{
    c->reply = grpc_reply_new();
    if (!c->reply)
        return -ERR_NOMEM;
    c->sent = 0;
    grpc_prefix(c->prefix, g->setup->gzip, (uint32_t)c->bytes.n);
    c->stream = submit(g, c, now);
    if (c->stream < 0) {
        grpc_reply_free(c->reply);
        c->reply = NULL;
        return -ERR_NOMEM;
    }
    if (g->nopen++ == 0)
        g->quiet = now;
    TAILQ_INSERT_TAIL(&g->open, c, entry);
    g->setup->stats->requests++;
    return 0;
}

static void ping(struct grpc_caller *g, uint64_t now)
{
    if (g->pinged || nghttp2_submit_ping(g->h2, NGHTTP2_FLAG_NONE, NULL) != 0)
        return;
    g->pinged = now;
}

void grpc_caller_cancel(struct grpc_caller *g, struct call *c, uint64_t now)
{
    cut(g, c);
    forget(g, c);
    /* Slow, or not there any more? */
    if (g->heard + g->setup->timeout <= now)
        ping(g, now);
}

/* ---- time ---- */

static uint64_t ping_wait(const struct grpc_caller *g)
{
    const uint64_t most = GRPC_PING_WAIT * NS_PER_S, every = g->setup->keepalive;
    return every && every < most ? every : most;
}

static uint64_t ping_due(const struct grpc_caller *g)
{
    if (!g->setup->keepalive || g->nopen == 0)
        return UINT64_MAX;
    return (g->heard > g->quiet ? g->heard : g->quiet) + g->setup->keepalive;
}

uint64_t grpc_caller_wakes(const struct grpc_caller *g)
{
    if (!g->settled)
        return g->born + setup_connect(g->setup);
    return g->pinged ? g->pinged + ping_wait(g) : ping_due(g);
}

int grpc_caller_tick(struct grpc_caller *g, uint64_t now)
{
    if (now < grpc_caller_wakes(g))
        return 0;
    if (!g->settled || g->pinged) {
        snprintf(g->why, sizeof g->why, "%s",
                 g->settled ? "the collector does not answer a ping"
                            : "no HTTP/2 greeting in time");
        return -ERR_TIMEOUT;
    }
    ping(g, now);
    return 0;
}

/* ---- bytes ---- */

int grpc_caller_feed(struct grpc_caller *g, struct str bytes, uint64_t now)
{
    g->heard = now;
    if (now - g->refilled >= 60 * NS_PER_S) {
        g->refilled = now;
        refill(g);
    }
    g->bytes -= (int64_t)bytes.n;
    if (g->bytes < 0) {
        snprintf(g->why, sizeof g->why, "%s", flooded);
        return -ERR_SYNTAX;
    }
    const ssize_t n = nghttp2_session_mem_recv(g->h2, (const uint8_t *)bytes.p, bytes.n);
    if (n >= 0)
        return 0;
    if (!g->why[0])
        snprintf(g->why, sizeof g->why, "not what an HTTP/2 server says: %s",
                 nghttp2_strerror((int)n));
    return -ERR_SYNTAX;
}

int grpc_caller_pull(struct grpc_caller *g, struct str *bytes)
{
    const uint8_t *p = NULL;
    *bytes = (struct str){0};
    if (g->memory.starved)
        return -ERR_NOMEM;
    const ssize_t n = nghttp2_session_mem_send(g->h2, &p);
    *bytes = (struct str){(const char *)p, n > 0 ? (size_t)n : 0};
    return n < 0 ? -ERR_NOMEM : 0;
}

/* ---- state ---- */

unsigned grpc_caller_limit(const struct grpc_caller *g)
{
    return g->settled
               ? nghttp2_session_get_remote_settings(g->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
               : UINT32_MAX;
}

unsigned grpc_caller_open(const struct grpc_caller *g)
{
    return g->nopen;
}

bool grpc_caller_leaving(const struct grpc_caller *g)
{
    return g->away || !nghttp2_session_check_request_allowed(g->h2);
}

bool grpc_caller_may(const struct grpc_caller *g)
{
    return g->settled && !grpc_caller_leaving(g) && g->nopen < grpc_caller_limit(g);
}

bool grpc_caller_over(const struct grpc_caller *g)
{
    return !nghttp2_session_want_read(g->h2) && !nghttp2_session_want_write(g->h2);
}

const char *grpc_caller_why(const struct grpc_caller *g)
{
    return g->why[0] ? g->why : "the collector closed the connection";
}

/* ---- life ---- */

static int open_session(struct grpc_caller *g)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return -ERR_NOMEM;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_mem memory = {&g->memory, blocks_malloc, blocks_free, blocks_calloc, blocks_realloc};
    const int e = nghttp2_session_client_new3(&g->h2, callbacks, g, NULL, &memory);
    nghttp2_session_callbacks_del(callbacks);
    return e == 0 ? 0 : -ERR_NOMEM;
}

static void close_session(struct grpc_caller *g)
{
    if (!g->memory.starved)
        nghttp2_session_del(g->h2);
    blocks_free_all(&g->memory);
}

/* Push off: nobody asks a collector for more than an answer. */
static int introduce(struct grpc_caller *g)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, EXPORT_REPLY},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, EXPORT_HEADERS},
    };
    const int e = nghttp2_submit_settings(g->h2, NGHTTP2_FLAG_NONE, settings,
                                          sizeof settings / sizeof *settings);
    return e == 0 ? 0 : -ERR_NOMEM;
}

struct grpc_caller *grpc_caller_new(const struct setup *s, const struct endpoint *e,
                                    grpc_finished *finished, void *arg, uint64_t now)
{
    struct grpc_caller *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    *g = (struct grpc_caller){.setup = s, .to = e, .finished = finished, .arg = arg};
    TAILQ_INIT(&g->open);
    refill(g);
    g->born = g->heard = g->quiet = g->refilled = now;
    if (open_session(g) == 0 && introduce(g) == 0)
        return g;
    close_session(g);
    free(g);
    return NULL;
}

void grpc_caller_end(struct grpc_caller *g, const char *why)
{
    struct call *c;
    if (!g)
        return;
    while ((c = TAILQ_FIRST(&g->open))) {
        call_lost(c, why);
        finish(g, c, false);
    }
    close_session(g);
    free(g);
}
