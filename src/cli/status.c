/* status: what the daemon is doing. */
#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/place.h"

struct status_options {
    const char *runtime_dir;
    uint64_t timeout; /* ns */
    bool json;
};

static const struct option_row rows[] = {
    {"runtime-dir", 0, OPTION_TEXT, offsetof(struct status_options, runtime_dir), "DIR",
     "where the daemon's sockets and store are", 0, 0},
    {"timeout", 0, OPTION_DURATION, offsetof(struct status_options, timeout), "TIME",
     "how long to wait for the daemon's answer (5s)", 1, UINT64_MAX},
    {"json", 0, OPTION_FLAG, offsetof(struct status_options, json), NULL, "print one JSON object",
     0, 0},
};

static const struct options options = {
    .command = "status",
    .usage = "[--json]",
    .about = "Shows the daemon's state and whether its ledgers balance.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { ANSWER_MAX = 16 << 20 };

static int report(const struct place *p, int error)
{
    if (error == -ERR_TIMEOUT)
        cli_error("the daemon did not answer in time on %s", p->control);
    else if (error == -ERR_IO)
        cli_error("cannot reach the daemon on %s: %s", p->control, strerror(errno));
    else
        cli_error("%s: %s", p->control, err_help(error));
    return error == -ERR_TIMEOUT ? CLI_TIMEOUT
           : error == -ERR_IO    ? cli_exit_of(errno)
                                 : CLI_FAILURE;
}

static int print_answer(const struct buf *answer)
{
    json_error_t why;
    json_t *status = json_loadb(answer->p, answer->n, JSON_REJECT_DUPLICATES, &why);
    if (!status) {
        cli_error("the daemon's answer cannot be read: %s", why.text);
        return CLI_FAILURE;
    }
    json_dumpf(status, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(status);
    return CLI_OK;
}

int cmd_status(int argc, char **argv)
{
    struct status_options o = {.timeout = 5 * NS_PER_S};
    struct place place;
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n > 0)
        return options_wrong(&options, "what is '%s'?", argv[1]);
    if (place_find(&place, o.runtime_dir) < 0)
        return options_wrong(&options, "the runtime directory's path is too long");
    struct buf answer;
    buf_init(&answer, ANSWER_MAX);
    const int r = ask(place.control, "{\"cmd\":\"status\"}", o.timeout, &answer);
    const int status = r < 0 ? report(&place, r) : print_answer(&answer);
    buf_fini(&answer);
    return status;
}
