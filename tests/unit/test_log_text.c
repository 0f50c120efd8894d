/* Log lines in each of their forms, and the same lines through log_with(). */
#include "format/log_text.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>

static struct buf out;
static const uint64_t wall = UINT64_C(1795268709123456789);

static void setup(void)
{
    buf_init(&out, 1 << 20);
}

static void teardown(void)
{
    log_set_sink(NULL, NULL);
    buf_fini(&out);
}

static void to_json(void *arg, const struct log_line *line)
{
    (void)arg;
    log_json(&out, line, wall);
}

static void to_plain(void *arg, const struct log_line *line)
{
    log_plain(&out, line, arg != NULL);
}

static void to_journal(void *arg, const struct log_line *line)
{
    (void)arg;
    log_journal(&out, line);
}

static void say(void)
{
    log_with(LOG_LEVEL_WARN, "store",
             LOG_FIELDS(LOG_TEXT("table", "a \"b\""), LOG_U64("domain", 3), LOG_U64("rows", 7),
                        LOG_TEXT("trace_id", "0af7651916cd43dd8448eb211c80319c"),
                        LOG_TEXT("correlation_id", "c-1"), LOG_TEXT("session", "s")),
             "%s is full", "it");
}

static void check(const char *expected)
{
    ck_assert_uint_eq(out.n, strlen(expected));
    ck_assert_msg(memcmp(out.p, expected, out.n) == 0, "%.*s", STR_ARG(buf_str(&out)));
}

START_TEST(as_json)
{
    log_set_sink(to_json, NULL);
    say();
    check("{\"time\":\"2026-11-21T13:45:09.123456Z\",\"level\":\"warning\",\"component\":\"store\","
          "\"domain\":3,\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\","
          "\"correlation_id\":\"c-1\",\"session\":\"s\",\"message\":\"it is full\","
          "\"fields\":{\"table\":\"a \\\"b\\\"\",\"rows\":7}}\n");
}
END_TEST

START_TEST(without_fields)
{
    log_set_sink(to_json, NULL);
    log_info("daemon", "stopping");
    check("{\"time\":\"2026-11-21T13:45:09.123456Z\",\"level\":\"info\",\"component\":\"daemon\","
          "\"message\":\"stopping\"}\n");
}
END_TEST

START_TEST(as_plain_text)
{
    log_set_sink(to_plain, NULL);
    say();
    check("mcptallyd: warning: store: it is full table=\"a \"b\"\" domain=3 rows=7 "
          "trace_id=0af7651916cd43dd8448eb211c80319c correlation_id=c-1 session=s\n");
}
END_TEST

START_TEST(as_the_journal_reads_stderr)
{
    log_set_sink(to_plain, &out);
    log_error("store", "no");
    check("<3>store: no\n");
}
END_TEST

START_TEST(as_a_datagram_of_the_journal)
{
    log_set_sink(to_journal, NULL);
    say();
    check("MESSAGE=it is full\nPRIORITY=4\nSYSLOG_IDENTIFIER=mcptallyd\n"
          "MCPTALLY_COMPONENT=store\nMCPTALLY_TABLE=a \"b\"\nMCPTALLY_DOMAIN=3\n"
          "MCPTALLY_ROWS=7\nMCPTALLY_TRACE_ID=0af7651916cd43dd8448eb211c80319c\n"
          "MCPTALLY_CORRELATION_ID=c-1\nMCPTALLY_SESSION=s\n");
}
END_TEST

/* A value with a line end has its size before it, little-endian. */
START_TEST(a_line_end_in_the_journal)
{
    static const char expected[] =
        "MESSAGE\n\3\0\0\0\0\0\0\0a\nb\nPRIORITY=6\nSYSLOG_IDENTIFIER=mcptallyd\n"
        "MCPTALLY_COMPONENT=c\n";
    log_set_sink(to_journal, NULL);
    log_info("c", "a\nb");
    ck_assert_uint_eq(out.n, sizeof expected - 1);
    ck_assert_int_eq(memcmp(out.p, expected, out.n), 0);
}
END_TEST

/* Nobody can make a second line, or steer a terminal. */
START_TEST(what_a_peer_may_have_named)
{
    log_set_sink(to_plain, NULL);
    log_info("c", "a\nmcptallyd: error: \033[31m\xff\xc2\x9b\xc3\xa9");
    check("mcptallyd: info: c: a mcptallyd: error:  [31m? \xc3\xa9\n");
    buf_reset(&out);
    log_set_sink(to_json, NULL);
    log_info("c", "a\n\xff\xc2\x9b");
    json_t *doc = json_loadb(out.p, out.n, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(doc, "message")), "a ? ");
    json_decref(doc);
}
END_TEST

/* A line that no file took is shown in the form that a person reads. */
START_TEST(json_as_plain_text_again)
{
    struct buf again;
    buf_init(&again, 4096);
    log_set_sink(to_json, NULL);
    say();
    log_plain_again(&again, (struct str){out.p, out.n - 1}, false);
    buf_reset(&out);
    buf_addstr(&out, buf_str(&again));
    check("mcptallyd: warning: store: it is full domain=3 "
          "trace_id=0af7651916cd43dd8448eb211c80319c correlation_id=c-1 session=s "
          "table=\"a \"b\"\" rows=7\n");
    buf_reset(&again);
    log_plain_again(&again, STR("no json\033"), false);
    buf_reset(&out);
    buf_addstr(&out, buf_str(&again));
    check("no json \n");
    buf_fini(&again);
}
END_TEST

START_TEST(levels_above_are_not_made)
{
    log_set_sink(to_plain, NULL);
    log_debug("c", "hidden");
    ck_assert_uint_eq(out.n, 0);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("c", "shown");
    log_set_level(LOG_LEVEL_INFO);
    check("mcptallyd: debug: c: shown\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("log_text");
    TCase *t = tcase_create("log_text");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, as_json);
    tcase_add_test(t, without_fields);
    tcase_add_test(t, as_plain_text);
    tcase_add_test(t, as_the_journal_reads_stderr);
    tcase_add_test(t, as_a_datagram_of_the_journal);
    tcase_add_test(t, a_line_end_in_the_journal);
    tcase_add_test(t, what_a_peer_may_have_named);
    tcase_add_test(t, json_as_plain_text_again);
    tcase_add_test(t, levels_above_are_not_made);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
