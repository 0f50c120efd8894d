/* Metrics and their points: as protobuf-c has them, and refused where they make no sense. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "otlp/field.h"
#include "otlp/metrics.pb-c.h"
#include "otlp/otlp.h"
#include "otlp/put.h"
#include "otlp_random.h"
#include "otlp_whole.h"

static struct otlp_metric metric;
static struct otlp_point p;
static struct buf b;
static struct str raw;

static void setup(void)
{
    buf_init(&b, 1 << 20);
    otlp_metric_init(&metric);
    memset(&p, 0xa5, sizeof p); /* what is not set must not be relied on */
}

static void teardown(void)
{
    otlp_metric_fini(&metric);
    buf_fini(&b);
}

static void pack(const ProtobufCMessage *m)
{
    buf_reset(&b);
    const size_t n = protobuf_c_message_get_packed_size(m);
    protobuf_c_message_pack(m, (uint8_t *)buf_room(&b, n + 1));
    buf_added(&b, n);
}

/* Makes what is random of a histogram make sense. */
static void straighten(Otlp__HistogramDataPoint *h)
{
    free(h->bucket_counts);
    h->n_bucket_counts = h->n_explicit_bounds ? h->n_explicit_bounds + 1 : 0;
    h->bucket_counts = calloc(h->n_bucket_counts + 1, sizeof *h->bucket_counts);
    for (size_t i = 0; i < h->n_explicit_bounds; i++) {
        h->explicit_bounds[i] = (double)i * 1.5;
        h->bucket_counts[i] = i * 7;
    }
    if (h->n_bucket_counts == 0) {
        free(h->bucket_counts);
        h->bucket_counts = NULL;
    }
}

static void same_exemplar(Otlp__Exemplar **of, size_t n)
{
    const Otlp__Exemplar *newest = NULL;
    for (size_t i = 0; i < n; i++)
        if (!newest || of[i]->time_unix_nano >= newest->time_unix_nano)
            newest = of[i];
    ck_assert(p.exemplar.present == (newest != NULL));
    if (!newest)
        return;
    ck_assert_uint_eq(p.exemplar.time, newest->time_unix_nano);
    ck_assert_mem_eq(p.exemplar.trace.trace_id, newest->trace_id.data, 16);
    ck_assert_mem_eq(p.exemplar.trace.span_id, newest->span_id.data, 8);
    const double value = newest->value_case == OTLP__EXEMPLAR__VALUE_AS_DOUBLE ? newest->as_double
                         : newest->value_case == OTLP__EXEMPLAR__VALUE_AS_INT
                             ? (double)newest->as_int
                             : 0;
    ck_assert_double_eq(p.exemplar.value, value);
}

static void same_number(const Otlp__NumberDataPoint *n)
{
    const bool is_int = n->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
    ck_assert(p.start == n->start_time_unix_nano && p.time == n->time_unix_nano);
    ck_assert_uint_eq(p.flags, n->flags);
    ck_assert(p.is_int == is_int);
    if (is_int)
        ck_assert_int_eq(p.i, n->as_int);
    if (n->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE)
        ck_assert_double_eq(p.d, n->as_double);
    same_exemplar(n->exemplars, n->n_exemplars);
}

static void same_histogram(const Otlp__HistogramDataPoint *h)
{
    ck_assert(p.start == h->start_time_unix_nano && p.time == h->time_unix_nano);
    ck_assert_uint_eq(p.count, h->count);
    ck_assert(p.has_sum == (h->has_sum_case != 0));
    ck_assert(!p.has_sum || p.sum == h->sum);
    ck_assert_uint_eq(p.nbounds, h->n_explicit_bounds);
    ck_assert_uint_eq(p.nbuckets, h->n_bucket_counts);
    for (unsigned i = 0; i < p.nbounds; i++)
        ck_assert_double_eq(p.bounds[i], h->explicit_bounds[i]);
    for (unsigned i = 0; i < p.nbuckets; i++)
        ck_assert_uint_eq(p.buckets[i], h->bucket_counts[i]);
    same_exemplar(h->exemplars, h->n_exemplars);
}

static void same_exp(const struct otlp_exp_buckets *x,
                     const Otlp__ExponentialHistogramDataPoint__Buckets *y)
{
    ck_assert_uint_eq(x->n, y ? y->n_bucket_counts : 0);
    ck_assert_int_eq(x->offset, y ? y->offset : 0);
    for (unsigned i = 0; i < x->n; i++)
        ck_assert_uint_eq(x->counts[i], y->bucket_counts[i]);
}

