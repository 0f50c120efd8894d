/* work: a fixed amount of work on each hot path, for a count of its instructions.
 *
 *     work PATH
 *
 * Only measured() and what it calls is counted (callgrind's --toggle-collect); around it the path
 * is prepared, and afterwards what it did is checked. No path needs a daemon, a clock or luck. */
#include "../unit/memory_store.h"
#include "talk.h"

#include "format/prom.h"
#include "mcp/session.h"
#include "mcptally.h"
#include "pipeline/link.h"
#include "wire/encode.h"

enum {
    SERIES = 1000,
    ITEMS = 4000, /* of a frame */
    FRAMES = 10,
    EMITS = 20000,
    SPANS = 200,
    MESSAGES = 500,
};

/* What a path does, and how many there are of what its count is divided by. */
struct path {
    const char *name;
    void (*prepare)(void), (*work)(void);
    bool (*done)(void);
    unsigned units;
};

static struct memory_store store;
static struct pipeline pipeline;
static struct link conn;
static struct buf in, out;

/* ---- decode and apply ---- */

static int feed(void)
{
    int r = link_feed(&conn, (const uint8_t *)in.p, in.n, &out, memory_store_now);
    while (r == LINK_MORE)
        r = link_go_on(&conn, &out, memory_store_now);
    buf_reset(&in);
    return r;
}

static void greet(void)
{
    static const struct peer me = {.uid = 1000, .pid = 1};
    struct pipeline_options o;
    const struct hello h = {.version = PROTO_VERSION,
                            .capabilities = HELLO_WANTS_ACK,
                            .session = {1},
                            .first = 1,
                            .next = 1,
                            .service = STR("work")};
    memory_store_init(&store);
    pipeline_defaults(&o);
    o.cardinality = SERIES;
    buf_init(&in, 4 << 20);
    buf_init(&out, 4 << 20);
    if (pipeline_init(&pipeline, &store.st, &o, memory_store_now) != 0)
        die("pipeline_init");
    link_init(&conn, &pipeline, &me);
    encode_hello(&in, &h);
    if (feed() != 0)
        die("HELLO");
}

static void define(enum metric_kind kind)
{
    talk_put_metric(&in, STR("work.done"), kind);
    talk_put_series(&in, SERIES);
    if (feed() != 0)
        die("DEFINE");
}

/* Frames of one item a series and more, every series once before what is counted. */
static void put_frames(unsigned frames, uint64_t first, uint64_t (*value)(unsigned))
{
    for (unsigned f = 0; f < frames; f++) {
        const size_t at = encode_batch(&in, FRAME_UPDATE, first + f * ITEMS);
        for (unsigned i = 0; i < ITEMS; i++)
            encode_update(&in, 1 + i * 7 % SERIES, value(i));
        encode_batch_end(&in, at, ITEMS);
    }
}

static uint64_t one(unsigned i)
{
    (void)i;
    return 1;
}

