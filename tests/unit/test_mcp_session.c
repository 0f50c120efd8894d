#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "mcp/session.h"

/* Writes down what a session tells, a line each; empty texts are left out. */
static struct buf told;
static struct mcp_session session;

static void add(const char *key, const char *value)
{
    if (*value)
        buf_addf(&told, " %s=%s", key, value);
}

static void on_operation(void *arg, const struct mcp_operation *op)
{
    ck_assert_ptr_eq(arg, &told);
    buf_addf(&told, "%s %s", op->side == MCP_SERVER ? "server" : "client", op->method);
    add("tool", op->tool);
    add("prompt", op->prompt);
    add("name", op->name);
    add("uri", op->uri);
    add("id", op->request_id);
    add("version", op->protocol_version);
    add("type", op->result_type);
    add("parent", op->traceparent);
    add("code", op->outcome->status_code);
    add("error", op->outcome->error_type);
    add("message", op->error_message);
    if (op->outcome->failed)
        buf_adds(&told, " failed");
    if (!op->timed)
        buf_adds(&told, " untimed");
    buf_addf(&told, " ms=%u\n", (unsigned)((op->stop.mono - op->start.mono) / NS_PER_MS));
}

static void on_session(void *arg, const struct mcp_session_ended *e)
{
    ck_assert_ptr_eq(arg, &told);
    buf_addf(&told, "session %s", e->side == MCP_SERVER ? "server" : "client");
    add("version", e->protocol_version);
    add("error", e->error_type);
    buf_addf(&told, " ms=%u\n", (unsigned)(e->duration / NS_PER_MS));
}

static void on_initialize(void *arg, enum mcp_end end, const char *version)
{
    ck_assert_ptr_eq(arg, &told);
    buf_addf(&told, "initialize %s", mcp_end_word(end));
    add("version", version);
    buf_addc(&told, '\n');
}

static void on_peer(void *arg, enum mcp_side side, const char *name, const char *version)
{
    ck_assert_ptr_eq(arg, &told);
    buf_addf(&told, "peer %s %s %s\n", side == MCP_SERVER ? "server" : "client", name, version);
}

static void on_tools(void *arg, uint32_t count, uint64_t bytes)
{
    ck_assert_ptr_eq(arg, &told);
    buf_addf(&told, "tools %u %u\n", count, (unsigned)bytes);
}

static const struct mcp_sink sink = {on_operation, on_session, on_initialize, on_peer, on_tools};

static struct when at(unsigned ms)
{
    return (struct when){.mono = (1000 + ms) * NS_PER_MS, .wall = (5000 + ms) * NS_PER_MS};
}

static void begin_with(const struct mcp_limits *l)
{
    buf_init(&told, 1 << 20);
    ck_assert_int_eq(mcp_session_init(&session, l, &sink, &told), 0);
}

static void begin(void)
{
    struct mcp_limits l;
    mcp_limits_default(&l);
    begin_with(&l);
}

static void up(unsigned ms, const char *line)
{
    mcp_session_feed(&session, MCP_UP, line, strlen(line), at(ms));
    mcp_session_feed(&session, MCP_UP, "\n", 1, at(ms));
}

static void down(unsigned ms, const char *line)
{
    mcp_session_feed(&session, MCP_DOWN, line, strlen(line), at(ms));
    mcp_session_feed(&session, MCP_DOWN, "\n", 1, at(ms));
}

/* What has been told since the last look. */
static void ck_told(const char *expected)
{
    buf_addc(&told, 0);
    ck_assert_str_eq(told.p, expected);
    buf_reset(&told);
}

static void end(void)
{
    mcp_session_fini(&session);
    buf_fini(&told);
}

