#include "client/registry.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "wire/encode.h"
#include "wire/shm_ring.h"

enum { FIRST_SLOTS = 64, FRAME_OVERHEAD = 64 };

void registry_init(struct registry *g, struct mcptally *m)
{
    *g = (struct registry){0};
    pthread_mutex_init(&g->lock, NULL);
    g->m = m;
    g->no_metric.g = g;
    g->no_series.m = m;
    g->no_series.d.is_series = true;
    g->no_series.metric = &g->no_metric;
}

void registry_fini(struct registry *g)
{
    for (struct definition *d = g->first, *next; d; d = next) {
        next = d->next;
        free(d);
    }
    free(g->slots);
    pthread_mutex_destroy(&g->lock);
}

/* ---- the table ---- */

static bool grow(struct registry *g)
{
    if (g->count < g->nslots)
        return true;
    const uint32_t n = g->nslots ? 2 * g->nslots : (uint32_t)FIRST_SLOTS;
    struct definition **slots = calloc(n, sizeof *slots);
    if (!slots)
        return g->nslots > 0; /* longer chains will do */
    for (struct definition *d = g->first; d; d = d->next) {
        d->chain = slots[d->hash & (n - 1)];
        slots[d->hash & (n - 1)] = d;
    }
    free(g->slots);
    g->slots = slots;
    g->nslots = n;
    return true;
}

static struct definition *chain_of(const struct registry *g, uint64_t hash)
{
    return g->nslots > 0 ? g->slots[hash & (g->nslots - 1)] : NULL;
}

/* Room for one more, within the bounds. */
static bool may_add(struct registry *g, size_t bytes)
{
    return g->count < REGISTRY_MAX && bytes <= PRODUCER_DEFINITIONS - g->bytes && grow(g);
}

static void add(struct registry *g, struct definition *d, size_t bytes)
{
    d->chain = chain_of(g, d->hash);
    g->slots[d->hash & (g->nslots - 1)] = d;
    if (g->last)
        g->last->next = d;
    else
        g->first = d;
    g->last = d;
    g->count++;
    g->bytes += bytes;
}

/* Copies text to *at, moves *at behind it, and returns the copy. */
static struct str keep(char **at, struct str s)
{
    const struct str copy = {*at, s.n};
    if (s.n > 0)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

/* ---- metrics ---- */

static struct mcptally_metric *find_metric(const struct registry *g, uint64_t hash, struct str name)
{
    for (struct definition *d = chain_of(g, hash); d; d = d->chain) {
        struct mcptally_metric *metric = (struct mcptally_metric *)d;
        if (!d->is_series && d->hash == hash && str_eq(metric->def.name, name))
            return metric;
    }
    return NULL;
}

static struct mcptally_metric *new_metric(struct registry *g, uint64_t hash,
                                          const struct metric_def *def)
{
    const size_t text = def->name.n + def->unit.n + def->help.n;
    const size_t bytes = FRAME_OVERHEAD + text + def->nbounds * sizeof *def->bounds;
    struct mcptally_metric *metric = may_add(g, bytes) ? malloc(sizeof *metric + text) : NULL;
    if (!metric)
        return &g->no_metric;
    char *at = (char *)(metric + 1);
    *metric = (struct mcptally_metric){
        .d.hash = hash,
        .g = g,
        .id = ++g->metrics,
        .def = *def,
    };
    metric->def.name = keep(&at, def->name);
    metric->def.unit = keep(&at, def->unit);
    metric->def.help = keep(&at, def->help);
    add(g, &metric->d, bytes);
    return metric;
}

struct mcptally_metric *registry_metric(struct registry *g, const struct metric_def *def)
{
    if (metric_def_check(def) < 0)
        return &g->no_metric;
    const uint64_t hash = hash_bytes(def->name.p, def->name.n, 0);
    pthread_mutex_lock(&g->lock);
    struct mcptally_metric *metric = find_metric(g, hash, def->name);
    if (!metric)
        metric = new_metric(g, hash, def);
    else if (metric->def.kind != def->kind || metric->def.type != def->type ||
             metric->def.join != def->join)
        metric = &g->no_metric;
    pthread_mutex_unlock(&g->lock);
    return metric;
}

/* ---- series ---- */

static bool has_short(const struct metric_def *def, uint32_t id)
{
    return def->kind == METRIC_COUNTER && def->type == VALUE_U64 && id < SHM_SHORT_IDS;
}

static uint64_t hash_labels(uint32_t metric, const struct label *labels, unsigned n)
{
    uint64_t h = metric;
    for (unsigned i = 0; i < n; i++) {
        h = hash_bytes(labels[i].key.p, labels[i].key.n, h);
        h = hash_bytes(labels[i].value.p, labels[i].value.n, h);
    }
    return h;
}

static bool same_labels(const struct mcptally_series *s, const struct label *labels, unsigned n)
{
    if (s->nlabels != n)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!str_eq(s->labels[i].key, labels[i].key) ||
            !str_eq(s->labels[i].value, labels[i].value))
            return false;
    return true;
}

