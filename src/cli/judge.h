/* judge: what became of a figure between two sets: better, worse, how badly, how sure. Pure. */
#ifndef MCPTALLY_CLI_JUDGE_H
#define MCPTALLY_CLI_JUDGE_H

#include "cli/figure.h"

/* X(SYMBOL, "word"), the last the worst */
#define OUTCOME_TABLE(X)                                                                           \
    X(SAME, "unchanged")  /* below its threshold, or not significant */                            \
    X(CHANGED, "changed") /* of a class that has no better and no worse */                         \
    X(BETTER, "improvement")                                                                       \
    X(UNTESTED, "untested") /* worse beyond its threshold, but too few runs to be sure */          \
    X(WORSE, "regression")

enum outcome {
#define X(sym, word) OUTCOME_##sym,
    OUTCOME_TABLE(X)
#undef X
        OUTCOMES
};

const char *outcome_name(enum outcome o);

/* X(SYMBOL, "word", from how many times the threshold) */
#define GRADE_TABLE(X)                                                                             \
    X(LOW, "low", 1)                                                                               \
    X(MEDIUM, "medium", 2)                                                                         \
    X(HIGH, "high", 4)                                                                             \
    X(CRITICAL, "critical", 10)

enum grade {
    GRADE_NONE,
#define X(sym, word, times) GRADE_##sym,
    GRADE_TABLE(X)
#undef X
};

const char *grade_name(enum grade s); /* "none" for none */

/* X(SYMBOL, "word"): how a figure was tested */
#define TEST_TABLE(X)                                                                              \
    X(NONE, "none")                                                                                \
    X(RANKS, "ranks")     /* Mann-Whitney */                                                       \
    X(BUCKETS, "buckets") /* the same over a histogram */                                          \
    X(COUNTS, "counts")   /* binomial */

enum test {
#define X(sym, word) TEST_##sym,
    TEST_TABLE(X)
#undef X
};

const char *test_name(enum test t);

struct verdict {
    const struct figure *base, *new;
    enum outcome outcome;
    enum grade severity; /* of a regression, and of what is untested */
    enum test test;
    bool exact, bounded;
    double base_median, new_median; /* of a histogram: where half of its observations are below */
    double change, low, high;       /* shares: 0.05 is 5% more; infinite where there was nothing */
    double p, least;                /* 1 without a test */
};

/* Thresholds are shares, by class; that of OTHER too. Both are the same figure. 0 or -ERR_NOMEM. */
int judge(const struct figure *base, const struct figure *new, const double *thresholds,
          struct verdict *v);

#endif
