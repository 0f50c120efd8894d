/* Commands, and MCP servers that are started to be asked: the helper runs them. */
#include <stdlib.h>
#include <string.h>

#include "probe/run.h"

/* The first line of what it wrote. */
static struct str first_line(struct str output)
{
    const char *end = output.n ? memchr(output.p, '\n', output.n) : NULL;
    return (struct str){output.p, end ? (size_t)(end - output.p) : output.n};
}

static void end_error(struct probe *p, int error)
{
    switch (-error) {
    case ERR_TIMEOUT:
        probe_end(p, OWN_RESULT_TIMEOUT, "no answer within %.3g s",
                  (double)p->plan->timeout / (double)NS_PER_S);
        break;
    case ERR_RANGE:
        probe_end(p, OWN_RESULT_FAILED, "it wrote more than %u bytes", p->plan->output);
        break;
    case ERR_NOTFOUND:
    case ERR_PERM:
    case ERR_IO:
        probe_end(p, OWN_RESULT_UNREACHABLE, "%s cannot be run: %s", p->plan->argv.p,
                  err_help(error));
        break;
    default:
        probe_end_unrun(p, err_help(error));
    }
}

static void end_died(struct probe *p, const struct helper_ran *r)
{
    if (r->exited)
        probe_end(p, OWN_RESULT_FAILED, "it exited with status %d before it answered", r->status);
    else
        probe_end(p, OWN_RESULT_FAILED, "it was ended by signal %d before it answered", r->status);
}

static void on_mcp(struct probe *p, const struct helper_ran *r)
{
    if (r->asked == MCP_ASK_GOOD)
        probe_end(p, OWN_RESULT_OK, "%s", "");
    else if (r->asked == MCP_ASK_BAD)
        probe_end(p, OWN_RESULT_FAILED, "%.*s", STR_ARG(r->output));
    else if (r->error)
        end_error(p, r->error);
    else
        end_died(p, r);
}

static void on_command(struct probe *p, const struct helper_ran *r)
{
    const struct str said = first_line(r->output);
    if (r->error)
        end_error(p, r->error);
    else if (r->exited && r->status == 0)
        probe_end(p, OWN_RESULT_OK, "%.*s", STR_ARG(said));
    else if (r->exited)
        probe_end(p, OWN_RESULT_FAILED, "status %d%s%.*s", r->status, said.n ? ": " : "",
                  STR_ARG(said));
    else
        probe_end(p, OWN_RESULT_FAILED, "ended by signal %d", r->status);
}

static void on_ran(void *arg, const struct helper_ran *r)
{
    struct probe *p = arg;
    p->own = NULL;
    if (p->plan->kind == CHECK_MCP)
        on_mcp(p, r);
    else
        on_command(p, r);
}

/* The helper keeps the time; ours is for one that does not. */
static void start(struct probe *p)
{
    const struct helper_command c = {
        .argv = p->plan->argv,
        .env = p->plan->env,
        .timeout = p->plan->timeout,
        .cpu = p->plan->cpu,
        .output = p->plan->output,
        .mcp = p->plan->kind == CHECK_MCP,
        .era = p->plan->era,
    };
    p->own = helper_run(p->all->env.helper, &c, on_ran, p);
    if (!p->own)
        probe_end_unrun(p, "no memory");
}

static void stop(struct probe *p)
{
    helper_forget(p->own);
}

const struct probe_ops probe_command = {start, stop};
