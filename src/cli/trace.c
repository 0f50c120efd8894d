/* trace: prints what the store has of a trace, as a tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/feed.h"
#include "cli/filter.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/plain.h"
#include "cli/record.h"
#include "cli/style.h"
#include "cli/trace_tree.h"
#include "format/json.h"
#include "otlp/record.h"

struct trace_options {
    const char *runtime_dir;
    bool json;
};

#define AT(member) offsetof(struct trace_options, member)

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, AT(json), NULL, "print one JSON object", 0, 0},
    {"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), "DIR",
     "where the daemon's sockets and store are", 0, 0},
};

static const struct options options = {
    .command = "trace",
    .usage = "[--json] [--runtime-dir DIR] TRACE_ID",
    .about = "Prints the spans of a trace that the store has, each under its parent: when it "
             "began, how long it took, how much of that it spent itself, and its events and log "
             "records. The first digits of the id will do when no other trace begins so. Reads "
             "the store itself, so it works when no daemon runs.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { FLUSH_EVERY = 1 << 16, OUT_MAX = 4 << 20, COLUMN = 10, DEPTH_SHOWN = 40 };

/* A record of the trace, copied. */
struct kept {
    struct ring_view view;
    struct trace_ref trace;
    bool shown; /* a log record or event: under its span */
};

struct trace {
    const struct trace_options *o;
    struct place place;
    struct view view;
    struct feed feed;
    const char *wanted; /* digits */
    uint8_t id[16];
    bool found, ambiguous;
    struct kept *kept;
    size_t n, room;
    struct trace_span *spans;
    size_t nspans;
    uint64_t start, end; /* of all spans */
    struct event event;
    struct buf out, scratch;
    bool colour;
};

/* ---- reading ---- */

static bool is_wanted(const struct trace *t, const uint8_t id[16])
{
    char hex[2 * 16 + 1];
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    return strncasecmp(t->wanted, hex, strlen(t->wanted)) == 0;
}

static int grow(struct trace *t)
{
    const size_t room = t->room ? 2 * t->room : 64;
    struct kept *kept = realloc(t->kept, room * sizeof *kept);
    if (!kept)
        return -ERR_NOMEM;
    t->kept = kept;
    t->room = room;
    return 0;
}

/* Copies a record: the feed's own goes with the next. */
static int keep(struct trace *t, const struct ring_view *r, const struct trace_ref *trace)
{
    if (t->n == t->room && grow(t) < 0)
        return -ERR_NOMEM;
    char *bytes = malloc(r->service.n + r->body.n + 1);
    if (!bytes)
        return -ERR_NOMEM;
    struct kept *k = &t->kept[t->n++];
    *k = (struct kept){.view = *r, .trace = *trace};
    memcpy(bytes, r->service.p, r->service.n);
    memcpy(bytes + r->service.n, r->body.p, r->body.n);
    k->view.service = (struct str){bytes, r->service.n};
    k->view.body = (struct str){bytes + r->service.n, r->body.n};
    return 0;
}

static int take(struct trace *t, const struct ring_view *r)
{
    struct trace_ref ref;
    if (!record_trace(r->kind, r->body, &ref) || !is_wanted(t, ref.trace_id))
        return 0;
    if (t->found && memcmp(t->id, ref.trace_id, sizeof t->id) != 0) {
        t->ambiguous = true;
        return 0;
    }
    t->found = true;
    memcpy(t->id, ref.trace_id, sizeof t->id);
    return keep(t, r, &ref);
}

static int read_all(struct trace *t)
{
    feed_init(&t->feed, &t->view);
    for (const struct ring_view *r; (r = feed_next(&t->feed));) {
        const int e = take(t, r);
        if (e < 0)
            return e;
    }
    return 0;
}

/* A record as an event, in t->event. False: it cannot be read. */
static bool decode(struct trace *t, size_t record)
{
    const struct ring_view *v = &t->kept[record].view;
    return record_event(v->kind, v->body, &t->event, &t->scratch) == 0;
}

static int make_tree(struct trace *t)
{
    t->spans = calloc(t->n + 1, sizeof *t->spans);
    if (!t->spans)
        return -ERR_NOMEM;
    for (size_t i = 0; i < t->n; i++) {
        if (!decode(t, i) || t->event.kind != EVENT_SPAN)
            continue;
        const struct event *e = &t->event;
        struct trace_span *s = &t->spans[t->nspans++];
        *s = (struct trace_span){.start = e->time, .end = e->end, .record = i};
        memcpy(s->id, e->trace.span_id, sizeof s->id);
        memcpy(s->parent, e->parent_id, sizeof s->parent);
        t->start = t->nspans == 1 || s->start < t->start ? s->start : t->start;
        t->end = s->end > t->end ? s->end : t->end;
    }
    const size_t had = t->nspans;
    t->nspans = trace_tree_build(t->spans, had);
    return had > 0 && t->nspans == 0 ? -ERR_NOMEM : 0;
}

