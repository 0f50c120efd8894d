/* The control socket and the health port: what they answer, and to whom they do not. */
#include "serve/control.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/census.h"
#include "loop_client.h"
#include "memory_store.h"
#include "pipeline/sampling.h"
#include "serve/listen.h"
#include "store/session.h"

static struct memory_store ms;
static struct pipeline pl;
static struct serve_env env;
static struct pages *pages;
static struct verdict verdict;
static struct health_page health;
static const struct system_figures figures = {
    .memory_used = 1, .memory_limit = 2, .processes = 3, .resident = 4, .cpus = 5};
static struct http_server *server;
static struct control_options options;
static struct control *control;
static char path[64], address[LISTEN_NAME_MAX];
static struct buf got;

static void describe(void *arg, struct status_info *out)
{
    (void)arg;
    out->pid = 77;
    out->version = "1.2.3";
    out->started = clock_now().mono - 1500 * NS_PER_MS;
    out->config = "/etc/x.yaml";
    out->store_path = "/run/store";
    out->nports = 2;
    out->ports[0].name = "metrics";
    out->ports[0].address = "127.0.0.1:9090";
    out->ports[1].name = "health";
    out->ports[1].address = "";
    out->verdict = &verdict;
}

static int listen_at(const char *where)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, where, strlen(where));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const void *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    return fd;
}

static void setup(void)
{
    struct pipeline_options o;
    const struct pages_options po = {0};
    memory_store_init(&ms);
    pipeline_defaults(&o);
    ck_assert_int_eq(pipeline_init(&pl, &ms.st, &o, memory_store_now), 0);
    buf_init(&got, 64 << 20);
    env = (struct serve_env){.base = event_base_new(), .pl = &pl};
    pages = pages_new(&env, &po);
    verdict_reset(&verdict);
    verdict_add(&verdict, "loop", GATE_LIVE);
    verdict_add(&verdict, "intake", GATE_READY | GATE_STARTUP);
    verdict_add(&verdict, "memory", 0);
    health_page_init(&health, &verdict, &ms.st, "1.2.3", clock_now().mono);
    health.system = &figures;
    snprintf(path, sizeof path, "/tmp/test-control-%d", (int)getpid());
    unlink(path);
    options = (struct control_options){.listen_fd = listen_at(path),
                                       .connections = 4,
                                       .deadline = 100 * NS_PER_MS,
                                       .pages = pages,
                                       .health = &health,
                                       .describe = describe};
    control = control_new(&env, &options);
    ck_assert_ptr_nonnull(control);
    const struct http_options h = {.title = "health",
                                   .own_port = 1,
                                   .connections = 8,
                                   .routes = health_page_routes,
                                   .nroutes = health_page_nroutes,
                                   .arg = &health};
    const int fd = listen_tcp("127.0.0.1:0");
    listen_name(fd, address, sizeof address);
    server = http_server_new(&env, &h, fd);
    ck_assert_ptr_nonnull(server);
}

static void teardown(void)
{
    pages_stop(pages);
    http_server_free(server);
    control_free(control);
    pages_free(pages);
    health_page_fini(&health);
    event_base_free(env.base);
    unlink(path);
    buf_fini(&got);
    pipeline_fini(&pl);
    memory_store_fini(&ms);
}

/* ---- control ---- */

static const char *ask(const char *request)
{
    const int fd = client_connect(path);
    client_send(fd, request);
    client_read_all(env.base, fd, &got);
    close(fd);
    return got.p;
}

static json_t *ask_json(const char *request)
{
    json_error_t why;
    json_t *j = json_loads(ask(request), JSON_REJECT_DUPLICATES, &why);
    ck_assert_msg(j != NULL, "%s: %s", why.text, got.p);
    return j;
}

