/* Exponential histograms: merged, and counted into fixed buckets. */
#include <math.h>

#include "base/bytes.h"
#include "pipeline/otlp_request.h"
#include "store/sketch.h"

enum { WORD = 8, STEPS_MAX = 40 /* by then every index is 0 or -1 */ };

void exponential_merge(struct otlp_exp_buckets *b, unsigned steps)
{
    const unsigned shift = steps < STEPS_MAX ? steps : STEPS_MAX;
    const int64_t first = (int64_t)b->offset >> shift;
    unsigned n = 0;
    if (shift == 0)
        return;
    for (unsigned i = 0; i < b->n; i++) {
        const unsigned at = (unsigned)((((int64_t)b->offset + i) >> shift) - first);
        const uint64_t c = b->counts[i];
        if (at >= n) {
            n = at + 1;
            b->counts[at] = 0;
        }
        b->counts[at] += c;
    }
    b->offset = (int)first;
    b->n = n;
}

static double exponential_middle(int scale, int64_t index)
{
    return exp2(ldexp((double)index + 0.5, -scale));
}

struct spread {
    const struct metric_view *m;
    uint64_t counts[LIMIT_BOUNDS + 1]; /* by bucket of the metric */
    struct store *st;
    uint64_t sketch, minute; /* sketch 0: none is kept */
};

static void spread_value(struct spread *s, double v, uint64_t n)
{
    if (n == 0)
        return;
    s->counts[bucket_index(s->m->bounds, s->m->nbounds, v)] += n;
    if (s->sketch)
        (void)sketch_add_n(s->st, s->sketch, v, n, s->minute); /* full: buckets have it */
}

static void spread_buckets(struct spread *s, const struct otlp_exp_buckets *b, int scale,
                           double sign)
{
    for (unsigned i = 0; i < b->n; i++)
        spread_value(s, sign * exponential_middle(scale, (int64_t)b->offset + i), b->counts[i]);
}

void exponential_observe(struct store *st, const struct metric_view *m, enum cell_op op,
                         uint64_t cells, const struct otlp_point *p, uint64_t minute)
{
    struct spread s = {.m = m, .st = st, .minute = minute};
    if (op == CELL_OBSERVE_SKETCH)
        s.sketch = store_get(st, cells + (CELL_BUCKETS + m->nbounds + 1) * WORD);
    spread_value(&s, 0, p->zero_count);
    spread_buckets(&s, &p->positive, p->scale, 1);
    spread_buckets(&s, &p->negative, p->scale, -1);
    for (unsigned i = 0; i <= m->nbounds; i++)
        if (s.counts[i])
            store_add(st, cells + (CELL_BUCKETS + i) * WORD, s.counts[i]);
    if (p->sum < 0 || p->sum > 0)
        cell_add_f64(st, cells + CELL_SUM * WORD, p->sum);
}
