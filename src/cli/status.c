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
static void describe_store(struct buf *to, const struct view *v, const char *path)
{
    char version[64];
    read_version(&v->store, version, sizeof version);
    const struct status_info info = {.version = version[0] ? version : NULL, .store_path = path};
    status_document(to, &v->store, &info, clock_now());
}

static void as_text(struct buf *to, const json_t *doc, void *arg)
{
    (void)arg;
    status_text(to, doc, style_wanted());
}

int cmd_status(int argc, char **argv)
{
    struct status_options o = {.timeout = 5 * NS_PER_S};
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
    int status = source_ask(&place, "{\"cmd\":\"status\"}", o.timeout, &answer, &view);
    if (status == CLI_OK && view.mem)
        describe_store(&answer, &view, place.store);
    if (status == CLI_OK)
        status = document_print(&answer, o.json, as_text, NULL);
    view_close(&view);
    buf_fini(&answer);
    return status;
}
