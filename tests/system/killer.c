/* killer: a producer for test_kill.py that knows exactly what it has emitted.
 *
 *     killer SOCKET SERVICE SEED
 *
 * It emits as fast as the daemon acknowledges: counters, histograms, summaries,
 * gauges, events, logs, health reports and spans, storms of series that are new
 * and then left to expire, and now and then a new session. A line on stdin ends that; it
 * then makes one last storm, flushes, and prints its totals as JSON. Whatever
 * was lost or rejected is an error: exit status 1 and a line on stderr.
 *
 * All values are multiples of 1/8 and their sums stay below 2^50, so that sums
 * are exact in any order. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mcptally.h"

enum {
    SHARDS = 8,            /* series of each kind that stay in use */
    BURST = 256,           /* items between two looks at the window */
    WINDOW = 8192,         /* items that may be unacknowledged: nothing is ever dropped here */
    STORM = 12,            /* new series at once */
    STORM_EVERY = 4,       /* bursts */
    STORMS_A_SESSION = 60, /* then a new session begins */
    LAST_STORM = 50,
    PATIENCE_MS = 60000, /* for a flush, over however many restarts */
};

struct totals {
    uint64_t ops[SHARDS];
    uint64_t seconds_count[SHARDS], seconds_eighths[SHARDS];
    uint64_t size_count[SHARDS], size_eighths[SHARDS];
    uint64_t level_eighths[SHARDS]; /* of the gauges: the newest value */
    uint64_t events, event_eighths, logs, reports, spans;
    uint64_t storm_series, last_ops;
    uint64_t sessions, items;
};

struct producer {
    const char *socket, *service;
    uint64_t random;
    mcptally *m;
    mcptally_series *ops[SHARDS], *seconds[SHARDS], *sizes[SHARDS], *levels[SHARDS];
    unsigned storms;     /* of this session */
    uint64_t in_session; /* items */
    struct totals t;
};

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "killer: %s: %s\n", why, strerror(errno));
    exit(1);
}

/* xorshift64*: the same seed gives the same items. */
static uint64_t draw(struct producer *p, uint64_t below)
{
    p->random ^= p->random >> 12;
    p->random ^= p->random << 25;
    p->random ^= p->random >> 27;
    return (p->random * UINT64_C(2685821657736338717) >> 33) % below;
}

static mcptally_series *labelled(mcptally_metric *metric, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return mcptally_with(metric, (const mcptally_label[]){{key, text}, {NULL, NULL}});
}

static void begin_session(struct producer *p)
{
    static const double bounds[] = {1, 2, 5, 10, 20, 50};
    const mcptally_options options = {
        .size = sizeof options,
        .socket = p->socket,
        .service = p->service,
        .buffer_bytes = 1 << 20,
        .queue_bytes = 16 << 20,
        .flush_ms = 5,
    };
    p->m = mcptally_open(&options);
    if (!p->m)
        die("open");
    mcptally_metric *ops = mcptally_counter(p->m, "kill.ops", NULL, "operations");
    mcptally_metric *seconds = mcptally_histogram(p->m, "kill.duration", "s", bounds, 6, "times");
    mcptally_metric *sizes = mcptally_summary(p->m, "kill.size", "By", "sizes");
    mcptally_metric *levels = mcptally_gauge(p->m, "kill.level", NULL, "last", "levels");
    for (uint64_t i = 0; i < SHARDS; i++) {
        p->levels[i] = labelled(levels, "shard", i);
        p->ops[i] = labelled(ops, "shard", i);
        p->seconds[i] = labelled(seconds, "shard", i);
        p->sizes[i] = labelled(sizes, "shard", i);
    }
    p->storms = 0;
    p->in_session = 0;
    p->t.sessions++;
}

static void emitted(struct producer *p)
{
    p->t.items++;
    p->in_session++;
}

static _Noreturn void die_of_loss(const struct producer *p, const mcptally_stats *s)
{
    fprintf(stderr,
            "killer: %s: %" PRIu64 " items; emitted %" PRIu64 ", acknowledged %" PRIu64
            ", rejected %" PRIu64 " (%s), lost %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
            p->service, p->in_session, s->emitted, s->acknowledged, s->rejected,
            mcptally_reject_name(s->last_reject), s->lost_buffer, s->lost_queue, s->lost_expired,
            s->lost_invalid);
    exit(1);
}

static void end_session(struct producer *p)
{
    const int flushed = mcptally_flush(p->m, PATIENCE_MS);
    mcptally_stats s = {.size = sizeof s};
    mcptally_get_stats(p->m, &s);
    if (flushed != 0 || s.emitted != p->in_session || s.acknowledged != s.emitted || s.rejected ||
        s.lost_buffer || s.lost_queue || s.lost_expired || s.lost_invalid)
        die_of_loss(p, &s);
    mcptally_close(p->m, PATIENCE_MS);
    p->m = NULL;
}

