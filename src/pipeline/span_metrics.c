#include "pipeline/span_metrics.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/num.h"
#include "model/text.h"
#include "pipeline/naming.h"
#include "pipeline/rules.h"
#include "store/read.h"
#include "store/series.h"

enum {
    SPOTS = 4096, /* entries of the cache, a power of two; 96 KiB */
    WORD = 8,
    NUMBER_TEXT = 40,
};

enum span_metric { SPAN_CALLS, SPAN_DURATION, MCP_SERVER_DURATION, MCP_CLIENT_DURATION };

/* Where the cache leads to. */
struct span_spot {
    uint64_t key; /* 0: free */
    uint64_t cells;
    uint32_t series; /* held */
    uint8_t op;      /* enum cell_op, as the store has it: quantiles may have been asked for */
    bool overflow;
};

static const double span_bounds[] = {0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2,
                                     0.4,   0.8,   1,     1.4,   2,    5,    10,  15};
static const double mcp_bounds[RULES_NBOUNDS] = RULES_BOUNDS;

static const struct {
    const char *name, *unit, *help;
    enum metric_kind kind;
    enum value_type type;
    const double *bounds;
    unsigned nbounds;
} metrics[] = {
    [SPAN_CALLS] = {"traces.span.metrics.calls", "", "Spans, by what they are of.", METRIC_COUNTER,
                    VALUE_U64, NULL, 0},
    [SPAN_DURATION] = {"traces.span.metrics.duration", "s", "Time from a span's start to its end.",
                       METRIC_HISTOGRAM, VALUE_F64, span_bounds,
                       sizeof span_bounds / sizeof *span_bounds},
    [MCP_SERVER_DURATION] = {"mcp.server.operation.duration", "s",
                             "Time from a client's request to the server's answer.",
                             METRIC_HISTOGRAM, VALUE_F64, mcp_bounds, RULES_NBOUNDS},
    [MCP_CLIENT_DURATION] = {"mcp.client.operation.duration", "s",
                             "Time from a server's request to the client's answer.",
                             METRIC_HISTOGRAM, VALUE_F64, mcp_bounds, RULES_NBOUNDS},
};

/* ---- labels of a span ---- */

struct span_labels {
    unsigned n;
    uint64_t hash;
    struct label all[LIMIT_LABELS];
    char number[LIMIT_LABELS][NUMBER_TEXT];
};

static void add(struct span_labels *l, struct str key, struct str value)
{
    if (l->n == LIMIT_LABELS - 1)
        return;
    value = text_cut(value, LIMIT_LABEL_VALUE);
    l->hash = hash_bytes(value.p, value.n, l->hash + l->n);
    l->all[l->n++] = (struct label){key, value};
}

static void add_attr(struct span_labels *l, struct str key, const struct attr *a)
{
    char *number = l->number[l->n];
    if (a->type == ATTR_STRING)
        add(l, key, a->s);
    else if (a->type == ATTR_BOOL)
        add(l, key, a->i ? STR("true") : STR("false"));
    else if (a->type == ATTR_F64)
        add(l, key, (struct str){number, num_f64(number, a->d)});
    else
        add(l, key, (struct str){number, num_f64(number, (double)a->i)});
}

static const struct attr *find(const struct attr *attrs, unsigned n, struct str key)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(attrs[i].key, key))
            return &attrs[i];
    return NULL;
}

static struct str text_attr(const struct event *e, struct str key)
{
    const struct attr *a = find(e->attrs, e->nattrs, key);
    return a && a->type == ATTR_STRING ? a->s : (struct str){0};
}

static uint64_t hash_of(const struct pipeline *pl, const struct span_source *from)
{
    return hash_bytes(from->service.p, from->service.n, pl->st->head->secret + from->domain);
}

static void begin(struct span_labels *l, uint64_t source)
{
    l->n = 0;
    l->hash = source;
}

/* One of a few texts; `which` of them tells the hash as much as the text would. */
static void add_choice(struct span_labels *l, struct str key, struct str text, unsigned which)
{
    l->hash = (l->hash ^ (which + 1)) * UINT64_C(0x9e3779b97f4a7c15);
    l->all[l->n++] = (struct label){key, text};
}

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    } /* STR() is no constant */

