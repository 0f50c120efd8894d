/* Spans into metrics: names, labels, the cache and what ends it, MCP operations. */
#include "store_fixture.h"

#include <stdio.h>

#include "pipeline/redact.h"
#include "pipeline/span_metrics.h"
#include "store/read.h"
#include "store/series.h"

static struct world w;
static struct pipeline pl;
static struct pipeline_options options;
static struct event e;
static struct attr resource = {.key = {"zone", 4}, .type = ATTR_STRING, .s = {"z1", 2}};
static struct span_source from = {
    .service = {"svc", 3}, .otlp = true, .nattrs = 1, .attrs = &resource};
static struct redact *redact;

static void start(void)
{
    ck_assert_int_eq(pipeline_init(&pl, &w.st, &options, w.now), 0);
    pl.redact = redact;
}

static void setup(void)
{
    const struct redact_options o = {.enabled = true};
    world_init(&w, STORE_MIN);
    pipeline_defaults(&options);
    options.cardinality = 4;
    redact = redact_new(&o);
    start();
    e = (struct event){.kind = EVENT_SPAN,
                       .name = STR("work"),
                       .time = NS_PER_S,
                       .end = NS_PER_S + 30 * NS_PER_MS,
                       .span_kind = SPAN_SERVER,
                       .trace = {{1}, {2}}};
}

static void teardown(void)
{
    pipeline_fini(&pl);
    redact_free(redact);
    world_fini(&w);
}

static void note(void)
{
    span_metrics_note(&pl, &e, &from, w.now);
    store_commit(&w.st);
}

static void attr(const char *key, const char *value)
{
    e.attrs[e.nattrs++] =
        (struct attr){.key = str_of(key), .type = ATTR_STRING, .s = str_of(value)};
    e.all_attrs = e.nattrs;
}

static struct sample sample_of(const char *family, const char *labels)
{
    struct metric_view m;
    struct series_view s;
    struct sample v = {0};
    if (metric_find(&w.st, str_of(family), &m) &&
        series_read(&w.st, series_find(&w.st, m.id, str_of(labels)), &s))
        series_sample(&w.st, &m, &s, &v);
    return v;
}

#define CALLS    "traces_span_metrics_calls"
#define DURATION "traces_span_metrics_duration_seconds"
#define LABELS                                                                                     \
    "service_name=\"svc\",span_kind=\"SPAN_KIND_SERVER\",span_name=\"work\","                      \
    "status_code=\"STATUS_CODE_UNSET\""

START_TEST(calls_and_durations)
{
    note();
    note();
    ck_assert_uint_eq(sample_of(CALLS, LABELS).u, 2);
    const struct sample v = sample_of(DURATION, LABELS);
    ck_assert_uint_eq(v.count, 2);
    ck_assert_uint_eq(v.buckets[5], 2); /* 10 ms to 50 ms */
    ck_assert_double_eq_tol(v.sum, 0.06, 1e-9);
    e.status = SPAN_ERROR;
    note();
    ck_assert_uint_eq(sample_of(CALLS, LABELS).u, 2);
    ck_assert_uint_eq(sample_of(CALLS, "service_name=\"svc\",span_kind=\"SPAN_KIND_SERVER\","
                                       "span_name=\"work\",status_code=\"STATUS_CODE_ERROR\"")
                          .u,
                      1);
}
END_TEST

START_TEST(off_is_off)
{
    struct metric_view m;
    pl.options.span_metrics = false;
    note();
    ck_assert(!metric_find(&w.st, STR(CALLS), &m));
}
END_TEST

START_TEST(dimensions_come_from_the_span_or_its_resource)
{
    pl.options.nspan_dimensions = 3;
    pl.options.span_dimensions[0] = STR("tenant");
    pl.options.span_dimensions[1] = STR("zone");
    pl.options.span_dimensions[2] = STR("absent");
    attr("tenant", "t1");
    note();
    ck_assert_uint_eq(sample_of(CALLS, LABELS ",tenant=\"t1\",zone=\"z1\"").u, 1);
    e.attrs[0].s = STR("t2");
    note();
    ck_assert_uint_eq(sample_of(CALLS, LABELS ",tenant=\"t2\",zone=\"z1\"").u, 1);
    pl.options.nspan_dimensions = 1; /* as after a reload */
    note();
    ck_assert_uint_eq(sample_of(CALLS, LABELS ",tenant=\"t2\"").u, 1);
}
END_TEST

