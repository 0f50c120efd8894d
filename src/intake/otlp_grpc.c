#include "intake/otlp_grpc.h"

#include <assert.h>
#include <stdlib.h>

#include "base/blocks.h"
#include "intake/grpc_call.h"
#include "otlp/gzip.h"
#include "serve/http.h"
#include "store/commit.h"

enum {
    SESSION_MAGIC = 0x67727063,
    HEALTH_MESSAGE = 4096, /* bytes of a HealthCheckRequest: a name */
    REPLY_MAX = 8192,
};
#define SOME_TIME (60 * NS_PER_S) /* until a session without a deadline is looked at again */

struct grpc_session {
    unsigned magic;
    nghttp2_session *h2;
    struct blocks memory; /* of h2 */
    struct otlp_intake *in;
    struct grpc_session_hooks hooks;
    struct otlp_lane lane;
    TAILQ_HEAD(, grpc_call) calls;
    unsigned ncalls;
    uint64_t now; /* of the entry that we are in */
    uint64_t began, idle_since, headers_since;
    bool greeted;      /* the peer's SETTINGS came */
    bool in_headers;   /* a header block has begun and not ended */
    bool blamed;       /* why it ends is counted already */
    bool served;       /* a request of it has been applied */
    bool ended;        /* only what is left to send keeps it */
    uint64_t resets;   /* what is left of GRPC_RESETS, in ns of their rate */
    uint64_t reset_at; /* when that was so */
};

/* ---- calls ---- */

static struct grpc_call *call_of(struct grpc_session *s, int32_t id)
{
    return nghttp2_session_get_stream_user_data(s->h2, id);
}

static void displace(void *arg);

static struct grpc_call *open_call(struct grpc_session *s, int32_t id)
{
    struct grpc_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->session = s;
    c->id = id;
    c->since = s->now;
    c->state = CALL_HEAD;
    c->method = METHOD_UNKNOWN;
    c->hold = (struct otlp_hold){.refuse = displace, .arg = c};
    grpc_message_init(&c->message, 0);
    buf_init(&c->reply, REPLY_MAX);
    TAILQ_INSERT_TAIL(&s->calls, c, link);
    s->ncalls++;
    return c;
}

static void forget_message(struct grpc_call *c)
{
    grpc_message_fini(&c->message);
    (void)otlp_hold(c->session->in, &c->hold, 0);
}

/* The window of the connection is other streams' as well. */
static void close_call(struct grpc_call *c)
{
    struct grpc_session *s = c->session;
    if (c->withheld && !s->memory.starved)
        (void)nghttp2_session_consume_connection(s->h2, c->withheld);
    if (c->job) {
        if (!otlp_job_begun(c->job))
            otlp_intake_count(s->in, OTLP_GRPC, (enum otlp_signal)c->method, RPC_CANCELLED);
        otlp_job_abandon(c->job);
    }
    if (c->asking)
        access_forget(s->in->guard->access, &c->who);
    grpc_call_forget(c);
    forget_message(c);
    buf_fini(&c->reply);
    TAILQ_REMOVE(&s->calls, c, link);
    if (--s->ncalls == 0)
        s->idle_since = s->now;
    free(c);
}

static void count_answer(struct grpc_call *c, enum rpc_code code)
{
    if (c->method < METHOD_HEALTH)
        otlp_intake_count(c->session->in, OTLP_GRPC, (enum otlp_signal)c->method, code);
}

/* A peer that opens no window for its answer would hold stream and connection for ever. */
static void submitted(struct grpc_call *c, int r)
{
    c->deadline = c->session->now + c->session->in->options.receive_timeout;
    if (r < 0)
        (void)nghttp2_submit_rst_stream(c->session->h2, NGHTTP2_FLAG_NONE, c->id,
                                        NGHTTP2_INTERNAL_ERROR);
}

static void answer_status(struct grpc_call *c, enum rpc_code code, struct str why, uint64_t retry)
{
    count_answer(c, code);
    forget_message(c);
    submitted(c, grpc_answer_status(c, c->session->h2, code, why, retry));
}

static void answer_reply(struct grpc_call *c)
{
    count_answer(c, RPC_OK);
    forget_message(c);
    submitted(c, grpc_answer_reply(c, c->session->h2));
}

