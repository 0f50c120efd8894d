#include "daemon/daemon.h"

#include <assert.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/audit.h"
#include "base/log.h"
#include "daemon/attach.h"
#include "daemon/checks.h"
#include "daemon/observing.h"
#include "daemon/options.h"
#include "daemon/pause.h"
#include "daemon/shed.h"
#include "daemon/sockets.h"
#include "serve/target.h"
#include "store/commit.h"

enum {
    SPARE_DESCRIPTORS = 64, /* beside producers' and HTTP connections */
    SWEEP_UNITS = 8192,     /* records that one tick looks at */
    RECOVER_RECORDS = 1024, /* span records of before that are looked at in one turn */
    WATCH_RECORDS = 256,    /* ring records that the watchers read at once */

    /* What is large, a page of metrics above all, is short-lived; without a fixed
     * threshold malloc would keep the memory of the largest one for ever. */
    LARGE_BYTES = 256 << 10,
};
#define TICK_NS  NS_PER_S
#define DRAIN_NS (2 * NS_PER_S)
#define LINES_NS NS_PER_S         /* that the end waits for a disk to take the last log lines */
#define WATCH_NS (50 * NS_PER_MS) /* from news to the watchers, so that much comes at once */

static void set_state(struct daemon *d, enum daemon_state to)
{
    assert(to > d->state);
    d->state = to;
}

static void leave(struct daemon *d)
{
    if (d->state == DAEMON_LEAVING)
        return;
    set_state(d, DAEMON_LEAVING);
    event_base_loopbreak(d->base);
}

/* ---- descriptors ---- */

/* As many descriptors as we are allowed; HTTP and the rest keep theirs in reserve. */
static int start_limits(struct daemon *d)
{
    struct rlimit r;
    const struct config *c = d->config;
    const uint64_t reserved = c->metrics_connections + c->health_connections +
                              2 * c->otlp_connections + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return DAEMON_FAILED;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0 && getrlimit(RLIMIT_NOFILE, &r) < 0)
        return DAEMON_FAILED;
    const uint64_t room = r.rlim_cur > reserved ? r.rlim_cur - reserved : 1;
    d->connections = room < UINT_MAX ? (unsigned)room : UINT_MAX;
    if (room < c->limits_connections)
        log_info("daemon", "RLIMIT_NOFILE leaves room for %u of limits.connections",
                 d->connections);
    return DAEMON_OK;
}

/* ---- directories and the store ---- */

static int status_of(int error)
{
    return error == -ERR_BUSY ? DAEMON_BUSY : error == -ERR_PERM ? DAEMON_PERM : DAEMON_FAILED;
}

static int start_paths(struct daemon *d)
{
    char why[512];
    int r = paths_find(&d->paths, d->config->runtime_dir, d->config->state_dir, why, sizeof why);
    if (r < 0)
        log_error("paths", "%s", why);
    return r < 0 ? status_of(r) : DAEMON_OK;
}

/* Forked while there is nothing yet that it should not have. */
static int start_helper(struct daemon *d)
{
    d->helper = helper_new(d->paths.state);
    if (!d->helper) {
        log_error("helper", "the helper process cannot be started");
        return DAEMON_FAILED;
    }
    auditor_init(&d->auditor, &d->logger, d->paths.state, d->config);
    return DAEMON_OK;
}

static void stop_helper(struct daemon *d)
{
    if (d->helper)
        auditor_fini(&d->auditor);
    helper_free(d->helper);
    d->helper = NULL;
}

static int start_store(struct daemon *d)
{
    const int r = attach_store(d);
    if (r == 0)
        pause_no_crashes(); /* from here on the store tells how often */
    return r < 0 ? status_of(r) : DAEMON_OK;
}

static void stop_store(struct daemon *d)
{
    storefile_close(&d->file, true);
}

/* ---- the loop ---- */

static void note_spent(void *arg, uint64_t ns)
{
    struct daemon *d = arg;
    own_observe(&d->pipeline.own, OWN_CALLBACK, (double)ns / (double)NS_PER_S);
    store_commit(d->pipeline.st);
}

