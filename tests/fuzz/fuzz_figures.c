/* What `mcptally compare` reads: reports and exports of any shape. What it takes must be sound, and
 * nothing may differ from itself. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct figure *f)
{
    static const double thresholds[FIGURE_CLASSES] = {0.05, 0.05, 0.05, 0.05, 0.05};
    struct verdict v;
    assert(f->n <= RANK_MOST && f->nreference <= RANK_MOST && f->nbuckets <= RANK_BUCKETS);
    for (size_t i = 0; i < f->n; i++)
        assert(isfinite(f->runs[i]));
    for (size_t i = 1; i < f->nbuckets; i++)
        assert(f->bounds[i] > f->bounds[i - 1]);
    assert(judge(f, f, thresholds, &v) == 0);
    assert(v.outcome == OUTCOME_SAME || v.outcome == OUTCOME_CHANGED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { CHECKED = 64 }; /* figures of an input that are judged: each costs pairs of its runs */
    char why[FIGURE_TEXT] = "";
    struct figures set = {0};
    char *text = malloc(size + 1);
    assert(text);
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    const int r = figures_take(&set, (struct str){text, size}, "fuzz", why);
    assert(r == 0 || *why);
    for (size_t i = 0; i < set.n && i < CHECKED; i++)
        check(&set.all[i]);
    figures_fini(&set);
    free(text);
    return 0;
}
