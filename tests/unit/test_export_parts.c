/* endpoint, fields, retry_after, http_reply, grpc_reply: the parts of export/ without sockets. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "export/endpoint.h"
#include "export/fields.h"
#include "export/grpc_reply.h"
#include "export/http_reply.h"
#include "export/retry_after.h"
#include "otlp/reply.h"

static char why[256];

/* ---- URLs ---- */

static const struct {
    const char *url;
    bool tls; /* without a scheme */
    uint16_t port;
    const char *host, *authority, *path;
    bool has_tls, literal;
} good[] = {
    {"http://a", false, 0, "a", "a:80", "/", false, false},
    {"https://a", false, 0, "a", "a:443", "/", true, false},
    {"HTTPS://A.example:1/v1/traces?k=v", false, 0, "A.example", "A.example:1", "/v1/traces?k=v",
     true, false},
    {"a:1", true, 4317, "a", "a:1", "/", true, false},
    {"a", false, 4317, "a", "a:4317", "/", false, false},
    {"http://[::1]:65535/x", true, 0, "::1", "[::1]:65535", "/x", false, true},
    {"[2001:db8::1]", false, 4317, "2001:db8::1", "[2001:db8::1]:4317", "/", false, true},
    {"http://127.0.0.1?x", true, 0, "127.0.0.1", "127.0.0.1:80", "/?x", false, true},
    {"a/?u=http://b", false, 80, "a", "a:80", "/?u=http://b", false, false},
};

START_TEST(urls)
{
    struct endpoint e;
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(endpoint_read(&e, good[i].url, good[i].tls, good[i].port, why, sizeof why) ==
                          0,
                      "%s: %s", good[i].url, why);
        ck_assert_str_eq(e.host, good[i].host);
        ck_assert_str_eq(e.authority, good[i].authority);
        ck_assert_str_eq(e.path, good[i].path);
        ck_assert(e.tls == good[i].has_tls && e.literal == good[i].literal);
    }
}
END_TEST

START_TEST(no_urls)
{
    static const char *const bad[] = {"",
                                      "http://",
                                      "http:///x",
                                      "ftp://a",
                                      "unix:///x",
                                      "http://a:",
                                      "http://a:0",
                                      "http://a:65536",
                                      "http://a:1x",
                                      "http://a:123456",
                                      "http://u:secret@a",
                                      "http://a b",
                                      "http://a\r\nx",
                                      "http://a/\n",
                                      "http://\xc3\xa4",
                                      "http://[::1",
                                      "http://[::1]x",
                                      "http://[1]",
                                      "http://-a",
                                      "http://.a",
                                      "http://a$b",
                                      "http://a#f",
                                      "http://a:80:80",
                                      "http://::1",
                                      "https://a\\b",
                                      "http:/a/b"};
    struct endpoint e;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(endpoint_read(&e, bad[i], false, 0, why, sizeof why) == -ERR_SYNTAX, "%s",
                      bad[i]);
        ck_assert(!strstr(why, "secret") && strncmp(why, "endpoint: ", 10) == 0);
    }
}
END_TEST

START_TEST(long_urls)
{
    char url[ENDPOINT_PATH + ENDPOINT_HOST + 20];
    struct endpoint e;
    for (unsigned host = ENDPOINT_HOST - 1; host <= ENDPOINT_HOST + 1; host++) {
        snprintf(url, sizeof url, "http://%0*d:65535", (int)host, 1);
        ck_assert_int_eq(endpoint_read(&e, url, false, 0, why, sizeof why) == 0,
                         host <= ENDPOINT_HOST);
    }
    for (unsigned path = ENDPOINT_PATH - 2; path <= ENDPOINT_PATH + 1; path++) {
        snprintf(url, sizeof url, "http://a/%0*d", (int)path - 1, 1);
        ck_assert_int_eq(endpoint_read(&e, url, false, 0, why, sizeof why) == 0,
                         path <= ENDPOINT_PATH);
        snprintf(url, sizeof url, "http://a?%0*d", (int)path - 2, 1); /* which gets its slash */
        ck_assert_int_eq(endpoint_read(&e, url, false, 0, why, sizeof why) == 0,
                         path <= ENDPOINT_PATH);
    }
}
END_TEST

START_TEST(same)
{
    struct endpoint a, b;
    endpoint_read(&a, "http://host:1/v1/traces", false, 0, why, sizeof why);
    endpoint_read(&b, "http://HOST:1/v1/logs", false, 0, why, sizeof why);
    ck_assert(endpoint_same(&a, &b));
    endpoint_read(&b, "https://host:1", false, 0, why, sizeof why);
    ck_assert(!endpoint_same(&a, &b));
    endpoint_read(&b, "http://host:2", false, 0, why, sizeof why);
    ck_assert(!endpoint_same(&a, &b));
}
END_TEST

