/* The lists checks and recovery.actions: what is taken, and where each fault is. */
#include <check.h>
#include <stdlib.h>

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
    ck_assert_msg(parse(text) && faults.count == 0, "%s\n%s", text, faults_text(&faults));
}

static const struct config_check *check(size_t i)
{
    ck_assert_uint_lt(i, config.checks.n);
    return &config.checks.all[i];
}

START_TEST(test_defaults)
{
    takes("checks: [{name: a, kind: tcp, address: 'x:1'}, {name: b, kind: tcp, address: '[::1]:2',"
          " interval: 2s}]");
    ck_assert_uint_eq(check(0)->interval, 30 * NS_PER_S);
    ck_assert_uint_eq(check(0)->plan.timeout, 5 * NS_PER_S);
    ck_assert_uint_eq(check(1)->plan.timeout, 2 * NS_PER_S);
    ck_assert_uint_eq(check(0)->failures, 3);
    ck_assert_uint_eq(check(0)->successes, 2);
    ck_assert_str_eq(check(0)->plan.host, "x");
    ck_assert_str_eq(check(1)->plan.host, "::1");
    ck_assert_uint_eq(check(1)->plan.port, 2);
    ck_assert(!config.recovery_enabled);
}
END_TEST

START_TEST(test_kinds)
{
    takes("checks:\n"
          "- {name: a, kind: http, url: 'https://h/x', method: GET, status: [2xx, 404, 300-302],\n"
          "   body: ok, headers: {X-A: b}, ca_file: /ca, insecure_skip_verify: true}\n"
          "- {name: b, kind: mcp, command: [/m, -x], env: {A: b}, era: legacy, cpu: 3s}\n"
          "- {name: c, kind: process, unit: mcp@1.service}\n"
          "- {name: d, kind: process, unit: mcp.service, service: s}\n"
          "- {name: e, kind: unix, path: /s}\n"
          "- {name: f, kind: command, command: /bin/true, output: 1KiB}\n");
    const struct plan *http = &check(0)->plan, *mcp = &check(1)->plan;
    ck_assert_uint_eq(http->nstatuses, 3);
    ck_assert(http->statuses[0].from == 200 && http->statuses[0].to == 299);
    ck_assert(http->statuses[1].from == 404 && http->statuses[1].to == 404);
    ck_assert(http->statuses[2].from == 300 && http->statuses[2].to == 302);
    ck_assert_uint_eq(http->nheaders, 1);
    ck_assert_str_eq(http->headers[0].value, "b");
    ck_assert(str_eq(mcp->argv, STR("/m\0-x\0")));
    ck_assert(str_eq(mcp->env, STR("A=b\0")));
    ck_assert_int_eq(mcp->era, MCP_ERA_LEGACY);
    ck_assert_uint_eq(mcp->cpu, 3);
    ck_assert_str_eq(check(2)->plan.cgroup, "system.slice/system-mcp.slice/mcp@1.service");
    ck_assert_str_eq(check(3)->plan.cgroup, "system.slice/mcp.service");
    ck_assert(str_eq(check(5)->plan.argv, STR("/bin/true\0")));
    ck_assert_uint_eq(check(5)->plan.output, 1024);
}
END_TEST

START_TEST(test_actions)
{
    takes("recovery:\n"
          "  enabled: true\n"
          "  actions:\n"
          "  - {name: a, on: [x, s/y], command: [/bin/a, b], cooldown: 1m, max: 2, window: 10m}\n"
          "  - {name: b, on: '*', reset_domain: component}\n"
          "  - {name: c, on: z, reset_domain: 3}\n");
    const struct config_action *a = config.recovery_actions.all;
    ck_assert_uint_eq(config.recovery_actions.n, 3);
    ck_assert_uint_eq(a[0].rules.non, 2);
    ck_assert(str_eq(a[0].rules.on[1], STR("s/y")));
    ck_assert_uint_eq(a[0].rules.cooldown, 60 * NS_PER_S);
    ck_assert_uint_eq(a[0].rules.most, 2);
    ck_assert(a[1].resets && a[1].of_component);
    ck_assert(a[2].resets && !a[2].of_component && a[2].domain == 3);
    ck_assert_uint_eq(a[2].rules.most, 3);
}
END_TEST