START_TEST(a_legacy_conversation)
{
    begin();
    up(0, "{\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
          "\"clientInfo\":{\"name\":\"cli\",\"version\":\"1\"}}}");
    ck_told("peer client cli 1\n");
    ck_assert_uint_eq(mcp_session_in_flight(&session, MCP_SERVER), 1);
    down(7, "{\"result\":{\"protocolVersion\":\"2025-06-18\",\"serverInfo\":{\"name\":\"srv\","
            "\"version\":\"2.0\"}},\"id\":0}");
    ck_told("peer server srv 2.0\ninitialize ok version=2025-06-18\n"
            "server initialize id=0 version=2025-06-18 ms=7\n");
    up(8, "{\"method\":\"notifications/initialized\"}");
    up(9, "{\"id\":1,\"method\":\"tools/list\"}");
    down(12, "{\"id\":1,\"result\":{\"tools\":[{},{}]}}");
    ck_told("tools 2 17\nserver tools/list id=1 version=2025-06-18 ms=3\n");
    up(20, "{\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"_meta\":"
           "{\"traceparent\":\"00-11111111111111111111111111111111-2222222222222222-01\"}}}");
    down(21, "{\"id\":2,\"result\":{}}");
    ck_told("server tools/call tool=echo name=echo id=2 version=2025-06-18 "
            "parent=00-11111111111111111111111111111111-2222222222222222-01 ms=1\n");
    up(30, "{\"id\":3,\"method\":\"prompts/get\",\"params\":{\"name\":\"p\"}}");
    up(31, "{\"id\":4,\"method\":\"resources/read\",\"params\":{\"uri\":\"a://b\"}}");
    down(32, "{\"id\":4,\"result\":{}}");
    down(33, "{\"id\":3,\"result\":{}}");
    ck_told("server resources/read uri=a://b id=4 version=2025-06-18 ms=1\n"
            "server prompts/get prompt=p name=p id=3 version=2025-06-18 ms=3\n");
    mcp_session_close(&session, MCP_UP, at(40));
    ck_told("session client version=2025-06-18 ms=40\n");
    mcp_session_end(&session, MCP_END_CLOSED, at(45));
    ck_told("session server version=2025-06-18 ms=45\n");
    ck_assert_uint_eq(session.counts[MCP_COUNT_REQUESTS_UP], 5);
    ck_assert_uint_eq(session.counts[MCP_COUNT_RESULTS_DOWN], 5);
    ck_assert_uint_eq(session.counts[MCP_COUNT_NOTIFICATIONS_UP], 1);
    end();
}
END_TEST

/* Stateless: no handshake, the version comes with every request. */
START_TEST(a_modern_conversation)
{
    const char meta[] =
        "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
        "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"m\",\"version\":\"3\"}}";
    char line[512];
    begin();
    snprintf(line, sizeof line, "{\"id\":0,\"method\":\"server/discover\",\"params\":{%s}}", meta);
    up(0, line);
    down(1, "{\"id\":0,\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}");
    ck_told("peer client m 3\n"
            "server server/discover id=0 version=2026-07-28 code=-32601 message=Method not found "
            "ms=1\n");
    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"ask\",%s}}", meta);
    up(10, line);
    down(12, "{\"id\":1,\"result\":{\"resultType\":\"input_required\"}}");
    snprintf(line, sizeof line,
             "{\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"ask\",%s}}", meta);
    up(50, line);
    down(51, "{\"id\":2,\"result\":{\"resultType\":\"complete\"}}");
    ck_told("server tools/call tool=ask name=ask id=1 version=2026-07-28 type=input_required ms=2\n"
            "server tools/call tool=ask name=ask id=2 version=2026-07-28 type=complete ms=1\n");
    snprintf(line, sizeof line, "{\"id\":3,\"method\":\"subscriptions/listen\",\"params\":{%s}}",
             meta);
    up(60, line);
    ck_assert_uint_eq(mcp_session_in_flight(&session, MCP_SERVER), 0);
    ck_assert_uint_eq(mcp_session_streams(&session), 1);
    mcp_session_tick(&session, at(3600 * 1000));
    ck_told("");
    up(3600 * 1000, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":3}}");
    ck_told("server subscriptions/listen id=3 version=2026-07-28 untimed ms=3599940\n");
    ck_assert_uint_eq(mcp_session_streams(&session), 0);
    mcp_session_end(&session, MCP_END_CLOSED, at(3600 * 1000));
    ck_told("session server version=2026-07-28 error=broken_pipe ms=3600000\n"
            "session client version=2026-07-28 error=broken_pipe ms=3600000\n");
    end();
}
END_TEST

