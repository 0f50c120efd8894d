#include "store/read.h"

#include <math.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/series.h"
#include "store/sketch.h"
#include "store/space.h"

enum { WORD = 8, CACHE_LINE = 64, CHAIN_MAX = 4096, PARTS_MAX = 65536 };

/* What is checked is loaded once: on a reader's store it may change in between. */
static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline struct str text_at(const struct store *st, uint64_t offset)
{
    const struct text_blob *b = offset ? store_at(st, offset, sizeof *b) : NULL;
    const uint64_t size = b ? TEXT_BYTES(load(&b->size)) : 0;
    if (!b || size > st->size - sizeof *b - offset)
        return (struct str){0};
    return (struct str){b->text, size};
}

/* A label text, and the keys that belong to it. */
static inline struct str labels_at(const struct store *st, uint64_t offset, struct str *keys)
{
    const struct str labels = text_at(st, offset);
    const uint64_t place = labels.p ? load(store_at(st, offset, WORD)) >> 32 : 0;
    *keys = text_at(st, place * WORD);
    return labels;
}

/* The part of a text up to a NUL, which it is moved past. */
static struct str cut_nul(struct str *text)
{
    const char *nul = text->n ? memchr(text->p, '\0', text->n) : NULL;
    const size_t n = nul ? (size_t)(nul - text->p) : text->n;
    const struct str head = {text->p, n};
    *text = nul ? (struct str){nul + 1, text->n - n - 1} : (struct str){0};
    return head;
}

/* ---- metrics ---- */

uint32_t metric_ids(const struct store *st)
{
    return table_end(st, TABLE_METRICS);
}

bool metric_read(const struct store *st, uint32_t id, struct metric_view *out)
{
    const struct metric_rec *r = table_get(st, TABLE_METRICS, id);
    if (!r)
        return false;
    const uint64_t traits = load(&r->traits), def = load(&r->def), nbounds = traits >> 32;
    const struct metric_text *t = store_at(st, def, sizeof *t + nbounds * sizeof(double));
    const unsigned kind = (unsigned)(traits & 0xff);
    if (!def || !t || nbounds > LIMIT_BOUNDS || kind < METRIC_COUNTER || kind > METRIC_SUMMARY)
        return false;
    const uint64_t sizes = load(&t->sizes);
    const uint64_t n[4] = {sizes & 0xffff, sizes >> 16 & 0xffff, sizes >> 32 & 0xffff, sizes >> 48};
    const char *p = (const char *)(t->bounds + nbounds);
    const uint64_t at = (uint64_t)((const uint8_t *)p - st->base);
    if (at > st->size || n[0] + n[1] + n[2] + n[3] > st->size - at)
        return false;
    *out = (struct metric_view){
        .id = id,
        .name = {p, n[0]},
        .family = {p + n[0], n[1]},
        .unit = {p + n[0] + n[1], n[2]},
        .help = {p + n[0] + n[1] + n[2], n[3]},
        .kind = (enum metric_kind)kind,
        .type = (enum value_type)(traits >> 8 & 0xff),
        .join = (enum gauge_join)(traits >> 16 & 0xff),
        .flags = (unsigned)(traits >> 24 & 0xff),
        .nbounds = (unsigned)nbounds,
        .bounds = t->bounds,
        .first = (uint32_t)r->first,
        .nseries = (uint32_t)r->nseries,
        .own = r->own & METRIC_OWN,
        .domain_known = (unsigned)(load(&r->own) >> METRIC_DOMAIN_SHIFT & 0x1ffff),
    };
    return true;
}

bool metric_find(const struct store *st, struct str family, struct metric_view *out)
{
    const uint64_t hash = hash_bytes(family.p, family.n, st->head->secret) | 1;
    uint32_t i = table_first(st, TABLE_METRICS, hash);
    for (int n = 0; i && n < CHAIN_MAX; n++, i = table_next(st, TABLE_METRICS, i))
        if (metric_read(st, i, out) && str_eq(out->family, family))
            return true;
    return false;
}

/* ---- series ---- */

uint64_t series_count(const struct store *st)
{
    uint64_t n = 0;
    for (uint32_t i = 1; i < metric_ids(st); i++) {
        const struct metric_rec *r = table_get(st, TABLE_METRICS, i);
        n += r ? r->nseries : 0;
    }
    return n;
}

static inline void view_record(const struct series_rec *r, uint32_t id, struct series_view *out)
{
    const uint64_t metric = load(&r->metric);
    *out = (struct series_view){
        .id = id,
        .metric = (uint32_t)metric,
        .created = r->created,
        .next = (uint32_t)load(&r->links),
        .domain = (unsigned)(metric >> 32 & 0xffff),
        .flags = (unsigned)(metric >> 48),
        .cells = load(&r->cells),
        .text = load(&r->labels),
    };
}

void series_labels(const struct store *st, struct series_view *s)
{
    s->labels = labels_at(st, s->text, &s->keys);
}