static void answer_http(struct grpc_call *c, const char *status)
{
    forget_message(c);
    submitted(c, grpc_answer_http(c, c->session->h2, status));
}

static void refuse(struct grpc_call *c, unsigned why, enum rpc_code code, struct str text,
                   uint64_t retry)
{
    otlp_refused(c->session->in, why);
    answer_status(c, code, text, retry);
}

static void refuse_for_room(struct grpc_call *c)
{
    otlp_displaced(c->session->in);
    answer_status(c, RPC_RESOURCE_EXHAUSTED, STR("too many messages at once"), OTLP_RETRY_NS);
}

static void give_back(struct grpc_call *c)
{
    if (c->withheld)
        (void)nghttp2_session_consume(c->session->h2, c->id, c->withheld);
    c->withheld = 0;
}

/* ---- a request: head, body, end ---- */

/* What the head alone is reason enough to refuse; true when it was. */
static bool refuse_head(struct grpc_call *c)
{
    const struct otlp_intake *in = c->session->in;
    if (c->header_bytes > GRPC_HEADER_LIST) {
        otlp_refused(c->session->in, OWN_LIMIT_HEADER_SIZE);
        answer_http(c, "431");
    } else if (!c->posted) {
        answer_http(c, "405");
    } else if (!c->grpc_type) {
        answer_http(c, "415");
    } else if (c->method == METHOD_UNKNOWN) {
        refuse(c, OWN_LIMIT_METHOD, RPC_UNIMPLEMENTED, STR("no such method"), 0);
    } else if (c->encoding == GRPC_OTHER) {
        answer_status(c, RPC_UNIMPLEMENTED, STR("the encoding is not identity or gzip"), 0);
    } else if (c->bad_timeout) {
        answer_status(c, RPC_INVALID_ARGUMENT, STR("grpc-timeout is none"), 0);
    } else if (c->method != METHOD_HEALTH && in->draining) {
        answer_status(c, RPC_UNAVAILABLE, STR("the daemon is stopping"), OTLP_RETRY_NS);
    }
    return c->state == CALL_ANSWERED;
}

static void end_body(struct grpc_call *c);

/* What comes meanwhile is gathered. A call that has been answered for another reason stays
 * so. */
static void judge(struct grpc_call *c, enum access_verdict v)
{
    if (c->state != CALL_BODY || v == ACCESS_GRANTED)
        return;
    if (v == ACCESS_DENIED)
        refuse(c, OWN_LIMIT_UNAUTHORIZED, RPC_UNAUTHENTICATED, STR("who are you?"), 0);
    else if (v == ACCESS_BUSY)
        answer_status(c, RPC_UNAVAILABLE, STR("too many passwords are being checked"),
                      OTLP_RETRY_NS);
}

static void on_verdict(struct access_wait *w, enum access_verdict v)
{
    struct grpc_call *c = (void *)((char *)w - offsetof(struct grpc_call, who));
    struct grpc_session *s = c->session;
    s->now = clock_now().mono;
    c->asking = false;
    judge(c, v);
    if (c->state == CALL_BODY && c->ended)
        end_body(c);
    give_back(c);
    s->hooks.wake(s->hooks.arg);
}

/* Health is for everybody, as it is over HTTP. */
static void ask_who(struct grpc_call *c)
{
    const struct http_guard *g = c->session->in->guard;
    if (!g || !g->authenticate || c->method == METHOD_HEALTH)
        return;
    c->who.done = on_verdict;
    const enum access_verdict v =
        access_ask(g->access, c->authorization, &c->session->hooks.from, &c->who);
    c->asking = v == ACCESS_LATER;
    judge(c, v);
    grpc_call_forget(c);
}

static void begin_body(struct grpc_call *c)
{
    const struct otlp_intake_options *o = &c->session->in->options;
    const uint64_t now = c->session->now;
    if (refuse_head(c))
        return;
    c->state = CALL_BODY;
    c->caller = c->timeout && c->timeout < UINT64_MAX - now ? now + c->timeout : 0;
    c->deadline = now + o->receive_timeout;
    if (c->caller && c->caller < c->deadline)
        c->deadline = c->caller;
    grpc_message_init(&c->message, c->method == METHOD_HEALTH ? HEALTH_MESSAGE : o->message);
    ask_who(c);
}

