#include <check.h>

#include "client/traceparent.h"
#include "fake_server.h"
#include "mcptally.h"

static struct fake_server server;
static mcptally *m;

static void setup(void)
{
    server_init(&server);
    server_start(&server);
    const mcptally_options o = {.size = sizeof o, .socket = server.path, .service = "svc"};
    m = mcptally_open(&o);
}

static void teardown(void)
{
    mcptally_close(m, 0);
    server_fini(&server);
}

/* The span that came last; the server has ended afterwards. */
static const struct event *last_span(void)
{
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    server_kill(&server);
    return &server.d.last[EVENT_SPAN];
}

static struct str attr(const struct event *e, const char *key)
{
    for (unsigned i = 0; i < e->nattrs; i++)
        if (str_eq(e->attrs[i].key, str_of(key)))
            return e->attrs[i].s;
    return STR("(none)");
}

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
static const uint8_t parent_trace[16] = {0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd,
                                         0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c};
static const uint8_t parent_span[8] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};

static const char *const good[] = {
    PARENT,
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
    "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
};

START_TEST(good_traceparents)
{
    struct trace_ref t;
    unsigned flags;
    ck_assert(traceparent_parse(good[_i], &t, &flags));
    ck_assert_mem_eq(t.trace_id, parent_trace, 16);
    ck_assert_mem_eq(t.span_id, parent_span, 8);
    char text[TRACEPARENT_SIZE + 1];
    traceparent_format(text, &t, flags);
    ck_assert(strncmp(text + 2, good[_i] + 2, TRACEPARENT_SIZE - 2) == 0);
    ck_assert(strncmp(text, "00", 2) == 0);
}
END_TEST

static const char *const bad[] = {
    "",
    "00",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
    "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
    "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
    " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
};

START_TEST(bad_traceparents)
{
    struct trace_ref t;
    unsigned flags;
    ck_assert(!traceparent_parse(bad[_i], &t, &flags));
    ck_assert(!traceparent_parse(NULL, &t, &flags));
}
END_TEST

START_TEST(a_child_of_what_came_in)
{
    char out[56];
    mcptally_span *s =
        mcptally_span_start(m, "tools/call echo", MCPTALLY_SPAN_SERVER, PARENT, "ot=th:8");
    mcptally_span_context(s, out);
    ck_assert(strncmp(out, PARENT, 36) == 0);
    ck_assert(strncmp(out + 36, &PARENT[36], 16) != 0);
    ck_assert_str_eq(out + 52, "-01");
    mcptally_span_end(s);
    const struct event *e = last_span();
    ck_assert_mem_eq(e->trace.trace_id, parent_trace, 16);
    ck_assert_mem_eq(e->parent_id, parent_span, 8);
    ck_assert_int_eq(e->span_kind, SPAN_SERVER);
    ck_assert_int_eq(e->status, SPAN_UNSET);
    ck_assert_uint_eq(e->span_flags, 1);
    ck_assert(str_eq(e->tracestate, STR("ot=th:8")) && str_eq(e->name, STR("tools/call echo")));
    ck_assert_uint_ge(e->end, e->time);
}
END_TEST

START_TEST(a_malformed_parent_begins_a_new_trace)
{
    mcptally_span_end(mcptally_span_start(m, "s", MCPTALLY_SPAN_CLIENT, "00-nonsense", NULL));
    static const uint8_t none[8];
    const struct event *e = last_span();
    ck_assert_mem_ne(e->trace.trace_id, parent_trace, 16);
    ck_assert_mem_eq(e->parent_id, none, 8);
    ck_assert_int_eq(e->span_kind, SPAN_CLIENT);
}
END_TEST

