/* Ordinary text stays as it is: fewer than one line in a thousand is taken for a secret. */
#include <check.h>
#include <stdio.h>

#include "ordinary.h"
#include "pipeline/redact.h"

enum { KINDS = sizeof ordinary_lines / sizeof *ordinary_lines, LINES = 400 * KINDS };

static uint64_t state = 20261121;

static unsigned below(unsigned n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(state >> 33) % n;
}

static void add_random(struct buf *to, const char *from, unsigned n)
{
    while (n-- > 0)
        buf_addc(to, from[below((unsigned)strlen(from))]);
}

#define HEX   "0123456789abcdef"
#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char *word(void)
{
    static const char *const words[] = {
        "search", "monkey", "task",   "signal",  "keyboard", "worker", "passage", "billing",
        "orders", "author", "tokens", "session", "compass",  "cipher", "gateway", "weather",
        "report", "index",  "basic",  "bear",    "sketch",   "keynote"};
    return words[below(sizeof words / sizeof *words)];
}

static void add_identifier(struct buf *to)
{
    static const char *const ids[] = {"getUserById",   "parse_token_stream", "AuthController",
                                      "read_file",     "maxTokens",          "is_password_valid",
                                      "KeyError",      "TokenKind",          "secretary_of_the",
                                      "hashCode",      "list_directory",     "createSession",
                                      "bearing_angle", "apiVersion",         "sk_buff",
                                      "passThrough",   "credentialsExpired"};
    buf_adds(to, ids[below(sizeof ids / sizeof *ids)]);
}

static void fill(struct buf *to, char what)
{
    switch (what) {
    case 'w':
        buf_adds(to, word());
        break;
    case 'i':
        add_identifier(to);
        break;
    case 'n':
        buf_addu(to, below(4) ? below(1000) : below(100000000));
        break;
    case 'u':
        for (unsigned i = 0; i < 5; i++) {
            add_random(to, HEX, i == 0 ? 8 : i == 4 ? 12 : 4);
            buf_adds(to, i < 4 ? "-" : "");
        }
        break;
    case 'h':
        add_random(to, HEX, 40);
        break;
    case 's':
        add_random(to, HEX, 64);
        break;
    case 'b':
        add_random(to, ALNUM "+/", 43);
        break;
    case 'a':
        buf_addf(to, "10.%u.%u.%u:%u", below(256), below(256), below(256), 1024 + below(60000));
        break;
    case 't':
        buf_addf(to, "2026-11-%02uT%02u:%02u:%02u.%03uZ", 1 + below(30), below(24), below(60),
                 below(60), below(1000));
        break;
    case 'p':
        buf_addf(to, "/%s/lib/%s-%u/", below(2) ? "usr" : "var", word(), below(100));
        add_random(to, ALNUM "_-", 12);
        break;
    case 'l':
        buf_addf(to, "https://%s.example.org:8443/%s/", word(), word());
        add_random(to, ALNUM, 16);
        break;
    default:
        ck_assert_int_eq(what, 'v');
        buf_addf(to, "%u.%u.%u", below(20), below(20), below(20));
    }
}

static void make(struct buf *to, const char *p)
{
    buf_reset(to);
    for (; *p; p++) {
        if (p[0] == '{' && p[1] && p[2] == '}') {
            fill(to, p[1]);
            p += 2;
        } else {
            buf_addc(to, *p);
        }
    }
}

START_TEST(stays)
{
    const struct redact_options o = {.enabled = true};
    struct redact *r = redact_new(&o);
    struct buf line, left;
    unsigned alarms = 0;
    buf_init(&line, 1 << 16);
    buf_init(&left, 1 << 16);
    for (unsigned i = 0; i < LINES; i++) {
        make(&line, ordinary_lines[i % KINDS]);
        buf_reset(&left);
        const bool text = redact_text(r, buf_str(&line), &left) > 0;
        const bool value = redact_value(r, STR("note"), buf_str(&line));
        ck_assert_int_eq(text, value);
        alarms += text;
        if (text && alarms <= 20)
            fprintf(stderr, "taken: %.*s\n", STR_ARG(buf_str(&left)));
    }
    ck_assert_msg(alarms < LINES / 1000, "%u of %u", alarms, (unsigned)LINES);
    buf_fini(&line);
    buf_fini(&left);
    redact_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redact_ordinary");
    TCase *t = tcase_create("redact_ordinary");
    tcase_add_test(t, stays);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
