/* probe: one run of an active check. Floor 4.
 *
 * Everything waits in the loop, or in the helper. A run ends by its time limit at the
 * latest; its end is told once, from the loop, and then it is gone. */
#ifndef MCPTALLY_PROBE_PROBE_H
#define MCPTALLY_PROBE_PROBE_H

#include <event2/event.h>

#include "helper/helper.h"
#include "probe/plan.h"

enum { PROBE_MESSAGE = 200 };

struct probe_env {
    struct event_base *base;
    struct helper *helper;
    const char *proc, *cgroup; /* NULL: /proc, /sys/fs/cgroup */

    /* Told after a callback how long it held the loop, ns; may be NULL. */
    void (*spent)(void *arg, uint64_t ns);
    void *arg;
};

struct probes;
struct probe;

/* What all runs share. NULL when memory is out. */
struct probes *probes_new(const struct probe_env *env);
void probes_free(struct probes *all); /* no run may be left */

struct probe_answer {
    enum own_result result;
    char message[PROBE_MESSAGE]; /* printable UTF-8; of a good one it may be empty */
};
typedef void probe_done(void *arg, const struct probe_answer *a);

/* The plan must outlive it. NULL when memory is out, and then nothing is told. */
struct probe *probe_start(struct probes *all, const struct plan *plan, probe_done *done, void *arg);

/* Ends it at once; nothing is told. Not from its own callback. */
void probe_cancel(struct probe *p);

#endif