bool series_read(const struct store *st, uint32_t id, struct series_view *out)
{
    const struct series_rec *r = table_get(st, TABLE_SERIES, id);
    if (!r)
        return false;
    view_record(r, id, out);
    series_labels(st, out);
    return true;
}

static inline void ask_for(const struct store *st, uint64_t text, uint64_t cell)
{
    const char *labels = store_at(st, text, 2 * CACHE_LINE);
    const void *cells = store_at(st, cell, WORD);
    if (labels) {
        __builtin_prefetch(labels);
        __builtin_prefetch(labels + CACHE_LINE);
    }
    if (cells)
        __builtin_prefetch(cells);
}

/* The records of series, for table_get() with what does not change from one to the next looked
 * up once. */
static inline const struct series_rec *series_records(const struct store *st)
{
    return (const void *)(st->base + table_offset(st, TABLE_SERIES, 0));
}

unsigned series_read_run(const struct store *st, uint32_t metric, uint32_t first,
                         struct series_view *to, unsigned max)
{
    const struct series_rec *records = series_records(st);
    const uint32_t end = table_end(st, TABLE_SERIES);
    unsigned n = 0;
    for (uint32_t i = first; n < max && i && i < end && load(&records[i].head.hash);
         i = to[n++].next) {
        view_record(&records[i], i, &to[n]);
        if (to[n].metric != metric)
            break;
        ask_for(st, to[n].text, to[n].cells);
    }
    return n;
}

/* Where a number's parts lie. */
struct number_place {
    uint64_t text, cell;
};

/* A hint, so that a place that is none does no harm. */
static inline void hint(const struct store *st, uint64_t offset)
{
    __builtin_prefetch((const void *)((uintptr_t)st->base + offset));
}

static inline void find_number(const struct store *st, const struct series_rec *r, uint64_t metric,
                               struct number_place *at, struct number_view *to)
{
    *at = (struct number_place){load(&r->labels), load(&r->cells)};
    to->created = load(&r->created);
    to->next = (uint32_t)load(&r->links);
    to->present = (metric >> 48 & (SERIES_LIVE | SERIES_GROUP)) == SERIES_LIVE;
    hint(st, at->text);
    hint(st, at->text + CACHE_LINE);
    hint(st, at->cell);
}

static inline void read_number(const struct store *st, const struct number_place *at,
                               struct number_view *to)
{
    const uint64_t *cell = at->cell ? store_at(st, at->cell, WORD) : NULL;
    to->present = to->present && cell;
    to->labels = (struct str){0};
    if (!to->present)
        return;
    to->bits = load(cell);
    to->labels = text_at(st, at->text);
}

/* First all records, then all that they point to, which has come nearer meanwhile. */
unsigned number_read_run(const struct store *st, uint32_t metric, uint32_t first,
                         struct number_view *restrict to)
{
    const struct series_rec *records = series_records(st);
    const uint32_t end = table_end(st, TABLE_SERIES);
    struct number_place at[NUMBER_RUN];
    unsigned n = 0;
    for (uint32_t i = first; n < NUMBER_RUN && i && i < end; i = to[n++].next) {
        const struct series_rec *r = &records[i];
        const uint64_t of = load(&r->metric);
        if (!load(&r->head.hash) || (uint32_t)of != metric)
            break;
        find_number(st, r, of, &at[n], &to[n]);
    }
    for (unsigned i = 0; i < n; i++)
        read_number(st, &at[i], &to[i]);
    return n;
}

static double as_double(enum value_type type, uint64_t bits)
{
    return type == VALUE_U64 ? (double)bits : bits_f64(bits);
}

static bool owner_counts(const struct store *st, uint64_t owner)
{
    const struct session_rec *s = table_get(st, TABLE_SESSIONS, (uint32_t)(owner >> 32));
    return s && (uint32_t)s->serial == (uint32_t)owner &&
           !(s->who >> WHO_FLAGS_SHIFT & SESSION_SILENT);
}

static void join_value(struct sample *out, enum gauge_join join, double v)
{
    if (!out->present)
        out->d = v;
    else if (join == JOIN_SUM)
        out->d += v;
    else if (join == JOIN_MIN ? v < out->d : v > out->d)
        out->d = v;
    out->present = true;
}

static void read_joined(const struct store *st, const struct metric_view *m, uint64_t cells,
                        struct sample *out)
{
    uint64_t part = store_get(st, cells + CELL_PARTS * WORD);
    for (int n = 0; part && n < PARTS_MAX && store_at(st, part, PART_WORDS * WORD); n++) {
        const bool updated = (uint32_t)store_get(st, part + PART_TOUCH * WORD) != 0;
        if (updated && owner_counts(st, store_get(st, part + PART_OWNER * WORD)))
            join_value(out, m->join, as_double(m->type, store_get(st, part + PART_VALUE * WORD)));
        part = store_get(st, part);
    }
    out->u = !(out->d > 0) ? 0 : out->d < 0x1p64 ? (uint64_t)out->d : UINT64_MAX;
}