/* One line a change between flood and none; how far the rates have fallen is a metric. */
static void log_flood(struct daemon *d)
{
    const unsigned level = sampling_level(d->sampling);
    if (level && !d->flood_level)
        log_warn("sampling", "flood of spans: the rates of debug and normal are falling");
    else if (!level && d->flood_level)
        log_info("sampling", "the flood of spans is over: the rates are what was configured");
    d->flood_level = level;
}

/* Figures of the machine, and of producers' processes. */
static void look_around(struct daemon *d, struct when now)
{
    system_tick(&d->system, d->helper, now);
    system_refresh(&d->system, &d->pipeline.own);
    store_commit(d->pipeline.st);
    observing_tick(d, now);
}

/* Between two ticks the loop sleeps unless somebody wants something. A watchdog
 * that does not turn the loop any more ends us. */
static void on_tick(void *arg)
{
    struct daemon *d = arg;
    notify_again(&d->notify);
    notify_watchdog(&d->notify);
    if (d->state != DAEMON_SERVING)
        return;
    const struct when now = clock_now();
    domain_tick(&d->pipeline, now);
    ring_share_tick(&d->pipeline, now);
    own_complete(&d->pipeline.own, now);
    intake_sweep(&d->intake, now);
    otlp_ports_tick(&d->otlp);
    ports_tick(&d->ports);
    (void)pipeline_sweep(&d->pipeline, now, SWEEP_UNITS);
    sampling_tick(d->sampling, now);
    log_flood(d);
    (void)health_watch_tick(&d->health, SWEEP_UNITS, now);
    checking_tick(d->checking, now);
    look_around(d, now);
    forwarding_tick(d->forwarding, now);
    logger_tick(&d->logger, &d->pipeline.own);
    auditor_tick(&d->auditor, &d->pipeline.own);
    checks_make(d);
    note_spent(d, clock_now().mono - now.mono);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    struct daemon *d = arg;
    (void)fd;
    (void)what;
    if (d->state == DAEMON_BRAKED) {
        event_base_loopbreak(d->base);
        return;
    }
    log_warn("daemon", "not all was read, or sent, after %llu s; leaving",
             (unsigned long long)(DRAIN_NS / NS_PER_S));
    leave(d);
}

static void set_limit(struct daemon *d, uint64_t ns)
{
    const struct timeval t = timeval_of(ns);
    event_add(d->limit, &t);
}

static void on_forwarded(void *arg)
{
    leave(arg);
}

/* What producers had written is in the store; now it goes on. */
static void on_drained(void *arg)
{
    struct daemon *d = arg;
    if (--d->undrained == 0)
        forwarding_drain(d->forwarding, on_forwarded, d);
}

static void note_stop(int sig)
{
    const struct audit_act act = {
        .what = "stop", .object = sig == SIGINT ? "SIGINT" : "SIGTERM", .outcome = "begun"};
    audit_note(&act);
}

/* The first time what is written is read; the second time is the end. */
static void on_stop(evutil_socket_t sig, short what, void *arg)
{
    struct daemon *d = arg;
    (void)what;
    notify_send(&d->notify, "STOPPING=1");
    note_stop(sig);
    if (d->state != DAEMON_SERVING) {
        leave(d);
        return;
    }
    set_state(d, DAEMON_DRAINING);
    checking_stop(d->checking);
    checks_make(d);
    log_info("daemon", "stopping");
    set_limit(d, DRAIN_NS);
    d->undrained = 2;
    otlp_ports_drain(&d->otlp, on_drained, d);
    intake_drain(&d->intake, on_drained, d);
}

static void on_hup(evutil_socket_t sig, short what, void *arg)
{
    struct daemon *d = arg;
    (void)sig;
    (void)what;
    if (d->state != DAEMON_SERVING)
        return;
    const struct audit_act act = {
        .what = "reload",
        .object = d->load->used ? d->load->used : "",
        .outcome = daemon_reload(d) ? "done" : "the configuration stays as it was"};
    audit_note(&act);
}

/* Files of lines were renamed by whoever rotates them. */
static void on_usr1(evutil_socket_t sig, short what, void *arg)
{
    struct daemon *d = arg;
    (void)sig;
    (void)what;
    logger_reopen(&d->logger);
    auditor_reopen(&d->auditor);
}

