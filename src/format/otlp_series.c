#include "format/otlp_series.h"

#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "format/otlp_event.h"
#include "otlp/field.h"
#include "otlp/put.h"

enum {
    ITEM_MAX = 1 << 16, /* bytes after which a Metric takes no more points */
    HISTOGRAM_WORDS = 1 /* sum, before the buckets */
};

static const double quantiles[] = {0.5, 0.9, 0.95, 0.99};
enum { NQUANTILES = sizeof quantiles / sizeof *quantiles };

/* ---- what has been sent ---- */

void otlp_sent_init(struct otlp_sent *sent, uint64_t now_wall)
{
    *sent = (struct otlp_sent){.began = now_wall};
}

void otlp_sent_fini(struct otlp_sent *sent)
{
    for (uint32_t i = 0; i < sent->size; i++)
        free(sent->series[i]);
    free(sent->series);
    *sent = (struct otlp_sent){0};
}

static bool sent_grow(struct otlp_sent *sent, uint32_t id)
{
    uint32_t size = sent->size ? sent->size : 256;
    while (size <= id)
        size *= 2;
    struct otlp_sent_series **series = realloc(sent->series, size * sizeof *series);
    if (!series)
        return false;
    memset(series + sent->size, 0, (size - sent->size) * sizeof *series);
    sent->series = series;
    sent->size = size;
    return true;
}

/* What was sent of a series: *fresh when nothing was. NULL: memory is out. */
static struct otlp_sent_series *sent_of(struct otlp_sent *sent, const struct series_view *v,
                                        unsigned words, bool *fresh)
{
    if (v->id >= sent->size && !sent_grow(sent, v->id))
        return NULL;
    struct otlp_sent_series *had = sent->series[v->id];
    *fresh = !had || had->created != v->created;
    if (!*fresh)
        return had;
    struct otlp_sent_series *made = calloc(1, sizeof *made + words * sizeof *made->words);
    if (!made)
        return NULL;
    made->created = v->created;
    made->time = v->created;
    free(had);
    sent->series[v->id] = made;
    return made;
}

/* ---- a pass ---- */

void otlp_series_init(struct otlp_series *s, const struct store *st)
{
    *s = (struct otlp_series){.st = st};
    buf_init(&s->resource, 1 << 12);
    buf_init(&s->scope, 1 << 12);
    buf_init(&s->item, 4 * ITEM_MAX);
    buf_init(&s->labels, 1 << 14);
}

void otlp_series_fini(struct otlp_series *s)
{
    buf_fini(&s->resource);
    buf_fini(&s->scope);
    buf_fini(&s->item);
    buf_fini(&s->labels);
}

void otlp_series_begin(struct otlp_series *s, struct otlp_sent *sent, struct str service,
                       struct str instance, struct when now)
{
    s->sent = sent;
    s->now = now;
    s->service = service;
    s->instance = instance;
    s->metric = 1;
    s->series = 0;
    s->begun = false;
    s->pending = false;
    s->lost = 0;
    buf_reset(&s->scope);
    otlp_put_scope(&s->scope);
}

/* ---- labels ---- */

/* The value of a label, its escapes undone; in s->labels. */
static struct str unescape(struct otlp_series *s, struct str value)
{
    const size_t at = s->labels.n;
    if (!buf_room(&s->labels, value.n + 1))
        return (struct str){NULL, 0};
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\\' && i + 1 < value.n) {
            c = value.p[++i];
            c = c == 'n' ? '\n' : c;
        }
        buf_addc(&s->labels, c);
    }
    return (struct str){s->labels.p + at, s->labels.n - at};
}

/* The key that a label came with: the next of `keys`, else as it is written. */
static struct str original(struct str *keys, struct str written)
{
    if (keys->n == 0)
        return written;
    const char *nul = memchr(keys->p, 0, keys->n);
    const struct str key = {keys->p, nul ? (size_t)(nul - keys->p) : keys->n};
    const size_t skip = key.n + (nul != NULL);
    keys->p += skip;
    keys->n -= skip;
    return key;
}

static bool of_resource(struct str key)
{
    return str_eq(key, STR("service_name")) || str_eq(key, STR("service_instance_id"));
}

