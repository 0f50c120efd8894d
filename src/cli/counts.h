/* counts: whether two counts of events differ, such as errors of two runs of the same work.
 * Pure arithmetic.
 *
 * Given their sum, each event fell on either side by the toss of a coin if nothing changed: the
 * exact binomial test, two-sided, with Clopper and Pearson's interval for the ratio. It takes
 * events to be independent of each other, which those of one cause are not. */
#ifndef MCPTALLY_CLI_COUNTS_H
#define MCPTALLY_CLI_COUNTS_H

struct counts_result {
    double p;
    double low, high; /* of new / base - 1, at 95%; high may be infinite */
};

/* Up to here p is right to a hundredth of itself. */
#define COUNTS_MOST 1e12

/* Counts of the same amount of work, 0 to COUNTS_MOST, not both 0. */
struct counts_result counts_compare(double base, double new);

/* The regularized incomplete beta function, a and b above 0, x from 0 to 1. */
double counts_beta(double a, double b, double x);

#endif
