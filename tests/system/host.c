/* host: a program that uses libmcptally for everything that it is for; test_library_faults.py
 * makes its calls fail.
 *
 *     host SOCKET SERVICE
 *
 * A letter on stdin is a life of a session: `s` over the socket, `r` by rings, `p` driven by
 * mcptally_poll(); in capitals it says `half` in the middle of it and waits for one more letter.
 * `q` is one by rings that says `half` likewise, and is closed without patience.
 * From open to close it defines, emits every kind in two threads and in a forked child, flushes,
 * and prints what it gave and what became of it, as JSON. Whatever is asked for may be had or
 * not; what was given is counted here by itself.
 *
 * What it does for itself it asks the kernel for directly: none of that is made to fail. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mcptally.h"

enum { PATIENCE_MS = 20000, TIMES = 40 };

struct outcome {
    uint64_t given, emitted, acknowledged, rejected, lost;
    int opened, flushed; /* flushed: 0 or errno */
};

/* ---- every kind ---- */

static uint64_t spans(mcptally *m)
{
    char context[56];
    mcptally_span *outer = mcptally_span_start(m, "outer", MCPTALLY_SPAN_SERVER, NULL, "a=1,b=2");
    mcptally_span_set_baggage(outer, "user=alice");
    mcptally_span *inner = mcptally_span_start(m, "inner", MCPTALLY_SPAN_CLIENT, NULL, NULL);
    mcptally_span_context(outer, context);
    mcptally_span *other = mcptally_span_start(m, "other", MCPTALLY_SPAN_SERVER, context, NULL);
    mcptally_span_attr(inner, "tool", mcptally_span_tracestate(inner));
    mcptally_span_attr(inner, "tool", mcptally_span_baggage(inner));
    mcptally_span_attr_i64(inner, "n", 7);
    mcptally_span_attr_f64(inner, "f", 0.5);
    mcptally_span_event(inner, "retry");
    mcptally_span_error(inner, "timeout", "no answer");
    mcptally_span_times(inner, 1000, 2000);
    const int given = (outer != NULL) + (inner != NULL) + (other != NULL);
    mcptally_span_end(outer); /* not in order */
    mcptally_span_end(other);
    mcptally_span_end(inner);
    return (uint64_t)given;
}

static uint64_t items(mcptally *m)
{
    static const mcptally_measure measures[] = {{"n", 1.5}, {NULL, 0}};
    static const mcptally_label labels[] = {{"key", "value"}, {NULL, NULL}};
    mcptally_correlation(m, "req-1");
    mcptally_event(m, "host.event", measures, labels);
    mcptally_log(m, MCPTALLY_INFO, "a line", labels);
    mcptally_log(m, 99, "of no such severity", NULL);
    mcptally_health(m, "part", MCPTALLY_HEALTHY, NULL);
    mcptally_correlation(m, NULL);
    mcptally_track t = mcptally_track_start(m, "host.work", labels);
    const uint64_t tracked = 1 + (t.span != NULL);
    mcptally_track_end(&t, "timeout");
    return 4 + tracked;
}

static uint64_t updates(mcptally *m, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number % 50); /* a new series now and then */
    const mcptally_label labels[] = {{"n", text}, {NULL, NULL}};
    mcptally_add(mcptally_with(mcptally_counter(m, "host.count", "1", "Things."), labels), 1);
    mcptally_addf(mcptally_with(mcptally_counterf(m, "host.cost", NULL, NULL), NULL), 0.5);
    mcptally_set(mcptally_with(mcptally_gauge(m, "host.level", NULL, "sum", NULL), NULL), 3);
    mcptally_observe(mcptally_with(mcptally_histogram(m, "host.seconds", "s", NULL, 0, NULL), NULL),
                     0.1);
    mcptally_observe(mcptally_with(mcptally_summary(m, "host.size", "By", NULL), NULL), 100);
    mcptally_set(mcptally_with(mcptally_counter(m, "host.count", "1", "Things."), NULL), 1);
    return 6; /* the last one is no gauge */
}

/* What was given; nothing of a session that is none. */
static uint64_t emit(mcptally *m)
{
    static uint64_t number;
    uint64_t given = 0;
    for (int i = 0; m && i < TIMES; i++)
        given += updates(m, number++) + items(m) + spans(m);
    return given;
}

/* ---- a life ---- */

