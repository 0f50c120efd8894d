/* The metrics port over real sockets: negotiation, HEAD, gzip, refusals, deadlines. */
#include "serve/metrics_page.h"

#include <stdio.h>
#include <zlib.h>

#include "loop_client.h"
#include "memory_store.h"
#include "serve/listen.h"
#include "serve/negotiate.h"
#include "store/commit.h"

static struct memory_store ms;
static struct pipeline pl;
static struct serve_env env;
static struct pages *pages;
static struct http_server *server;
static struct http_options http;
static char address[LISTEN_NAME_MAX];
static struct buf got;

static void serve(void)
{
    const int fd = listen_tcp("127.0.0.1:0");
    ck_assert_int_ge(fd, 0);
    listen_name(fd, address, sizeof address);
    server = http_server_new(&env, &http, fd);
    ck_assert_ptr_nonnull(server);
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
    ck_assert_ptr_nonnull(pages);
    http = (struct http_options){.title = "metrics",
                                 .connections = 8,
                                 .routes = metrics_page_routes,
                                 .nroutes = metrics_page_nroutes,
                                 .arg = pages};
    serve();
}

static void teardown(void)
{
    pages_stop(pages);
    http_server_free(server);
    pages_free(pages);
    event_base_free(env.base);
    buf_fini(&got);
    pipeline_fini(&pl);
    memory_store_fini(&ms);
}

/* Sends a whole request and returns the whole answer. */
static const char *ask(const char *request)
{
    const int fd = client_connect(address);
    client_send(fd, request);
    client_read_all(env.base, fd, &got);
    close(fd);
    return got.p;
}

#define GET_METRICS "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

static bool says(const char *answer, const char *what)
{
    return strstr(answer, what) != NULL;
}

static void many_series(int n)
{
    const struct metric_def def = {.name = STR("many"), .kind = METRIC_COUNTER, .type = VALUE_U64};
    const uint32_t m = memory_store_metric(&ms, &def, false);
    char labels[64];
    for (int i = 0; i < n; i++) {
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        memory_store_series(&ms, m, labels);
    }
}

START_TEST(text_is_what_nobody_in_particular_gets)
{
    const char *a = ask(GET_METRICS "\r\n");
    ck_assert_int_eq(strncmp(a, "HTTP/1.1 200 ", 13), 0);
    ck_assert(says(a, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    ck_assert(says(a, "\r\nContent-Length: "));
    ck_assert(says(a, "\r\nVary: Accept, Accept-Encoding\r\n"));
    ck_assert(says(a, "\r\nCache-Control: no-store\r\n"));
    ck_assert(says(a, "\r\nX-Content-Type-Options: nosniff\r\n"));
    ck_assert(says(a, "\n# TYPE mcptally_items_received_total counter\n") ||
              says(a, "\n# TYPE mcptally_connections_accepted_total counter\n"));
    ck_assert(!says(a, "# EOF"));
}
END_TEST

START_TEST(openmetrics_when_asked_for)
{
    const char *a = ask(GET_METRICS "Accept: application/openmetrics-text;version=1.0.0,"
                                    "application/openmetrics-text;version=0.0.1;q=0.75,"
                                    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n\r\n");
    ck_assert(says(a, "\r\nContent-Type: application/openmetrics-text; version=1.0.0; "
                      "charset=utf-8\r\n"));
    ck_assert_str_eq(a + strlen(a) - 6, "# EOF\n");
}
END_TEST

START_TEST(process_figures_are_fresh)
{
    const char *a = ask(GET_METRICS "\r\n");
    const char *fds = strstr(a, "\nprocess_open_fds ");
    const char *start = strstr(a, "\nprocess_start_time_seconds ");
    ck_assert_ptr_nonnull(fds);
    ck_assert_int_gt(strtol(fds + 18, NULL, 10), 3);
    ck_assert_ptr_nonnull(start);
    const double age = (double)clock_now().wall / 1e9 - strtod(start + 28, NULL);
    ck_assert(age > -1 && age < 3600);
}
END_TEST

static size_t gunzip(const char *from, size_t n, char *to, size_t size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)from, .avail_in = (uInt)n};
    ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)size;
    ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    return size - z.avail_out;
}

