/* bench: bounded load through libmcptally, and what became of it. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/view.h"
#include "client/mcptally.h"

/* X(SYMBOL, "word", bytes that an item takes on its way, about) */
#define KIND_TABLE(X)                                                                              \
    X(COUNTER, "counter", 12)                                                                      \
    X(GAUGE, "gauge", 12)                                                                          \
    X(HISTOGRAM, "histogram", 12)                                                                  \
    X(EVENT, "event", 128)                                                                         \
    X(SPAN, "span", 256)                                                                           \
    X(MIXED, "mixed", 32)

enum kind {
#define X(sym, word, bytes) KIND_##sym,
    KIND_TABLE(X)
#undef X
        KINDS
};

static const struct {
    const char *word;
    unsigned bytes;
} kinds[] = {
#define X(sym, word, bytes) {word, bytes},
    KIND_TABLE(X)
#undef X
};

struct bench_options {
    const char *runtime_dir, *socket, *kind;
    uint64_t producers, seconds, items, series; /* seconds in ns; items of each producer */
    bool json;
};

#define AT(member) offsetof(struct bench_options, member)

enum { PRODUCERS_MAX = 64, SERIES_MAX = 1000 };

#define LONGEST (3600 * NS_PER_S)

static const struct option_row rows[] = {
    {"producers", 'p', OPTION_COUNT, AT(producers), "N", "sessions, each with its thread (1)", 1,
     PRODUCERS_MAX},
    {"seconds", 's', OPTION_DURATION, AT(seconds), "TIME", "how long to emit (5s)", NS_PER_MS,
     LONGEST},
    {"items", 'n', OPTION_COUNT, AT(items), "N",
     "end when each producer has emitted so many, after an hour at the latest", 1,
     UINT64_C(1000000000000)},
    {"kind", 'k', OPTION_TEXT, AT(kind), "KIND",
     "counter, gauge, histogram, event, span or mixed (mixed)", 0, 0},
    {"series", 0, OPTION_COUNT, AT(series), "N", "label sets of each metric (50)", 1, SERIES_MAX},
    {"json", 0, OPTION_FLAG, AT(json), NULL, "print one JSON object", 0, 0},
    {"socket", 0, OPTION_TEXT, AT(socket), "PATH", "the daemon's events.sock", 0, 0},
    {"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), "DIR",
     "where the daemon's sockets and store are", 0, 0},
};

