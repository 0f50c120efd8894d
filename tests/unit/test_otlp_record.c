/* A record of any kind as an event, and its trace without reading the rest. */
#include <check.h>
#include <stdlib.h>

#include "otlp/otlp.h"
#include "otlp/put.h"
#include "otlp/record.h"
#include "wire/encode.h"

static struct buf body, item, scratch;
static struct event *e, *back;
static const uint8_t trace[16] = {1, 2, 3}, span[8] = {4, 5};

static void setup(void)
{
    buf_init(&body, 1 << 16);
    buf_init(&item, 1 << 16);
    buf_init(&scratch, 2 * LIMIT_BODY);
    e = calloc(1, sizeof *e);
    back = calloc(1, sizeof *back);
}

static void teardown(void)
{
    buf_fini(&body);
    buf_fini(&item);
    buf_fini(&scratch);
    free(e);
    free(back);
}

static int read_as(unsigned kind)
{
    return record_event(kind, buf_str(&body), back, &scratch);
}

static void join(void)
{
    buf_reset(&body);
    otlp_join(&body, STR("\x1a\x01r"), STR("\x1a\x01s"), buf_str(&item));
}

static void check_trace(unsigned kind, bool has)
{
    struct trace_ref ref;
    ck_assert(record_trace(kind, buf_str(&body), &ref) == has);
    ck_assert(!has || memcmp(ref.trace_id, trace, sizeof trace) == 0);
    ck_assert(!has || memcmp(ref.span_id, span, sizeof span) == 0);
}

START_TEST(own_records)
{
    static const unsigned kinds[] = {EVENT_SPAN, EVENT_NAMED, EVENT_LOG, EVENT_HEALTH};
    for (unsigned i = 0; i < 4; i++) {
        e->kind = kinds[i];
        e->name = STR("n");
        e->time = e->end = 7;
        memcpy(e->trace.trace_id, trace, sizeof trace);
        memcpy(e->trace.span_id, span, sizeof span);
        if (e->kind == EVENT_LOG)
            e->severity = 9;
        else if (e->kind == EVENT_HEALTH)
            e->state = HEALTH_HEALTHY;
        else if (e->kind == EVENT_NAMED)
            e->nmeasures = 0;
        buf_reset(&body);
        encode_body(&body, e);
        ck_assert_int_eq(read_as(kinds[i]), 0);
        ck_assert_uint_eq(back->kind, kinds[i]);
        ck_assert_uint_eq(back->time, 7);
        check_trace(kinds[i], true);
        for (size_t n = body.n; n > 0; n--) {
            body.n = n - 1;
            ck_assert_int_lt(read_as(kinds[i]), 0);
            check_trace(kinds[i], n - 1 >= 8 + 24);
        }
        memset(e, 0, sizeof *e);
    }
}
END_TEST

START_TEST(otlp_spans)
{
    put_id(&item, 1, trace, sizeof trace);
    put_id(&item, 2, span, sizeof span);
    put_text(&item, 5, STR("work"));
    join();
    ck_assert_int_eq(read_as(RECORD_OTLP_SPAN), 0);
    ck_assert(back->kind == EVENT_SPAN && str_eq(back->name, STR("work")));
    check_trace(RECORD_OTLP_SPAN, true);
    ck_assert_int_eq(read_as(RECORD_OTLP_METRIC), -ERR_NOTFOUND);
    check_trace(RECORD_OTLP_METRIC, false);
    ck_assert_int_eq(read_as(99), -ERR_NOTFOUND);
    body.n--;
    ck_assert_int_eq(read_as(RECORD_OTLP_SPAN), -ERR_SYNTAX);
    check_trace(RECORD_OTLP_SPAN, false);
}
END_TEST

START_TEST(otlp_logs)
{
    const size_t value = put_open(&item, 5);
    put_uint(&item, 3, 42);
    put_close(&item, value);
    join();
    ck_assert_int_eq(read_as(RECORD_OTLP_LOG), 0);
    ck_assert(back->kind == EVENT_LOG && str_eq(back->text, STR("42")));
    check_trace(RECORD_OTLP_LOG, false);
    put_id(&item, 9, trace, sizeof trace);
    put_id(&item, 10, span, sizeof span);
    join();
    check_trace(RECORD_OTLP_LOG, true);
}
END_TEST

static void put_text_attr(const char *key, const char *value)
{
    const size_t at = put_open(&item, 9);
    put_text(&item, 1, str_of(key));
    const size_t v = put_open(&item, 2);
    put_text(&item, 1, str_of(value));
    put_close(&item, v);
    put_close(&item, at);
}

/* The more telling attribute counts, wherever it stands. */
START_TEST(correlation_ids_among_attributes)
{
    static const char *const keys[] = {"jsonrpc.request.id", "mcp.session.id", "correlation.id",
                                       "correlation_id", "mcptally.correlation_id"};
    put_id(&item, 1, trace, sizeof trace);
    put_id(&item, 2, span, sizeof span);
    for (unsigned i = 0; i < 5; i++) {
        put_text_attr(keys[i], keys[i]);
        join();
        ck_assert_int_eq(read_as(RECORD_OTLP_SPAN), 0);
        ck_assert_msg(str_eq(back->correlation, i ? str_of(keys[i]) : STR("")), "%s", keys[i]);
    }
}
END_TEST

/* One that is longer than ids may be is only an attribute. */
START_TEST(a_correlation_id_that_is_too_long)
{
    char text[LIMIT_CORRELATION + 2] = {0};
    memset(text, 'x', LIMIT_CORRELATION + 1);
    put_id(&item, 1, trace, sizeof trace);
    put_id(&item, 2, span, sizeof span);
    put_text_attr("correlation_id", text);
    join();
    ck_assert_int_eq(read_as(RECORD_OTLP_SPAN), 0);
    ck_assert_uint_eq(back->correlation.n, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_record");
    TCase *t = tcase_create("records");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, own_records);
    tcase_add_test(t, otlp_spans);
    tcase_add_test(t, otlp_logs);
    tcase_add_test(t, correlation_ids_among_attributes);
    tcase_add_test(t, a_correlation_id_that_is_too_long);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
