#include "format/prom_family.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/prom_put.h"

static const struct {
    const char *type[2]; /* by enum prom_format */
    struct str suffix;   /* of its plain samples, and in 0.0.4 of the family itself */
} shapes[] = {
    [SHAPE_COUNTER] = {{"counter", "counter"}, {"_total", 6}},
    [SHAPE_GAUGE] = {{"gauge", "gauge"}, {"", 0}},
    [SHAPE_INFO] = {{"gauge", "info"}, {"_info", 5}},
    [SHAPE_HISTOGRAM] = {{"histogram", "histogram"}, {"", 0}},
    [SHAPE_SUMMARY] = {{"summary", "summary"}, {"", 0}},
    [SHAPE_QUANTILE] = {{"summary", "summary"}, {"", 0}},
};

enum { NQUANTILES = 4 };

static const double quantiles[NQUANTILES] = {0.5, 0.9, 0.95, 0.99};

static const struct str quantile_labels[NQUANTILES] = {
    {"quantile=\"0.5\"", 14},
    {"quantile=\"0.9\"", 14},
    {"quantile=\"0.95\"", 15},
    {"quantile=\"0.99\"", 15},
};

enum {
    QUANTILES_WORK = 40, /* lines' work: up to 80 pages of 64 counts are gone through */
    EXEMPLAR_TEXT = 160, /* bytes that one adds at most */
};

/* ---- a family ---- */

static bool ends_with(struct str s, struct str tail)
{
    return s.n > tail.n && memcmp(s.p + s.n - tail.n, tail.p, tail.n) == 0;
}

static enum prom_shape shape_of(const struct metric_view *m)
{
    switch (m->kind) {
    case METRIC_COUNTER:
        return SHAPE_COUNTER;
    case METRIC_HISTOGRAM:
        return SHAPE_HISTOGRAM;
    case METRIC_SUMMARY:
        return SHAPE_SUMMARY;
    case METRIC_GAUGE:
        break;
    }
    return m->own && ends_with(m->family, STR("_info")) ? SHAPE_INFO : SHAPE_GAUGE;
}

static void init_bounds(struct prom_family *f)
{
    for (unsigned i = 0; i <= f->m.nbounds; i++) {
        char *p = f->le[i];
        memcpy(p, "le=\"", 4);
        const size_t n = 4 + num_canonical(p + 4, i < f->m.nbounds ? f->m.bounds[i] : INFINITY);
        memcpy(p + n, "\"} ", 3);
        f->le_size[i] = (uint8_t)(n + 3);
    }
}

static void init_name(struct prom_family *f, struct str name)
{
    const struct str suffix = shapes[f->shape].suffix;
    if (f->shape == SHAPE_INFO)
        name.n -= suffix.n;
    memcpy(f->name, name.p, name.n);
    f->name_size = name.n;
    if (f->shape == SHAPE_QUANTILE) {
        memcpy(f->name + name.n, "_quantile", 9);
        f->name_size += 9;
    }
    memcpy(f->name + f->name_size, suffix.p, suffix.n);
    f->name[f->name_size + suffix.n] = '{';
    f->lead_size = f->name_size + suffix.n + 1;
}

bool prom_family_init(struct prom_family *f, const struct metric_view *m, enum prom_format format,
                      bool quantile, uint64_t now_mono)
{
    if (quantile && !(m->flags & METRIC_QUANTILES))
        return false;
    if (m->family.n > LIMIT_NAME + LIMIT_UNIT + 1)
        return false;
    f->m = *m;
    f->format = format;
    f->now_mono = now_mono;
    f->exemplars = NULL;
    f->shape = quantile ? SHAPE_QUANTILE : shape_of(m);
    f->number = f->shape <= SHAPE_INFO && m->join == JOIN_LAST;
    init_name(f, m->family);
    if (f->shape == SHAPE_HISTOGRAM)
        init_bounds(f);
    return true;
}

/* ---- its head ---- */

static void add_escaped(struct buf *to, struct str s, bool quotes)
{
    size_t done = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        if (c != '\n' && c != '\\' && (c != '"' || !quotes))
            continue;
        buf_add(to, s.p + done, i - done);
        buf_addc(to, '\\');
        buf_addc(to, c == '\n' ? 'n' : c);
        done = i + 1;
    }
    buf_add(to, s.p + done, s.n - done);
}