/* ---- for people ---- */

static bool flush(struct trace *t)
{
    cli_write(buf_str(&t->out));
    buf_reset(&t->out);
    return cli_flush();
}

static void add_time(struct trace *t, uint64_t ns)
{
    char room[40];
    struct buf b = {.p = room, .cap = sizeof room, .max = sizeof room};
    duration_add(&b, ns);
    plain_add_fixed(&t->out, buf_str(&b), COLUMN);
}

static uint64_t since_start(const struct trace *t, uint64_t time)
{
    return time > t->start ? time - t->start : 0;
}

static void indent(struct trace *t, unsigned depth)
{
    for (unsigned i = 0; i < depth && i < DEPTH_SHOWN; i++)
        buf_adds(&t->out, "  ");
}

/* The columns of something that has a moment only. */
static void begin_moment(struct trace *t, uint64_t time, unsigned depth)
{
    add_time(t, since_start(t, time));
    plain_add_fixed(&t->out, STR(""), 2 * COLUMN);
    indent(t, depth);
    style_add(&t->out, t->colour, STYLE_DIM);
    buf_adds(&t->out, "- ");
    style_add(&t->out, t->colour, STYLE_NONE);
}

static void add_events(struct trace *t, unsigned depth)
{
    const struct event *e = &t->event;
    for (unsigned i = 0; i < e->nevents; i++) {
        begin_moment(t, e->events[i].time, depth);
        plain_add(&t->out, e->events[i].name);
        record_attrs(&t->out, e, e->events[i].first_attr, e->events[i].nattrs, t->colour);
        buf_addc(&t->out, '\n');
    }
}

static void add_record(struct trace *t, struct kept *k, unsigned depth)
{
    k->shown = true;
    if (!decode(t, (size_t)(k - t->kept)))
        return;
    begin_moment(t, t->event.time, depth);
    if (t->event.kind == EVENT_LOG)
        record_log(&t->out, &t->event, t->colour);
    else
        record_name(&t->out, &t->event, t->colour);
    record_attrs(&t->out, &t->event, 0, t->event.nattrs, t->colour);
    buf_addc(&t->out, '\n');
}

static bool is_span(const struct kept *k)
{
    return k->view.kind == EVENT_SPAN || k->view.kind == RECORD_OTLP_SPAN;
}

/* The log records and events of a span. */
static void add_records(struct trace *t, const uint8_t span[8], unsigned depth)
{
    for (size_t i = 0; i < t->n; i++)
        if (!is_span(&t->kept[i]) && memcmp(t->kept[i].trace.span_id, span, 8) == 0)
            add_record(t, &t->kept[i], depth);
}

static void add_span(struct trace *t, const struct trace_span *s, unsigned depth)
{
    if (!decode(t, s->record))
        return;
    add_time(t, since_start(t, s->start));
    add_time(t, s->end - s->start);
    add_time(t, s->self);
    indent(t, depth);
    record_name(&t->out, &t->event, t->colour);
    buf_adds(&t->out, "  ");
    style_add(&t->out, t->colour, STYLE_NAME);
    plain_add(&t->out, t->kept[s->record].view.service);
    style_add(&t->out, t->colour, STYLE_NONE);
    record_failure(&t->out, &t->event, t->colour);
    buf_addc(&t->out, '\n');
    add_events(t, depth + 1);
    add_records(t, s->id, depth + 1);
}

static void add_orphans_head(struct trace *t, const struct trace_span *s)
{
    plain_add_fixed(&t->out, STR(""), 3 * COLUMN);
    style_add(&t->out, t->colour, STYLE_DIM);
    buf_adds(&t->out, "(parent ");
    record_hex(&t->out, s->parent, sizeof s->parent);
    buf_adds(&t->out, " not seen)\n");
    style_add(&t->out, t->colour, STYLE_NONE);
}

static void add_head(struct trace *t)
{
    buf_adds(&t->out, "trace ");
    record_hex(&t->out, t->id, sizeof t->id);
    if (t->nspans > 0) {
        buf_addf(&t->out, ": %zu span%s, ", t->nspans, t->nspans == 1 ? "" : "s");
        duration_add(&t->out, t->end - t->start);
        buf_adds(&t->out, " from ");
        moment_add(&t->out, t->start, 3);
    }
    buf_addc(&t->out, '\n');
    style_add(&t->out, t->colour, STYLE_DIM);
    plain_add_fixed(&t->out, STR("BEGAN"), COLUMN);
    plain_add_fixed(&t->out, STR("TOOK"), COLUMN);
    plain_add_fixed(&t->out, STR("SELF"), COLUMN);
    buf_adds(&t->out, "SPAN\n");
    style_add(&t->out, t->colour, STYLE_NONE);
}