static void span_labels(struct span_labels *l, const struct pipeline *pl, const struct event *e,
                        const struct span_source *from, uint64_t source)
{
    static const struct str kinds[] = {
        TEXT("SPAN_KIND_UNSPECIFIED"), TEXT("SPAN_KIND_INTERNAL"), TEXT("SPAN_KIND_SERVER"),
        TEXT("SPAN_KIND_CLIENT"),      TEXT("SPAN_KIND_PRODUCER"), TEXT("SPAN_KIND_CONSUMER"),
    };
    static const struct str codes[] = {TEXT("STATUS_CODE_UNSET"), TEXT("STATUS_CODE_OK"),
                                       TEXT("STATUS_CODE_ERROR")};
    const unsigned kind = e->span_kind <= SPAN_CONSUMER ? e->span_kind : 0;
    const unsigned code = e->status <= SPAN_ERROR ? e->status : 0;
    const struct pipeline_options *o = &pl->options;
    begin(l, source);
    add(l, STR("span.name"), e->name);
    add_choice(l, STR("span.kind"), kinds[kind], kind);
    add_choice(l, STR("status.code"), codes[code], code);
    for (unsigned i = 0; i < o->nspan_dimensions; i++) {
        const struct attr *a = find(e->attrs, e->nattrs, o->span_dimensions[i]);
        if (!a)
            a = find(from->attrs, from->nattrs, o->span_dimensions[i]);
        if (a)
            add_attr(l, o->span_dimensions[i], a);
        else
            l->hash++;
    }
}

/* ---- the cache ---- */

static void let_go(struct pipeline *pl, struct span_spot *spot)
{
    if (spot->key)
        series_let_go(pl->st, spot->series);
    *spot = (struct span_spot){0};
}

void span_metrics_sweep(struct pipeline *pl)
{
    struct series_view s;
    for (unsigned i = 0; pl->spots && i < SPOTS; i++) {
        struct span_spot *spot = &pl->spots[i];
        if (spot->key &&
            (spot->overflow || !series_read(pl->st, spot->series, &s) || !(s.flags & SERIES_LIVE)))
            let_go(pl, spot);
    }
}

void span_metrics_forget(struct pipeline *pl)
{
    for (unsigned i = 0; pl->spots && i < SPOTS; i++)
        let_go(pl, &pl->spots[i]);
    store_commit(pl->st);
}

void span_metrics_fini(struct pipeline *pl)
{
    free(pl->spots);
    pl->spots = NULL;
}

static int define(struct pipeline *pl, enum span_metric which, uint32_t *metric)
{
    struct metric_def def = {
        .name = str_of(metrics[which].name),
        .unit = str_of(metrics[which].unit),
        .help = str_of(metrics[which].help),
        .kind = metrics[which].kind,
        .type = metrics[which].type,
        .nbounds = metrics[which].nbounds,
    };
    if (def.nbounds)
        memcpy(def.bounds, metrics[which].bounds, def.nbounds * sizeof *def.bounds);
    return metric_define(pl->st, &def, false, metric);
}

/* Finds or makes the series; false when there is no room, or somebody else has taken
 * the metric's name for another kind. */
static bool fill(struct pipeline *pl, struct span_spot *spot, enum span_metric which,
                 const struct span_labels *l, const struct span_source *from, struct when now)
{
    struct series_ask ask = {.domain = from->domain, .now = now};
    uint64_t cells;
    uint32_t series;
    if (define(pl, which, &ask.metric) < 0 || naming_ask(pl, from->service, l->all, l->n, &ask) < 0)
        return false;
    const int got = series_make(pl->st, &ask, &series);
    if (got < 0)
        return false;
    if (got > 0)
        own_add(&pl->own, OWN_SERIES_OVERFLOW, from->domain, 1);
    const enum cell_op op = series_target(pl->st, series, 0, &cells);
    series_hold(pl->st, series);
    *spot = (struct span_spot){
        .cells = cells, .series = series, .op = (uint8_t)op, .overflow = got > 0};
    return true;
}