static const char *text_of(json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

START_TEST(status_tells_what_there_is)
{
    json_t *j = ask_json("{\"cmd\":\"status\"}\n");
    ck_assert_int_eq(json_integer_value(json_object_get(j, "pid")), 77);
    ck_assert_str_eq(text_of(j, "version"), "1.2.3");
    ck_assert_str_eq(text_of(j, "health"), "pass");
    ck_assert(json_real_value(json_object_get(j, "uptime_seconds")) >= 1.5);
    json_t *listen = json_object_get(j, "listen");
    ck_assert_str_eq(text_of(listen, "metrics"), "127.0.0.1:9090");
    ck_assert(json_is_null(json_object_get(listen, "health")));
    json_t *sessions = json_object_get(j, "sessions");
    ck_assert_int_eq(json_integer_value(json_object_get(sessions, "connected")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(sessions, "kept")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(j, "store"), "size")),
                     MEMORY_STORE_SIZE);
    ck_assert_int_gt(json_integer_value(json_object_get(j, "series")), 10);
    json_decref(j);
}
END_TEST

START_TEST(sampling_is_shown_and_changed)
{
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"{\"cmd\":\"sampling.set\",\"tier\":\"high\",\"rate\":1}",
         "tier is critical, normal or debug"},
        {"{\"cmd\":\"sampling.set\",\"tier\":7,\"rate\":1}", "tier is critical, normal or debug"},
        {"{\"cmd\":\"sampling.set\",\"tier\":\"debug\",\"rate\":1.5}",
         "rate is a number from 0 to 1"},
        {"{\"cmd\":\"sampling.set\",\"tier\":\"debug\",\"rate\":-0.5}",
         "rate is a number from 0 to 1"},
        {"{\"cmd\":\"sampling.set\",\"tier\":\"debug\"}", "rate is a number from 0 to 1"},
        {"{\"cmd\":\"sampling.set\",\"tier\":\"debug\",\"rate\":0.25}",
         "\"set\":0.25,\"now\":0.25"},
        {"{\"cmd\":\"sampling\"}", "\"debug\":{\"configured\":0.01,\"set\":0.25,"},
        {"{\"cmd\":\"sampling.reset\",\"tier\":\"debug\"}", "\"set\":null,\"now\":0.01"},
    };
    struct sampling_options o;
    ck_assert_ptr_nonnull(strstr(ask("{\"cmd\":\"sampling\"}\n"), "there is no sampling"));
    sampling_defaults(&o);
    pl.sampling = sampling_new(&ms.st, &pl.own, &o, memory_store_now);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[256];
        snprintf(line, sizeof line, "%s\n", cases[i].request);
        ck_assert_msg(strstr(ask(line), cases[i].answer), "%s: %s", line, got.p);
    }
    sampling_free(pl.sampling);
    pl.sampling = NULL;
}
END_TEST

/* ---- who may ---- */

static struct audit_act noted;
static char noted_object[64], noted_outcome[128];
static unsigned notes;

static void note(void *arg, const struct audit_act *act)
{
    (void)arg;
    notes++;
    noted = *act;
    snprintf(noted_object, sizeof noted_object, "%s", act->object);
    snprintf(noted_outcome, sizeof noted_outcome, "%s", act->outcome);
}

/* As a user that is nobody here: the kernel notes who connects, not who sends. */
static const char *ask_as(uid_t uid, const char *request)
{
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(seteuid(uid), 0);
    const int fd = client_connect(path);
    ck_assert_int_eq(seteuid(0), 0);
    client_send(fd, request);
    client_read_all(env.base, fd, &got);
    close(fd);
    return got.p;
}

static void with_sampling(void)
{
    struct sampling_options o;
    sampling_defaults(&o);
    pl.sampling = sampling_new(&ms.st, &pl.own, &o, memory_store_now);
    notes = 0;
    audit_set_sink(note, NULL);
}

static void without_sampling(void)
{
    audit_set_sink(NULL, NULL);
    sampling_free(pl.sampling);
    pl.sampling = NULL;
}

