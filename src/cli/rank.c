#include "cli/rank.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* Of the standard normal distribution, at 97.5%. */
#define Z 1.959963984540054

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(const double *sorted, size_t n)
{
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Both tails of a standard normal deviate. */
static double two_tails(double z)
{
    return erfc(fabs(z) / sqrt(2));
}

/* ---- the exact distribution ---- */

enum { SUM_MOST = 2 * RANK_EXACT * (2 * RANK_EXACT + 1) }; /* of twice the ranks */

/* In how many ways k of the items have this sum of twice their ranks. Ranks are doubled so that
 * midranks are whole; the counts stay below 2^53, so doubles hold them exactly. */
struct null {
    double ways[RANK_EXACT + 1][SUM_MOST + 1];
};

static void null_fill(struct null *t, const unsigned *twice, size_t items, size_t k)
{
    unsigned sum = 0;
    memset(t, 0, sizeof *t);
    t->ways[0][0] = 1;
    for (size_t i = 0; i < items; i++) {
        sum += twice[i];
        for (size_t j = k < i + 1 ? k : i + 1; j > 0; j--)
            for (unsigned s = sum; s >= twice[i]; s--)
                t->ways[j][s] += t->ways[j - 1][s - twice[i]];
    }
}

static double null_total(const struct null *t, size_t k)
{
    double total = 0;
    for (unsigned s = 0; s <= SUM_MOST; s++)
        total += t->ways[k][s];
    return total;
}

/* The share of sums up to `most`, or from it on. */
static double null_below(const struct null *t, size_t k, unsigned most)
{
    double ways = 0;
    for (unsigned s = 0; s <= most; s++)
        ways += t->ways[k][s];
    return ways / null_total(t, k);
}

static double null_above(const struct null *t, size_t k, unsigned least)
{
    double ways = 0;
    for (unsigned s = least; s <= SUM_MOST; s++)
        ways += t->ways[k][s];
    return ways / null_total(t, k);
}

/* ---- ranks ---- */

struct item {
    double value;
    bool base;
};

static int by_item(const void *a, const void *b)
{
    return by_value(&((const struct item *)a)->value, &((const struct item *)b)->value);
}

/* What the test needs of two samples put in order. */
struct ranks {
    size_t n, m;
    double base_sum; /* of the base's midranks */
    double ties;     /* the sum of t^3 - t over ties of t figures */
};

/* Fills twice the midrank of each item, in order, where the caller wants them. */
static void rank_items(const struct item *items, struct ranks *r, unsigned *twice)
{
    const size_t all = r->n + r->m;
    for (size_t i = 0, end; i < all; i = end) {
        for (end = i + 1; end < all && items[end].value <= items[i].value;)
            end++;
        const double t = (double)(end - i), rank = (double)(i + 1 + end) / 2;
        r->ties += t * t * t - t;
        for (size_t j = i; j < end; j++) {
            r->base_sum += items[j].base ? rank : 0;
            if (twice)
                twice[j] = (unsigned)(i + 1 + end);
        }
    }
}

/* By the normal approximation; u is the base's. */
static double normal_p(double n, double m, double u, double ties)
{
    const double all = n + m;
    const double variance = n * m / 12 * (all + 1 - ties / (all * (all - 1)));
    const double off = fabs(u - n * m / 2) - 0.5;
    return variance > 0 && off > 0 ? two_tails(off / sqrt(variance)) : 1;
}

static double exact_p(struct null *t, const struct ranks *r, const unsigned *twice)
{
    const unsigned sum = (unsigned)lround(2 * r->base_sum);
    null_fill(t, twice, r->n + r->m, r->n);
    const double low = null_below(t, r->n, sum), high = null_above(t, r->n, sum);
    return fmin(1, 2 * fmin(low, high));
}

/* How many pairs are left out at each end of the interval, less one; -1: there is none.
 * Without ties, which a continuous figure does not have. */
static long exact_cut(struct null *t, size_t n, size_t m)
{
    unsigned twice[2 * RANK_EXACT];
    long cut = -1;
    for (unsigned i = 0; i < n + m; i++)
        twice[i] = 2 * (i + 1);
    null_fill(t, twice, n + m, n);
    const unsigned least = (unsigned)(n * (n + 1));
    while (cut < (long)(n * m) / 2 &&
           null_below(t, n, least + 2 * (unsigned)(cut + 1)) <= RANK_ALPHA / 2)
        cut++;
    return cut;
}

static long normal_cut(double n, double m)
{
    return (long)floor(n * m / 2 - Z * sqrt(n * m * (n + m + 1) / 12)) - 1;
}

/* 2 / C(n + m, n): all of one side below all of the other. */
static double least_p(double n, double m)
{
    return fmin(1, 2 * exp(lgamma(n + 1) + lgamma(m + 1) - lgamma(n + m + 1)));
}

/* ---- sets of figures ---- */

static void test(struct null *t, const struct item *items, struct ranks *r, struct rank_result *to)
{
    unsigned twice[2 * RANK_EXACT];
    to->exact = r->n <= RANK_EXACT && r->m <= RANK_EXACT;
    rank_items(items, r, to->exact ? twice : NULL);
    const double n = (double)r->n, m = (double)r->m;
    to->least = least_p(n, m);
    to->p =
        to->exact ? exact_p(t, r, twice) : normal_p(n, m, r->base_sum - n * (n + 1) / 2, r->ties);
}

static bool all_positive(const struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(items[i].value > 0))
            return false;
    return true;
}