START_TEST(the_same_value_of_another_dimension)
{
    pl.options.nspan_dimensions = 1;
    pl.options.span_dimensions[0] = STR("tenant");
    attr("tenant", "x");
    attr("region", "x");
    note();
    pl.options.span_dimensions[0] = STR("region");
    span_metrics_forget(&pl); /* as a reload does */
    note();
    ck_assert_uint_eq(sample_of(CALLS, LABELS ",tenant=\"x\"").u, 1);
    ck_assert_uint_eq(sample_of(CALLS, "region=\"x\"," LABELS).u, 1);
}
END_TEST

START_TEST(values_do_not_run_into_each_other)
{
    pl.options.nspan_dimensions = 2;
    pl.options.span_dimensions[0] = STR("a");
    pl.options.span_dimensions[1] = STR("b");
    attr("a", "x");
    note();
    e.attrs[0].key = STR("b");
    note();
    ck_assert_uint_eq(sample_of(CALLS, "a=\"x\"," LABELS).u, 1);
    ck_assert_uint_eq(sample_of(CALLS, "b=\"x\"," LABELS).u, 1);
}
END_TEST

START_TEST(secrets_do_not_become_labels)
{
    pl.options.nspan_dimensions = 1;
    pl.options.span_dimensions[0] = STR("password");
    attr("password", "hunter2");
    note();
    ck_assert_uint_eq(sample_of(CALLS, "password=\"[REDACTED]\"," LABELS).u, 1);
}
END_TEST

static void pass_epochs(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        w.now.mono += options.series_idle / 8;
        while (pipeline_sweep(&pl, w.now, 1000))
            ;
    }
}

START_TEST(idle_series_end_and_begin_again)
{
    struct metric_view m;
    note();
    pass_epochs(12);
    ck_assert(!metric_find(&w.st, STR(CALLS), &m) || m.nseries == 0);
    note();
    ck_assert_uint_eq(sample_of(CALLS, LABELS).u, 1);
    pass_epochs(9); /* dormant, and held by the cache */
    note();
    ck_assert_uint_eq(sample_of(CALLS, LABELS).u, 1);
}
END_TEST

START_TEST(names_above_the_limit_overflow_until_there_is_room)
{
    static const char over[] = "otel_metric_overflow=\"true\",service_name=\"svc\"";
    char name[16];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "n%d", i);
        e.name = str_of(name);
        note();
        note();
    }
    ck_assert_uint_eq(sample_of(CALLS, over).u, 12);
    ck_assert_uint_eq(sample_of(DURATION, over).count, 12);
    pl.options.cardinality = 100;
    pass_epochs(1);
    note();
    ck_assert_uint_eq(sample_of(CALLS, over).u, 12);
}
END_TEST

START_TEST(they_go_on_after_a_crash)
{
    note();
    pipeline_fini(&pl);
    world_kill(&w);
    start();
    note();
    ck_assert_uint_eq(sample_of(CALLS, LABELS).u, 2);
}
END_TEST

START_TEST(a_metric_of_that_name_that_is_another_kind_stays)
{
    const struct metric_def def = {
        .name = STR("traces.span.metrics.calls"), .kind = METRIC_GAUGE, .type = VALUE_F64};
    uint32_t id;
    struct metric_view m;
    ck_assert_int_eq(metric_define(&w.st, &def, false, &id), 0);
    metric_hold(&w.st, id);
    note();
    ck_assert(metric_read(&w.st, id, &m) && m.kind == METRIC_GAUGE && m.nseries == 0);
    ck_assert_uint_eq(sample_of(DURATION, LABELS).count, 1);
    metric_let_go(&w.st, id);
}
END_TEST

/* ---- MCP ---- */

