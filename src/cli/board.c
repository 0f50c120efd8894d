#include "cli/board.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/duration.h"
#include "cli/plain.h"
#include "cli/style.h"
#include "format/json.h"

/* ---- cells ---- */

/* At most six characters: 0, 12.3, 1234, 12.3k, 4.56M. */
static void add_number(struct buf *to, double v)
{
    static const char units[] = " kMGTPE";
    size_t i = 0;
    if (fabs(v) < 10000) {
        buf_addf(to, v == floor(v) || fabs(v) >= 100 ? "%.0f" : fabs(v) < 0.1 ? "%.1g" : "%.1f", v);
        return;
    }
    for (; fabs(v) >= 999.5 && i + 2 < sizeof units; i++)
        v /= 1000;
    buf_addf(to, "%.*f%c", fabs(v) < 9.995 ? 2 : fabs(v) < 99.95 ? 1 : 0, v, units[i]);
}

static void add_rate(struct buf *to, const struct sheet_line *l)
{
    if (isnan(l->rate))
        buf_addc(to, '-');
    else if (l->rate < 10000)
        buf_addf(to, "%.1f", l->rate);
    else
        add_number(to, l->rate);
}

static void add_calls(struct buf *to, const struct sheet_line *l)
{
    add_number(to, l->row->section == SHEET_COUNTERS ? l->row->sum : (double)l->row->calls);
}

static void add_failed(struct buf *to, const struct sheet_line *l)
{
    if (isnan(l->failed))
        buf_addc(to, '-');
    else
        buf_addf(to, "%.1f", 100 * l->failed);
}

static void add_value(struct buf *to, const struct sheet_line *l, double v)
{
    if (!isnan(v) && l->source == SHEET_BUCKETS)
        buf_addc(to, '~');
    if (isnan(v))
        buf_addc(to, '-');
    else if (l->row->seconds)
        duration_add(to, v > 0 ? (uint64_t)(v * 1e9) : 0);
    else
        add_number(to, v);
}

static void add_p50(struct buf *to, const struct sheet_line *l)
{
    add_value(to, l, l->quantile[SHEET_P50]);
}

static void add_p95(struct buf *to, const struct sheet_line *l)
{
    add_value(to, l, l->quantile[SHEET_P95]);
}

static void add_p99(struct buf *to, const struct sheet_line *l)
{
    add_value(to, l, l->quantile[SHEET_P99]);
}

static void add_flight(struct buf *to, const struct sheet_line *l)
{
    if (isnan(l->row->in_flight))
        buf_addc(to, '-');
    else
        add_number(to, l->row->in_flight);
}

/* ---- columns ---- */

enum {
    ON_MCP = 1 << SHEET_SERVERS | 1 << SHEET_OPERATIONS,
    ON_TIMES = ON_MCP | 1 << SHEET_HISTOGRAMS,
    ON_ALL = ON_TIMES | 1 << SHEET_COUNTERS,
};

/* A narrow screen leaves out those with the highest number first.
 * X("title", width, importance, sections that have it, function) */
#define COLUMN_TABLE(X)                                                                            \
    X("TOTAL", 8, 1, ON_ALL, add_calls)                                                            \
    X("RATE/s", 8, 1, ON_ALL, add_rate)                                                            \
    X("ERR%", 6, 2, ON_MCP, add_failed)                                                            \
    X("P50", 8, 3, ON_TIMES, add_p50)                                                              \
    X("P95", 8, 2, ON_TIMES, add_p95)                                                              \
    X("P99", 8, 4, ON_TIMES, add_p99)                                                              \
    X("IN-FL", 6, 5, ON_MCP, add_flight)

static const struct column {
    const char *title;
    unsigned width, importance, sections;
    void (*add)(struct buf *to, const struct sheet_line *l);
} columns[] = {
#define X(title, width, importance, sections, add) {title, width, importance, sections, add},
    COLUMN_TABLE(X)
#undef X
};

/* Columns are left out until names have so much, if they need it. */
enum {
    NCOLUMNS = sizeof columns / sizeof *columns,
    SERVICE_LEAST = 16,
    NAME_LEAST = 24,
    LEAST = 5
};

/* How a screen's width is shared out. */
struct widths {
    unsigned importance; /* columns up to this are shown */
    unsigned service, name;
};

static const char *const titles[SHEET_SECTIONS][2] = {
    {"SERVER", ""},
    {"SERVER", "OPERATION"},
    {"SERVICE", "HISTOGRAM"},
    {"SERVICE", "COUNTER"},
};

/* The longest name there is: with all its labels and a method's words around it. */
enum { NAME_ROOM = LIMIT_LABEL_BYTES + 2 * LIMIT_NAME, MEASURED = 1000 };

