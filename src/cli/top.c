/* top: a live table of MCP servers, their operations, and other producers' metrics. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/board.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/recent.h"
#include "cli/screen.h"
#include "cli/style.h"
#include "cli/view.h"

struct top_options {
    const char *runtime_dir, *sort;
    uint64_t interval; /* ns */
    bool once, json, all;
};

#define AT(member) offsetof(struct top_options, member)

static const struct option_row rows[] = {
    {"interval", 'i', OPTION_DURATION, AT(interval), "TIME", "time between two frames (2s)",
     100 * NS_PER_MS, 3600 * NS_PER_S},
    {"once", 0, OPTION_FLAG, AT(once), NULL, "print one frame, with totals, and end", 0, 0},
    {"json", 0, OPTION_FLAG, AT(json), NULL, "print each frame as one JSON object a line", 0, 0},
    {"sort", 0, OPTION_TEXT, AT(sort), "COLUMN",
     "sort by rate, calls, errors, p50, p95, p99, in-flight or name (rate)", 0, 0},
    {"all", 'a', OPTION_FLAG, AT(all), NULL,
     "show the metrics of the daemon and of the wrapper about themselves too", 0, 0},
    {"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), "DIR",
     "where the daemon's sockets and store are", 0, 0},
};

static const struct options options = {
    .command = "top",
    .usage = "[--interval TIME] [--once] [--sort COLUMN] [--json]",
    .about = "Shows calls, rates, errors, quantiles and requests in flight of each MCP server and "
             "operation, then other producers' histograms and counters. Keys: q quits, s sorts "
             "by the next column, space shows a new frame. Reads the store itself, so it costs "
             "the daemon nothing, and works when no daemon runs.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { TEXT_MAX = 64 << 20, PLAIN_COLUMNS = 120, SPANS_PER_FRAME = 100000 };

struct top {
    const struct top_options *o;
    struct place place;
    struct view view;
    struct feed feed;         /* of spans, once the view was opened */
    struct recent recent;     /* what it told */
    struct sheet now, before; /* before is empty until there are two */
    bool two;
    bool single; /* there will be no other frame, which could go on in the ring */
    enum sheet_order order;
    struct buf text;
};

static const char *order_name(enum sheet_order order)
{
    static const char *const names[] = {
#define X(sym, word) word,
        SHEET_ORDER_TABLE(X)
#undef X
    };
    return names[order];
}

/* Opens the view, anew when it was open. 0 or as view_open(). */
static int reopen(struct top *t)
{
    const bool first = !t->feed.view;
    view_close(&t->view);
    const int r = view_open(&t->view, t->place.store);
    if (r < 0)
        return r;
    if (first) {
        feed_init(&t->feed, &t->view);
        feed_only(&t->feed, RING_SPANS);
        return 0;
    }
    if (t->feed.store_id != t->view.store.head->store_id)
        recent_fini(&t->recent); /* the counts begin anew as well */
    feed_reopened(&t->feed);
    return 0;
}

/* The sheet of this moment. */
static int take(struct top *t, struct sheet *next)
{
    feed_refresh(&t->feed);
    int r = recent_read(&t->recent, &t->feed, SPANS_PER_FRAME);
    while (r > 0 && t->single) /* to where the ring was when this began */
        r = recent_read(&t->recent, &t->feed, SPANS_PER_FRAME);
    if (r >= 0)
        r = sheet_take(next, &t->view.store, clock_now(), t->o->all);
    if (r == 0)
        recent_fill(&t->recent, next);
    return r;
}

/* Looks again: the sheet in hand becomes the one before. 0 or as view_open(). */
static int look(struct top *t)
{
    struct sheet next;
    int r = 0;
    if (!t->view.mem || !view_current(&t->view, t->place.store))
        r = reopen(t);
    if (r == 0)
        r = take(t, &next);
    if (r < 0)
        return r;
    sheet_fini(&t->before);
    t->two = t->now.mono != 0;
    t->before = t->now;
    t->now = next;
    return 0;
}

static struct board board_of(const struct top *t, const struct sheet_line *lines)
{
    return (struct board){
        .live = t->view.live,
        .pid = t->view.store.head->pid,
        .order = order_name(t->order),
        .now = &t->now,
        .before = t->two ? &t->before : NULL,
        .rows = lines,
    };
}

/* Fills t->text with a frame of this size, or with JSON when there is none. */
static void draw(struct top *t, unsigned columns, unsigned lines, bool colour)
{
    struct sheet_line *rows_of = sheet_lines(&t->now, t->two ? &t->before : NULL, t->order);
    struct board b = board_of(t, rows_of);
    b.columns = columns;
    b.lines = lines;
    b.colour = colour;
    buf_reset(&t->text);
    if (columns > 0)
        board_text(&t->text, &b);
    else
        board_json(&t->text, &b);
    free(rows_of);
}

static bool print(struct top *t, unsigned columns)
{
    draw(t, columns, 0, columns > 0 && style_wanted());
    cli_write(buf_str(&t->text));
    return cli_flush();
}

static int run_once(struct top *t)
{
    t->single = true;
    const int r = look(t);
    if (r < 0)
        return r;
    print(t, t->o->json ? 0 : screen_width(PLAIN_COLUMNS));
    return 0;
}

/* A frame each interval, as long as somebody reads. */
static int run_json(struct top *t)
{
    const struct timespec pause = {
        .tv_sec = (time_t)(t->o->interval / NS_PER_S),
        .tv_nsec = (long)(t->o->interval % NS_PER_S),
    };
    int r;
    while ((r = look(t)) == 0 && print(t, 0))
        nanosleep(&pause, NULL);
    return r;
}

static bool show(struct top *t)
{
    unsigned columns, lines;
    screen_size(&columns, &lines);
    draw(t, columns, lines, style_wanted());
    return screen_show(buf_str(&t->text));
}

/* What a key asks for: false to end, *again for a new frame at once. */
static bool obey(struct top *t, char key, bool *again)
{
    if (key == 's')
        t->order = (enum sheet_order)((t->order + 1) % SHEET_ORDERS);
    *again = key == ' ';
    return key != 'q' && key != 'Q';
}

/* Waits for the time of the next frame, obeying keys; false to end. */
static bool wait_for_next(struct top *t, struct screen *s)
{
    const uint64_t due = t->now.mono + t->o->interval;
    for (;;) {
        const uint64_t now = clock_now().mono;
        char key = 0;
        bool again = false;
        if (now >= due)
            return true;
        switch (screen_wait(s, due - now, &key)) {
        case SCREEN_TIME:
            break;
        case SCREEN_END:
            return false;
        case SCREEN_KEY:
            if (!obey(t, key, &again))
                return false;
            if (again)
                return true;
            /* fall through */
        case SCREEN_RESIZE:
            if (!show(t))
                return false;
        }
    }
}

static int run_live(struct top *t)
{
    struct screen s;
    int r = look(t);
    if (r < 0)
        return r;
    if (screen_open(&s) < 0)
        return -ERR_IO;
    while (show(t) && wait_for_next(t, &s) && (r = look(t)) == 0)
        continue;
    screen_close(&s);
    return r;
}

static int run(struct top *t)
{
    int r;
    buf_init(&t->text, TEXT_MAX);
    if (t->o->json && !t->o->once)
        r = run_json(t);
    else if (t->o->once || !isatty(STDOUT_FILENO))
        r = run_once(t);
    else
        r = run_live(t);
    return r < 0 ? view_report(t->place.store, r) : CLI_OK;
}

static void top_free(struct top *t)
{
    recent_fini(&t->recent);
    sheet_fini(&t->now);
    sheet_fini(&t->before);
    buf_fini(&t->text);
    view_close(&t->view);
    free(t);
}

int cmd_top(int argc, char **argv)
{
    struct top_options o = {.interval = 2 * NS_PER_S, .sort = "rate"};
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n > 0)
        return options_wrong(&options, "what is '%s'?", argv[1]);
    const int order = sheet_order_of(o.sort);
    if (order < 0)
        return options_wrong(&options, "there is no column '%s'", o.sort);
    struct top *t = calloc(1, sizeof *t);
    if (!t)
        return CLI_FAILURE;
    t->o = &o;
    t->order = (enum sheet_order)order;
    t->view.fd = -1;
    const int status = place_find(&t->place, o.runtime_dir) < 0
                           ? options_wrong(&options, "the runtime directory's path is too long")
                           : run(t);
    top_free(t);
    return status;
}
