#include "pipeline/redact.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/text.h"

static struct redact *r;

static void setup(void)
{
    const struct redact_options o = {.enabled = true};
    r = redact_new(&o);
    ck_assert_ptr_nonnull(r);
}

static void teardown(void)
{
    redact_free(r);
}

/* ---- a generator, the same every time ---- */

static uint64_t state = 20260728;

static unsigned below(unsigned n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(state >> 33) % n;
}

static void random_text(char *to, const char *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = from[below((unsigned)strlen(from))];
    to[n] = '\0';
}

/* Appends s as the inside of a JSON string. */
static void json_escape(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_addc(to, '\\');
        buf_addc(to, s.p[i]);
    }
}

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* A secret: with `key` set it has no mark of its own and is known by its key. */
static const char *make_secret(char *secret)
{
    static const char *const keys[] = {"password",      "api_key",       "clientSecret",
                                       "access_token",  "DB_PASSWORD",   "privateKey",
                                       "Authorization", "refresh-token", "x-api-key"};
    static const struct {
        const char *prefix;
        unsigned n;
    } marks[] = {{"ghp_", 36}, {"sk-proj-9", 40}, {"xoxb-1", 30}, {"glpat-", 20}, {"AIza", 35}};
    if (below(3) > 0) {
        random_text(secret, WORD "!#*+-./:;<=>?@^_~ \"\\,&", 10 + below(30));
        return keys[below(sizeof keys / sizeof *keys)];
    }
    const unsigned m = below(sizeof marks / sizeof *marks);
    memcpy(secret, marks[m].prefix, strlen(marks[m].prefix) + 1);
    random_text(secret + strlen(secret), WORD, marks[m].n);
    return NULL;
}

/* {"id":7,"<key>":"<secret>","ok":true}, wrapped `depth` times as a string in an
 * object like it. */
static void nest(struct buf *text, const char *key, const char *secret, unsigned depth)
{
    buf_reset(text);
    buf_addf(text, "{\"id\":%u,\"%s\":\"", below(1000), key ? key : "note");
    json_escape(text, str_of(secret));
    buf_adds(text, "\",\"ok\":true}");
    for (; depth > 0; depth--) {
        struct buf outer;
        buf_init(&outer, 1 << 20);
        buf_adds(&outer, "{\"n\":1,\"content\":[{\"type\":\"text\",\"text\":\"");
        json_escape(&outer, buf_str(text));
        buf_adds(&outer, "\"}]}");
        buf_fini(text);
        *text = outer;
    }
}

/* The longest piece of the secret without an escape in it: that must be gone. */
static struct str core(const char *secret)
{
    struct str best = {secret, 0};
    for (const char *p = secret; *p;) {
        const size_t n = strcspn(p, "\"\\");
        if (n > best.n)
            best = (struct str){p, n};
        p += n + (p[n] != '\0');
    }
    return best;
}

START_TEST(nested_json)
{
    struct buf text, out;
    char secret[100];
    buf_init(&text, 1 << 20);
    buf_init(&out, 1 << 20);
    for (unsigned i = 0; i < 10000; i++) {
        const char *key = make_secret(secret);
        nest(&text, key, secret, i % 5);
        buf_reset(&out);
        ck_assert_msg(redact_text(r, buf_str(&text), &out) == 1, "%.*s", STR_ARG(buf_str(&text)));
        const struct str left = core(secret);
        ck_assert_msg(!memmem(out.p, out.n, left.p, left.n), "%.*s\n%.*s", STR_ARG(buf_str(&text)),
                      STR_ARG(buf_str(&out)));
        ck_assert_msg(memmem(out.p, out.n, "ok", 2) != NULL, "%.*s", STR_ARG(buf_str(&out)));
        ck_assert(redact_value(r, STR("gen_ai.tool.call.arguments"), buf_str(&text)));
        buf_reset(&text);
        ck_assert_uint_eq(redact_text(r, buf_str(&out), &text), 0);
    }
    buf_fini(&text);
    buf_fini(&out);
}
END_TEST

/* ---- what is no secret ---- */

