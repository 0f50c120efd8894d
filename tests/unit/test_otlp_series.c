/* The store's series as OTLP metrics: every series once, under its service, in bounded
 * steps; deltas add up to what the store has. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "format/otlp_series.h"
#include "memory_store.h"
#include "otlp/metrics.pb-c.h"
#include "wire/decode.h"

static struct memory_store ms;
static struct otlp_series series;
static struct otlp_batch batch;
static struct otlp_sent sent;

static void setup(void)
{
    memory_store_init(&ms);
    otlp_series_init(&series, &ms.st);
    ck_assert_int_eq(otlp_batch_init(&batch, OTLP_METRICS, 1000, 1 << 20), 0);
    otlp_sent_init(&sent, memory_store_now.wall);
}

static void teardown(void)
{
    otlp_series_fini(&series);
    otlp_batch_fini(&batch);
    otlp_sent_fini(&sent);
    memory_store_fini(&ms);
}

static void begin(struct otlp_sent *of)
{
    otlp_series_begin(&series, of, STR("mcptallyd"), STR("here"), memory_store_now);
}

static Otlp__ExportMetricsServiceRequest *request(void)
{
    struct str bytes;
    ck_assert_int_eq(otlp_batch_end(&batch, &bytes, NULL), 0);
    Otlp__ExportMetricsServiceRequest *m =
        otlp__export_metrics_service_request__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);
    ck_assert_ptr_nonnull(m);
    return m;
}

static void done(Otlp__ExportMetricsServiceRequest *m)
{
    otlp__export_metrics_service_request__free_unpacked(m, NULL);
}

/* A whole pass in steps of that many series. */
static Otlp__ExportMetricsServiceRequest *pass(struct otlp_sent *of, unsigned most)
{
    unsigned steps = 0;
    begin(of);
    while (otlp_series_step(&series, &batch, most) != OTLP_SERIES_END)
        ck_assert_uint_lt(++steps, 100000);
    ck_assert_uint_eq(series.lost, 0);
    return request();
}

static uint32_t define(const char *name, enum metric_kind kind, enum value_type type)
{
    const struct metric_def def = {.name = str_of(name),
                                   .unit = STR("s"),
                                   .help = STR("Some help."),
                                   .kind = kind,
                                   .type = type,
                                   .nbounds = kind == METRIC_HISTOGRAM ? 2 : 0,
                                   .bounds = {1, 5}};
    return memory_store_metric(&ms, &def, false);
}

START_TEST(services)
{
    const uint32_t m = define("tool.calls", METRIC_COUNTER, VALUE_U64);
    const uint32_t a =
        memory_store_series(&ms, m, "service_name=\"a\\\"b\",tool_name=\"line\\nline\"");
    const uint32_t b = memory_store_series(&ms, m, "service_instance_id=\"7\",service_name=\"b\"");
    const uint32_t none = memory_store_series(&ms, m, "x=\"y\"");
    memory_store_update(&ms, a, 0, 3);
    memory_store_update(&ms, b, 0, 4);
    memory_store_update(&ms, none, 0, UINT64_MAX);
    Otlp__ExportMetricsServiceRequest *r = pass(NULL, 1000);
    ck_assert_uint_eq(r->n_resource_metrics, 3);
    static const char *const names[] = {"a\"b", "b", "mcptallyd"};
    for (unsigned i = 0; i < 3; i++) {
        const Otlp__Resource *of = r->resource_metrics[i]->resource;
        ck_assert_str_eq(of->attributes[0]->key, "service.name");
        ck_assert_str_eq(of->attributes[0]->value->string_value, names[i]);
        ck_assert_uint_eq(of->n_attributes, i == 0 ? 1 : 2);
    }
    ck_assert_str_eq(r->resource_metrics[1]->resource->attributes[1]->value->string_value, "7");
    ck_assert_str_eq(r->resource_metrics[2]->resource->attributes[1]->value->string_value, "here");
    const Otlp__Metric *metric = r->resource_metrics[0]->scope_metrics[0]->metrics[0];
    ck_assert_str_eq(metric->name, "tool.calls");
    ck_assert_str_eq(metric->unit, "s");
    ck_assert_str_eq(metric->description, "Some help.");
    ck_assert(metric->sum->is_monotonic && metric->sum->aggregation_temporality == 2);
    const Otlp__NumberDataPoint *p = metric->sum->data_points[0];
    ck_assert_int_eq(p->as_int, 3);
    ck_assert(p->start_time_unix_nano > 0 && p->time_unix_nano == memory_store_now.wall);
    ck_assert_uint_eq(p->n_attributes, 1);
    ck_assert_str_eq(p->attributes[0]->key, "tool_name");
    ck_assert_str_eq(p->attributes[0]->value->string_value, "line\nline");
    p = r->resource_metrics[2]->scope_metrics[0]->metrics[0]->sum->data_points[0];
    ck_assert_int_eq(p->value_case, OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE);
    ck_assert_double_eq(p->as_double, 18446744073709551615.0);
    done(r);
}
END_TEST