/* ---- headers ---- */

START_TEST(headers)
{
    static const struct {
        const char *name, *value;
        int error;
    } rows[] = {
        {"Authorization", "Bearer secret", 0},
        {"X-Scope_OrgID", "", 0},
        {"a", "a b", 0},
        {"", "x", -ERR_NAME},
        {":path", "x", -ERR_NAME},
        {"a b", "x", -ERR_NAME},
        {"a:", "x", -ERR_NAME},
        {"a\r\nb", "x", -ERR_NAME},
        {"Content-Length", "5", -ERR_NAME},
        {"TE", "x", -ERR_NAME},
        {"Host", "x", -ERR_NAME},
        {"grpc-timeout", "1S", -ERR_NAME},
        {"Transfer-Encoding", "chunked", -ERR_NAME},
        {"a", "secret\r\nb: c", -ERR_SYNTAX},
        {"a", "\xc3\xa4", -ERR_SYNTAX},
        {"a", " x", -ERR_SYNTAX},
        {"a", "x ", -ERR_SYNTAX},
        {"a", "\t", -ERR_SYNTAX},
    };
    struct fields f = {0};
    unsigned n = 0;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        why[0] = '\0';
        ck_assert_int_eq(fields_add(&f, rows[i].name, rows[i].value, why, sizeof why),
                         rows[i].error);
        n += rows[i].error == 0;
        ck_assert_uint_eq(f.n, n);
        ck_assert((rows[i].error != 0) == (why[0] != '\0') && !strstr(why, "secret"));
    }
    ck_assert_str_eq(f.all[1].name, "x-scope_orgid");
    fields_fini(&f);
}
END_TEST

START_TEST(too_many_headers)
{
    struct fields f = {0};
    char value[3000];
    for (unsigned i = 0; i < FIELDS_MAX; i++)
        ck_assert_int_eq(fields_add(&f, "a", "b", why, sizeof why), 0);
    ck_assert_int_eq(fields_add(&f, "a", "b", why, sizeof why), -ERR_FULL);
    fields_fini(&f);
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = '\0';
    ck_assert_int_eq(fields_add(&f, "a", value, why, sizeof why), 0);
    ck_assert_int_eq(fields_add(&f, "b", value, why, sizeof why), 0);
    ck_assert_int_eq(fields_add(&f, "c", value, why, sizeof why), -ERR_FULL);
    fields_fini(&f);
}
END_TEST

/* ---- Retry-After ---- */

START_TEST(retry_after_forms)
{
    static const uint64_t wall = UINT64_C(784111777) * NS_PER_S; /* 1994-11-06 08:49:37 */
    static const struct {
        const char *text;
        uint64_t seconds;
    } rows[] = {
        {"0", 0},
        {"1", 1},
        {"120", 120},
        {"86400", 86400},
        {"86401", 86400},
        {"99999999999999999999999", 86400},
        {"", 0},
        {"-5", 0},
        {"5s", 0},
        {" 5", 0},
        {"1.5", 0},
        {"Sun, 06 Nov 1994 08:49:47 GMT", 10},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:27 GMT", 0},
        {"Mon, 07 Nov 1994 08:49:37 GMT", 86400},
        {"Sun, 06 Nov 2094 08:49:37 GMT", 86400},
        {"Sun, 06 Nov 1994 08:49:47 CET", 0},
        {"Sun, 06 Xyz 1994 08:49:47 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:47 GMT x", 0},
        {"Sun, 06 anF 1994 08:49:47 GMT", 0},
        {"soon", 0},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(retry_after(rows[i].text, wall) == rows[i].seconds * NS_PER_S, "%s",
                      rows[i].text);
}
END_TEST

/* ---- outcomes ---- */

START_TEST(http_reply_table)
{
    static const struct {
        unsigned status;
        enum outcome_kind kind;
    } rows[] = {
        {200, OUTCOME_OK},      {299, OUTCOME_OK},      {300, OUTCOME_REFUSED},
        {400, OUTCOME_REFUSED}, {401, OUTCOME_REFUSED}, {408, OUTCOME_REFUSED},
        {413, OUTCOME_REFUSED}, {429, OUTCOME_RETRY},   {500, OUTCOME_REFUSED},
        {502, OUTCOME_RETRY},   {503, OUTCOME_RETRY},   {504, OUTCOME_RETRY},
        {505, OUTCOME_REFUSED}, {999, OUTCOME_REFUSED},
    };
    struct call c = {0};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        http_reply_outcome(&(struct http_reply){.status = rows[i].status}, &c, 0);
        ck_assert_int_eq(c.outcome.kind, rows[i].kind);
        ck_assert(c.outcome.status == rows[i].status && !c.outcome.grpc && c.outcome.after == 0);
    }
}
END_TEST

