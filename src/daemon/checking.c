#include "daemon/checking.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "daemon/acting.h"
#include "probe/probe.h"
#include "store/commit.h"

enum { STARTS = 4 }; /* runs that one turn of the loop begins */

/* A check, and the run in hand. */
struct entry {
    struct checking *c;
    const struct config_check *config;
    char name[CONFIG_CHECK_NAME];
    struct probe *run;
    bool has_last;
    struct probe_answer last;
    enum health_state state;
    uint64_t ended, took; /* of the newest run: mono ns, ns */
};

struct plan_of_runs {
    struct check_schedule schedule;
    struct entry entries[CHECK_MAX]; /* as many as the schedule has */
};

struct checking {
    struct checking_env env;
    struct probes *probes;
    struct acting *acting;
    struct event *due;
    struct plan_of_runs *plan, *spare; /* spare: for the next configuration, so that a reload
                                          needs no memory that may not be there */
    uint64_t delayed;                  /* turns, as counted so far */
    bool stopped;
};

static struct own *own_of(const struct checking *c)
{
    return &c->env.pl->own;
}

static void commit(struct checking *c)
{
    store_commit(c->env.pl->st);
}

/* ---- the timer ---- */

static void arm(struct checking *c, uint64_t now)
{
    const uint64_t ns = c->stopped ? UINT64_MAX : check_schedule_wait(&c->plan->schedule, now);
    const struct timeval t = timeval_of(ns);
    if (ns == UINT64_MAX)
        event_del(c->due);
    else
        event_add(c->due, &t);
}

static void note_running(struct checking *c)
{
    own_set(own_of(c), OWN_CHECKS_RUNNING, 0, c->plan->schedule.running);
    if (c->plan->schedule.delayed > c->delayed)
        own_add(own_of(c), OWN_CHECKS_DELAYED, 0, c->plan->schedule.delayed - c->delayed);
    c->delayed = c->plan->schedule.delayed;
    commit(c);
}

/* ---- results ---- */

static void note_times(struct checking *c, unsigned i, const struct check_times *t)
{
    if (t->detected)
        own_observe_at(own_of(c), OWN_CHECK_DETECT, i, (double)t->detected / (double)NS_PER_S);
    if (t->recovered)
        own_observe_at(own_of(c), OWN_CHECK_RECOVER, i, (double)t->recovered / (double)NS_PER_S);
}

/* What we could not ask changes nothing of what is known. */
static void tell_component(struct entry *e, unsigned i, struct when now)
{
    struct checking *c = e->c;
    const struct config_check *k = e->config;
    const struct health_check check = {
        .service = str_of(k->service ? k->service : ""),
        .name = str_of(k->name),
        .failures = (unsigned)k->failures,
        .successes = (unsigned)k->successes,
    };
    if (e->last.result == OWN_RESULT_NOT_RUN)
        return;
    const struct health_change change = health_watch_result(
        c->env.health, &check, check_state(e->last.result), str_of(e->last.message), now);
    const struct check_times t =
        check_note(&c->plan->schedule.slots[i], e->last.result, change.from, change.to, now.mono);
    e->state = change.to;
    note_times(c, i, &t);
    own_set(own_of(c), OWN_CHECK_STATE, i, change.to);
    if (change.from != change.to)
        c->env.changed(c->env.arg);
}

static void finish(struct entry *e, const struct probe_answer *a)
{
    struct checking *c = e->c;
    const struct when now = clock_now();
    const unsigned i = (unsigned)(e - c->plan->entries);
    e->run = NULL;
    e->has_last = true;
    e->last = *a;
    e->ended = now.mono;
    e->took = now.mono - c->plan->schedule.slots[i].began;
    tell_component(e, i, now);
    check_schedule_end(&c->plan->schedule, i, now.mono);
    own_add(own_of(c), OWN_CHECK_RESULTS, i * OWN_RESULTS + a->result, 1);
    own_observe_at(own_of(c), OWN_CHECK_DURATION, i, (double)e->took / (double)NS_PER_S);
    note_running(c);
    acting_tick(c->acting, now.mono);
    arm(c, now.mono);
}

