#include "cli/counts.h"

#include <math.h>
#include <stdbool.h>

#define TINY 1e-300

/* Lentz's evaluation of the continued fraction; fast where x < (a + 1) / (a + b + 2). Its terms
 * go in the square root of a and b. */
static double fraction(double a, double b, double x)
{
    enum { MOST = 100000 };
    double c = 1, d = 1 - (a + b) * x / (a + 1), f;
    d = 1 / (fabs(d) < TINY ? TINY : d);
    f = d;
    for (int i = 1; i < MOST; i++) {
        const double even = i * (b - i) * x / ((a + 2 * i - 1) * (a + 2 * i));
        const double odd = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = fabs(c) < TINY ? TINY : c;
        f *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = fabs(c) < TINY ? TINY : c;
        f *= d * c;
        if (fabs(d * c - 1) < 1e-14)
            break;
    }
    return f;
}

double counts_beta(double a, double b, double x)
{
    if (!(x > 0))
        return 0;
    if (!(x < 1))
        return 1;
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * fraction(a, b, x) / a;
    return 1 - front * fraction(b, a, 1 - x) / b;
}

/* P(X >= new) of n tosses that fall on the new side with probability p; P(X <= new). */
static double at_least(double n, double new, double p)
{
    return new > 0 ? counts_beta(new, n - new + 1, p) : 1;
}

static double at_most(double n, double new, double p)
{
    return new < n ? counts_beta(n - new, new + 1, 1 - p) : 1;
}

/* The share where a tail that rises (or falls) with it has 2.5%. */
static double share_at(double (*tail)(double, double, double), double n, double new, bool rises)
{
    double low = 0, high = 1;
    for (int i = 0; i < 60; i++) {
        const double half = (low + high) / 2;
        if ((tail(n, new, half) < 0.025) == rises)
            low = half;
        else
            high = half;
    }
    return (low + high) / 2;
}

struct counts_result counts_compare(double base, double new)
{
    const double n = base + new;
    const double tails = fmin(at_least(n, new, 0.5), at_most(n, new, 0.5));
    struct counts_result r = {.p = fmin(1, 2 * tails), .low = -1, .high = INFINITY};
    if (new > 0) {
        const double share = share_at(at_least, n, new, true);
        r.low = share / (1 - share) - 1;
    }
    if (new < n) {
        const double share = share_at(at_most, n, new, false);
        r.high = share / (1 - share) - 1;
    }
    return r;
}
