/* The configuration: what is taken, and where exactly each fault is. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/config.h"

static struct config config;
static struct faults faults;

static void setup(void)
{
    faults_init(&faults);
    ck_assert(config_init(&config, &faults));
}

static void teardown(void)
{
    config_fini(&config);
    faults_fini(&faults);
}

static bool parse(const char *text)
{
    const bool parsed = config_parse(&config, "f", text, strlen(text), &faults);
    return config_finish(&config, &faults) && parsed;
}

static void takes(const char *text)
{
    bool good = parse(text);
    ck_assert_msg(good && faults.count == 0, "%s\n%s", text, faults_text(&faults));
}

START_TEST(defaults)
{
    takes("");
    ck_assert_str_eq(config.listen_metrics, "127.0.0.1:9090");
    ck_assert_str_eq(config.listen_health, "127.0.0.1:9091");
    ck_assert_uint_eq(config.store_size, 64 << 20);
    ck_assert_uint_eq(config.socket_mode, 0660);
    ck_assert_uint_eq(config.limits_connections, 20000);
    ck_assert_uint_eq(config.health_interval, 30 * NS_PER_S);
    ck_assert_double_eq(config.health_memory_warning, 0.85);
    ck_assert_uint_eq(config.log_level, LOG_LEVEL_INFO);
    ck_assert_uint_eq(config.rules.n, 0);
    ck_assert(config.redaction_enabled);
}
END_TEST

START_TEST(nested_and_dotted)
{
    takes("listen: {metrics: '[::1]:0'}\n"
          "listen.health: off\n"
          "health:\n"
          "  readiness: [db, 'cache']\n"
          "  memory_warning: 0.5\n"
          "gauge.grace: 1500ms\n"
          "limits:\n"
          "socket.mode: 0600\n");
    ck_assert_str_eq(config.listen_metrics, "[::1]:0");
    ck_assert_str_eq(config.listen_health, "off");
    ck_assert_uint_eq(config.health_readiness.n, 2);
    ck_assert_str_eq(config.health_readiness.items[1], "cache");
    ck_assert_double_eq(config.health_memory_warning, 0.5);
    ck_assert_uint_eq(config.gauge_grace, 1500 * NS_PER_MS);
    ck_assert_uint_eq(config.socket_mode, 0600);
}
END_TEST

START_TEST(overrides_win)
{
    takes("store.size: 8MiB\nredaction.keys: [a]\n");
    ck_assert(config_override(&config, "store.size=16MiB", &faults));
    ck_assert(config_override(&config, "redaction.keys=x,,y", &faults));
    ck_assert_uint_eq(config.store_size, 16 << 20);
    ck_assert_uint_eq(config.redaction_keys.n, 2);
    ck_assert_str_eq(config.redaction_keys.items[1], "y");
    ck_assert(config_override(&config, "redaction.keys=", &faults));
    ck_assert_uint_eq(config.redaction_keys.n, 0);
}
END_TEST

START_TEST(mapping)
{
    takes("domains:\n"
          "  count: 4\n"
          "  mapping:\n"
          "    - {uid: 1000, domain: 3}\n"
          "    - {exe: /usr/bin/node, service: a, domain: 0}\n");
    ck_assert_uint_eq(config.domains_mapping.n, 2);
    const struct config_domain *d = config.domains_mapping.entries;
    ck_assert(d[0].has_uid && !d[1].has_uid);
    ck_assert_uint_eq(d[0].uid, 1000);
    ck_assert_uint_eq(d[0].domain, 3);
    ck_assert_str_eq(d[0].exe, "");
    ck_assert_str_eq(d[1].exe, "/usr/bin/node");
    ck_assert_str_eq(d[1].service, "a");
}
END_TEST

START_TEST(rules)
{
    takes("rules:\n"
          "  - {event: a.*, metric: a.count, kind: counter, labels: [tool]}\n"
          "  - event: a.done\n"
          "    metric: a.duration\n"
          "    kind: histogram\n"
          "    measurement: ms\n"
          "    scale: 0.001\n"
          "    unit: s\n"
          "    buckets: [0.1, 1, 10]\n"
          "    labels: {outcome: status}\n");
    ck_assert_uint_eq(config.rules.n, 2);
    const struct rule *r = config.rules.rules;
    ck_assert(str_eq(r[0].event, STR("a.*")));
    ck_assert(str_eq(r[0].labels[0].key, STR("tool")));
    ck_assert_int_eq(r[0].kind, METRIC_COUNTER);
    ck_assert_int_eq(r[1].kind, METRIC_HISTOGRAM);
    ck_assert_double_eq(r[1].scale, 0.001);
    ck_assert_uint_eq(r[1].nbounds, 3);
    ck_assert_double_eq(r[1].bounds[2], 10);
    ck_assert(str_eq(r[1].labels[0].name, STR("outcome")));
    ck_assert(str_eq(r[1].labels[0].key, STR("status")));
}
END_TEST

START_TEST(sampling)
{
    takes("sampling:\n"
          "  normal: 25%\n"
          "  window: 10s\n"
          "  rules:\n"
          "    - {name: tools/*, service: pay, tier: critical}\n"
          "    - {attribute: env, value: dev*, domain: 2, tier: debug}\n");
    ck_assert_double_eq(config.sampling_normal, 0.25);
    ck_assert_double_eq(config.sampling_debug, 0.01);
    ck_assert_uint_eq(config.sampling_rules.n, 2);
    const struct sample_rule *r = config.sampling_rules.rules;
    ck_assert(str_eq(r[0].name, STR("tools/*")));
    ck_assert(str_eq(r[0].service, STR("pay")));
    ck_assert_int_eq(r[0].domain, -1);
    ck_assert_int_eq(r[0].tier, TIER_CRITICAL);
    ck_assert(str_eq(r[1].key, STR("env")));
    ck_assert(str_eq(r[1].value, STR("dev*")));
    ck_assert_int_eq(r[1].domain, 2);
    ck_assert_int_eq(r[1].tier, TIER_DEBUG);
}
END_TEST

START_TEST(patterns)
{
    takes("redaction:\n"
          "  disable: [flag, element]\n"
          "  patterns:\n"
          "    - {name: badge, pattern: 'B-[0-9]{6}'}\n"
          "    - {name: word, pattern: '(?i)xyzzy'}\n");
    ck_assert_uint_eq(config.redaction_patterns.n, 2);
    ck_assert(str_eq(config.redaction_patterns.expressions[0], STR("B-[0-9]{6}")));
    ck_assert(!config.redaction_keep_tool_content);
}
END_TEST

/* A text and the beginning of the first fault's line. */
static const struct {
    const char *text, *fault;
} wrong[] = {
    {"stor.size: 8MiB", "f:1:1: stor.size: unknown key; did you mean store.size?"},
    {"sorcet: {mode: 1}", "f:1:1: sorcet: unknown key; did you mean socket?"},
    {"store:\n  sise: 8MiB", "f:2:3: store.sise: unknown key; did you mean store.size?"},
    {"zzz: 1", "f:1:1: zzz: unknown key; mcptallyd.yaml(5)"},
    {"store:\n  size: 1MiB", "f:2:9: store.size: expected a value in the range 4MiB to 32GiB"},
    {"store:\n  size: 8MB", "f:2:9: store.size: expected a size such as"},
    {"store: 8MiB", "f:1:8: store: expected a map of its keys, not a value"},
    {"store.size: [1]", "f:1:13: store.size: expected a size"},
    {"store.size: 99999999999999999999", "f:1:13: store.size: expected a size"},
    {"store.size:", "f:1:12: store.size: expected a size such as"},
    {"health.interval: 30", "f:1:18: health.interval: expected a duration such as"},
    {"health.interval: 3.5s", "f:1:18: health.interval: expected a duration such as"},
    {"health.interval: 1ms", "f:1:18: health.interval: expected a value in the range 1s to 1d"},
    {"health.interval: 999999999999999d", "f:1:18: health.interval: expected a duration"},
    {"health.failures: -1", "f:1:18: health.failures: expected a whole number, not \"-1\""},
    {"health.memory_warning: 101%", "f:1:24: health.memory_warning: expected a percentage"},
    {"spans.dimensions: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]",
     "f:1:1: spans.dimensions: expected at most 16 attributes, not 17"},
    {"health.memory_warning: inf", "f:1:24: health.memory_warning: expected a percentage"},
    {"health.memory_warning: 0.001",
     "f:1:24: health.memory_warning: expected a value in the range"},
    {"health.memory_warning: 99%", "f:1:1: health.memory_warning: a warning at 99%"},
    {"otlp.buffer: 4MiB", "f:1:1: otlp.buffer: otlp.buffer has to be twice as large"},
    {"socket.mode: 0888", "f:1:14: socket.mode: expected an octal file mode"},
    {"socket.mode: 4755", "f:1:14: socket.mode: expected a mode of at most 0777"},
    {"redaction.enabled: maybe", "f:1:20: redaction.enabled: expected true or false"},
    {"log.level: loud", "f:1:12: log.level: expected error, warning, info or debug"},
    {"listen.metrics: localhost", "f:1:17: listen.metrics: expected an IP address and a port"},
    {"listen.metrics: '1.2.3.4:65536'", "f:1:17: listen.metrics: expected an IP address"},
    {"listen.metrics: '::1:80'", "f:1:17: listen.metrics: expected an IP address"},
    {"listen.metrics: 'example.org:80'", "f:1:17: listen.metrics: expected an IP address"},
    {"health.readiness: db", "f:1:19: health.readiness: expected a list of texts, not a value"},
    {"health.readiness: [[db]]", "f:1:20: health.readiness: expected text, not a list"},
    {"a: &x 1", "f:1:4: an anchor is not supported"},
    {"log: *x", "f:1:6: an alias is not supported"},
    {"log: !!map {}", "f:1:6: a tag is not supported"},
    {"<<: {}", "f:1:1: <<: unknown key"},
    {"store: {size: 8MiB}\nstore: {}", "f:2:1: store: the key is there twice, first in line 1"},
    {"store.size: 8MiB\nstore: {size: 9MiB}", "f:2:9: store.size: the key is there twice"},
    {"[[[[[[[[[1]]]]]]]]]", "f:1:9: nested too deeply"},
    {"--- {}\n--- {}", "f:2:5: a second document is not supported"},
    {"- 1", "f:1:1: expected a map of keys, not a list"},
    {"{a: 1}: 2", "f:1:1: a key has to be a plain word"},
    {"store:\n\tsize: 1", "f:2:1: not YAML: "},
    {"log: {level: info", "f:2:1: not YAML: "},
    {"\xff", "f: not UTF-8 text: "},
    {"log.level: \"a\\0b\"", "f:1:12: text may not hold a NUL byte"},
    {"domains.mapping: [{uid: 1}]", "f:1:19: domains.mapping: expected domain and at least one"},
    {"domains.mapping: [{domain: 1}]", "f:1:19: domains.mapping: expected domain and at least one"},
    {"domains.mapping: [{gid: 1}]", "f:1:20: domains.mapping: unknown key \"gid\""},
    {"domains.mapping: [{uid: 1, domain: 10}]", "f:1:1: domains.mapping: entry 1 names domain 10"},
    {"domains.mapping: [7]", "f:1:19: domains.mapping: expected a map, not a value"},
    {"rules: [{event: a, metric: b, kind: dial}]", "f:1:37: kind: expected counter, gauge"},
    {"rules: [{evnt: a}]", "f:1:10: evnt: unknown key of a rule; did you mean event?"},
    {"rules: [{buckets: 1}]", "f:1:19: buckets: expected a list of numbers"},
    {"rules: [{scale: x}]", "f:1:17: scale: expected a number, not \"x\""},
    {"rules: [{labels: a}]", "f:1:18: labels: expected a list of keys"},
    {"rules: [{kind: counter}]", "f:1:9: rules: "},
    {"rules: 1", "f:1:8: rules: expected a list of maps"},
    {"sampling: {normal: 2}", "f:1:20: sampling.normal: expected a percentage"},
    {"sampling.rules: [{name: a}]", "f:1:18: sampling.rules: expected tier, and at least one"},
    {"sampling.rules: [{tier: debug}]", "f:1:18: sampling.rules: expected tier, and at least one"},
    {"sampling.rules: [{name: a, value: b, tier: debug}]", "f:1:18: sampling.rules: expected tier"},
    {"sampling.rules: [{name: a, tier: high}]",
     "f:1:34: sampling.rules: expected for tier critical, normal or debug, not \"high\""},
    {"sampling.rules: [{nme: a}]",
     "f:1:19: sampling.rules: unknown key \"nme\"; did you mean name?"},
    {"sampling.rules: [{name: a*b, tier: debug}]", "f:1:25: sampling.rules: expected for name"},
    {"sampling.rules: [{domain: 64, tier: debug}]", "f:1:27: sampling.rules: expected for domain"},
    {"sampling.rules: [x]", "f:1:18: sampling.rules: expected a map, not a value"},
    {"redaction.disable: [kee]", "f:1:1: redaction.disable: no rule has the name \"kee\""},
    {"redaction.patterns: [{name: a, pattern: '(a)\\1'}]",
     "f:1:41: redaction.patterns: expected an expression without back-references"},
    {"redaction.patterns: [{name: a, pattern: '(abc){~1}'}]",
     "f:1:41: redaction.patterns: expected an expression without approximate matching"},
    {"redaction.patterns: [{name: a, pattern: 'a*'}]",
     "f:1:41: redaction.patterns: expected an expression that does not match an empty text"},
    {"redaction.patterns: [{name: a, pattern: '(a'}]",
     "f:1:41: redaction.patterns: expected an extended regular expression: "},
    {"redaction.patterns: [{pattern: a}]", "f:1:22: redaction.patterns: expected name and pattern"},
    {"redaction.patterns: [{name: [a]}]", "f:1:29: redaction.patterns: expected a text for name"},
    {"rules_files: [/nonexistent/rules.yaml]",
     "/nonexistent/rules.yaml: cannot be read: No such file"},
};

