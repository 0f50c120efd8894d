#include "cli/figure.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"

const char *figure_class_name(enum figure_class c)
{
    static const char *const words[] = {
#define X(sym, word) word,
        FIGURE_CLASS_TABLE(X)
#undef X
    };
    return words[c];
}

int figure_class_of(const char *word)
{
    for (int c = 0; c < FIGURE_CLASSES; c++)
        if (strcmp(word, figure_class_name((enum figure_class)c)) == 0)
            return c;
    return -ERR_NOTFOUND;
}

/* ---- the set ---- */

/* The slot of a name: where it is, or is to be. */
static uint32_t *slot_of(const struct figures *set, struct str name)
{
    const size_t mask = 2 * set->cap - 1;
    for (size_t i = hash_bytes(name.p, name.n, 0) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &set->index[i];
        if (*slot == 0 || str_eq(str_of(set->all[*slot - 1].name), name))
            return slot;
    }
}

static bool grow(struct figures *set)
{
    const size_t cap = set->cap ? 2 * set->cap : 256; /* a power of two */
    uint32_t *index = calloc(2 * cap, sizeof *index);
    struct figure *all = index ? realloc(set->all, cap * sizeof *all) : NULL;
    if (!all) {
        free(index);
        return false;
    }
    free(set->index);
    set->index = index;
    set->all = all;
    set->cap = cap;
    for (size_t i = 0; i < set->n; i++)
        *slot_of(set, str_of(all[i].name)) = (uint32_t)i + 1;
    return true;
}

struct figure *figures_get(struct figures *set, struct str name, struct str unit)
{
    if (set->n == set->cap && (set->n >= FIGURES_MOST || !grow(set)))
        return NULL;
    uint32_t *slot = slot_of(set, name);
    if (*slot)
        return &set->all[*slot - 1];
    struct figure f = {.class = FIGURE_OTHER};
    f.name = strndup(name.p, name.n);
    f.unit = strndup(unit.p ? unit.p : "", unit.n);
    if (!f.name || !f.unit) {
        free(f.name);
        free(f.unit);
        return NULL;
    }
    set->all[set->n] = f;
    *slot = (uint32_t)++set->n;
    return &set->all[set->n - 1];
}

void figures_fini(struct figures *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct figure *f = &set->all[i];
        free(f->name);
        free(f->unit);
        free(f->runs);
        free(f->reference);
        free(f->bounds);
        free(f->observed);
    }
    free(set->all);
    free(set->index);
    *set = (struct figures){0};
}

void figures_by_reference(struct figures *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct figure *f = &set->all[i];
        const size_t n = f->n < f->nreference ? f->n : f->nreference;
        f->n = n ? n : f->n;
        for (size_t j = 0; j < n; j++)
            f->runs[j] /= f->reference[j] > 0 || f->reference[j] < 0 ? f->reference[j] : 1;
    }
}

/* ---- one figure ---- */

/* Arrays grow by doubling: to a power of two. */
static bool append(double **array, size_t *n, double value)
{
    if ((*n & (*n - 1)) == 0) {
        double *more = realloc(*array, (*n ? 2 * *n : 1) * sizeof *more);
        if (!more)
            return false;
        *array = more;
    }
    (*array)[(*n)++] = value;
    return true;
}

bool figure_add(struct figure *f, double run)
{
    return !isfinite(run) || f->n == RANK_MOST || append(&f->runs, &f->n, run);
}

bool figure_add_reference(struct figure *f, double run)
{
    return !isfinite(run) || f->nreference == RANK_MOST ||
           append(&f->reference, &f->nreference, run);
}

bool figure_add_bucket(struct figure *f, size_t at, double bound, double observed)
{
    size_t n = f->nbuckets;
    if (at > n || at >= RANK_BUCKETS || isnan(bound) || !(observed >= 0) || !isfinite(observed))
        return false;
    if (at < n) {
        f->observed[at] += observed;
        return f->bounds[at] >= bound && f->bounds[at] <= bound;
    }
    if (at > 0 && bound <= f->bounds[at - 1])
        return false;
    if (!append(&f->bounds, &n, bound))
        return false;
    n = f->nbuckets;
    if (!append(&f->observed, &n, observed))
        return false;
    f->nbuckets = n;
    return true;
}

/* ---- names ---- */

static int by_key(const void *a, const void *b)
{
    return str_cmp(((const struct figure_label *)a)->key, ((const struct figure_label *)b)->key);
}

static bool put(struct figure_name *name, size_t *n, struct str text)
{
    if (text.n >= sizeof name->text - *n)
        return false;
    memcpy(name->text + *n, text.p, text.n);
    *n += text.n;
    return true;
}

struct str figure_name(struct figure_name *name)
{
    size_t n = 0, put_labels = 0;
    bool good = put(name, &n, name->metric);
    qsort(name->labels, name->n, sizeof *name->labels, by_key);
    for (size_t i = 0; i < name->n && good; i++) {
        const struct figure_label *l = &name->labels[i];
        if (str_eq(l->key, STR("le")) || l->value.n == 0) /* empty is the same as absent */
            continue;
        good = put(name, &n, put_labels++ ? STR(",") : STR("{")) && put(name, &n, l->key) &&
               put(name, &n, STR("=\"")) && put(name, &n, l->value) && put(name, &n, STR("\""));
    }
    good = good && (put_labels == 0 || put(name, &n, STR("}")));
    return (struct str){name->text, good ? n : 0};
}