static void take_body(struct grpc_call *c, const uint8_t *p, size_t n)
{
    struct otlp_intake *in = c->session->in;
    const int r = grpc_message_feed(&c->message, p, n);
    if (r == -ERR_RANGE)
        refuse(c, OWN_LIMIT_MESSAGE_SIZE, RPC_RESOURCE_EXHAUSTED,
               STR("the message is larger than is taken"), 0);
    else if (r == -ERR_SYNTAX)
        answer_status(c, RPC_INVALID_ARGUMENT, STR("the body is not one gRPC message"), 0);
    else if (r < 0)
        answer_status(c, RPC_UNAVAILABLE, STR("out of memory"), OTLP_RETRY_NS);
    else if (!otlp_hold(in, &c->hold, c->message.bytes.cap))
        refuse_for_room(c);
}

static void on_answered(void *arg, const struct otlp_answer *a)
{
    struct grpc_call *c = arg;
    c->job = NULL;
    c->session->now = clock_now().mono;
    c->session->served |= a->code == RPC_OK;
    if (a->code == RPC_OK) {
        const uint8_t prefix[GRPC_PREFIX] = {0};
        buf_add(&c->reply, prefix, sizeof prefix);
        otlp_reply(&c->reply, (enum otlp_signal)c->method, false, a->rejected, a->message);
        if (c->reply.failed)
            answer_status(c, RPC_INTERNAL, STR("out of memory behind the last item"), 0);
        else
            answer_reply(c);
    } else {
        answer_status(c, a->code, a->message, a->retry);
    }
    c->session->hooks.wake(c->session->hooks.arg);
}

static void start_work(struct grpc_call *c)
{
    struct grpc_session *s = c->session;
    struct otlp_message m = {
        .signal = (enum otlp_signal)c->method,
        .gzip = c->message.compressed,
        .bytes = c->message.bytes,
    };
    otlp_budget_pass(&s->in->budget, &c->hold, &m.hold);
    buf_init(&c->message.bytes, 0);
    c->deadline = c->caller;
    c->job = otlp_job_new(s->in, &s->lane, &m, on_answered, c);
    if (c->job)
        c->state = CALL_WORKING;
    else
        answer_status(c, RPC_UNAVAILABLE, STR("out of memory"), OTLP_RETRY_NS);
}

/* A small message at once; false when it is none. */
static bool inflate_small(struct buf *to, struct str bytes)
{
    struct inflate i;
    if (inflate_begin(&i, bytes) < 0)
        return false;
    const int r = inflate_step(&i, to, HEALTH_MESSAGE);
    inflate_end(&i);
    return r == 0;
}

static void check_health(struct grpc_call *c)
{
    struct buf plain;
    struct str request = buf_str(&c->message.bytes);
    enum rpc_code code = RPC_INVALID_ARGUMENT;
    buf_init(&plain, HEALTH_MESSAGE);
    if (!c->message.compressed)
        code = grpc_health_check(c, request, !c->session->in->draining);
    else if (inflate_small(&plain, request))
        code = grpc_health_check(c, buf_str(&plain), !c->session->in->draining);
    buf_fini(&plain);
    if (code == RPC_OK)
        answer_reply(c);
    else
        answer_status(c, code, code == RPC_NOT_FOUND ? STR("no such service") : STR("no request"),
                      0);
}

static void end_body(struct grpc_call *c)
{
    const struct grpc_message *m = &c->message;
    if (m->have < GRPC_PREFIX || m->bytes.n < m->size)
        answer_status(c, RPC_INVALID_ARGUMENT, STR("the message is cut off"), 0);
    else if (m->compressed && c->encoding != GRPC_GZIP)
        answer_status(c, RPC_INTERNAL, STR("compressed without grpc-encoding"), 0);
    else if (c->method == METHOD_HEALTH)
        check_health(c);
    else
        start_work(c);
}

/* ---- flow control ---- */

/* Another message needs the room; perhaps one of another connection. */
static void displace(void *arg)
{
    struct grpc_call *c = arg;
    struct grpc_session *s = c->session;
    s->now = clock_now().mono;
    refuse_for_room(c);
    give_back(c);
    s->hooks.wake(s->hooks.arg);
}

