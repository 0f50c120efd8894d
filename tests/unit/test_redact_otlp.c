/* OTLP messages without the secrets that were put into every place of them. */
#include "pipeline/redact_otlp.h"

#include <check.h>
#include <stdio.h>

#include "otlp/field.h"
#include "otlp/put.h"
#include "secret_maker.h"

static struct redact *r;
static struct secret_maker m;
static struct buf bytes, out, again;

static void setup(void)
{
    const struct redact_options o = {.enabled = true};
    r = redact_new(&o);
    ck_assert_ptr_nonnull(r);
    secret_maker_init(&m, 20261121);
    buf_init(&bytes, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_init(&again, 1 << 20);
}

static void teardown(void)
{
    redact_free(r);
    secret_maker_fini(&m);
    buf_fini(&bytes);
    buf_fini(&out);
    buf_fini(&again);
}

/* ---- messages with a secret in one place ---- */

/* KeyValue with the secret, as deep as asked: arrays and maps in turn. */
static void put_secret_value(unsigned number, unsigned depth)
{
    const size_t any = put_open(&bytes, number);
    if (depth == 0) {
        put_bytes(&bytes, 1, buf_str(&m.value));
    } else if (depth % 2) {
        const size_t list = put_open(&bytes, 5);
        const size_t first = put_open(&bytes, 1);
        put_uint(&bytes, 3, 17);
        put_close(&bytes, first);
        put_secret_value(1, depth - 1);
        put_close(&bytes, list);
    } else {
        const size_t map = put_open(&bytes, 6);
        put_attr_text(&bytes, 1, STR("tool"), STR("echo"));
        const size_t pair = put_open(&bytes, 1);
        put_bytes(&bytes, 1, STR("item"));
        put_secret_value(2, depth - 1);
        put_close(&bytes, pair);
        put_close(&bytes, map);
    }
    put_close(&bytes, any);
}

static void put_secret_attr(unsigned number, unsigned depth)
{
    put_attr_text(&bytes, number, STR("tool"), STR("echo"));
    const size_t pair = put_open(&bytes, number);
    put_bytes(&bytes, 1, buf_str(&m.key));
    put_secret_value(2, depth);
    put_close(&bytes, pair);
}

enum { TEXT_FIELD, ATTR_FIELD, DEEP_FIELD, BODY_FIELD };

/* Where a secret is put: the path of field numbers to it, and what is there. */
static const struct place {
    enum otlp_signal signal;
    enum otlp_part part;
    uint8_t path[4], what;
} places[] = {
    {OTLP_TRACES, OTLP_PART_RESOURCE, {3}, TEXT_FIELD},
    {OTLP_TRACES, OTLP_PART_RESOURCE, {1, 1}, ATTR_FIELD},
    {OTLP_TRACES, OTLP_PART_RESOURCE, {1, 1}, DEEP_FIELD},
    {OTLP_TRACES, OTLP_PART_RESOURCE, {1, 3, 1}, TEXT_FIELD},
    {OTLP_LOGS, OTLP_PART_SCOPE, {3}, TEXT_FIELD},
    {OTLP_LOGS, OTLP_PART_SCOPE, {1, 1}, TEXT_FIELD},
    {OTLP_LOGS, OTLP_PART_SCOPE, {1, 2}, TEXT_FIELD},
    {OTLP_LOGS, OTLP_PART_SCOPE, {1, 3}, ATTR_FIELD},
    {OTLP_TRACES, OTLP_PART_ITEM, {3}, TEXT_FIELD},
    {OTLP_TRACES, OTLP_PART_ITEM, {5}, TEXT_FIELD},
    {OTLP_TRACES, OTLP_PART_ITEM, {9}, ATTR_FIELD},
    {OTLP_TRACES, OTLP_PART_ITEM, {9}, DEEP_FIELD},
    {OTLP_TRACES, OTLP_PART_ITEM, {11, 2}, TEXT_FIELD},
    {OTLP_TRACES, OTLP_PART_ITEM, {11, 3}, DEEP_FIELD},
    {OTLP_TRACES, OTLP_PART_ITEM, {13, 3}, TEXT_FIELD},
    {OTLP_TRACES, OTLP_PART_ITEM, {13, 4}, ATTR_FIELD},
    {OTLP_TRACES, OTLP_PART_ITEM, {15, 2}, TEXT_FIELD},
    {OTLP_LOGS, OTLP_PART_ITEM, {3}, TEXT_FIELD},
    {OTLP_LOGS, OTLP_PART_ITEM, {5}, BODY_FIELD},
    {OTLP_LOGS, OTLP_PART_ITEM, {6}, ATTR_FIELD},
    {OTLP_LOGS, OTLP_PART_ITEM, {6}, DEEP_FIELD},
    {OTLP_LOGS, OTLP_PART_ITEM, {12}, TEXT_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {1}, TEXT_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {2}, TEXT_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {3}, TEXT_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {12}, ATTR_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {5, 1, 7}, ATTR_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {5, 1, 5, 7}, DEEP_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {7, 1, 7}, ATTR_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {7, 1, 5, 7}, ATTR_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {9, 1, 9}, ATTR_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {9, 1, 8, 7}, ATTR_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {10, 1, 1}, ATTR_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {10, 1, 11, 7}, ATTR_FIELD},
    {OTLP_METRICS, OTLP_PART_ITEM, {11, 1, 7}, DEEP_FIELD},
};

enum { PLACES = sizeof places / sizeof *places };

static void put_place(const struct place *p, const uint8_t *path, unsigned depth)
{
    if (path - p->path < 3 && path[1]) {
        const size_t at = put_open(&bytes, path[0]);
        put_bytes(&bytes, 30, STR("password=of an unknown field")); /* which nobody reads */
        put_place(p, path + 1, depth);
        put_close(&bytes, at);
    } else if (p->what == TEXT_FIELD) {
        put_bytes(&bytes, path[0], buf_str(&m.text));
    } else if (p->what == BODY_FIELD) {
        buf_reset(&m.value);
        buf_addstr(&m.value, buf_str(&m.text));
        put_secret_value(path[0], depth);
    } else {
        put_secret_attr(path[0], p->what == DEEP_FIELD ? depth : 0);
    }
}

static bool well_formed(const struct buf *b)
{
    struct fields fs = fields_of(buf_str(b));
    struct field f;
    while (fields_next(&fs, &f))
        ;
    return fs.err == 0;
}

START_TEST(every_place)
{
    struct redact_count n = {0};
    for (unsigned i = 0; i < 10010; i++) {
        const struct place *p = &places[i % PLACES];
        secret_make(&m, i / PLACES % SECRET_FORMS);
        buf_reset(&bytes);
        buf_reset(&out);
        put_place(p, p->path, i % 7);
        n.all = 0;
        const int got = redact_otlp(r, p->signal, p->part, buf_str(&bytes), &out, &n);
        ck_assert_msg(got == 1, "place %u: %.*s", i % PLACES, STR_ARG(buf_str(&m.text)));
        ck_assert_uint_ge(n.all, 1);
        ck_assert_msg(!memmem(out.p, out.n, m.core, strlen(m.core)), "place %u: %.*s", i % PLACES,
                      STR_ARG(buf_str(&m.text)));
        ck_assert_ptr_nonnull(memmem(out.p, out.n, "[REDACTED]", 10));
        ck_assert(well_formed(&out));
        ck_assert_int_eq(redact_otlp(r, p->signal, p->part, buf_str(&out), &again, &n), 0);
        ck_assert_uint_eq(again.n, 0);
    }
}
END_TEST

/* Those of our own frames likewise. */
START_TEST(own_events)
{
    struct redact_count n = {0};
    struct event e;
    for (unsigned i = 0; i < 10000; i++) {
        secret_make(&m, i / 8 % SECRET_FORMS);
        const struct str text = buf_str(&m.text);
        e = (struct event){.kind = i % 8 < 6 ? EVENT_SPAN : EVENT_LOG,
                           .nattrs = 1,
                           .all_attrs = 2,
                           .nevents = 1,
                           .nlinks = 1};
        for (unsigned a = 0; a < 2; a++)
            e.attrs[a] = (struct attr){.key = STR("tool"), .type = ATTR_STRING, .s = STR("echo")};
        struct str *const where[] = {&e.name,       &e.text,           &e.correlation,
                                     &e.tracestate, &e.events[0].name, &e.links[0].tracestate,
                                     &e.text};
        if (i % 8 < 7)
            *where[i % 8] = text;
        else
            e.attrs[i % 2] =
                (struct attr){.key = buf_str(&m.key), .type = ATTR_STRING, .s = buf_str(&m.value)};
        buf_reset(&out);
        redact_event(r, &e, &out, &n);
        ck_assert_uint_eq(n.all, i + 1);
        const struct str left = i % 8 < 7 ? *where[i % 8] : e.attrs[i % 2].s;
        ck_assert_msg(!memmem(left.p, left.n, m.core, strlen(m.core)), "%.*s", STR_ARG(text));
    }
}
END_TEST

/* ---- what stays ---- */

/* Fields that are not known, numbers, ids and their order stay byte for byte. */
START_TEST(the_rest_stays)
{
    struct redact_count n = {0};
    static const uint8_t id[16] = {1, 2, 3};
    put_id(&bytes, 1, id, 16);
    put_bytes(&bytes, 99, STR("password=x"));
    put_text(&bytes, 5, STR("tools/call echo"));
    put_fixed64_always(&bytes, 7, 12345);
    put_attr_text(&bytes, 9, STR("mcp.method.name"), STR("tools/call"));
    put_uint(&bytes, 10, 3);
    ck_assert_int_eq(redact_otlp(r, OTLP_TRACES, OTLP_PART_ITEM, buf_str(&bytes), &out, &n), 0);
    ck_assert_uint_eq(out.n, 0);
    put_attr_text(&bytes, 9, STR("password"), STR("hunter2"));
    ck_assert_int_eq(redact_otlp(r, OTLP_TRACES, OTLP_PART_ITEM, buf_str(&bytes), &out, &n), 1);
    struct fields a = fields_of(buf_str(&bytes)), b = fields_of(buf_str(&out));
    struct field x, y;
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(fields_next(&a, &x) && fields_next(&b, &y));
        ck_assert_uint_eq(x.tag, y.tag);
        ck_assert(x.v == y.v && str_eq(x.s, y.s));
    }
    ck_assert_uint_eq(n.n[RULE_KEY][REDACT_ATTRIBUTE], 1);
}
END_TEST

