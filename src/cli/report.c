#include "cli/report.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/hash.h"
#include "client/span.h"
#include "mcptally.h"

/* Little memory: an observer sends small things. The library has no thread here,
 * so that every few operations it is given its turn, before its buffer is full.
 * Spans take most of the queue: with a daemon that is late or away they are left
 * out while there is still room to count. */
enum {
    BUFFER_BYTES = 32768,
    QUEUE_BYTES = 262144,
    TURN = 16,          /* operations between two turns of the library */
    LABEL_SETS = 512,   /* that peers may make of methods, names, codes and versions */
    LABEL_SLOTS = 1024, /* a power of two above that */
    OUTSTANDING = 400   /* items not acknowledged, from which on spans are left out */
};

/* X(SYMBOL, "name", "help") */
#define DURATION_TABLE(X)                                                                          \
    X(SERVER_OPERATION, "mcp.server.operation.duration",                                           \
      "Time from a client's request to the server's answer.")                                      \
    X(CLIENT_OPERATION, "mcp.client.operation.duration",                                           \
      "Time from a server's request to the client's answer.")                                      \
    X(SERVER_SESSION, "mcp.server.session.duration",                                               \
      "Time from the client's first message to the end of the server.")                            \
    X(CLIENT_SESSION, "mcp.client.session.duration",                                               \
      "Time from the client's first message to its closing the connection.")

/* X(SYMBOL, "name", "unit", "join", "label", "value", "help") */
#define GAUGE_TABLE(X)                                                                             \
    X(IN_FLIGHT_SERVER, "mcptally.wrapper.requests.in_flight", "", "sum", "side", "server",        \
      "Requests that wait for their answer, by who is to answer.")                                 \
    X(IN_FLIGHT_CLIENT, "mcptally.wrapper.requests.in_flight", "", "sum", "side", "client",        \
      "Requests that wait for their answer, by who is to answer.")                                 \
    X(OLDEST, "mcptally.wrapper.requests.oldest_age", "s", "max", "", "",                          \
      "Age of the request that has waited longest.")                                               \
    X(STREAMS, "mcptally.wrapper.subscriptions", "", "sum", "", "",                                \
      "Open subscriptions/listen requests.")                                                       \
    X(TOOLS, "mcptally.wrapper.tools", "", "last", "", "",                                         \
      "Entries in the newest answer to tools/list.")                                               \
    X(TOOLS_SIZE, "mcptally.wrapper.tools_list.size", "By", "last", "", "",                        \
      "Size of the newest result of tools/list.")                                                  \
    X(UP, "mcptally.wrapper.up", "", "sum", "", "", "Wrapped servers that run.")                   \
    X(MEMORY, "mcptally.wrapper.child.memory", "By", "sum", "", "",                                \
      "Resident memory of the server and its descendants.")                                        \
    X(FDS, "mcptally.wrapper.child.open_fds", "", "sum", "", "",                                   \
      "Open file descriptors of the server and its descendants.")                                  \
    X(PROCESSES, "mcptally.wrapper.child.processes", "", "sum", "", "",                            \
      "Processes of the server: itself and its descendants.")                                      \
    X(EXIT_CODE, "mcptally.wrapper.child.last_exit_code", "", "last", "", "",                      \
      "Exit code of the server that ended last, 128 and the number of a signal.")

enum duration {
#define X(sym, name, help) DURATION_##sym,
    DURATION_TABLE(X)
#undef X
        DURATIONS
};

enum gauge {
#define X(sym, name, unit, join, key, value, help) GAUGE_##sym,
    GAUGE_TABLE(X)
#undef X
        GAUGES
};

struct report {
    mcptally *m;
    const char *traceparent;
    const struct stamp *stamp;
    mcptally_metric *duration[DURATIONS];
    mcptally_series *gauge[GAUGES];
    mcptally_series *counter[MCP_COUNTERS];
    uint64_t told[MCP_COUNTERS]; /* of each counter, so far */
    mcptally_metric *initialize, *exits, *peer;
    mcptally_series *starts, *resumes, *cpu, *skipped;
    double told_cpu;
    bool cpu_unknown;    /* the first look only says where to begin */
    unsigned operations; /* since the library's last turn */
    unsigned label_sets;
    uint64_t label_hash[LABEL_SLOTS]; /* of the label sets met; 0: free */
    bool busy;                        /* too much is not acknowledged for spans */
};

/* Labels of a series; those with an empty value are left out. */
struct labels {
    unsigned n;
    mcptally_label all[10];
};

static void add_label(struct labels *l, const char *key, const char *value)
{
    if (key[0] && value[0])
        l->all[l->n++] = (mcptally_label){key, value};
    l->all[l->n] = (mcptally_label){NULL, NULL};
}