static const struct options options = {
    .command = "bench",
    .usage = "[--producers N] [--seconds TIME | --items N] [--kind KIND] [--json]",
    .about = "Emits items as fast as the daemon acknowledges them, and prints how many a second, "
             "what an emit call cost and how much CPU time both sides used. The metrics it makes "
             "begin with mcptally.bench and expire when idle.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

/* ---- one producer ---- */

enum {
    QUEUE_BYTES = 8 << 20,
    BATCH = 2048, /* items between two looks at what waits; the buffer holds them */
    BUFFER_BYTES = 1 << 20,
    WAIT_NS = 100000, /* while too much is unacknowledged */
    FLUSH_MS = 10000,
};

struct producer {
    pthread_t thread;
    mcptally *m;
    enum kind kind;
    uint64_t window;            /* items that may be unacknowledged */
    uint64_t items;             /* to emit, 0: until the time is over */
    uint64_t until;             /* mono ns */
    uint64_t emitted, emitting; /* calls, and ns spent in them */
    unsigned nseries;
    mcptally_series *counter[SERIES_MAX], *gauge[SERIES_MAX], *histogram[SERIES_MAX];
    mcptally_stats stats;
    bool flushed;
};

static void make_series(struct producer *p)
{
    mcptally_metric *c = mcptally_counter(p->m, "mcptally.bench.items", NULL, "Load of a bench.");
    mcptally_metric *g =
        mcptally_gauge(p->m, "mcptally.bench.level", NULL, NULL, "Load of a bench.");
    mcptally_metric *h =
        mcptally_histogram(p->m, "mcptally.bench.duration", "s", NULL, 0, "Load of a bench.");
    for (unsigned i = 0; i < p->nseries; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        const mcptally_label labels[] = {{"series", value}, {NULL, NULL}};
        p->counter[i] = mcptally_with(c, labels);
        p->gauge[i] = mcptally_with(g, labels);
        p->histogram[i] = mcptally_with(h, labels);
    }
}

static void emit_event(struct producer *p, uint64_t i)
{
    const mcptally_measure measures[] = {{"index", (double)i}, {NULL, 0}};
    static const mcptally_label metadata[] = {{"source", "bench"}, {NULL, NULL}};
    mcptally_event(p->m, "mcptally.bench.event", measures, metadata);
}

static void emit_span(struct producer *p)
{
    mcptally_span *s =
        mcptally_span_start(p->m, "mcptally.bench.span", MCPTALLY_SPAN_INTERNAL, NULL, NULL);
    mcptally_span_attr(s, "source", "bench");
    mcptally_span_end(s);
}

/* Of 32 mixed items one is a span, one an event, six are observations, six gauges. */
static enum kind mixed(uint64_t i)
{
    const unsigned n = i % 32;
    return n == 0   ? KIND_SPAN
           : n == 1 ? KIND_EVENT
           : n < 8  ? KIND_HISTOGRAM
           : n < 14 ? KIND_GAUGE
                    : KIND_COUNTER;
}

static void emit_one(struct producer *p, uint64_t i)
{
    const unsigned s = (unsigned)(i % p->nseries);
    switch (p->kind == KIND_MIXED ? mixed(i) : p->kind) {
    case KIND_COUNTER:
        mcptally_add(p->counter[s], 1);
        break;
    case KIND_GAUGE:
        mcptally_set(p->gauge[s], (double)i);
        break;
    case KIND_HISTOGRAM:
        mcptally_observe(p->histogram[s], (double)(i % 1000) / 1000);
        break;
    case KIND_EVENT:
        emit_event(p, i);
        break;
    default:
        emit_span(p);
    }
}

static uint64_t waiting(struct producer *p)
{
    p->stats.size = sizeof p->stats;
    mcptally_get_stats(p->m, &p->stats);
    const uint64_t gone = p->stats.acknowledged + p->stats.lost_buffer + p->stats.lost_queue +
                          p->stats.lost_expired + p->stats.lost_invalid;
    return p->emitted > gone ? p->emitted - gone : 0;
}

static void *produce(void *arg)
{
    static const struct timespec pause = {.tv_nsec = WAIT_NS};
    struct producer *p = arg;
    uint64_t now = clock_now().mono;
    while (now < p->until && (p->items == 0 || p->emitted < p->items)) {
        if (waiting(p) + BATCH > p->window) {
            nanosleep(&pause, NULL);
            now = clock_now().mono;
            continue;
        }
        const uint64_t left = p->items ? p->items - p->emitted : BATCH;
        const uint64_t from = clock_now().mono;
        for (unsigned i = 0; i < BATCH && i < left; i++)
            emit_one(p, p->emitted++);
        now = clock_now().mono;
        p->emitting += now - from;
    }
    p->flushed = mcptally_flush(p->m, FLUSH_MS) == 0 || errno != ETIMEDOUT;
    waiting(p); /* the last look at the stats */
    return NULL;
}

/* ---- the whole ---- */

struct result {
    double seconds;         /* from the first item to the last acknowledgement */
    double cpu, daemon_cpu; /* s; the daemon's is negative when unknown */
    uint64_t emitted, acknowledged, rejected, lost, emitting;
    uint32_t reason;
    bool complete;
};

static double cpu_of_self(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* CPU time of a process in s, -1 when it cannot be known. */
static double cpu_of(uint64_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (pid == 0 || clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return -1;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The daemon that has the store, 0 when it cannot be known. */
static uint64_t daemon_pid(const struct place *place)
{
    struct view v;
    if (view_open(&v, place->store) < 0)
        return 0;
    const uint64_t pid = v.live ? v.store.head->pid : 0;
    view_close(&v);
    return pid;
}

static struct producer *start_one(const struct bench_options *o, enum kind kind, const char *path)
{
    const mcptally_options mo = {.size = sizeof mo,
                                 .socket = path,
                                 .service = "bench",
                                 .buffer_bytes = BUFFER_BYTES,
                                 .queue_bytes = QUEUE_BYTES};
    struct producer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->m = mcptally_open(&mo);
    p->kind = kind;
    p->window = QUEUE_BYTES / 4 / kinds[kind].bytes;
    p->items = o->items;
    p->nseries = (unsigned)o->series;
    p->until = clock_now().mono + o->seconds;
    make_series(p);
    if (p->m && pthread_create(&p->thread, NULL, produce, p) == 0)
        return p;
    mcptally_close(p->m, 0);
    free(p);
    return NULL;
}

static void add_result(struct result *r, const struct producer *p)
{
    const mcptally_stats *s = &p->stats;
    r->emitted += p->emitted;
    r->emitting += p->emitting;
    r->acknowledged += s->acknowledged;
    r->rejected += s->rejected;
    r->lost += s->lost_buffer + s->lost_queue + s->lost_expired + s->lost_invalid;
    r->reason = s->rejected ? s->last_reject : r->reason;
    r->complete = r->complete && p->flushed;
}

/* Runs the producers to their end. 0 or -ERR_NOMEM. */
static int run(const struct bench_options *o, enum kind kind, const char *path, uint64_t pid,
               struct result *r)
{
    struct producer *producers[PRODUCERS_MAX];
    const uint64_t from = clock_now().mono;
    const double cpu = cpu_of_self(), daemon_cpu = cpu_of(pid);
    unsigned n = 0;
    while (n < o->producers && (producers[n] = start_one(o, kind, path)))
        n++;
    for (unsigned i = 0; i < n; i++)
        pthread_join(producers[i]->thread, NULL);
    *r = (struct result){.complete = true};
    r->seconds = (double)(clock_now().mono - from) / 1e9;
    r->cpu = cpu_of_self() - cpu;
    const double after = cpu_of(pid);
    r->daemon_cpu = daemon_cpu >= 0 && after >= 0 ? after - daemon_cpu : -1;
    for (unsigned i = 0; i < n; i++) {
        add_result(r, producers[i]);
        mcptally_close(producers[i]->m, 1000);
        free(producers[i]);
    }
    return n == o->producers ? 0 : -ERR_NOMEM;
}

/* ---- report ---- */

static double per(double a, uint64_t n)
{
    return n ? a / (double)n : 0;
}

static void print_json(const struct bench_options *o, const struct result *r)
{
    json_t *out = json_pack(
        "{s:s, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "kind", o->kind, "producers",
        (json_int_t)o->producers, "series", (json_int_t)o->series, "seconds", r->seconds, "emitted",
        (json_int_t)r->emitted, "acknowledged", (json_int_t)r->acknowledged, "rejected",
        (json_int_t)r->rejected, "lost", (json_int_t)r->lost, "items_per_second",
        (double)r->acknowledged / r->seconds, "nanoseconds_per_call",
        per((double)r->emitting, r->emitted), "cpu_seconds", r->cpu);
    if (r->daemon_cpu >= 0)
        json_object_set_new(out, "daemon_cpu_seconds", json_real(r->daemon_cpu));
    json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(out);
}

static void print_text(const struct bench_options *o, const struct result *r)
{
    printf("%s, producers %llu, series %llu\n", o->kind, (unsigned long long)o->producers,
           (unsigned long long)o->series);
    printf("acknowledged  %llu in %.2f s, %.0f a second\n", (unsigned long long)r->acknowledged,
           r->seconds, (double)r->acknowledged / r->seconds);
    printf("rejected      %llu\n", (unsigned long long)r->rejected);
    printf("lost          %llu\n", (unsigned long long)r->lost);
    printf("one call      %.1f ns\n", per((double)r->emitting, r->emitted));
    printf("CPU, here     %.2f s, %.3f a million\n", r->cpu, per(r->cpu * 1e6, r->acknowledged));
    if (r->daemon_cpu >= 0)
        printf("CPU, daemon   %.2f s, %.3f a million\n", r->daemon_cpu,
               per(r->daemon_cpu * 1e6, r->acknowledged));
}

static int report(const struct bench_options *o, const struct result *r)
{
    if (o->json)
        print_json(o, r);
    else
        print_text(o, r);
    if (r->rejected > 0)
        cli_error("bench: items were rejected: %s", mcptally_reject_name(r->reason));
    if (!r->complete)
        cli_error("bench: the daemon did not acknowledge everything within %d s", FLUSH_MS / 1000);
    if (!r->complete)
        return CLI_TIMEOUT;
    return r->rejected || r->lost || r->acknowledged != r->emitted ? CLI_FAILURE : CLI_OK;
}

static int kind_of(const char *word)
{
    for (int k = 0; k < KINDS; k++)
        if (strcmp(word, kinds[k].word) == 0)
            return k;
    return -ERR_NOTFOUND;
}

int cmd_bench(int argc, char **argv)
{
    struct bench_options o = {.producers = 1, .series = 50, .kind = "mixed"};
    struct place place;
    struct result result;
    const char *path = NULL;
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    const int kind = kind_of(o.kind);
    if (o.seconds == 0)
        o.seconds = o.items ? LONGEST : 5 * NS_PER_S;
    if (n > 0 || kind < 0)
        return options_wrong(&options, "what is '%s'?", n > 0 ? argv[1] : o.kind);
    const int status = place_producer(&place, o.runtime_dir, o.socket, &path);
    if (status != CLI_OK)
        return status;
    if (run(&o, (enum kind)kind, path, daemon_pid(&place), &result) < 0) {
        cli_error("bench: %s", err_help(ERR_NOMEM));
        return CLI_FAILURE;
    }
    return report(&o, &result);
}
