#include "cli/rank.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "cli/counts.h"

#define CLOSE(a, b) ck_assert_double_eq_tol(a, b, 1e-9)

/* ---- Mann and Whitney ---- */

/* Hollander and Wolfe, Nonparametric Statistical Methods, table 4.1: permeability of membranes.
 * Shifted by 2, so that some are negative and differences are taken, not ratios. */
START_TEST(textbook)
{
    static const double term[] = {0.80 - 2, 0.83 - 2, 1.89 - 2, 1.04 - 2, 1.45 - 2,
                                  1.38 - 2, 1.91 - 2, 1.64 - 2, 0.73 - 2, 1.46 - 2};
    static const double early[] = {1.15 - 2, 0.88 - 2, 0.90 - 2, 0.74 - 2, 1.21 - 2};
    struct rank_result r;
    ck_assert_int_eq(rank_compare(early, 5, term, 10, &r), 0);
    ck_assert(r.exact && r.bounded && !r.ratio);
    ck_assert_double_eq_tol(r.p, 2 * 0.1272, 1e-4);
    CLOSE(r.change, 0.305);
    CLOSE(r.low, -0.15);
    CLOSE(r.high, 0.76);
}
END_TEST

/* The greatest U that is significant, two-sided at 5%, as tables have it; -1: none is. */
static const struct {
    unsigned n, m;
    int u;
} critical[] = {{1, 1, -1}, {3, 3, -1},   {3, 4, -1},   {3, 5, 0},    {4, 4, 0},
                {4, 5, 1},  {5, 5, 2},    {5, 8, 6},    {6, 6, 5},    {7, 7, 8},
                {8, 8, 13}, {10, 10, 23}, {12, 15, 49}, {15, 20, 90}, {20, 20, 127}};

/* Two samples without ties whose base beats the other in u pairs: each base figure starts below
 * all of the new ones, and is moved up past as many as are needed. */
static double p_of_u(unsigned n, unsigned m, unsigned u, struct rank_result *r)
{
    double base[RANK_EXACT], new[RANK_EXACT];
    for (unsigned j = 0; j < m; j++)
        new[j] = 100 + j;
    for (unsigned i = n; i-- > 0;) {
        const unsigned past = u < m ? u : m;
        base[i] = 99.5 + past + 0.01 * i;
        u -= past;
    }
    ck_assert_uint_eq(u, 0);
    ck_assert_int_eq(rank_compare(base, n, new, m, r), 0);
    return r->p;
}

START_TEST(tables)
{
    const unsigned n = critical[_i].n, m = critical[_i].m;
    struct rank_result r;
    if (critical[_i].u < 0) {
        ck_assert(p_of_u(n, m, 0, &r) > RANK_ALPHA);
        ck_assert(!r.bounded && r.least > RANK_ALPHA);
        return;
    }
    ck_assert(p_of_u(n, m, (unsigned)critical[_i].u, &r) <= RANK_ALPHA);
    ck_assert(p_of_u(n, m, (unsigned)critical[_i].u + 1, &r) > RANK_ALPHA);
    CLOSE(p_of_u(n, m, 0, &r), r.least);
    ck_assert(r.bounded);
}
END_TEST

/* p of five against five, by the number of ways of each U: 1 1 2 3 5 of 252. */
START_TEST(five)
{
    static const double ways[] = {1, 2, 4, 7, 12};
    struct rank_result r;
    for (unsigned u = 0; u < 5; u++)
        CLOSE(p_of_u(5, 5, u, &r), 2 * ways[u] / 252);
}
END_TEST

/* By counting every choice of the base's ranks. */
static double counted_p(const double *all, unsigned n, unsigned m)
{
    unsigned low = 0, high = 0, total = 0;
    double rank[16], observed = 0;
    for (unsigned i = 0; i < n + m; i++) {
        rank[i] = 0.5;
        for (unsigned j = 0; j < n + m; j++)
            rank[i] += all[j] < all[i] ? 1 : all[j] <= all[i] ? 0.5 : 0;
        observed += i < n ? rank[i] : 0;
    }
    for (unsigned set = 0; set < 1u << (n + m); set++) {
        double sum = 0;
        for (unsigned i = 0; i < n + m; i++)
            sum += set >> i & 1 ? rank[i] : 0;
        if (__builtin_popcount(set) != (int)n)
            continue;
        total++;
        low += sum <= observed;
        high += sum >= observed;
    }
    return fmin(1, 2 * (double)(low < high ? low : high) / total);
}

START_TEST(ties)
{
    static const double all[][9] = {{1, 2, 2, 3, 3, 3, 4, 5, 5},
                                    {1, 1, 1, 1, 2, 2, 2, 2, 2},
                                    {7, 7, 7, 7, 7, 7, 7, 7, 7},
                                    {1, 3, 2, 3, 9, 3, 8, 9, 8}};
    struct rank_result r;
    for (unsigned n = 1; n < 9; n++) {
        ck_assert_int_eq(rank_compare(all[_i], n, all[_i] + n, 9 - n, &r), 0);
        CLOSE(r.p, counted_p(all[_i], n, 9 - n));
    }
}
END_TEST