/* The probe counts the time of this towards what the loop was held. */
static void on_done(void *arg, const struct probe_answer *a)
{
    finish(arg, a);
}

/* ---- runs ---- */

static void begin(struct entry *e)
{
    static const struct probe_answer unrun = {OWN_RESULT_NOT_RUN, "no memory"};
    e->run = probe_start(e->c->probes, &e->config->plan, on_done, e);
    if (!e->run)
        finish(e, &unrun);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct checking *c = arg;
    const uint64_t now = clock_now().mono;
    (void)fd;
    (void)what;
    for (int n = 0, i; n < STARTS && (i = check_schedule_begin(&c->plan->schedule, now)) >= 0; n++)
        begin(&c->plan->entries[i]);
    note_running(c);
    arm(c, now);
    c->env.spent(c->env.arg, clock_now().mono - now);
}

static void cancel_all(struct checking *c)
{
    for (unsigned i = 0; i < c->plan->schedule.n; i++) {
        probe_cancel(c->plan->entries[i].run);
        c->plan->entries[i].run = NULL;
    }
}

/* ---- configuration ---- */

/* What was known of a check of that name. */
static int known(const struct checking *c, const char *name)
{
    for (unsigned i = 0; i < c->plan->schedule.n; i++)
        if (strcmp(c->plan->entries[i].name, name) == 0)
            return (int)i;
    return -1;
}

static void carry_on(const struct checking *c, struct entry *e, struct check_slot *slot)
{
    const int i = known(c, e->name);
    if (i < 0)
        return;
    const struct check_slot *before = &c->plan->schedule.slots[i];
    slot->good = before->good;
    slot->sick = before->sick;
    if (before->interval == slot->interval && !before->running)
        slot->due = before->due;
    e->state = c->plan->entries[i].state;
    e->has_last = c->plan->entries[i].has_last;
    e->last = c->plan->entries[i].last;
    e->ended = c->plan->entries[i].ended;
    e->took = c->plan->entries[i].took;
}

static void add(struct checking *c, struct check_schedule *s, struct entry *e,
                const struct config_check *k, uint64_t now)
{
    *e = (struct entry){.c = c, .config = k};
    snprintf(e->name, sizeof e->name, "%s", k->name);
    const uint64_t noise = hash_bytes(k->name, strlen(k->name), now);
    const unsigned i = check_schedule_add(s, k->interval, noise, now);
    carry_on(c, e, &s->slots[i]);
}

static void labels_of(const struct config_check *k, char to[OWN_TEXT])
{
    snprintf(to, OWN_TEXT, "check=\"%s\",kind=\"%s\"", k->name, check_kind_name(k->kind));
}

static bool is_among(const struct config_checks *checks, const char *labels)
{
    char other[OWN_TEXT];
    for (size_t i = 0; i < checks->n; i++) {
        labels_of(&checks->all[i], other);
        if (strcmp(labels, other) == 0)
            return true;
    }
    return false;
}

/* Slots that change hands are all given up before one is taken: two may share a name for the
 * moment, and must not share a series. */
static void name_slots(struct checking *c, const struct config_checks *checks, struct when now)
{
    struct own *o = own_of(c);
    char labels[OWN_TEXT];
    for (unsigned i = 0; i < CHECK_MAX; i++) {
        const char *has = o->names[OWN_KIND_CHECKS][i];
        if (i < checks->n)
            labels_of(&checks->all[i], labels);
        if (*has && (i >= checks->n || strcmp(has, labels) != 0))
            own_forget_name(o, OWN_KIND_CHECKS, i, !is_among(checks, has));
    }
    for (unsigned i = 0; i < checks->n; i++) {
        labels_of(&checks->all[i], labels);
        if (!*o->names[OWN_KIND_CHECKS][i] &&
            own_name(o, OWN_KIND_CHECKS, i, str_of(labels), now) < 0)
            log_warn("checks", "the store has no room for the metrics of %s", checks->all[i].name);
    }
}

/* Components of checks that are gone go too. */
static void name_components(struct checking *c, const struct config_checks *checks)
{
    struct health_check *all = calloc(checks->n ? checks->n : 1, sizeof *all);
    for (size_t i = 0; all && i < checks->n; i++)
        all[i] = (struct health_check){
            .service = str_of(checks->all[i].service ? checks->all[i].service : ""),
            .name = str_of(checks->all[i].name),
        };
    if (all)
        health_watch_checks(c->env.health, all, (unsigned)checks->n);
    free(all);
}

