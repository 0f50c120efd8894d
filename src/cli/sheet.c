#include "cli/sheet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/series.h"

const double sheet_quantiles[SHEET_QUANTILES] = {0.5, 0.95, 0.99};

/* ---- rows ---- */

static struct str keep(char **to, struct str s)
{
    memcpy(*to, s.n ? s.p : "", s.n);
    const struct str kept = {*to, s.n};
    *to += s.n;
    return kept;
}

/* Copies the prototype's texts into the row. */
static int keep_texts(struct sheet_row *row)
{
    const size_t n = row->service.n + row->name.n + row->detail.n;
    char *to = row->text = malloc(n + 1);
    if (!to)
        return -ERR_NOMEM;
    row->service = keep(&to, row->service);
    row->name = keep(&to, row->name);
    row->detail = keep(&to, row->detail);
    return 0;
}

static int keep_buckets(struct sheet_row *row, const struct metric_view *m, const struct sample *s)
{
    const size_t n = m->nbounds;
    row->bounds = malloc(n * sizeof(double) + (n + 1) * sizeof(uint64_t));
    if (!row->bounds)
        return -ERR_NOMEM;
    row->nbounds = m->nbounds;
    row->buckets = (uint64_t *)(void *)(row->bounds + n);
    memcpy(row->bounds, m->bounds, n * sizeof(double));
    memcpy(row->buckets, s->buckets, (n + 1) * sizeof(uint64_t));
    return 0;
}

static void row_fini(struct sheet_row *row)
{
    free(row->text);
    free(row->bounds);
}

static int make_room(struct sheet *s)
{
    if (s->n < s->room)
        return 0;
    const size_t room = s->room ? 2 * s->room : 256;
    struct sheet_row *rows = realloc(s->rows, room * sizeof *rows);
    if (!rows)
        return -ERR_NOMEM;
    s->rows = rows;
    s->room = room;
    return 0;
}

/* Adds a row that is like the prototype, whose texts are borrowed. */
static int add(struct sheet *s, const struct sheet_row *prototype, const struct metric_view *m,
               const struct sample *sample)
{
    if (s->n == SHEET_ROWS_MAX) {
        s->left_out++;
        return 0;
    }
    if (make_room(s) < 0)
        return -ERR_NOMEM;
    struct sheet_row *row = &s->rows[s->n];
    *row = *prototype;
    row->text = NULL;
    row->bounds = NULL;
    int r = keep_texts(row);
    if (r == 0 && m->kind == METRIC_HISTOGRAM)
        r = keep_buckets(row, m, sample);
    if (r < 0)
        row_fini(row);
    else
        s->n++;
    return r;
}

int sheet_row_compare(const struct sheet_row *a, const struct sheet_row *b)
{
    if (a->section != b->section)
        return a->section < b->section ? -1 : 1;
    int c = str_cmp(a->service, b->service);
    c = c ? c : (int)a->client - (int)b->client;
    c = c ? c : str_cmp(a->name, b->name);
    return c ? c : str_cmp(a->detail, b->detail);
}

static int compare_rows(const void *a, const void *b)
{
    return sheet_row_compare(a, b);
}

/* Adds what another series of the same row has. */
static void merge(struct sheet_row *to, const struct sheet_row *from)
{
    to->calls += from->calls;
    to->errors += from->errors;
    to->cancelled += from->cancelled;
    to->sum += from->sum;
    if (isnan(to->in_flight))
        to->in_flight = from->in_flight;
    else if (!isnan(from->in_flight))
        to->in_flight += from->in_flight;
    if (!to->buckets && from->buckets) {
        to->bounds = from->bounds;
        to->buckets = from->buckets;
        to->nbounds = from->nbounds;
        return;
    }
    for (unsigned i = 0; to->buckets && from->buckets && i <= to->nbounds; i++)
        to->buckets[i] += i <= from->nbounds ? from->buckets[i] : 0;
}

