#include "probe/probe.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "export/tls.h"
#include "model/text.h"
#include "probe/run.h"

#define SLACK (5 * NS_PER_S)

/* Certificates are some MiB when they are parsed: checks with the same ones share them. */
struct shared_tls {
    struct shared_tls *next;
    struct tls *tls;
    char *ca_file;
    bool skip_verify;
};

static const struct probe_ops *ops_of(const struct plan *plan)
{
    switch (plan->kind) {
    case CHECK_PROCESS:
        return &probe_process;
    case CHECK_UNIX:
        return &probe_unix;
    case CHECK_TCP:
        return &probe_tcp;
    case CHECK_HTTP:
        return &probe_http;
    case CHECK_MCP:
        return plan->url ? &probe_mcp_http : &probe_command;
    case CHECK_COMMAND:
        return &probe_command;
    case CHECK_KINDS:
        break;
    }
    assert(0 && "a kind of check");
    return NULL;
}

void probe_spent(const struct probes *all, uint64_t began)
{
    if (all->env.spent)
        all->env.spent(all->env.arg, clock_now().mono - began);
}

/* ---- ends ---- */

/* What strangers say is shown on terminals. */
static void make_printable(char *text)
{
    size_t n = strlen(text);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
    while (n > 0 && !text_utf8((struct str){text, n}))
        text[--n] = '\0';
}

void probe_settle(struct probe *p, enum own_result result, const char *message)
{
    if (p->settled || p->ended)
        return;
    p->settled = true;
    p->answer.result = result;
    snprintf(p->answer.message, sizeof p->answer.message, "%s", message);
    make_printable(p->answer.message);
}

void probe_end(struct probe *p, enum own_result result, const char *fmt, ...)
{
    char message[PROBE_MESSAGE];
    va_list ap;
    if (p->ended)
        return;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    probe_settle(p, result, message);
    p->ended = true;
    event_active(p->turn, EV_TIMEOUT, 0);
}

void probe_end_unrun(struct probe *p, const char *why)
{
    probe_end(p, OWN_RESULT_NOT_RUN, "%s", why);
}

static void release(struct probe *p)
{
    p->ops->stop(p);
    p->all->running--;
    if (p->timer)
        event_free(p->timer);
    if (p->turn)
        event_free(p->turn);
    free(p);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct probe *p = arg;
    const struct probes *all = p->all;
    const uint64_t began = clock_now().mono;
    const struct probe_answer answer = p->answer;
    probe_done *done = p->done;
    void *done_arg = p->arg;
    (void)fd;
    (void)what;
    release(p);
    done(done_arg, &answer);
    probe_spent(all, began);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct probe *p = arg;
    (void)fd;
    (void)what;
    probe_end(p, OWN_RESULT_TIMEOUT, "no answer within %.3g s",
              (double)p->plan->timeout / (double)NS_PER_S);
}

/* ---- starts ---- */

/* The helper keeps the time of commands, and ends their groups; ours is for a helper that
 * does not answer. */
static struct timeval limit_of(const struct plan *plan)
{
    const uint64_t ns = plan->timeout + (ops_of(plan) == &probe_command ? SLACK : 0);
    return timeval_of(ns);
}

struct probe *probe_start(struct probes *all, const struct plan *plan, probe_done *done, void *arg)
{
    const struct timeval limit = limit_of(plan);
    struct probe *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    *p = (struct probe){.all = all, .plan = plan, .ops = ops_of(plan), .done = done, .arg = arg};
    p->deadline = clock_now().mono + plan->timeout;
    p->timer = evtimer_new(all->env.base, on_timer, p);
    p->turn = event_new(all->env.base, -1, 0, on_turn, p);
    all->running++;
    if (!p->timer || !p->turn || event_add(p->timer, &limit) < 0) {
        release(p);
        return NULL;
    }
    p->ops->start(p);
    return p;
}

void probe_cancel(struct probe *p)
{
    if (p)
        release(p);
}

/* ---- what is shared ---- */

struct tls *probe_tls(struct probes *all, const struct plan *plan)
{
    const char *ca = plan->ca_file ? plan->ca_file : "";
    for (struct shared_tls *s = all->tls; s; s = s->next)
        if (strcmp(s->ca_file, ca) == 0 && s->skip_verify == plan->insecure_skip_verify)
            return s->tls;
    const struct tls_files files = {.ca = plan->ca_file, .skip_verify = plan->insecure_skip_verify};
    struct shared_tls *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->ca_file = strdup(ca);
    s->skip_verify = plan->insecure_skip_verify;
    s->tls = s->ca_file ? tls_new(all->env.base, all->env.helper, &files) : NULL;
    if (!s->tls) {
        free(s->ca_file);
        free(s);
        return NULL;
    }
    s->next = all->tls;
    all->tls = s;
    return s->tls;
}

struct probes *probes_new(const struct probe_env *env)
{
    struct probes *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->env = *env;
    if (!all->env.proc)
        all->env.proc = "/proc";
    if (!all->env.cgroup)
        all->env.cgroup = "/sys/fs/cgroup";
    all->names = names_new(all);
    if (all->names)
        return all;
    free(all);
    return NULL;
}

void probes_free(struct probes *all)
{
    if (!all)
        return;
    assert(all->running == 0);
    names_free(all->names);
    for (struct shared_tls *s = all->tls, *next; s; s = next) {
        next = s->next;
        tls_free(s->tls);
        free(s->ca_file);
        free(s);
    }
    free(all);
}