/* A list or map under a secret key loses every text; numbers in it stay. */
START_TEST(under_a_secret_key)
{
    struct redact_count n = {0};
    const size_t pair = put_open(&bytes, 9);
    put_bytes(&bytes, 1, STR("credentials"));
    const size_t any = put_open(&bytes, 2);
    const size_t map = put_open(&bytes, 6);
    put_attr_text(&bytes, 1, STR("user"), STR("bobby-tables"));
    put_attr_text(&bytes, 1, STR("note"), STR("plain-words"));
    const struct attr number = {.key = STR("n"), .type = ATTR_I64, .i = 77};
    put_attr(&bytes, 1, &number);
    put_close(&bytes, map);
    put_close(&bytes, any);
    put_close(&bytes, pair);
    ck_assert_int_eq(redact_otlp(r, OTLP_TRACES, OTLP_PART_ITEM, buf_str(&bytes), &out, &n), 1);
    ck_assert_ptr_null(memmem(out.p, out.n, "bobby", 5));
    ck_assert_ptr_null(memmem(out.p, out.n, "plain", 5));
    ck_assert_ptr_nonnull(memmem(out.p, out.n, "\x18\x4d", 2));
    ck_assert_uint_eq(n.all, 2);
}
END_TEST

/* ---- what was seen before ---- */

