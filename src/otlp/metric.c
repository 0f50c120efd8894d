/* Metrics and their points. */
#include <assert.h>
#include <math.h>

#include "otlp/otlp.h"
#include "otlp/value.h"

enum { CALL_FIELDS = 512 }; /* that a call of otlp_metric_read() passes over */

/* The numbers of a Metric's fields that hold data, of which it has one; and of points in it. */
enum { DATA = 1u << 5 | 1u << 7 | 1u << 9 | 1u << 10 | 1u << 11, POINTS = 1u << 1 };

void otlp_metric_init(struct otlp_metric *m)
{
    *m = (struct otlp_metric){.data = (enum otlp_data)0};
    buf_init(&m->around, LIMIT_ORIGIN);
    buf_init(&m->data_around, LIMIT_ORIGIN);
}

void otlp_metric_fini(struct otlp_metric *m)
{
    buf_fini(&m->around);
    buf_fini(&m->data_around);
}

static int take_data(struct otlp_metric *out)
{
    struct fields in = fields_of(buf_str(&out->data_around));
    struct field f;
    const bool has_temporality = out->data != OTLP_GAUGE && out->data != OTLP_SUMMARY;
    while (fields_next(&in, &f)) {
        if (f.tag == FIELD(2, VARINT) && has_temporality)
            out->temporality =
                f.v <= OTLP_CUMULATIVE ? (enum otlp_temporality)f.v : OTLP_UNSPECIFIED;
        else if (f.tag == FIELD(3, VARINT) && out->data == OTLP_SUM)
            out->monotonic = f.v != 0;
        else
            fields_unknown(&in, &f,
                           FIELDS_TO(out->data == OTLP_SUM ? 3 : 1 + (unsigned)has_temporality));
    }
    return in.err;
}

static void take_metric(struct fields *r, const struct field *f, struct otlp_metric *out)
{
    struct attr ignored;
    switch (f->tag) {
    case FIELD(1, BYTES):
        out->name = f->s;
        break;
    case FIELD(2, BYTES):
        value_check(r, value_text(f->s, LIMIT_HELP, &out->help));
        break;
    case FIELD(3, BYTES):
        value_check(r, value_text(f->s, LIMIT_UNIT, &out->unit));
        break;
    case FIELD(12, BYTES):
        value_check(r, value_attr(f->s, 1, &ignored));
        break;
    default:
        fields_unknown(r, f, FIELDS_TO(12) & ~(1u << 4 | 1u << 6 | 1u << 8));
    }
}

void otlp_metric_begin(struct otlp_metric *m, struct str bytes)
{
    m->name = m->unit = m->help = (struct str){NULL, 0};
    m->data = (enum otlp_data)0;
    m->temporality = OTLP_UNSPECIFIED;
    m->monotonic = false;
    m->points = (struct str){NULL, 0};
    m->work = 0;
    buf_reset(&m->data_around);
    gather_begin(&m->gather, bytes, DATA, &m->around);
}

static int take_name(struct otlp_metric *m)
{
    struct str name = {NULL, 0};
    const int e = value_text(m->name, LIMIT_NAME, &name);
    if (e != 0)
        return e;
    return m->name.n == 0 || name.n < m->name.n ? -ERR_NAME : 0;
}

/* Everything around the points is there. */
static int finish_metric(struct otlp_metric *m)
{
    struct fields r = fields_of(buf_str(&m->around));
    struct field f;
    while (fields_next(&r, &f))
        take_metric(&r, &f, m);
    value_check(&r, take_data(m));
    return r.err != 0 ? r.err : take_name(m);
}

/* From the Metric to its data. */
static int enter_data(struct otlp_metric *m)
{
    const struct gather *g = &m->gather;
    const int e = gather_result(g);
    if (e != 0 || g->children > 1)
        return e != 0 ? e : -ERR_SYNTAX;
    if (g->children == 0)
        return finish_metric(m);
    m->data = (enum otlp_data)(g->number);
    m->points = g->child;
    gather_begin(&m->gather, g->child, POINTS, &m->data_around);
    return OTLP_MORE;
}