static void put_labels(struct otlp_series *s, unsigned number, const struct series_view *v,
                       bool whole)
{
    struct str text = v->labels, keys = v->keys, key, value;
    while (labels_next(&text, &key, &value)) {
        const struct str name = original(&keys, key);
        buf_reset(&s->labels);
        if (whole || !of_resource(key))
            put_attr_text(&s->item, number, name, unescape(s, value));
    }
}

/* ---- resources ---- */

/* What makes the resource of a series, as it stands in the store. */
struct owner {
    struct str service, instance;
};

static struct owner owner_of(const struct series_view *v)
{
    return (struct owner){labels_get(v->labels, STR("service_name")),
                          labels_get(v->labels, STR("service_instance_id"))};
}

static bool same_owner(const struct owner *a, const struct owner *b)
{
    return str_eq(a->service, b->service) && str_eq(a->instance, b->instance);
}

/* A service's, or the daemon's own for a series of none. */
static void put_resource(struct otlp_series *s, const struct owner *of)
{
    buf_reset(&s->resource);
    if (of->service.n == 0) {
        otlp_put_resource(&s->resource, s->service, s->instance);
        return;
    }
    buf_reset(&s->labels);
    buf_room(&s->labels, of->service.n + of->instance.n + 1); /* so that the first stays */
    const struct str service = unescape(s, of->service);
    otlp_put_resource(&s->resource, service, unescape(s, of->instance));
}

/* ---- points ---- */

/* From when to when a point is; a gauge has no start. */
static void put_times(struct otlp_series *s, uint64_t start)
{
    put_fixed64(&s->item, 2, start < s->now.wall ? start : s->now.wall);
    put_fixed64(&s->item, 3, s->now.wall);
}

static void put_value(struct buf *to, bool whole, uint64_t u, double d)
{
    if (whole && u <= INT64_MAX)
        put_fixed64_always(to, 6, u);
    else
        put_double(to, 4, whole ? (double)u : d);
}

struct point {
    const struct metric_view *m;
    const struct series_view *v;
    const struct sample *sample;
    bool service; /* its labels of a service are in the resource */
};

static bool put_gauge(struct otlp_series *s, const struct point *p)
{
    const bool whole = p->m->type == VALUE_U64 && p->m->join == JOIN_LAST;
    const size_t at = put_open(&s->item, 1);
    put_times(s, 0);
    put_value(&s->item, whole, p->sample->u, p->sample->d);
    put_labels(s, 7, p->v, !p->service);
    put_close_tight(&s->item, at);
    return true;
}

/* Whether a delta is to be told: a series that was there before the first pass has none. */
static bool told(const struct otlp_series *s, const struct point *p, bool fresh)
{
    return !fresh || p->v->created >= s->sent->began;
}

/* The counter's value less what was sent of it; false when that is nothing. */
static bool counter_delta(struct otlp_series *s, const struct point *p, uint64_t *start,
                          struct sample *delta)
{
    bool fresh;
    struct otlp_sent_series *sent = sent_of(s->sent, p->v, 1, &fresh);
    if (!sent) {
        s->lost++;
        return false;
    }
    const bool whole = p->m->type == VALUE_U64;
    const uint64_t before = sent->words[0];
    delta->u = p->sample->u - before;
    delta->d = p->sample->d - (whole ? (double)before : bits_f64(before));
    *start = sent->time;
    sent->words[0] = whole ? p->sample->u : f64_bits(p->sample->d);
    sent->time = s->now.wall;
    return told(s, p, fresh) && (whole ? delta->u != 0 : delta->d > 0);
}

static bool put_counter(struct otlp_series *s, const struct point *p)
{
    struct sample value = *p->sample;
    uint64_t start = p->v->created;
    if (s->sent && !counter_delta(s, p, &start, &value))
        return false;
    const size_t at = put_open(&s->item, 1);
    put_times(s, start);
    put_value(&s->item, p->m->type == VALUE_U64, value.u, value.d);
    put_labels(s, 7, p->v, !p->service);
    put_close_tight(&s->item, at);
    return true;
}

