/* rank: whether two sets of figures differ, and by how much, from their order alone. No figure
 * needs to be normally distributed, and one wild run moves nothing far. Pure arithmetic.
 *
 * The test is Mann and Whitney's U, two-sided, with midranks for ties; up to RANK_EXACT figures
 * a side from the exact distribution of the rank sum (ties included), above by the normal
 * approximation with corrections for ties and continuity. The change is Hodges and Lehmann's
 * estimate, the median over all pairs, with the interval that belongs to the same test. */
#ifndef MCPTALLY_CLI_RANK_H
#define MCPTALLY_CLI_RANK_H

#include <stdbool.h>
#include <stddef.h>

enum { RANK_EXACT = 20, RANK_MOST = 1000 }; /* figures a side */

/* What "significant" is: 95%. */
#define RANK_ALPHA 0.05

/* Sigmas from the median, from where a run is an outlier. */
#define RANK_OUTLIER 2.5

struct rank_result {
    double p;                 /* of so great a difference, or a greater one, by chance */
    double least;             /* the smallest p that samples of this size can have at all */
    double change, low, high; /* see rank_compare(); low and high only where bounded */
    bool exact;
    bool bounded; /* there is an interval of at least 95%: too few figures have none */
    bool ratio;   /* the change is one of ratios */
};

/* Compares n base figures with m new ones, each 1 to RANK_MOST and finite. Where all are
 * positive the change is the median of new / base over all pairs, less 1; else the median of
 * new - base. 0 or -ERR_NOMEM. */
int rank_compare(const double *base, size_t n, const double *new, size_t m, struct rank_result *r);

/* The same of observations in buckets. Each bucket is one tie for the test; for the change its
 * observations are spread evenly over it. Buckets are ascending; the last may be unbounded.
 * Neither side may be empty. */
enum { RANK_BUCKETS = 128 };

struct rank_bucket {
    double from, to;  /* to may be infinite */
    double base, new; /* observations */
};

int rank_buckets(const struct rank_bucket *buckets, size_t n, struct rank_result *r);

/* The median, and a robust sigma: 1.4826 times the median distance from it, or 1.2533 times the
 * mean distance where more than half of the figures are equal. n is 1 to RANK_MOST. */
struct rank_centre {
    double median, sigma;
};
struct rank_centre rank_centre(const double *figures, size_t n);

/* How many sigmas a figure is from the centre; 0 when there is no sigma. */
double rank_sigmas(struct rank_centre c, double figure);

#endif