/* A span with one attribute, and its name: what is found, and by a struct redact that has never
 * seen any. */
static int judge_pair(struct str name, struct str key, struct str value, int *fresh)
{
    static const struct redact_options o = {.enabled = true};
    struct redact_count n = {0};
    struct redact *other = redact_new(&o);
    buf_reset(&bytes);
    buf_reset(&out);
    buf_reset(&again);
    put_text(&bytes, 5, name);
    put_attr_text(&bytes, 9, key, value);
    *fresh = redact_otlp(other, OTLP_TRACES, OTLP_PART_ITEM, buf_str(&bytes), &again, &n);
    redact_free(other);
    return redact_otlp(r, OTLP_TRACES, OTLP_PART_ITEM, buf_str(&bytes), &out, &n);
}

/* Whatever came before, each is judged as if it were the first; many more than are remembered, so
 * that they push each other out. */
START_TEST(seen_before)
{
    static const char *const keys[] = {"note", "user.password", "gen_ai.tool.name", "item"};
    int fresh, secrets = 0;
    for (unsigned i = 0; i < 3000; i++) {
        char word[24];
        secret_make(&m, below(&m, SECRET_FORMS));
        const bool secret = below(&m, 4) == 0;
        const int n = snprintf(word, sizeof word, "tool-%u", below(&m, 1000));
        const struct str plain = {word, (size_t)n};
        const struct str key = str_of(keys[below(&m, 4)]),
                         value = secret ? buf_str(&m.value) : plain;
        const int got = judge_pair(below(&m, 8) ? plain : buf_str(&m.text), key, value, &fresh);
        ck_assert_int_eq(got, fresh);
        ck_assert(str_eq(buf_str(&out), buf_str(&again)));
        secrets += got;
    }
    ck_assert_int_gt(secrets, 500);
    ck_assert_int_lt(secrets, 2500);
}
END_TEST