static void read_histogram(const struct store *st, const struct metric_view *m, uint64_t cells,
                           struct sample *out)
{
    for (unsigned i = 0; i <= m->nbounds; i++) {
        out->buckets[i] = store_get(st, cells + (CELL_BUCKETS + i) * WORD);
        out->count += out->buckets[i];
    }
    out->sum = bits_f64(store_get(st, cells + CELL_SUM * WORD));
    out->present = true;
}

static uint64_t words_of(const struct metric_view *m)
{
    return cell_words(m->kind, m->flags, m->nbounds);
}

void series_sample(const struct store *st, const struct metric_view *m, const struct series_view *s,
                   struct sample *out)
{
    out->u = 0;
    out->d = 0;
    out->present = false;
    out->sum = 0;
    out->count = 0;
    if (!store_at(st, s->cells, words_of(m) * WORD) || !s->cells)
        return;
    if (m->kind == METRIC_HISTOGRAM) {
        read_histogram(st, m, s->cells, out);
    } else if (m->kind == METRIC_SUMMARY) {
        out->count = store_get(st, s->cells + CELL_COUNT * WORD);
        out->sum = bits_f64(store_get(st, s->cells + CELL_SUM * WORD));
        out->present = true;
    } else if (m->kind == METRIC_GAUGE && m->join != JOIN_LAST) {
        read_joined(st, m, s->cells, out);
    } else {
        out->u = store_get(st, s->cells + CELL_VALUE * WORD);
        out->d = as_double(m->type, out->u);
        out->present = true;
    }
}

void series_quantiles(const struct store *st, const struct metric_view *m,
                      const struct series_view *s, const double *q, unsigned n, uint64_t now_mono,
                      double *out)
{
    const bool has = m->kind == METRIC_SUMMARY || m->flags & METRIC_QUANTILES;
    uint64_t sketch = 0;
    if (has && s->cells && store_at(st, s->cells, words_of(m) * WORD)) {
        const uint64_t word =
            m->kind == METRIC_SUMMARY ? CELL_SKETCH : CELL_BUCKETS + m->nbounds + 1;
        sketch = store_get(st, s->cells + word * WORD);
    }
    sketch_quantiles(st, sketch, q, n, now_mono / (60 * NS_PER_S), out);
}

double series_quantile(const struct store *st, const struct metric_view *m,
                       const struct series_view *s, double q, uint64_t now_mono)
{
    double v;
    series_quantiles(st, m, s, &q, 1, now_mono, &v);
    return v;
}

double sample_quantile(const struct metric_view *m, const struct sample *s, double q)
{
    if (s->count == 0 || m->nbounds == 0)
        return NAN;
    const double rank = q * (double)s->count;
    double below = 0;
    for (unsigned i = 0; i < m->nbounds; i++) {
        const double here = (double)s->buckets[i];
        if (below + here >= rank && here > 0) {
            const double low = i ? m->bounds[i - 1] : m->bounds[0] > 0 ? 0 : m->bounds[0];
            return low + (m->bounds[i] - low) * (rank - below) / here;
        }
        below += here;
    }
    return m->bounds[m->nbounds - 1];
}

/* ---- sessions and parts ---- */

uint32_t session_ids(const struct store *st)
{
    return table_end(st, TABLE_SESSIONS);
}

bool session_read(const struct store *st, uint32_t id, struct session_view *out)
{
    const struct session_rec *r = table_get(st, TABLE_SESSIONS, id);
    if (!r)
        return false;
    struct str names = text_at(st, load(&r->names));
    *out = (struct session_view){
        .id = id,
        .session = {r->id[0], r->id[1]},
        .uid = (uint32_t)r->who,
        .domain = (unsigned)(r->who >> WHO_DOMAIN_SHIFT & 0xffff),
        .applied = r->applied,
        .items = r->items,
        .since = r->since,
        .connected = r->ended == 0,
        .ended = r->ended,
    };
    out->service = cut_nul(&names);
    out->instance = cut_nul(&names);
    out->agent = names;
    for (int i = 0; i < 4; i++)
        out->lost[i] = r->lost[i];
    return true;
}

uint32_t part_ids(const struct store *st)
{
    return table_end(st, TABLE_PARTS);
}

bool part_read(const struct store *st, uint32_t id, struct part_view *out)
{
    const struct part_rec *r = table_get(st, TABLE_PARTS, id);
    if (!r)
        return false;
    struct str names = text_at(st, load(&r->names));
    *out = (struct part_view){
        .message = text_at(st, load(&r->message)),
        .state = (unsigned)(r->state & 0xff),
        .reported_state = (unsigned)(r->state >> 8 & 0xff),
        .failures = (unsigned)(r->state >> 16 & 0xffff),
        .domain = (unsigned)(r->state >> 32 & 0xffff),
        .active = (r->state >> 32 & 0xffff) == STORE_DOMAINS,
        .reported = r->reported,
        .changed = r->changed,
        .reports = r->reports,
    };
    out->service = cut_nul(&names);
    out->component = names;
    return true;
}