START_TEST(gzip_says_the_same)
{
    static char text[4 << 20];
    many_series(5000);
    const char *a = ask(GET_METRICS "Accept-Encoding: gzip\r\n\r\n");
    ck_assert(says(a, "\r\nContent-Encoding: gzip\r\n"));
    const char *body = strstr(a, "\r\n\r\n") + 4;
    const size_t n = gunzip(body, got.n - (size_t)(body - a), text, sizeof text - 1);
    text[n] = '\0';
    const char *squeezed = strstr(text, "# TYPE many_total");
    ck_assert_ptr_nonnull(squeezed);
    const char *plain = strstr(ask(GET_METRICS "\r\n"), "# TYPE many_total");
    ck_assert_ptr_nonnull(plain);
    ck_assert_str_eq(squeezed, plain);
}
END_TEST

START_TEST(head_has_the_length_and_no_body)
{
    const char *a = ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const char *length = strstr(a, "\r\nContent-Length: ");
    ck_assert_ptr_nonnull(length);
    ck_assert_int_gt(strtol(length + 18, NULL, 10), 1000);
    ck_assert_str_eq(strstr(a, "\r\n\r\n"), "\r\n\r\n");
}
END_TEST

START_TEST(what_is_not_there)
{
    const char *a = ask("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ck_assert_int_eq(strncmp(a, "HTTP/1.1 404 ", 13), 0);
    ck_assert(says(a, "/metrics"));
    a = ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ck_assert_int_eq(strncmp(a, "HTTP/1.1 200 ", 13), 0);
    ck_assert(says(a, "<a href=\"/metrics\">"));
}
END_TEST

START_TEST(only_get_and_head)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "BREW"};
    char request[128];
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        snprintf(request, sizeof request, "%s /metrics HTTP/1.1\r\nHost: x\r\n\r\n", methods[i]);
        const char *a = ask(request);
        ck_assert_int_eq(strncmp(a, "HTTP/1.1 405 ", 13), 0);
        ck_assert(says(a, "\r\nAllow: GET, HEAD\r\n"));
    }
}
END_TEST