/* The series of a span, NULL when there is none. */
static const struct span_spot *reach(struct pipeline *pl, enum span_metric which,
                                     const struct span_labels *l, const struct span_source *from,
                                     struct when now)
{
    const uint64_t key = l->hash << 3 | (uint64_t)which << 1 | 1; /* of each metric its own */
    if (!pl->spots)
        pl->spots = calloc(SPOTS, sizeof *pl->spots);
    if (!pl->spots)
        return NULL;
    struct span_spot *spot = &pl->spots[(key >> 1) & (SPOTS - 1)];
    if (spot->key != key) {
        let_go(pl, spot);
        if (!fill(pl, spot, which, l, from, now))
            return NULL;
        spot->key = key;
    }
    return spot;
}

/* ---- observations ---- */

static const struct span_spot *apply(struct pipeline *pl, enum span_metric which,
                                     const struct span_labels *l, const struct span_source *from,
                                     uint64_t bits, struct when now)
{
    const struct span_spot *spot = reach(pl, which, l, from, now);
    if (!spot)
        return NULL;
    series_touch(pl->st, spot->series, spot->op, spot->cells, now);
    (void)cell_apply(pl->st, spot->op, spot->cells, bits, now.mono / (60 * NS_PER_S));
    return spot;
}

static void observe(struct pipeline *pl, enum span_metric which, const struct span_labels *l,
                    const struct span_source *from, const struct event *e, struct when now)
{
    const uint64_t lasted = e->end > e->time ? e->end - e->time : 0;
    const double seconds = (double)lasted / (double)NS_PER_S;
    const struct span_spot *spot = apply(pl, which, l, from, f64_bits(seconds), now);
    const struct exemplar x = {e->trace, seconds, e->end};
    if (spot)
        exemplar_note(&pl->exemplars, pl->st, spot->series, &x);
}

/* ---- MCP ---- */

/* Codes that say the client asked wrongly: no failure of the server. */
static bool clients_fault(struct str code)
{
    static const char *const codes[] = {"-32700", "-32600", "-32601", "-32602", "-32002"};
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++)
        if (str_eq(code, str_of(codes[i])))
            return true;
    return false;
}

/* What the span says its failure was; for one that says nothing, what can be told. */
static struct str error_type(const struct event *e, struct str code)
{
    const struct str type = text_attr(e, STR("error.type"));
    if (e->span_kind == SPAN_SERVER && clients_fault(code))
        return (struct str){0};
    if (type.n || e->status != SPAN_ERROR)
        return type;
    return code.n ? code : STR("_OTHER");
}

static void mcp_labels(struct span_labels *l, const struct event *e, struct str method)
{
    static const char *const keys[] = {"gen_ai.tool.name", "gen_ai.prompt.name",
                                       "gen_ai.operation.name", "mcp.protocol.version",
                                       "network.transport"};
    const struct attr *status = find(e->attrs, e->nattrs, STR("rpc.response.status_code"));
    struct str code = {0};
    add(l, STR("mcp.method.name"), method);
    if (status) {
        add_attr(l, status->key, status);
        code = l->all[l->n - 1].value;
    }
    add(l, STR("error.type"), error_type(e, code));
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        add(l, str_of(keys[i]), text_attr(e, str_of(keys[i])));
}

static void note_mcp(struct pipeline *pl, const struct event *e, const struct span_source *from,
                     uint64_t source, struct when now)
{
    struct span_labels l;
    const struct str method = text_attr(e, STR("mcp.method.name"));
    if (method.n == 0 || (e->span_kind != SPAN_SERVER && e->span_kind != SPAN_CLIENT))
        return;
    begin(&l, source);
    mcp_labels(&l, e, method);
    observe(pl, e->span_kind == SPAN_SERVER ? MCP_SERVER_DURATION : MCP_CLIENT_DURATION, &l, from,
            e, now);
}

void span_metrics_note(struct pipeline *pl, const struct event *span,
                       const struct span_source *from, struct when now)
{
    struct span_labels l;
    if (!pl->options.span_metrics)
        return;
    const uint64_t source = hash_of(pl, from);
    span_labels(&l, pl, span, from, source);
    (void)apply(pl, SPAN_CALLS, &l, from, 1, now);
    observe(pl, SPAN_DURATION, &l, from, span, now);
    if (from->otlp)
        note_mcp(pl, span, from, source, now);
}