START_TEST(spans_nest_in_a_thread)
{
    char a[56], b[56], c[56], d[56];
    mcptally_span *outer = mcptally_span_start(m, "outer", 1, NULL, NULL);
    mcptally_span *inner = mcptally_span_start(m, "inner", 1, NULL, NULL);
    mcptally_span_context(outer, a);
    mcptally_span_context(inner, b);
    ck_assert(strncmp(a, b, 36) == 0); /* one trace */
    mcptally_span_end(outer);          /* not in order */
    mcptally_span *third = mcptally_span_start(m, "third", 1, NULL, NULL);
    mcptally_span_context(third, c);
    ck_assert(strncmp(a, c, 36) == 0);
    mcptally_span_end(third);
    mcptally_span_end(inner);
    mcptally_span *root = mcptally_span_start(m, "root", 1, NULL, NULL);
    mcptally_span_context(root, d);
    ck_assert(strncmp(a, d, 36) != 0);
    mcptally_span_end(root);
    (void)last_span();
    ck_assert_uint_eq(server.d.items[EVENT_SPAN], 4);
}
END_TEST

START_TEST(tracestate_and_baggage_are_carried_on)
{
    const char *bag = "user=alice,tier=gold;p=1";
    mcptally_span *s = mcptally_span_start(m, "outer", 2, PARENT, "ot=th:8,x=1");
    ck_assert_str_eq(mcptally_span_baggage(s), "");
    ck_assert_int_eq(mcptally_span_set_baggage(s, bag), 0);
    mcptally_span *inner = mcptally_span_start(m, "inner", 1, NULL, NULL);
    ck_assert_str_eq(mcptally_span_tracestate(inner), "ot=th:8,x=1");
    ck_assert_str_eq(mcptally_span_baggage(inner), bag);
    ck_assert_int_eq(mcptally_span_set_baggage(inner, NULL), 0);
    ck_assert_str_eq(mcptally_span_baggage(inner), "");
    mcptally_span *own = mcptally_span_start(m, "own", 1, NULL, "y=2");
    ck_assert_str_eq(mcptally_span_tracestate(own), "y=2");
    ck_assert_str_eq(mcptally_span_baggage(own), "");
    mcptally_span *other = mcptally_span_start(m, "other", 2, PARENT, NULL);
    ck_assert_str_eq(mcptally_span_tracestate(other), "");
    mcptally_span_end(other);
    mcptally_span_end(own);
    mcptally_span_end(inner);
    ck_assert_str_eq(mcptally_span_baggage(s), bag);
    mcptally_span_end(s);
    ck_assert(str_eq(last_span()->tracestate, STR("ot=th:8,x=1")));
    ck_assert_str_eq(mcptally_span_tracestate(NULL), "");
}
END_TEST

START_TEST(what_is_no_baggage_is_refused)
{
    static char large[8194];
    memset(large, 'a', sizeof large - 1);
    large[1] = '=';
    const char *const refused[] = {"a",    ",",           "a=1,",       "a=1,b",
                                   "a=\"", "a=1\r\nX: y", "a=\xc3\xa9", large};
    mcptally_span *s = mcptally_span_start(m, "s", 1, NULL, NULL);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ck_assert_int_eq(mcptally_span_set_baggage(s, "a=1"), 0);
        errno = 0;
        ck_assert_int_eq(mcptally_span_set_baggage(s, refused[i]), -1);
        ck_assert_int_eq(errno, EINVAL);
        ck_assert_str_eq(mcptally_span_baggage(s), "");
    }
    large[8192] = 0;
    ck_assert_int_eq(mcptally_span_set_baggage(s, large), 0);
    mcptally_span_end(s);
}
END_TEST

static void *end_it(void *span)
{
    mcptally_span_end(span);
    return NULL;
}

START_TEST(a_span_ends_in_another_thread)
{
    char a[56], b[56];
    pthread_t t;
    mcptally_span *s = mcptally_span_start(m, "s", 1, NULL, NULL);
    mcptally_span_context(s, a);
    ck_assert_int_eq(pthread_create(&t, NULL, end_it, s), 0);
    pthread_join(t, NULL);
    mcptally_span *next = mcptally_span_start(m, "next", 1, NULL, NULL);
    mcptally_span_context(next, b);
    ck_assert(strncmp(a, b, 36) != 0); /* it is nobody's parent any more */
    mcptally_span_end(next);
    (void)last_span();
    ck_assert_uint_eq(server.d.items[EVENT_SPAN], 2);
}
END_TEST

