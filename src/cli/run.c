/* run: puts mcptally between an MCP client and a stdio server. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/observer.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/recording.h"
#include "cli/relay.h"
#include "cli/stamp.h"
#include "mcp/name.h"
#include "model/limits.h"
#include "model/text.h"

struct run {
    const char *name, *socket, *runtime_dir, *record;
    bool inject;
};

static const struct option_row rows[] = {
    {"name", 'n', OPTION_TEXT, offsetof(struct run, name), "NAME",
     "the server's service name; else OTEL_SERVICE_NAME, else what the command says", 0, 0},
    {"socket", 's', OPTION_TEXT, offsetof(struct run, socket), "PATH", "the daemon's events.sock",
     0, 0},
    {"runtime-dir", 0, OPTION_TEXT, offsetof(struct run, runtime_dir), "DIR",
     "where the daemon's events.sock is", 0, 0},
    {"inject-trace-context", 0, OPTION_FLAG, offsetof(struct run, inject), NULL,
     "give requests that have no trace context one, in params._meta.traceparent: the only case in "
     "which a byte changes",
     0, 0},
    {"record", 'r', OPTION_TEXT, offsetof(struct run, record), "FILE",
     "write the whole conversation to a file, mode 0600", 0, 0},
};

static const struct options options = {
    .command = "run",
    .usage = "[--name NAME] [--socket PATH] [--record FILE] [--inject-trace-context]\n"
             "    [--] COMMAND [ARGUMENT]...",
    .about = "Runs an MCP server that speaks on stdin and stdout, passes every byte, signal and "
             "the exit status through unchanged, and reports what passes to the daemon.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
    .stop_at_operand = 1,
};

static void choose_name(char *to, size_t size, const struct run *run, char **command)
{
    const char *name = run->name && *run->name ? run->name : getenv("OTEL_SERVICE_NAME");
    char cwd[4096];
    if (name && *name) {
        struct str s = text_cut(str_of(name), size - 1);
        snprintf(to, size, "%.*s", STR_ARG(s));
    } else {
        mcp_service_name(to, size, command, getcwd(cwd, sizeof cwd));
    }
}

/* Without telemetry, or without what it takes, the server runs as if we were
 * not there. */
static int execute(char **command)
{
    execvp(command[0], command);
    int error = errno;
    cli_error("run: %s: %s", command[0], strerror(error));
    return error == ENOENT ? 127 : 126;
}

static bool is_disabled(void)
{
    const char *disabled = getenv("OTEL_SDK_DISABLED");
    return disabled && strcasecmp(disabled, "true") == 0;
}

int cmd_run(int argc, char **argv)
{
    struct run run = {0};
    struct place place;
    struct stamp stamp;
    char name[LIMIT_SERVICE + 1];
    int n = options_parse(&options, argc, argv, &run);
    if (n < 0)
        return options_exit(n);
    if (n == 0)
        return options_wrong(&options, "no command to run");
    if (place_socket(&place, run.runtime_dir, run.socket, &run.socket) < 0)
        return options_wrong(&options, "the runtime directory's path is too long");
    char **command = argv + 1;
    command[n] = NULL;
    if (is_disabled() && !run.record)
        return execute(command);
    choose_name(name, sizeof name, &run, command);
    struct observer_options observer = {name, run.socket, -1, NULL};
    if (run.record && (observer.record = recording_open(run.record)) < 0) {
        cli_error("run: %s: %s", run.record, strerror(errno));
        return CLI_FAILURE;
    }
    struct relay_options relay = {
        .command = command, .observe = observer_run, .arg = &observer, .keep = observer.record};
    if (run.inject && stamp_init(&stamp, getenv("TRACEPARENT"))) {
        observer.stamp = &stamp;
        relay.edit_up = stamp_line;
        relay.edit_arg = &stamp;
    }
    int status = relay_run(&relay);
    if (status != RELAY_NOT_STARTED)
        return status;
    cli_error("run: cannot observe: %s", strerror(errno));
    return execute(command);
}