static void settle(mcptally *m, struct outcome *o)
{
    mcptally_stats s = {.size = sizeof s};
    o->opened = m != NULL;
    o->flushed = mcptally_flush(m, PATIENCE_MS) == 0 ? 0 : errno;
    mcptally_get_stats(m, &s);
    o->emitted = s.emitted;
    o->acknowledged = s.acknowledged;
    o->rejected = s.rejected;
    o->lost = s.lost_buffer + s.lost_queue + s.lost_expired + s.lost_invalid;
}

struct given {
    mcptally *m;
    uint64_t items;
};

static void *in_a_thread(void *arg)
{
    struct given *g = arg;
    g->items = emit(g->m);
    return NULL;
}

static uint64_t thread(mcptally *m)
{
    struct given g = {m, 0};
    pthread_t t;
    if (pthread_create(&t, NULL, in_a_thread, &g) != 0)
        return 0;
    pthread_join(t, NULL);
    return g.items;
}

/* A child's session is its own. False when there is none. */
static bool child(mcptally *m, struct outcome *o)
{
    int ends[2], status;
    if (syscall(SYS_pipe2, ends, 0) != 0)
        return false;
    const pid_t pid = fork();
    if (pid == 0) {
        struct outcome mine = {.given = emit(m)};
        settle(m, &mine);
        mcptally_close(m, PATIENCE_MS);
        _exit(syscall(SYS_write, ends[1], &mine, sizeof mine) == sizeof mine ? 0 : 1);
    }
    syscall(SYS_close, ends[1]);
    const bool said = pid > 0 && syscall(SYS_read, ends[0], o, sizeof *o) == sizeof *o;
    syscall(SYS_close, ends[0]);
    if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0 || !said))
        _exit(3);
    return said;
}

static void say(const char *text)
{
    if (syscall(SYS_write, 1, text, strlen(text)) != (long)strlen(text))
        _exit(2);
}

static void wait_halfway(void)
{
    char go;
    say("half\n");
    if (syscall(SYS_read, 0, &go, 1) != 1)
        _exit(2);
}

static void drive(mcptally *m)
{
    struct pollfd at = {mcptally_fd(m), POLLIN, 0};
    for (int i = 0; i < 3; i++) {
        poll(&at, 1, 1);
        mcptally_poll(m);
    }
}

static const char *as_json(const struct outcome *o, char *to, size_t size)
{
    snprintf(to, size,
             "{\"given\": %" PRIu64 ", \"emitted\": %" PRIu64 ", \"acknowledged\": %" PRIu64
             ", \"rejected\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"opened\": %d, \"flushed\": %d}",
             o->given, o->emitted, o->acknowledged, o->rejected, o->lost, o->opened, o->flushed);
    return to;
}

static void live(char **argv, char how, bool pause)
{
    char mine[256], theirs[256] = "null", line[600];
    struct outcome o = {0}, of_child;
    const mcptally_options options = {
        .size = sizeof options,
        .socket = argv[1],
        .service = argv[2],
        .flags = how == 'r'   ? MCPTALLY_RING
                 : how == 'p' ? MCPTALLY_NO_THREAD
                              : 0,
        .flush_ms = 5,
    };
    mcptally *m = mcptally_open(&options);
    o.given = emit(m);
    if (how == 'p')
        drive(m);
    o.given += thread(m);
    if (pause)
        wait_halfway();
    if (child(m, &of_child))
        as_json(&of_child, theirs, sizeof theirs);
    o.given += emit(m);
    settle(m, &o);
    mcptally_close(m, PATIENCE_MS);
    snprintf(line, sizeof line, "{\"mine\": %s, \"child\": %s}\n", as_json(&o, mine, sizeof mine),
             theirs);
    say(line);
}

static void *in_the_midst(void *session)
{
    mcptally *m = session;
    emit(m);
    mcptally_flush(m, PATIENCE_MS);
    wait_halfway();
    emit(m);
    return NULL;
}

/* A thread that has ended leaves what nobody has taken, and so does this one. */
static void quit(char **argv)
{
    const mcptally_options options = {
        .size = sizeof options, .socket = argv[1], .service = argv[2], .flags = MCPTALLY_RING};
    mcptally *m = mcptally_open(&options);
    pthread_t t;
    if (pthread_create(&t, NULL, in_the_midst, m) == 0)
        pthread_join(t, NULL);
    mcptally_close(m, 0);
    say("quit\n");
}

int main(int argc, char **argv)
{
    char how;
    if (argc != 3)
        return 2;
    while (syscall(SYS_read, 0, &how, 1) == 1)
        if (how == 'q')
            quit(argv);
        else
            live(argv, (char)(how | 0x20), !(how & 0x20));
    return 0;
}