static struct event *add_signal(struct daemon *d, int sig, event_callback_fn callback)
{
    struct event *e = event_new(d->base, sig, EV_SIGNAL | EV_PERSIST, callback, d);
    if (e && event_add(e, NULL) < 0) {
        event_free(e);
        e = NULL;
    }
    return e;
}

static uint64_t tick_of(const struct notify *n)
{
    return n->watchdog && n->watchdog / 2 < TICK_NS ? n->watchdog / 2 : TICK_NS;
}

/* Its words go where ours go, and not to stderr in a form of their own. */
static void on_libevent(int severity, const char *words)
{
    if (severity >= EVENT_LOG_WARN)
        log_warn("libevent", "%s", words);
}

static int start_loop(struct daemon *d)
{
    signal(SIGPIPE, SIG_IGN);
    event_set_log_callback(on_libevent);
    /* No priorities: while something of a higher one is ready, libevent runs nothing
     * of a lower one, so whoever hammers one port would stop all else. Every source
     * does one bounded unit a turn instead. */
    d->base = event_base_new();
    if (!d->base)
        return DAEMON_FAILED;
    d->limit = event_new(d->base, -1, 0, on_limit, d);
    d->sigterm = add_signal(d, SIGTERM, on_stop);
    d->sigint = add_signal(d, SIGINT, on_stop);
    d->sighup = add_signal(d, SIGHUP, on_hup);
    d->sigusr1 = add_signal(d, SIGUSR1, on_usr1);
    if (!d->limit || !d->sigterm || !d->sigint || !d->sighup || !d->sigusr1)
        return DAEMON_FAILED;
    logger_start(&d->logger, d->base);
    const int r = tick_start(&d->tick, d->base, tick_of(&d->notify), on_tick, d);
    return r == 0 ? DAEMON_OK : DAEMON_FAILED;
}

static void stop_loop(struct daemon *d)
{
    /* libevent gives the signals their old meaning back, which is to kill. */
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGHUP);
    sigaddset(&handled, SIGUSR1);
    sigprocmask(SIG_BLOCK, &handled, NULL);
    logger_stop(&d->logger);
    tick_stop(&d->tick);
    struct event *all[] = {d->limit, d->sigterm, d->sigint, d->sighup, d->sigusr1};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            event_free(all[i]);
    if (d->base)
        event_base_free(d->base);
}

/* ---- the brake ---- */

/* Turns the loop without serving: signals and the watchdog work meanwhile. */
static int start_brake(struct daemon *d)
{
    if (!d->brake)
        return DAEMON_OK;
    set_state(d, DAEMON_BRAKED);
    notify_send(&d->notify, "EXTEND_TIMEOUT_USEC=%llu\nSTATUS=slowed down after a row of crashes",
                (unsigned long long)((d->brake + 10 * NS_PER_S) / NS_PER_US));
    set_limit(d, d->brake);
    event_base_dispatch(d->base);
    return DAEMON_OK;
}

/* ---- the pipeline ---- */

/* What is remembered of traces comes from the span ring, some of it each turn. */
static int start_sampling(struct daemon *d, struct when now)
{
    struct sampling_options o;
    options_sampling(d->config, &o);
    d->sampling = sampling_new(&d->file.store, &d->pipeline.own, &o, now);
    if (!d->sampling) {
        log_error("sampling", "%s", err_help(-ERR_NOMEM));
        return DAEMON_FAILED;
    }
    (void)sampling_recover(d->sampling, RECOVER_RECORDS, now);
    d->pipeline.sampling = d->sampling;
    return DAEMON_OK;
}

static int start_pipeline(struct daemon *d)
{
    const struct when now = clock_now();
    struct pipeline_options o;
    options_pipeline(d->config, &o);
    d->redact = options_redact(d->config);
    d->rules = options_rules(d->config);
    int r = -ERR_NOMEM;
    if (d->redact && d->rules)
        r = pipeline_init(&d->pipeline, &d->file.store, &o, now);
    if (r < 0) {
        log_error("pipeline", "%s", err_help(r));
        return DAEMON_FAILED;
    }
    d->pipeline.redact = d->redact;
    d->pipeline.rules = d->rules;
    if (d->file.how == STOREFILE_REPLACED)
        own_add(&d->pipeline.own, OWN_STORES_SET_ASIDE, 0, 1);
    store_commit(d->pipeline.st);
    target_declare(&d->pipeline.own, MCPTALLY_BUILD_VERSION, now);
    return start_sampling(d, now);
}

