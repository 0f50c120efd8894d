/* From the attributes of OTLP points and resources to labels. */
#include <assert.h>

#include "base/num.h"
#include "model/text.h"
#include "pipeline/naming.h"
#include "pipeline/otlp_request.h"
#include "store/series.h"

enum {
    NUMBER_TEXT = 40,
    LOOK_COST = 8, /* units that looking at one series counts */
    INFO_COST = 256,
};

struct label_list {
    unsigned n;
    bool over; /* there were more than a series may have */
    struct label all[LIMIT_LABELS];
    char number[LIMIT_LABELS][NUMBER_TEXT];
};

static struct str text_of(const struct attr *a, char *number)
{
    switch (a->type) {
    case ATTR_BOOL:
        return a->i ? STR("true") : STR("false");
    case ATTR_I64:
        break;
    case ATTR_F64:
        return (struct str){number, num_f64(number, a->d)};
    case ATTR_STRING:
        return text_cut(a->s, LIMIT_LABEL_VALUE);
    }
    const bool negative = a->i < 0;
    number[0] = '-';
    const uint64_t size = negative ? 0 - (uint64_t)a->i : (uint64_t)a->i;
    return (struct str){number, negative + num_u64(number + negative, size)};
}

static void add(struct label_list *l, struct str key, struct str value)
{
    if (l->n == LIMIT_LABELS - 1) { /* one is the service's */
        l->over = true;
        return;
    }
    l->all[l->n++] = (struct label){key, value};
}

static void add_attr(struct label_list *l, const struct attr *a)
{
    add(l, a->key, text_of(a, l->number[l->n]));
}

/* Resource attributes that the options make labels. */
static void add_resource(const struct otlp_request *r, struct label_list *l)
{
    const struct pipeline_options *o = &r->pl->options;
    for (unsigned k = 0; k < o->nresource_labels; k++)
        for (unsigned i = 0; i < r->origin.nattrs; i++)
            if (str_eq(r->origin.attrs[i].key, o->resource_labels[k]))
                add_attr(l, &r->origin.attrs[i]);
}

static void add_scope(const struct otlp_request *r, struct label_list *l)
{
    if (!r->pl->options.scope_labels)
        return;
    add(l, STR("otel_scope_name"), text_cut(r->origin.scope, LIMIT_LABEL_VALUE));
    add(l, STR("otel_scope_version"), text_cut(r->origin.scope_version, LIMIT_LABEL_VALUE));
}

/* What the options add comes first: a point's attribute of the same name yields. */
int otlp_series(struct otlp_request *r, uint32_t *series)
{
    struct pipeline *pl = r->pl;
    struct label_list l = {.n = 0};
    add_resource(r, &l);
    add_scope(r, &l);
    for (unsigned i = 0; i < r->point.nattrs; i++)
        add_attr(&l, &r->point.attrs[i]);
    struct series_ask ask = {.metric = r->hand.metric, .domain = r->domain, .now = r->now};
    if (l.over || naming_ask(pl, r->service, l.all, l.n, &ask) < 0)
        return DROP_LIMIT;
    const int got = series_make(pl->st, &ask, series);
    if (got < 0)
        return DROP_SERIES_FULL;
    if (got > 0)
        own_add(&pl->own, OWN_SERIES_OVERFLOW, r->domain, 1);
    return DROP_MAX;
}

/* ---- target_info ---- */

/* Ends what there is of the same service and instance: a join needs exactly one. There
 * are at most `cardinality` of a domain to look through. */
static void end_others(struct otlp_request *r, struct str labels)
{
    static const char *const identity[] = {"service_name", "service_instance_id"};
    struct store *st = r->pl->st;
    struct metric_view m;
    struct series_view s;
    if (!metric_read(st, r->pl->own.metric[OWN_TARGET_INFO], &m))
        return;
    for (uint32_t i = m.first, next; i && series_read(st, i, &s); i = next) {
        r->work += LOOK_COST;
        bool same = !(s.flags & SERIES_PINNED);
        next = s.next;
        for (unsigned k = 0; k < 2; k++)
            same &= str_eq(labels_get(s.labels, str_of(identity[k])),
                           labels_get(labels, str_of(identity[k])));
        if (same)
            (void)series_expire(st, i);
        if (!store_has_room(st))
            otlp_settle(r);
    }
}

/* All attributes of the resource that fit. */
static void info_ask(struct otlp_request *r, struct series_ask *ask)
{
    struct label_list l = {.n = 0};
    for (unsigned i = 0; i < r->origin.nattrs; i++)
        if (!str_eq(r->origin.attrs[i].key, STR("service.name")))
            add_attr(&l, &r->origin.attrs[i]);
    while (naming_ask(r->pl, r->service, l.all, l.n, ask) < 0 && l.n > 0)
        l.n /= 2;
    ask->group = STR(""); /* one limit for the whole domain */
    ask->overflow = STR("otel_metric_overflow=\"true\"");
}

void otlp_target_info(struct otlp_request *r)
{
    struct pipeline *pl = r->pl;
    struct store *st = pl->st;
    struct series_ask ask = {
        .metric = pl->own.metric[OWN_TARGET_INFO], .domain = r->domain, .now = r->now};
    uint32_t series;
    uint64_t cells;
    if (!pl->options.target_info)
        return;
    r->work += INFO_COST;
    info_ask(r, &ask);
    if (!series_find(st, ask.metric, ask.labels))
        end_others(r, ask.labels);
    if (series_make(st, &ask, &series) < 0)
        return;
    const enum cell_op op = series_target(st, series, 0, &cells);
    series_touch(st, series, op, cells, r->now);
    if (store_get(st, cells + CELL_VALUE * sizeof(uint64_t)) != 1)
        (void)cell_apply(st, op, cells, 1, 0);
}