bool grpc_session_release(struct grpc_session *s)
{
    struct grpc_call *c;
    bool held = false;
    TAILQ_FOREACH(c, &s->calls, link)
    {
        if (!c->withheld)
            continue;
        if (otlp_go_on(s->in))
            give_back(c);
        else
            held = true;
    }
    return held;
}

/* ---- nghttp2's callbacks ---- */

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
    struct grpc_session *s = arg;
    s->in_headers = true;
    s->headers_since = s->now;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct grpc_call *c = open_call(s, frame->hd.stream_id);
    if (!c)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    nghttp2_session_set_stream_user_data(h2, c->id, c);
    return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct grpc_call *c = call_of(arg, frame->hd.stream_id);
    (void)h2;
    (void)flags;
    if (c && c->state == CALL_HEAD)
        grpc_call_header(c, (struct str){(const char *)name, name_n},
                         (struct str){(const char *)value, value_n});
    return 0;
}

/* What the peer may send for a stream. */
static size_t window_of(const struct grpc_call *c)
{
    const int32_t n = nghttp2_session_get_stream_local_window_size(c->session->h2, c->id);
    return n > 0 ? (size_t)n : 0;
}

/* Whether the peer may send all of its message already: a window of the stream would be said
 * for nothing. */
static bool needs_no_window(const struct grpc_call *c)
{
    const struct grpc_message *m = &c->message;
    return c->state == CALL_BODY && m->have == GRPC_PREFIX && m->size - m->bytes.n <= window_of(c);
}

static int on_chunk(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                    void *arg)
{
    struct grpc_session *s = arg;
    struct grpc_call *c = call_of(s, id);
    (void)flags;
    own_add(&s->in->pl->own, OWN_OTLP_BYTES, OTLP_GRPC, n);
    if (!c) {
        (void)nghttp2_session_consume(h2, id, n);
        return 0;
    }
    if (c->state == CALL_BODY)
        take_body(c, p, n);
    if (needs_no_window(c) && otlp_go_on(s->in)) {
        (void)nghttp2_session_consume_connection(h2, n);
        return 0;
    }
    c->withheld += n;
    if (c->state == CALL_ANSWERED || otlp_go_on(s->in))
        give_back(c);
    return 0;
}

static void terminate(struct grpc_session *s, uint32_t error)
{
    s->ended = true;
    (void)nghttp2_session_terminate_session(s->h2, error);
}

/* A peer that opens and resets has work done for nothing. */
static void count_reset(struct grpc_session *s)
{
    const uint64_t each = NS_PER_S / GRPC_RESETS_PER_SECOND, most = GRPC_RESETS * each;
    const uint64_t more = s->now - s->reset_at;
    s->resets = more < most - s->resets ? s->resets + more : most;
    s->reset_at = s->now;
    if (s->resets >= each) {
        s->resets -= each;
        return;
    }
    if (!s->blamed)
        otlp_refused(s->in, OWN_LIMIT_FLOOD);
    s->blamed = true;
    terminate(s, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
    struct grpc_session *s = arg;
    struct grpc_call *c = call_of(s, frame->hd.stream_id);
    (void)h2;
    if (frame->hd.type == NGHTTP2_SETTINGS)
        s->greeted = true;
    else if (frame->hd.type == NGHTTP2_RST_STREAM)
        count_reset(s);
    else if (frame->hd.type == NGHTTP2_HEADERS)
        s->in_headers = false;
    if (!c || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (c->state == CALL_HEAD)
        begin_body(c);
    if (c->state != CALL_BODY || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    c->ended = true;
    if (!c->asking)
        end_body(c);
    return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
    struct grpc_call *c = call_of(arg, id);
    (void)error;
    if (!c)
        return 0;
    nghttp2_session_set_stream_user_data(h2, id, NULL);
    close_call(c);
    return 0;
}

/* An answer that ends the stream while the peer still sends: it need not. */
static int on_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
    struct grpc_session *s = arg;
    const int32_t id = frame->hd.stream_id;
    if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        nghttp2_session_get_stream_remote_close(h2, id) == 0)
        (void)nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
        !s->blamed) {
        s->blamed = true;
        otlp_refused(s->in, OWN_LIMIT_PROTOCOL);
    }
    return 0;
}