static void *leave_it_open(void *arg)
{
    *(mcptally_span **)arg = mcptally_span_start(m, "left", 1, NULL, NULL);
    return NULL;
}

START_TEST(a_span_outlives_its_thread)
{
    mcptally_span *s = NULL;
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, leave_it_open, &s), 0);
    pthread_join(t, NULL);
    mcptally_span_attr(s, "k", "v");
    mcptally_span_end(s);
    ck_assert(str_eq(last_span()->name, STR("left")));
}
END_TEST

START_TEST(attributes_events_and_errors)
{
    mcptally_correlation(m, "req-9");
    mcptally_span *s = mcptally_span_start(m, "s", 1, NULL, NULL);
    mcptally_correlation(m, NULL);
    mcptally_span_attr(s, "a", "first");
    mcptally_span_attr(s, "a", "second"); /* replaces it */
    mcptally_span_attr(s, "no good key", "v");
    mcptally_span_attr(s, "b", "not \xff text");
    mcptally_span_attr(s, NULL, "v");
    mcptally_span_attr_i64(s, "i", -5);
    mcptally_span_attr_f64(s, "d", 0.5);
    mcptally_span_event(s, "retry");
    mcptally_span_error(s, "timeout", "no answer in 5 s");
    mcptally_span_times(s, 1000, 5000);
    mcptally_span_end(s);
    const struct event *e = last_span();
    ck_assert_uint_eq(e->nattrs, 4);
    ck_assert(str_eq(attr(e, "a"), STR("second")) && str_eq(attr(e, "error.type"), STR("timeout")));
    ck_assert_int_eq(e->attrs[1].type, ATTR_I64);
    ck_assert_int_eq(e->attrs[1].i, -5);
    ck_assert_int_eq(e->attrs[2].type, ATTR_F64);
    ck_assert_double_eq(e->attrs[2].d, 0.5);
    ck_assert_uint_eq(e->nevents, 1);
    ck_assert(str_eq(e->events[0].name, STR("retry")));
    ck_assert_int_eq(e->status, SPAN_ERROR);
    ck_assert(str_eq(e->text, STR("no answer in 5 s")) && str_eq(e->correlation, STR("req-9")));
    ck_assert_uint_eq(e->time, 1000);
    ck_assert_uint_eq(e->end, 5000);
}
END_TEST

START_TEST(more_than_a_span_holds)
{
    mcptally_span *s = mcptally_span_start(m, "s", 1, NULL, NULL);
    for (int i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        mcptally_span_attr(s, key, "v");
        mcptally_span_event(s, "e");
    }
    mcptally_span_end(s);
    const struct event *e = last_span();
    ck_assert_uint_eq(e->nattrs, LIMIT_ATTRS);
    ck_assert_uint_eq(e->nevents, LIMIT_SPAN_EVENTS);
}
END_TEST

START_TEST(a_span_that_is_too_long_is_counted)
{
    static char text[LIMIT_TEXT + 1];
    memset(text, 'x', LIMIT_TEXT);
    mcptally_span *s = mcptally_span_start(m, "s", 1, NULL, NULL);
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        mcptally_span_attr(s, key, text);
    }
    mcptally_span_end(s);
    ck_assert_int_eq(mcptally_flush(m, 20000), -1);
    ck_assert_int_eq(errno, ENOBUFS);
    mcptally_stats st = {.size = sizeof st};
    mcptally_get_stats(m, &st);
    ck_assert_uint_eq(st.lost_invalid, 1);
}
END_TEST

START_TEST(events_and_logs_carry_the_open_span)
{
    char out[56], text[TRACEPARENT_SIZE + 1];
    mcptally_span *s = mcptally_span_start(m, "s", 1, NULL, NULL);
    mcptally_span_context(s, out);
    mcptally_log(m, MCPTALLY_INFO, "inside", NULL);
    mcptally_span_end(s);
    mcptally_event(m, "outside", NULL, NULL);
    (void)last_span();
    traceparent_format(text, &server.d.last[EVENT_LOG].trace, 1);
    ck_assert_str_eq(text, out);
    static const struct trace_ref none;
    ck_assert_mem_eq(&server.d.last[EVENT_NAMED].trace, &none, sizeof none);
}
END_TEST

