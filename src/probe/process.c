/* Processes: by a file with a pid, by name, or by the control group of a unit. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/run.h"
#include "serve/procfile.h"

struct process {
    struct helper_call *file;
    struct name_wait name;
};

/* ---- by pid ---- */

/* The state letter, or 0 when its status cannot be read. */
static char state_of(const struct probe *p, uint64_t pid)
{
    char path[300], text[1024];
    snprintf(path, sizeof path, "%s/%" PRIu64 "/stat", p->all->env.proc, pid);
    if (!procfile_read(path, text, sizeof text))
        return 0;
    const char *end = strrchr(text, ')');
    return end && end[1] ? end[2] : 0;
}

/* Another user's process may be hidden from us; whether it is there the kernel tells all. */
static void judge_pid(struct probe *p, uint64_t pid)
{
    const char state = state_of(p, pid);
    if (state == 'Z' || state == 'X')
        probe_end(p, OWN_RESULT_FAILED, "process %" PRIu64 " has died", pid);
    else if (state || kill((pid_t)pid, 0) == 0 || errno == EPERM)
        probe_end(p, OWN_RESULT_OK, "process %" PRIu64 " is alive", pid);
    else
        probe_end(p, OWN_RESULT_FAILED, "there is no process %" PRIu64, pid);
}

static void on_file(void *arg, int error, struct str bytes)
{
    struct probe *p = arg;
    struct process *s = p->own;
    char text[32];
    char *end;
    s->file = NULL;
    if (error) {
        probe_end(p,
                  error == -ERR_NOTFOUND ? OWN_RESULT_FAILED
                  : error == -ERR_PERM   ? OWN_RESULT_UNKNOWN
                                         : OWN_RESULT_NOT_RUN,
                  "%s: %s", p->plan->pid_file, err_help(error));
        return;
    }
    snprintf(text, sizeof text, "%.*s", (int)(bytes.n < 31 ? bytes.n : 31), bytes.p);
    errno = 0;
    const unsigned long long pid = strtoull(text, &end, 10);
    if (end == text || errno || pid < 1 || pid > INT32_MAX)
        probe_end(p, OWN_RESULT_FAILED, "%s holds no pid", p->plan->pid_file);
    else
        judge_pid(p, pid);
}

/* ---- by name ---- */

static void on_name(void *arg, bool found, bool hidden)
{
    struct probe *p = arg;
    if (found)
        probe_end(p, OWN_RESULT_OK, "%s is alive", p->plan->process);
    else if (hidden)
        probe_end(p, OWN_RESULT_UNKNOWN,
                  "processes of other users cannot be seen: see ProtectProc= in systemd.exec(5)");
    else
        probe_end(p, OWN_RESULT_FAILED, "no process has the name %s", p->plan->process);
}

/* ---- by control group ---- */

/* The tree of version 2, which has a place of its own where both are in use. */
static bool find_tree(const struct probe *p, char *to, size_t size)
{
    static const char *const below[] = {"", "/unified"};
    char path[320];
    for (size_t i = 0; i < 2; i++) {
        snprintf(to, size, "%s%s", p->all->env.cgroup, below[i]);
        snprintf(path, sizeof path, "%s/cgroup.controllers", to);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static void judge_group(struct probe *p)
{
    char tree[256], path[1024], text[256];
    uint64_t populated = 0;
    if (!find_tree(p, tree, sizeof tree)) {
        probe_end(p, OWN_RESULT_UNKNOWN, "no control groups of version 2 can be seen");
        return;
    }
    snprintf(path, sizeof path, "%s/%s/cgroup.events", tree, p->plan->cgroup);
    if (!procfile_read(path, text, sizeof text))
        probe_end(p, OWN_RESULT_FAILED, "there is no control group %s", p->plan->cgroup);
    else if (procfile_number(text, "populated ", &populated) && populated)
        probe_end(p, OWN_RESULT_OK, "%s has processes", p->plan->cgroup);
    else
        probe_end(p, OWN_RESULT_FAILED, "%s has no process", p->plan->cgroup);
}

static void start(struct probe *p)
{
    struct process *s = p->own = calloc(1, sizeof *s);
    if (!s) {
        probe_end_unrun(p, "no memory");
        return;
    }
    s->name = (struct name_wait){.name = p->plan->process, .done = on_name, .arg = p};
    if (p->plan->cgroup) {
        judge_group(p);
    } else if (p->plan->process) {
        names_ask(p->all->names, &s->name);
    } else {
        s->file = helper_read_file(p->all->env.helper, p->plan->pid_file, on_file, p);
        if (!s->file)
            probe_end_unrun(p, "no memory");
    }
}

static void stop(struct probe *p)
{
    struct process *s = p->own;
    if (!s)
        return;
    helper_forget(s->file);
    names_forget(p->all->names, &s->name);
    free(s);
}

const struct probe_ops probe_process = {start, stop};