/* The keys are those that the labels came with, not those of Prometheus. */
START_TEST(original_keys)
{
    struct buf text, keys;
    struct label labels[] = {{STR("service_name"), STR("a")}, {STR("http.route"), STR("/x")}};
    buf_init(&text, 1000);
    buf_init(&keys, 1000);
    labels_canonical_keys(&text, &keys, labels, 2);
    const struct series_ask ask = {.metric = define("hits", METRIC_COUNTER, VALUE_U64),
                                   .labels = buf_str(&text),
                                   .keys = buf_str(&keys),
                                   .group = STR(""),
                                   .overflow = STR("overflow=\"true\""),
                                   .now = memory_store_now};
    uint32_t id;
    ck_assert_int_eq(series_make(&ms.st, &ask, &id), 0);
    store_commit(&ms.st);
    Otlp__ExportMetricsServiceRequest *r = pass(NULL, 1000);
    const Otlp__NumberDataPoint *p =
        r->resource_metrics[0]->scope_metrics[0]->metrics[0]->sum->data_points[0];
    ck_assert_uint_eq(p->n_attributes, 1);
    ck_assert_str_eq(p->attributes[0]->key, "http.route");
    done(r);
    buf_fini(&text);
    buf_fini(&keys);
}
END_TEST

START_TEST(kinds)
{
    const uint32_t g = memory_store_series(&ms, define("g", METRIC_GAUGE, VALUE_F64), "a=\"1\"");
    const uint32_t h = memory_store_series(&ms, define("h", METRIC_HISTOGRAM, VALUE_F64), "");
    const uint32_t s = memory_store_series(&ms, define("s", METRIC_SUMMARY, VALUE_F64), "");
    memory_store_update(&ms, g, 0, f64_bits(-2.5));
    memory_store_update(&ms, h, 0, f64_bits(0.5));
    memory_store_update(&ms, h, 0, f64_bits(7));
    memory_store_update(&ms, s, 0, f64_bits(3));
    Otlp__ExportMetricsServiceRequest *r = pass(NULL, 1000);
    ck_assert_uint_eq(r->n_resource_metrics, 1);
    Otlp__Metric **m = r->resource_metrics[0]->scope_metrics[0]->metrics;
    ck_assert_uint_eq(r->resource_metrics[0]->scope_metrics[0]->n_metrics, 3);
    ck_assert_double_eq(m[0]->gauge->data_points[0]->as_double, -2.5);
    ck_assert_uint_eq(m[0]->gauge->data_points[0]->start_time_unix_nano, 0);
    const Otlp__HistogramDataPoint *hp = m[1]->histogram->data_points[0];
    ck_assert(hp->count == 2 && hp->sum == 7.5 && hp->n_bucket_counts == 3);
    ck_assert(hp->bucket_counts[0] == 1 && hp->bucket_counts[1] == 0 && hp->bucket_counts[2] == 1);
    ck_assert(hp->n_explicit_bounds == 2 && hp->explicit_bounds[1] == 5);
    const Otlp__SummaryDataPoint *sp = m[2]->summary->data_points[0];
    ck_assert(sp->count == 1 && sp->sum == 3 && sp->n_quantile_values == 4);
    ck_assert(fabs(sp->quantile_values[0]->value - 3) < 0.03);
    done(r);
}
END_TEST

/* Whatever the steps and batches, each series is told once. */
START_TEST(steps)
{
    enum { METRICS = 7, SERIES = 30 };
    for (unsigned i = 0; i < METRICS; i++) {
        char name[16], labels[64];
        snprintf(name, sizeof name, "m%u", i);
        const uint32_t m = define(name, METRIC_COUNTER, VALUE_U64);
        for (unsigned k = 0; k < SERIES; k++) {
            snprintf(labels, sizeof labels, "k=\"%u\",service_name=\"s%u\"", k, k % 3);
            memory_store_update(&ms, memory_store_series(&ms, m, labels), 0, 1 + k);
        }
    }
    static const unsigned mosts[] = {1, 2, 7, 30, 256};
    for (unsigned t = 0; t < 5; t++) {
        struct otlp_batch small;
        enum otlp_series_state state;
        uint64_t points = 0, sum = 0;
        unsigned fulls = 0;
        ck_assert_int_eq(otlp_batch_init(&small, OTLP_METRICS, 5, 1 << 20), 0);
        begin(NULL);
        do {
            struct str bytes;
            state = otlp_series_step(&series, &small, mosts[t]);
            if (state == OTLP_SERIES_MORE)
                continue;
            fulls += state == OTLP_SERIES_FULL;
            ck_assert_int_eq(otlp_batch_end(&small, &bytes, NULL), 0);
            Otlp__ExportMetricsServiceRequest *r = otlp__export_metrics_service_request__unpack(
                NULL, bytes.n, (const uint8_t *)bytes.p);
            for (size_t i = 0; i < r->n_resource_metrics; i++) {
                const Otlp__ScopeMetrics *of = r->resource_metrics[i]->scope_metrics[0];
                for (size_t k = 0; k < of->n_metrics; k++)
                    for (size_t j = 0; j < of->metrics[k]->sum->n_data_points; j++) {
                        points++;
                        sum += (uint64_t)of->metrics[k]->sum->data_points[j]->as_int;
                    }
            }
            done(r);
        } while (state != OTLP_SERIES_END);
        ck_assert_uint_eq(points, METRICS * SERIES);
        ck_assert_uint_eq(sum, METRICS * SERIES * (SERIES + 1) / 2);
        ck_assert_uint_gt(fulls, 0);
        otlp_batch_fini(&small);
    }
}
END_TEST