static void emit_value(struct producer *p, uint64_t kind, uint64_t shard, uint64_t n)
{
    if (kind < 36) {
        mcptally_add(p->ops[shard], n);
        p->t.ops[shard] += n;
    } else if (kind < 46) {
        mcptally_observe(p->seconds[shard], (double)n / 8);
        p->t.seconds_count[shard]++;
        p->t.seconds_eighths[shard] += n;
    } else if (kind < 52) {
        mcptally_observe(p->sizes[shard], (double)n / 8);
        p->t.size_count[shard]++;
        p->t.size_eighths[shard] += n;
    } else {
        mcptally_set(p->levels[shard], (double)n / 8);
        p->t.level_eighths[shard] = n;
    }
}

static void emit_record(struct producer *p, uint64_t kind, uint64_t n)
{
    if (kind < 60) {
        mcptally_event(p->m, "kill.done",
                       (const mcptally_measure[]){{"amount", (double)n / 8}, {NULL, 0}}, NULL);
        p->t.events++;
        p->t.event_eighths += n;
    } else if (kind < 61) {
        mcptally_log(p->m, MCPTALLY_WARN, "the killer was here", NULL);
        p->t.logs++;
    } else if (kind < 62) {
        mcptally_health(p->m, "killer", n % 2 ? MCPTALLY_HEALTHY : MCPTALLY_DEGRADED, "as drawn");
        p->t.reports++;
    } else {
        mcptally_span_end(mcptally_span_start(p->m, "kill", MCPTALLY_SPAN_INTERNAL, NULL, NULL));
        p->t.spans++;
    }
}

static void emit_one(struct producer *p)
{
    uint64_t kind = draw(p, 64), shard = draw(p, SHARDS), n = 1 + draw(p, 500);
    if (kind < 54)
        emit_value(p, kind, shard, n);
    else
        emit_record(p, kind, n);
    emitted(p);
}

/* Series that are new, updated once, and never again: they expire. */
static void storm(struct producer *p)
{
    mcptally_metric *metric = mcptally_counter(p->m, "kill.storm", NULL, "series that expire");
    for (unsigned i = 0; i < STORM; i++) {
        mcptally_add(labelled(metric, "storm", p->t.storm_series++), 1);
        emitted(p);
    }
    p->storms++;
}

/* Waits until the daemon, over its restarts, has acknowledged enough. */
static void keep_window(struct producer *p)
{
    mcptally_stats s = {.size = sizeof s};
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        mcptally_get_stats(p->m, &s);
        if (s.emitted - s.acknowledged < WINDOW - BURST)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    errno = ETIMEDOUT;
    die("no acknowledgement");
}

static int told_to_stop(void)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    return poll(&in, 1, 0) > 0;
}

static void run(struct producer *p)
{
    for (unsigned burst = 0; !told_to_stop(); burst++) {
        for (unsigned i = 0; i < BURST; i++)
            emit_one(p);
        if (burst % STORM_EVERY == 0)
            storm(p);
        keep_window(p);
        if (p->storms == STORMS_A_SESSION) {
            end_session(p);
            begin_session(p);
        }
    }
}

static void last_storm(struct producer *p)
{
    mcptally_metric *metric = mcptally_counter(p->m, "kill.last", NULL, "series that stay");
    for (unsigned i = 0; i < LAST_STORM; i++) {
        uint64_t n = 1 + draw(p, 1000);
        mcptally_add(labelled(metric, "storm", i), n);
        p->t.last_ops += n;
        emitted(p);
    }
}

static void print_list(const char *name, const uint64_t *v)
{
    printf("\"%s\": [", name);
    for (unsigned i = 0; i < SHARDS; i++)
        printf("%s%" PRIu64, i ? ", " : "", v[i]);
    printf("], ");
}

static void print_totals(const struct totals *t)
{
    printf("{");
    print_list("ops", t->ops);
    print_list("seconds_count", t->seconds_count);
    print_list("seconds_eighths", t->seconds_eighths);
    print_list("size_count", t->size_count);
    print_list("size_eighths", t->size_eighths);
    print_list("level_eighths", t->level_eighths);
    printf("\"logs\": %" PRIu64 ", \"reports\": %" PRIu64 ", \"spans\": %" PRIu64 ", ", t->logs,
           t->reports, t->spans);
    printf("\"events\": %" PRIu64 ", \"event_eighths\": %" PRIu64 ", \"storm_series\": %" PRIu64
           ", \"last_ops\": %" PRIu64 ", \"sessions\": %" PRIu64 ", \"items\": %" PRIu64 "}\n",
           t->events, t->event_eighths, t->storm_series, t->last_ops, t->sessions, t->items);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: killer SOCKET SERVICE SEED\n");
        return 64;
    }
    struct producer p = {.socket = argv[1], .service = argv[2]};
    p.random = strtoull(argv[3], NULL, 10) * 2 + 1; /* xorshift must not begin at 0 */
    begin_session(&p);
    run(&p);
    last_storm(&p);
    end_session(&p);
    print_totals(&p.t);
    return 0;
}