static void stop_pipeline(struct daemon *d)
{
    sampling_free(d->sampling);
    pipeline_fini(&d->pipeline);
    redact_free(d->redact);
    rules_free(d->rules);
}

/* ---- watchers ---- */

static void arm_watch(struct daemon *d, uint64_t ns)
{
    const struct timeval t = timeval_of(ns);
    event_add(d->watch, &t);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    struct daemon *d = arg;
    const struct when now = clock_now();
    (void)fd;
    (void)what;
    d->watched = d->file.store.head->ring[RING_EVENTS].head_seq;
    const bool more = health_watch_step(&d->health, WATCH_RECORDS, now);
    /* Spans of before a crash are not decided on until all of them are remembered. */
    if (sampling_recover(d->sampling, RECOVER_RECORDS, now) || more)
        arm_watch(d, 0);
    else
        checks_make(d);
    note_spent(d, clock_now().mono - now.mono);
}

/* After each turn of the intake. */
static void on_turned(void *arg)
{
    struct daemon *d = arg;
    forwarding_wake(d->forwarding);
    if (d->watched != d->file.store.head->ring[RING_EVENTS].head_seq &&
        !evtimer_pending(d->watch, NULL))
        arm_watch(d, WATCH_NS);
}

static int start_watch(struct daemon *d)
{
    struct health_options o;
    if (!options_health(d->config, &d->required, &o))
        return DAEMON_FAILED;
    health_watch_init(&d->health, &d->file.store, &d->pipeline.own, &o, clock_now());
    d->watch = event_new(d->base, -1, 0, on_watch, d);
    if (!d->watch)
        return DAEMON_FAILED;
    arm_watch(d, 0); /* for what the daemon before did not come to read */
    return DAEMON_OK;
}

static void stop_watch(struct daemon *d)
{
    if (d->watch)
        event_free(d->watch);
    free(d->required);
}

/* ---- destinations ---- */

/* The last lines of the log and of the audit are in the helper's hands, or not. */
static void let_lines_go(struct daemon *d)
{
    const uint64_t until = clock_now().mono + LINES_NS;
    while ((logger_busy(&d->logger) || auditor_busy(&d->auditor)) && clock_now().mono < until)
        helper_turn(d->helper, 10);
    logger_leave(&d->logger);
    auditor_leave(&d->auditor);
}

/* The helper's events are of the loop, which ends next. */
static void stop_forwarding(struct daemon *d)
{
    forwarding_free(d->forwarding);
    d->forwarding = NULL;
    let_lines_go(d);
    stop_helper(d);
}

static int start_forwarding(struct daemon *d)
{
    const struct forwarding_env env = {
        .base = d->base,
        .pl = &d->pipeline,
        .helper = d->helper,
        .service = d->resource.service,
        .instance = d->resource.instance,
        .spent = note_spent,
        .arg = d,
    };
    resource_read(&d->resource);
    if (helper_start(d->helper, d->base) == 0) {
        logger_join(&d->logger, d->helper);
        auditor_join(&d->auditor, d->helper);
        d->forwarding = forwarding_new(&env, d->config);
    }
    if (!d->forwarding)
        stop_forwarding(d);
    return d->forwarding ? DAEMON_OK : DAEMON_FAILED;
}

/* ---- active checks ---- */

static void on_health(void *arg)
{
    struct daemon *d = arg;
    if (d->state == DAEMON_SERVING)
        checks_make(d);
}

static int start_checking(struct daemon *d)
{
    const struct checking_env env = {
        .base = d->base,
        .pl = &d->pipeline,
        .health = &d->health,
        .helper = d->helper,
        .spent = note_spent,
        .changed = on_health,
        .arg = d,
    };
    d->checking = checking_new(&env, d->config);
    d->observed = observed_new(&d->pipeline.own);
    system_tick(&d->system, d->helper, clock_now());
    return d->checking && d->observed ? DAEMON_OK : DAEMON_FAILED;
}