static void estimate(double *pairs, const struct ranks *ranks, long cut, struct rank_result *to)
{
    const size_t n = ranks->n * ranks->m;
    qsort(pairs, n, sizeof *pairs, by_value);
    to->change = middle(pairs, n);
    to->bounded = cut >= 0;
    if (to->bounded) {
        to->low = pairs[cut];
        to->high = pairs[n - 1 - (size_t)cut];
    }
}

static void make_pairs(double *pairs, const struct item *items, const struct ranks *r, bool ratio)
{
    const size_t all = r->n + r->m;
    for (size_t i = 0; i < all; i++)
        for (size_t j = 0; items[i].base && j < all; j++)
            if (!items[j].base)
                *pairs++ =
                    ratio ? items[j].value / items[i].value - 1 : items[j].value - items[i].value;
}

static void put_items(struct item *items, const double *from, size_t n, bool base)
{
    for (size_t i = 0; i < n; i++)
        items[i] = (struct item){from[i], base};
}

int rank_compare(const double *base, size_t n, const double *new, size_t m, struct rank_result *r)
{
    struct ranks ranks = {.n = n, .m = m};
    struct item *items = calloc(n + m, sizeof *items);
    double *pairs = calloc(n * m, sizeof *pairs);
    struct null *null = malloc(sizeof *null);
    const bool have = items && pairs && null;
    assert(n > 0 && m > 0 && n <= RANK_MOST && m <= RANK_MOST);
    if (have) {
        *r = (struct rank_result){0};
        put_items(items, base, n, true);
        put_items(items + n, new, m, false);
        r->ratio = all_positive(items, n + m);
        make_pairs(pairs, items, &ranks, r->ratio);
        qsort(items, n + m, sizeof *items, by_item);
        test(null, items, &ranks, r);
        estimate(pairs, &ranks, r->exact ? exact_cut(null, n, m) : normal_cut((double)n, (double)m),
                 r);
    }
    free(null);
    free(pairs);
    free(items);
    return have ? 0 : -ERR_NOMEM;
}

/* ---- buckets ---- */

enum { SPREAD = 4 }; /* points that stand for a bucket */

struct pair {
    double change, weight;
};

static int by_change(const void *a, const void *b)
{
    return by_value(&((const struct pair *)a)->change, &((const struct pair *)b)->change);
}

