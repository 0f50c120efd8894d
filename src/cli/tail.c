/* tail: prints the records of the rings, and follows them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/feed.h"
#include "cli/filter.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/record.h"
#include "cli/style.h"
#include "otlp/record.h"

struct tail_options {
    const char *runtime_dir;
    struct filter filter;
    const char *severity;
    uint64_t count;
    bool all, no_follow, json;
};

#define AT(member) offsetof(struct tail_options, member)

enum { COUNT_DEFAULT = 10, COUNT_MAX = 100000 };

static const struct option_row rows[] = {
    {"spans", 0, OPTION_FLAG, AT(filter.spans), NULL, "show spans", 0, 0},
    {"logs", 0, OPTION_FLAG, AT(filter.logs), NULL, "show log records", 0, 0},
    {"events", 0, OPTION_FLAG, AT(filter.events), NULL, "show named events", 0, 0},
    {"health", 0, OPTION_FLAG, AT(filter.health), NULL,
     "show health reports; with none of these four: everything", 0, 0},
    {"service", 0, OPTION_TEXT, AT(filter.service), "GLOB", "of services with such a name", 0, 0},
    {"name", 0, OPTION_TEXT, AT(filter.name), "GLOB",
     "spans, events and components with such a name", 0, 0},
    {"severity", 0, OPTION_TEXT, AT(severity), "LEVEL",
     "log records of at least trace, debug, info, warn, error or fatal", 0, 0},
    {"correlation", 0, OPTION_TEXT, AT(filter.correlation), "ID",
     "with this correlation id, or of the trace with this id", 0, 0},
    {"trace", 0, OPTION_TEXT, AT(filter.trace), "ID", "of this trace; its first digits will do", 0,
     0},
    {"slow", 0, OPTION_DURATION, AT(filter.slow), "TIME", "spans that took at least so long", 0, 0},
    {"errors", 0, OPTION_FLAG, AT(filter.errors), NULL,
     "failed spans, log records of at least error, components that are not healthy", 0, 0},
    {"lines", 'n', OPTION_COUNT, AT(count), "COUNT",
     "begin with the last COUNT records (10; all of a correlation or trace)", 0, COUNT_MAX},
    {"all", 0, OPTION_FLAG, AT(all), NULL, "begin with the oldest record there is", 0, 0},
    {"no-follow", 0, OPTION_FLAG, AT(no_follow), NULL, "end instead of waiting for more", 0, 0},
    {"json", 0, OPTION_FLAG, AT(json), NULL, "print one JSON object a line", 0, 0},
    {"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), "DIR",
     "where the daemon's sockets and store are", 0, 0},
};

static const struct options options = {
    .command = "tail",
    .usage = "[--spans] [--logs] [--events] [--health] [-n COUNT] [--no-follow] [--json]",
    .about = "Shows spans, log records, events and health reports as they arrive. Filters that "
             "are given together must all hold. Reads the store itself, so it costs the daemon "
             "nothing, and works when no daemon runs.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { POLL_MS = 100, FLUSH_EVERY = 1 << 16, LINE_MAX = 1 << 20 };

struct tail {
    const struct tail_options *o;
    struct place place;
    struct view view;
    struct feed feed;
    struct event event;
    struct buf out, scratch;
    bool colour;
    uint64_t unreadable; /* records whose bytes cannot be decoded */
};

static bool decode(struct tail *t, const struct ring_view *r)
{
    const int e = record_event(r->kind, r->body, &t->event, &t->scratch);
    t->unreadable += e < 0;
    return e == 0;
}

static bool wanted(struct tail *t, const struct ring_view *r)
{
    return decode(t, r) && filter_match(&t->o->filter, r, &t->event);
}

/* ---- printing ---- */

static bool flush(struct tail *t)
{
    cli_write(buf_str(&t->out));
    buf_reset(&t->out);
    return cli_flush();
}

/* False when nobody reads the output any more. */
static bool print(struct tail *t, const struct ring_view *r)
{
    if (t->o->json)
        record_json(&t->out, r, &t->event);
    else
        record_text(&t->out, r, &t->event, t->colour);
    return t->out.n < FLUSH_EVERY || flush(t);
}

