#include "watch/recovery.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define HOUR (3600 * NS_PER_S)

/* ---- whom an action is for ---- */

/* One with a slash is service/name alone: "/name" is that of a check, for a producer's service
 * is never empty, whatever it calls its component. */
static bool fits(struct str on, const struct recovery_episode *e)
{
    const struct str service = str_of(e->service), component = str_of(e->component);
    if (str_eq(on, STR("*")) || (str_eq(on, component) && !memchr(on.p, '/', on.n)))
        return true;
    return on.n == service.n + 1 + component.n && on.p[service.n] == '/' &&
           str_eq((struct str){on.p, service.n}, service) &&
           str_eq((struct str){on.p + service.n + 1, component.n}, component);
}

static void find_actions(const struct recovery *r, struct recovery_episode *e)
{
    e->actions = 0;
    for (unsigned a = 0; a < r->n; a++)
        for (unsigned i = 0; i < r->actions[a].rules.non; i++)
            if (fits(r->actions[a].rules.on[i], e))
                e->actions |= UINT32_C(1) << a;
}

/* ---- configuration ---- */

static struct recovery_action *known(struct recovery *r, struct str name)
{
    for (unsigned i = 0; i < r->n; i++)
        if (str_eq(r->actions[i].rules.name, name))
            return &r->actions[i];
    return NULL;
}

/* What is behind in the window stays; more runs than there may be now are the newest. */
static struct recovery_action carried_on(struct recovery *r, const struct recovery_rules *rules)
{
    struct recovery_action a = {0};
    const struct recovery_action *before = known(r, rules->name);
    if (before)
        a = *before;
    a.rules = *rules;
    a.given_up = false;
    if (a.nruns > rules->most) {
        memmove(a.runs, a.runs + (a.nruns - rules->most), rules->most * sizeof *a.runs);
        a.nruns = rules->most;
    }
    return a;
}

void recovery_configure(struct recovery *r, bool enabled, unsigned hourly,
                        const struct recovery_rules *rules, unsigned n, uint64_t now)
{
    struct recovery_action fresh[RECOVERY_ACTIONS];
    assert(n <= RECOVERY_ACTIONS && hourly > 0 && hourly <= RECOVERY_HOURLY);
    for (unsigned i = 0; i < n; i++) {
        assert(rules[i].most > 0 && rules[i].most <= RECOVERY_MOST);
        fresh[i] = carried_on(r, &rules[i]);
    }
    memcpy(r->actions, fresh, n * sizeof *fresh);
    r->enabled = enabled;
    r->hourly = hourly;
    r->n = n;
    for (struct recovery_episode *e = r->episodes; e < r->episodes + RECOVERY_EPISODES; e++) {
        find_actions(r, e);
        for (unsigned a = 0; a < n; a++)
            e->next[a] = now + r->actions[a].rules.cooldown;
    }
}

/* ---- episodes ---- */

static struct recovery_episode *find(struct recovery *r, uint32_t part)
{
    for (struct recovery_episode *e = r->episodes; e < r->episodes + RECOVERY_EPISODES; e++)
        if (e->open && e->part == part)
            return e;
    return NULL;
}

/* An ended one is kept as long as there is other room, for its cool-downs. */
static struct recovery_episode *room(struct recovery *r)
{
    struct recovery_episode *ended = NULL;
    for (struct recovery_episode *e = r->episodes; e < r->episodes + RECOVERY_EPISODES; e++) {
        if (e->part == 0)
            return e;
        if (!e->open)
            ended = e;
    }
    r->left_out += ended == NULL;
    return ended;
}

static struct recovery_episode *find_ended(struct recovery *r, const struct health_move *m)
{
    for (struct recovery_episode *e = r->episodes; e < r->episodes + RECOVERY_EPISODES; e++)
        if (!e->open && e->part == m->part && str_eq(str_of(e->component), m->component) &&
            str_eq(str_of(e->service), m->service))
            return e;
    return NULL;
}

static void begin_episode(struct recovery *r, struct recovery_episode *e,
                          const struct health_move *m)
{
    *e = (struct recovery_episode){.part = m->part, .domain = m->domain};
    snprintf(e->service, sizeof e->service, "%.*s", STR_ARG(m->service));
    snprintf(e->component, sizeof e->component, "%.*s", STR_ARG(m->component));
    find_actions(r, e);
    for (unsigned a = 0; a < r->n; a++)
        e->next[a] = m->from == HEALTH_UNHEALTHY ? r->now + r->actions[a].rules.cooldown : r->now;
}

