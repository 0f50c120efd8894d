#include "intake/otlp_http.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "store/commit.h"

enum { CALL_MAGIC = 0x6f687474, SCRATCH_MAX = 16384 };

struct otlp_http_call {
    unsigned magic;
    TAILQ_ENTRY(otlp_http_call) link;
    struct otlp_http *http;
    struct http_exchange *x;
    uint64_t began; /* mono ns */
    struct otlp_lane lane;
    struct otlp_message message;
    struct otlp_job *job;
};

/* ---- answers ---- */

static unsigned status_of(enum rpc_code code, uint64_t retry)
{
    switch (code) {
    case RPC_OK:
        return 200;
    case RPC_INVALID_ARGUMENT:
        return 400;
    case RPC_RESOURCE_EXHAUSTED:
        return retry ? 429 : 413;
    case RPC_UNIMPLEMENTED:
        return 415;
    case RPC_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

static void add_retry_after(struct http_body *b, uint64_t retry)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%llu",
             (unsigned long long)((retry + NS_PER_S - 1) / NS_PER_S));
    http_body_add_header(b, "Retry-After", seconds);
}

static enum otlp_signal signal_of(const struct http_exchange *x)
{
    const char *path = http_path(x);
    for (unsigned i = 0; i < OTLP_SIGNALS; i++)
        if (strcmp(path + strlen("/v1/"), otlp_signal_name(i)) == 0)
            return (enum otlp_signal)i;
    return OTLP_TRACES;
}

/* An answer in the request's own type, JSON where that is none of ours. */
static void answer(struct otlp_http *h, struct http_exchange *x, bool json,
                   const struct otlp_answer *a)
{
    const enum otlp_signal signal = signal_of(x);
    struct buf *t = &h->scratch;
    buf_reset(t);
    if (a->code == RPC_OK)
        otlp_reply(t, signal, json, a->rejected, a->message);
    else
        otlp_status(t, json, a->code, a->message, a->retry);
    struct http_body *b =
        http_body_new(json ? "application/json" : "application/x-protobuf", buf_str(t), NULL, NULL);
    if (b && a->retry)
        add_retry_after(b, a->retry);
    if (b && a->code == RPC_UNIMPLEMENTED)
        http_body_add_header(b, "Accept-Encoding", "gzip, identity");
    otlp_intake_count(h->in, OTLP_HTTP, signal, a->code);
    http_answer_body(x, status_of(a->code, a->retry), b);
    http_body_drop(b);
}

static void refuse(struct otlp_http *h, struct http_exchange *x, bool json, enum rpc_code code,
                   struct str why, uint64_t retry)
{
    const struct otlp_answer a = {.code = code, .message = why, .retry = retry};
    answer(h, x, json, &a);
}

/* ---- calls ---- */

static void free_call(struct otlp_http_call *c)
{
    if (c->job)
        otlp_job_abandon(c->job);
    (void)otlp_hold(c->http->in, &c->message.hold, 0);
    buf_fini(&c->message.bytes);
    TAILQ_REMOVE(&c->http->calls, c, link);
    http_set_context(c->x, NULL);
    c->magic = 0;
    free(c);
}

static void answer_call(struct otlp_http_call *c, const struct otlp_answer *a)
{
    struct otlp_http *h = c->http;
    struct http_exchange *x = c->x;
    const bool json = c->message.json;
    free_call(c);
    answer(h, x, json, a);
}

static void refuse_call(struct otlp_http_call *c, enum rpc_code code, struct str why,
                        uint64_t retry)
{
    const struct otlp_answer a = {.code = code, .message = why, .retry = retry};
    answer_call(c, &a);
}

static void refuse_for_size(struct otlp_http_call *c)
{
    otlp_refused(c->http->in, OWN_LIMIT_MESSAGE_SIZE);
    refuse_call(c, RPC_RESOURCE_EXHAUSTED, STR("the message is larger than is taken"), 0);
}

static void refuse_for_room(void *arg)
{
    struct otlp_http_call *c = arg;
    assert(c->magic == CALL_MAGIC);
    otlp_displaced(c->http->in);
    refuse_call(c, RPC_RESOURCE_EXHAUSTED, STR("too many messages at once"), OTLP_RETRY_NS);
}

static struct otlp_http_call *open_call(struct otlp_http *h, struct http_exchange *x)
{
    struct otlp_http_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->magic = CALL_MAGIC;
    c->http = h;
    c->x = x;
    c->began = clock_now().mono;
    c->message.hold = (struct otlp_hold){.refuse = refuse_for_room, .arg = c};
    otlp_lane_init(&c->lane);
    TAILQ_INSERT_TAIL(&h->calls, c, link);
    http_set_context(x, c);
    return c;
}

/* ---- the head ---- */

/* "application/json; charset=utf-8" */
static bool is_type(const char *header, const char *type)
{
    const size_t n = strlen(type);
    if (!header || strncasecmp(header, type, n) != 0)
        return false;
    header += n;
    header += strspn(header, " \t");
    return *header == '\0' || *header == ';';
}

enum encoding { ENCODING_NONE, ENCODING_GZIP, ENCODING_OTHER };

