/* maintenance, verify: what the timers run, and what an operator may. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/upkeep.h"

struct upkeep_options {
    const char *runtime_dir, *state_dir;
    uint64_t keep, timeout; /* ns */
};

#define DAY (24 * 3600 * NS_PER_S)

#define DIRECTORY_ROWS                                                                             \
    {"runtime-dir",                                                                                \
     0,                                                                                            \
     OPTION_TEXT,                                                                                  \
     offsetof(struct upkeep_options, runtime_dir),                                                 \
     "DIR",                                                                                        \
     "where the daemon's sockets and store are",                                                   \
     0,                                                                                            \
     0},                                                                                           \
    {                                                                                              \
        "state-dir", 0, OPTION_TEXT, offsetof(struct upkeep_options, state_dir), "DIR",            \
            "where the daemon's spools are", 0, 0                                                  \
    }

static const struct option_row verify_rows[] = {DIRECTORY_ROWS};
static const struct option_row rows[] = {
    DIRECTORY_ROWS,
    {"keep", 0, OPTION_DURATION, offsetof(struct upkeep_options, keep), "TIME",
     "how long what was set aside is kept (720h, 30 days)", 0, UINT64_MAX},
    {"timeout", 0, OPTION_DURATION, offsetof(struct upkeep_options, timeout), "TIME",
     "how long to wait for the daemon's answer (5s)", 1, UINT64_MAX},
};

static const struct options verify_options = {
    .command = "verify",
    .usage = "",
    .about = "Checks a copy of the store, every record of the spools, and the audit log. Changes "
             "nothing, and works beside a running daemon.",
    .rows = verify_rows,
    .nrows = sizeof verify_rows / sizeof *verify_rows,
};

static const struct options options = {
    .command = "maintenance",
    .usage = "daily | weekly | monthly",
    .about = "What the timers of the package run. daily: removes what was set aside long ago. "
             "weekly: checks the store, the spools and the audit log. monthly: writes a report of "
             "the figures since the report before. All of it works beside a running daemon and "
             "may be repeated.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

static const struct {
    const char *word;
    int (*act)(const struct upkeep *u);
} acts[] = {{"daily", upkeep_daily}, {"weekly", upkeep_weekly}, {"monthly", upkeep_monthly}};

static int act(const struct options *o, const struct upkeep_options *given,
               int (*what)(const struct upkeep *))
{
    struct upkeep u = {.keep = given->keep, .timeout = given->timeout};
    if (upkeep_find(&u, given->runtime_dir, given->state_dir) < 0)
        return options_wrong(o, "a directory's path is too long");
    return what(&u);
}

int cmd_verify(int argc, char **argv)
{
    struct upkeep_options o = {0};
    const int n = options_parse(&verify_options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n > 0)
        return options_wrong(&verify_options, "what is '%s'?", argv[1]);
    return act(&verify_options, &o, upkeep_weekly);
}

int cmd_maintenance(int argc, char **argv)
{
    struct upkeep_options o = {.keep = 30 * DAY, .timeout = 5 * NS_PER_S};
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    for (size_t i = 0; n == 1 && i < sizeof acts / sizeof *acts; i++)
        if (strcmp(argv[1], acts[i].word) == 0)
            return act(&options, &o, acts[i].act);
    return options_wrong(&options, "say daily, weekly or monthly");
}