/* Sorts the rows and makes one of those that are the same. */
static void join_rows(struct sheet *s)
{
    size_t n = 0;
    if (s->n == 0)
        return;
    qsort(s->rows, s->n, sizeof *s->rows, compare_rows);
    for (size_t i = 1; i < s->n; i++) {
        struct sheet_row *row = &s->rows[i];
        if (sheet_row_compare(&s->rows[n], row) != 0) {
            s->rows[++n] = *row;
            continue;
        }
        const bool taken = !s->rows[n].buckets && row->buckets;
        merge(&s->rows[n], row);
        if (taken)
            row->bounds = NULL;
        row_fini(row);
    }
    s->n = n + 1;
}

/* ---- labels ---- */

/* Undoes the escapes of a canonical label value. */
static void add_unescaped(struct buf *to, struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] != '\\' || i + 1 == value.n)
            buf_addc(to, value.p[i]);
        else
            buf_addc(to, value.p[++i] == 'n' ? '\n' : value.p[i]);
    }
}

static struct str label(struct buf *to, struct str labels, const char *key)
{
    const size_t from = to->n;
    add_unescaped(to, labels_get(labels, str_of(key)));
    return (struct str){to->p + from, to->n - from};
}

/* All labels but the service's, as they are written. */
static struct str other_labels(struct buf *to, struct str labels)
{
    const size_t from = to->n;
    struct str key, value;
    while (labels_next(&labels, &key, &value)) {
        if (str_eq(key, STR("service_name")))
            continue;
        buf_adds(to, to->n > from ? "," : "");
        buf_addstr(to, key);
        buf_adds(to, "=\"");
        buf_addstr(to, value);
        buf_addc(to, '"');
    }
    return (struct str){to->p + from, to->n - from};
}

/* ---- what is shown ---- */

/* X(family, whether the client's side, whether it is the number in flight) */
#define MCP_TABLE(X)                                                                               \
    X("mcp_server_operation_duration_seconds", false, false)                                       \
    X("mcp_client_operation_duration_seconds", true, false)                                        \
    X("mcptally_wrapper_requests_in_flight", false, true)

static const struct mcp_family {
    const char *family;
    bool client, in_flight;
} mcp_families[] = {
#define X(family, client, in_flight) {family, client, in_flight},
    MCP_TABLE(X)
#undef X
};

static const struct mcp_family *mcp_family(struct str family)
{
    for (size_t i = 0; i < sizeof mcp_families / sizeof *mcp_families; i++)
        if (str_eq(family, str_of(mcp_families[i].family)))
            return &mcp_families[i];
    return NULL;
}

/* One series being looked at, and the room for its texts. */
struct look {
    struct sheet *sheet;
    const struct store *st;
    const struct metric_view *m;
    const struct series_view *series;
    const struct sample *sample;
    struct buf *texts;
};

enum { TEXTS_MAX = 8 * LIMIT_LABEL_BYTES };

static void set_counts(struct sheet_row *row, const struct look *l)
{
    const struct sample *s = l->sample;
    row->calls = s->count;
    row->sum = l->m->kind == METRIC_COUNTER ? s->d : s->sum;
    row->in_flight = NAN;
    for (int q = 0; q < SHEET_QUANTILES; q++)
        row->quantile[q] =
            series_quantile(l->st, l->m, l->series, sheet_quantiles[q], l->sheet->mono);
}

static int add_mcp(const struct look *l, const struct mcp_family *f)
{
    struct sheet_row row = {.client = f->client, .seconds = true};
    const struct str labels = l->series->labels;
    set_counts(&row, l);
    if (f->in_flight) {
        row.in_flight = l->sample->d;
        row.client = str_eq(labels_get(labels, STR("side")), STR("client"));
    }
    const struct str error = labels_get(labels, STR("error_type"));
    if (str_eq(error, STR("cancelled")))
        row.cancelled = row.calls;
    else if (error.n > 0)
        row.errors = row.calls;
    for (int q = 0; q < SHEET_QUANTILES; q++)
        row.quantile[q] = NAN; /* rows add up several series: from the spans, or the buckets */
    row.service = label(l->texts, labels, "service_name");
    row.section = SHEET_SERVERS;
    int r = add(l->sheet, &row, l->m, l->sample);
    row.name = label(l->texts, labels, "mcp_method_name");
    row.detail = label(l->texts, labels, "gen_ai_tool_name");
    if (row.detail.n == 0)
        row.detail = label(l->texts, labels, "gen_ai_prompt_name");
    row.section = SHEET_OPERATIONS;
    if (r == 0 && row.name.n > 0)
        r = add(l->sheet, &row, l->m, l->sample);
    return r;
}