/* ---- life ---- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *b;
    if (nghttp2_session_callbacks_new(&b) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(b, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(b, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(b, on_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(b, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(b, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(b, on_sent);
    return b;
}

/* Its limits on CONTINUATION frames, SETTINGS entries and resets are on by default. */
static nghttp2_option *make_options(void)
{
    nghttp2_option *o;
    if (nghttp2_option_new(&o) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_max_outbound_ack(o, GRPC_ACKS);
    nghttp2_option_set_no_closed_streams(o, 1); /* they would be kept for priorities alone */
    return o;
}

static bool greet(struct grpc_session *s)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, s->in->options.streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, GRPC_HEADER_TABLE},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADER_LIST},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return nghttp2_submit_settings(s->h2, NGHTTP2_FLAG_NONE, settings,
                                   sizeof settings / sizeof *settings) == 0 &&
           nghttp2_session_set_local_window_size(s->h2, NGHTTP2_FLAG_NONE, 0,
                                                 GRPC_CONNECTION_WINDOW) == 0;
}

static bool make_h2(struct grpc_session *s)
{
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = make_options();
    nghttp2_mem memory = {&s->memory, blocks_malloc, blocks_free, blocks_calloc, blocks_realloc};
    const bool ok = callbacks && options &&
                    nghttp2_session_server_new3(&s->h2, callbacks, s, options, &memory) == 0 &&
                    greet(s);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    return ok;
}

struct grpc_session *grpc_session_new(struct otlp_intake *in, const struct grpc_session_hooks *h,
                                      uint64_t now)
{
    struct grpc_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->magic = SESSION_MAGIC;
    s->in = in;
    s->hooks = *h;
    s->now = s->began = s->idle_since = s->reset_at = now;
    s->resets = GRPC_RESETS * (NS_PER_S / GRPC_RESETS_PER_SECOND);
    otlp_lane_init(&s->lane);
    TAILQ_INIT(&s->calls);
    if (make_h2(s))
        return s;
    grpc_session_free(s);
    return NULL;
}

void grpc_session_free(struct grpc_session *s)
{
    if (!s)
        return;
    assert(s->magic == SESSION_MAGIC);
    while (!TAILQ_EMPTY(&s->calls))
        close_call(TAILQ_FIRST(&s->calls));
    if (!s->memory.starved)
        nghttp2_session_del(s->h2);
    blocks_free_all(&s->memory);
    s->magic = 0;
    free(s);
}

/* ---- bytes and time ---- */

bool grpc_session_feed(struct grpc_session *s, const uint8_t *p, size_t n, uint64_t now)
{
    assert(s->magic == SESSION_MAGIC);
    s->now = now;
    const ssize_t r = nghttp2_session_mem_recv(s->h2, p, n);
    store_commit(s->in->pl->st);
    if (s->memory.starved)
        return false; /* which is not the peer's fault */
    if (r >= 0)
        return true;
    if (!s->blamed)
        otlp_refused(s->in, r == NGHTTP2_ERR_FLOODED ? OWN_LIMIT_FLOOD : OWN_LIMIT_PROTOCOL);
    s->blamed = true;
    return false;
}

bool grpc_session_output(struct grpc_session *s, struct buf *to, size_t about)
{
    const uint8_t *p;
    if (s->memory.starved)
        return false;
    while (to->n < about) {
        const ssize_t n = nghttp2_session_mem_send(s->h2, &p);
        if (n < 0)
            return false;
        if (n == 0)
            break;
        buf_add(to, p, (size_t)n);
    }
    return !to->failed;
}

bool grpc_session_over(const struct grpc_session *s)
{
    return s->memory.starved ||
           (!nghttp2_session_want_read(s->h2) && !nghttp2_session_want_write(s->h2));
}

uint64_t grpc_session_waits(const struct grpc_session *s)
{
    const struct grpc_call *c;
    TAILQ_FOREACH(c, &s->calls, link)
    if (c->state != CALL_HEAD && c->state != CALL_BODY)
        return UINT64_MAX;
    c = TAILQ_FIRST(&s->calls);
    return c ? c->since : s->idle_since;
}