/* ---- tool content ---- */

static int with_tool_content(const struct redact *by, struct redact_count *n)
{
    buf_reset(&bytes);
    buf_reset(&out);
    put_attr_text(&bytes, 9, STR("gen_ai.tool.name"), STR("echo"));
    const size_t pair = put_open(&bytes, 9);
    put_bytes(&bytes, 1, STR("gen_ai.tool.call.arguments"));
    const size_t any = put_open(&bytes, 2);
    const size_t map = put_open(&bytes, 6);
    put_attr_text(&bytes, 1, STR("city"), STR("Paris"));
    put_close(&bytes, map);
    put_close(&bytes, any);
    put_close(&bytes, pair);
    put_attr_text(&bytes, 9, STR("gen_ai.tool.call.result"), STR("sunny"));
    return redact_otlp(by, OTLP_TRACES, OTLP_PART_ITEM, buf_str(&bytes), &out, n);
}

START_TEST(tool_content)
{
    struct redact_count n = {0};
    ck_assert_int_eq(with_tool_content(r, &n), 1);
    ck_assert_ptr_null(memmem(out.p, out.n, "Paris", 5));
    ck_assert_ptr_null(memmem(out.p, out.n, "sunny", 5));
    ck_assert_ptr_nonnull(memmem(out.p, out.n, "echo", 4));
    ck_assert_uint_eq(n.n[RULE_TOOL_CONTENT][REDACT_ATTRIBUTE], 2);
    ck_assert_int_eq(redact_otlp(r, OTLP_TRACES, OTLP_PART_ITEM, buf_str(&out), &again, &n), 0);
    struct redact_options o = {.enabled = true, .keep_tool_content = true};
    struct redact *kept = redact_new(&o);
    ck_assert_int_eq(with_tool_content(kept, &n), 0);
    redact_free(kept);
    o = (struct redact_options){.enabled = false};
    struct redact *off = redact_new(&o);
    ck_assert_int_eq(with_tool_content(off, &n), 1);
    redact_free(off);
    ck_assert_int_eq(with_tool_content(NULL, &n), 0);
    struct event e = {.kind = EVENT_SPAN, .nattrs = 1, .all_attrs = 1};
    e.attrs[0] = (struct attr){.key = STR("gen_ai.tool.call.result"), .type = ATTR_I64, .i = 5};
    redact_event(r, &e, &out, &n);
    ck_assert_int_eq(e.attrs[0].type, ATTR_STRING);
    ck_assert(str_eq(e.attrs[0].s, REDACTED));
}
END_TEST

/* ---- faults ---- */

/* Whatever is cut off: an error or an answer, never the secret. */
START_TEST(cut_off)
{
    struct redact_count n = {0};
    secret_make(&m, 2);
    const struct place *p = &places[11];
    put_place(p, p->path, 5);
    for (size_t cut = 0; cut < bytes.n; cut++) {
        const struct str part = {bytes.p, cut};
        buf_reset(&out);
        const int got = redact_otlp(r, p->signal, p->part, part, &out, &n);
        ck_assert(got == 0 || got == 1 || got == -ERR_SYNTAX || got == -ERR_SHORT);
        ck_assert(!memmem(out.p ? out.p : "", out.n, m.core, strlen(m.core)));
        ck_assert(got >= 0 || out.n == 0);
    }
}
END_TEST