START_TEST(faults_have_their_place)
{
    ck_assert_msg(!parse(wrong[_i].text), "taken: %s", wrong[_i].text);
    const char *text = faults_text(&faults);
    ck_assert_msg(strncmp(text, wrong[_i].fault, strlen(wrong[_i].fault)) == 0,
                  "%s\nwanted: %s\ngot:    %s", wrong[_i].text, wrong[_i].fault, text);
}
END_TEST

static const struct {
    const char *assignment, *fault;
} wrong_overrides[] = {
    {"store.size", "-o store.size: expected key=value"},
    {"store.size=x", "-o store.size: expected a size such as"},
    {"stor.size=8MiB", "-o stor.size: unknown key; did you mean store.size?"},
    {"rules=[]", "-o rules: can only be set in a file"},
    {"domains.mapping=", "-o domains.mapping: can only be set in a file"},
    {"=", "-o : unknown key"},
};

START_TEST(faults_of_overrides)
{
    ck_assert(!config_override(&config, wrong_overrides[_i].assignment, &faults));
    ck_assert_ptr_eq(strstr(faults_text(&faults), wrong_overrides[_i].fault), faults_text(&faults));
}
END_TEST

START_TEST(all_faults_in_one_run)
{
    ck_assert(!parse("store.size: x\nlog.level: x\nhealth.interval: x\n"));
    ck_assert_uint_eq(faults.count, 3);
    char many[1024];
    size_t n = 0;
    for (int i = 0; i < 50; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "unknown%d: 1\n", i);
    ck_assert(!parse(many));
    ck_assert_uint_eq(faults.count, 53);
    unsigned lines = 0;
    for (const char *p = faults_text(&faults); *p; p++)
        lines += *p == '\n';
    ck_assert_uint_eq(lines, FAULTS_MAX);
}
END_TEST

