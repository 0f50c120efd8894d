#include "mcp/session.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "model/text.h"

void mcp_limits_default(struct mcp_limits *l)
{
    *l = (struct mcp_limits){
        .pending_max = 1024,
        .pending_age = 600 * NS_PER_S,
        .late_age = 60 * NS_PER_S,
    };
}

/* Counters of both directions have their UP row first. */
static void count(struct mcp_session *s, enum mcp_counter up, enum mcp_direction d, uint64_t n)
{
    s->counts[(unsigned)up + (unsigned)d] += n;
}

static uint64_t since(uint64_t then, uint64_t now)
{
    return now > then ? now - then : 0;
}

/* The one who asks in a direction. */
static enum mcp_side side_of(enum mcp_direction d)
{
    return d == MCP_UP ? MCP_SERVER : MCP_CLIENT;
}

static enum mcp_direction opposite(enum mcp_direction d)
{
    return d == MCP_UP ? MCP_DOWN : MCP_UP;
}

/* ---- the end of a request ---- */

static void tell_operation(struct mcp_session *s, const struct pending_request *r, enum mcp_end end,
                           const struct mcp_message *answer)
{
    struct outcome outcome;
    enum mcp_side side = side_of((enum mcp_direction)r->direction);
    outcome_of(&outcome, side, r->method, end, answer);
    unsigned flags = mcp_method_flags(r->method);
    s->sink->operation(s->arg, &(struct mcp_operation){
                                   .side = side,
                                   .end = end,
                                   .timed = !(flags & METHOD_STREAM),
                                   .method = r->method_label,
                                   .tool = flags & METHOD_TOOL ? r->name_label : "",
                                   .prompt = flags & METHOD_PROMPT ? r->name_label : "",
                                   .protocol_version = r->version[0] ? r->version : s->version,
                                   .name = r->name,
                                   .uri = r->uri,
                                   .request_id = r->id.text,
                                   .result_type = answer ? answer->result_type : "",
                                   .traceparent = r->traceparent,
                                   .tracestate = r->tracestate,
                                   .outcome = &outcome,
                                   .error_message = answer ? answer->error_message : "",
                                   .start = r->start,
                                   .stop = s->now,
                               });
}

/* The answer to `initialize` settles the version before anything is told of it. */
static void note_answer(struct mcp_session *s, struct pending_request *r, enum mcp_end end,
                        const struct mcp_message *answer)
{
    if (r->method == MCP_INITIALIZE) {
        if (answer && answer->kind == MCP_RESULT && answer->protocol_version[0])
            r->version = s->version = name_set_label(&s->versions, answer->protocol_version);
        s->sink->initialize(s->arg, end, r->version);
    }
    if (r->method == MCP_TOOLS_LIST && answer && answer->has_tools)
        s->sink->tools(s->arg, answer->tools, answer->result_bytes);
}

static void finish(struct mcp_session *s, struct pending_request *r, enum mcp_end end,
                   const struct mcp_message *answer)
{
    note_answer(s, r, end, answer);
    tell_operation(s, r, end, answer);
    pending_remove(&s->pending, r);
}

/* Whether the answer to r may have passed while we missed bytes. */
static bool in_gap(const struct mcp_session *s, const struct pending_request *r)
{
    uint64_t gap = s->stream[opposite((enum mcp_direction)r->direction)].gap_at;
    return gap && gap >= r->start.mono;
}

/* Ends a request that has had no answer. */
static void give_up(struct mcp_session *s, struct pending_request *r, enum mcp_end end)
{
    if (in_gap(s, r) && r->queue == PENDING_OPEN) {
        s->counts[MCP_COUNT_DROPPED_GAP]++;
        pending_remove(&s->pending, r);
        return;
    }
    finish(s, r, end, NULL);
}

/* ---- the beginning of a request ---- */