int otlp_metric_read(struct otlp_metric *m)
{
    if (gather_step(&m->gather, CALL_FIELDS, &m->work))
        return OTLP_MORE;
    if (m->gather.to == &m->around)
        return enter_data(m);
    const int e = gather_result(&m->gather);
    return e != 0 ? e : finish_metric(m);
}

/* ---- points ---- */

static void check_finite(struct fields *r, double d)
{
    if (!isfinite(d))
        fields_fail(r, ERR_NOTFINITE);
}

struct exemplar {
    uint64_t time;
    double value;
    struct trace_ref trace;
};

static void take_exemplar_field(struct fields *r, const struct field *f, struct exemplar *out)
{
    struct attr ignored;
    switch (f->tag) {
    case FIELD(2, FIXED64):
        out->time = f->v;
        break;
    case FIELD(3, FIXED64):
        out->value = bits_f64(f->v);
        break;
    case FIELD(4, BYTES):
        value_check(r, value_id(f->s, out->trace.span_id, sizeof out->trace.span_id));
        break;
    case FIELD(5, BYTES):
        value_check(r, value_id(f->s, out->trace.trace_id, sizeof out->trace.trace_id));
        break;
    case FIELD(6, FIXED64):
        out->value = (double)(int64_t)f->v;
        break;
    case FIELD(7, BYTES):
        value_check(r, value_attr(f->s, 1, &ignored));
        break;
    default:
        fields_unknown(r, f, FIELDS_TO(7) & ~(1u << 1));
    }
}

/* Keeps the newest one that leads to a trace. */
static void take_exemplar(struct fields *r, struct str bytes, struct otlp_point *out)
{
    static const uint8_t zero[16];
    struct exemplar found = {0};
    struct fields in = fields_of(bytes);
    struct field f;
    while (fields_next(&in, &f))
        take_exemplar_field(&in, &f, &found);
    value_check(r, in.err);
    if (in.err != 0 || !isfinite(found.value) ||
        memcmp(found.trace.trace_id, zero, sizeof found.trace.trace_id) == 0 ||
        (out->exemplar.present && found.time < out->exemplar.time))
        return;
    out->exemplar.present = true;
    out->exemplar.time = found.time;
    out->exemplar.value = found.value;
    out->exemplar.trace = found.trace;
}

/* One more number of a repeated field. */
static void push(struct fields *r, uint64_t *to, unsigned *n, unsigned max, uint64_t v)
{
    if (*n < max)
        to[(*n)++] = v;
    else
        fields_fail(r, ERR_RANGE);
}

/* Numbers of eight bytes, one by one or packed. */
static void push_fixed64(struct fields *r, const struct field *f, uint64_t *to, unsigned *n,
                         unsigned max)
{
    if ((f->tag & 7) == FIELD_FIXED64) {
        push(r, to, n, max, f->v);
        return;
    }
    if (f->s.n % 8 != 0)
        fields_fail(r, ERR_SYNTAX);
    else if (f->s.n / 8 > max - *n)
        fields_fail(r, ERR_RANGE);
    else
        for (size_t i = 0; i < f->s.n; i += 8)
            to[(*n)++] = get_u64(f->s.p + i);
}

static void push_varints(struct fields *r, const struct field *f, struct otlp_exp_buckets *to)
{
    if ((f->tag & 7) == FIELD_VARINT) {
        push(r, to->counts, &to->n, LIMIT_OTLP_BUCKETS, f->v);
        return;
    }
    struct fields in = fields_of(f->s);
    while (in.p < in.end && r->err == 0) {
        const uint64_t v = fields_varint(&in);
        if (in.err != 0)
            fields_fail(r, ERR_SYNTAX);
        else
            push(r, to->counts, &to->n, LIMIT_OTLP_BUCKETS, v);
    }
}

static void push_bound(struct fields *r, const struct field *f, struct otlp_point *out)
{
    uint64_t bits[LIMIT_OTLP_BUCKETS];
    unsigned n = 0;
    push_fixed64(r, f, bits, &n, LIMIT_OTLP_BUCKETS - out->nbounds);
    for (unsigned i = 0; i < n; i++)
        out->bounds[out->nbounds++] = bits_f64(bits[i]);
}

