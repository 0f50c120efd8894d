/* Numbers in decimal: whole ones beside printf(), doubles beside strtod(). */
#include "base/num.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shortest.h"

/* xorshift64*: the same numbers in every run. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static void check_u64(uint64_t v)
{
    char expected[32], text[NUM_U64_MAX + 1];
    snprintf(expected, sizeof expected, "%llu", (unsigned long long)v);
    text[num_u64(text, v)] = '\0';
    ck_assert_str_eq(text, expected);
}

START_TEST(whole_numbers)
{
    uint64_t state = 1, power = 1;
    for (int i = 0; i < 20; i++, power *= 10) {
        check_u64(power - 1);
        check_u64(power);
        check_u64(power + 1);
    }
    check_u64(UINT64_MAX);
    for (unsigned i = 0; i < 16000; i++)
        check_u64(next_random(&state) >> i % 64);
}
END_TEST

/* The nearest decimal of so many digits, and whether it is read as v. */
static struct decimal rounded(double v, int digits, bool *same)
{
    char text[64], *e;
    struct decimal d = {0};
    snprintf(text, sizeof text, "%.*e", digits - 1, v);
    *same = strtod(text, NULL) == v;
    e = strchr(text, 'e');
    d.exponent = (int)strtol(e + 1, NULL, 10) - (digits - 1);
    for (const char *p = text; p < e; p++)
        if (*p != '.')
            d.digits = d.digits * 10 + (uint64_t)(*p - '0');
    return d;
}

static int digits_in(uint64_t v)
{
    int n = 1;
    for (; v >= 10; v /= 10)
        n++;
    return n;
}

static void check_shortest(double v)
{
    const struct decimal d = shortest(v);
    const int n = digits_in(d.digits);
    char text[64];
    bool same;
    snprintf(text, sizeof text, "%llue%d", (unsigned long long)d.digits, d.exponent);
    ck_assert_msg(strtod(text, NULL) == v, "%s is not %.17g", text, v);
    ck_assert_msg(d.digits % 10 != 0, "%s ends in 0", text);
    if (n > 1) {
        rounded(v, n - 1, &same);
        ck_assert_msg(!same, "%s: %d digits would do", text, n - 1);
    }
    const struct decimal near = rounded(v, n, &same);
    ck_assert_msg(!same || (near.digits == d.digits && near.exponent == d.exponent),
                  "%s, but %llue%d is nearer", text, (unsigned long long)near.digits,
                  near.exponent);
}

static double of_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Each exponent there is, so each power in the table; the ends of its range, and some between. */
START_TEST(doubles_of_every_exponent)
{
    const uint64_t fractions = (UINT64_C(1) << 52) - 1;
    uint64_t state = 7;
    for (uint64_t e = 0; e < 2047; e++) {
        if (e > 0)
            check_shortest(of_bits(e << 52));
        check_shortest(of_bits(e << 52 | 1));
        check_shortest(of_bits(e << 52 | fractions));
        for (int i = 0; i < 6; i++)
            check_shortest(of_bits(e << 52 | (next_random(&state) & fractions)));
    }
}
END_TEST

START_TEST(doubles_with_few_digits)
{
    for (unsigned i = 1; i < 3000; i++) {
        check_shortest(i);
        check_shortest(i / 1000.0);
        check_shortest(i * 1e-9);
        check_shortest(i * 1e20);
    }
}
END_TEST

struct spelling {
    double v;
    const char *text;
};

static void check_spelling(size_t (*put)(char *, double), const struct spelling *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[NUM_F64_MAX + 1];
        text[put(text, cases[i].v)] = '\0';
        ck_assert_str_eq(text, cases[i].text);
    }
}

START_TEST(spelled)
{
    static const struct spelling cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {3, "3"},
        {-3, "-3"},
        {100, "100"},
        {0.5, "0.5"},
        {-2.25, "-2.25"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.5e9, "1500000000"},
        {1234567.5, "1234567.5"},
        {0.00001, "0.00001"},
        {0.0000125, "0.0000125"},
        {0.000001, "1e-06"},
        {1.25e-7, "1.25e-07"},
        {9007199254740991, "9007199254740991"},
        {9007199254740992, "9007199254740992"},
        {1e16, "1e+16"},
        {12345678901234568e10, "1.2345678901234568e+26"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {-4.9406564584124654e-324, "-5e-324"},
        {NAN, "NaN"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
    };
    check_spelling(num_f64, cases, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(canonical)
{
    static const struct spelling cases[] = {
        {0, "0.0"},        {1, "1.0"},
        {0.005, "0.005"},  {2.5, "2.5"},
        {10, "10.0"},      {100000, "100000.0"},
        {1e6, "1e+06"},    {1e-4, "0.0001"},
        {1e-5, "1e-05"},   {1234567, "1.234567e+06"},
        {-0.5, "-0.5"},    {123.456, "123.456"},
        {1e100, "1e+100"}, {INFINITY, "+Inf"},
        {120, "120.0"},    {0.1 + 0.2, "0.30000000000000004"},
    };
    check_spelling(num_canonical, cases, sizeof cases / sizeof *cases);
}
END_TEST

/* What is read back is what was printed, to the bit. */
START_TEST(read_back)
{
    uint64_t state = 3;
    for (unsigned i = 0; i < 10000; i++) {
        char text[NUM_F64_MAX + 1];
        const double v = of_bits(next_random(&state));
        if (!isfinite(v))
            continue;
        text[num_f64(text, v)] = '\0';
        ck_assert_msg(strtod(text, NULL) == v, "%s is not %.17g", text, v);
        text[num_canonical(text, v)] = '\0';
        ck_assert_msg(strtod(text, NULL) == v, "%s is not %.17g", text, v);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("num");
    TCase *t = tcase_create("num");
    tcase_add_test(t, whole_numbers);
    tcase_add_test(t, doubles_of_every_exponent);
    tcase_add_test(t, doubles_with_few_digits);
    tcase_add_test(t, spelled);
    tcase_add_test(t, canonical);
    tcase_add_test(t, read_back);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
