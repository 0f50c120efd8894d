/* config_export: destinations from YAML, from -o, and from the environment. */
#include "daemon/config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config c;
static struct faults f;

static void setup(void)
{
    faults_init(&f);
    ck_assert(config_init(&c, &f));
}

static void teardown(void)
{
    config_fini(&c);
    faults_fini(&f);
}

static bool read_all(const char *yaml)
{
    return config_parse(&c, "f.yaml", yaml, strlen(yaml), &f) && config_finish(&c, &f);
}

static const struct config_destination *only(void)
{
    ck_assert_uint_eq(c.export_destinations.n, 1);
    return c.export_destinations.all;
}

START_TEST(whole)
{
    ck_assert_msg(read_all("export.destinations:\n"
                           "- name: up\n"
                           "  protocol: grpc\n"
                           "  endpoint: https://collector.example:4317\n"
                           "  headers: {authorization: Bearer abc, x-team: one}\n"
                           "  compression: none\n"
                           "  timeout: 3s\n"
                           "  concurrent: 7\n"
                           "  signals: [traces, logs]\n"
                           "  ca_file: /ca.pem\n"
                           "  cert_file: /c.pem\n"
                           "  key_file: /k.pem\n"
                           "  spool_size: 64MiB\n"
                           "  spool_age: 2h\n"),
                  "%s", faults_text(&f));
    const struct config_destination *d = only();
    ck_assert_str_eq(d->name, "up");
    ck_assert(d->grpc && !d->gzip && d->spool);
    ck_assert_uint_eq(d->timeout, 3 * NS_PER_S);
    ck_assert_uint_eq(d->concurrent, 7);
    ck_assert_uint_eq(d->signals, 1u << OTLP_TRACES | 1u << OTLP_LOGS);
    ck_assert_uint_eq(d->nheaders, 2);
    ck_assert_str_eq(d->headers[0].value, "Bearer abc");
    ck_assert_str_eq(d->endpoints[OTLP_TRACES], "https://collector.example:4317");
    ck_assert_str_eq(d->endpoints[OTLP_METRICS], "");
    ck_assert_uint_eq(d->spool_size, 64 << 20);
    ck_assert_uint_eq(d->spool_age, 7200 * NS_PER_S);
}
END_TEST

/* The general endpoint gets a path over HTTP, one of its own is used as it is. */
START_TEST(paths)
{
    ck_assert(
        read_all("export.destinations:\n"
                 "- {name: up, endpoint: 'http://h:4318/a/', logs_endpoint: 'http://h:1/l'}\n"));
    const struct config_destination *d = only();
    ck_assert(!d->grpc && d->gzip);
    ck_assert_str_eq(d->endpoints[OTLP_TRACES], "http://h:4318/a/v1/traces");
    ck_assert_str_eq(d->endpoints[OTLP_METRICS], "http://h:4318/a/v1/metrics");
    ck_assert_str_eq(d->endpoints[OTLP_LOGS], "http://h:1/l");
}
END_TEST

#define ONE "export.destinations:\n- {name: up, endpoint: 'http://h:4318'"

static const struct {
    const char *yaml, *line;
} faulty[] = {
    {"export.destinations: {a: b}\n", "f.yaml:1:22: export.destinations: expected a list of maps"},
    {"export.destinations: [up]\n", "f.yaml:1:23: export.destinations: expected a map, not"},
    {ONE ", protocl: grpc}\n", "f.yaml:2:41: protocl: unknown key of a destination; did you mean "
                               "protocol?"},
    {ONE ", protocol: carrier}\n", "f.yaml:2:51: protocol: expected grpc or http/protobuf, not "
                                   "\"carrier\""},
    {ONE ", concurrent: 0}\n", "f.yaml:2:53: concurrent: expected a number of requests from 1 to"},
    {ONE ", timeout: soon}\n", "f.yaml:2:50: timeout: expected a duration"},
    {ONE ", timeout: 0}\n", "f.yaml:2:3: export.destinations: up: timeout: expected 1ms to 10m"},
    {ONE ", signals: [smoke]}\n", "f.yaml:2:51: signals: expected traces, metrics or logs"},
    {ONE ", signals: []}\n", "up: signals: expected at least one"},
    {ONE ", cert_file: /c}\n", "up: expected both cert_file and key_file, or none"},
    {ONE ", spool_size: 1MiB}\n", "up: spool_size: expected at least 16MiB"},
    {ONE ", headers: {te: x}}\n", "f.yaml:2:3: headers: "},
    {"export.destinations: [{name: Up, endpoint: 'http://h'}]\n", "Up: expected a name of its own"},
    {"export.destinations: [{endpoint: 'http://h'}]\n", "destination: expected a name of its own"},
    {"export.destinations: [{name: a, endpoint: 'http://h'}, {name: a, endpoint: 'http://h'}]\n",
     "f.yaml:1:56: export.destinations: a: expected a name of its own"},
    {"export.destinations: [{name: a}]\n", "a: expected endpoint or traces_endpoint"},
    {"export.destinations: [{name: a, endpoint: 'gopher://h'}]\n", "export.destinations: a: "},
    {"export: {metrics: some}\n", "expected forward, cumulative, delta or off"},
};