static const char *const plain[] = {
    "mcp.method.name=tools/call gen_ai.tool.name=read_file network.transport=pipe",
    "{\"jsonrpc\":\"2.0\",\"id\":17,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
    "\"arguments\":{\"message\":\"hello\"},\"_meta\":{\"progressToken\":4}}}",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"login\",\"inputSchema\":"
    "{\"type\":\"object\",\"properties\":{\"password\":{\"type\":\"string\"}},"
    "\"required\":[\"password\"]}}],\"nextCursor\":\"eyJwYWdlIjoyfQ==\"}}",
    "usage: input_tokens=1024 output_tokens=88 max_tokens=4096 token_count=1112",
    "connection to http://127.0.0.1:4318/v1/traces refused, retry in 5 s",
    "author: Grace Hopper; authority: example.org:443; keyboard: de; compass: north",
    "the password must be at least 8 characters; no token was given",
    "error: invalid password for user bob; token expired; authorization required",
    "GET /users/7/password/reset 200 12ms, cache key: users:7:profile",
    "unexpected token: comma at line 3 column 17 (Basic syntax, bearer of bad news)",
    "commit 58e37bdd03aa22f6b413e0064b3ee05e143db0c1 tree e3b0c44298fc1c149afbf4c8996fb924",
    "traceparent 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "/usr/lib/x86_64-linux-gnu/security/pam_unix.so: secret agents: two; design tokens",
    "sk-learn-contrib-imbalanced-learn and skip-navigation-link-focus-ring",
    "worker pool_1 restarted 3 times, exit status 137, rss 104857600 bytes",
    "std::token::Kind, git@github.com:me/repo.git, me@example.org, 2026-07-28T12:00:00Z",
    "select * from tokens where kind = 'word' and secret_name is null",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
};

START_TEST(plain_texts)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    ck_assert_msg(redact_text(r, str_of(plain[_i]), &out) == 0, "%.*s", STR_ARG(buf_str(&out)));
    ck_assert_uint_eq(out.n, 0);
    ck_assert(!redact_value(r, STR("message"), str_of(plain[_i])));
    buf_fini(&out);
}
END_TEST

enum { ORDINARY = 400 }; /* bytes of such a text at most */

/* One text of the kinds that telemetry is full of. */
static void ordinary(char *to)
{
    static const char *const words[] = {"search", "the",  "author", "tokens",   "of",   "monkey",
                                        "task",   "pass", "signal", "keyboard", "auth", "session"};
    char a[80], b[80];
    switch (below(6)) {
    case 0: /* a hash */
        random_text(to, "0123456789abcdef", 40 + 24 * below(2));
        break;
    case 1: /* a UUID as a label */
        random_text(a, "0123456789abcdef", 12);
        random_text(b, "0123456789abcdef", 8);
        snprintf(to, ORDINARY, "session.id=%s-89ab-4cde-8f01-%s", b, a);
        break;
    case 2: /* a path */
        random_text(a, WORD "_-", 20);
        snprintf(to, ORDINARY, "/var/lib/%s/%s.json", words[below(12)], a);
        break;
    case 3: /* base64 */
        random_text(to, WORD "+/", 64);
        break;
    case 4: /* a sentence */
        snprintf(to, ORDINARY, "%s %s %s: %s %s, %s", words[below(12)], words[below(12)],
                 words[below(12)], words[below(12)], words[below(12)], words[below(12)]);
        break;
    default: /* a URL */
        random_text(a, WORD, 16);
        snprintf(to, ORDINARY, "https://%s.example.org:8443/%s?page=%u&q=%s#top", words[below(12)],
                 a, below(100), words[below(12)]);
    }
}

/* Fewer than one in a thousand. */
START_TEST(false_alarms)
{
    enum { TEXTS = 50000 };
    unsigned alarms = 0;
    char text[ORDINARY];
    for (unsigned i = 0; i < TEXTS; i++) {
        ordinary(text);
        alarms += redact_value(r, STR("value"), str_of(text));
    }
    ck_assert_uint_lt(alarms, TEXTS / 1000);
}
END_TEST

/* ---- values and events ---- */

START_TEST(values)
{
    ck_assert(redact_value(r, STR("password"), STR("x")));
    ck_assert(redact_value(r, STR("http.request.header.authorization"), STR("Basic x")));
    ck_assert(redact_value(r, STR("url.full"), STR("https://u:p@host/")));
    ck_assert(redact_value(r, STR("note"), STR("Bearer abcdef")));
    ck_assert(!redact_value(r, STR("note"), STR("bearer")));
    ck_assert(!redact_value(r, STR("password"), STR("")));
    ck_assert(!redact_value(r, STR("password"), REDACTED));
    ck_assert(!redact_value(r, STR("gen_ai.token.type"), STR("input")));
    ck_assert(!redact_value(NULL, STR("password"), STR("x")));
}
END_TEST