static bool histogram_delta(struct otlp_series *s, const struct point *p, uint64_t *start,
                            struct sample *delta)
{
    bool fresh;
    const unsigned n = p->m->nbounds + 1;
    struct otlp_sent_series *sent = sent_of(s->sent, p->v, HISTOGRAM_WORDS + n, &fresh);
    if (!sent) {
        s->lost++;
        return false;
    }
    delta->count = 0;
    delta->sum = p->sample->sum - bits_f64(sent->words[0]);
    for (unsigned i = 0; i < n; i++) {
        delta->buckets[i] = p->sample->buckets[i] - sent->words[HISTOGRAM_WORDS + i];
        delta->count += delta->buckets[i];
        sent->words[HISTOGRAM_WORDS + i] = p->sample->buckets[i];
    }
    *start = sent->time;
    sent->words[0] = f64_bits(p->sample->sum);
    sent->time = s->now.wall;
    return told(s, p, fresh) && delta->count > 0;
}

static void put_words(struct buf *to, unsigned number, const void *words, unsigned n)
{
    put_head(to, number, n * sizeof(uint64_t));
    for (unsigned i = 0; i < n; i++) {
        uint64_t word;
        uint8_t bytes[sizeof word];
        memcpy(&word, (const char *)words + i * sizeof word, sizeof word);
        put_u64(bytes, word);
        buf_add(to, bytes, sizeof bytes);
    }
}

/* Those of the time that the point is about. */
static void put_exemplars(struct otlp_series *s, const struct point *p, uint64_t start)
{
    for (unsigned i = 0; i <= p->m->nbounds; i++) {
        const struct exemplar *e = exemplar_find(s->exemplars, p->v, i);
        if (!e || e->time < start)
            continue;
        const size_t at = put_open(&s->item, 8);
        put_fixed64(&s->item, 2, e->time);
        put_double(&s->item, 3, e->value);
        put_id(&s->item, 4, e->trace.span_id, sizeof e->trace.span_id);
        put_id(&s->item, 5, e->trace.trace_id, sizeof e->trace.trace_id);
        put_close_tight(&s->item, at);
    }
}

static bool put_histogram(struct otlp_series *s, const struct point *p)
{
    struct sample value = *p->sample;
    uint64_t start = p->v->created;
    if (s->sent && !histogram_delta(s, p, &start, &value))
        return false;
    const size_t at = put_open(&s->item, 1);
    put_times(s, start);
    put_fixed64_always(&s->item, 4, value.count);
    put_double(&s->item, 5, value.sum);
    put_words(&s->item, 6, value.buckets, p->m->nbounds + 1);
    put_words(&s->item, 7, p->m->bounds, p->m->nbounds);
    put_exemplars(s, p, start);
    put_labels(s, 9, p->v, !p->service);
    put_close_tight(&s->item, at);
    return true;
}

static void put_quantiles(struct otlp_series *s, const struct point *p)
{
    for (int i = 0; i < NQUANTILES; i++) {
        const double v = series_quantile(s->st, p->m, p->v, quantiles[i], s->now.mono);
        if (isnan(v))
            continue;
        const size_t at = put_open(&s->item, 6);
        put_double(&s->item, 1, quantiles[i]);
        put_double(&s->item, 2, v);
        put_close_tight(&s->item, at);
    }
}

static bool put_summary(struct otlp_series *s, const struct point *p)
{
    const size_t at = put_open(&s->item, 1);
    put_times(s, p->v->created);
    put_fixed64_always(&s->item, 4, p->sample->count);
    put_double(&s->item, 5, p->sample->sum);
    put_quantiles(s, p);
    put_labels(s, 7, p->v, !p->service);
    put_close_tight(&s->item, at);
    return true;
}

static bool put_point(struct otlp_series *s, const struct point *p)
{
    switch (p->m->kind) {
    case METRIC_COUNTER:
        return put_counter(s, p);
    case METRIC_GAUGE:
        return put_gauge(s, p);
    case METRIC_HISTOGRAM:
        return put_histogram(s, p);
    case METRIC_SUMMARY:
        break;
    }
    return put_summary(s, p);
}

/* ---- a Metric: points of one metric and resource ---- */