static const struct {
    const char *request, *answer, *told;
} classes[] = {
#define CALL        "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}"
#define ERROR(code) "{\"id\":1,\"error\":{\"code\":" #code ",\"message\":\"m\"}}"
    {CALL, ERROR(-32700), "server tools/call tool=t name=t id=1 code=-32700 message=m ms=4\n"},
    {CALL, ERROR(-32600), "server tools/call tool=t name=t id=1 code=-32600 message=m ms=4\n"},
    {CALL, ERROR(-32601), "server tools/call tool=t name=t id=1 code=-32601 message=m ms=4\n"},
    {CALL, ERROR(-32602), "server tools/call tool=t name=t id=1 code=-32602 message=m ms=4\n"},
    {CALL, ERROR(-32002), "server tools/call tool=t name=t id=1 code=-32002 message=m ms=4\n"},
    {CALL, ERROR(-32603),
     "server tools/call tool=t name=t id=1 code=-32603 error=-32603 message=m failed ms=4\n"},
    {CALL, ERROR(-32022),
     "server tools/call tool=t name=t id=1 code=-32022 error=-32022 message=m failed ms=4\n"},
    {CALL, ERROR(7), "server tools/call tool=t name=t id=1 code=7 error=7 message=m failed ms=4\n"},
    {CALL, ERROR("seven"),
     "server tools/call tool=t name=t id=1 error=_OTHER message=m failed ms=4\n"},
    {CALL, "{\"id\":1,\"result\":{\"isError\":true}}",
     "server tools/call tool=t name=t id=1 error=tool_error failed ms=4\n"},
    {CALL, "{\"id\":1,\"result\":{\"isError\":false}}",
     "server tools/call tool=t name=t id=1 ms=4\n"},
    {CALL, "{\"id\":1,\"result\":{\"content\":{\"isError\":true}}}",
     "server tools/call tool=t name=t id=1 ms=4\n"},
    /* only a tool can fail as a tool */
    {"{\"id\":1,\"method\":\"ping\"}", "{\"id\":1,\"result\":{\"isError\":true}}",
     "server ping id=1 ms=4\n"},
    /* names that must not become labels */
    {"{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"rm -rf\"}}",
     "{\"id\":1,\"result\":{}}", "server tools/call tool=_OTHER id=1 ms=4\n"},
    {"{\"id\":1,\"method\":\"tools/call\",\"params\":{}}", "{\"id\":1,\"result\":{}}",
     "server tools/call tool=_OTHER id=1 ms=4\n"},
    {"{\"id\":1,\"method\":\"x y\"}", "{\"id\":1,\"result\":{}}", "server _OTHER id=1 ms=4\n"},
    {"{\"id\":1,\"method\":\"vendor/own\"}", "{\"id\":1,\"result\":{}}",
     "server vendor/own id=1 ms=4\n"},
#undef CALL
#undef ERROR
};

START_TEST(outcomes_are_as_the_conventions_say)
{
    begin();
    up(1, classes[_i].request);
    down(5, classes[_i].answer);
    ck_told(classes[_i].told);
    ck_assert_uint_eq(mcp_session_in_flight(&session, MCP_SERVER), 0);
    end();
}
END_TEST

/* What the server asks of the client is seen from the asking side: every code is a failure. */
START_TEST(requests_of_the_server_are_client_operations)
{
    begin();
    down(0, "{\"id\":1,\"method\":\"roots/list\"}");
    up(1, "{\"id\":1,\"method\":\"ping\"}");
    ck_assert_uint_eq(mcp_session_in_flight(&session, MCP_CLIENT), 1);
    down(2, "{\"id\":1,\"result\":{}}");
    up(3, "{\"id\":1,\"error\":{\"code\":-32601,\"message\":\"no\"}}");
    ck_told("server ping id=1 ms=1\n"
            "client roots/list id=1 code=-32601 error=-32601 message=no failed ms=3\n");
    end();
}
END_TEST

START_TEST(a_cancelled_request_has_its_own_outcome)
{
    begin();
    up(0, "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"slow\"}}");
    down(1, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}");
    ck_told(""); /* only who asked may withdraw */
    up(2, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"1\"}}");
    ck_told(""); /* another id */
    up(3, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}");
    ck_told("server tools/call tool=slow name=slow id=1 error=cancelled ms=3\n");
    ck_assert_uint_eq(mcp_session_in_flight(&session, MCP_SERVER), 0);
    up(4, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}");
    down(5, "{\"id\":1,\"result\":{}}");
    ck_told("");
    ck_assert_uint_eq(session.counts[MCP_COUNT_UNMATCHED_DOWN], 0);
    down(6, "{\"id\":1,\"result\":{}}");
    ck_assert_uint_eq(session.counts[MCP_COUNT_UNMATCHED_DOWN], 1);
    end();
}
END_TEST

START_TEST(a_late_answer_is_waited_for_only_so_long)
{
    struct mcp_limits l;
    mcp_limits_default(&l);
    l.late_age = 50 * NS_PER_MS;
    begin_with(&l);
    up(0, "{\"id\":1,\"method\":\"ping\"}");
    up(1, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}");
    mcp_session_tick(&session, at(50));
    ck_assert_ptr_nonnull(pending_first(&session.pending, PENDING_CANCELLED));
    mcp_session_tick(&session, at(51));
    ck_assert_ptr_null(pending_first(&session.pending, PENDING_CANCELLED));
    end();
}
END_TEST