START_TEST(too_large)
{
    size_t n = TREE_BYTES + 1;
    char *text = malloc(n);
    memset(text, '\n', n);
    ck_assert(config_parse(&config, "f", text, n - 1, &faults));
    ck_assert(!config_parse(&config, "f", text, n, &faults));
    ck_assert_str_eq(faults_text(&faults), "f: larger than 1 MiB\n");
    free(text);
}
END_TEST

START_TEST(too_many_values)
{
    size_t n = 2 * (TREE_NODES + 2);
    char *text = malloc(n);
    for (size_t i = 0; i < n; i += 2)
        memcpy(text + i, "a,", 2);
    memcpy(text, "[a", 2);
    ck_assert(!config_parse(&config, "f", text, n, &faults));
    ck_assert_ptr_nonnull(strstr(faults_text(&faults), "more than 16384 values"));
    free(text);
}
END_TEST

/* ---- files of rules ---- */

static char dir[] = "/tmp/mcptally-test-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    ck_assert_int_eq(unlink(path), 0);
}

START_TEST(rules_files)
{
    char path[128];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    write_file("a.yaml", "- {event: a, metric: a, kind: counter}\n");
    write_file("b.yaml", "rules:\n  - {event: b, metric: b, kind: counter}\n");
    write_file("bad.yml", "rules:\n  - {event: b, metric: b, kind: dial}\n");
    write_file("main", "rules_files: ['*.yaml', '*.none']\n"
                       "rules: [{event: c, metric: c, kind: counter}]\n");
    snprintf(path, sizeof path, "%s/main", dir);
    ck_assert_msg(config_read(&config, path, &faults) && config_finish(&config, &faults), "%s",
                  faults_text(&faults));
    ck_assert_uint_eq(config.rules.n, 3);
    ck_assert(str_eq(config.rules.rules[0].event, STR("c")));
    ck_assert(str_eq(config.rules.rules[2].event, STR("b")));

    write_file("main", "rules_files: [bad.yml]\n");
    teardown();
    setup();
    ck_assert(config_read(&config, path, &faults));
    ck_assert(!config_finish(&config, &faults));
    char wanted[160];
    snprintf(wanted, sizeof wanted, "%s/bad.yml:2:33: kind: expected counter", dir);
    ck_assert_ptr_eq(strstr(faults_text(&faults), wanted), faults_text(&faults));
    for (const char **name = (const char *[]){"a.yaml", "b.yaml", "bad.yml", "main", NULL}; *name;
         name++)
        remove_file(*name);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(reload_keeps_what_needs_a_restart)
{
    struct config fresh;
    struct buf names;
    takes("store.size: 8MiB\nhealth.interval: 20s\nsocket.group: a\n");
    ck_assert(config_init(&fresh, &faults));
    buf_init(&names, 1024);
    static const char text[] = "store.size: 9MiB\nhealth.interval: 10s\nsocket.group: b\n";
    ck_assert(config_parse(&fresh, "f", text, strlen(text), &faults));
    const char *borrowed = config.listen_metrics;
    ck_assert_uint_eq(config_keep_fixed(&config, &fresh, &names), 2);
    ck_assert_ptr_eq(fresh.listen_metrics, borrowed); /* equal, but the same one */
    ck_assert(str_eq(buf_str(&names), STR("socket.group, store.size")));
    ck_assert_uint_eq(fresh.store_size, 8 << 20);
    ck_assert_str_eq(fresh.socket_group, "a");
    ck_assert_uint_eq(fresh.health_interval, 10 * NS_PER_S);
    buf_fini(&names);
    config_fini(&fresh);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config");
    TCase *t = tcase_create("config");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, defaults);
    tcase_add_test(t, nested_and_dotted);
    tcase_add_test(t, overrides_win);
    tcase_add_test(t, mapping);
    tcase_add_test(t, rules);
    tcase_add_test(t, sampling);
    tcase_add_test(t, patterns);
    tcase_add_loop_test(t, faults_have_their_place, 0, sizeof wrong / sizeof *wrong);
    tcase_add_loop_test(t, faults_of_overrides, 0,
                        sizeof wrong_overrides / sizeof *wrong_overrides);
    tcase_add_test(t, all_faults_in_one_run);
    tcase_add_test(t, too_large);
    tcase_add_test(t, too_many_values);
    tcase_add_test(t, rules_files);
    tcase_add_test(t, reload_keeps_what_needs_a_restart);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