static mcptally_series *series(mcptally_metric *metric, const char *key, const char *value,
                               const char *key2, const char *value2)
{
    struct labels l = {0};
    add_label(&l, key, value);
    add_label(&l, key2, value2);
    return mcptally_with(metric, l.all);
}

/* Whether a label set has been met, or is one of the first LABEL_SETS. */
static bool is_welcome(struct report *r, uint64_t hash)
{
    unsigned at = (unsigned)hash & (LABEL_SLOTS - 1);
    hash |= 1;
    while (r->label_hash[at] && r->label_hash[at] != hash)
        at = (at + 1) & (LABEL_SLOTS - 1);
    if (r->label_hash[at])
        return true;
    if (r->label_sets == LABEL_SETS)
        return false;
    r->label_sets++;
    r->label_hash[at] = hash;
    return true;
}

/* A series whose labels peers had a say in. Their number is bounded here: the
 * library keeps every series, and the daemon's own limit does not help that. */
static mcptally_series *peers_series(struct report *r, mcptally_metric *metric,
                                     const struct labels *l)
{
    static const mcptally_label overflow[] = {{"otel.metric.overflow", "true"}, {NULL, NULL}};
    uint64_t hash = hash_bytes(&metric, sizeof metric, 0);
    for (unsigned i = 0; i < l->n; i++) {
        hash = hash_bytes(l->all[i].key, strlen(l->all[i].key), hash);
        hash = hash_bytes(l->all[i].value, strlen(l->all[i].value), hash);
    }
    return mcptally_with(metric, is_welcome(r, hash) ? l->all : overflow);
}