static void same_exponential(const Otlp__ExponentialHistogramDataPoint *h)
{
    ck_assert(p.start == h->start_time_unix_nano && p.time == h->time_unix_nano);
    ck_assert_uint_eq(p.count, h->count);
    ck_assert(p.has_sum == (h->has_sum_case != 0));
    ck_assert_int_eq(p.scale, h->scale);
    ck_assert_uint_eq(p.zero_count, h->zero_count);
    ck_assert_double_eq(p.zero_threshold, h->zero_threshold);
    same_exp(&p.positive, h->positive);
    same_exp(&p.negative, h->negative);
}

static void same_summary(const Otlp__SummaryDataPoint *s)
{
    ck_assert_uint_eq(p.count, s->count);
    ck_assert_double_eq(p.sum, s->sum);
    ck_assert_uint_eq(p.nquantiles, s->n_quantile_values);
    for (unsigned i = 0; i < p.nquantiles; i++) {
        ck_assert_double_eq(p.quantiles[i].q, s->quantile_values[i]->quantile);
        ck_assert_double_eq(p.quantiles[i].value, s->quantile_values[i]->value);
    }
}

static void next_point(void)
{
    ck_assert_int_eq(otlp_point(&metric, &p, &raw), 1);
}

static void same_points(const Otlp__Metric *m)
{
    switch (m->data_case) {
    case OTLP__METRIC__DATA_GAUGE:
        for (size_t i = 0; i < m->gauge->n_data_points; i++)
            next_point(), same_number(m->gauge->data_points[i]);
        break;
    case OTLP__METRIC__DATA_SUM:
        ck_assert(metric.monotonic == m->sum->is_monotonic);
        ck_assert_uint_eq(metric.temporality, m->sum->aggregation_temporality);
        for (size_t i = 0; i < m->sum->n_data_points; i++)
            next_point(), same_number(m->sum->data_points[i]);
        break;
    case OTLP__METRIC__DATA_HISTOGRAM:
        ck_assert_uint_eq(metric.temporality, m->histogram->aggregation_temporality);
        for (size_t i = 0; i < m->histogram->n_data_points; i++)
            next_point(), same_histogram(m->histogram->data_points[i]);
        break;
    case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
        for (size_t i = 0; i < m->exponential_histogram->n_data_points; i++)
            next_point(), same_exponential(m->exponential_histogram->data_points[i]);
        break;
    case OTLP__METRIC__DATA_SUMMARY:
        for (size_t i = 0; i < m->summary->n_data_points; i++)
            next_point(), same_summary(m->summary->data_points[i]);
        break;
    default:
        break;
    }
    ck_assert_int_eq(otlp_point(&metric, &p, &raw), 0);
}

START_TEST(random_metrics)
{
    struct rng rng = {(uint64_t)_i};
    ProtobufCMessage *message = random_message(&rng, &otlp__metric__descriptor, 8);
    Otlp__Metric *m = (Otlp__Metric *)message;
    if (m->data_case == OTLP__METRIC__DATA_HISTOGRAM)
        for (size_t i = 0; i < m->histogram->n_data_points; i++)
            straighten(m->histogram->data_points[i]);
    if (m->data_case == OTLP__METRIC__DATA_SUMMARY)
        for (size_t i = 0; i < m->summary->n_data_points; i++)
            for (size_t k = 0; k < m->summary->data_points[i]->n_quantile_values; k++)
                m->summary->data_points[i]->quantile_values[k]->quantile = 0.5;
    pack(message);
    const int e = metric_whole(buf_str(&b), &metric);
    ck_assert_int_eq(e, *m->name ? 0 : -ERR_NAME);
    if (e == 0) {
        ck_assert(str_eq(metric.name, str_of(m->name)) && str_eq(metric.unit, str_of(m->unit)));
        ck_assert(str_eq(metric.help, str_of(m->description)));
        ck_assert_uint_eq(metric.data, m->data_case);
        same_points(m);
    }
    protobuf_c_message_free_unpacked(message, NULL);
}
END_TEST

/* ---- by hand ---- */

static size_t data_at;

static void begin_metric(enum otlp_data data)
{
    buf_reset(&b);
    put_text(&b, 1, STR("m"));
    data_at = put_open(&b, data);
}

/* Reads the metric whose points were put, and its first point. */
static int end_metric(void)
{
    put_close(&b, data_at);
    ck_assert_int_eq(metric_whole(buf_str(&b), &metric), 0);
    return otlp_point(&metric, &p, &raw);
}