/* Makes room by giving up the request that has waited longest. */
static void make_room(struct mcp_session *s)
{
    static const enum pending_queue order[] = {PENDING_CANCELLED, PENDING_OPEN, PENDING_STREAM};
    for (unsigned i = 0; i < PENDING_QUEUES; i++) {
        struct pending_request *r = pending_first(&s->pending, order[i]);
        if (!r)
            continue;
        s->counts[MCP_COUNT_DROPPED_FULL] += order[i] != PENDING_CANCELLED;
        pending_remove(&s->pending, r);
        return;
    }
}

static void free_key(struct mcp_session *s, enum mcp_direction d, const struct mcp_id *id)
{
    struct pending_request *old = pending_find(&s->pending, d, id);
    if (!old)
        return;
    s->counts[MCP_COUNT_DROPPED_REUSED] += old->queue != PENDING_CANCELLED;
    pending_remove(&s->pending, old);
}

/* Copies a text that has been kept whole; one that has not is left out. */
static void copy_whole(char *to, size_t size, const char *from)
{
    size_t n = strlen(from);
    if (n < size)
        memcpy(to, from, n + 1);
}

static void copy_cut(char *to, size_t size, const char *from)
{
    struct str s = text_cut(str_of(from), size - 1);
    memcpy(to, s.p, s.n);
    to[s.n] = 0;
}

static void fill(struct mcp_session *s, struct pending_request *r, const struct mcp_message *m,
                 enum mcp_method method)
{
    unsigned flags = mcp_method_flags(method);
    r->method = method;
    r->method_label = name_set_label(&s->methods, m->method);
    r->name_label = "";
    if (flags & (METHOD_TOOL | METHOD_PROMPT)) {
        r->name_label = name_set_label(flags & METHOD_TOOL ? &s->tools : &s->prompts, m->name);
        if (mcp_name_ok(NAME_TOOL, m->name))
            copy_whole(r->name, sizeof r->name, m->name);
    }
    if (flags & METHOD_RESOURCE)
        copy_cut(r->uri, sizeof r->uri, m->uri);
    r->version = m->protocol_version[0] ? name_set_label(&s->versions, m->protocol_version) : "";
    copy_whole(r->traceparent, sizeof r->traceparent, m->traceparent);
    copy_whole(r->tracestate, sizeof r->tracestate, m->tracestate);
}

static void on_request(struct mcp_session *s, enum mcp_direction d, const struct mcp_message *m)
{
    enum mcp_method method = mcp_method_find(m->method);
    bool stream = mcp_method_flags(method) & METHOD_STREAM;
    free_key(s, d, &m->id);
    enum pending_queue queue = stream ? PENDING_STREAM : PENDING_OPEN;
    struct pending_request *r = pending_add(&s->pending, d, &m->id, queue, s->now);
    if (!r) {
        make_room(s);
        r = pending_add(&s->pending, d, &m->id, queue, s->now);
    }
    fill(s, r, m, method);
    if (d == MCP_UP && method != MCP_INITIALIZE && r->version[0])
        s->version = r->version;
}

/* ---- what messages mean ---- */

/* Who asked withdraws; a late answer is still to be known as one. The end of a
 * stream is no cancellation: there is no other way to end it. A server closes
 * one by naming the client's request. */
static void on_cancelled(struct mcp_session *s, enum mcp_direction d, const struct mcp_message *m)
{
    struct pending_request *r = pending_find(&s->pending, d, &m->request_id);
    if (!r)
        r = pending_find(&s->pending, opposite(d), &m->request_id);
    if (!r || r->queue == PENDING_CANCELLED || (r->direction != d && r->queue != PENDING_STREAM))
        return;
    enum mcp_end end = r->queue == PENDING_STREAM ? MCP_END_RESULT : MCP_END_CANCELLED;
    note_answer(s, r, end, NULL);
    tell_operation(s, r, end, NULL);
    pending_move(&s->pending, r, PENDING_CANCELLED, s->now);
}