static enum otlp_data data_of(enum metric_kind kind)
{
    switch (kind) {
    case METRIC_COUNTER:
        return OTLP_SUM;
    case METRIC_GAUGE:
        return OTLP_GAUGE;
    case METRIC_HISTOGRAM:
        return OTLP_HISTOGRAM;
    case METRIC_SUMMARY:
        break;
    }
    return OTLP_SUMMARY;
}

/* Begins a Metric; returns where its data is. */
static size_t open_metric(struct otlp_series *s, const struct metric_view *m)
{
    buf_reset(&s->item);
    put_text(&s->item, 1, m->name);
    put_text(&s->item, 2, m->help);
    put_text(&s->item, 3, m->unit);
    const size_t at = put_open(&s->item, data_of(m->kind));
    if (m->kind == METRIC_COUNTER || m->kind == METRIC_HISTOGRAM)
        put_uint(&s->item, 2, s->sent ? OTLP_DELTA : OTLP_CUMULATIVE);
    if (m->kind == METRIC_COUNTER)
        put_uint(&s->item, 3, 1);
    return at;
}

/* Puts the item that waits into the batch: 1, 0 when the batch is full. */
static int flush(struct otlp_series *s, struct otlp_batch *to)
{
    if (!s->pending)
        return 1;
    const struct otlp_batch_parts parts = {buf_str(&s->resource), buf_str(&s->scope),
                                           buf_str(&s->item)};
    const int e = s->item.failed || s->resource.failed ? -ERR_NOMEM : otlp_batch_put(to, &parts);
    if (e == 0)
        return 0;
    s->lost += e < 0;
    s->pending = false;
    return 1;
}

static void add_point(struct otlp_series *s, const struct metric_view *m,
                      const struct series_view *v, unsigned *points)
{
    struct sample sample;
    if (!(v->flags & SERIES_LIVE) || v->flags & SERIES_GROUP)
        return;
    series_sample(s->st, m, v, &sample);
    if (!sample.present && m->kind == METRIC_GAUGE)
        return;
    const bool service = labels_get(v->labels, STR("service_name")).n > 0;
    const struct point p = {m, v, &sample, service};
    *points += put_point(s, &p);
}

/* One Metric: series of `m` from s->series on, while they have the same resource. Leaves an
 * item pending when it has points. Returns how many series were looked at. */
static unsigned make_item(struct otlp_series *s, const struct metric_view *m, unsigned most)
{
    struct series_view v;
    struct owner first = {{NULL, 0}, {NULL, 0}};
    unsigned looked = 0, points = 0;
    size_t at = 0;
    while (looked < most && s->series != 0 && series_read(s->st, s->series, &v)) {
        const struct owner owner = owner_of(&v);
        if (looked == 0) {
            first = owner;
            put_resource(s, &owner);
            at = open_metric(s, m);
        } else if (s->item.n > ITEM_MAX || !same_owner(&owner, &first)) {
            break;
        }
        looked++;
        add_point(s, m, &v, &points);
        s->series = v.next;
    }
    if (looked == 0) {
        s->series = 0; /* it was removed meanwhile, or cannot be read */
        return 1;
    }
    put_close_tight(&s->item, at);
    s->pending = points > 0;
    return looked;
}

/* The metric in hand has series to look at; else the next one is in hand. */
static bool this_metric(struct otlp_series *s, struct metric_view *m)
{
    const bool there = metric_read(s->st, s->metric, m);
    if (there && !s->begun)
        s->series = m->first;
    s->begun = there && s->series != 0;
    s->metric += !s->begun;
    return s->begun;
}

enum otlp_series_state otlp_series_step(struct otlp_series *s, struct otlp_batch *to, unsigned most)
{
    struct metric_view m;
    unsigned looked = 0;
    if (!flush(s, to))
        return OTLP_SERIES_FULL;
    while (looked < most && s->metric < metric_ids(s->st)) {
        if (!this_metric(s, &m)) {
            looked++;
            continue;
        }
        looked += make_item(s, &m, most - looked);
        if (!flush(s, to))
            return OTLP_SERIES_FULL;
    }
    return s->metric < metric_ids(s->st) ? OTLP_SERIES_MORE : OTLP_SERIES_END;
}