/* SIZE_MAX when nothing is awaited. */
static size_t missing(const struct grpc_call *c)
{
    const struct grpc_message *m = &c->message;
    if (c->state == CALL_WORKING || c->state == CALL_ANSWERED)
        return SIZE_MAX;
    if (c->state == CALL_HEAD || c->withheld || m->have < GRPC_PREFIX)
        return 0;
    const size_t n = m->size - m->bytes.n, window = window_of(c);
    return n < window ? n : window;
}

size_t grpc_session_missing(const struct grpc_session *s)
{
    const int32_t window = nghttp2_session_get_local_window_size(s->h2);
    size_t least = SIZE_MAX;
    const struct grpc_call *c;
    if (s->in_headers || window <= 0)
        return 0;
    TAILQ_FOREACH(c, &s->calls, link)
    {
        const size_t n = missing(c);
        least = n < least ? n : least;
    }
    if (least == SIZE_MAX)
        return 0;
    return least < (size_t)window ? least : (size_t)window;
}

bool grpc_session_agreed(const struct grpc_session *s)
{
    return nghttp2_session_get_local_settings(s->h2, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) ==
           GRPC_STREAM_WINDOW;
}

bool grpc_session_patient(const struct grpc_session *s)
{
    const int32_t window = nghttp2_session_get_local_window_size(s->h2);
    size_t rest = 0;
    unsigned begun = 0;
    const struct grpc_call *c;
    TAILQ_FOREACH(c, &s->calls, link)
    {
        if (c->state == CALL_HEAD || (c->state == CALL_BODY && !needs_no_window(c)))
            return false;
        if (c->state == CALL_BODY)
            rest += c->message.size - c->message.bytes.n;
        begun += c->state == CALL_BODY || c->state == CALL_WORKING;
    }
    return begun > 0 && !s->in_headers && window > 0 && rest <= (size_t)window;
}

bool grpc_session_served(const struct grpc_session *s)
{
    return s->served;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t grpc_session_deadline(const struct grpc_session *s)
{
    uint64_t first = s->now + SOME_TIME;
    const struct grpc_call *c;
    if (s->ended)
        return first;
    if (!s->greeted)
        first = sooner(first, s->began + GRPC_GREETING_NS);
    if (s->in_headers)
        first = sooner(first, s->headers_since + GRPC_HEADERS_NS);
    if (!s->ncalls)
        first = sooner(first, s->idle_since + s->in->options.idle_timeout);
    TAILQ_FOREACH(c, &s->calls, link)
    if (c->deadline)
        first = sooner(first, c->deadline);
    return first;
}

/* What is being applied is answered; the peer has given up, or will hear of it. An answer
 * that is not fetched is taken back. */
static void expire_call(struct grpc_call *c)
{
    if (c->job && otlp_job_begun(c->job)) {
        c->deadline = 0;
        return;
    }
    if (c->state == CALL_ANSWERED) {
        c->deadline = 0;
        otlp_refused(c->session->in, OWN_LIMIT_SLOW);
        (void)nghttp2_submit_rst_stream(c->session->h2, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_CANCEL);
        return;
    }
    if (c->job)
        otlp_job_abandon(c->job);
    c->job = NULL;
    refuse(c, OWN_LIMIT_SLOW, RPC_DEADLINE_EXCEEDED, STR("the request took too long"), 0);
}

void grpc_session_expire(struct grpc_session *s, uint64_t now)
{
    struct grpc_call *c;
    s->now = now;
    if (s->ended)
        return;
    TAILQ_FOREACH(c, &s->calls, link)
    if (c->deadline && c->deadline <= now)
        expire_call(c);
    const bool slow = (!s->greeted && now - s->began >= GRPC_GREETING_NS) ||
                      (s->in_headers && now - s->headers_since >= GRPC_HEADERS_NS);
    if (slow && !s->blamed) {
        s->blamed = true;
        otlp_refused(s->in, OWN_LIMIT_SLOW);
    }
    if (slow || (!s->ncalls && now - s->idle_since >= s->in->options.idle_timeout))
        terminate(s, NGHTTP2_NO_ERROR);
}

void grpc_session_leave(struct grpc_session *s)
{
    (void)nghttp2_submit_goaway(s->h2, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(s->h2), NGHTTP2_NO_ERROR,
                                NULL, 0);
}