START_TEST(requests_expire)
{
    struct mcp_limits l;
    mcp_limits_default(&l);
    l.pending_age = 100 * NS_PER_MS;
    begin_with(&l);
    up(0, "{\"id\":1,\"method\":\"ping\"}");
    up(60, "{\"id\":2,\"method\":\"ping\"}");
    ck_assert_uint_eq(mcp_session_oldest(&session, at(90)), 90 * NS_PER_MS);
    mcp_session_tick(&session, at(99));
    ck_told("");
    mcp_session_tick(&session, at(100));
    ck_told("server ping id=1 error=timeout failed ms=100\n");
    ck_assert_uint_eq(session.counts[MCP_COUNT_EXPIRED], 1);
    ck_assert_uint_eq(mcp_session_in_flight(&session, MCP_SERVER), 1);
    down(101, "{\"id\":1,\"result\":{}}");
    ck_assert_uint_eq(session.counts[MCP_COUNT_UNMATCHED_DOWN], 1);
    end();
}
END_TEST

START_TEST(a_full_table_gives_up_the_oldest)
{
    struct mcp_limits l;
    char line[64];
    mcp_limits_default(&l);
    l.pending_max = 4;
    begin_with(&l);
    up(0, "{\"id\":100,\"method\":\"ping\"}");
    up(0, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":100}}");
    ck_told("server ping id=100 error=cancelled ms=0\n");
    for (unsigned i = 0; i < 6; i++) {
        snprintf(line, sizeof line, "{\"id\":%u,\"method\":\"ping\"}", i);
        up(i, line);
    }
    ck_assert_uint_eq(session.counts[MCP_COUNT_DROPPED_FULL], 2);
    down(10, "{\"id\":1,\"result\":{}}");
    ck_told("");
    down(10, "{\"id\":2,\"result\":{}}");
    ck_told("server ping id=2 ms=8\n");
    end();
}
END_TEST

START_TEST(an_id_used_again_gives_up_the_first)
{
    begin();
    up(0, "{\"id\":1,\"method\":\"ping\"}");
    up(5, "{\"id\":1,\"method\":\"tools/list\"}");
    down(7, "{\"id\":1,\"result\":{}}");
    ck_told("server tools/list id=1 ms=2\n");
    ck_assert_uint_eq(session.counts[MCP_COUNT_DROPPED_REUSED], 1);
    end();
}
END_TEST

/* What waits when the server dies ends as a crash; when the client left first it
 * was the client that gave up. */
START_TEST(the_end_ends_what_waits)
{
    static const struct {
        bool client_left;
        enum mcp_end why;
        const char *told;
    } cases[] = {
        {false, MCP_END_CRASH,
         "server ping id=1 error=crash failed ms=9\n"
         "server subscriptions/listen id=2 error=crash failed untimed ms=9\n"
         "session server error=crash ms=9\nsession client error=crash ms=9\n"},
        {false, MCP_END_CLOSED,
         "server ping id=1 error=broken_pipe failed ms=9\n"
         "server subscriptions/listen id=2 error=cancelled untimed ms=9\n"
         "session server error=broken_pipe ms=9\nsession client error=broken_pipe ms=9\n"},
        {true, MCP_END_CLOSED,
         "session client ms=5\n"
         "server ping id=1 error=cancelled ms=9\n"
         "server subscriptions/listen id=2 error=cancelled untimed ms=9\n"
         "session server ms=9\n"},
    };
    begin();
    up(0, "{\"id\":1,\"method\":\"ping\"}");
    up(0, "{\"id\":2,\"method\":\"subscriptions/listen\"}");
    if (cases[_i].client_left)
        mcp_session_close(&session, MCP_UP, at(5));
    mcp_session_end(&session, cases[_i].why, at(9));
    ck_told(cases[_i].told);
    end();
}
END_TEST

