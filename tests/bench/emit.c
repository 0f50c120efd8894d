/* emit: what one emit costs the host program.
 *
 *     emit SOCKET COUNT flat KIND     as fast as they go; most are lost, and counted
 *     emit SOCKET COUNT paced KIND    in bursts, and each is acknowledged before the next
 *
 * KIND is one of those below; MCPTALLY_TRANSPORT chooses socket or ring. COUNT of them through
 * libmcptally, then COUNT atomic additions. Whether a daemon listens, hangs or is away is up to
 * the caller: none of that may show. `ns` is what a call takes of its thread; `cpu_ns` is the
 * processor time of the whole process for it, with the library's thread, the flushes between
 * the bursts and all. */
#include "bench.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "mcptally.h"

static mcptally *m;
static mcptally_series *counter, *gauge, *histogram;

static void add(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        mcptally_add(counter, 1);
}

static void set(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        mcptally_set(gauge, (double)i);
}

static void observe(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        mcptally_observe(histogram, (double)(i % 100) / 10);
}

static void event(uint64_t count)
{
    static const mcptally_label metadata[] = {{"path", "/srv/notes"}, {NULL, NULL}};
    for (uint64_t i = 0; i < count; i++) {
        const mcptally_measure measures[] = {{"duration_ms", (double)i}, {NULL, 0}};
        mcptally_event(m, "memory.search", measures, metadata);
    }
}

static void log_with(uint64_t count)
{
    static const mcptally_label attributes[] = {
        {"gen_ai.tool.name", "echo"}, {"path", "/srv/notes"}, {NULL, NULL}};
    for (uint64_t i = 0; i < count; i++)
        mcptally_log(m, MCPTALLY_WARN, "the index is being built again", attributes);
}

static void span(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        mcptally_span *s =
            mcptally_span_start(m, "tools/call echo", MCPTALLY_SPAN_SERVER, NULL, NULL);
        mcptally_span_attr(s, "mcp.method.name", "tools/call");
        mcptally_span_attr(s, "gen_ai.tool.name", "echo");
        mcptally_span_attr_i64(s, "attempt", (int64_t)i);
        mcptally_span_end(s);
    }
}

/* A histogram and a span in one line. */
static void track(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        MCPTALLY_TRACK(m, "memory.search");
    }
}

static const struct kind {
    const char *name;
    void (*emit)(uint64_t count);
    unsigned burst; /* as many as a thread's buffer holds for sure */
} kinds[] = {
    {"add", add, 2048},     {"set", set, 2048},  {"observe", observe, 2048}, {"event", event, 128},
    {"log", log_with, 128}, {"span", span, 128}, {"track", track, 128},
};

static const struct kind *find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* ns of all of them. */
static uint64_t flat(const struct kind *kind, uint64_t count)
{
    const uint64_t begin = now_ns();
    kind->emit(count);
    return now_ns() - begin;
}

/* Only the calls are timed, not the wait for the daemon between the bursts. */
static uint64_t paced(const struct kind *kind, uint64_t bursts)
{
    enum { PATIENCE_MS = 10000 };
    uint64_t ns = 0;
    for (uint64_t i = 0; i < bursts; i++) {
        ns += flat(kind, kind->burst);
        if (mcptally_flush(m, PATIENCE_MS) != 0)
            die("mcptally_flush");
    }
    return ns;
}

static uint64_t atomic_ns(uint64_t count)
{
    static _Atomic uint64_t sum;
    const uint64_t begin = now_ns();
    for (uint64_t i = 0; i < count; i++)
        atomic_fetch_add(&sum, 1);
    return now_ns() - begin;
}

static uint64_t process_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static void define(void)
{
    counter = mcptally_with(mcptally_counter(m, "bench.emits", NULL, "Emits."), NULL);
    gauge = mcptally_with(mcptally_gauge(m, "bench.level", NULL, NULL, NULL), NULL);
    histogram = mcptally_with(mcptally_histogram(m, "bench.seconds", "s", NULL, 0, NULL), NULL);
}

int main(int argc, char **argv)
{
    const struct kind *kind = argc == 5 ? find(argv[4]) : NULL;
    if (!kind || (strcmp(argv[3], "flat") != 0 && strcmp(argv[3], "paced") != 0))
        return fprintf(stderr, "usage: emit SOCKET COUNT flat|paced KIND\n"), 2;
    const mcptally_options options = {
        .size = sizeof options, .socket = argv[1], .service = "bench"};
    m = mcptally_open(&options);
    if (!m)
        die("mcptally_open");
    define();
    kind->emit(100); /* the thread's buffer is there, the helper runs */
    const bool all_kept = strcmp(argv[3], "paced") == 0;
    const uint64_t asked = strtoull(argv[2], NULL, 10);
    const uint64_t bursts = asked / kind->burst, count = all_kept ? bursts * kind->burst : asked;
    const uint64_t cpu = process_ns();
    const uint64_t ns = all_kept ? paced(kind, bursts) : flat(kind, count);
    const double each = (double)(count > 0 ? count : 1), used = (double)(process_ns() - cpu);
    mcptally_stats stats = {.size = sizeof stats};
    mcptally_get_stats(m, &stats);
    printf("{\"ns\": %.3f, \"cpu_ns\": %.3f, \"atomic_ns\": %.3f, \"emitted\": %llu, "
           "\"lost\": %llu}\n",
           (double)ns / each, used / each, (double)atomic_ns(asked) / (double)asked,
           (unsigned long long)stats.emitted,
           (unsigned long long)(stats.lost_buffer + stats.lost_queue + stats.lost_expired));
    mcptally_close(m, 0);
    return 0;
}