static struct mcptally_series *find_series(const struct mcptally_metric *metric, uint64_t hash,
                                           const struct label *labels, unsigned n)
{
    for (struct definition *d = chain_of(metric->g, hash); d; d = d->chain) {
        struct mcptally_series *s = (struct mcptally_series *)d;
        if (d->is_series && d->hash == hash && s->metric == metric && same_labels(s, labels, n))
            return s;
    }
    return NULL;
}

/* Whether the daemon would take it: its own decoder says. */
static bool labels_ok(const struct label *labels, unsigned n)
{
    struct series_def def = {.id = 1, .metric_id = 1, .nlabels = n};
    struct buf b;
    memcpy(def.labels, labels, n * sizeof *labels);
    buf_init(&b, PROTO_HEADER + LIMIT_FRAME);
    encode_series(&b, &def);
    const bool ok = !b.failed && decode_series((const uint8_t *)b.p + PROTO_HEADER,
                                               b.n - PROTO_HEADER, &def) == 0;
    buf_fini(&b);
    return ok;
}

static struct mcptally_series *new_series(struct mcptally_metric *metric, uint64_t hash,
                                          const struct label *labels, unsigned n)
{
    struct registry *g = metric->g;
    size_t text = 0;
    for (unsigned i = 0; i < n; i++)
        text += labels[i].key.n + labels[i].value.n;
    const size_t bytes = FRAME_OVERHEAD + text + 4 * n;
    if (!may_add(g, bytes) || !labels_ok(labels, n))
        return &g->no_series;
    struct mcptally_series *s = malloc(sizeof *s + n * sizeof *labels + text);
    if (!s)
        return &g->no_series;
    *s = (struct mcptally_series){
        .d = {.hash = hash, .is_series = true},
        .m = g->m,
        .metric = metric,
        .id = ++g->series,
        .kind = (uint8_t)metric->def.kind,
        .type = (uint8_t)metric->def.type,
        .nlabels = n,
        .labels = (struct label *)(s + 1),
    };
    s->word = shm_short(s->id, 0);
    s->below = has_short(&metric->def, s->id) ? (uint32_t)SHM_SHORT_VALUES : 0;
    char *at = (char *)(s->labels + n);
    for (unsigned i = 0; i < n; i++) {
        s->labels[i].key = keep(&at, labels[i].key);
        s->labels[i].value = keep(&at, labels[i].value);
    }
    add(g, &s->d, bytes);
    return s;
}

struct mcptally_series *registry_series(struct mcptally_metric *metric, const struct label *labels,
                                        unsigned n)
{
    struct registry *g = metric->g;
    if (metric->id == 0 || n > LIMIT_LABELS)
        return &g->no_series;
    const uint64_t hash = hash_labels(metric->id, labels, n);
    pthread_mutex_lock(&g->lock);
    struct mcptally_series *s = find_series(metric, hash, labels, n);
    const bool is_new = !s;
    if (is_new)
        s = new_series(metric, hash, labels, n);
    pthread_mutex_unlock(&g->lock);
    if (is_new && g->eager)
        waker_wake(g->eager);
    return s;
}

/* ---- import ---- */

static bool import(struct producer *p, struct definition *d)
{
    if (!d->is_series) {
        const struct mcptally_metric *metric = (struct mcptally_metric *)d;
        const uint32_t id = producer_define_metric(p, &metric->def);
        assert(id == 0 || id == metric->id); /* both count in the order of definition */
        return id != 0;
    }
    const struct mcptally_series *s = (struct mcptally_series *)d;
    const uint32_t id = producer_define_series(p, s->metric->id, s->labels, s->nlabels);
    assert(id == 0 || id == s->id);
    return id != 0;
}

bool registry_import(struct registry *g, struct producer *p)
{
    pthread_mutex_lock(&g->lock);
    struct definition *first = g->first, *last = g->last;
    pthread_mutex_unlock(&g->lock);
    while (g->imported != last) { /* what lies before the last does not change any more */
        struct definition *d = g->imported ? g->imported->next : first;
        if (!import(p, d))
            return false;
        g->imported = d;
    }
    return true;
}
