/* verdict: the checks that the daemon's health is judged by. Floor 3.
 *
 * The daemon makes one anew about once a second; the health port and the control
 * socket only read it, so that they answer without looking at anything. */
#ifndef MCPTALLY_FORMAT_VERDICT_H
#define MCPTALLY_FORMAT_VERDICT_H

#include <stdbool.h>
#include <stdio.h>

enum check_status { CHECK_PASS, CHECK_WARN, CHECK_FAIL }; /* worst last */

/* The probes that a failing check makes fail. /health looks at every check. */
enum check_gate {
    GATE_LIVE = 1,    /* only what a restart would mend; nothing outside the process */
    GATE_READY = 2,   /* what keeps producers or scrapers away */
    GATE_STARTUP = 4, /* what has to be there once */
};

enum { CHECKS_MAX = 64, CHECK_NAME_MAX = 96, CHECK_MESSAGE_MAX = 256 };

struct check {
    enum check_status status;
    unsigned gates; /* enum check_gate, or'ed */
    char name[CHECK_NAME_MAX];
    char message[CHECK_MESSAGE_MAX]; /* UTF-8, may be empty */
};

struct verdict {
    unsigned n;
    struct check checks[CHECKS_MAX];
};

static inline void verdict_reset(struct verdict *v)
{
    v->n = 0;
}

/* The next check, with its name, passing and without a message; what is beyond
 * CHECKS_MAX shares the last one. */
static inline struct check *verdict_add(struct verdict *v, const char *name, unsigned gates)
{
    struct check *c = &v->checks[v->n < CHECKS_MAX ? v->n++ : CHECKS_MAX - 1];
    c->status = CHECK_PASS;
    c->gates = gates;
    snprintf(c->name, sizeof c->name, "%s", name);
    c->message[0] = '\0';
    return c;
}

/* The worst status of the checks that have one of the gates; 0: of all. */
static inline enum check_status verdict_of(const struct verdict *v, unsigned gates)
{
    enum check_status worst = CHECK_PASS;
    for (unsigned i = 0; i < v->n; i++)
        if ((!gates || v->checks[i].gates & gates) && v->checks[i].status > worst)
            worst = v->checks[i].status;
    return worst;
}

static inline const char *check_status_name(enum check_status s)
{
    static const char *const names[] = {"pass", "warn", "fail"};
    return names[s];
}

#endif
