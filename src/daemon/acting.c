#include "daemon/acting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/audit.h"
#include "base/log.h"
#include "pipeline/domain.h"
#include "store/commit.h"

enum { TEXT = 512, OUTCOME = 200 };

/* A command on its way. */
struct errand {
    struct errand *next;
    struct acting *a;
    struct helper_call *call;
    char name[RECOVERY_NAME];
    char component[LIMIT_SERVICE + LIMIT_NAME + 2];
};

struct acting {
    struct acting_env env;
    const struct config_actions *actions;
    struct recovery recovery;
    struct errand *errands;
    bool stopped;
};

/* ---- saying so ---- */

static int index_of(const struct acting *a, const char *name)
{
    for (unsigned i = 0; i < a->recovery.n; i++)
        if (str_eq(a->recovery.actions[i].rules.name, str_of(name)))
            return (int)i;
    return -1;
}

static void say(struct acting *a, const char *name, const char *component, enum own_action what,
                const char *outcome)
{
    char object[TEXT];
    const int i = index_of(a, name);
    snprintf(object, sizeof object, "%s for %s", name, component);
    const struct audit_act act = {.what = "recovery", .object = object, .outcome = outcome};
    audit_note(&act);
    if (what != OWN_ACTION_DONE)
        log_warn("recovery", "%s: %s", object, outcome);
    if (i >= 0)
        own_add(&a->env.pl->own, OWN_ACTIONS, (unsigned)i * OWN_ACTION_OUTCOMES + what, 1);
    store_commit(a->env.pl->st);
}

static void name_of(const struct recovery_episode *e, char *to, size_t size)
{
    snprintf(to, size, "%s%s%s", e->service, *e->service ? "/" : "", e->component);
}

static void ended(struct acting *a, const char *name, const char *component, enum own_action what,
                  const char *outcome)
{
    recovery_ended(&a->recovery, str_of(name), what);
    say(a, name, component, what, outcome);
}

/* ---- commands ---- */

static void take_out(struct errand *e)
{
    for (struct errand **p = &e->a->errands; *p; p = &(*p)->next) {
        if (*p != e)
            continue;
        *p = e->next;
        return;
    }
}

static enum own_action judge(const struct helper_ran *r, char *to, size_t size)
{
    const size_t line = r->output.n ? strcspn(r->output.p, "\r\n") : 0;
    const int n = (int)(line < r->output.n ? line : r->output.n);
    if (r->error == -ERR_TIMEOUT) {
        snprintf(to, size, "its command took too long");
        return OWN_ACTION_TIMEOUT;
    }
    if (r->error)
        snprintf(to, size, "its command failed: %s", err_help(r->error));
    else if (!r->exited)
        snprintf(to, size, "its command was ended by signal %d", r->status);
    else if (r->status)
        snprintf(to, size, "its command exited with status %d%s%.*s", r->status, n ? ": " : "",
                 n < 100 ? n : 100, r->output.p);
    else
        snprintf(to, size, "done");
    return r->error || !r->exited || r->status ? OWN_ACTION_FAILED : OWN_ACTION_DONE;
}

