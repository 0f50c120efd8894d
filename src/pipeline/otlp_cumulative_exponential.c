/* Cumulative exponential histograms: what is kept is the newest point, and what is new is
 * the difference bucket by bucket, at the coarser of the two scales. */
#include <math.h>

#include "base/bytes.h"
#include "pipeline/otlp_cumulative.h"
#include "store/series.h"

/* The words that are kept: count, sum, zeros, scale, where the buckets lie, counts. */
enum { KEPT_COUNT, KEPT_SUM, KEPT_ZEROS, KEPT_SCALE, KEPT_POSITIVE, KEPT_NEGATIVE, KEPT_COUNTS };
enum { KEPT_BUCKETS = STREAM_WORDS_MAX - KEPT_COUNTS, KEPT_SPARE = 16 };

struct kept {
    int scale;
    double sum;
    uint64_t zeros;
    struct otlp_exp_buckets positive, negative;
};

static uint64_t place_word(const struct otlp_exp_buckets *b)
{
    return (uint64_t)(uint32_t)b->offset << 32 | b->n;
}

static unsigned kept_words(const struct otlp_point *p)
{
    return KEPT_COUNTS + p->positive.n + p->negative.n;
}

static unsigned pack(const struct otlp_point *p, uint64_t word[STREAM_WORDS_MAX])
{
    word[KEPT_COUNT] = p->count;
    word[KEPT_SUM] = f64_bits(p->sum);
    word[KEPT_ZEROS] = p->zero_count;
    word[KEPT_SCALE] = (uint64_t)(int64_t)p->scale;
    word[KEPT_POSITIVE] = place_word(&p->positive);
    word[KEPT_NEGATIVE] = place_word(&p->negative);
    memcpy(word + KEPT_COUNTS, p->positive.counts, p->positive.n * sizeof *word);
    memcpy(word + KEPT_COUNTS + p->positive.n, p->negative.counts, p->negative.n * sizeof *word);
    return kept_words(p);
}

static void unpack_buckets(struct otlp_exp_buckets *b, uint64_t place, const uint64_t *counts)
{
    b->offset = (int)(int32_t)(uint32_t)(place >> 32);
    b->n = (unsigned)(place & 0xffffffff);
    memcpy(b->counts, counts, b->n * sizeof *counts);
}

static bool unpack(const struct stream_view *v, struct kept *k)
{
    const uint64_t *w = v->values;
    if (v->words < KEPT_COUNTS)
        return false;
    const uint64_t n = (w[KEPT_POSITIVE] & 0xffffffff) + (w[KEPT_NEGATIVE] & 0xffffffff);
    if (n > v->words - KEPT_COUNTS)
        return false;
    k->scale = (int)(int64_t)w[KEPT_SCALE];
    k->sum = bits_f64(w[KEPT_SUM]);
    k->zeros = w[KEPT_ZEROS];
    unpack_buckets(&k->positive, w[KEPT_POSITIVE], w + KEPT_COUNTS);
    unpack_buckets(&k->negative, w[KEPT_NEGATIVE], w + KEPT_COUNTS + k->positive.n);
    return true;
}

static void coarsen(struct otlp_point *p, int scale)
{
    const int64_t steps = (int64_t)p->scale - scale;
    exponential_merge(&p->positive, (unsigned)steps);
    exponential_merge(&p->negative, (unsigned)steps);
    p->scale = scale;
}

/* Takes b from a, both of one scale; false, and a is spoiled, when a has fallen. */
static bool subtract_buckets(struct otlp_exp_buckets *a, const struct otlp_exp_buckets *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        const int64_t at = (int64_t)b->offset + i - a->offset;
        if (b->counts[i] == 0)
            continue;
        if (at < 0 || at >= a->n || a->counts[at] < b->counts[i])
            return false;
        a->counts[at] -= b->counts[i];
    }
    return true;
}