START_TEST(faults)
{
    ck_assert(!read_all(faulty[_i].yaml));
    ck_assert_msg(strstr(faults_text(&f), faulty[_i].line) != NULL, "%s\nis not %s",
                  faults_text(&f), faulty[_i].line);
}
END_TEST

/* No fault quotes the value of a header. */
START_TEST(secrets)
{
    ck_assert(!read_all("export.destinations:\n"
                        "- {name: up, endpoint: 'http://h', headers: {'bad name': s3cr3t}}\n"
                        "- {name: up2, endpoint: 'http://h', headers: {x: \"s3cr3t\\n\"}}\n"
                        "- {name: up3, endpoint: 'http://h', headers: {x: [s3cr3t]}}\n"));
    ck_assert_ptr_null(strstr(faults_text(&f), "s3cr3t"));
}
END_TEST

START_TEST(too_many)
{
    struct buf yaml;
    buf_init(&yaml, 4096);
    buf_adds(&yaml, "export.destinations:\n");
    for (int i = 0; i < 9; i++)
        buf_addf(&yaml, "- {name: d%d, endpoint: 'http://h'}\n", i);
    buf_add(&yaml, "", 1);
    ck_assert(!read_all(yaml.p));
    buf_fini(&yaml);
    ck_assert_ptr_nonnull(strstr(faults_text(&f), "f.yaml:10:3: export.destinations: more than 8"));
}
END_TEST

/* ---- where it comes from ---- */

static const char *const (*variables)[2];

static const char *lookup(const char *name)
{
    for (unsigned i = 0; variables && variables[i][0]; i++)
        if (strcmp(variables[i][0], name) == 0)
            return variables[i][1];
    return NULL;
}