static struct str name_of(char room[NAME_ROOM], const struct sheet_row *row)
{
    struct buf name = {.p = room, .cap = NAME_ROOM, .max = NAME_ROOM};
    const bool labels = row->section >= SHEET_HISTOGRAMS;
    buf_addstr(&name, row->name);
    if (row->detail.n > 0) {
        buf_adds(&name, labels ? "{" : " ");
        buf_addstr(&name, row->detail);
        buf_adds(&name, labels ? "}" : "");
    }
    if (row->client)
        buf_adds(&name, row->section == SHEET_SERVERS ? "(client)" : " (client)");
    return buf_str(&name);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned most(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* What the first rows would fill. Not only those that the screen has lines for:
 * the table would change its shape whenever the order does. */
static struct widths needed(const struct board *b)
{
    char room[NAME_ROOM];
    struct widths w = {0};
    for (size_t i = 0; i < b->now->n && i < MEASURED; i++) {
        const struct sheet_row *row = b->rows[i].row;
        const char *const *title = titles[row->section];
        w.service = most(w.service, (unsigned)plain_width(row->service));
        w.name = most(w.name, (unsigned)plain_width(name_of(room, row)));
        w.service = most(w.service, (unsigned)strlen(title[0]));
        w.name = most(w.name, (unsigned)strlen(title[1]));
    }
    return w;
}

static unsigned fixed_width(unsigned importance)
{
    unsigned sum = 0;
    for (size_t i = 0; i < NCOLUMNS; i++)
        sum += columns[i].importance <= importance ? columns[i].width + 1 : 0;
    return sum;
}

/* The services get what the names leave, and half at least. */
static struct widths widths_of(const struct board *b)
{
    const struct widths need = needed(b);
    const unsigned names = least(need.service, SERVICE_LEAST) + 1 + least(need.name, NAME_LEAST);
    struct widths w = {.importance = LEAST};
    while (w.importance > 0 && fixed_width(w.importance) + names > b->columns)
        w.importance--;
    const unsigned fixed = fixed_width(w.importance);
    const unsigned room = b->columns > fixed ? b->columns - fixed : 0;
    const unsigned left = room > need.name + 1 ? room - need.name - 1 : 0;
    w.service = least(need.service, most(left, (room + 1) / 2));
    w.name = room > w.service + 1 ? least(need.name, room - w.service - 1) : 0;
    return w;
}

static void add_right(struct buf *to, struct str text, unsigned width)
{
    for (size_t n = text.n; n < width; n++)
        buf_addc(to, ' ');
    buf_addstr(to, text);
}

/* ---- rows ---- */

/* Without colour, blanks at the end of a line are nothing but noise. */
static void end_line(struct buf *to, const struct board *b)
{
    style_add(to, b->colour, STYLE_NONE);
    while (to->n > 0 && to->p[to->n - 1] == ' ')
        to->n--;
    buf_addc(to, '\n');
}

static void add_title(struct buf *to, const struct board *b, const struct widths *w,
                      enum sheet_section section)
{
    style_add(to, b->colour, STYLE_HEAD);
    plain_add_fixed(to, str_of(titles[section][0]), w->service);
    buf_adds(to, w->name > 0 ? " " : "");
    plain_add_fixed(to, str_of(titles[section][1]), w->name);
    for (size_t i = 0; i < NCOLUMNS; i++) {
        const bool has = columns[i].sections & 1u << section;
        if (columns[i].importance > w->importance)
            continue;
        buf_addc(to, ' ');
        add_right(to, has ? str_of(columns[i].title) : STR(""), columns[i].width);
    }
    end_line(to, b);
}

static enum style style_of(const struct sheet_line *l)
{
    const bool fails = l->row->section <= SHEET_OPERATIONS && l->failed > 0;
    if (fails)
        return l->failed >= 0.05 ? STYLE_BAD : STYLE_WARN;
    return l->rate <= 0 ? STYLE_DIM : STYLE_NONE; /* an unknown rate is none of these */
}

static void add_row(struct buf *to, const struct board *b, const struct widths *w,
                    const struct sheet_line *l)
{
    char room[64], name[NAME_ROOM];
    style_add(to, b->colour, style_of(l));
    plain_add_fixed(to, l->row->service, w->service);
    buf_adds(to, w->name > 0 ? " " : "");
    plain_add_fixed(to, name_of(name, l->row), w->name);
    for (size_t i = 0; i < NCOLUMNS; i++) {
        if (columns[i].importance > w->importance)
            continue;
        struct buf cell = {.p = room, .cap = sizeof room, .max = sizeof room};
        if (columns[i].sections & 1u << l->row->section)
            columns[i].add(&cell, l);
        buf_addc(to, ' ');
        add_right(to, buf_str(&cell), columns[i].width);
    }
    end_line(to, b);
}

/* ---- the whole ---- */

static double seconds_between(const struct board *b)
{
    return b->before ? (double)(b->now->mono - b->before->mono) / 1e9 : 0;
}

static void add_head(struct buf *to, const struct board *b)
{
    char room[512];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    const double seconds = seconds_between(b);
    moment_add(&line, b->now->wall, 0);
    if (b->live)
        buf_addf(&line, "  daemon %llu", (unsigned long long)b->pid);
    else
        buf_adds(&line, "  no daemon is running");
    buf_addf(&line, "  sessions %llu  received %llu", (unsigned long long)b->now->sessions,
             (unsigned long long)b->now->received);
    if (seconds > 0 && b->now->received >= b->before->received)
        buf_addf(&line, " (%.1f/s)", (double)(b->now->received - b->before->received) / seconds);
    buf_addf(&line, "  dropped %llu  by %s", (unsigned long long)b->now->dropped, b->order);
    plain_add_fixed(to, buf_str(&line), line.n < b->columns ? line.n : b->columns);
    buf_addc(to, '\n');
}

static void add_more(struct buf *to, const struct board *b, uint64_t left)
{
    char text[64];
    const int n = snprintf(text, sizeof text, "... and %llu more", (unsigned long long)left);
    plain_add_fixed(to, (struct str){text, (size_t)n},
                    (unsigned)n < b->columns ? (unsigned)n : b->columns);
    buf_addc(to, '\n');
}

void board_text(struct buf *to, const struct board *b)
{
    const unsigned lines = b->lines ? b->lines : UINT32_MAX;
    const struct widths w = widths_of(b);
    unsigned used = 1;
    size_t i = 0;
    add_head(to, b);
    for (; i < b->now->n && used + 2 < lines; i++) {
        const enum sheet_section section = b->rows[i].row->section;
        if (i == 0 || b->rows[i - 1].row->section != section) {
            if (used + 4 > lines)
                break;
            buf_addc(to, '\n');
            add_title(to, b, &w, section);
            used += 2;
        }
        add_row(to, b, &w, &b->rows[i]);
        used++;
    }
    if (b->now->n > i || b->now->left_out > 0)
        add_more(to, b, b->now->n - i + b->now->left_out);
}

/* ---- for programs ---- */

static void put_quantiles(struct json_writer *j, const struct sheet_line *l)
{
    static const char *const keys[SHEET_QUANTILES] = {"p50", "p95", "p99"};
    for (int q = 0; q < SHEET_QUANTILES; q++)
        json_put_f64(j, keys[q], l->quantile[q]);
    json_put_text(j, "quantiles", sheet_source_word(l->source));
}

static void put_identity(struct json_writer *j, const struct sheet_row *row)
{
    json_put_str(j, "service", row->service);
    if (row->section >= SHEET_HISTOGRAMS) {
        json_put_str(j, "metric", row->name);
        json_put_str(j, "labels", row->detail);
        return;
    }
    json_put_text(j, "side", row->client ? "client" : "server");
    if (row->section == SHEET_OPERATIONS)
        json_put_str(j, "method", row->name);
    if (row->detail.n > 0)
        json_put_str(j, "target", row->detail);
}

static void put_line(struct json_writer *j, const struct sheet_line *l)
{
    const struct sheet_row *row = l->row;
    json_put_object(j, NULL);
    put_identity(j, row);
    json_put_f64(j, "rate", l->rate);
    if (row->section == SHEET_COUNTERS) {
        json_put_f64(j, "value", row->sum);
    } else {
        json_put_u64(j, "calls", row->calls);
        json_put_f64(j, "sum", row->sum);
        put_quantiles(j, l);
    }
    if (row->section <= SHEET_OPERATIONS) {
        json_put_u64(j, "errors", row->errors);
        json_put_u64(j, "cancelled", row->cancelled);
        json_put_f64(j, "failed_ratio", l->failed);
        json_put_f64(j, "in_flight", row->in_flight);
    }
    json_end_object(j);
}

static void put_head(struct json_writer *j, const struct board *b)
{
    char room[40];
    struct buf time = {.p = room, .cap = sizeof room, .max = sizeof room};
    moment_add(&time, b->now->wall, 3);
    json_put_str(j, "time", buf_str(&time));
    json_put_bool(j, "running", b->live);
    json_put_f64(j, "interval_seconds", b->before ? seconds_between(b) : NAN);
    json_put_u64(j, "received", b->now->received);
    json_put_u64(j, "applied", b->now->applied);
    json_put_u64(j, "dropped", b->now->dropped);
    json_put_u64(j, "sessions", b->now->sessions);
    json_put_u64(j, "left_out", b->now->left_out);
}

void board_json(struct buf *to, const struct board *b)
{
    static const char *const sections[SHEET_SECTIONS] = {"servers", "operations", "histograms",
                                                         "counters"};
    struct json_writer j = json_begin(to);
    size_t i = 0;
    json_put_object(&j, NULL);
    put_head(&j, b);
    for (int s = 0; s < SHEET_SECTIONS; s++) {
        json_put_array(&j, sections[s]);
        for (; i < b->now->n && (int)b->rows[i].row->section == s; i++)
            put_line(&j, &b->rows[i]);
        json_end_array(&j);
    }
    json_end_object(&j);
    buf_addc(to, '\n');
}