static int histogram(const double *bounds, unsigned nbounds, unsigned nbuckets, bool packed)
{
    begin_metric(OTLP_HISTOGRAM);
    const size_t at = put_open(&b, 1);
    put_double(&b, 5, 3);
    size_t list = packed ? put_open(&b, 6) : 0;
    for (unsigned i = 0; i < nbuckets; i++) {
        if (!packed)
            put_fixed64_always(&b, 6, i);
        else
            buf_add(&b, &(uint64_t){i}, 8);
    }
    if (packed) {
        put_close(&b, list);
        list = put_open(&b, 7);
    }
    for (unsigned i = 0; i < nbounds; i++) {
        if (!packed)
            put_double(&b, 7, bounds[i]);
        else
            buf_add(&b, &bounds[i], 8);
    }
    if (packed)
        put_close(&b, list);
    put_close(&b, at);
    return end_metric();
}

START_TEST(histograms)
{
    static const double good[] = {1, 2, 3}, flat[] = {1, 1, 2}, wild[] = {1, NAN, 2},
                        open[] = {1, 2, INFINITY};
    static double many[LIMIT_OTLP_BUCKETS + 1];
    for (unsigned i = 0; i <= LIMIT_OTLP_BUCKETS; i++)
        many[i] = i;
    for (unsigned packed = 0; packed < 2; packed++) {
        ck_assert_int_eq(histogram(good, 3, 4, packed), 1);
        ck_assert(p.nbounds == 3 && p.nbuckets == 4 && p.buckets[3] == 3 && p.bounds[2] == 3);
        ck_assert_int_eq(histogram(good, 3, 3, packed), -ERR_SYNTAX);
        ck_assert_int_eq(histogram(good, 0, 1, packed), 1);
        ck_assert_int_eq(histogram(good, 0, 0, packed), 1);
        ck_assert_int_eq(histogram(flat, 3, 4, packed), -ERR_SYNTAX);
        ck_assert_int_eq(histogram(wild, 3, 4, packed), -ERR_NOTFINITE);
        ck_assert_int_eq(histogram(open, 3, 4, packed), -ERR_NOTFINITE);
        ck_assert_int_eq(histogram(many, LIMIT_OTLP_BUCKETS, LIMIT_OTLP_BUCKETS + 1, packed), 1);
        ck_assert_int_eq(histogram(many, LIMIT_OTLP_BUCKETS + 1, LIMIT_OTLP_BUCKETS + 1, packed),
                         -ERR_RANGE);
        ck_assert_int_eq(histogram(many, LIMIT_OTLP_BUCKETS, LIMIT_OTLP_BUCKETS + 2, packed),
                         -ERR_RANGE);
    }
}
END_TEST

START_TEST(exponential)
{
    begin_metric(OTLP_EXPONENTIAL);
    const size_t at = put_open(&b, 1);
    put_uint(&b, 6, 5); /* zigzag: -3 */
    const size_t buckets = put_open(&b, 8);
    put_uint(&b, 1, 4); /* 2 */
    put_uint(&b, 2, 1);
    const size_t packed = put_open(&b, 2);
    put_varint(&b, 300);
    put_varint(&b, 2);
    put_close(&b, packed);
    put_close(&b, buckets);
    put_close(&b, at);
    ck_assert_int_eq(end_metric(), 1);
    ck_assert(p.scale == -3 && p.positive.offset == 2 && p.positive.n == 3);
    ck_assert(p.positive.counts[0] == 1 && p.positive.counts[1] == 300 && p.negative.n == 0);
}
END_TEST

/* A bad point is told, and those behind it are read. */
START_TEST(bad_points)
{
    static const double values[] = {1, NAN, 2, INFINITY};
    static const int errors[] = {1, -ERR_NOTFINITE, 1, -ERR_NOTFINITE};
    begin_metric(OTLP_GAUGE);
    for (unsigned i = 0; i < 4; i++) {
        const size_t at = put_open(&b, 1);
        put_double(&b, 4, values[i]);
        put_close(&b, at);
    }
    size_t at = put_open(&b, 1);
    put_double(&b, 4, NAN);
    put_uint(&b, 8, 1); /* it has no value */
    put_close(&b, at);
    at = put_open(&b, 1);
    buf_adds(&b, "\x3a\x7f"); /* an attribute that leads outside */
    put_close(&b, at);
    int e = end_metric();
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(e, errors[i]);
        e = otlp_point(&metric, &p, &raw);
    }
    ck_assert_int_eq(e, 1);
    ck_assert_uint_eq(p.flags, 1);
    ck_assert_int_eq(otlp_point(&metric, &p, &raw), -ERR_SYNTAX);
    ck_assert_int_eq(otlp_point(&metric, &p, &raw), 0);
}
END_TEST