static void define_durations(struct report *r)
{
#define X(sym, name, help)                                                                         \
    r->duration[DURATION_##sym] = mcptally_histogram(r->m, name, "s", NULL, 0, help);
    DURATION_TABLE(X)
#undef X
}

static const struct {
    const char *name, *unit, *join, *key, *value, *help;
} gauges[GAUGES] = {
#define X(sym, name, unit, join, key, value, help)                                                 \
    [GAUGE_##sym] = {name, unit, join, key, value, help},
    GAUGE_TABLE(X)
#undef X
};

/* A gauge is defined with its first value: until then it would be shown as 0. */
static void set_gauge(struct report *r, enum gauge which, double value)
{
    if (!r->gauge[which])
        r->gauge[which] = series(mcptally_gauge(r->m, gauges[which].name, gauges[which].unit,
                                                gauges[which].join, gauges[which].help),
                                 gauges[which].key, gauges[which].value, "", "");
    mcptally_set(r->gauge[which], value);
}

/* Counters begin at 0 and not with their first increment, which a rate would miss. */
static void define_counters(struct report *r)
{
#define X(sym, name, unit, key, value, key2, value2, help)                                         \
    r->counter[MCP_COUNT_##sym] =                                                                  \
        series(mcptally_counter(r->m, name, unit, help), key, value, key2, value2);
    MCP_COUNTER_TABLE(X)
#undef X
    for (unsigned i = 0; i < MCP_COUNTERS; i++)
        mcptally_add(r->counter[i], 0);
    r->starts = series(mcptally_counter(r->m, "mcptally.wrapper.starts", "",
                                        "Servers started; all but the first are restarts."),
                       "", "", "", "");
    r->resumes = series(mcptally_counter(r->m, "mcptally.wrapper.observer.restarts", "",
                                         "Observers started in place of one that had gone."),
                        "", "", "", "");
    mcptally_add(r->resumes, 0);
    r->cpu = series(mcptally_counterf(r->m, "mcptally.wrapper.child.cpu", "s",
                                      "CPU time used by the server and its descendants."),
                    "", "", "", "");
    r->skipped = series(mcptally_counter(r->m, "mcptally.wrapper.spans.skipped", "",
                                         "Spans left out because the daemon was late or away."),
                        "", "", "", "");
    mcptally_add(r->skipped, 0);
    r->exits = mcptally_counter(r->m, "mcptally.wrapper.child.exits", "",
                                "Servers that have ended, by exit code or signal.");
    r->initialize = mcptally_counter(r->m, "mcptally.wrapper.initialize", "",
                                     "Initialize requests by outcome.");
    r->peer = mcptally_gauge(r->m, "mcptally.wrapper.peer_info", "", "max",
                             "1 for the names that client and server gave themselves.");
}

struct report *report_new(const char *service, const char *socket, const char *traceparent,
                          const struct stamp *stamp)
{
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->traceparent = traceparent;
    r->stamp = stamp;
    r->m = mcptally_open(&(mcptally_options){
        .size = sizeof(mcptally_options),
        .socket = socket,
        .service = service,
        .flags = MCPTALLY_NO_THREAD,
        .buffer_bytes = BUFFER_BYTES,
        .queue_bytes = QUEUE_BYTES,
    });
    if (!r->m) {
        free(r);
        return NULL;
    }
    define_durations(r);
    define_counters(r);
    return r;
}

/* ---- what the session tells ---- */

static const char *span_name(char *to, size_t size, const struct mcp_operation *op)
{
    snprintf(to, size, "%s%s%s", op->method, op->name[0] ? " " : "", op->name);
    return to;
}

static void span_attr(mcptally_span *span, const char *key, const char *value)
{
    if (value[0])
        mcptally_span_attr(span, key, value);
}

static void emit_span(struct report *r, const struct mcp_operation *op)
{
    char name[260];
    const bool ours = stamp_is_ours(r->stamp, op->traceparent);
    const bool given = op->traceparent[0] && !ours;
    const char *parent = given ? op->traceparent : r->traceparent;
    const char *state = given && op->tracestate[0] ? op->tracestate : NULL;
    const struct outcome *o = op->outcome;
    uint64_t lasted = op->stop.mono - op->start.mono;
    mcptally_span *span = mcptally_span_start(
        r->m, span_name(name, sizeof name, op),
        op->side == MCP_SERVER ? MCPTALLY_SPAN_SERVER : MCPTALLY_SPAN_CLIENT, parent, state);
    if (ours)
        span_become(span, op->traceparent);
    mcptally_span_attr(span, "mcp.method.name", op->method);
    mcptally_span_attr(span, "network.transport", "pipe");
    span_attr(span, "gen_ai.tool.name", op->tool[0] ? op->name : "");
    span_attr(span, "gen_ai.prompt.name", op->prompt[0] ? op->name : "");
    span_attr(span, "gen_ai.operation.name", op->tool[0] ? "execute_tool" : "");
    span_attr(span, "jsonrpc.request.id", op->request_id);
    span_attr(span, "mcp.resource.uri", op->uri);
    span_attr(span, "mcp.protocol.version", op->protocol_version);
    span_attr(span, "rpc.response.status_code", o->status_code);
    span_attr(span, "mcptally.result.type", op->result_type);
    if (o->failed)
        mcptally_span_error(span, o->error_type, op->error_message[0] ? op->error_message : NULL);
    else
        span_attr(span, "error.type", o->error_type);
    mcptally_span_times(span, op->start.wall, op->start.wall + lasted);
    mcptally_span_end(span);
}

/* The library's turn, and a look at how far the daemon is behind. */
static void take_turn(struct report *r)
{
    mcptally_stats s = {.size = sizeof s};
    r->operations = 0;
    mcptally_poll(r->m);
    mcptally_get_stats(r->m, &s);
    uint64_t settled =
        s.acknowledged + s.lost_buffer + s.lost_queue + s.lost_expired + s.lost_invalid;
    r->busy = s.emitted - settled > OUTSTANDING;
}

static void on_operation(void *arg, const struct mcp_operation *op)
{
    struct report *r = arg;
    struct labels l = {0};
    if (++r->operations >= TURN)
        take_turn(r);
    if (r->busy)
        mcptally_add(r->skipped, 1);
    else
        emit_span(r, op);
    if (!op->timed)
        return;
    add_label(&l, "mcp.method.name", op->method);
    add_label(&l, "network.transport", "pipe");
    add_label(&l, "gen_ai.tool.name", op->tool);
    add_label(&l, "gen_ai.prompt.name", op->prompt);
    add_label(&l, "gen_ai.operation.name", op->tool[0] ? "execute_tool" : "");
    add_label(&l, "mcp.protocol.version", op->protocol_version);
    add_label(&l, "rpc.response.status_code", op->outcome->status_code);
    add_label(&l, "error.type", op->outcome->error_type);
    enum duration which =
        op->side == MCP_SERVER ? DURATION_SERVER_OPERATION : DURATION_CLIENT_OPERATION;
    mcptally_observe(peers_series(r, r->duration[which], &l),
                     (double)(op->stop.mono - op->start.mono) / (double)NS_PER_S);
}

static void on_session(void *arg, const struct mcp_session_ended *e)
{
    struct report *r = arg;
    struct labels l = {0};
    add_label(&l, "network.transport", "pipe");
    add_label(&l, "mcp.protocol.version", e->protocol_version);
    add_label(&l, "error.type", e->error_type);
    enum duration which = e->side == MCP_SERVER ? DURATION_SERVER_SESSION : DURATION_CLIENT_SESSION;
    mcptally_observe(peers_series(r, r->duration[which], &l),
                     (double)e->duration / (double)NS_PER_S);
}

static void on_initialize(void *arg, enum mcp_end end, const char *version)
{
    struct report *r = arg;
    struct labels l = {0};
    add_label(&l, "outcome", mcp_end_word(end));
    add_label(&l, "mcp.protocol.version", version);
    mcptally_add(peers_series(r, r->initialize, &l), 1);
}

static void on_peer(void *arg, enum mcp_side side, const char *name, const char *version)
{
    struct report *r = arg;
    struct labels l = {0};
    add_label(&l, "role", side == MCP_SERVER ? "server" : "client");
    add_label(&l, "name", name);
    add_label(&l, "version", version);
    mcptally_set(peers_series(r, r->peer, &l), 1);
}

static void on_tools(void *arg, uint32_t count, uint64_t bytes)
{
    struct report *r = arg;
    set_gauge(r, GAUGE_TOOLS, count);
    set_gauge(r, GAUGE_TOOLS_SIZE, (double)bytes);
}

const struct mcp_sink *report_sink(void)
{
    static const struct mcp_sink sink = {on_operation, on_session, on_initialize, on_peer,
                                         on_tools};
    return &sink;
}

/* ---- what the observer tells ---- */

void report_session(struct report *r, const struct mcp_session *s, struct when now)
{
    for (unsigned i = 0; i < MCP_COUNTERS; i++) {
        if (s->counts[i] != r->told[i])
            mcptally_add(r->counter[i], s->counts[i] - r->told[i]);
        r->told[i] = s->counts[i];
    }
    set_gauge(r, GAUGE_IN_FLIGHT_SERVER, mcp_session_in_flight(s, MCP_SERVER));
    set_gauge(r, GAUGE_IN_FLIGHT_CLIENT, mcp_session_in_flight(s, MCP_CLIENT));
    set_gauge(r, GAUGE_OLDEST, (double)mcp_session_oldest(s, now) / (double)NS_PER_S);
    set_gauge(r, GAUGE_STREAMS, mcp_session_streams(s));
}

void report_started(struct report *r, bool again)
{
    mcptally_add(again ? r->resumes : r->starts, 1);
    r->cpu_unknown = again; /* what it used before has been reported */
    set_gauge(r, GAUGE_UP, 1);
}

void report_usage(struct report *r, const struct usage *u)
{
    set_gauge(r, GAUGE_MEMORY, (double)u->memory);
    set_gauge(r, GAUGE_FDS, (double)u->open_fds);
    set_gauge(r, GAUGE_PROCESSES, u->processes);
    if (u->cpu > r->told_cpu && !r->cpu_unknown)
        mcptally_addf(r->cpu, u->cpu - r->told_cpu);
    r->told_cpu = u->cpu > r->told_cpu ? u->cpu : r->told_cpu;
    r->cpu_unknown = false;
}

void report_exited(struct report *r, int status)
{
    char text[32];
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    const char *word = signal ? sigabbrev_np(signal) : NULL;
    if (word)
        snprintf(text, sizeof text, "SIG%s", word);
    else
        snprintf(text, sizeof text, "%d", signal ? signal : WEXITSTATUS(status));
    mcptally_add(series(r->exits, signal ? "signal" : "exit_code", text, "", ""), 1);
    set_gauge(r, GAUGE_EXIT_CODE, signal ? 128 + signal : WEXITSTATUS(status));
    set_gauge(r, GAUGE_UP, 0);
    report_usage(r, &(struct usage){0});
}

enum mcp_end report_manner(const struct mcp_session *s, int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool asked = signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
    return status == 0 || asked || s->stream[MCP_UP].closed ? MCP_END_CLOSED : MCP_END_CRASH;
}

void report_trouble(struct report *r, const char *message)
{
    mcptally_log(r->m, MCPTALLY_WARN, message, NULL);
}

int report_fd(struct report *r)
{
    return mcptally_fd(r->m);
}

int report_poll(struct report *r)
{
    return mcptally_poll(r->m);
}

bool report_connected(struct report *r)
{
    mcptally_stats stats = {.size = sizeof stats};
    mcptally_get_stats(r->m, &stats);
    return stats.connected;
}

int report_flush(struct report *r, int timeout_ms)
{
    return mcptally_flush(r->m, timeout_ms);
}

const char *report_rejected(struct report *r)
{
    mcptally_stats stats = {.size = sizeof stats};
    mcptally_get_stats(r->m, &stats);
    return stats.rejected ? mcptally_reject_name(stats.last_reject) : "";
}

void report_free(struct report *r, int timeout_ms)
{
    if (!r)
        return;
    mcptally_close(r->m, timeout_ms);
    free(r);
}