/* Ratios, and a wild run that moves neither the estimate nor p. */
START_TEST(ratios)
{
    static const double base[] = {100, 101, 99, 102, 98};
    const double new[] = {110, 111, 109, 112, 1e6};
    struct rank_result r;
    ck_assert_int_eq(rank_compare(base, 5, new, 5, &r), 0);
    ck_assert(r.ratio && r.bounded);
    ck_assert(r.change > 0.08 && r.change < 0.15 && r.low > 0.05);
    CLOSE(r.p, 2.0 / 252);
}
END_TEST

/* Many figures: the approximation is near the exact p of as many as have one. */
START_TEST(many)
{
    double base[RANK_MOST], new[RANK_MOST];
    struct rank_result exact, normal;
    for (unsigned i = 0; i < 21; i++) {
        base[i] = (i * 7919u) % 101;
        new[i] = (i * 6271u) % 103 + 12;
    }
    ck_assert_int_eq(rank_compare(base, 20, new, 20, &exact), 0);
    ck_assert_int_eq(rank_compare(base, 21, new, 21, &normal), 0);
    ck_assert(exact.exact && !normal.exact);
    ck_assert_double_eq_tol(exact.p, normal.p, 0.05);
    for (unsigned i = 0; i < RANK_MOST; i++) {
        base[i] = 1000 + i;
        new[i] = 1100 + i;
    }
    ck_assert_int_eq(rank_compare(base, RANK_MOST, new, RANK_MOST, &normal), 0);
    ck_assert(normal.p < 1e-6 && normal.low > 0 && normal.high > normal.change);
}
END_TEST

/* ---- buckets ---- */

START_TEST(buckets)
{
    struct rank_bucket b[] = {{0, 1, 500, 500}, {1, 2, 300, 300}, {2, INFINITY, 10, 10}};
    struct rank_result r;
    ck_assert_int_eq(rank_buckets(b, 3, &r), 0);
    CLOSE(r.change, 0);
    CLOSE(r.p, 1);
    b[0].new = 250, b[1].new = 550;
    ck_assert_int_eq(rank_buckets(b, 3, &r), 0);
    ck_assert(r.p < 1e-6 && r.change > 0.1 && r.low > 0 && r.low < r.change && r.change < r.high);
}
END_TEST

/* ---- outliers ---- */

START_TEST(outliers)
{
    static const double runs[] = {1, 2, 3, 4, 100}, equal[] = {5, 5, 5, 5, 9}, one[] = {5, 5, 5};
    const struct rank_centre c = rank_centre(runs, 5), e = rank_centre(equal, 5);
    CLOSE(c.median, 3);
    CLOSE(c.sigma, 1.4826);
    CLOSE(rank_sigmas(c, 100), 97 / 1.4826);
    CLOSE(e.sigma, 1.2533 * 0.8);
    ck_assert(rank_sigmas(e, 9) > RANK_OUTLIER && rank_sigmas(e, 5) < RANK_OUTLIER);
    CLOSE(rank_sigmas(rank_centre(one, 3), 7), 0);
}
END_TEST

/* ---- counts ---- */

START_TEST(counts)
{
    CLOSE(counts_compare(0, 6).p, 2.0 / 64);
    CLOSE(counts_compare(5, 0).p, 2.0 / 32);
    CLOSE(counts_compare(3, 3).p, 1);
    CLOSE(counts_compare(1, 9).p, 2.0 * 11 / 1024);
    /* Conover, Practical Nonparametric Statistics: 682 of 925 is a share of 70.77% to 76.54%. */
    const struct counts_result r = counts_compare(243, 682);
    ck_assert_double_eq_tol(r.low, 0.7076683 / 0.2923317 - 1, 1e-5);
    ck_assert_double_eq_tol(r.high, 0.7654066 / 0.2345934 - 1, 1e-5);
    ck_assert(isinf(counts_compare(0, 6).high));
    CLOSE(counts_compare(6, 0).low, -1);
    /* Great counts are nearly normal: this is erfc(1), 1.41 sigma. */
    ck_assert_double_eq_tol(counts_compare(1e12 - 1e6, 1e12 + 1e6).p, erfc(1), 2e-3);
    ck_assert_double_eq_tol(counts_compare(1e8 - 1e4, 1e8 + 1e4).p, erfc(1), 1e-4);
}
END_TEST

START_TEST(beta)
{
    CLOSE(counts_beta(1, 1, 0.3), 0.3);
    CLOSE(counts_beta(2, 2, 0.25), 0.15625);
    CLOSE(counts_beta(5, 1, 0.9), 0.59049);
    CLOSE(counts_beta(3, 7, 0.4) + counts_beta(7, 3, 0.6), 1);
    CLOSE(counts_beta(3, 7, 0), 0);
    CLOSE(counts_beta(3, 7, 1), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/rank");
    TCase *c = tcase_create("all");
    tcase_add_test(c, textbook);
    tcase_add_loop_test(c, tables, 0, sizeof critical / sizeof *critical);
    tcase_add_test(c, five);
    tcase_add_loop_test(c, ties, 0, 4);
    tcase_add_test(c, ratios);
    tcase_add_test(c, many);
    tcase_add_test(c, buckets);
    tcase_add_test(c, outliers);
    tcase_add_test(c, counts);
    tcase_add_test(c, beta);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