static enum encoding encoding_of(const char *header)
{
    if (!header || strcasecmp(header, "identity") == 0 || *header == '\0')
        return ENCODING_NONE;
    return strcasecmp(header, "gzip") == 0 ? ENCODING_GZIP : ENCODING_OTHER;
}

/* Whether the head says that the body is larger than that. */
static bool announces_more(const struct http_exchange *x, uint64_t most)
{
    const char *length = http_header(x, "Content-Length");
    return length && strtoull(length, NULL, 10) > most;
}

static void begin(void *arg, struct http_exchange *x)
{
    struct otlp_http *h = arg;
    const struct otlp_intake_options *o = &h->in->options;
    const char *type = http_header(x, "Content-Type");
    const bool proto = is_type(type, "application/x-protobuf"), json = !proto;
    const enum encoding encoding = encoding_of(http_header(x, "Content-Encoding"));
    struct otlp_http_call *c = NULL;
    if (json && !is_type(type, "application/json"))
        refuse(h, x, true, RPC_UNIMPLEMENTED,
               STR("the type is not application/x-protobuf or application/json"), 0);
    else if (encoding == ENCODING_OTHER)
        refuse(h, x, json, RPC_UNIMPLEMENTED, STR("the encoding is not gzip or identity"), 0);
    else if (h->in->draining)
        refuse(h, x, json, RPC_UNAVAILABLE, STR("the daemon is stopping"), OTLP_RETRY_NS);
    else if ((c = open_call(h, x)) == NULL)
        refuse(h, x, json, RPC_UNAVAILABLE, STR("out of memory"), OTLP_RETRY_NS);
    if (!c)
        return;
    c->message.signal = signal_of(x);
    c->message.gzip = encoding == ENCODING_GZIP;
    c->message.json = json;
    buf_init(&c->message.bytes, json ? o->json : o->message);
    if (announces_more(x, c->message.bytes.max))
        refuse_for_size(c);
}

/* ---- the body ---- */

static void take(void *arg, struct http_exchange *x, struct str bytes)
{
    struct otlp_http *h = arg;
    struct otlp_http_call *c = http_context(x);
    assert(c->magic == CALL_MAGIC);
    struct buf *b = &c->message.bytes;
    const bool fits = bytes.n <= b->max - b->n;
    own_add(&h->in->pl->own, OWN_OTLP_BYTES, OTLP_HTTP, bytes.n);
    store_commit(h->in->pl->st);
    if (fits)
        buf_addstr(b, bytes);
    if (!fits) {
        refuse_for_size(c);
    } else if (b->failed) {
        refuse_call(c, RPC_UNAVAILABLE, STR("out of memory"), OTLP_RETRY_NS);
    } else if (!otlp_hold(h->in, &c->message.hold, b->cap)) {
        refuse_for_room(c);
    }
}

static void on_answered(void *arg, const struct otlp_answer *a)
{
    struct otlp_http_call *c = arg;
    assert(c->magic == CALL_MAGIC);
    c->job = NULL;
    answer_call(c, a);
}

static void end(void *arg, struct http_exchange *x)
{
    struct otlp_http *h = arg;
    struct otlp_http_call *c = http_context(x);
    assert(c->magic == CALL_MAGIC);
    if (!c->job)
        c->job = otlp_job_new(h->in, &c->lane, &c->message, on_answered, c);
    if (!c->job)
        refuse_call(c, RPC_UNAVAILABLE, STR("out of memory"), OTLP_RETRY_NS);
}

static void gone(void *arg, struct http_exchange *x)
{
    struct otlp_http *h = arg;
    struct otlp_http_call *c = http_context(x);
    if (!c)
        return;
    const bool slow = clock_now().mono - c->began >= h->in->options.receive_timeout;
    if (slow)
        otlp_refused(h->in, OWN_LIMIT_SLOW);
    otlp_intake_count(h->in, OTLP_HTTP, c->message.signal,
                      slow ? RPC_DEADLINE_EXCEEDED : RPC_CANCELLED);
    free_call(c);
}

static const struct http_upload upload = {begin, take, end, gone};

const struct http_route otlp_http_routes[] = {
    {"/v1/traces", NULL, "spans (POST)", &upload},
    {"/v1/metrics", NULL, "metrics (POST)", &upload},
    {"/v1/logs", NULL, "log records (POST)", &upload},
};
const size_t otlp_http_nroutes = sizeof otlp_http_routes / sizeof *otlp_http_routes;

/* ---- life ---- */

void otlp_http_init(struct otlp_http *h, struct otlp_intake *in)
{
    *h = (struct otlp_http){.in = in};
    TAILQ_INIT(&h->calls);
    buf_init(&h->scratch, SCRATCH_MAX);
}

void otlp_http_stop(struct otlp_http *h)
{
    while (!TAILQ_EMPTY(&h->calls))
        refuse_call(TAILQ_FIRST(&h->calls), RPC_UNAVAILABLE, STR("the daemon is stopping"),
                    OTLP_RETRY_NS);
}

void otlp_http_fini(struct otlp_http *h)
{
    assert(TAILQ_EMPTY(&h->calls));
    buf_fini(&h->scratch);
}