static void stop_checking(struct daemon *d)
{
    checking_free(d->checking);
    d->checking = NULL;
    observed_free(d->observed);
    system_fini(&d->system);
}

static void put_more(void *arg, struct json_writer *j, struct when now)
{
    const struct daemon *d = arg;
    checking_put(d->checking, j, now);
    observed_put(d->observed, j);
}

/* ---- HTTP and control ---- */

static void describe(void *arg, struct status_info *out)
{
    const struct daemon *d = arg;
    out->running = true;
    out->pid = (uint64_t)getpid();
    out->version = MCPTALLY_BUILD_VERSION;
    out->started = d->started.mono;
    out->config = d->load->used;
    out->store_path = d->file.path;
    const struct {
        const char *name;
        const struct port *port;
    } ports[] = {
        {"metrics", d->ports.metrics},
        {"health", d->ports.health},
        {"otlp_grpc", d->otlp.grpc},
        {"otlp_http", d->otlp.http},
    };
    out->nports = sizeof ports / sizeof *ports;
    for (unsigned i = 0; i < out->nports; i++) {
        out->ports[i].name = ports[i].name;
        out->ports[i].address = ports[i].port ? port_address(ports[i].port) : "";
    }
    out->verdict = &d->verdict;
    out->sampling = d->sampling;
    out->more = (struct json_more){put_more, arg};
    forwarding_status(d->forwarding, out);
}

static struct serve_env env_of(struct daemon *d)
{
    return (struct serve_env){
        .base = d->base,
        .pl = &d->pipeline,
        .spent = note_spent,
        .arg = d,
    };
}

static int start_web(struct daemon *d)
{
    const int r = web_start(&d->web, d->base, &d->pipeline, d->helper, d->config, d->load->used);
    if (r < 0)
        web_stop(&d->web);
    return r == -ERR_SYNTAX ? DAEMON_CONFIG : r < 0 ? DAEMON_FAILED : DAEMON_OK;
}

static void stop_web(struct daemon *d)
{
    web_stop(&d->web);
}

static int start_ports(struct daemon *d)
{
    const struct serve_env env = env_of(d);
    const struct ports_about about = {
        .runtime_dir = d->paths.runtime,
        .metrics_guard = &d->web.metrics,
        .health_guard = &d->web.health,
        .verdict = &d->verdict,
        .started = d->started.mono,
        .describe = describe,
        .system = &d->system.now,
        .more = {put_more, d},
        .arg = d,
    };
    const int r = ports_start(&d->ports, &env, d->config, &d->passed, &about);
    if (r < 0)
        ports_stop(&d->ports);
    return r < 0 ? status_of(r) : DAEMON_OK;
}

static void stop_ports(struct daemon *d)
{
    web_settle(&d->web);
    ports_stop(&d->ports);
}

/* ---- producers ---- */

static int start_intake(struct daemon *d)
{
    struct intake_options o;
    d->events = (struct socket_place){
        .section = "socket",
        .path = d->config->socket_path,
        .dir = d->paths.runtime,
        .mode = (unsigned)d->config->socket_mode,
        .group = d->config->socket_group,
        .passed = passed_take(&d->passed, "events"),
    };
    const int fd = sockets_listen(&d->events);
    if (fd < 0)
        return status_of(fd);
    options_intake(d->config, d->connections, &o);
    if (intake_init(&d->intake, d->base, &d->pipeline, fd, &o) < 0)
        return DAEMON_FAILED;
    d->intake.turned = on_turned;
    d->intake.turned_arg = d;
    return DAEMON_OK;
}

static void stop_intake(struct daemon *d)
{
    sockets_remove(&d->events);
    intake_fini(&d->intake);
}

/* ---- OTLP ---- */

static int start_otlp(struct daemon *d)
{
    const struct serve_env env = env_of(d);
    const int r = otlp_ports_start(&d->otlp, &env, d->config, &d->passed, &d->web.otlp_guard);
    d->otlp.in.turned = on_turned;
    d->otlp.in.turned_arg = d;
    if (r < 0)
        otlp_ports_stop(&d->otlp);
    return r < 0 ? status_of(r) : DAEMON_OK;
}

static void stop_otlp(struct daemon *d)
{
    web_settle(&d->web);
    otlp_ports_stop(&d->otlp);
}