START_TEST(bad_metrics)
{
    static char name[LIMIT_NAME + 1];
    memset(name, 'x', sizeof name);
    buf_reset(&b);
    ck_assert_int_eq(metric_whole(buf_str(&b), &metric), -ERR_NAME);
    put_text(&b, 1, (struct str){name, LIMIT_NAME});
    ck_assert_int_eq(metric_whole(buf_str(&b), &metric), 0);
    ck_assert_int_eq(otlp_point(&metric, &p, &raw), 0);
    put_text(&b, 1, (struct str){name, sizeof name});
    ck_assert_int_eq(metric_whole(buf_str(&b), &metric), -ERR_NAME);
    put_text(&b, 1, STR("a\xff"));
    ck_assert_int_eq(metric_whole(buf_str(&b), &metric), -ERR_UTF8);
    for (unsigned first = 5; first <= 7; first += 2) { /* data twice, of one kind or two */
        buf_reset(&b);
        put_text(&b, 1, STR("m"));
        put_close(&b, put_open(&b, first));
        put_close(&b, put_open(&b, 7));
        ck_assert_int_eq(metric_whole(buf_str(&b), &metric), -ERR_SYNTAX);
    }
    begin_metric(OTLP_SUM);
    put_uint(&b, 2, 99); /* of a later version */
    ck_assert_int_eq(end_metric(), 0);
    ck_assert_uint_eq(metric.temporality, OTLP_UNSPECIFIED);
    begin_metric(OTLP_SUMMARY);
    const size_t at = put_open(&b, 1);
    for (unsigned i = 0; i <= LIMIT_OTLP_QUANTILES; i++)
        put_close(&b, put_open(&b, 6));
    put_close(&b, at);
    ck_assert_int_eq(end_metric(), -ERR_RANGE);
}
END_TEST

/* However many fields there are, a call reads a few, and what it keeps has an end. */
START_TEST(bounded_reading)
{
    static const struct {
        const char *unit;
        size_t n;
        bool inside; /* the data, not the Metric */
        int end;
    } cases[] = {
        {"\x0a\x00", 2, true, 0},                  /* empty points */
        {"\x0a\x00\x18\x01", 4, true, -ERR_RANGE}, /* points between other fields */
        {"\x52\x00", 2, true, -ERR_RANGE},         /* fields that nobody knows */
        {"\x62\x00", 2, false, -ERR_RANGE},        /* empty metadata */
        {"\x72\x00", 2, false, -ERR_RANGE},
    };
    enum { FIELDS = 200000 };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        int e = OTLP_MORE;
        unsigned calls = 0;
        begin_metric(OTLP_SUM);
        if (!cases[i].inside)
            put_close(&b, data_at);
        for (unsigned k = 0; k < FIELDS; k++)
            buf_add(&b, cases[i].unit, cases[i].n);
        if (cases[i].inside)
            put_close(&b, data_at);
        ck_assert(!b.failed);
        otlp_metric_begin(&metric, buf_str(&b));
        for (; e == OTLP_MORE; calls++) {
            const size_t before = metric.work;
            e = otlp_metric_read(&metric);
            ck_assert_uint_le(metric.work - before, OTLP_CALL_WORK);
        }
        ck_assert_int_eq(e, cases[i].end);
        ck_assert_uint_ge(calls, FIELDS / OTLP_CALL_WORK);
        ck_assert_uint_le(metric.around.n + metric.data_around.n, 2 * LIMIT_ORIGIN);
    }
}
END_TEST

/* One that no record can hold is not looked at, and those behind it are read. */
START_TEST(large_points)
{
    begin_metric(OTLP_GAUGE);
    size_t at = put_open(&b, 1);
    for (unsigned i = 0; i < LIMIT_RECORD / 2; i++)
        buf_add(&b, "\x3a\x00", 2);
    put_double(&b, 4, 1);
    put_close(&b, at);
    at = put_open(&b, 1);
    put_double(&b, 4, 2);
    put_close(&b, at);
    ck_assert_int_eq(end_metric(), -ERR_RANGE);
    ck_assert_int_eq(otlp_point(&metric, &p, &raw), 1);
    ck_assert_double_eq(p.d, 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_metric");
    TCase *t = tcase_create("metrics");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, random_metrics, 0, 400);
    tcase_add_test(t, histograms);
    tcase_add_test(t, exponential);
    tcase_add_test(t, bad_points);
    tcase_add_test(t, bad_metrics);
    tcase_add_test(t, bounded_reading);
    tcase_add_test(t, large_points);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
