#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "mcp/scan.h"

static void add_id(struct buf *to, const char *key, const struct mcp_id *id)
{
    static const char *const types[] = {"none", "null", "number", "string", "bad"};
    if (id->type != MCP_ID_NONE)
        buf_addf(to, " %s=%s:%s", key, types[id->type], id->text);
}

static void add_text(struct buf *to, const char *key, const char *value)
{
    if (*value)
        buf_addf(to, " %s=%s", key, value);
}

/* A message in one line of text: whatever of it is not empty. */
static void on_message(void *arg, const struct mcp_message *m)
{
    struct buf *to = arg;
    buf_adds(to, mcp_kind_name(m->kind));
    add_id(to, "id", &m->id);
    add_id(to, "request_id", &m->request_id);
#define X(member, size) add_text(to, #member, m->member);
    MCP_TEXT_TABLE(X)
#undef X
    if (m->is_error)
        buf_adds(to, " is_error");
    if (m->has_code)
        buf_addf(to, " code=%" PRId64, m->code);
    if (m->has_tools)
        buf_addf(to, " tools=%" PRIu32 " bytes=%" PRIu64, m->tools, m->result_bytes);
    buf_addc(to, '\n');
}

static void on_junk(void *arg)
{
    buf_adds(arg, "junk\n");
}

static const struct scan_listener listener = {on_message, on_junk};

static const struct {
    const char *bytes, *told;
} corpus[] = {
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
     "\"arguments\":{\"name\":\"no\",\"_meta\":{\"traceparent\":\"no\"}},\"_meta\":{"
     "\"traceparent\":"
     "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\",\"tracestate\":\"a=1,b=2\"}}}\n",
     "request id=number:1 method=tools/call name=echo "
     "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 tracestate=a=1,b=2\n"},
    {"{\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"\\\"id\\\":9\"}],\"isError\":true},"
     "\"jsonrpc\":\"2.0\",\"id\":\"1\"}\r\n",
     "result id=string:1 is_error\n"},
    {"{\"id\":-7,\"error\":{\"code\":-32602,\"message\":\"Tool \\u00e9 not "
     "found\",\"data\":{\"code\":1}}}\n",
     "error id=number:-7 error_message=Tool \xC3\xA9 not found code=-32602\n"},
    {"{\"id\":null,\"error\":{\"code\":-32700,\"message\":\"\"}}\n",
     "error id=null:null code=-32700\n"},
    {"{\"error\":{\"code\":1.5,\"message\":7}}\n", "error\n"},
    {"{\"id\":3,\"result\":{},\"error\":null}\n", "result id=number:3\n"},
    {"{\"id\":3,\"result\":null}\n", "result id=number:3\n"},
    {"{\"id\":4,\"result\":{\"tools\":[{\"name\":\"a\"},{\"name\":\"b\",\"tools\":[1,2]},7]}}\n",
     "result id=number:4 tools=3 bytes=53\n"},
    {"{\"id\":4,\"result\":{\"tools\":[]}}\n", "result id=number:4 tools=0 bytes=12\n"},
    {"{\"method\":\"notifications/"
     "cancelled\",\"params\":{\"requestId\":\"x\\u0031\",\"reason\":\"r\"}}\n",
     "notification request_id=string:x1 method=notifications/cancelled\n"},
    {"{\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
     "\"clientInfo\":"
     "{\"name\":\"c\",\"version\":\"1.0\"}}}\n",
     "request id=number:0 method=initialize protocol_version=2025-11-25 peer_name=c "
     "peer_version=1.0\n"},
    {"{\"result\":{\"protocolVersion\":\"2025-06-18\",\"serverInfo\":{\"version\":\"2\",\"name\":"
     "\"s\"}},"
     "\"id\":0}\n",
     "result id=number:0 protocol_version=2025-06-18 peer_name=s peer_version=2\n"},
    {"{\"id\":5,\"method\":\"resources/read\",\"params\":{\"uri\":\"file:///a\",\"_meta\":{"
     "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
     "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"m\"}}}}\n",
     "request id=number:5 method=resources/read uri=file:///a protocol_version=2026-07-28 "
     "peer_name=m\n"},
    {"{\"id\":6,\"result\":{\"resultType\":\"input_required\",\"_meta\":{"
     "\"io.modelcontextprotocol/serverInfo\":{\"name\":\"srv\"}}}}\n",
     "result id=number:6 peer_name=srv result_type=input_required\n"},
    /* batches, also within which something is no message */
    {"[{\"id\":1,\"method\":\"ping\"},{\"method\":\"x\"} , "
     "{\"id\":2,\"result\":{}},[{\"id\":3}],4,{}]\n",
     "request id=number:1 method=ping\nnotification method=x\nresult id=number:2\ninvalid\n"},
    {"[]\n", ""},
    /* JSON, but no message */
    {"7\n\"text\"\nnull\n{}\n", "invalid\ninvalid\ninvalid\ninvalid\n"},
    {"{\"id\":{\"a\":1},\"method\":\"x\"}\n{\"id\":[],\"method\":\"x\"}\n{\"id\":true,\"method\":"
     "\"x\"}\n",
     "invalid id=bad: method=x\ninvalid id=bad: method=x\ninvalid id=bad:true method=x\n"},
    {"{\"id\":1,\"method\":\"x\",\"result\":{}}\n", "invalid id=number:1 method=x\n"},
    {"{\"id\":null,\"method\":\"x\"}\n{\"id\":1,\"method\":5}\n",
     "invalid id=null:null method=x\ninvalid id=number:1\n"},
    /* the last of several equal keys counts, as it does for most parsers */
    {"{\"id\":1,\"id\":\"b\",\"method\":\"x\",\"method\":\"y\"}\n",
     "request id=string:b method=y\n"},
    {"{\"\\u006dethod\":\"\\u0078\",\"i\\u0064\":1}\n", "request id=number:1 method=x\n"},
    /* not JSON at all, and blank lines, between good ones */
    {"Server started\n\n \t\r\n{\"method\":\"a\"}\n{\"method\":\"b\"\n{\"method\":\"c\"} "
     "x\n{\"method\":\"d\"}\n",
     "junk\nnotification method=a\njunk\njunk\nnotification method=d\n"},
    {"{\"method\":\"cut", "junk\n"},
    {"{\"method\":\"last\"}", "notification method=last\n"},
    /* text that is not UTF-8, or cannot be kept as it is */
    {"{\"method\":\"x\",\"params\":{\"name\":\"\xFF-\\u0000-\xC3\"}}\n",
     "notification method=x name=\xEF\xBF\xBD-\xEF\xBF\xBD-\xEF\xBF\xBD\n"},
};

