#include "base/audit.h"

#include "base/log.h"

static void to_log(void *arg, const struct audit_act *a)
{
    (void)arg;
    if (a->who.peer)
        log_info("audit", "%s %s by uid %u, pid %u: %s", a->what, a->object, a->who.uid, a->who.pid,
                 a->outcome);
    else
        log_info("audit", "%s %s by the daemon: %s", a->what, a->object, a->outcome);
}

/* Process-wide as where log lines go is. Set by daemon/ only. */
static audit_sink *current_sink = to_log;
static void *current_arg;

void audit_set_sink(audit_sink *sink, void *arg)
{
    current_sink = sink ? sink : to_log;
    current_arg = arg;
}

void audit_note(const struct audit_act *act)
{
    current_sink(current_arg, act);
}