static void add_comment(const struct prom_family *f, struct buf *to, const char *word)
{
    buf_adds(to, word);
    buf_add(to, f->name, f->name_size);
    if (f->format == PROM_TEXT)
        buf_addstr(to, shapes[f->shape].suffix);
    buf_addc(to, ' ');
}

/* OpenMetrics takes a unit only when the name ends in it. */
static bool unit_shows(const struct prom_family *f, struct str word)
{
    const struct str name = {f->name, f->name_size};
    const bool typed = f->shape != SHAPE_INFO && f->shape != SHAPE_QUANTILE;
    return f->format == PROM_OPENMETRICS && typed && word.n && ends_with(name, word) &&
           name.p[name.n - word.n - 1] == '_';
}

void prom_family_head(const struct prom_family *f, struct buf *to)
{
    if (f->m.help.n) {
        add_comment(f, to, "# HELP ");
        add_escaped(to, f->m.help, f->format == PROM_OPENMETRICS);
        buf_addc(to, '\n');
    }
    add_comment(f, to, "# TYPE ");
    buf_adds(to, shapes[f->shape].type[f->format]);
    buf_addc(to, '\n');
    const struct str word = metric_unit_word(f->m.unit);
    if (!unit_shows(f, word))
        return;
    add_comment(f, to, "# UNIT ");
    buf_addstr(to, word);
    buf_addc(to, '\n');
}

/* ---- its samples: straight into the buffer, whose room is asked for once ---- */

/* name suffix{labels,extra} and a space */
static inline char *put_name(char *p, const struct prom_family *f, struct str suffix,
                             struct str labels, struct str extra)
{
    p = put(p, f->name, f->name_size);
    p = put(p, suffix.p, suffix.n);
    if (labels.n || extra.n) {
        *p++ = '{';
        p = put(p, labels.p, labels.n);
        if (labels.n && extra.n)
            *p++ = ',';
        p = put(p, extra.p, extra.n);
        *p++ = '}';
    }
    *p++ = ' ';
    return p;
}

/* Bytes that one line may take at most. */
static size_t line_room(const struct prom_family *f, struct str labels)
{
    const size_t exemplar = f->exemplars ? EXEMPLAR_TEXT : 0;
    return f->name_size + labels.n + PROM_LE_MAX + NUM_F64_MAX + STEP + exemplar;
}

static const struct str nothing = {"", 0};

static char *put_created(char *p, const struct prom_family *f, const struct series_view *s)
{
    p = put_name(p, f, STR("_created"), s->labels, nothing);
    return put_time(p, s->created);
}

/* The one line of a series that is a number. */
static char *put_number(char *p, const struct prom_family *f, struct str labels)
{
    p = put_steps(p, f->name, labels.n ? f->lead_size : f->lead_size - 1);
    if (labels.n) {
        p = put(p, labels.p, labels.n);
        *p++ = '}';
    }
    *p++ = ' ';
    return p;
}

static char *put_hex(char *p, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *p++ = "0123456789abcdef"[bytes[i] >> 4];
        *p++ = "0123456789abcdef"[bytes[i] & 15];
    }
    return p;
}

/* Behind a bucket, in place of its line's end. */
static char *put_exemplar(char *p, const struct exemplar *e)
{
    static const uint8_t none[sizeof e->trace.span_id];
    p = put(p - 1, " # {trace_id=\"", 14);
    p = put_hex(p, e->trace.trace_id, sizeof e->trace.trace_id);
    if (memcmp(e->trace.span_id, none, sizeof none) != 0) {
        p = put(p, "\",span_id=\"", 11);
        p = put_hex(p, e->trace.span_id, sizeof e->trace.span_id);
    }
    p = put(p, "\"} ", 3);
    p += num_f64(p, e->value);
    *p++ = ' ';
    return put_time(p, e->time);
}