static int add_other(const struct look *l)
{
    struct sheet_row row = {.section = SHEET_HISTOGRAMS};
    set_counts(&row, l);
    if (l->m->kind == METRIC_COUNTER)
        row.section = SHEET_COUNTERS;
    row.seconds = str_eq(l->m->unit, STR("s"));
    row.service = label(l->texts, l->series->labels, "service_name");
    row.name = l->m->family;
    row.detail = other_labels(l->texts, l->series->labels);
    return add(l->sheet, &row, l->m, l->sample);
}

static int add_series(const struct look *l)
{
    const struct mcp_family *f = mcp_family(l->m->family);
    buf_reset(l->texts);
    if (!buf_room(l->texts, TEXTS_MAX)) /* so that texts stay where they are */
        return -ERR_NOMEM;
    if (f)
        return add_mcp(l, f);
    return l->m->kind == METRIC_GAUGE ? 0 : add_other(l);
}

/* What mcptally tells of itself, and not of what it watches. */
static bool is_own(const struct metric_view *m)
{
    static const struct str wrapper = {"mcptally_wrapper_", sizeof "mcptally_wrapper_" - 1};
    const bool wrappers =
        m->family.n > wrapper.n && str_eq((struct str){m->family.p, wrapper.n}, wrapper);
    return m->own || (wrappers && !mcp_family(m->family));
}

static int add_metric(struct sheet *s, const struct store *st, const struct metric_view *m,
                      struct buf *texts)
{
    struct series_view series;
    struct sample sample;
    const struct look l = {s, st, m, &series, &sample, texts};
    uint32_t id = m->first, most = m->nseries;
    int r = 0;
    for (; r == 0 && id && most-- && series_read(st, id, &series); id = series.next) {
        if (series.metric != m->id || !(series.flags & SERIES_LIVE) || series.flags & SERIES_GROUP)
            continue;
        series_sample(st, m, &series, &sample);
        if (sample.present)
            r = add_series(&l);
    }
    return r;
}

/* ---- the daemon itself ---- */

static uint64_t own_total(const struct store *st, const char *family)
{
    struct metric_view m;
    struct series_view series;
    struct sample sample;
    uint64_t total = 0;
    if (!metric_find(st, str_of(family), &m))
        return 0;
    uint32_t id = m.first, most = m.nseries;
    for (; id && most-- && series_read(st, id, &series); id = series.next) {
        series_sample(st, &m, &series, &sample);
        total += sample.u;
    }
    return total;
}

static void take_own(struct sheet *s, const struct store *st)
{
    s->received = own_total(st, "mcptally_items_received");
    s->applied = own_total(st, "mcptally_items_applied");
    s->dropped = own_total(st, "mcptally_items_dropped");
    s->sessions = own_total(st, "mcptally_sessions");
}

int sheet_take(struct sheet *s, const struct store *st, struct when now, bool own)
{
    struct metric_view m;
    struct buf texts;
    int r = 0;
    *s = (struct sheet){.mono = now.mono, .wall = now.wall};
    buf_init(&texts, TEXTS_MAX);
    for (uint32_t id = 1; r == 0 && id < metric_ids(st); id++)
        if (metric_read(st, id, &m) && (own || !is_own(&m)))
            r = add_metric(s, st, &m, &texts);
    buf_fini(&texts);
    join_rows(s);
    take_own(s, st);
    if (r < 0)
        sheet_fini(s);
    return r;
}

void sheet_fini(struct sheet *s)
{
    for (size_t i = 0; i < s->n; i++)
        row_fini(&s->rows[i]);
    free(s->rows);
    *s = (struct sheet){0};
}
