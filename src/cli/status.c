/* status: what the daemon is doing. */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/options.h"
#include "cli/source.h"
#include "cli/status_text.h"
#include "cli/style.h"
#include "format/status.h"

static const struct option_row rows[] = {SOURCE_ROWS, SOURCE_JSON};

static const struct options options = {
    .command = "status",
    .usage = "[--json]",
    .about = "Shows the daemon's state and whether its ledgers balance.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { ANSWER_MAX = 16 << 20 };

/* The version of the daemon that was there last, as its store tells. */
static void read_version(const struct store *st, char *to, size_t size)
{
    struct metric_view m;
    struct series_view s;
    to[0] = '\0';
    if (metric_find(st, STR("mcptally_build_info"), &m) && series_read(st, m.first, &s)) {
        const struct str version = labels_get(s.labels, STR("version"));
        snprintf(to, size, "%.*s", STR_ARG(version));
    }
}

/* The same document for a daemon that is gone. */
static int describe_store(struct buf *to, const struct view *v, const struct place *place,
                          void *arg)
{
    char version[64];
    (void)arg;
    read_version(&v->store, version, sizeof version);
    const struct status_info info = {.version = version[0] ? version : NULL,
                                     .store_path = place->store};
    status_document(to, &v->store, &info, clock_now());
    return CLI_OK;
}

static void as_text(struct buf *to, const json_t *doc, void *arg)
{
    (void)arg;
    status_text(to, doc, style_wanted());
}

int cmd_status(int argc, char **argv)
{
    struct source_options o = SOURCE_DEFAULTS;
    const struct source_question question = {
        .request = "{\"cmd\":\"status\"}",
        .most = ANSWER_MAX,
        .stored = describe_store,
        .text = as_text,
    };
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n > 0)
        return options_wrong(&options, "what is '%s'?", argv[1]);
    return source_print(&options, &o, &question);
}
