#include "daemon/checks.h"

#include <stdarg.h>

#include "model/text.h"
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
    const struct system_figures *f = &d->system.now;
    struct check *c = verdict_add(&d->verdict, "memory", 0);
    const enum health_status s = health_memory(&d->health.options, f->memory_used, f->memory_limit);
    if (s != HEALTH_PASS)
        say(c, status_of(s), "%.0f%% of the %s's memory is in use",
            100.0 * (double)f->memory_used / (double)f->memory_limit,
            f->memory_cgroup ? "control group" : "machine");
}

/* By two thresholds, of which 0 is none. */
static enum check_status judge(double value, double warning, double critical)
{
    if (critical > 0 && value >= critical)
        return CHECK_FAIL;
    return warning > 0 && value >= warning ? CHECK_WARN : CHECK_PASS;
}

/* The daemon's own wants, and those of the machine around it, that memory has not told. */
static void check_cpu(struct daemon *d)
{
    const struct system_figures *f = &d->system.now;
    const struct config *k = d->config;
    struct check *c = verdict_add(&d->verdict, "cpu", 0);
    const double load = f->cpus ? f->load[0] / (double)f->cpus : 0;
    const enum check_status used = judge(f->cpu, k->health_cpu_warning, k->health_cpu_critical);
    /* What the load was before we came says little: as long as CPU time is not judged. */
    const enum check_status waiting =
        f->cpu < 0 ? CHECK_PASS
                   : judge(load, (double)k->health_load_warning, (double)k->health_load_critical);
    if (used != CHECK_PASS && used >= waiting)
        say(c, used, "%.0f%% of the %s's CPU time is in use", 100 * f->cpu,
            f->cpu_cgroup ? "control group" : "machine");
    else if (waiting != CHECK_PASS)
        say(c, waiting, "%.1f tasks run or wait for each CPU", load);
}

static double share(uint64_t used, uint64_t limit)
{
    return limit ? (double)used / (double)limit : 0;
}

static void check_files(struct daemon *d)
{
    const struct system_figures *f = &d->system.now;
    const double own = share(f->fds, f->fds_max), all = share(f->files, f->files_max);
    const enum check_status s = judge(own > all ? own : all, d->config->health_files_warning,
                                      d->config->health_files_critical);
    struct check *c = verdict_add(&d->verdict, "files", 0);
    if (s != CHECK_PASS)
        say(c, s, "%.0f%% of the %s's open files are in use", 100 * (own > all ? own : all),
            own > all ? "daemon" : "machine");
}

static void check_disk(struct daemon *d)
{
    const struct system_figures *f = &d->system.now;
    const double used = share(f->disk_size - f->disk_avail, f->disk_size);
    const enum check_status s =
        judge(used, d->config->health_disk_warning, d->config->health_disk_critical);
    struct check *c = verdict_add(&d->verdict, "disk", 0);
    if (s != CHECK_PASS)
        say(c, s, "%.0f%% of the file system of %s is in use", 100 * used, d->paths.state);
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
    check_cpu(d);
    check_files(d);
    check_disk(d);
    check_components(d);
    check_required(d);
    logger_check(&d->logger, &d->verdict);
    auditor_check(&d->auditor, &d->verdict);
    checking_checks(d->checking, &d->verdict);
    forwarding_checks(d->forwarding, &d->verdict);
}