static void on_answer(struct mcp_session *s, enum mcp_direction d, const struct mcp_message *m)
{
    struct pending_request *r = pending_find(&s->pending, opposite(d), &m->id);
    if (!r)
        count(s, MCP_COUNT_UNMATCHED_UP, d, 1);
    else if (r->queue == PENDING_CANCELLED)
        pending_remove(&s->pending, r);
    else
        finish(s, r, m->kind == MCP_ERROR ? MCP_END_ERROR : MCP_END_RESULT, m);
}

/* The client names itself in what it asks, the server in what it answers. */
static void note_peer(struct mcp_session *s, enum mcp_direction d, const struct mcp_message *m)
{
    enum mcp_side side = d == MCP_UP ? MCP_CLIENT : MCP_SERVER;
    char name[sizeof s->peer[0]];
    if (!m->peer_name[0] || (m->kind == MCP_REQUEST) != (d == MCP_UP))
        return;
    const char *label = mcp_name_ok(NAME_TEXT, m->peer_name) ? m->peer_name : "_OTHER";
    const char *version = mcp_name_ok(NAME_VERSION, m->peer_version) ? m->peer_version : "";
    snprintf(name, sizeof name, "%s\n%s", label, version);
    if (strcmp(name, s->peer[side]) == 0)
        return;
    memcpy(s->peer[side], name, sizeof name);
    s->sink->peer(s->arg, side, label, version);
}

static const enum mcp_counter kind_counter[MCP_KINDS] = {
    [MCP_REQUEST] = MCP_COUNT_REQUESTS_UP, [MCP_NOTIFICATION] = MCP_COUNT_NOTIFICATIONS_UP,
    [MCP_RESULT] = MCP_COUNT_RESULTS_UP,   [MCP_ERROR] = MCP_COUNT_ERRORS_UP,
    [MCP_INVALID] = MCP_COUNT_INVALID_UP,
};

static void on_message(void *arg, const struct mcp_message *m)
{
    struct mcp_stream *stream = arg;
    struct mcp_session *s = stream->session;
    enum mcp_direction d = stream->direction;
    count(s, kind_counter[m->kind], d, 1);
    if (!s->begun && d == MCP_UP && m->kind != MCP_INVALID) {
        s->begun = true;
        s->began = s->now;
    }
    note_peer(s, d, m);
    if (m->kind == MCP_REQUEST)
        on_request(s, d, m);
    else if (m->kind == MCP_RESULT || m->kind == MCP_ERROR)
        on_answer(s, d, m);
    else if (m->kind == MCP_NOTIFICATION && mcp_method_find(m->method) == MCP_CANCELLED)
        on_cancelled(s, d, m);
}

static void on_junk(void *arg)
{
    struct mcp_stream *stream = arg;
    count(stream->session, MCP_COUNT_JUNK_UP, stream->direction, 1);
}

static const struct scan_listener scan_listener = {.message = on_message, .junk = on_junk};

/* ---- the session ---- */

int mcp_session_init(struct mcp_session *s, const struct mcp_limits *l, const struct mcp_sink *sink,
                     void *arg)
{
    *s = (struct mcp_session){.limits = *l, .sink = sink, .arg = arg, .version = ""};
    for (unsigned d = 0; d < MCP_DIRECTIONS; d++) {
        s->stream[d].session = s;
        s->stream[d].direction = (enum mcp_direction)d;
        scan_init(&s->stream[d].scan, &scan_listener, &s->stream[d]);
    }
    name_set_init(&s->methods, NAME_METHOD);
    name_set_init(&s->tools, NAME_TOOL);
    name_set_init(&s->prompts, NAME_TOOL);
    name_set_init(&s->versions, NAME_VERSION);
    return pending_init(&s->pending, l->pending_max);
}

void mcp_session_fini(struct mcp_session *s)
{
    pending_fini(&s->pending);
}

void mcp_session_feed(struct mcp_session *s, enum mcp_direction d, const char *p, size_t n,
                      struct when now)
{
    s->now = now;
    count(s, MCP_COUNT_BYTES_UP, d, n);
    scan_feed(&s->stream[d].scan, p, n);
}

