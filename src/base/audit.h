/* audit: every privileged act, said once by whoever carries it out. Floor 0.
 *
 * Where it goes is set by daemon/; without a sink it is a log line. An act is said
 * after it was tried, whatever came of it. */
#ifndef MCPTALLY_BASE_AUDIT_H
#define MCPTALLY_BASE_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

/* Who asked: a peer of the control socket (SO_PEERCRED), or the daemon itself. */
struct audit_who {
    bool peer; /* false: the daemon, or a signal to it */
    uint32_t uid, pid;
};

struct audit_act {
    struct audit_who who;
    const char *what;    /* "reload", "sampling.set", "domain.reset", ... */
    const char *object;  /* what it was done to; "" for all */
    const char *outcome; /* "done", or why not */
};

typedef void audit_sink(void *arg, const struct audit_act *act);

/* NULL restores the default. */
void audit_set_sink(audit_sink *sink, void *arg);

void audit_note(const struct audit_act *act);

#endif