static void print_text(struct trace *t)
{
    const struct trace_span *before = NULL;
    unsigned under = 0; /* 1 below a parent that was not seen */
    add_head(t);
    for (size_t i = 0; i < t->nspans; i++) {
        const struct trace_span *s = &t->spans[i];
        if (s->orphan && (!before || memcmp(before->parent, s->parent, sizeof s->parent) != 0))
            add_orphans_head(t, s);
        if (s->orphan)
            before = s;
        under = s->orphan ? 1 : under;
        add_span(t, s, s->depth + under);
        if (t->out.n > FLUSH_EVERY && !flush(t))
            return;
    }
    for (size_t i = 0; i < t->n; i++)
        if (!is_span(&t->kept[i]) && !t->kept[i].shown)
            add_record(t, &t->kept[i], 0);
}

/* ---- for programs ---- */

static void put_span(struct trace *t, struct json_writer *j, const struct trace_span *s)
{
    if (!decode(t, s->record))
        return;
    json_put_object(j, NULL);
    json_put_u64(j, "depth", s->depth);
    json_put_bool(j, "parent_seen", !s->orphan);
    json_put_f64(j, "offset_seconds", (double)since_start(t, s->start) / 1e9);
    json_put_f64(j, "self_seconds", (double)s->self / 1e9);
    record_json_members(j, &t->kept[s->record].view, &t->event);
    json_end_object(j);
}

static void print_json(struct trace *t)
{
    char hex[2 * 16 + 1];
    struct json_writer w = json_begin(&t->out), *j = &w;
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", t->id[i]);
    json_put_object(j, NULL);
    json_put_text(j, "trace_id", hex);
    json_put_f64(j, "duration_seconds", (double)(t->end - t->start) / 1e9);
    json_put_array(j, "spans");
    for (size_t i = 0; i < t->nspans; i++) {
        put_span(t, j, &t->spans[i]);
        if (t->out.n > FLUSH_EVERY && !flush(t))
            return;
    }
    json_end_array(j);
    json_put_array(j, "records");
    for (size_t i = 0; i < t->n; i++) {
        if (is_span(&t->kept[i]) || !decode(t, i))
            continue;
        json_put_object(j, NULL);
        record_json_members(j, &t->kept[i].view, &t->event);
        json_end_object(j);
        if (t->out.n > FLUSH_EVERY && !flush(t))
            return;
    }
    json_end_array(j);
    json_end_object(j);
    buf_addc(&t->out, '\n');
}

/* ---- the command ---- */

static int show(struct trace *t)
{
    int e = read_all(t);
    if (e == 0 && t->ambiguous) {
        cli_error("trace: several traces begin with %s; give more digits", t->wanted);
        return CLI_FAILURE;
    }
    if (e == 0 && !t->found) {
        cli_error("trace: the store has nothing of trace %s", t->wanted);
        return CLI_FAILURE;
    }
    e = e < 0 ? e : make_tree(t);
    if (e < 0) {
        cli_error("%s", err_help(e));
        return CLI_FAILURE;
    }
    if (t->o->json)
        print_json(t);
    else
        print_text(t);
    flush(t);
    return CLI_OK;
}

static int run(struct trace *t)
{
    const int r = view_open(&t->view, t->place.store);
    if (r < 0)
        return view_report(t->place.store, r);
    const int status = show(t);
    view_close(&t->view);
    return status;
}

static void fini(struct trace *t)
{
    for (size_t i = 0; i < t->n; i++)
        free((char *)(uintptr_t)t->kept[i].view.service.p);
    free(t->kept);
    free(t->spans);
    buf_fini(&t->out);
    buf_fini(&t->scratch);
    free(t);
}

int cmd_trace(int argc, char **argv)
{
    struct trace_options o = {0};
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n != 1)
        return options_wrong(&options, n == 0 ? "which trace?" : "one trace at a time");
    if (!filter_trace_ok(argv[1]))
        return options_wrong(&options, "'%s' is no trace id", argv[1]);
    struct trace *t = calloc(1, sizeof *t);
    if (!t)
        return CLI_FAILURE;
    t->o = &o;
    t->wanted = argv[1];
    t->colour = style_wanted();
    buf_init(&t->out, OUT_MAX);
    buf_init(&t->scratch, 2 * LIMIT_BODY);
    const int status = place_find(&t->place, o.runtime_dir) < 0
                           ? options_wrong(&options, "the runtime directory's path is too long")
                           : run(t);
    fini(t);
    return status;
}