static void open_episode(struct recovery *r, const struct health_move *m)
{
    struct recovery_episode *e = find_ended(r, m);
    if (!e && (e = room(r)) != NULL)
        begin_episode(r, e, m);
    if (e)
        e->open = true;
}

/* It goes on while the component recovers, and ends when it is well, or gone. */
void recovery_move(void *arg, const struct health_move *m)
{
    struct recovery *r = arg;
    struct recovery_episode *e = find(r, m->part);
    if (m->to == HEALTH_UNHEALTHY && !e) {
        open_episode(r, m);
        e = find(r, m->part);
    }
    if (e && m->to == HEALTH_UNHEALTHY)
        snprintf(e->reason, sizeof e->reason, "%.*s", STR_ARG(m->message));
    if (e && (m->to == HEALTH_HEALTHY || m->to == HEALTH_UNKNOWN))
        e->open = false;
}

/* ---- what is to be done ---- */

static void slide(struct recovery_action *a, uint64_t now)
{
    unsigned old = 0;
    while (old < a->nruns && now - a->runs[old] >= a->rules.window)
        old++;
    a->nruns -= old;
    memmove(a->runs, a->runs + old, a->nruns * sizeof *a->runs);
}

static bool hour_is_full(const struct recovery *r, uint64_t now)
{
    if (r->nhour < r->hourly)
        return false;
    return now - r->hour[(r->nhour - r->hourly) % RECOVERY_HOURLY] < HOUR;
}

static struct recovery_episode *first_due(struct recovery *r, unsigned a, uint64_t now)
{
    for (struct recovery_episode *e = r->episodes; e < r->episodes + RECOVERY_EPISODES; e++)
        if (e->open && e->actions & UINT32_C(1) << a && e->next[a] <= now)
            return e;
    return NULL;
}

static bool is_wanted(const struct recovery *r, unsigned a)
{
    for (const struct recovery_episode *e = r->episodes; e < r->episodes + RECOVERY_EPISODES; e++)
        if (e->open && e->actions & UINT32_C(1) << a)
            return true;
    return false;
}

static void begin(struct recovery *r, unsigned i, const struct recovery_episode *e, uint64_t now)
{
    struct recovery_action *a = &r->actions[i];
    a->runs[a->nruns++] = now;
    r->hour[r->nhour++ % RECOVERY_HOURLY] = now;
    a->running = true;
    a->total++;
    a->last = now;
    a->has_outcome = false;
    snprintf(a->component, sizeof a->component, "%s%s%s", e->service, *e->service ? "/" : "",
             e->component);
}

static bool decide(struct recovery *r, unsigned i, uint64_t now, struct recovery_job *job)
{
    struct recovery_action *a = &r->actions[i];
    slide(a, now);
    if (a->given_up && a->nruns < a->rules.most && !is_wanted(r, i))
        a->given_up = false;
    struct recovery_episode *e = a->running || a->given_up ? NULL : first_due(r, i, now);
    if (!e)
        return false;
    *job = (struct recovery_job){.action = i, .what = OWN_ACTION_DONE, .episode = e};
    e->next[i] = now + a->rules.cooldown;
    if (a->nruns == a->rules.most) {
        a->given_up = true;
        job->what = OWN_ACTION_GAVE_UP;
    } else if (hour_is_full(r, now)) {
        job->what = OWN_ACTION_LIMITED;
    } else {
        begin(r, i, e, now);
    }
    if (job->what != OWN_ACTION_DONE) {
        a->outcome = job->what;
        a->has_outcome = true;
    }
    return true;
}

bool recovery_next(struct recovery *r, uint64_t now, struct recovery_job *job)
{
    for (unsigned i = 0; r->enabled && i < r->n; i++)
        if (decide(r, i, now, job))
            return true;
    return false;
}

void recovery_ended(struct recovery *r, struct str name, enum own_action outcome)
{
    struct recovery_action *a = known(r, name);
    if (!a)
        return;
    a->running = false;
    a->has_outcome = true;
    a->outcome = outcome;
}