#define SERVER "mcp_server_operation_duration_seconds"

START_TEST(operations_of_mcp)
{
    attr("mcp.method.name", "tools/call");
    attr("gen_ai.tool.name", "add");
    attr("jsonrpc.request.id", "7"); /* no label */
    e.status = SPAN_ERROR;
    note();
    static const char labels[] = "error_type=\"_OTHER\",gen_ai_tool_name=\"add\","
                                 "mcp_method_name=\"tools/call\",service_name=\"svc\"";
    ck_assert_uint_eq(sample_of(SERVER, labels).count, 1);
    ck_assert_uint_eq(sample_of(SERVER, labels).buckets[2], 1); /* 20 ms to 50 ms */
    e.attrs[1] = (struct attr){.key = STR("error.type"), .type = ATTR_STRING, .s = STR("timeout")};
    note();
    ck_assert_uint_eq(sample_of(SERVER, "error_type=\"timeout\",mcp_method_name=\"tools/call\","
                                        "service_name=\"svc\"")
                          .count,
                      1);
}
END_TEST

START_TEST(a_clients_fault_is_no_error_of_the_server)
{
    attr("mcp.method.name", "tools/call");
    attr("error.type", "-32602");
    e.attrs[e.nattrs++] =
        (struct attr){.key = STR("rpc.response.status_code"), .type = ATTR_I64, .i = -32602};
    note();
    ck_assert_uint_eq(sample_of(SERVER, "mcp_method_name=\"tools/call\","
                                        "rpc_response_status_code=\"-32602\",service_name=\"svc\"")
                          .count,
                      1);
    e.span_kind = SPAN_CLIENT; /* of whom it is one */
    note();
    ck_assert_uint_eq(sample_of("mcp_client_operation_duration_seconds",
                                "error_type=\"-32602\",mcp_method_name=\"tools/call\","
                                "rpc_response_status_code=\"-32602\",service_name=\"svc\"")
                          .count,
                      1);
}
END_TEST

START_TEST(only_operations_that_came_by_otlp)
{
    struct metric_view m;
    attr("mcp.method.name", "tools/call");
    from.otlp = false; /* the wrapper reports its own */
    note();
    from.otlp = true;
    e.span_kind = SPAN_INTERNAL;
    note();
    ck_assert(!metric_find(&w.st, STR(SERVER), &m));
    ck_assert_uint_eq(sample_of(CALLS, LABELS).u, 1);
}
END_TEST

START_TEST(durations_have_exemplars)
{
    struct metric_view m;
    struct series_view s;
    note();
    ck_assert(metric_find(&w.st, STR(DURATION), &m) && series_read(&w.st, m.first, &s));
    const struct exemplar *x = exemplar_find(&pl.exemplars, &s, 5);
    ck_assert_ptr_nonnull(x);
    ck_assert_uint_eq(x->trace.trace_id[0], 1);
    ck_assert_uint_eq(x->time, e.end);
    ck_assert_ptr_null(exemplar_find(&pl.exemplars, &s, 4));
}
END_TEST

int main(void)
{
    const struct {
        const char *name;
        const TTest *test;
    } tests[] = {
        {"calls", calls_and_durations},
        {"off", off_is_off},
        {"dimensions", dimensions_come_from_the_span_or_its_resource},
        {"reload", the_same_value_of_another_dimension},
        {"apart", values_do_not_run_into_each_other},
        {"redaction", secrets_do_not_become_labels},
        {"idle", idle_series_end_and_begin_again},
        {"overflow", names_above_the_limit_overflow_until_there_is_room},
        {"crash", they_go_on_after_a_crash},
        {"conflict", a_metric_of_that_name_that_is_another_kind_stays},
        {"mcp", operations_of_mcp},
        {"clients fault", a_clients_fault_is_no_error_of_the_server},
        {"not mcp", only_operations_that_came_by_otlp},
        {"exemplars", durations_have_exemplars},
    };
    Suite *s = suite_create("span_metrics");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *c = tcase_create(tests[i].name);
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, tests[i].test);
        suite_add_tcase(s, c);
    }
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