#define SET "{\"cmd\":\"sampling.set\",\"tier\":\"debug\",\"rate\":0.25}\n"

START_TEST(what_changes_something_is_audited)
{
    with_sampling();
    ask("{\"cmd\":\"sampling\"}\n");
    ck_assert_uint_eq(notes, 0);
    ask(SET);
    ck_assert_uint_eq(notes, 1);
    ck_assert_str_eq(noted.what, "sampling.set");
    ck_assert_str_eq(noted_object, "debug 25%");
    ck_assert_str_eq(noted_outcome, "done");
    ck_assert(noted.who.peer && noted.who.uid == geteuid() && noted.who.pid == (uint32_t)getpid());
    ask("{\"cmd\":\"sampling.reset\",\"tier\":\"none\"}\n");
    ck_assert_uint_eq(notes, 2);
    ck_assert_str_eq(noted_outcome, "tier is critical, normal or debug");
    without_sampling();
}
END_TEST

START_TEST(not_everybody_may)
{
    static const uint32_t stranger = 54321, nobody = 65534, us = 0;
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    with_sampling();
    control_set_admins(control, &(struct admins){.uids = &stranger, .nuids = 1});
    ck_assert_ptr_nonnull(strstr(ask_as(nobody, SET), "not allowed"));
    ck_assert_uint_eq(own_get(&pl.own, OWN_CONTROL_REFUSED, 0), 1);
    ck_assert_str_eq(noted_outcome, "refused");
    ck_assert_uint_eq(noted.who.uid, nobody);
    ck_assert_ptr_nonnull(strstr(ask_as(nobody, "{\"cmd\":\"sampling\"}\n"), "\"set\":null"));
    ck_assert_ptr_nonnull(strstr(ask_as(0, SET), "0.25"));
    control_set_admins(control, &(struct admins){.uids = &nobody, .nuids = 1});
    ck_assert_ptr_nonnull(strstr(ask_as(nobody, SET), "0.25"));
    control_set_admins(control, &(struct admins){.gids = &us, .ngids = 1});
    ck_assert_ptr_nonnull(strstr(ask_as(nobody, SET), "0.25"));
    control_set_admins(control, &(struct admins){0}); /* the socket's group, which is ours */
    ck_assert_ptr_nonnull(strstr(ask_as(nobody, SET), "0.25"));
    without_sampling();
}
END_TEST

/* A peer cannot fill the audit log with what it may not do. */
START_TEST(refusals_are_audited_up_to_a_limit)
{
    static const uint32_t stranger = 54321;
    if (geteuid() != 0)
        return;
    with_sampling();
    control_set_admins(control, &(struct admins){.uids = &stranger, .nuids = 1});
    for (int i = 0; i < 40; i++)
        ask_as(65534, SET);
    ck_assert_uint_eq(notes, 30);
    ck_assert_uint_eq(own_get(&pl.own, OWN_CONTROL_REFUSED, 0), 40);
    without_sampling();
}
END_TEST

START_TEST(status_adds_up_the_domains)
{
    ck_assert_int_eq(own_domain(&pl.own, 2, memory_store_now), 0);
    ck_assert_int_eq(own_domain(&pl.own, 5, memory_store_now), 0);
    own_add(&pl.own, OWN_RECEIVED, 2, 10);
    own_add(&pl.own, OWN_APPLIED, 2, 7);
    own_add(&pl.own, OWN_DROPPED, own_drop_index(2, DROP_SAMPLED), 3);
    own_add(&pl.own, OWN_RECEIVED, 5, 100);
    own_add(&pl.own, OWN_APPLIED, 5, 100);
    own_add(&pl.own, OWN_DUPLICATES, 5, 4);
    store_commit(&ms.st);
    json_t *j = ask_json("{\"cmd\":\"status\"}\n");
    json_t *a = json_object_get(j, "accounting"), *dropped = json_object_get(a, "dropped");
    ck_assert_int_eq(json_integer_value(json_object_get(a, "received")), 110);
    ck_assert_int_eq(json_integer_value(json_object_get(a, "applied")), 107);
    ck_assert_int_eq(json_integer_value(json_object_get(a, "duplicates")), 4);
    ck_assert_uint_eq(json_object_size(dropped), DROP_MAX);
    ck_assert_int_eq(json_integer_value(json_object_get(dropped, "sampled")), 3);
    json_t *domains = json_object_get(j, "domains");
    ck_assert_uint_eq(json_array_size(domains), 2);
    json_t *second = json_array_get(domains, 1);
    ck_assert_int_eq(json_integer_value(json_object_get(second, "domain")), 5);
    ck_assert_int_eq(json_integer_value(json_object_get(second, "received")), 100);
    json_decref(j);
}
END_TEST