/* Where each kind of point has what all of them have; 0: nowhere. */
struct point_shape {
    uint8_t attrs, exemplars, flags;
    uint32_t known; /* numbers */
};

static const struct point_shape number_shape = {7, 5, 8, FIELDS_TO(8) & ~(1u << 1)};
static const struct point_shape histogram_shape = {9, 8, 10, FIELDS_TO(12) & ~(1u << 1)};
static const struct point_shape exponential_shape = {1, 11, 10, FIELDS_TO(14)};
static const struct point_shape summary_shape = {7, 0, 8, FIELDS_TO(8) & ~(1u << 1)};

static void take_common(struct fields *r, const struct field *f, const struct point_shape *shape,
                        struct otlp_point *out)
{
    const unsigned number = f->tag >> 3, type = f->tag & 7;
    if (f->tag == FIELD(2, FIXED64))
        out->start = f->v;
    else if (f->tag == FIELD(3, FIXED64))
        out->time = f->v;
    else if (number == shape->attrs && type == FIELD_BYTES)
        value_add(r, f->s, out->attrs, &out->nattrs, &out->attrs_cut);
    else if (number == shape->exemplars && type == FIELD_BYTES)
        take_exemplar(r, f->s, out);
    else if (number == shape->flags && type == FIELD_VARINT)
        out->flags = (unsigned)f->v;
    else
        fields_unknown(r, f, shape->known);
}

static void take_number(struct fields *r, const struct field *f, struct otlp_point *out)
{
    if (f->tag == FIELD(4, FIXED64)) {
        out->is_int = false;
        out->d = bits_f64(f->v);
    } else if (f->tag == FIELD(6, FIXED64)) {
        out->is_int = true;
        out->i = (int64_t)f->v;
        out->d = (double)out->i;
    } else {
        take_common(r, f, &number_shape, out);
    }
}

static void take_sum(struct otlp_point *out, uint64_t bits)
{
    out->sum = bits_f64(bits);
    out->has_sum = true;
}

static void take_histogram(struct fields *r, const struct field *f, struct otlp_point *out)
{
    switch (f->tag) {
    case FIELD(4, FIXED64):
        out->count = f->v;
        break;
    case FIELD(5, FIXED64):
        take_sum(out, f->v);
        break;
    case FIELD(6, FIXED64):
    case FIELD(6, BYTES):
        push_fixed64(r, f, out->buckets, &out->nbuckets, LIMIT_OTLP_BUCKETS + 1);
        break;
    case FIELD(7, FIXED64):
    case FIELD(7, BYTES):
        push_bound(r, f, out);
        break;
    case FIELD(11, FIXED64):
    case FIELD(12, FIXED64):
        break;
    default:
        take_common(r, f, &histogram_shape, out);
    }
}

static void take_exp_buckets(struct fields *r, struct str bytes, struct otlp_exp_buckets *to)
{
    struct fields in = fields_of(bytes);
    struct field f;
    while (fields_next(&in, &f)) {
        if (f.tag == FIELD(1, VARINT))
            to->offset = (int)field_zigzag((uint32_t)f.v);
        else if (f.tag == FIELD(2, VARINT) || f.tag == FIELD(2, BYTES))
            push_varints(&in, &f, to);
        else
            fields_unknown(&in, &f, FIELDS_TO(2));
    }
    value_check(r, in.err);
}

static void take_exponential(struct fields *r, const struct field *f, struct otlp_point *out)
{
    switch (f->tag) {
    case FIELD(4, FIXED64):
        out->count = f->v;
        break;
    case FIELD(5, FIXED64):
        take_sum(out, f->v);
        break;
    case FIELD(6, VARINT):
        out->scale = (int)field_zigzag((uint32_t)f->v);
        break;
    case FIELD(7, FIXED64):
        out->zero_count = f->v;
        break;
    case FIELD(8, BYTES):
        take_exp_buckets(r, f->s, &out->positive);
        break;
    case FIELD(9, BYTES):
        take_exp_buckets(r, f->s, &out->negative);
        break;
    case FIELD(12, FIXED64):
    case FIELD(13, FIXED64):
        break;
    case FIELD(14, FIXED64):
        out->zero_threshold = bits_f64(f->v);
        break;
    default:
        take_common(r, f, &exponential_shape, out);
    }
}