void checking_configure(struct checking *c, const struct config *config)
{
    const struct config_checks *checks = &config->checks;
    const struct when now = clock_now();
    struct plan_of_runs *fresh = c->spare;
    cancel_all(c);
    check_schedule_init(&fresh->schedule, (unsigned)config->health_checks_at_once);
    fresh->schedule.delayed = c->delayed;
    for (size_t i = 0; i < checks->n; i++)
        add(c, &fresh->schedule, &fresh->entries[i], &checks->all[i], now.mono);
    c->spare = c->plan;
    c->plan = fresh;
    name_slots(c, checks, now);
    name_components(c, checks);
    acting_configure(c->acting, config, now);
    note_running(c);
    arm(c, now.mono);
}

/* ---- start and stop ---- */

static void on_moved(void *arg, const struct health_move *m)
{
    struct checking *c = arg;
    acting_move(c->acting, m);
}

struct checking *checking_new(const struct checking_env *env, const struct config *config)
{
    const struct probe_env probe = {
        .base = env->base, .helper = env->helper, .spent = env->spent, .arg = env->arg};
    const struct acting_env acting = {.pl = env->pl, .helper = env->helper};
    struct checking *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->env = *env;
    c->probes = probes_new(&probe);
    c->acting = acting_new(&acting);
    c->due = evtimer_new(env->base, on_due, c);
    c->plan = calloc(1, sizeof *c->plan);
    c->spare = calloc(1, sizeof *c->spare);
    if (!c->probes || !c->acting || !c->due || !c->plan || !c->spare) {
        checking_free(c);
        return NULL;
    }
    checking_configure(c, config);
    own_sweep_names(own_of(c), OWN_KIND_CHECKS);
    own_sweep_names(own_of(c), OWN_KIND_ACTIONS);
    env->health->moved = on_moved;
    env->health->moved_arg = c;
    health_watch_recall(env->health);
    return c;
}

void checking_stop(struct checking *c)
{
    const uint64_t now = clock_now().mono;
    c->stopped = true;
    acting_stop(c->acting);
    cancel_all(c);
    arm(c, now);
}

void checking_free(struct checking *c)
{
    if (!c)
        return;
    if (c->plan)
        cancel_all(c);
    c->env.health->moved = NULL;
    acting_free(c->acting);
    probes_free(c->probes);
    if (c->due)
        event_free(c->due);
    free(c->plan);
    free(c->spare);
    free(c);
}

void checking_tick(struct checking *c, struct when now)
{
    acting_tick(c->acting, now.mono);
}

/* ---- what is shown ---- */

void checking_checks(const struct checking *c, struct verdict *v)
{
    acting_checks(c->acting, v);
}

static double seconds(uint64_t ns)
{
    return (double)(ns / NS_PER_US) / 1e6;
}

static void put_entry(const struct entry *e, const struct check_slot *s, struct json_writer *j,
                      uint64_t now)
{
    json_put_object(j, NULL);
    json_put_text(j, "name", e->name);
    json_put_text(j, "kind", check_kind_name(e->config->kind));
    json_put_text(j, "service", e->config->service ? e->config->service : "");
    json_put_text(j, "state", health_name(e->state));
    json_put_text(j, "result", e->has_last ? own_result_name(e->last.result) : NULL);
    json_put_text(j, "message", e->last.message);
    json_put_f64(j, "took_seconds", seconds(e->took));
    json_put_f64(j, "age_seconds", e->has_last ? seconds(now - e->ended) : 0);
    json_put_bool(j, "running", s->running);
    json_end_object(j);
}

void checking_put(const struct checking *c, struct json_writer *j, struct when now)
{
    json_put_array(j, "active_checks");
    for (unsigned i = 0; i < c->plan->schedule.n; i++)
        put_entry(&c->plan->entries[i], &c->plan->schedule.slots[i], j, now.mono);
    json_end_array(j);
    acting_put(c->acting, j, now);
}