START_TEST(status_counts_sessions_by_service)
{
    char name[32];
    for (int i = 0; i < 200; i++) {
        const uint8_t id[16] = {1, (uint8_t)i};
        snprintf(name, sizeof name, "service-%d", i % 100);
        const struct session_ask s = {.id = id,
                                      .service = str_of(name),
                                      .instance = STR(""),
                                      .agent = STR(""),
                                      .now = memory_store_now};
        const uint32_t session = session_make(&ms.st, &s);
        ck_assert_uint_ne(session, 0);
        if (i % 2)
            session_set_ended(&ms.st, session, 5);
        store_commit(&ms.st);
    }
    json_t *j = ask_json("{\"cmd\":\"status\"}\n"), *sessions = json_object_get(j, "sessions");
    json_t *services = json_object_get(sessions, "services");
    ck_assert_int_eq(json_integer_value(json_object_get(sessions, "connected")), 100);
    ck_assert_int_eq(json_integer_value(json_object_get(sessions, "kept")), 100);
    ck_assert_uint_eq(json_array_size(services), CENSUS_SERVICES + 1);
    json_int_t sum = 0;
    for (size_t i = 0; i < json_array_size(services); i++) {
        json_t *row = json_array_get(services, i);
        sum += json_integer_value(json_object_get(row, "connected"));
        sum += json_integer_value(json_object_get(row, "kept"));
    }
    ck_assert_int_eq(sum, 200);
    json_decref(j);
}
END_TEST

START_TEST(metrics_come_with_their_length)
{
    const char *a = ask("{\"cmd\":\"metrics\",\"format\":\"openmetrics\"}\n");
    json_error_t why;
    json_t *head = json_loads(a, JSON_DISABLE_EOF_CHECK, &why);
    ck_assert_ptr_nonnull(head);
    const char *page = strchr(a, '\n') + 1;
    ck_assert_int_eq(json_integer_value(json_object_get(head, "length")), (json_int_t)strlen(page));
    ck_assert_ptr_nonnull(strstr(text_of(head, "type"), "openmetrics"));
    ck_assert_str_eq(page + strlen(page) - 6, "# EOF\n");
    json_decref(head);
    ck_assert_ptr_null(strstr(ask("{\"cmd\":\"metrics\"}\n"), "# EOF"));
}
END_TEST

START_TEST(what_makes_no_sense_is_an_error)
{
    static const char *const bad[] = {
        "\n",
        "{}\n",
        "[]\n",
        "x\n",
        "{\"cmd\":1}\n",
        "{\"cmd\":\"stop\"}\n",
        "{\"cmd\":\"status\"\n",
        "{\"cmd\":\"status\",\"cmd\":\"status\"}\n",
        "{\"cmd\":\"metrics\",\"format\":\"xml\"}\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *j = ask_json(bad[i]);
        ck_assert_msg(text_of(j, "error") != NULL, "%s", bad[i]);
        json_decref(j);
    }
    static char longest[5000];
    memset(longest, ' ', 4096);
    json_t *j = ask_json(longest);
    ck_assert_str_eq(text_of(j, "error"), "the request is too long");
    json_decref(j);
}
END_TEST