/* Of Retry-After and RetryInfo the longer one counts. */
START_TEST(http_reply_after)
{
    struct call c = {0};
    struct buf body;
    buf_init(&body, 1000);
    otlp_status(&body, false, RPC_UNAVAILABLE, STR("busy"), 3 * NS_PER_S);
    struct http_reply r = {.status = 503,
                           .type = "application/x-protobuf; a=b",
                           .retry_after = "2",
                           .body = buf_str(&body)};
    http_reply_outcome(&r, &c, 0);
    ck_assert(c.outcome.after == 3 * NS_PER_S && str_eq(c.outcome.message, STR("busy")));
    r.retry_after = "4";
    http_reply_outcome(&r, &c, 0);
    ck_assert(c.outcome.after == 4 * NS_PER_S);
    r.type = "text/html";
    http_reply_outcome(&r, &c, 0);
    ck_assert(c.outcome.message.n == 0);
    buf_fini(&body);
}
END_TEST

static void feed_fields(struct grpc_reply *r, const char *const *pairs)
{
    for (; *pairs; pairs += 2)
        grpc_reply_field(r, str_of(pairs[0]), str_of(pairs[1]));
}

static struct call grpc_call(const char *const *pairs)
{
    static struct call c;
    struct grpc_reply *r = grpc_reply_new();
    ck_assert_ptr_nonnull(r);
    feed_fields(r, pairs);
    grpc_reply_outcome(r, &c);
    grpc_reply_free(r);
    return c;
}

START_TEST(grpc_reply_table)
{
    char code[8];
    for (unsigned i = 1; i < 20; i++) {
        snprintf(code, sizeof code, "%u", i);
        const struct call c = grpc_call((const char *const[]){
            ":status", "200", "content-type", "application/grpc", "grpc-status", code, NULL});
        ck_assert_uint_eq(c.outcome.status, i <= 16 ? i : RPC_UNKNOWN);
        ck_assert_int_eq(c.outcome.kind, outcome_of_grpc(c.outcome.status, false));
        ck_assert(c.outcome.grpc);
    }
}
END_TEST

/* A message is made fit for a log, and cut between characters. */
START_TEST(messages)
{
    struct call c = {0};
    char text[CALL_MESSAGE + 50];
    call_outcome(&c, true, 3, OUTCOME_REFUSED, STR("a\nb\033[31m\177"));
    ck_assert(str_eq(c.outcome.message, STR("a b [31m ")));
    call_outcome(&c, true, 3, OUTCOME_REFUSED,
                 STR("\xff\xc3\xa9\xc2\x9b"
                     "1m\xe2\x82"));
    ck_assert(str_eq(c.outcome.message, STR("?\xc3\xa9 1m??")));
    for (unsigned i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    call_outcome(&c, true, 3, OUTCOME_REFUSED, (struct str){text, sizeof text});
    ck_assert_uint_eq(c.outcome.message.n, CALL_MESSAGE - 2);
    call_outcome(&c, true, 3, OUTCOME_REFUSED, (struct str){text, CALL_MESSAGE - 2});
    ck_assert_uint_eq(c.outcome.message.n, CALL_MESSAGE - 2);
}
END_TEST

START_TEST(endless_headers)
{
    struct grpc_reply *r = grpc_reply_new();
    char value[1000];
    memset(value, 'a', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (unsigned i = 0; i < 100000; i++)
        feed_fields(r, (const char *const[]){"grpc-message", value, "grpc-status-details-bin",
                                             value, "x", value, NULL});
    ck_assert(r->text.cap <= GRPC_REPLY_TEXT && r->details.cap <= GRPC_REPLY_DETAILS);
    grpc_reply_free(r);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("export_parts");
    tcase_add_test(c, urls);
    tcase_add_test(c, no_urls);
    tcase_add_test(c, long_urls);
    tcase_add_test(c, same);
    tcase_add_test(c, headers);
    tcase_add_test(c, too_many_headers);
    tcase_add_test(c, retry_after_forms);
    tcase_add_test(c, http_reply_table);
    tcase_add_test(c, http_reply_after);
    tcase_add_test(c, grpc_reply_table);
    tcase_add_test(c, messages);
    tcase_add_test(c, endless_headers);
    Suite *s = suite_create("export_parts");
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
