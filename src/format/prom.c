#include "format/prom.h"

#include <limits.h>

#include "format/prom_number.h"

/* Series that are read at a time. With 100,000 of them memory comes from further than the caches,
 * and each of the three places of a series would be waited for. */
enum { RUN = 12 };

const char *prom_content_type(enum prom_format format)
{
    return format == PROM_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                      : "text/plain; version=0.0.4; charset=utf-8";
}

void prom_begin(struct prom_page *page, const struct store *st, enum prom_format format,
                uint64_t now_mono)
{
    *page = (struct prom_page){
        .st = st, .format = format, .now_mono = now_mono, .own = true, .metric = 1};
}

/* A metric's second family, if it has one, comes after its first, then the next metric. */
static void next_family(struct prom_page *page, bool second)
{
    page->quantile = second;
    page->metric += !second;
    page->series = 0;
    page->visited = 0;
    page->headed = false;
}

/* As show_family(). */
static bool show_numbers(struct prom_page *page, const struct prom_family *f, uint64_t all,
                         struct buf *to, struct prom_share *left)
{
    struct number_view s[NUMBER_RUN];
    while (!prom_spent(left, to)) {
        const unsigned n = number_read_run(page->st, f->m.id, page->series, s);
        if (n == 0 || page->visited > all)
            return true;
        const unsigned done = prom_number_show(f, s, n, &page->headed, to, left);
        page->series = s[done - 1].next;
        page->visited += done;
    }
    return false;
}

/* True when the family is finished, false when the share was spent before. A record that is
 * not, or no longer, of the metric ends the list. */
static bool show_family(struct prom_page *page, const struct prom_family *f, struct buf *to,
                        struct prom_share *left)
{
    const uint64_t all = page->st->head->table[TABLE_SERIES].used;
    struct series_view s[RUN];
    if (page->visited == 0)
        page->series = f->m.first;
    if (f->number)
        return show_numbers(page, f, all, to, left);
    while (!prom_spent(left, to)) {
        const unsigned n = series_read_run(page->st, f->m.id, page->series, s, RUN);
        if (n == 0 || page->visited > all)
            return true;
        for (unsigned i = 0; i < n && !prom_spent(left, to); i++) {
            series_labels(page->st, &s[i]);
            prom_spend(left, PROM_SKIP + prom_family_show(f, page->st, &s[i], &page->headed, to));
            page->series = s[i].next;
            page->visited++;
        }
    }
    return false;
}

/* Whether the metric in hand belongs in this pass and has the family in hand. */
static bool prepare(const struct prom_page *page, struct prom_family *f)
{
    struct metric_view m;
    if (!metric_read(page->st, page->metric, &m) || m.own != page->own || m.nseries == 0 ||
        !prom_family_init(f, &m, page->format, page->quantile, page->now_mono))
        return false;
    f->exemplars = page->exemplars;
    return true;
}

/* True when all is shown, false when the share was spent before. */
static bool show_metrics(struct prom_page *page, struct buf *to, struct prom_share left)
{
    struct prom_family f;
    while (page->metric < metric_ids(page->st)) {
        if (prom_spent(&left, to))
            return false;
        const bool here = prepare(page, &f);
        if (here && !show_family(page, &f, to, &left))
            return false;
        prom_spend(&left, PROM_SKIP);
        next_family(page, here && !page->quantile && f.m.flags & METRIC_QUANTILES);
    }
    return true;
}

static void begin_others(struct prom_page *page)
{
    const struct exemplars *exemplars = page->exemplars;
    prom_begin(page, page->st, page->format, page->now_mono);
    page->exemplars = exemplars;
    page->own = false;
}

bool prom_step(struct prom_page *page, struct buf *to, const struct prom_share *share)
{
    if (page->own) {
        show_metrics(page, to, (struct prom_share){UINT_MAX, SIZE_MAX});
        begin_others(page);
        return true;
    }
    if (!show_metrics(page, to, (struct prom_share){share->lines, to->n + share->bytes}))
        return true;
    if (page->format == PROM_OPENMETRICS)
        buf_adds(to, "# EOF\n");
    return false;
}