static void feed(struct buf *to, const char *p, size_t n, size_t piece)
{
    struct scan s;
    buf_reset(to);
    scan_init(&s, &listener, to);
    for (size_t i = 0; i < n; i += piece)
        scan_feed(&s, p + i, n - i < piece ? n - i : piece);
    scan_finish(&s);
    buf_addc(to, 0);
}

static void feed_split(struct buf *to, const char *p, size_t n, size_t at)
{
    struct scan s;
    buf_reset(to);
    scan_init(&s, &listener, to);
    scan_feed(&s, p, at);
    scan_feed(&s, p + at, n - at);
    scan_finish(&s);
    buf_addc(to, 0);
}

START_TEST(finds_the_same_at_every_split)
{
    const char *p = corpus[_i].bytes;
    size_t n = strlen(p);
    struct buf to;
    buf_init(&to, 65536);
    for (size_t at = 0; at <= n; at++) {
        feed_split(&to, p, n, at);
        ck_assert_str_eq(to.p, corpus[_i].told);
    }
    feed(&to, p, n, 1);
    ck_assert_str_eq(to.p, corpus[_i].told);
    buf_fini(&to);
}
END_TEST

/* All of the corpus one after the other: nothing of a line is left for the next. */
START_TEST(a_line_leaves_nothing_behind)
{
    struct buf bytes, told, to;
    buf_init(&bytes, 65536);
    buf_init(&told, 65536);
    buf_init(&to, 65536);
    for (size_t i = 0; i < sizeof corpus / sizeof *corpus; i++) {
        size_t n = strlen(corpus[i].bytes);
        buf_adds(&bytes, corpus[i].bytes);
        if (corpus[i].bytes[n - 1] != '\n')
            buf_addc(&bytes, '\n');
        buf_adds(&told, corpus[i].told);
    }
    buf_addc(&told, 0);
    for (size_t piece = 1; piece < 300; piece++) {
        feed(&to, bytes.p, bytes.n, piece);
        ck_assert_str_eq(to.p, told.p);
    }
    buf_fini(&bytes);
    buf_fini(&told);
    buf_fini(&to);
}
END_TEST

/* A gap anywhere costs the messages that it touches and no other. */
START_TEST(goes_on_at_the_line_after_a_gap)
{
    const char lines[] = "{\"method\":\"a\"}\n{\"method\":\"b\"}\n{\"method\":\"c\"}\n";
    const size_t n = sizeof lines - 1, line = n / 3;
    struct buf to;
    buf_init(&to, 4096);
    for (size_t from = 0; from < n; from++) {
        for (size_t until = from + 1; until <= n; until++) {
            struct scan s;
            buf_reset(&to);
            scan_init(&s, &listener, &to);
            scan_feed(&s, lines, from);
            scan_lost(&s, false);
            scan_feed(&s, lines + until, n - until);
            scan_finish(&s);
            buf_addc(&to, 0);
            ck_assert_ptr_null(strstr(to.p, "junk"));
            for (size_t i = 0; i < 3; i++) {
                char name[] = {'=', (char)('a' + i), '\n', 0};
                bool before = (i + 1) * line <= from;
                bool after = i * line > until; /* the line at `until` may have begun before */
                bool told = strstr(to.p, name) != NULL;
                ck_assert_msg(told == (before || after), "gap %zu-%zu line %zu", from, until, i);
            }
        }
    }
    buf_fini(&to);
}
END_TEST

