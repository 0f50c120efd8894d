/* reload: has a running daemon read its configuration again, and tells whether it did. */
#include <stdlib.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/source.h"

static const struct option_row rows[] = {SOURCE_ROWS};

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
    struct source_options o = SOURCE_DEFAULTS;
    const struct source_question question = {
        .request = "{\"cmd\":\"reload\"}", .most = ANSWER_MAX, .stored = source_no_daemon};
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n > 0)
        return options_wrong(&options, "what is '%s'?", argv[1]);
    return source_print(&options, &o, &question);
}