START_TEST(no_body_is_taken)
{
    const char *a = ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    ck_assert_int_eq(strncmp(a, "HTTP/1.1 405 ", 13), 0);
    a = ask("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    ck_assert_int_eq(strncmp(a, "HTTP/1.1 413 ", 13), 0);
    a = ask("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nabc");
    ck_assert_int_eq(strncmp(a, "HTTP/1.1 413 ", 13), 0);
}
END_TEST

START_TEST(a_connection_is_used_again)
{
    const int fd = client_connect(address);
    client_send(fd, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    buf_reset(&got);
    while (got.n == 0 || !memmem(got.p, got.n, "\r\n\r\n", 4))
        ck_assert(client_turn(env.base, fd, &got));
    client_send(fd, "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client_read_all(env.base, fd, &got);
    ck_assert_int_eq(strncmp(got.p, "HTTP/1.1 404 ", 13), 0);
    close(fd);
}
END_TEST

START_TEST(a_slow_head_is_cut_off)
{
    http_server_free(server);
    http.head_ns = 50 * NS_PER_MS;
    serve();
    const int fd = client_connect(address);
    const uint64_t began = clock_now().mono;
    buf_reset(&got);
    const char *byte =
        "GET /metrics HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    while (client_turn(env.base, fd, &got)) {
        if (*byte && send(fd, byte, 1, MSG_NOSIGNAL) == 1)
            byte++;
        ck_assert_uint_lt(clock_now().mono - began, LOOP_CLIENT_DEADLINE);
        usleep(2000);
    }
    ck_assert_uint_ge(clock_now().mono - began, 45 * NS_PER_MS);
    ck_assert_uint_eq(got.n, 0);
    close(fd);
}
END_TEST

START_TEST(silent_connections_make_room)
{
    int fds[30];
    for (size_t i = 0; i < 30; i++) {
        fds[i] = client_connect(address);
        event_base_loop(env.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
    ck_assert_int_eq(strncmp(ask(GET_METRICS "\r\n"), "HTTP/1.1 200 ", 13), 0);
    for (size_t i = 0; i < 30; i++)
        close(fds[i]);
}
END_TEST

START_TEST(a_page_in_the_making_is_shared)
{
    many_series(20000);
    int fds[2]; /* as many as one wakeup takes: a quarter of the room */
    for (int i = 0; i < 2; i++) {
        fds[i] = client_connect(address);
        client_send(fds[i], GET_METRICS "\r\n");
    }
    unsigned turns = 0;
    for (; !pages_busy(pages); turns++)
        event_base_loop(env.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    struct buf first;
    buf_init(&first, 64 << 20);
    client_read_all(env.base, fds[0], &first);
    for (int i = 1; i < 2; i++) {
        client_read_all(env.base, fds[i], &got);
        ck_assert_uint_eq(got.n, first.n);
        ck_assert_int_eq(memcmp(strstr(got.p, "\r\n\r\n"), strstr(first.p, "\r\n\r\n"), 10000), 0);
    }
    ck_assert(!pages_busy(pages));
    buf_fini(&first);
    for (int i = 0; i < 2; i++)
        close(fds[i]);
}
END_TEST

/* What the kernel holds, all that there is without another turn of the loop. */
static size_t read_what_came(int fd, struct buf *to)
{
    char bytes[16384];
    const size_t before = to->n;
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        buf_add(to, bytes, (size_t)n);
    ck_assert(n < 0 && errno == EAGAIN);
    return to->n - before;
}

START_TEST(a_reader_that_waits_gets_all_of_it_later)
{
    enum { SERIES = 60000, QUEUED = 512 << 10 };
    many_series(SERIES);
    const struct pages_work before = pages_work(pages);
    const int fd = client_connect(address);
    client_send(fd, GET_METRICS "\r\n");
    while (pages_work(pages).slices == before.slices || pages_busy(pages))
        event_base_loop(env.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    for (int i = 0; i < 100; i++)
        event_base_loop(env.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    buf_reset(&got);
    const size_t queued = read_what_came(fd, &got);
    ck_assert_uint_gt(queued, 0);
    ck_assert_uint_lt(queued, QUEUED);
    while (client_turn(env.base, fd, &got))
        continue;
    const struct buf first = got;
    buf_init(&got, 64 << 20);
    ask(GET_METRICS "\r\n");
    const struct str tail = STR("\nmany_total{i=\"59999\"} 0\n");
    ck_assert_uint_gt(first.n, 2 * QUEUED);
    ck_assert(memcmp(first.p + first.n - tail.n, tail.p, tail.n) == 0);
    ck_assert(memcmp(first.p + first.n - QUEUED, got.p + got.n - QUEUED, QUEUED) == 0);
    free(first.p);
    close(fd);
}
END_TEST

/* Turns of the loop until a page of so many bytes at least is made: none does more than it may;
 * the first slice has all of our own metrics, whose page is of `own` bytes. */
static void check_turns(const char *request, size_t own, size_t bytes)
{
    const uint64_t most = (uint64_t)PAGES_SLICES * (PAGES_SLICE_BYTES + 100) + own;
    const int fd = client_connect(address);
    const struct pages_work first = pages_work(pages);
    struct pages_work before = first, now = first;
    client_send(fd, request);
    while (now.bytes == first.bytes || pages_busy(pages)) {
        event_base_loop(env.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        now = pages_work(pages);
        ck_assert_uint_le(now.slices - before.slices, PAGES_SLICES);
        ck_assert_uint_le(now.bytes - before.bytes, most);
        before = now;
    }
    ck_assert_uint_ge(now.bytes - first.bytes, bytes);
    ck_assert_uint_ge(now.slices - first.slices, bytes / (PAGES_SLICE_BYTES + 100));
    client_read_all(env.base, fd, &got);
    close(fd);
}

START_TEST(a_turn_does_bounded_work)
{
    const size_t own = strlen(ask(GET_METRICS "\r\n"));
    const size_t bytes = 40000 * sizeof "many_total{i=\"\"} 0";
    many_series(40000);
    check_turns(GET_METRICS "\r\n", own, bytes);
    check_turns(GET_METRICS "Accept-Encoding: gzip\r\n\r\n", own, bytes);
}
END_TEST

/* Whether a page comes to a series of this metric next. */
static bool is_held(const struct metric_view *m)
{
    struct series_view s = {0};
    for (uint32_t i = m->first; i && series_read(&ms.st, i, &s); i = s.next)
        if (ms.st.refs[i] > 0)
            return true;
    return false;
}

START_TEST(series_may_expire_under_a_page)
{
    many_series(20000);
    struct metric_view m;
    struct series_view s = {0};
    ck_assert(metric_find(&ms.st, STR("many"), &m));
    const int fd = client_connect(address);
    client_send(fd, GET_METRICS "Accept-Encoding: gzip\r\n\r\n");
    while (!is_held(&m)) /* the metrics before it may take more than a turn */
        event_base_loop(env.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    ck_assert(pages_busy(pages));
    unsigned dormant = 0;
    for (uint32_t i = m.first; i && series_read(&ms.st, i, &s); i = s.next) {
        dormant += !series_expire(&ms.st, i);
        store_commit(&ms.st);
    }
    ck_assert_uint_eq(dormant, 1); /* the one that comes next */
    client_read_all(env.base, fd, &got);
    ck_assert_int_eq(strncmp(got.p, "HTTP/1.1 200 ", 13), 0);
    ck_assert(metric_read(&ms.st, m.id, &m));
    ck_assert_uint_eq(m.nseries, 1);
    ck_assert(series_expire(&ms.st, m.first));
    store_commit(&ms.st);
    close(fd);
}
END_TEST

/* The value of a sample without labels. */
static double value_of(const char *answer, const char *name)
{
    char line[128];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(answer, line);
    ck_assert_ptr_nonnull(at);
    return strtod(at + strlen(line), NULL);
}

START_TEST(a_cached_page_is_served_again)
{
    const struct pages_options cached = {.cache_ttl = 3600 * NS_PER_S}, none = {0};
    pages_set_options(pages, &cached);
    const double before = value_of(ask(GET_METRICS "\r\n"), "process_cpu_seconds_total");
    many_series(20000); /* takes CPU time */
    ck_assert(value_of(ask(GET_METRICS "\r\n"), "process_cpu_seconds_total") == before);
    pages_set_options(pages, &none);
    ck_assert(value_of(ask(GET_METRICS "\r\n"), "process_cpu_seconds_total") > before);
}
END_TEST

START_TEST(pages_have_a_budget)
{
    const struct pages_options small = {.bytes = 1000};
    pages_set_options(pages, &small);
    const char *a = ask(GET_METRICS "\r\n");
    ck_assert_int_eq(strncmp(a, "HTTP/1.1 503 ", 13), 0);
    ck_assert(says(a, "\r\nRetry-After: 1\r\n"));
    const struct pages_options none = {0};
    pages_set_options(pages, &none);
    ck_assert_int_eq(strncmp(ask(GET_METRICS "\r\n"), "HTTP/1.1 200 ", 13), 0);
}
END_TEST

START_TEST(memory_is_used_again_and_given_back)
{
    const struct pages_options brief = {.memory_idle = 1}, patient = {.memory_idle = 60 * NS_PER_S};
    pages_set_options(pages, &patient);
    many_series(20000);
    ck_assert_uint_eq(pages_kept(pages), 0);
    const size_t first = strlen(ask(GET_METRICS "\r\n"));
    ck_assert_uint_gt(pages_kept(pages), 0);
    const char *a = ask(GET_METRICS "\r\n");
    ck_assert_uint_lt(strlen(a), first + 1000);
    ck_assert_uint_gt(strlen(a), first - 1000);
    ck_assert(says(a, "many_total{i=\"19999\"} 0\n"));
    ck_assert_uint_gt(pages_kept(pages), 0);
    pages_set_options(pages, &brief);
    ask(GET_METRICS "Accept-Encoding: gzip\r\n\r\n");
    while (pages_kept(pages) > 0)
        event_base_loop(env.base, EVLOOP_ONCE);
    ck_assert_int_eq(strncmp(ask(GET_METRICS "\r\n"), "HTTP/1.1 200 ", 13), 0);
}
END_TEST

START_TEST(a_stop_with_a_page_in_the_making)
{
    many_series(20000);
    const int fd = client_connect(address);
    client_send(fd, GET_METRICS "\r\n");
    while (!pages_busy(pages))
        event_base_loop(env.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    /* teardown() stops everything now */
    close(fd);
}
END_TEST

START_TEST(accept_headers)
{
    static const struct {
        const char *accept;
        enum prom_format format;
    } cases[] = {
        {NULL, PROM_TEXT},
        {"", PROM_TEXT},
        {"*/*", PROM_TEXT},
        {"text/html", PROM_TEXT},
        {"text/plain", PROM_TEXT},
        {"application/openmetrics-text", PROM_OPENMETRICS},
        {"application/openmetrics-text; version=0.0.1", PROM_OPENMETRICS},
        {"application/openmetrics-text; version=2.0.0", PROM_TEXT},
        {"application/openmetrics-text;q=0.4,text/plain;q=0.5", PROM_TEXT},
        {"application/openmetrics-text;q=0.5 , text/plain;q=0.45", PROM_OPENMETRICS},
        {"text/plain,application/openmetrics-text", PROM_TEXT},
        {"Application/OpenMetrics-Text;Version=1.0.0;Charset=utf-8;Q=1", PROM_OPENMETRICS},
        {"application/openmetrics-text;q=0", PROM_TEXT},
        {"application/openmetrics-text;q=bad,*/*;q=0.1", PROM_TEXT},
        {",;,=;q,application/openmetrics-text;q=0.001", PROM_OPENMETRICS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(negotiate_format(cases[i].accept) == cases[i].format, "%s", cases[i].accept);
}
END_TEST

START_TEST(accept_encoding_headers)
{
    ck_assert(!negotiate_gzip(NULL));
    ck_assert(!negotiate_gzip("identity"));
    ck_assert(negotiate_gzip("gzip"));
    ck_assert(negotiate_gzip("br, GZIP;q=0.5"));
    ck_assert(!negotiate_gzip("gzip;q=0"));
    ck_assert(!negotiate_gzip("gzip;q=0.0, *"));
    ck_assert(negotiate_gzip("br;q=1, *;q=0.1"));
    ck_assert(!negotiate_gzip("*;q=0"));
}
END_TEST

START_TEST(addresses)
{
    static const char *const bad[] = {"",
                                      ":",
                                      "9090",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:-1",
                                      "::1:80",
                                      "[::1]",
                                      "[]:1",
                                      "localhost:80",
                                      "127.0.0.1:80 "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(listen_tcp(bad[i]) == -ERR_SYNTAX, "%s", bad[i]);
    const int every = listen_tcp("*:0");
    ck_assert_int_ge(every, 0);
    close(every);
    ck_assert_int_eq(listen_tcp(address), -ERR_IO);
    ck_assert_int_eq(errno, EADDRINUSE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("metrics_page");
    TCase *t = tcase_create("port");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, text_is_what_nobody_in_particular_gets);
    tcase_add_test(t, openmetrics_when_asked_for);
    tcase_add_test(t, process_figures_are_fresh);
    tcase_add_test(t, gzip_says_the_same);
    tcase_add_test(t, head_has_the_length_and_no_body);
    tcase_add_test(t, what_is_not_there);
    tcase_add_test(t, only_get_and_head);
    tcase_add_test(t, no_body_is_taken);
    tcase_add_test(t, a_connection_is_used_again);
    tcase_add_test(t, a_slow_head_is_cut_off);
    tcase_add_test(t, silent_connections_make_room);
    tcase_add_test(t, a_page_in_the_making_is_shared);
    tcase_add_test(t, a_reader_that_waits_gets_all_of_it_later);
    tcase_add_test(t, a_turn_does_bounded_work);
    tcase_add_test(t, series_may_expire_under_a_page);
    tcase_add_test(t, a_cached_page_is_served_again);
    tcase_add_test(t, pages_have_a_budget);
    tcase_add_test(t, memory_is_used_again_and_given_back);
    tcase_add_test(t, a_stop_with_a_page_in_the_making);
    tcase_add_test(t, accept_headers);
    tcase_add_test(t, accept_encoding_headers);
    tcase_add_test(t, addresses);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