/* A text, and the beginning of the only fault that it has. */
static const struct {
    const char *text, *fault;
} bad[] = {
    {"checks:\n- {name: a,\n   kynd: tcp}",
     "f:3:4: kynd: unknown key of a check; did you mean kind?"},
    {"checks:\n- {name: a, kind: ftp}", "f:2:19: kind: expected process, unix, tcp,"},
    {"checks: 5", "f:1:9: checks: expected a list of maps"},
    {"checks: [5]", "f:1:10: expected a map, not a value"},
    {"checks: [{name: a}]", "f:1:10: checks: a: expected kind"},
    {"checks: [{kind: tcp, address: 'a:1'}]", "f:1:10: checks: check: expected a name of its own"},
    {"checks: [{name: 'a b', kind: tcp, address: 'a:1'}]", "f:1:10: checks: a b: expected a name"},
    {"checks: [{name: a, kind: tcp, address: 'a:1'}, {name: a, kind: tcp, address: 'a:1'}]",
     "f:1:48: checks: a: expected a name of its own"},
    {"checks: [{name: a, kind: tcp, path: /x, address: 'a:1'}]",
     "f:1:31: path: no key of kind tcp"},
    {"checks: [{name: a, kind: tcp}]", "f:1:10: checks: a: expected host:port"},
    {"checks: [{name: a, kind: tcp, address: 'a:0'}]", "f:1:10: checks: a: expected host:port"},
    {"checks: [{name: a, kind: tcp, address: 'a:1', interval: 1ms}]",
     "f:1:57: interval: expected a value in the range 1s to 1d"},
    {"checks: [{name: a, kind: tcp, address: 'a:1', timeout: 31s}]",
     "f:1:10: checks: a: expected a timeout that is no longer than the interval"},
    {"checks: [{name: a, kind: unix, path: x}]", "f:1:10: checks: a: expected an absolute path"},
    {"checks: [{name: a, kind: process}]", "f:1:10: checks: a: expected exactly one of pid_file"},
    {"checks: [{name: a, kind: process, unit: x}]", "f:1:10: checks: a: expected the whole name"},
    {"checks: [{name: a, kind: process, cgroup: ../x}]", "f:1:10: checks: a: expected a control"},
    {"checks: [{name: a, kind: http}]", "f:1:10: checks: a: expected url"},
    {"checks: [{name: a, kind: http, url: 'ftp://x'}]", "f:1:10: checks: a: "},
    {"checks: [{name: a, kind: http, url: 'http://x', status: 99}]", "f:1:57: status: expected"},
    {"checks: [{name: a, kind: http, url: 'http://x', method: PUT}]",
     "f:1:57: method: expected GET"},
    {"checks: [{name: a, kind: http, url: 'http://x', method: HEAD, body: x}]",
     "f:1:10: checks: a: expected a body"},
    {"checks: [{name: a, kind: http, url: 'http://x', headers: {'a b': c}}]", "f:1:10: headers: "},
    {"checks: [{name: a, kind: mcp}]", "f:1:10: checks: a: expected either url or command"},
    {"checks: [{name: a, kind: mcp, command: [x]}]",
     "f:1:10: checks: a: expected a command that begins with an absolute path"},
    {"checks: [{name: a, kind: command, command: [/x], env: {MCPTALLY_X: y}}]",
     "f:1:10: checks: a: expected names of variables"},
    {"recovery: {actions: [{name: a, on: x}]}",
     "f:1:22: recovery.actions: a: expected either command or reset_domain"},
    {"recovery: {actions: [{name: a, command: [/x]}]}", "f:1:22: recovery.actions: a: expected on"},
    {"recovery: {actions: [{name: a, on: x, reset_domain: all}]}",
     "f:1:53: reset_domain: expected the number of a domain, or component"},
    {"recovery: {actions: [{name: a, on: x, reset_domain: 1, max: 33}]}",
     "f:1:61: max: expected a value in the range 1 to 32"},
    {"health: {cpu_warning: 90%, cpu_critical: 80%}",
     "f:1:28: health.cpu_critical: a warning at 90% would come after the failure at 80%"},
};

START_TEST(test_faults)
{
    ck_assert(!parse(bad[_i].text));
    const char *said = faults_text(&faults);
    ck_assert_msg(strncmp(said, bad[_i].fault, strlen(bad[_i].fault)) == 0, "%s\nsaid %sfor %s",
                  bad[_i].text, said, bad[_i].fault);
    ck_assert_uint_eq(faults.count, 1);
}
END_TEST

START_TEST(test_too_many)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_adds(&text, "checks:\n");
    for (int i = 0; i <= CHECK_MAX; i++)
        buf_addf(&text, "- {name: c%d, kind: tcp, address: 'a:1'}\n", i);
    buf_addc(&text, '\0');
    ck_assert(!parse(text.p));
    ck_assert_ptr_nonnull(strstr(faults_text(&faults), "more than 256 checks"));
    buf_fini(&text);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_defaults);
    tcase_add_test(t, test_kinds);
    tcase_add_test(t, test_actions);
    tcase_add_loop_test(t, test_faults, 0, sizeof bad / sizeof *bad);
    tcase_add_test(t, test_too_many);
    Suite *s = suite_create("config_checks");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
