/* sampling: the rates of a running daemon, shown and changed. */
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/options.h"
#include "cli/sampling_text.h"
#include "cli/source.h"

static const struct option_row rows[] = {SOURCE_ROWS, SOURCE_JSON};

static const struct options options = {
    .command = "sampling",
    .usage = "[show] [--json]\nset TIER RATE\nreset TIER",
    .about = "Shows which share of the traces of each tier is kept, changes it until it is reset, "
             "or goes back to what is configured. TIER is critical, normal or debug; RATE is a "
             "percentage such as 25% or a ratio such as 0.25.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { ANSWER_MAX = 1 << 20 };

static bool read_rate(const char *text, double *out)
{
    char *end;
    const double v = strtod(text, &end);
    const bool percent = *end == '%';
    if (end == text || end[percent] != '\0' || !isfinite(v))
        return false;
    *out = percent ? v / 100 : v;
    return *out >= 0 && *out <= 1;
}

static bool is_tier(const char *text)
{
    return strcmp(text, "critical") == 0 || strcmp(text, "normal") == 0 ||
           strcmp(text, "debug") == 0;
}

/* The request of the operands; false after a message. */
static bool make_request(int n, char **words, char *to, size_t size)
{
    double rate = 0;
    const char *verb = n > 0 ? words[0] : "show";
    if (strcmp(verb, "show") == 0 && n <= 1) {
        snprintf(to, size, "{\"cmd\":\"sampling\"}");
        return true;
    }
    const bool set = strcmp(verb, "set") == 0, reset = strcmp(verb, "reset") == 0;
    if (!set && !reset)
        return options_wrong(&options, "what is '%s'?", words[n > 1 ? 1 : 0]), false;
    if (n != (set ? 3 : 2))
        return options_wrong(&options, "expected %s", set ? "set TIER RATE" : "reset TIER"), false;
    if (!is_tier(words[1]))
        return options_wrong(&options, "a tier is critical, normal or debug, not '%s'", words[1]),
               false;
    if (set && !read_rate(words[2], &rate))
        return options_wrong(&options, "a rate is 0%% to 100%%, or 0 to 1, not '%s'", words[2]),
               false;
    if (set)
        snprintf(to, size, "{\"cmd\":\"sampling.set\",\"tier\":\"%s\",\"rate\":%.17g}", words[1],
                 rate);
    else
        snprintf(to, size, "{\"cmd\":\"sampling.reset\",\"tier\":\"%s\"}", words[1]);
    return true;
}

static void as_text(struct buf *to, const json_t *doc, void *arg)
{
    (void)arg;
    sampling_text(to, doc);
}

/* The rates of a store that nobody has mean nothing. */
int cmd_sampling(int argc, char **argv)
{
    struct source_options o = SOURCE_DEFAULTS;
    char request[128];
    const struct source_question question = {
        .request = request, .most = ANSWER_MAX, .stored = source_no_daemon, .text = as_text};
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (!make_request(n, argv + 1, request, sizeof request))
        return CLI_USAGE;
    return source_print(&options, &o, &question);
}