START_TEST(a_request_may_end_with_the_stream)
{
    const int fd = client_connect(path);
    client_send(fd, "{\"cmd\":\"status\"}");
    shutdown(fd, SHUT_WR);
    client_read_all(env.base, fd, &got);
    ck_assert_int_eq(strncmp(got.p, "{\"running\":true,", 16), 0);
    close(fd);
}
END_TEST

START_TEST(a_slow_request_is_cut_off)
{
    const int fd = client_connect(path);
    const uint64_t began = clock_now().mono;
    buf_reset(&got);
    while (client_turn(env.base, fd, &got)) {
        send(fd, " ", 1, MSG_NOSIGNAL);
        ck_assert_uint_lt(clock_now().mono - began, LOOP_CLIENT_DEADLINE);
        usleep(5000);
    }
    ck_assert_uint_eq(got.n, 0);
    ck_assert_uint_ge(clock_now().mono - began, 90 * NS_PER_MS);
    close(fd);
}
END_TEST

START_TEST(one_too_many_is_closed)
{
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = client_connect(path);
    event_base_loop(env.base, EVLOOP_NONBLOCK);
    const int fifth = client_connect(path);
    client_read_all(env.base, fifth, &got);
    ck_assert_uint_eq(got.n, 0);
    close(fifth);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    event_base_loop(env.base, EVLOOP_NONBLOCK);
    json_t *j = ask_json("{\"cmd\":\"status\"}\n");
    json_decref(j);
}
END_TEST

START_TEST(a_reader_that_leaves_early)
{
    char labels[32];
    const struct metric_def def = {.name = STR("m"), .kind = METRIC_COUNTER, .type = VALUE_U64};
    const uint32_t m = memory_store_metric(&ms, &def, false);
    for (int i = 0; i < 20000; i++) {
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        memory_store_series(&ms, m, labels);
    }
    for (int turns = 0; turns < 20; turns++) {
        const int fd = client_connect(path);
        client_send(fd, "{\"cmd\":\"metrics\"}\n");
        for (int i = 0; i < turns; i++)
            event_base_loop(env.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        close(fd);
    }
    /* Who left while waiting for a page keeps a place until it is made. */
    do
        event_base_loop(env.base, EVLOOP_NONBLOCK);
    while (pages_busy(pages));
    event_base_loop(env.base, EVLOOP_NONBLOCK);
    const char *a = ask("{\"cmd\":\"metrics\"}\n");
    ck_assert_ptr_nonnull(strstr(a, "m_total{i=\"19999\"} 0\n"));
}
END_TEST

/* ---- health ---- */

static const char *probe(const char *where, unsigned status)
{
    char request[256], line[32];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             where);
    snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
    const int fd = client_connect(address);
    client_send(fd, request);
    client_read_all(env.base, fd, &got);
    close(fd);
    ck_assert_msg(strncmp(got.p, line, strlen(line)) == 0, "%s: %s", where, got.p);
    return strstr(got.p, "\r\n\r\n") + 4;
}