START_TEST(too_deep)
{
    struct redact_count n = {0};
    struct buf inner;
    buf_init(&inner, 1 << 20);
    for (unsigned i = 0; i < 5000; i++) {
        buf_reset(&out);
        const size_t list = put_open(&out, 5);
        put_bytes(&out, 1, buf_str(&inner));
        put_close(&out, list);
        buf_reset(&inner);
        buf_addstr(&inner, buf_str(&out));
    }
    put_bytes(&bytes, 5, buf_str(&inner));
    buf_reset(&out);
    ck_assert_int_eq(redact_otlp(r, OTLP_LOGS, OTLP_PART_ITEM, buf_str(&bytes), &out, &n),
                     -ERR_SYNTAX);
    buf_fini(&inner);
}
END_TEST

START_TEST(no_memory)
{
    struct redact_count n = {0};
    struct buf small;
    buf_init(&small, 16);
    put_attr_text(&bytes, 9, STR("password"), STR("hunter2"));
    ck_assert_int_eq(redact_otlp(r, OTLP_TRACES, OTLP_PART_ITEM, buf_str(&bytes), &small, &n),
                     -ERR_NOMEM);
    buf_fini(&small);
}
END_TEST

/* ---- patterns and rules that are switched off ---- */

START_TEST(patterns)
{
    const struct str expressions[] = {STR("B-[0-9]{6}"), STR("(?i)xyzzy[a-z]*")};
    const struct redact_options o = {.enabled = true, .npatterns = 2, .patterns = expressions};
    struct redact *by = redact_new(&o);
    struct redact_count n = {0};
    ck_assert_ptr_nonnull(by);
    ck_assert_uint_eq(redact_text_count(by, STR("id B-123456, B-12345 XyzzyPlugh; password=abc"),
                                        &out, REDACT_TEXT, &n),
                      3);
    ck_assert(str_eq(buf_str(&out), STR("id [REDACTED], B-12345 [REDACTED]; password=[REDACTED]")));
    ck_assert_uint_eq(n.n[RULE_PATTERN][REDACT_TEXT], 2);
    ck_assert_int_eq(redact_judge(by, STR("note"), STR("%42-654321")), RULE_PATTERN);
    buf_reset(&out);
    buf_reset(&bytes);
    for (unsigned i = 0; i < 1000; i++)
        buf_adds(&bytes, "xyzzy ");
    buf_adds(&bytes, "end");
    ck_assert_uint_eq(redact_text(by, buf_str(&bytes), &out), 65);
    ck_assert_ptr_null(memmem(out.p, out.n, "xyzzy", 5));
    ck_assert_ptr_null(memmem(out.p, out.n, "end", 3));
    redact_free(by);
}
END_TEST

START_TEST(switched_off)
{
    const struct redact_options o = {.enabled = true,
                                     .off = 1U << RULE_ASSIGNMENT | 1U << RULE_KEY |
                                            1U << RULE_URL_CREDENTIALS};
    struct redact *by = redact_new(&o);
    ck_assert_uint_eq(redact_text(by, STR("password=abc"), &out), 0);
    ck_assert_int_eq(redact_judge(by, STR("password"), STR("abc")), -1);
    ck_assert_int_eq(redact_judge(by, STR("note"), STR("http://a:b7@c/")), -1);
    ck_assert_int_eq(redact_judge(by, STR("note"), STR("Bearer abcdef123")), RULE_BEARER);
    redact_free(by);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redact_otlp");
    TCase *t = tcase_create("redact_otlp");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_place);
    tcase_add_test(t, own_events);
    tcase_add_test(t, the_rest_stays);
    tcase_add_test(t, under_a_secret_key);
    tcase_add_test(t, seen_before);
    tcase_add_test(t, tool_content);
    tcase_add_test(t, cut_off);
    tcase_add_test(t, too_deep);
    tcase_add_test(t, no_memory);
    tcase_add_test(t, patterns);
    tcase_add_test(t, switched_off);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
