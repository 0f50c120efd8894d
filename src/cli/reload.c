/* reload: has a running daemon read its configuration again, and tells whether it did. */
#include <stdlib.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/source.h"

struct reload_options {
    const char *runtime_dir;
    uint64_t timeout; /* ns */
};

static const struct option_row rows[] = {
    {"runtime-dir", 0, OPTION_TEXT, offsetof(struct reload_options, runtime_dir), "DIR",
     "where the daemon's sockets and store are", 0, 0},
    {"timeout", 0, OPTION_DURATION, offsetof(struct reload_options, timeout), "TIME",
     "how long to wait for the daemon's answer (5s)", 1, UINT64_MAX},
};

static const struct options options = {
    .command = "reload",
    .usage = "",
    .about = "Has the daemon read its configuration again, as SIGHUP does, and tells whether that "
             "could be done. A configuration with a fault changes nothing.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { ANSWER_MAX = 1 << 18 };

int cmd_reload(int argc, char **argv)
{
    struct reload_options o = {.timeout = 5 * NS_PER_S};
    struct place place;
    struct view view;
    struct buf answer;
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n > 0)
        return options_wrong(&options, "what is '%s'?", argv[1]);
    if (place_find(&place, o.runtime_dir) < 0)
        return options_wrong(&options, "the runtime directory's path is too long");
    buf_init(&answer, ANSWER_MAX);
    int status = source_ask(&place, "{\"cmd\":\"reload\"}", o.timeout, &answer, &view);
    if (status == CLI_OK && view.mem) {
        cli_error("no daemon runs");
        status = CLI_UNAVAILABLE;
    }
    view_close(&view);
    buf_fini(&answer);
    return status;
}