START_TEST(probes_pass)
{
    static const char *const paths[] = {"/health",         "/health/live", "/health/ready",
                                        "/health/startup", "/livez",       "/readyz",
                                        "/healthz"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        ck_assert_str_eq(probe(paths[i], 200), "{\"status\":\"pass\"}\n");
}
END_TEST

START_TEST(a_check_fails_the_probes_of_its_gates)
{
    verdict.checks[1].status = CHECK_FAIL;
    snprintf(verdict.checks[1].message, sizeof verdict.checks[1].message, "no \"socket\"");
    static const char failing[] = "{\"status\":\"fail\",\"checks\":[{\"name\":\"intake\","
                                  "\"status\":\"fail\",\"message\":\"no \\\"socket\\\"\"}]}\n";
    probe("/health/live", 200);
    ck_assert_str_eq(probe("/health/ready", 503), failing);
    ck_assert_str_eq(probe("/health/startup", 503), failing);
    ck_assert_str_eq(probe("/health", 503), failing);
    verdict.checks[1].status = CHECK_PASS;
    verdict.checks[2].status = CHECK_WARN;
    probe("/health/ready", 200);
    ck_assert_ptr_nonnull(strstr(probe("/health", 200), "{\"status\":\"warn\",\"checks\":["));
}
END_TEST

START_TEST(detailed_tells_all)
{
    json_error_t why;
    verdict.checks[2].status = CHECK_WARN;
    json_t *j = json_loads(probe("/health/detailed", 200), JSON_REJECT_DUPLICATES, &why);
    ck_assert_msg(j != NULL, "%s", why.text);
    ck_assert_ptr_nonnull(strstr(got.p, "\r\nContent-Type: application/health+json\r\n"));
    ck_assert_str_eq(text_of(j, "status"), "warn");
    ck_assert_str_eq(text_of(j, "version"), "1.2.3");
    ck_assert_uint_eq(json_array_size(json_object_get(j, "checks")), 3);
    static const char *const members[] = {"domains", "sessions",   "components",
                                          "system",  "accounting", "consumers"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        ck_assert_msg(json_object_get(j, members[i]) != NULL, "%s", members[i]);
    json_t *system = json_object_get(j, "system"), *memory = json_object_get(system, "memory");
    const double ratio = json_number_value(json_object_get(memory, "ratio"));
    ck_assert(ratio > 0 && ratio <= 1);
    ck_assert_int_gt(json_integer_value(json_object_get(system, "processes")), 0);
    ck_assert_int_gt(json_integer_value(json_object_get(system, "cpus")), 0);
    json_decref(j);
}
END_TEST

START_TEST(requests_are_counted_by_port)
{
    probe("/livez", 200);
    probe("/nothing", 404);
    ck_assert_uint_eq(own_get(&pl.own, OWN_HTTP_REQUESTS, 1), 2);
    ck_assert_uint_eq(own_get(&pl.own, OWN_HTTP_REQUESTS, 0), 0);
}
END_TEST

START_TEST(checks_beyond_the_table_share_the_last)
{
    verdict_reset(&verdict);
    for (int i = 0; i < CHECKS_MAX + 5; i++)
        verdict_add(&verdict, "c", 0)->status = i == 10 ? CHECK_WARN : CHECK_PASS;
    ck_assert_uint_eq(verdict.n, CHECKS_MAX);
    ck_assert_int_eq(verdict_of(&verdict, 0), CHECK_WARN);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("control");
    TCase *t = tcase_create("edges");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, status_tells_what_there_is);
    tcase_add_test(t, sampling_is_shown_and_changed);
    tcase_add_test(t, what_changes_something_is_audited);
    tcase_add_test(t, not_everybody_may);
    tcase_add_test(t, refusals_are_audited_up_to_a_limit);
    tcase_add_test(t, status_adds_up_the_domains);
    tcase_add_test(t, status_counts_sessions_by_service);
    tcase_add_test(t, metrics_come_with_their_length);
    tcase_add_test(t, what_makes_no_sense_is_an_error);
    tcase_add_test(t, a_request_may_end_with_the_stream);
    tcase_add_test(t, a_slow_request_is_cut_off);
    tcase_add_test(t, one_too_many_is_closed);
    tcase_add_test(t, a_reader_that_leaves_early);
    tcase_add_test(t, probes_pass);
    tcase_add_test(t, a_check_fails_the_probes_of_its_gates);
    tcase_add_test(t, detailed_tells_all);
    tcase_add_test(t, requests_are_counted_by_port);
    tcase_add_test(t, checks_beyond_the_table_share_the_last);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