START_TEST(tracking_counts_times_and_traces)
{
    const mcptally_label labels[] = {{"db", "main"}, {NULL, NULL}};
    mcptally_track t = mcptally_track_start(m, "memory.search", labels);
    mcptally_track_end(&t, NULL);
    mcptally_track_end(&t, "timeout"); /* it has ended: nothing */
    t = mcptally_track_start(m, "memory.search", labels);
    mcptally_track_end(&t, "timeout");
    const struct event *e = last_span();
    ck_assert_uint_eq(server.d.items[EVENT_SPAN], 2);
    ck_assert(str_eq(e->name, STR("memory.search")) && e->status == SPAN_ERROR);
    ck_assert(str_eq(attr(e, "error.type"), STR("timeout")) && str_eq(attr(e, "db"), STR("main")));
    const struct fake_series ok = server_series(&server, "memory.search.duration{db=main}");
    ck_assert_uint_eq(ok.updates, 1);
    ck_assert_int_eq(ok.kind, METRIC_HISTOGRAM);
    const char *failed = "memory.search.duration{db=main,error.type=timeout}";
    ck_assert_uint_eq(server_series(&server, failed).updates, 1);
}
END_TEST

static void tracked(void)
{
    MCPTALLY_TRACK(m, "scoped");
    mcptally_event(m, "inside", NULL, NULL);
}

START_TEST(the_scoped_form_ends_by_itself)
{
    tracked();
    tracked();
    const struct event *e = last_span();
    ck_assert_uint_eq(server.d.items[EVENT_SPAN], 2);
    ck_assert(str_eq(e->name, STR("scoped")) && e->status == SPAN_UNSET);
    ck_assert_uint_eq(server_series(&server, "scoped.duration").updates, 2);
    ck_assert_mem_eq(&server.d.last[EVENT_NAMED].trace, &e->trace, sizeof e->trace);
}
END_TEST

START_TEST(ids_differ)
{
    enum { N = 2000 };
    static char seen[N][56];
    for (int i = 0; i < N; i++) {
        mcptally_span *s = mcptally_span_start(m, "s", 1, NULL, NULL);
        mcptally_span_context(s, seen[i]);
        mcptally_span_end(s);
    }
    qsort(seen, N, sizeof *seen, (int (*)(const void *, const void *))strcmp);
    unsigned same = 0;
    for (int i = 1; i < N; i++)
        same += strncmp(seen[i - 1], seen[i], 36) == 0;
    ck_assert_uint_eq(same, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_span");
    TCase *c = tcase_create("traceparent");
    tcase_add_loop_test(c, good_traceparents, 0, sizeof good / sizeof *good);
    tcase_add_loop_test(c, bad_traceparents, 0, sizeof bad / sizeof *bad);
    suite_add_tcase(s, c);
    c = tcase_create("span");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_child_of_what_came_in);
    tcase_add_test(c, a_malformed_parent_begins_a_new_trace);
    tcase_add_test(c, tracestate_and_baggage_are_carried_on);
    tcase_add_test(c, what_is_no_baggage_is_refused);
    tcase_add_test(c, spans_nest_in_a_thread);
    tcase_add_test(c, a_span_ends_in_another_thread);
    tcase_add_test(c, a_span_outlives_its_thread);
    tcase_add_test(c, attributes_events_and_errors);
    tcase_add_test(c, more_than_a_span_holds);
    tcase_add_test(c, a_span_that_is_too_long_is_counted);
    tcase_add_test(c, events_and_logs_carry_the_open_span);
    tcase_add_test(c, tracking_counts_times_and_traces);
    tcase_add_test(c, the_scoped_form_ends_by_itself);
    tcase_add_test(c, ids_differ);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