/* The i-th point of a bucket. What has no upper end is as wide as what is below it. */
static double point(const struct rank_bucket *b, unsigned i)
{
    const double to = isfinite(b->to) ? b->to : 2 * fmax(b->from, 0);
    return b->from + (to - b->from) * (i + 0.5) / SPREAD;
}

static double p_of_buckets(const struct rank_bucket *b, size_t n, double *base, double *new)
{
    double ties = 0, u = 0, below = 0;
    *base = *new = 0;
    for (size_t i = 0; i < n; i++) {
        const double t = b[i].base + b[i].new;
        u += b[i].base * (below + b[i].new / 2);
        below += b[i].new;
        ties += t * t * t - t;
        *base += b[i].base;
        *new += b[i].new;
    }
    return normal_p(*base, *new, u, ties);
}

static size_t pairs_of_buckets(struct pair *pairs, const struct rank_bucket *b, size_t n,
                               bool ratio)
{
    size_t count = 0;
    for (size_t i = 0; i < n * SPREAD; i++)
        for (size_t j = 0; j < n * SPREAD; j++) {
            const struct rank_bucket *x = &b[i / SPREAD], *y = &b[j / SPREAD];
            const double weight = x->base * y->new / (SPREAD * SPREAD);
            const double from = point(x, i % SPREAD), to = point(y, j % SPREAD);
            if (weight > 0)
                pairs[count++] = (struct pair){ratio ? to / from - 1 : to - from, weight};
        }
    return count;
}

/* The change that so much weight lies below. */
static double at_weight(const struct pair *pairs, size_t n, double weight)
{
    size_t i = 0;
    for (double sum = pairs[0].weight; i + 1 < n && sum < weight;)
        sum += pairs[++i].weight;
    return pairs[i].change;
}

static void estimate_buckets(struct pair *pairs, size_t n, double base, double new,
                             struct rank_result *r)
{
    const double all = base * new, margin = Z *sqrt(all * (base + new + 1) / 12);
    qsort(pairs, n, sizeof *pairs, by_change);
    r->change = at_weight(pairs, n, all / 2);
    r->bounded = all / 2 - margin > 0;
    r->low = at_weight(pairs, n, all / 2 - margin);
    r->high = at_weight(pairs, n, all / 2 + margin);
}

int rank_buckets(const struct rank_bucket *buckets, size_t n, struct rank_result *r)
{
    double base, new;
    assert(n > 0 && n <= RANK_BUCKETS);
    struct pair *pairs = calloc(n * n * SPREAD * SPREAD, sizeof *pairs);
    if (!pairs)
        return -ERR_NOMEM;
    *r = (struct rank_result){.ratio = buckets[0].from >= 0};
    r->p = p_of_buckets(buckets, n, &base, &new);
    assert(base > 0 && new > 0);
    r->least = least_p(base, new);
    const size_t count = pairs_of_buckets(pairs, buckets, n, r->ratio);
    estimate_buckets(pairs, count, base, new, r);
    free(pairs);
    return 0;
}

/* ---- outliers ---- */

/* Normally distributed figures have these ratios of sigma to the median and mean distance. */
#define SIGMA_OF_MEDIAN 1.4826
#define SIGMA_OF_MEAN   1.2533

struct rank_centre rank_centre(const double *figures, size_t n)
{
    double sorted[RANK_MOST], sum = 0;
    assert(n > 0 && n <= RANK_MOST);
    memcpy(sorted, figures, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    struct rank_centre c = {.median = middle(sorted, n)};
    for (size_t i = 0; i < n; i++)
        sum += sorted[i] = fabs(sorted[i] - c.median);
    qsort(sorted, n, sizeof *sorted, by_value);
    c.sigma = SIGMA_OF_MEDIAN * middle(sorted, n);
    if (!(c.sigma > 0))
        c.sigma = SIGMA_OF_MEAN * sum / (double)n;
    return c;
}

double rank_sigmas(struct rank_centre c, double figure)
{
    return c.sigma > 0 ? fabs(figure - c.median) / c.sigma : 0;
}