void mcp_session_lost(struct mcp_session *s, enum mcp_direction d, uint64_t n, bool at_line,
                      struct when now)
{
    s->now = now;
    s->stream[d].gap_at = now.mono ? now.mono : 1;
    count(s, MCP_COUNT_BYTES_UP, d, n);
    count(s, MCP_COUNT_LOST_UP, d, n);
    count(s, MCP_COUNT_GAPS_UP, d, 1);
    scan_lost(&s->stream[d].scan, at_line);
}

void mcp_session_stderr(struct mcp_session *s, const char *p, size_t n)
{
    s->counts[MCP_COUNT_BYTES_STDERR] += n;
    const char *end = p + n;
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        s->counts[MCP_COUNT_STDERR_LINES]++;
        p++;
    }
}

static void tell_session(struct mcp_session *s, enum mcp_side side, const char *error_type)
{
    if (s->ended[side])
        return;
    s->ended[side] = true;
    if (!s->begun)
        return;
    s->sink->session(s->arg, &(struct mcp_session_ended){
                                 .side = side,
                                 .protocol_version = s->version,
                                 .error_type = error_type,
                                 .duration = since(s->began.mono, s->now.mono),
                             });
}

/* A client's session ends when it closes its side; the server's when it goes. */
void mcp_session_close(struct mcp_session *s, enum mcp_direction d, struct when now)
{
    if (s->stream[d].closed)
        return;
    s->now = now;
    s->stream[d].closed = true;
    scan_finish(&s->stream[d].scan);
    if (d == MCP_UP)
        tell_session(s, MCP_CLIENT, "");
}

void mcp_session_tick(struct mcp_session *s, struct when now)
{
    struct pending_request *r;
    s->now = now;
    while ((r = pending_first(&s->pending, PENDING_OPEN)) &&
           since(r->since.mono, now.mono) >= s->limits.pending_age) {
        s->counts[MCP_COUNT_EXPIRED] += !in_gap(s, r);
        give_up(s, r, MCP_END_TIMEOUT);
    }
    while ((r = pending_first(&s->pending, PENDING_CANCELLED)) &&
           since(r->since.mono, now.mono) >= s->limits.late_age)
        pending_remove(&s->pending, r);
}

void mcp_session_end(struct mcp_session *s, enum mcp_end why, struct when now)
{
    struct pending_request *r;
    bool client_left = s->stream[MCP_UP].closed;
    enum mcp_end end = why == MCP_END_CLOSED && client_left ? MCP_END_CANCELLED : why;
    mcp_session_close(s, MCP_DOWN, now);
    s->now = now;
    while ((r = pending_first(&s->pending, PENDING_OPEN)))
        give_up(s, r, end);
    while ((r = pending_first(&s->pending, PENDING_STREAM)))
        give_up(s, r, end == MCP_END_CRASH ? MCP_END_CRASH : MCP_END_CANCELLED);
    while ((r = pending_first(&s->pending, PENDING_CANCELLED)))
        pending_remove(&s->pending, r);
    struct outcome outcome;
    outcome_of(&outcome, MCP_SERVER, MCP_OTHER, end == MCP_END_CANCELLED ? MCP_END_RESULT : end,
               NULL);
    tell_session(s, MCP_SERVER, outcome.error_type);
    tell_session(s, MCP_CLIENT, outcome.error_type);
}

unsigned mcp_session_in_flight(const struct mcp_session *s, enum mcp_side side)
{
    return pending_count(&s->pending, PENDING_OPEN, side == MCP_SERVER ? MCP_UP : MCP_DOWN);
}

unsigned mcp_session_streams(const struct mcp_session *s)
{
    return pending_count(&s->pending, PENDING_STREAM, MCP_UP) +
           pending_count(&s->pending, PENDING_STREAM, MCP_DOWN);
}

uint64_t mcp_session_oldest(const struct mcp_session *s, struct when now)
{
    const struct pending_request *r = pending_first(&s->pending, PENDING_OPEN);
    return r ? since(r->start.mono, now.mono) : 0;
}