/* Leaves in the point what it is above the kept one; false when it has fallen. */
static bool above(struct otlp_point *p, const struct kept *k)
{
    if (p->zero_count < k->zeros || !subtract_buckets(&p->positive, &k->positive) ||
        !subtract_buckets(&p->negative, &k->negative))
        return false;
    const double sum = p->sum - k->sum;
    p->zero_count -= k->zeros;
    p->sum = isfinite(sum) ? sum : 0;
    return true;
}

/* Back to what was packed. */
static void restore(struct otlp_point *p, const uint64_t *word)
{
    p->zero_count = word[KEPT_ZEROS];
    p->sum = bits_f64(word[KEPT_SUM]);
    unpack_buckets(&p->positive, word[KEPT_POSITIVE], word + KEPT_COUNTS);
    unpack_buckets(&p->negative, word[KEPT_NEGATIVE], word + KEPT_COUNTS + p->positive.n);
}

static void add_nothing(struct otlp_point *p)
{
    p->zero_count = 0;
    p->sum = 0;
    p->positive.n = p->negative.n = 0;
}

/* The stream and its series, with room for that many words. */
static int reach_stream(struct otlp_request *r, const uint64_t hash[2], bool known, unsigned words,
                        struct stream_view *v)
{
    struct store *st = r->pl->st;
    uint32_t series = v->series;
    const unsigned room =
        words + KEPT_SPARE < STREAM_WORDS_MAX ? words + KEPT_SPARE : STREAM_WORDS_MAX;
    if (known && v->words >= words)
        return DROP_MAX;
    const int why = known ? DROP_MAX : otlp_series(r, &series);
    if (why != DROP_MAX)
        return why;
    const uint32_t before = v->id;
    v->id = 0;
    if (before)
        stream_remove(st, before);
    const uint32_t id = stream_make(st, hash, series, r->domain, room);
    if (!id)
        return DROP_SERIES_FULL;
    v->id = id;
    v->series = series;
    return DROP_MAX;
}

/* Merges until the point and what is kept have one scale and fit. */
static void align(struct otlp_point *p, struct kept *k, bool known)
{
    while (p->positive.n + p->negative.n > KEPT_BUCKETS)
        coarsen(p, p->scale - 1);
    if (known && p->scale > k->scale)
        coarsen(p, k->scale);
    if (known && k->scale > p->scale) {
        const unsigned steps = (unsigned)((int64_t)k->scale - p->scale);
        exponential_merge(&k->positive, steps);
        exponential_merge(&k->negative, steps);
    }
}

int otlp_cumulative_exponential(struct otlp_request *r, uint32_t *series)
{
    struct otlp_point *p = &r->point;
    uint64_t hash[2], word[STREAM_WORDS_MAX];
    struct stream_view v = {0};
    struct kept k = {.scale = 0};
    cumulative_hash(r, hash);
    const uint32_t id = stream_find(r->pl->st, hash);
    const bool known = cumulative_read(r, id, &v) && unpack(&v, &k);
    v.id = id;
    align(p, &k, known);
    const uint64_t start = v.start, time = v.time;
    const unsigned n = pack(p, word);
    const bool fell = known && !above(p, &k);
    const enum point_verdict verdict =
        known ? cumulative_judge(p, &v, fell) : cumulative_first(r, hash);
    if (verdict == POINT_STALE) {
        *series = v.series;
        cumulative_count(r, verdict, known);
        add_nothing(p);
        return DROP_MAX;
    }
    const int why = reach_stream(r, hash, known, n, &v);
    if (why != DROP_MAX)
        return why;
    cumulative_count(r, verdict, known);
    v.start = start;
    v.time = time;
    cumulative_keep(r, v.id, &v, word, n);
    *series = v.series;
    if (verdict == POINT_BASELINE)
        add_nothing(p);
    if (verdict == POINT_WHOLE)
        restore(p, word);
    return DROP_MAX;
}