static void report_gaps(struct tail *t)
{
    if (t->feed.lost > 0)
        cli_error("%llu records were overwritten before they could be read",
                  (unsigned long long)t->feed.lost);
    if (t->unreadable > 0)
        cli_error("%llu records could not be decoded", (unsigned long long)t->unreadable);
    t->feed.lost = t->unreadable = 0;
}

/* ---- where to begin ---- */

/* Finds the place from which on `count` records match. */
static int rewind_to_last(struct tail *t, uint64_t count)
{
    struct feed_mark *marks = calloc(count + 1, sizeof *marks);
    if (!marks)
        return -ERR_NOMEM;
    uint64_t n = 0;
    for (;;) {
        struct feed_mark before = t->feed.at;
        const struct ring_view *r = feed_next(&t->feed);
        if (!r)
            break;
        if (wanted(t, r) && count > 0)
            marks[n++ % count] = before;
    }
    if (n > 0)
        feed_rewind(&t->feed, &marks[n < count ? 0 : n % count]);
    free(marks);
    t->feed.lost = t->unreadable = 0;
    return 0;
}

/* ---- going on ---- */

/* Prints what there is. False when nobody reads the output any more. */
static bool drain(struct tail *t)
{
    feed_refresh(&t->feed);
    for (const struct ring_view *r; (r = feed_next(&t->feed));)
        if (wanted(t, r) && !print(t, r))
            return false;
    const bool read = flush(t);
    report_gaps(t);
    return read;
}

/* Sees to it that the view shows what is at the path; 0 or an error. */
static int keep_current(struct tail *t)
{
    if (view_current(&t->view, t->place.store))
        return 0;
    view_close(&t->view);
    const int r = view_open(&t->view, t->place.store);
    if (r == 0) {
        feed_reopened(&t->feed);
        cli_error(t->view.live ? "the daemon is back" : "the daemon is gone; waiting for another");
    }
    return r;
}

static int follow(struct tail *t)
{
    while (!cli_reader_gone(POLL_MS)) {
        const int r = keep_current(t);
        if (r < 0)
            return view_report(t->place.store, r);
        if (!drain(t))
            break;
    }
    return CLI_OK;
}

static int run(struct tail *t)
{
    int r = view_open(&t->view, t->place.store);
    if (r < 0)
        return view_report(t->place.store, r);
    feed_init(&t->feed, &t->view);
    r = t->o->all ? 0 : rewind_to_last(t, t->o->count);
    int status = CLI_OK;
    if (r < 0) {
        cli_error("%s", err_help(r));
        status = CLI_FAILURE;
    } else if (drain(t) && !t->o->no_follow) {
        if (!t->view.live)
            cli_error("no daemon is running; waiting for one");
        status = follow(t);
    }
    view_close(&t->view);
    return status;
}

int cmd_tail(int argc, char **argv)
{
    struct tail_options o = {.count = UINT64_MAX};
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n > 0)
        return options_wrong(&options, "what is '%s'?", argv[1]);
    if (o.severity && !(o.filter.severity = severity_of(str_of(o.severity))))
        return options_wrong(&options, "'%s' is no severity", o.severity);
    if (o.filter.trace && !filter_trace_ok(o.filter.trace))
        return options_wrong(&options, "'%s' is no trace id", o.filter.trace);
    if (o.count == UINT64_MAX) {
        o.all = o.all || o.filter.correlation || o.filter.trace;
        o.count = COUNT_DEFAULT;
    }
    struct tail *t = calloc(1, sizeof *t);
    if (!t)
        return CLI_FAILURE;
    t->o = &o;
    t->colour = style_wanted();
    buf_init(&t->out, FLUSH_EVERY + LINE_MAX);
    buf_init(&t->scratch, 2 * LIMIT_BODY);
    const int status = place_find(&t->place, o.runtime_dir) < 0
                           ? options_wrong(&options, "the runtime directory's path is too long")
                           : run(t);
    buf_fini(&t->out);
    buf_fini(&t->scratch);
    free(t);
    return status;
}