/* An answer that may have passed unseen must not be reported as missing. */
START_TEST(a_gap_is_no_failure)
{
    struct mcp_limits l;
    mcp_limits_default(&l);
    l.pending_age = 100 * NS_PER_MS;
    begin_with(&l);
    up(0, "{\"id\":1,\"method\":\"ping\"}");
    mcp_session_feed(&session, MCP_DOWN, "{\"id\":1,", 8, at(1));
    mcp_session_lost(&session, MCP_DOWN, 5000, false, at(2));
    down(3, "}}");
    up(4, "{\"id\":2,\"method\":\"ping\"}");
    mcp_session_tick(&session, at(200));
    ck_told("server ping id=2 error=timeout failed ms=196\n");
    ck_assert_uint_eq(session.counts[MCP_COUNT_DROPPED_GAP], 1);
    ck_assert_uint_eq(session.counts[MCP_COUNT_EXPIRED], 1);
    ck_assert_uint_eq(session.counts[MCP_COUNT_LOST_DOWN], 5000);
    ck_assert_uint_eq(session.counts[MCP_COUNT_GAPS_DOWN], 1);
    ck_assert_uint_eq(session.counts[MCP_COUNT_BYTES_DOWN], 8 + 5000 + 3);
    ck_assert_uint_eq(session.counts[MCP_COUNT_JUNK_DOWN], 0);
    end();
}
END_TEST

START_TEST(counts_every_kind_and_direction)
{
    begin();
    up(0, "{\"id\":1,\"method\":\"a\"}");
    up(0, "{\"method\":\"a\"}");
    up(0, "{\"id\":9,\"result\":{}}");
    up(0, "{\"id\":9,\"error\":{}}");
    up(0, "5");
    up(0, "not json");
    down(0, "[{\"id\":1,\"result\":{}},{\"method\":\"n\"}]");
    down(0, "starting up");
    mcp_session_stderr(&session, "one\ntwo\nthr", 11);
    mcp_session_stderr(&session, "ee\n", 3);
    static const struct {
        enum mcp_counter counter;
        uint64_t value;
    } expected[] = {
        {MCP_COUNT_REQUESTS_UP, 1},    {MCP_COUNT_NOTIFICATIONS_UP, 1},
        {MCP_COUNT_RESULTS_UP, 1},     {MCP_COUNT_ERRORS_UP, 1},
        {MCP_COUNT_INVALID_UP, 1},     {MCP_COUNT_JUNK_UP, 1},
        {MCP_COUNT_RESULTS_DOWN, 1},   {MCP_COUNT_NOTIFICATIONS_DOWN, 1},
        {MCP_COUNT_JUNK_DOWN, 1},      {MCP_COUNT_UNMATCHED_UP, 2},
        {MCP_COUNT_UNMATCHED_DOWN, 0}, {MCP_COUNT_STDERR_LINES, 3},
        {MCP_COUNT_BYTES_STDERR, 14},  {MCP_COUNT_REQUESTS_DOWN, 0},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        ck_assert_msg(session.counts[expected[i].counter] == expected[i].value, "counter %u: %u",
                      expected[i].counter, (unsigned)session.counts[expected[i].counter]);
    end();
}
END_TEST

/* A peer that makes up names fills the sets, not the memory or the series. */
START_TEST(names_are_bounded)
{
    char line[256];
    unsigned own = 0;
    begin();
    for (unsigned i = 0; i < 500; i++) {
        snprintf(line, sizeof line,
                 "{\"id\":%u,\"method\":\"tools/call\",\"params\":{\"name\":\"tool%u\"}}", i, i);
        up(i, line);
        snprintf(line, sizeof line, "{\"id\":%u,\"result\":{}}", i);
        down(i, line);
        buf_addc(&told, 0);
        snprintf(line, sizeof line, "tool=tool%u ", i);
        own += strstr(told.p, line) != NULL;
        snprintf(line, sizeof line, " name=tool%u ", i); /* the span still names it */
        ck_assert_ptr_nonnull(strstr(told.p, line));
        buf_reset(&told);
    }
    ck_assert_uint_eq(own, NAME_SET_MAX);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mcp_session");
    TCase *tests = tcase_create("session");
    tcase_add_test(tests, a_legacy_conversation);
    tcase_add_test(tests, a_modern_conversation);
    tcase_add_loop_test(tests, outcomes_are_as_the_conventions_say, 0,
                        sizeof classes / sizeof *classes);
    tcase_add_test(tests, requests_of_the_server_are_client_operations);
    tcase_add_test(tests, a_cancelled_request_has_its_own_outcome);
    tcase_add_test(tests, a_late_answer_is_waited_for_only_so_long);
    tcase_add_test(tests, requests_expire);
    tcase_add_test(tests, a_full_table_gives_up_the_oldest);
    tcase_add_test(tests, an_id_used_again_gives_up_the_first);
    tcase_add_loop_test(tests, the_end_ends_what_waits, 0, 3);
    tcase_add_test(tests, a_gap_is_no_failure);
    tcase_add_test(tests, counts_every_kind_and_direction);
    tcase_add_test(tests, names_are_bounded);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
