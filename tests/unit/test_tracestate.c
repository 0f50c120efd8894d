/* The ot member of a tracestate: thresholds, randomness, what stays. */
#include <check.h>
#include <stdlib.h>

#include "model/tracestate.h"

static char *with(const char *tracestate, uint64_t threshold)
{
    struct buf b;
    buf_init(&b, 4096);
    tracestate_with(&b, str_of(tracestate), threshold);
    buf_addc(&b, '\0');
    return b.p;
}

#define CK_WITH(tracestate, threshold, expected)                                                   \
    do {                                                                                           \
        char *got = with(tracestate, threshold);                                                   \
        ck_assert_str_eq(got, expected);                                                           \
        free(got);                                                                                 \
    } while (0)

START_TEST(reads)
{
    static const struct {
        const char *text;
        bool th, rv;
        uint64_t threshold, random;
    } cases[] = {
        {"", false, false, 0, 0},
        {"ot=th:0", true, false, 0, 0},
        {"ot=th:8", true, false, UINT64_C(1) << 55, 0},
        {"ot=th:e666", true, false, UINT64_C(0xe6660000000000), 0},
        {"ot=th:ffffffffffffff", true, false, UINT64_C(0xffffffffffffff), 0},
        {"ot=rv:0123456789abcd", false, true, 0, UINT64_C(0x0123456789abcd)},
        {"a=1, ot=p:8;th:c;rv:ffffffffffffff ,b=2", true, true, UINT64_C(0xc0000000000000),
         UINT64_C(0xffffffffffffff)},
        {"ot=th:fffffffffffffff", false, false, 0, 0}, /* 15 digits */
        {"ot=th:E", false, false, 0, 0},
        {"ot=th:", false, false, 0, 0},
        {"ot=rv:0123456789abc", false, false, 0, 0}, /* 13 digits */
        {"ot=rv:0123456789abcg;th:8", true, false, UINT64_C(1) << 55, 0},
        {"ot=", false, false, 0, 0},
        {"ot=th:8;;", false, false, 0, 0},
        {"ot=th:8;x", false, false, 0, 0},
        {"not=th:8", false, false, 0, 0},
        {"ot=th:8 8", false, false, 0, 0},
        {",,,", false, false, 0, 0},
    };
    struct tracestate_ot ot;
    tracestate_read(str_of(cases[_i].text), &ot);
    ck_assert_int_eq(ot.has_threshold, cases[_i].th);
    ck_assert_int_eq(ot.has_random, cases[_i].rv);
    ck_assert_uint_eq(ot.threshold, cases[_i].th ? cases[_i].threshold : 0);
    ck_assert_uint_eq(ot.has_random ? ot.random : 0, cases[_i].random);
}
END_TEST

START_TEST(writes)
{
    CK_WITH("", 0, "ot=th:0");
    CK_WITH("", UINT64_C(1) << 55, "ot=th:8");
    CK_WITH("", tracestate_threshold(0.1), "ot=th:e6666666666666");
    CK_WITH("", 1, "ot=th:00000000000001");
    CK_WITH("", TRACESTATE_NEVER, "");
    CK_WITH("a=1,b=2", 0, "ot=th:0,a=1,b=2");
    CK_WITH("a=1,ot=th:8,b=2", 0, "ot=th:0,a=1,b=2");
    CK_WITH("a=1 , ot=rv:0123456789abcd;th:8;x:y", 0, "ot=th:0;rv:0123456789abcd;x:y,a=1");
    CK_WITH("ot=rv:0123456789abcd;th:8", TRACESTATE_NEVER, "ot=rv:0123456789abcd");
    CK_WITH("b=2,ot=th:8 nonsense,a=1", 0, "ot=th:0,b=2,a=1");
    CK_WITH("ot=th:8,ot=th:c", 0, "ot=th:0");
    CK_WITH("ot=th:8", TRACESTATE_NEVER, "");
}
END_TEST

/* 32 members and 512 bytes at the most; long members go first, then the last. */
START_TEST(bounded)
{
    struct buf b;
    buf_init(&b, 4096);
    for (int i = 0; i < 32; i++)
        buf_addf(&b, "%sk%02d=v", i ? "," : "", i);
    buf_addc(&b, '\0');
    char *got = with(b.p, 0);
    ck_assert_ptr_nonnull(strstr(got, "k30=v"));
    ck_assert_ptr_null(strstr(got, "k31=v"));
    free(got);
    buf_reset(&b);
    buf_adds(&b, "a=1,long=");
    for (int i = 0; i < 200; i++)
        buf_addc(&b, 'x');
    for (int i = 0; i < 3; i++)
        buf_addf(&b, ",k%d=%0100d", i, i);
    buf_addc(&b, '\0');
    got = with(b.p, 0);
    ck_assert_uint_le(strlen(got), 512);
    ck_assert_int_eq(strncmp(got, "ot=th:0,a=1,k0=", 15), 0);
    ck_assert_ptr_nonnull(strstr(got, "k2="));
    free(got);
    buf_fini(&b);
}
END_TEST

START_TEST(probabilities)
{
    ck_assert_uint_eq(tracestate_threshold(1), 0);
    ck_assert_uint_eq(tracestate_threshold(0), TRACESTATE_NEVER);
    ck_assert_uint_eq(tracestate_threshold(0.5), UINT64_C(1) << 55);
    ck_assert_uint_eq(tracestate_threshold(-1), TRACESTATE_NEVER);
    ck_assert_uint_eq(tracestate_threshold(7), 0);
    ck_assert_double_eq(tracestate_probability(UINT64_C(0xc0000000000000)), 0.25);
    ck_assert_double_eq(tracestate_probability(TRACESTATE_NEVER), 0);
    for (double p = 1; p > 1e-9; p *= 0.7)
        ck_assert_double_eq_tol(tracestate_probability(tracestate_threshold(p)), p, 1e-15);
}
END_TEST

START_TEST(randomness)
{
    const uint8_t id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct tracestate_ot ot = {0};
    ck_assert_uint_eq(tracestate_random(id, &ot), UINT64_C(0x0a0b0c0d0e0f10));
    ot = (struct tracestate_ot){.has_random = true, .random = 5};
    ck_assert_uint_eq(tracestate_random(id, &ot), 5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tracestate");
    TCase *t = tcase_create("tracestate");
    tcase_add_loop_test(t, reads, 0, 18);
    tcase_add_test(t, writes);
    tcase_add_test(t, bounded);
    tcase_add_test(t, probabilities);
    tcase_add_test(t, randomness);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
