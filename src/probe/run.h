/* run: what the kinds of probes have in common. Floor 4. For this room alone. */
#ifndef MCPTALLY_PROBE_RUN_H
#define MCPTALLY_PROBE_RUN_H

#include <stdio.h>

#include "base/clock.h"
#include "probe/probe.h"

struct names;
struct tls;

/* A kind of check. Each may end the run, also at once. */
struct probe_ops {
    void (*start)(struct probe *p);
    void (*stop)(struct probe *p); /* frees p->own, whatever was begun; not from a callback of
                                      what it frees */
};

struct probe {
    struct probes *all;
    const struct plan *plan;
    const struct probe_ops *ops;
    void *own; /* the kind's; freed by stop() */
    probe_done *done;
    void *arg;
    uint64_t deadline; /* mono ns */
    struct event *timer, *turn;
    bool ended, settled;
    struct probe_answer answer;
};

struct probes {
    struct probe_env env;
    struct names *names; /* of processes; made when first wanted */
    struct shared_tls *tls;
    unsigned running;
};

extern const struct probe_ops probe_process, probe_unix, probe_tcp, probe_http, probe_mcp_http,
    probe_command;

/* It is over; the first end counts. Told in the next turn of the loop. */
void probe_end(struct probe *p, enum own_result result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What is told is this, however the run ends; it goes on all the same. */
void probe_settle(struct probe *p, enum own_result result, const char *message);

/* For want of memory or descriptors, which is no fault of what is checked. */
void probe_end_unrun(struct probe *p, const char *why);

/* Counts towards what the loop was held. */
void probe_spent(const struct probes *all, uint64_t began);

/* The certificates that this plan wants, shared by all that want the same; NULL when memory is
 * out. */
struct tls *probe_tls(struct probes *all, const struct plan *plan);

/* ---- names.c: the names of all processes, read a few at a time ---- */

/* Whether a process has that name: told once, from the loop. */
struct name_wait {
    struct name_wait *next;
    const char *name;
    void (*done)(void *arg, bool found, bool hidden); /* hidden: others' cannot be seen */
    void *arg;
    bool waits;
};

struct names *names_new(struct probes *all);
void names_free(struct names *n);
void names_ask(struct names *n, struct name_wait *w);
void names_forget(struct names *n, struct name_wait *w);

#endif