static char *put_buckets(char *p, const struct prom_family *f, const struct series_view *s,
                         const struct sample *v)
{
    const struct exemplars *exemplars = f->format == PROM_OPENMETRICS ? f->exemplars : NULL;
    const char *const lead = p; /* what every line begins with: name_bucket{labels, */
    uint64_t sum = 0;
    p = put_steps(p, f->name, f->name_size);
    p = put(p, "_bucket{", 8);
    if (s->labels.n) {
        p = put(p, s->labels.p, s->labels.n);
        *p++ = ',';
    }
    const size_t lead_size = (size_t)(p - lead);
    for (unsigned i = 0; i <= f->m.nbounds; i++) {
        sum += v->buckets[i];
        if (i > 0)
            p = put(p, lead, lead_size);
        p = put_whole(put_steps(p, f->le[i], f->le_size[i]), sum);
        const struct exemplar *e = exemplar_find(exemplars, s, i);
        if (e)
            p = put_exemplar(p, e);
    }
    return p;
}

/* OpenMetrics has no sum, and so no count, where observations may be negative. */
static bool has_sum(const struct prom_family *f)
{
    return f->format == PROM_TEXT || f->shape != SHAPE_HISTOGRAM || f->m.bounds[0] >= 0;
}

static char *put_sum(char *p, const struct prom_family *f, const struct series_view *s,
                     const struct sample *v)
{
    if (!has_sum(f))
        return p;
    p = put_name(p, f, STR("_sum"), s->labels, nothing);
    p = put_double(p, v->sum);
    p = put_name(p, f, STR("_count"), s->labels, nothing);
    return put_whole(p, v->count);
}

/* What a series shows. */
struct value {
    struct sample sample;
    double quantile[NQUANTILES]; /* of a summary, or the second family of a histogram */
};

static char *put_quantiles(char *p, const struct prom_family *f, const struct series_view *s,
                           const struct value *v)
{
    for (int i = 0; i < NQUANTILES; i++) {
        p = put_name(p, f, nothing, s->labels, quantile_labels[i]);
        p = put_double(p, v->quantile[i]);
    }
    return p;
}

static bool is_created(const struct prom_family *f)
{
    return f->format == PROM_OPENMETRICS &&
           (f->shape == SHAPE_COUNTER || f->shape == SHAPE_HISTOGRAM || f->shape == SHAPE_SUMMARY);
}

static bool has_quantiles(const struct prom_family *f)
{
    return f->shape == SHAPE_SUMMARY || f->shape == SHAPE_QUANTILE;
}

static bool read_value(const struct prom_family *f, const struct store *st,
                       const struct series_view *s, struct value *v)
{
    series_sample(st, &f->m, s, &v->sample);
    if (has_quantiles(f))
        series_quantiles(st, &f->m, s, quantiles, NQUANTILES, f->now_mono, v->quantile);
    return f->shape == SHAPE_QUANTILE ? !isnan(v->quantile[0]) : v->sample.present;
}

/* Its lines at most. */
static unsigned lines_of(const struct prom_family *f)
{
    return f->shape == SHAPE_HISTOGRAM ? f->m.nbounds + 4 : (unsigned)NQUANTILES + 3;
}

static char *put_lines(char *p, const struct prom_family *f, const struct series_view *s,
                       const struct value *v)
{
    if (f->shape <= SHAPE_INFO)
        p = put_double(put_number(p, f, s->labels), v->sample.d);
    if (f->shape == SHAPE_HISTOGRAM)
        p = put_buckets(p, f, s, &v->sample);
    if (has_quantiles(f))
        p = put_quantiles(p, f, s, v);
    if (f->shape == SHAPE_HISTOGRAM || f->shape == SHAPE_SUMMARY)
        p = put_sum(p, f, s, &v->sample);
    return is_created(f) ? put_created(p, f, s) : p;
}

unsigned prom_family_show(const struct prom_family *f, const struct store *st,
                          const struct series_view *s, bool *headed, struct buf *to)
{
    struct value v;
    const unsigned work = has_quantiles(f) ? QUANTILES_WORK : 0;
    if (!(s->flags & SERIES_LIVE) || s->flags & SERIES_GROUP)
        return 0;
    if (!read_value(f, st, s, &v))
        return work;
    prom_family_begin(f, headed, to);
    char *const begin = buf_room(to, line_room(f, s->labels) * lines_of(f));
    if (!begin)
        return work;
    const char *end = put_lines(begin, f, s, &v);
    buf_added(to, (size_t)(end - begin));
    return work + lines_of(f);
}