static const Otlp__Metric *only(const Otlp__ExportMetricsServiceRequest *r)
{
    return r->n_resource_metrics ? r->resource_metrics[0]->scope_metrics[0]->metrics[0] : NULL;
}

START_TEST(deltas)
{
    const uint32_t c = memory_store_series(&ms, define("c", METRIC_COUNTER, VALUE_U64), "");
    memory_store_update(&ms, c, 0, 5);
    Otlp__ExportMetricsServiceRequest *r = pass(&sent, 256);
    ck_assert_int_eq(only(r)->sum->data_points[0]->as_int, 5); /* it began with the daemon */
    ck_assert_uint_eq(only(r)->sum->aggregation_temporality, 1);
    done(r);
    r = pass(&sent, 256);
    ck_assert_ptr_null(only(r)); /* nothing since */
    done(r);
    memory_store_update(&ms, c, 0, 2);
    r = pass(&sent, 256);
    ck_assert_int_eq(only(r)->sum->data_points[0]->as_int, 2);
    ck_assert_uint_eq(only(r)->sum->data_points[0]->start_time_unix_nano, memory_store_now.wall);
    done(r);
    /* Another daemon: what was there before is not told again. */
    otlp_sent_fini(&sent);
    otlp_sent_init(&sent, memory_store_now.wall + 1);
    r = pass(&sent, 256);
    ck_assert_ptr_null(only(r));
    done(r);
    memory_store_update(&ms, c, 0, 9);
    r = pass(&sent, 256);
    ck_assert_int_eq(only(r)->sum->data_points[0]->as_int, 9);
    done(r);
}
END_TEST

START_TEST(deltas_of_histograms)
{
    const uint32_t h = memory_store_series(&ms, define("h", METRIC_HISTOGRAM, VALUE_F64), "");
    memory_store_update(&ms, h, 0, f64_bits(0.5));
    done(pass(&sent, 256));
    memory_store_update(&ms, h, 0, f64_bits(2));
    memory_store_update(&ms, h, 0, f64_bits(9));
    Otlp__ExportMetricsServiceRequest *r = pass(&sent, 256);
    const Otlp__HistogramDataPoint *p = only(r)->histogram->data_points[0];
    ck_assert(p->count == 2 && p->sum == 11);
    ck_assert(p->bucket_counts[0] == 0 && p->bucket_counts[1] == 1 && p->bucket_counts[2] == 1);
    done(r);
}
END_TEST

START_TEST(exemplars)
{
    struct exemplars x = {0};
    const uint32_t h = memory_store_series(&ms, define("h", METRIC_HISTOGRAM, VALUE_F64), "");
    const struct exemplar e = {{{1, 2}, {3}}, 7.5, memory_store_now.wall + 5};
    memory_store_update(&ms, h, 0, f64_bits(7.5));
    exemplar_note(&x, &ms.st, h, &e);
    series.exemplars = &x;
    Otlp__ExportMetricsServiceRequest *r = pass(NULL, 256);
    const Otlp__HistogramDataPoint *p = only(r)->histogram->data_points[0];
    ck_assert_uint_eq(p->n_exemplars, 1);
    ck_assert_uint_eq(p->exemplars[0]->time_unix_nano, e.time);
    ck_assert_double_eq(p->exemplars[0]->as_double, 7.5);
    ck_assert_mem_eq(p->exemplars[0]->trace_id.data, e.trace.trace_id, 16);
    ck_assert_mem_eq(p->exemplars[0]->span_id.data, e.trace.span_id, 8);
    done(r);
    exemplars_fini(&x);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_series");
    TCase *t = tcase_create("series");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, services);
    tcase_add_test(t, original_keys);
    tcase_add_test(t, kinds);
    tcase_add_test(t, steps);
    tcase_add_test(t, deltas);
    tcase_add_test(t, deltas_of_histograms);
    tcase_add_test(t, exemplars);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