START_TEST(switched_off)
{
    const struct redact_options off = {.enabled = false};
    struct redact *none = redact_new(&off);
    struct buf out;
    buf_init(&out, 1000);
    struct event e = {.kind = EVENT_LOG, .text = STR("password=x")};
    struct redact_count n = {0};
    redact_event(none, &e, &out, &n);
    ck_assert(str_eq(e.text, STR("password=x")));
    ck_assert_uint_eq(redact_text(none, STR("password=x"), &out), 0);
    ck_assert(!redact_value(none, STR("password"), STR("x")));
    buf_fini(&out);
    redact_free(none);
    redact_free(NULL);
}
END_TEST

static struct attr text_attr(struct str key, struct str value)
{
    return (struct attr){.key = key, .type = ATTR_STRING, .s = value};
}

START_TEST(events)
{
    struct event e = {
        .kind = EVENT_SPAN,
        .name = STR("GET https://u:pw@host/"),
        .text = STR("failed: token=abc123 password=x"),
        .correlation = STR("run-7"),
        .nattrs = 3,
        .all_attrs = 4,
        .nevents = 1,
    };
    e.attrs[0] = text_attr(STR("api_key"), STR("zzz"));
    e.attrs[1] = text_attr(STR("tool"), STR("echo"));
    e.attrs[2] = (struct attr){.key = STR("password"), .type = ATTR_I64, .i = 7};
    e.attrs[3] = text_attr(STR("note"), STR("Bearer abcdef123"));
    e.tracestate = STR("ot=th:8,password=x");
    e.events[0] =
        (struct span_event){.name = STR("sent password=y z"), .nattrs = 1, .first_attr = 3};
    struct redact_count n = {0};
    struct buf scratch;
    buf_init(&scratch, 100000); /* grows, and so moves, while it is filled */
    redact_event(r, &e, &scratch, &n);
    ck_assert(str_eq(e.name, STR("GET https://u:[REDACTED]@host/")));
    ck_assert(str_eq(e.text, STR("failed: token=[REDACTED] password=[REDACTED]")));
    ck_assert(str_eq(e.correlation, STR("run-7")));
    ck_assert(str_eq(e.attrs[0].s, REDACTED));
    ck_assert(str_eq(e.attrs[1].s, STR("echo")));
    ck_assert_int_eq(e.attrs[2].i, 7);
    ck_assert(str_eq(e.attrs[3].s, REDACTED));
    ck_assert(str_eq(e.events[0].name, STR("sent password=[REDACTED] z")));
    ck_assert(str_eq(e.tracestate, STR("ot=th:8,password=[REDACTED]")));
    ck_assert_uint_eq(n.n[RULE_KEY][REDACT_ATTRIBUTE], 1);
    ck_assert_uint_eq(n.n[RULE_BEARER][REDACT_ATTRIBUTE], 1);
    ck_assert_uint_eq(n.n[RULE_URL_CREDENTIALS][REDACT_TEXT], 1);
    ck_assert_uint_eq(n.n[RULE_ASSIGNMENT][REDACT_TEXT], 4);
    ck_assert_uint_eq(n.all, 7);
    buf_fini(&scratch);
}
END_TEST

/* What is put in is longer than what comes out: the limits still hold, and no
 * character is cut in two. */
START_TEST(limits_hold)
{
    char body[LIMIT_BODY];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = "pwd=x \xC3\xA4"[i % 8];
    struct event e = {.kind = EVENT_LOG, .text = {body, sizeof body}};
    struct redact_count n = {0};
    struct buf scratch;
    buf_init(&scratch, 1 << 20);
    redact_event(r, &e, &scratch, &n);
    ck_assert_uint_gt(n.n[RULE_ASSIGNMENT][REDACT_TEXT], 1000);
    ck_assert_uint_le(e.text.n, LIMIT_BODY);
    ck_assert_uint_gt(e.text.n, LIMIT_BODY - 4);
    ck_assert(text_utf8(e.text));
    buf_fini(&scratch);
}
END_TEST

/* No memory for the new text: the old one does not stay. */
START_TEST(no_memory)
{
    struct event e = {.kind = EVENT_LOG, .text = STR("some words and password=hunter2")};
    struct redact_count n = {0};
    struct buf scratch;
    buf_init(&scratch, 8);
    redact_event(r, &e, &scratch, &n);
    ck_assert(str_eq(e.text, REDACTED));
    ck_assert_uint_eq(n.all, 1);
    buf_fini(&scratch);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redact");
    TCase *t = tcase_create("redact");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, nested_json);
    tcase_add_loop_test(t, plain_texts, 0, sizeof plain / sizeof *plain);
    tcase_add_test(t, false_alarms);
    tcase_add_test(t, values);
    tcase_add_test(t, switched_off);
    tcase_add_test(t, events);
    tcase_add_test(t, limits_hold);
    tcase_add_test(t, no_memory);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