/* One that is known to end with a line costs only what was begun. */
START_TEST(goes_on_at_once_when_a_gap_ends_with_a_line)
{
    struct buf to;
    struct scan s;
    buf_init(&to, 4096);
    scan_init(&s, &listener, &to);
    scan_feed(&s, "{\"method\":\"a\"}\n{\"meth", 22);
    scan_lost(&s, true);
    scan_feed(&s, "{\"method\":\"c\"}\n", 15);
    buf_addc(&to, 0);
    ck_assert_str_eq(to.p, "notification method=a\nnotification method=c\n");
    buf_fini(&to);
}
END_TEST

START_TEST(keeps_a_bounded_part_of_a_huge_message)
{
    struct buf to, name;
    struct scan s;
    char block[4096];
    buf_init(&to, 65536);
    buf_init(&name, 4096);
    scan_init(&s, &listener, &to);
    memset(block, 'n', sizeof block);
    const char head[] = "{\"params\":{\"arguments\":\"";
    const char middle[] = "\",\"name\":\"";
    const char tail[] = "\"},\"method\":\"tools/call\",\"id\":\"";
    scan_feed(&s, head, sizeof head - 1);
    for (unsigned i = 0; i < 20 * 256; i++)
        scan_feed(&s, block, sizeof block);
    scan_feed(&s, middle, sizeof middle - 1);
    scan_feed(&s, block, sizeof block);
    scan_feed(&s, tail, sizeof tail - 1);
    scan_feed(&s, block, sizeof block);
    scan_feed(&s, "\"}\n", 3);
    buf_addc(&to, 0);
    for (unsigned i = 0; i < 129; i++)
        buf_addc(&name, 'n');
    buf_addc(&name, 0);
    ck_assert_ptr_nonnull(strstr(to.p, " method=tools/call name=n"));
    ck_assert_ptr_nonnull(strstr(to.p, name.p));
    ck_assert_uint_lt(to.n, 300);
    buf_fini(&to);
    buf_fini(&name);
}
END_TEST

static struct mcp_id read_id;

static void keep_id(void *arg, const struct mcp_message *m)
{
    (void)arg;
    read_id = m->id;
}

static const struct scan_listener id_listener = {keep_id, on_junk};

static struct mcp_id id_of(const char *json)
{
    struct scan s;
    struct buf to;
    buf_init(&to, 4096);
    scan_init(&s, &id_listener, &to);
    scan_feed(&s, "{\"id\":", 6);
    scan_feed(&s, json, strlen(json));
    scan_feed(&s, "}\n", 2);
    buf_fini(&to);
    return read_id;
}

START_TEST(ids_differ_by_type_and_by_every_byte)
{
    char a[204], b[204];
    snprintf(a, sizeof a, "\"%0200d1\"", 0);
    snprintf(b, sizeof b, "\"%0200d2\"", 0);
    struct mcp_id one = id_of("1"), text = id_of("\"1\""), escaped = id_of("\"\\u0031\"");
    struct mcp_id long_a = id_of(a), long_b = id_of(b), again = id_of(a);
    ck_assert(!mcp_id_equal(&one, &text));
    ck_assert(mcp_id_equal(&text, &escaped));
    ck_assert(!mcp_id_equal(&long_a, &long_b));
    ck_assert(mcp_id_equal(&long_a, &again));
    ck_assert_uint_eq(long_a.size, 201);
}
END_TEST

/* A text is cut between characters, whatever their length. */
START_TEST(cuts_between_characters)
{
    for (unsigned shift = 0; shift < 4; shift++) {
        struct buf to, line;
        struct scan s;
        buf_init(&to, 65536);
        buf_init(&line, 65536);
        buf_adds(&line, "{\"error\":{\"message\":\"");
        for (unsigned i = 0; i < shift; i++)
            buf_addc(&line, 'a');
        for (unsigned i = 0; i < 100; i++)
            buf_adds(&line, "\xF0\x9F\x98\x80");
        buf_adds(&line, "\"}}\n");
        scan_init(&s, &listener, &to);
        scan_feed(&s, line.p, line.n);
        buf_addc(&to, 0);
        ck_assert_ptr_null(strchr(to.p, '?'));
        ck_assert_ptr_null(strstr(to.p, "\xEF\xBF\xBD"));
        ck_assert_uint_eq(strlen(to.p),
                          strlen("error error_message=\n") + shift + 4 * ((256 - shift) / 4));
        buf_fini(&to);
        buf_fini(&line);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mcp_scan");
    TCase *tests = tcase_create("scan");
    tcase_add_loop_test(tests, finds_the_same_at_every_split, 0, sizeof corpus / sizeof *corpus);
    tcase_add_test(tests, a_line_leaves_nothing_behind);
    tcase_add_test(tests, goes_on_at_the_line_after_a_gap);
    tcase_add_test(tests, goes_on_at_once_when_a_gap_ends_with_a_line);
    tcase_add_test(tests, keeps_a_bounded_part_of_a_huge_message);
    tcase_add_test(tests, ids_differ_by_type_and_by_every_byte);
    tcase_add_test(tests, cuts_between_characters);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
