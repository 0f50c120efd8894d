/* figure_text: figures of a page in Prometheus' text format or OpenMetrics. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/figure.h"

/* X(SYMBOL, "word of a TYPE line") */
#define TYPE_TABLE(X)                                                                              \
    X(UNTYPED, "untyped")                                                                          \
    X(COUNTER, "counter")                                                                          \
    X(GAUGE, "gauge")                                                                              \
    X(HISTOGRAM, "histogram")                                                                      \
    X(SUMMARY, "summary")                                                                          \
    X(INFO, "info")

enum type {
#define X(sym, word) TYPE_##sym,
    TYPE_TABLE(X)
#undef X
        TYPES
};

struct page {
    struct figures *set;
    struct str family; /* of the last TYPE line */
    enum type type;
    struct figure_name name; /* of the sample in hand */
    struct str le;
    char series[FIGURE_NAME_MOST]; /* the histogram in hand, whose buckets come in order */
    size_t bucket;                 /* of it, the next */
    double counted;                /* in those before */
};

static struct str word(const char **p, const char *end)
{
    while (*p < end && (**p == ' ' || **p == '\t'))
        ++*p;
    const char *from = *p;
    while (*p < end && **p != ' ' && **p != '\t')
        ++*p;
    return (struct str){from, (size_t)(*p - from)};
}

static void take_comment(struct page *page, const char *p, const char *end)
{
    static const char *const types[] = {
#define X(sym, word) word,
        TYPE_TABLE(X)
#undef X
    };
    if (!str_eq(word(&p, end), STR("#")) || !str_eq(word(&p, end), STR("TYPE")))
        return;
    page->family = word(&p, end);
    const struct str type = word(&p, end);
    page->type = TYPE_UNTYPED;
    for (int i = 0; i < TYPES; i++)
        if (str_eq(type, str_of(types[i])))
            page->type = (enum type)i;
}

/* KEY="VALUE" and what stands behind it; false when it is none. */
static bool take_label(struct page *page, const char **p, const char *end)
{
    const char *equals = memchr(*p, '=', (size_t)(end - *p)), *q;
    if (!equals || end - equals < 3 || equals[1] != '"' || page->name.n == FIGURE_LABELS)
        return false;
    for (q = equals + 2; q < end && *q != '"'; q++)
        if (*q == '\\' && ++q == end)
            return false;
    if (q == end)
        return false;
    struct figure_label *l = &page->name.labels[page->name.n++];
    *l = (struct figure_label){{*p, (size_t)(equals - *p)}, {equals + 2, (size_t)(q - equals - 2)}};
    if (str_eq(l->key, STR("le")))
        page->le = l->value;
    *p = q + 1;
    while (*p < end && (**p == ',' || **p == ' '))
        ++*p;
    return true;
}

static bool take_labels(struct page *page, const char **p, const char *end)
{
    for (++*p; *p < end && **p != '}';)
        if (!take_label(page, p, end))
            return false;
    return *p < end && (++*p, true);
}

/* A number of up to 63 characters; +Inf and NaN are numbers. */
static bool read_number(struct str text, double *v)
{
    char copy[64], *end;
    if (text.n == 0 || text.n >= sizeof copy)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    *v = strtod(copy, &end);
    return *end == 0;
}

/* What a sample's name has beyond its family's. */
static struct str suffix(const struct page *page)
{
    const struct str name = page->name.metric, family = page->family;
    if (family.n == 0 || name.n < family.n || memcmp(name.p, family.p, family.n) != 0)
        return (struct str){NULL, 0};
    return (struct str){name.p + family.n, name.n - family.n};
}

/* Samples that are no figures: infos, times of creation, sums (their histogram has it all). */
static bool is_skipped(const struct page *page, struct str more)
{
    return page->type == TYPE_INFO || str_eq(more, STR("_created")) ||
           ((page->type == TYPE_HISTOGRAM || page->type == TYPE_SUMMARY) &&
            str_eq(more, STR("_sum")));
}

static int take_bucket(struct page *page, double v)
{
    double bound;
    page->name.metric = page->family;
    const struct str key = figure_name(&page->name);
    if (key.n == 0 || !read_number(page->le, &bound))
        return -ERR_SYNTAX;
    if (!str_eq(key, str_of(page->series))) {
        memcpy(page->series, key.p, key.n);
        page->series[key.n] = 0;
        page->bucket = 0;
        page->counted = 0;
    }
    struct figure *f = figures_get(page->set, key, STR(""));
    if (!f)
        return -ERR_FULL;
    if (!figure_add_bucket(f, page->bucket++, bound, v - page->counted))
        return -ERR_SYNTAX;
    page->counted = v;
    figure_classify(f);
    return 0;
}

static int take_value(struct page *page, struct str more, double v)
{
    const struct str key = figure_name(&page->name);
    struct figure *f = key.n ? figures_get(page->set, key, STR("")) : NULL;
    if (!f)
        return key.n ? -ERR_FULL : -ERR_SYNTAX;
    f->counts = page->type == TYPE_COUNTER || str_eq(more, STR("_count"));
    if (f->n == 0)
        figure_classify(f);
    return figure_add(f, v) ? 0 : -ERR_NOMEM;
}

static int take_sample(struct page *page, const char *p, const char *end)
{
    const char *from = p;
    double v;
    while (p < end && *p != '{' && *p != ' ' && *p != '\t')
        p++;
    page->name.metric = (struct str){from, (size_t)(p - from)};
    page->name.n = 0;
    page->le = (struct str){NULL, 0};
    if (p == from || (p < end && *p == '{' && !take_labels(page, &p, end)) ||
        !read_number(word(&p, end), &v))
        return -ERR_SYNTAX;
    const struct str more = suffix(page);
    if (is_skipped(page, more))
        return 0;
    if (page->type == TYPE_HISTOGRAM && str_eq(more, STR("_bucket")))
        return take_bucket(page, v);
    return take_value(page, more, v);
}

int figures_of_text(struct figures *set, struct str text)
{
    struct page *page = calloc(1, sizeof *page);
    int r = page ? 0 : -ERR_NOMEM, line = 0;
    for (const char *p = text.p, *end = p + text.n; r == 0 && p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        page->set = set;
        line++;
        if (stop > p && *p == '#')
            take_comment(page, p, stop);
        else if (stop > p)
            r = take_sample(page, p, stop);
        p = stop + 1;
    }
    free(page);
    return r == -ERR_SYNTAX ? line : r;
}