START_TEST(environment)
{
    static const char *const all[][2] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318"},
        {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://l:9/x"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b , x=1,"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT", "2500"},
        {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca"},
        {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c"},
        {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k"},
        {NULL, NULL},
    };
    variables = all;
    ck_assert(config_environment(&c, lookup, &f) && config_finish(&c, &f));
    const struct config_destination *d = only();
    ck_assert_str_eq(d->name, "otel");
    ck_assert(!d->grpc && d->gzip);
    ck_assert_str_eq(d->endpoints[OTLP_TRACES], "http://h:4318/v1/traces");
    ck_assert_str_eq(d->endpoints[OTLP_LOGS], "http://l:9/x");
    ck_assert_uint_eq(d->nheaders, 2);
    ck_assert_str_eq(d->headers[0].name, "api-key");
    ck_assert_str_eq(d->headers[0].value, "a b");
    ck_assert_uint_eq(d->timeout, 2500 * NS_PER_MS);
    ck_assert_str_eq(d->ca_file, "/ca");
    ck_assert_str_eq(d->key_file, "/k");
}
END_TEST

/* Only the signals that have an endpoint; grpc without a scheme is TLS unless insecure. */
START_TEST(environment_of_one_signal)
{
    static const char *const all[][2] = {
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "h:4317"},
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"},
        {"OTEL_EXPORTER_OTLP_INSECURE", "true"},
        {NULL, NULL},
    };
    variables = all;
    ck_assert_msg(config_environment(&c, lookup, &f) && config_finish(&c, &f), "%s",
                  faults_text(&f));
    ck_assert_uint_eq(only()->signals, 1u << OTLP_TRACES);
    ck_assert(only()->grpc && only()->plain && !only()->gzip);
}
END_TEST

/* What one connection cannot serve gets one of its own. */
START_TEST(environment_of_signals_that_differ)
{
    static const char *const all[][2] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "key=general"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:4317"},
        {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"},
        {"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "key=own"},
        {NULL, NULL},
    };
    variables = all;
    ck_assert_msg(config_environment(&c, lookup, &f) && config_finish(&c, &f), "%s",
                  faults_text(&f));
    ck_assert_uint_eq(c.export_destinations.n, 2);
    const struct config_destination *t = &c.export_destinations.all[0], *m = t + 1;
    ck_assert_str_eq(t->name, "otel-traces");
    ck_assert_str_eq(m->name, "otel-metrics");
    ck_assert_uint_eq(t->signals, 1u << OTLP_TRACES | 1u << OTLP_LOGS);
    ck_assert_uint_eq(m->signals, 1u << OTLP_METRICS);
    ck_assert(!t->grpc && m->grpc);
    ck_assert_str_eq(t->endpoints[OTLP_LOGS], "http://h:4318/v1/logs");
    ck_assert_str_eq(m->endpoints[OTLP_METRICS], "http://m:4317");
    ck_assert_str_eq(t->headers[0].value, "general");
    ck_assert_str_eq(m->headers[0].value, "own");
}
END_TEST

static const struct {
    const char *name, *value, *line;
} wrong[] = {
    {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json",
     "environment: OTEL_EXPORTER_OTLP_PROTOCOL: expected grpc or http/protobuf"},
    {"OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "OTEL_EXPORTER_OTLP_TIMEOUT: expected milliseconds"},
    {"OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "expected gzip or none"},
    {"OTEL_EXPORTER_OTLP_HEADERS", "s3cr3t", "OTEL_EXPORTER_OTLP_HEADERS: expected name=value"},
    {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "udp", "PROTOCOL: expected grpc or http/protobuf"},
};

START_TEST(environment_faults)
{
    const char *const all[][2] = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"},
                                  {wrong[_i].name, wrong[_i].value},
                                  {NULL, NULL}};
    variables = all;
    ck_assert(!config_environment(&c, lookup, &f));
    ck_assert_msg(strstr(faults_text(&f), wrong[_i].line) != NULL, "%s", faults_text(&f));
    ck_assert_ptr_null(strstr(faults_text(&f), "s3cr3t"));
}
END_TEST

START_TEST(disabled)
{
    static const char *const all[][2] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"}, {"OTEL_SDK_DISABLED", "true"}, {NULL, NULL}};
    variables = all;
    ck_assert(config_environment(&c, lookup, &f));
    ck_assert_uint_eq(c.export_destinations.n, 0);
}
END_TEST

/* Command line, then file, then environment. */
START_TEST(precedence)
{
    static const char *const all[][2] = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"}, {NULL, NULL}};
    static const char file[] = "export.destinations: [{name: file, endpoint: 'http://h'}]\n";
    variables = all;
    if (_i & 1)
        ck_assert(config_parse(&c, "f.yaml", file, strlen(file), &f));
    if (_i & 2)
        ck_assert(
            config_override(&c, "export.destinations=[{name: line, endpoint: 'http://h'}]", &f));
    if (_i & 4)
        ck_assert(config_override(&c, "export.destinations=", &f));
    ck_assert(config_environment(&c, lookup, &f) && config_finish(&c, &f));
    if (_i & 4)
        ck_assert_uint_eq(c.export_destinations.n, 0);
    else
        ck_assert_str_eq(only()->name, _i & 2 ? "line" : _i & 1 ? "file" : "otel");
}
END_TEST

/* ---- what would come back ---- */

static const struct {
    const char *endpoint;
    bool back;
} loops[] = {
    {"http://127.0.0.1:4318", true},  {"http://localhost:4318/x", true},
    {"http://[::1]:4318", true},      {"http://0.0.0.0:4318", true},
    {"http://10.0.0.7:9999", true},   {"http://127.0.0.1:9999", true},
    {"http://127.0.0.1:4319", false}, {"http://collector:4318", false},
    {"https://localhost:4318", true}, {"http://10.0.0.8:9999", false},
    {"http://10.0.0.70:9999", false},
};

START_TEST(loop)
{
    static const char *const own[] = {"127.0.0.1:4318", "10.0.0.7:9999", "off", ""};
    struct config_destinations d = {0};
    char yaml[256];
    snprintf(yaml, sizeof yaml, "[{name: up, endpoint: '%s'}]", loops[_i].endpoint);
    ck_assert(config_destinations_parse(&d, "f.yaml", yaml, &f));
    ck_assert(config_destinations_finish(&d, own, 4, &f) != loops[_i].back);
    ck_assert(!loops[_i].back || strstr(faults_text(&f), "own OTLP receiver"));
    config_destinations_clear(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config_export");
    TCase *t = tcase_create("config_export");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, whole);
    tcase_add_test(t, paths);
    tcase_add_loop_test(t, faults, 0, sizeof faulty / sizeof *faulty);
    tcase_add_test(t, secrets);
    tcase_add_test(t, too_many);
    tcase_add_test(t, environment);
    tcase_add_test(t, environment_of_one_signal);
    tcase_add_test(t, environment_of_signals_that_differ);
    tcase_add_loop_test(t, environment_faults, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(t, disabled);
    tcase_add_loop_test(t, precedence, 0, 8);
    tcase_add_loop_test(t, loop, 0, sizeof loops / sizeof *loops);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