/* Over all buckets. */
static uint64_t seconds(unsigned i)
{
    const double v = (double)(i % 97) * (i % 13) / 10;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void prepare_updates(enum metric_kind kind, uint64_t (*value)(unsigned))
{
    greet();
    define(kind);
    put_frames(1, 1, value);
    if (feed() != 0)
        die("UPDATE");
    put_frames(FRAMES, 1 + ITEMS, value);
}

static void prepare_counters(void)
{
    prepare_updates(METRIC_COUNTER, one);
}

static void prepare_histograms(void)
{
    prepare_updates(METRIC_HISTOGRAM, seconds);
}

static void work_updates(void)
{
    if (feed() != 0)
        die("UPDATE");
}

static void render_as(enum prom_format format)
{
    static const struct prom_share slice = {.lines = 256, .bytes = 64 << 10};
    struct prom_page page;
    buf_reset(&out);
    prom_begin(&page, &store.st, format, memory_store_now.mono);
    while (prom_step(&page, &out, &slice))
        continue;
    if (out.failed)
        die("page");
}

static void render(void)
{
    render_as(PROM_TEXT);
}

/* With created times, and canonical le labels. */
static void render_openmetrics(void)
{
    render_as(PROM_OPENMETRICS);
}

static bool page_has(const char *line)
{
    render();
    return memmem(out.p, out.n, line, strlen(line)) != NULL;
}

/* Every series had the first frame and the ten that were counted. */
static bool counters_are_right(void)
{
    return page_has("work_done_total{service_name=\"work\",shard=\"7\"} 44\n");
}

static bool histograms_are_right(void)
{
    return page_has("work_done_count{service_name=\"work\",shard=\"7\"} 44\n");
}

static void prepare_render(void)
{
    prepare_counters();
    work_updates();
    render();
}

static void prepare_render_histograms(void)
{
    prepare_histograms();
    work_updates();
    render_openmetrics();
}

static bool page_is_right(void)
{
    return out.n > (size_t)SERIES * 40;
}

/* ---- emit ---- */

static mcptally *session;
static mcptally_series *counter;

/* Nobody listens and no thread runs: what is emitted stays in the buffer, which holds it all. */
static void prepare_emit(void)
{
    const mcptally_options o = {.size = sizeof o,
                                .socket = "/nonexistent/events.sock",
                                .service = "work",
                                .flags = MCPTALLY_NO_THREAD,
                                .buffer_bytes = 1 << 20};
    session = mcptally_open(&o);
    counter = mcptally_with(mcptally_counter(session, "work.emits", NULL, NULL), NULL);
    mcptally_add(counter, 1);
}

static void work_emit(void)
{
    for (unsigned i = 0; i < EMITS; i++)
        mcptally_add(counter, 1);
}

static void work_spans(void)
{
    for (unsigned i = 0; i < SPANS; i++) {
        mcptally_span *s =
            mcptally_span_start(session, "tools/call echo", MCPTALLY_SPAN_SERVER, NULL, NULL);
        mcptally_span_attr(s, "mcp.method.name", "tools/call");
        mcptally_span_attr(s, "gen_ai.tool.name", "echo");
        mcptally_span_attr_i64(s, "attempt", i);
        mcptally_span_end(s);
    }
}

static bool nothing_lost(unsigned emitted)
{
    mcptally_stats stats = {.size = sizeof stats};
    mcptally_get_stats(session, &stats);
    return stats.emitted == emitted && stats.lost_buffer + stats.lost_invalid == 0;
}

static bool emits_are_right(void)
{
    return nothing_lost(EMITS + 1);
}

static bool spans_are_right(void)
{
    return nothing_lost(SPANS + 1);
}

/* ---- observe ---- */

static struct mcp_session observed;
static unsigned operations;

static void on_operation(void *arg, const struct mcp_operation *op)
{
    (void)arg;
    operations += strcmp(op->tool, "echo") == 0;
}
static void on_session(void *arg, const struct mcp_session_ended *ended)
{
    (void)arg, (void)ended;
}
static void on_initialize(void *arg, enum mcp_end end, const char *version)
{
    (void)arg, (void)end, (void)version;
}
static void on_peer(void *arg, enum mcp_side side, const char *name, const char *version)
{
    (void)arg, (void)side, (void)name, (void)version;
}
static void on_tools(void *arg, uint32_t count, uint64_t bytes)
{
    (void)arg, (void)count, (void)bytes;
}

static void prepare_observe(void)
{
    static const struct mcp_sink sink = {on_operation, on_session, on_initialize, on_peer,
                                         on_tools};
    struct mcp_limits limits;
    mcp_limits_default(&limits);
    if (mcp_session_init(&observed, &limits, &sink, NULL) != 0)
        die("mcp_session_init");
}

static void observe(enum mcp_direction d, const char *text, int n)
{
    mcp_session_feed(&observed, d, text, (size_t)n, memory_store_now);
}

/* A question of 150 bytes and an answer of 2 KiB: most of what passes is results. */
static void work_observe(void)
{
    static char text[4096], long_text[2001];
    memset(long_text, 'x', 2000);
    for (unsigned i = 0; i < MESSAGES; i++) {
        observe(MCP_UP, text,
                snprintf(text, sizeof text,
                         "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"tools/call\",\"params\":{"
                         "\"name\":\"echo\",\"arguments\":{\"message\":\"a short one\"}}}\n",
                         i));
        observe(MCP_DOWN, text,
                snprintf(text, sizeof text,
                         "{\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"%s\"}]},"
                         "\"jsonrpc\":\"2.0\",\"id\":%u}\n",
                         long_text, i));
    }
}

static bool all_observed(void)
{
    return operations == MESSAGES;
}

/* ---- the whole ---- */

static const struct path paths[] = {
    {"counters", prepare_counters, work_updates, counters_are_right, FRAMES *ITEMS},
    {"histograms", prepare_histograms, work_updates, histograms_are_right, FRAMES *ITEMS},
    {"render", prepare_render, render, page_is_right, SERIES},
    {"render14", prepare_render_histograms, render_openmetrics, page_is_right, SERIES},
    {"emit", prepare_emit, work_emit, emits_are_right, EMITS},
    {"span", prepare_emit, work_spans, spans_are_right, SPANS},
    {"observe", prepare_observe, work_observe, all_observed, MESSAGES},
};

void measured(void (*work)(void));

__attribute__((noinline)) void measured(void (*work)(void))
{
    work();
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (argc == 1)
            printf("%s %u\n", paths[i].name, paths[i].units);
        else if (strcmp(argv[1], paths[i].name) == 0) {
            paths[i].prepare();
            measured(paths[i].work);
            return paths[i].done() ? 0 : (fprintf(stderr, "work: not what was to come out\n"), 1);
        }
    }
    return argc == 1 ? 0 : 2;
}