static void take_quantile(struct fields *r, struct str bytes, struct otlp_point *out)
{
    double q = 0, value = 0;
    struct fields in = fields_of(bytes);
    struct field f;
    while (fields_next(&in, &f)) {
        if (f.tag == FIELD(1, FIXED64))
            q = bits_f64(f.v);
        else if (f.tag == FIELD(2, FIXED64))
            value = bits_f64(f.v);
        else
            fields_unknown(&in, &f, FIELDS_TO(2));
    }
    if (!(q >= 0 && q <= 1))
        fields_fail(&in, ERR_SYNTAX);
    value_check(r, in.err);
    if (out->nquantiles == LIMIT_OTLP_QUANTILES) {
        fields_fail(r, ERR_RANGE);
        return;
    }
    out->quantiles[out->nquantiles].q = q;
    out->quantiles[out->nquantiles++].value = value; /* NaN: nothing was seen */
}

static void take_summary(struct fields *r, const struct field *f, struct otlp_point *out)
{
    if (f->tag == FIELD(4, FIXED64))
        out->count = f->v;
    else if (f->tag == FIELD(5, FIXED64))
        take_sum(out, f->v);
    else if (f->tag == FIELD(6, BYTES))
        take_quantile(r, f->s, out);
    else
        take_common(r, f, &summary_shape, out);
}

/* What the fields say together; a point that has no value says nothing. */
static void check_point(struct fields *r, enum otlp_data data, const struct otlp_point *p)
{
    if (p->flags & 1)
        return;
    check_finite(r, p->d);
    check_finite(r, p->sum);
    check_finite(r, p->zero_threshold);
    for (unsigned i = 0; i < p->nbounds; i++) {
        check_finite(r, p->bounds[i]);
        if (i > 0 && !(p->bounds[i] > p->bounds[i - 1]))
            fields_fail(r, ERR_SYNTAX);
    }
    if (data == OTLP_HISTOGRAM && p->nbuckets + p->nbounds > 0 && p->nbuckets != p->nbounds + 1)
        fields_fail(r, ERR_SYNTAX);
}

/* All but the arrays, whose counts say what of them is valid. */
static void begin_point(struct otlp_point *out)
{
    out->start = out->time = 0;
    out->flags = out->nattrs = out->nbounds = out->nbuckets = out->nquantiles = 0;
    out->attrs_cut = out->is_int = out->has_sum = false;
    out->i = 0;
    out->d = out->sum = out->zero_threshold = 0;
    out->count = out->zero_count = 0;
    out->scale = 0;
    out->positive.offset = out->negative.offset = 0;
    out->positive.n = out->negative.n = 0;
    out->exemplar.present = false;
}

static int read_point(enum otlp_data data, struct str bytes, struct otlp_point *out)
{
    struct fields r = fields_of(bytes);
    struct field f;
    begin_point(out);
    while (fields_next(&r, &f)) {
        if (data == OTLP_GAUGE || data == OTLP_SUM)
            take_number(&r, &f, out);
        else if (data == OTLP_HISTOGRAM)
            take_histogram(&r, &f, out);
        else if (data == OTLP_EXPONENTIAL)
            take_exponential(&r, &f, out);
        else
            take_summary(&r, &f, out);
    }
    if (r.err == 0)
        check_point(&r, data, out);
    return r.err == -ERR_SHORT ? -ERR_SYNTAX : r.err; /* this one's end is known */
}

int otlp_point(struct otlp_metric *m, struct otlp_point *out, struct str *raw)
{
    struct fields r = fields_of(m->points);
    struct field f;
    while (fields_next(&r, &f)) {
        if (f.tag != FIELD(1, BYTES))
            continue;
        m->points = (struct str){(const char *)r.p, fields_left(&r)};
        *raw = f.s;
        const int e = f.s.n > LIMIT_RECORD ? -ERR_RANGE : read_point(m->data, f.s, out);
        return e != 0 ? e : 1;
    }
    assert(r.err == 0); /* otlp_metric_read() has read it to its end */
    m->points.n = 0;
    return 0;
}
