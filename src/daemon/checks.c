#include "daemon/checks.h"

#include <stdarg.h>

#include "model/text.h"
#include "serve/system.h"
#include "store/space.h"

enum {
    NEARLY_FULL = 90, /* percent */
    WHY_MAX = 4096,
};

static void say(struct check *c, enum check_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct check *c, enum check_status status, const char *fmt, ...)
{
    va_list ap;
    c->status = status;
    va_start(ap, fmt);
    vsnprintf(c->message, sizeof c->message, fmt, ap);
    va_end(ap);
}

static void check_loop(struct daemon *d)
{
    verdict_add(&d->verdict, "loop", GATE_LIVE | GATE_STARTUP);
}

static void check_intake(struct daemon *d)
{
    struct check *c = verdict_add(&d->verdict, "intake", GATE_READY | GATE_STARTUP);
    if (d->state == DAEMON_DRAINING)
        say(c, CHECK_FAIL, "stopping");
    else if (d->intake.dry)
        say(c, CHECK_WARN, "no descriptor is left for another connection");
}

/* The first domain that is not served says why; how many there are of them. */
static void check_domains(struct daemon *d)
{
    const struct store *st = &d->file.store;
    struct check *c = verdict_add(&d->verdict, "domains", 0);
    unsigned n = 0, first = 0;
    for (unsigned i = d->pipeline.options.domains; i-- > 0;) {
        const bool served = domain_state(st, i) == DOMAIN_CLOSED && !domain_drained(st, i);
        first = served ? first : i;
        n += !served;
    }
    if (n == 0)
        return;
    const char *why = domain_aside(st, first)     ? "set aside: daemons died with its input in hand"
                      : domain_drained(st, first) ? "drained"
                                                  : "refused: too much that it sent is malformed";
    if (n == 1)
        say(c, CHECK_WARN, "domain %u is %s", first, why);
    else
        say(c, CHECK_WARN, "%u domains are not served; domain %u is %s", n, first, why);
}

static void check_table(struct check *c, const struct store *st, enum store_table_id t,
                        const char *what)
{
    const uint64_t live = st->head->table[t].live, room = table_capacity(st, t);
    if (live * 100 >= room * NEARLY_FULL)
        say(c, CHECK_WARN, "%llu of %llu %s are in use; raise store.size", (unsigned long long)live,
            (unsigned long long)room, what);
}

static void check_store(struct daemon *d)
{
    const struct store *st = &d->file.store;
    const uint64_t heap = st->head->section[SECTION_HEAP].size;
    struct check *c = verdict_add(&d->verdict, "store", GATE_STARTUP);
    if (d->file.how == STOREFILE_REPLACED)
        say(c, CHECK_WARN, "the store before could not be gone on from and is set aside");
    else if (*d->file.why)
        say(c, CHECK_WARN, "%.200s", d->file.why);
    if (d->pipeline.own.missing)
        say(c, CHECK_WARN,
            "no room for %u of the daemon's own metrics and series; raise store.size",
            d->pipeline.own.missing);
    check_table(c, st, TABLE_METRICS, "metrics");
    check_table(c, st, TABLE_SERIES, "series");
    check_table(c, st, TABLE_SESSIONS, "sessions");
    if (st->head->heap_live * 100 >= heap * NEARLY_FULL)
        say(c, CHECK_WARN, "%llu of %llu bytes for values are in use; raise store.size",
            (unsigned long long)st->head->heap_live, (unsigned long long)heap);
}

static void check_port(struct daemon *d, const char *name, const struct port *port)
{
    const char *error = port_error(port);
    struct check *c = verdict_add(&d->verdict, name, 0);
    if (error)
        say(c, CHECK_WARN, "%s", error);
}

static void check_web(struct daemon *d)
{
    struct check *c = verdict_add(&d->verdict, "web", 0);
    if (*d->web.error)
        say(c, CHECK_WARN, "the web configuration is not in force: %.200s", d->web.error);
}

static enum check_status status_of(enum health_status s)
{
    static const enum check_status same[] = {
        [HEALTH_PASS] = CHECK_PASS, [HEALTH_WARN] = CHECK_WARN, [HEALTH_FAIL] = CHECK_FAIL};
    return same[s];
}

static void check_memory(struct daemon *d)
{
    struct system_figures f = {0};
    system_read(&f);
    struct check *c = verdict_add(&d->verdict, "memory", 0);
    const enum health_status s = health_memory(&d->health.options, f.memory_used, f.memory_limit);
    if (s != HEALTH_PASS)
        say(c, status_of(s), "%.0f%% of the %s's memory is in use",
            100.0 * (double)f.memory_used / (double)f.memory_limit,
            f.memory_cgroup ? "control group" : "machine");
}

/* Component names may be long: the message ends at a character. */
static void say_why(struct check *c, enum check_status status, struct buf *why)
{
    say(c, status, "%.*s", STR_ARG(text_cut(buf_str(why), CHECK_MESSAGE_MAX - 1)));
    buf_fini(why);
}

static void check_components(struct daemon *d)
{
    struct buf why;
    buf_init(&why, WHY_MAX);
    struct check *c = verdict_add(&d->verdict, "components", 0);
    const enum health_status s = health_components(&d->health, &why);
    say_why(c, status_of(s), &why);
}

static void check_required(struct daemon *d)
{
    struct buf why;
    if (!d->health.options.nrequired)
        return;
    buf_init(&why, WHY_MAX);
    struct check *c = verdict_add(&d->verdict, "readiness", GATE_READY);
    const bool ready = health_ready(&d->health, &why);
    say_why(c, ready ? CHECK_PASS : CHECK_FAIL, &why);
}

void checks_make(struct daemon *d)
{
    verdict_reset(&d->verdict);
    check_loop(d);
    check_store(d);
    check_intake(d);
    check_domains(d);
    check_port(d, "metrics_port", d->ports.metrics);
    check_port(d, "health_port", d->ports.health);
    check_port(d, "otlp_grpc_port", d->otlp.grpc);
    check_port(d, "otlp_http_port", d->otlp.http);
    check_web(d);
    check_memory(d);
    check_components(d);
    check_required(d);
    logger_check(&d->logger, &d->verdict);
    auditor_check(&d->auditor, &d->verdict);
    forwarding_checks(d->forwarding, &d->verdict);
}
