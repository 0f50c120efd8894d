#include "cli/judge.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "cli/counts.h"

const char *outcome_name(enum outcome o)
{
    static const char *const words[] = {
#define X(sym, word) word,
        OUTCOME_TABLE(X)
#undef X
    };
    return words[o];
}

const char *grade_name(enum grade s)
{
    static const char *const words[] = {"none",
#define X(sym, word, times) word,
                                        GRADE_TABLE(X)
#undef X
    };
    return words[s];
}

const char *test_name(enum test t)
{
    static const char *const words[] = {
#define X(sym, word) word,
        TEST_TABLE(X)
#undef X
    };
    return words[t];
}

/* A difference as a share of what there was. */
static double share(double difference, double of)
{
    if (fabs(of) > 0)
        return difference / fabs(of);
    return difference > 0 ? (double)INFINITY : difference < 0 ? -(double)INFINITY : 0;
}

static void take_ranks(struct verdict *v, const struct rank_result *r, enum test test)
{
    const double of = v->base_median;
    v->p = r->p;
    v->least = r->least;
    v->exact = r->exact;
    v->bounded = r->bounded;
    v->change = r->ratio ? r->change : share(r->change, of);
    v->low = r->ratio ? r->low : share(r->low, of);
    v->high = r->ratio ? r->high : share(r->high, of);
    v->test = r->least <= RANK_ALPHA ? test : TEST_NONE;
}

/* ---- the three shapes of figures ---- */

static int judge_runs(struct verdict *v)
{
    const struct figure *b = v->base, *n = v->new;
    struct rank_result r;
    v->base_median = rank_centre(b->runs, b->n).median;
    v->new_median = rank_centre(n->runs, n->n).median;
    const int e = rank_compare(b->runs, b->n, n->runs, n->n, &r);
    if (e == 0)
        take_ranks(v, &r, TEST_RANKS);
    return e;
}

static void judge_counts(struct verdict *v)
{
    const double base = v->base->runs[0], new = v->new->runs[0];
    v->base_median = base;
    v->new_median = new;
    if (!(base + new > 0))
        return;
    const struct counts_result r = counts_compare(base, new);
    v->test = TEST_COUNTS;
    v->exact = v->bounded = true;
    v->p = r.p;
    v->least = fmin(1, exp2(1 - base - new));
    v->change = share(new - base, base);
    v->low = r.low;
    v->high = r.high;
}

static double observed(const struct figure *f)
{
    double sum = 0;
    for (size_t i = 0; i < f->nbuckets; i++)
        sum += f->observed[i];
    return sum;
}

/* Within its bucket by a straight line; above the last bound there is only that bound. */
static double half_of(const struct figure *f)
{
    double left = observed(f) / 2;
    size_t i = 0;
    for (; i + 1 < f->nbuckets && left > f->observed[i]; i++)
        left -= f->observed[i];
    const double from = i ? f->bounds[i - 1] : fmin(0, f->bounds[0]);
    if (!isfinite(f->bounds[i]) || !(f->observed[i] > 0))
        return from;
    return from + (f->bounds[i] - from) * left / f->observed[i];
}

static bool same_bounds(const struct figure *a, const struct figure *b)
{
    return a->nbuckets == b->nbuckets &&
           memcmp(a->bounds, b->bounds, a->nbuckets * sizeof *a->bounds) == 0;
}

static int judge_buckets(struct verdict *v)
{
    struct rank_bucket buckets[RANK_BUCKETS];
    const struct figure *b = v->base, *n = v->new;
    struct rank_result r;
    if (!same_bounds(b, n) || !(observed(b) > 0) || !(observed(n) > 0))
        return 0;
    v->base_median = half_of(b);
    v->new_median = half_of(n);
    for (size_t i = 0; i < b->nbuckets; i++)
        buckets[i] = (struct rank_bucket){i ? b->bounds[i - 1] : fmin(0, b->bounds[0]),
                                          b->bounds[i], b->observed[i], n->observed[i]};
    const int e = rank_buckets(buckets, b->nbuckets, &r);
    if (e == 0)
        take_ranks(v, &r, TEST_BUCKETS);
    return e;
}

/* ---- the verdict ---- */

/* Of errors, from one export; of other counts nobody says that they come one by one. */
static bool is_count(const struct figure *f)
{
    return f->n == 1 && f->counts && f->class == FIGURE_ERRORS && f->runs[0] >= 0 &&
           f->runs[0] <= COUNTS_MOST;
}

static enum grade severity_of(double times)
{
    enum grade s = GRADE_NONE;
#define X(sym, word, from) s = times >= from ? GRADE_##sym : s;
    GRADE_TABLE(X)
#undef X
    return s;
}

static void decide(struct verdict *v, double threshold)
{
    const bool worse = v->base->more_is_better ? v->change < 0 : v->change > 0;
    const double size = fabs(v->change);
    if (!(size > 0) || size < threshold || (v->test != TEST_NONE && v->p > RANK_ALPHA))
        v->outcome = OUTCOME_SAME;
    else if (v->base->class == FIGURE_OTHER)
        v->outcome = OUTCOME_CHANGED;
    else if (v->test == TEST_NONE)
        v->outcome = worse ? OUTCOME_UNTESTED : OUTCOME_SAME;
    else
        v->outcome = worse ? OUTCOME_WORSE : OUTCOME_BETTER;
    if (v->outcome == OUTCOME_WORSE || v->outcome == OUTCOME_UNTESTED)
        v->severity = threshold > 0 ? severity_of(size / threshold) : GRADE_LOW;
}

int judge(const struct figure *base, const struct figure *new, const double *thresholds,
          struct verdict *v)
{
    int r = 0;
    *v = (struct verdict){.base = base, .new = new, .p = 1, .least = 1};
    if (base->nbuckets && new->nbuckets)
        r = judge_buckets(v);
    else if (is_count(base) && is_count(new))
        judge_counts(v);
    else if (base->n && new->n)
        r = judge_runs(v);
    if (r == 0)
        decide(v, thresholds[base->class]);
    return r;
}