static void on_ran(void *arg, const struct helper_ran *r)
{
    struct errand *e = arg;
    char outcome[OUTCOME], *c;
    const enum own_action what = judge(r, outcome, sizeof outcome);
    for (c = outcome; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
    take_out(e);
    ended(e->a, e->name, e->component, what, outcome);
    free(e);
}

/* A reason is a stranger's text: it may hold anything but what ends a variable. */
static void add_variable(struct buf *env, const char *name, const char *value)
{
    buf_addf(env, "MCPTALLY_%s=", name);
    for (; *value; value++)
        buf_addc(env, (unsigned char)*value < ' ' || *value == 127 ? ' ' : *value);
    buf_addc(env, '\0');
}

static void make_environment(struct buf *env, const struct config_action *k,
                             const struct recovery_episode *e)
{
    buf_init(env, HELPER_RUN_BYTES);
    buf_add(env, k->environment.p, k->environment.n);
    add_variable(env, "ACTION", k->name);
    add_variable(env, "COMPONENT", e->component);
    add_variable(env, "SERVICE", e->service);
    add_variable(env, "STATE", health_name(HEALTH_UNHEALTHY));
    add_variable(env, "REASON", e->reason);
}

static void run_command(struct acting *a, const struct config_action *k,
                        const struct recovery_episode *e, const char *component)
{
    struct buf env;
    struct errand *errand = calloc(1, sizeof *errand);
    make_environment(&env, k, e);
    const struct helper_command command = {
        .argv = buf_str(&k->argv),
        .env = buf_str(&env),
        .timeout = k->timeout,
        .output = (uint32_t)k->output,
    };
    if (errand) {
        *errand = (struct errand){.next = a->errands, .a = a};
        snprintf(errand->name, sizeof errand->name, "%s", k->name);
        snprintf(errand->component, sizeof errand->component, "%s", component);
        errand->call = env.failed ? NULL : helper_run(a->env.helper, &command, on_ran, errand);
    }
    if (errand && errand->call) {
        a->errands = errand;
    } else {
        free(errand);
        ended(a, k->name, component, OWN_ACTION_FAILED, "no memory");
    }
    buf_fini(&env);
}

/* ---- domains ---- */

static void reset_domain(struct acting *a, const struct config_action *k,
                         const struct recovery_episode *e, const char *component)
{
    char outcome[OUTCOME];
    const unsigned domain = k->of_component ? e->domain : k->domain;
    if (domain >= DOMAINS_MAX) {
        ended(a, k->name, component, OWN_ACTION_FAILED, "an active check is of no domain");
        return;
    }
    const struct audit_who daemon = {0};
    const bool there = domain_reset(a->env.pl, domain, daemon, clock_now());
    snprintf(outcome, sizeof outcome, "%s", there ? "done" : "there is no such domain");
    ended(a, k->name, component, there ? OWN_ACTION_DONE : OWN_ACTION_FAILED, outcome);
}

/* ---- what is due ---- */

static void carry_out(struct acting *a, const struct recovery_job *job)
{
    const struct config_action *k = &a->actions->all[job->action];
    char component[LIMIT_SERVICE + LIMIT_NAME + 2];
    name_of(job->episode, component, sizeof component);
    if (job->what == OWN_ACTION_GAVE_UP)
        say(a, k->name, component, job->what, "it has used up its runs, and gives up");
    else if (job->what == OWN_ACTION_LIMITED)
        say(a, k->name, component, job->what, "put off: recovery.hourly is used up");
    else if (k->resets)
        reset_domain(a, k, job->episode, component);
    else
        run_command(a, k, job->episode, component);
}

void acting_tick(struct acting *a, uint64_t now)
{
    struct recovery_job job;
    while (!a->stopped && recovery_next(&a->recovery, now, &job))
        carry_out(a, &job);
}

void acting_move(struct acting *a, const struct health_move *m)
{
    a->recovery.now = clock_now().mono;
    recovery_move(&a->recovery, m);
}

/* ---- start and stop ---- */

static void name_slots(struct acting *a, struct when now)
{
    struct own *o = &a->env.pl->own;
    char labels[OWN_TEXT];
    for (unsigned i = 0; i < RECOVERY_ACTIONS; i++)
        if (*o->names[OWN_KIND_ACTIONS][i])
            own_forget_name(o, OWN_KIND_ACTIONS, i, false);
    for (unsigned i = 0; i < a->actions->n; i++) {
        snprintf(labels, sizeof labels, "action=\"%s\"", a->actions->all[i].name);
        if (own_name(o, OWN_KIND_ACTIONS, i, str_of(labels), now) < 0)
            log_warn("recovery", "the store has no room for the metrics of %s",
                     a->actions->all[i].name);
    }
}

void acting_configure(struct acting *a, const struct config *config, struct when now)
{
    struct recovery_rules rules[RECOVERY_ACTIONS];
    const struct config_actions *actions = &config->recovery_actions;
    for (size_t i = 0; i < actions->n; i++)
        rules[i] = actions->all[i].rules;
    a->actions = actions;
    recovery_configure(&a->recovery, config->recovery_enabled, (unsigned)config->recovery_hourly,
                       rules, (unsigned)actions->n, now.mono);
    name_slots(a, now);
}

struct acting *acting_new(const struct acting_env *env)
{
    struct acting *a = calloc(1, sizeof *a);
    if (a)
        a->env = *env;
    return a;
}

void acting_stop(struct acting *a)
{
    a->stopped = true;
}

void acting_free(struct acting *a)
{
    if (!a)
        return;
    for (struct errand *e = a->errands, *next; e; e = next) {
        next = e->next;
        helper_forget(e->call);
        free(e);
    }
    free(a);
}

/* ---- what is shown ---- */

void acting_checks(const struct acting *a, struct verdict *v)
{
    for (unsigned i = 0; a->recovery.enabled && i < a->recovery.n; i++) {
        const struct recovery_action *r = &a->recovery.actions[i];
        if (!r->given_up)
            continue;
        struct check *c = verdict_add(v, "recovery", 0);
        c->status = CHECK_WARN;
        snprintf(c->message, sizeof c->message, "action %.*s has given up after %u runs",
                 STR_ARG(r->rules.name), r->nruns);
    }
}

static void put_action(const struct recovery_action *r, struct json_writer *j, struct when now)
{
    json_put_object(j, NULL);
    json_put_str(j, "name", r->rules.name);
    json_put_u64(j, "runs", r->total);
    json_put_bool(j, "running", r->running);
    json_put_bool(j, "given_up", r->given_up);
    json_put_text(j, "component", r->last ? r->component : NULL);
    if (r->last)
        json_put_f64(j, "age_seconds", (double)((now.mono - r->last) / NS_PER_MS) / 1000);
    else
        json_put_null(j, "age_seconds");
    json_put_text(j, "outcome", r->has_outcome ? own_action_name(r->outcome) : NULL);
    json_end_object(j);
}

void acting_put(const struct acting *a, struct json_writer *j, struct when now)
{
    json_put_object(j, "recovery");
    json_put_bool(j, "enabled", a->recovery.enabled);
    json_put_array(j, "actions");
    for (unsigned i = 0; i < a->recovery.n; i++)
        put_action(&a->recovery.actions[i], j, now);
    json_end_array(j);
    json_end_object(j);
}
