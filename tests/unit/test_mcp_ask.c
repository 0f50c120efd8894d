/* Asking an MCP server: what is sent in which era, and what counts as an answer. */
#include <check.h>
#include <stdlib.h>

#include "mcp/ask.h"

static struct mcp_ask ask;
static struct buf out;

static void setup(void)
{
    buf_init(&out, 4096);
}

static void teardown(void)
{
    buf_fini(&out);
}

static void begin(enum mcp_era era)
{
    mcp_ask_init(&ask, era);
}

/* The methods that are due, in order. */
static void expect(const char *const *methods)
{
    for (; *methods; methods++) {
        const char *m = mcp_ask_next(&ask, &out);
        ck_assert_ptr_nonnull(m);
        ck_assert_str_eq(m, *methods);
    }
    ck_assert_ptr_null(mcp_ask_next(&ask, &out));
}

#define EXPECT(...) expect((const char *const[]){__VA_ARGS__, NULL})
#define EXPECT_NONE expect((const char *const[]){NULL})

static void say(const char *text)
{
    mcp_ask_feed(&ask, text, strlen(text));
}

#define RESULT(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{}}\n"
#define ERROR(id, code)                                                                            \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"no\"}}\n"

START_TEST(test_modern)
{
    begin(MCP_ERA_MODERN);
    EXPECT("server/discover");
    ck_assert_ptr_nonnull(strstr(out.p, MCP_ASK_MODERN));
    say("a banner\n\n{\"jsonrpc\":\"2.0\",\"method\":\"log\"}\n" RESULT("7") RESULT("\"0\""));
    ck_assert_int_eq(ask.state, MCP_ASK_DISCOVER);
    say(RESULT("0"));
    ck_assert_int_eq(ask.state, MCP_ASK_GOOD);
    say(ERROR("0", "-1"));
    ck_assert_int_eq(ask.state, MCP_ASK_GOOD);
    begin(MCP_ERA_MODERN);
    say(ERROR("0", "-32601"));
    ck_assert_int_eq(ask.state, MCP_ASK_BAD);
    ck_assert_str_eq(ask.why, "server/discover: error -32601: no");
    begin(MCP_ERA_MODERN);
    say(ERROR("0", "-32022"));
    ck_assert_int_eq(ask.state, MCP_ASK_GOOD);
}
END_TEST

START_TEST(test_legacy)
{
    begin(MCP_ERA_LEGACY);
    EXPECT("initialize");
    EXPECT_NONE;
    say("{\"jsonrpc\":\"2.0\",\"id\":1,\"res");
    say("ult\":{\"protocolVersion\":\"2024-11-05\"}}\n");
    EXPECT("notifications/initialized", "ping");
    say(RESULT("3"));
    ck_assert_int_eq(ask.state, MCP_ASK_GOOD);
    begin(MCP_ERA_LEGACY);
    say(ERROR("1", "-32603"));
    ck_assert_str_eq(ask.why, "initialize: error -32603: no");
    begin(MCP_ERA_LEGACY);
    say(RESULT("1") ERROR("3", "-32601"));
    ck_assert_str_eq(ask.why, "ping: error -32601: no");
    EXPECT_NONE;
}
END_TEST

START_TEST(test_auto_takes_either)
{
    begin(MCP_ERA_AUTO);
    EXPECT("server/discover");
    say(RESULT("0"));
    ck_assert_int_eq(ask.state, MCP_ASK_GOOD);
    begin(MCP_ERA_AUTO);
    EXPECT("server/discover");
    say(ERROR("0", "-32601"));
    EXPECT("initialize");
    begin(MCP_ERA_AUTO);
    EXPECT("server/discover");
    mcp_ask_waited(&ask);
    EXPECT("initialize");
    mcp_ask_waited(&ask);
    EXPECT_NONE;
    say(RESULT("0")); /* late */
    ck_assert_int_eq(ask.state, MCP_ASK_GOOD);
}
END_TEST

START_TEST(test_an_error_without_id_answers_the_last)
{
    begin(MCP_ERA_AUTO);
    say(ERROR("null", "-32000"));
    EXPECT("server/discover", "initialize");
    say(ERROR("null", "-32000"));
    ck_assert_int_eq(ask.state, MCP_ASK_BAD);
}
END_TEST

START_TEST(test_refusals_outside_of_json)
{
    begin(MCP_ERA_AUTO);
    mcp_ask_refused(&ask, "HTTP status 404");
    ck_assert_int_eq(ask.state, MCP_ASK_INITIALIZE);
    mcp_ask_refused(&ask, "HTTP status 404");
    ck_assert_int_eq(ask.state, MCP_ASK_BAD);
    mcp_ask_refused(&ask, "HTTP status 500");
    ck_assert_str_eq(ask.why, "HTTP status 404");
    begin(MCP_ERA_MODERN);
    mcp_ask_refused(&ask, "HTTP status 404");
    ck_assert_int_eq(ask.state, MCP_ASK_BAD);
}
END_TEST

START_TEST(test_whole_and_events)
{
    begin(MCP_ERA_MODERN);
    mcp_ask_framing(&ask, MCP_WHOLE);
    say("{\"jsonrpc\":\"2.0\",\n \"id\": 0,\n");
    say(" \"result\": {}}");
    ck_assert_int_eq(ask.state, MCP_ASK_DISCOVER);
    mcp_ask_finish(&ask);
    ck_assert_int_eq(ask.state, MCP_ASK_GOOD);
    begin(MCP_ERA_MODERN);
    mcp_ask_framing(&ask, MCP_EVENTS);
    say(": hello\r\nid: 1\r\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\r\ndata");
    say(":\"id\":0,\"result\":{}}\r\n");
    ck_assert_int_eq(ask.state, MCP_ASK_DISCOVER);
    say("\r\n");
    ck_assert_int_eq(ask.state, MCP_ASK_GOOD);
}
END_TEST

START_TEST(test_eras_have_words)
{
    ck_assert_int_eq(mcp_era_of("auto"), MCP_ERA_AUTO);
    ck_assert_int_eq(mcp_era_of("legacy"), MCP_ERA_LEGACY);
    ck_assert_int_eq(mcp_era_of("modern"), MCP_ERA_MODERN);
    ck_assert_int_eq(mcp_era_of("old"), -1);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_modern);
    tcase_add_test(t, test_legacy);
    tcase_add_test(t, test_auto_takes_either);
    tcase_add_test(t, test_an_error_without_id_answers_the_last);
    tcase_add_test(t, test_refusals_outside_of_json);
    tcase_add_test(t, test_whole_and_events);
    tcase_add_test(t, test_eras_have_words);
    Suite *s = suite_create("mcp_ask");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
