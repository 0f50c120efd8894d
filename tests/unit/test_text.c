/* Text is judged many bytes at a time; here byte by byte, and both agree. */
#include <check.h>
#include <stdlib.h>

#include "../sim/rng.h"
#include "model/limits.h"
#include "model/text.h"

static bool key_by_bytes(struct str key)
{
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] <= ' ' || key.p[i] > '~' || strchr("\"\\'", key.p[i]))
            return false;
    return key.n > 0 && key.n <= LIMIT_KEY;
}

/* The code point at p, its length in *n; -1 for none. */
static long code_point(const unsigned char *p, size_t left, size_t *n)
{
    static const long least[] = {0, 1, 0x80, 0x800, 0x10000};
    *n = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] == 0 || (p[0] >= 0x80 && p[0] < 0xC0) || p[0] > 0xF7 || *n > left)
        return -1;
    long c = *n == 1 ? p[0] : p[0] & (0x7F >> *n);
    for (size_t i = 1; i < *n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return -1;
        c = c << 6 | (p[i] & 0x3F);
    }
    return c < least[*n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? -1 : c;
}

static bool utf8_by_bytes(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n;
    for (size_t i = 0; i < s.n; i += n)
        if (code_point(p + i, s.n - i, &n) < 0)
            return false;
    return true;
}

static bool name_by_bytes(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    return s.n > 0 && s.n <= LIMIT_NAME && utf8_by_bytes(s);
}

START_TEST(agree)
{
    static const char odd[] =
        " !\"'\\~\x7f\x80\xff\x01\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xed\xa0";
    struct rng r = {1};
    unsigned keys = 0, names = 0, texts = 0;
    enum { TIMES = 300000 };
    for (unsigned t = 0; t < TIMES; t++) {
        const size_t n = rng_below(&r, 30);
        char *text = malloc(n + 1); /* as large as it is, for sanitizers */
        for (size_t i = 0; i < n; i++)
            text[i] = (char)('a' + rng_below(&r, 26));
        for (unsigned i = rng_below(&r, 4); i > 0 && n > 0; i--) {
            const size_t at = rng_below(&r, (uint32_t)n), from = rng_below(&r, sizeof odd);
            for (size_t k = 0; k < 4 && at + k < n && from + k < sizeof odd; k++)
                text[at + k] = odd[from + k];
        }
        const struct str s = {text, n};
        ck_assert(text_key_ok(s) == key_by_bytes(s));
        ck_assert(text_name_ok(s) == name_by_bytes(s));
        ck_assert(text_utf8(s) == utf8_by_bytes(s));
        keys += text_key_ok(s);
        names += text_name_ok(s);
        texts += text_utf8(s);
        free(text);
    }
    ck_assert(keys > TIMES / 10 && keys < TIMES * 9 / 10);
    ck_assert(names > TIMES / 10 && names < TIMES * 9 / 10);
    ck_assert(texts > TIMES / 10 && texts < TIMES * 9 / 10);
}
END_TEST

START_TEST(cuts)
{
    ck_assert_uint_eq(text_cut(STR("a\xc3\xa4z"), 2).n, 1);
    ck_assert_uint_eq(text_cut(STR("a\xc3\xa4z"), 3).n, 3);
    ck_assert_uint_eq(text_cut(STR("abc"), 3).n, 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text");
    TCase *t = tcase_create("text");
    tcase_add_test(t, agree);
    tcase_add_test(t, cuts);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