/* ---- readiness ---- */

static const char *address_of(const struct port *p)
{
    const char *address = port_address(p);
    return *address ? address : "no port";
}

static void note_start(void)
{
    char object[64];
    snprintf(object, sizeof object, "mcptallyd %s", MCPTALLY_BUILD_VERSION);
    const struct audit_act act = {.what = "start", .object = object, .outcome = "done"};
    audit_note(&act);
}

static int start_serving(struct daemon *d)
{
    char names[256];
    if (passed_fini(&d->passed, names, sizeof names))
        log_warn("daemon", "passed sockets that nobody knows are closed: %s", names);
    set_state(d, DAEMON_SERVING);
    logger_serving(&d->logger);
    note_start();
    checks_make(d);
    const char *metrics = address_of(d->ports.metrics), *health = address_of(d->ports.health);
    const char *grpc = address_of(d->otlp.grpc), *http = address_of(d->otlp.http);
    log_info("daemon", "mcptallyd %s serves: metrics on %s, health on %s, OTLP on %s and %s",
             MCPTALLY_BUILD_VERSION, metrics, health, grpc, http);
    notify_send(&d->notify,
                "READY=1\nSTATUS=serving: metrics on %s, health on %s, OTLP on %s and %s", metrics,
                health, grpc, http);
    shed();
    return DAEMON_OK;
}

/* ---- start and stop ---- */

/* In this order; stopped in reverse, as far as it came. A step returns an enum
 * daemon_exit. */
static const struct step {
    int (*start)(struct daemon *d);
    void (*stop)(struct daemon *d);
} steps[] = {
    {start_limits, NULL},                /* descriptors: as many as the kernel allows */
    {start_paths, NULL},                 /* the directories are there and are ours */
    {start_helper, stop_helper},         /* the process that may block, without any of the below */
    {start_store, stop_store},           /* locked, checked, rolled back */
    {start_loop, stop_loop},             /* signals, tick and watchdog */
    {start_brake, NULL},                 /* waited, when starts follow each other too fast */
    {start_pipeline, stop_pipeline},     /* our own metrics are declared before any producer's */
    {start_watch, stop_watch},           /* health goes on from what the store has */
    {start_forwarding, stop_forwarding}, /* destinations are sent what they have not had */
    {start_checking, stop_checking},     /* what is checked is asked */
    {start_web, stop_web},               /* who may ask is known */
    {start_ports, stop_ports},           /* HTTP and the control socket answer */
    {start_intake, stop_intake},         /* producers connect */
    {start_otlp, stop_otlp},             /* and OTLP's, which may be told to come back later */
    {start_serving, NULL},               /* READY=1 */
};

enum { STEPS = sizeof steps / sizeof *steps };

static int start(struct daemon *d, unsigned *done)
{
    for (*done = 0; *done < STEPS; ++*done) {
        int status = steps[*done].start(d);
        if (status != DAEMON_OK)
            return status;
        if (d->state == DAEMON_LEAVING) {
            ++*done;
            break;
        }
    }
    return DAEMON_OK;
}

static void stop(struct daemon *d, unsigned done)
{
    while (done-- > 0)
        if (steps[done].stop)
            steps[done].stop(d);
}

int daemon_run(struct load *load, struct config *config)
{
    struct daemon *d = calloc(1, sizeof *d);
    unsigned done;
    if (!d) {
        log_error("daemon", "%s", err_help(-ERR_NOMEM));
        return DAEMON_FAILED;
    }
    d->load = load;
    d->config = config;
    d->file.fd = -1;
    d->started = clock_now();
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    signal(SIGUSR1, SIG_IGN); /* whoever rotates the log does not wait for a daemon to start */
    logger_init(&d->logger, config);
    notify_init(&d->notify);
    passed_init(&d->passed);
    int status = start(d, &done);
    if (status != DAEMON_OK)
        log_error("daemon", "the start has failed");
    else if (d->state == DAEMON_SERVING && event_base_dispatch(d->base) < 0)
        status = DAEMON_FAILED;
    stop(d, done);
    logger_fini(&d->logger);
    notify_fini(&d->notify);
    free(d);
    return status;
}
