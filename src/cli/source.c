#include "cli/source.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/cli.h"

static const struct timespec retry_pause = {.tv_nsec = 50000000};

static int report(const struct place *p, int error)
{
    const int why = errno;
    if (error == -ERR_TIMEOUT)
        cli_error("the daemon did not answer in time on %s", p->control);
    else if (error == -ERR_IO)
        cli_error("cannot reach the daemon on %s: %s", p->control, strerror(why));
    else
        cli_error("%s: %s", p->control, err_help(error));
    return error == -ERR_TIMEOUT ? CLI_TIMEOUT : error == -ERR_IO ? cli_exit_of(why) : CLI_FAILURE;
}

/* A refusal is {"error":"why"}. */
static int check_refusal(const struct buf *answer)
{
    int status = CLI_OK;
    if (answer->n == 0) {
        cli_error("the daemon closed the connection: it has too many at its control socket");
        return CLI_UNAVAILABLE;
    }
    const char *end = memchr(answer->p, '\n', answer->n);
    const size_t n = end ? (size_t)(end - answer->p) : answer->n;
    json_t *line = json_loadb(answer->p, n, 0, NULL);
    const char *why = json_string_value(json_object_get(line, "error"));
    if (why) {
        cli_error("the daemon: %s", why);
        status = CLI_FAILURE;
    }
    json_decref(line);
    return status;
}

static bool nobody_listens(int r)
{
    return r == -ERR_IO && (errno == ENOENT || errno == ECONNREFUSED);
}

int source_ask(const struct place *place, const char *request, uint64_t timeout, struct buf *answer,
               struct view *v)
{
    const uint64_t deadline = clock_now().mono + timeout;
    *v = (struct view){.fd = -1};
    for (;;) {
        buf_reset(answer);
        int r = ask(place->control, request, timeout, answer);
        if (r == 0)
            return check_refusal(answer);
        if (!nobody_listens(r))
            return report(place, r);
        r = view_open(v, place->store);
        if (r < 0)
            return view_report(place->store, r);
        if (!v->live)
            return CLI_OK;
        view_close(v); /* a daemon holds the store but does not serve yet */
        if (clock_now().mono >= deadline)
            return report(place, -ERR_TIMEOUT);
        nanosleep(&retry_pause, NULL);
    }
}

int source_no_daemon(struct buf *to, const struct view *v, const struct place *place, void *arg)
{
    (void)to;
    (void)v;
    (void)place;
    (void)arg;
    cli_error("no daemon runs");
    return CLI_UNAVAILABLE;
}

int source_print(const struct options *options, const struct source_options *o,
                 const struct source_question *q)
{
    struct place place;
    struct view view;
    struct buf answer;
    if (place_find(&place, o->runtime_dir) < 0)
        return options_wrong(options, "the runtime directory's path is too long");
    buf_init(&answer, q->most);
    int status = source_ask(&place, q->request, o->timeout, &answer, &view);
    if (status == CLI_OK && view.mem)
        status = q->stored(&answer, &view, &place, q->arg);
    if (status == CLI_OK && q->text)
        status = document_print(&answer, o->json, q->text, q->arg);
    view_close(&view);
    buf_fini(&answer);
    return status;
}
