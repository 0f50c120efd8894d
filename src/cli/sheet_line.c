#include "cli/sheet_line.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int sheet_order_of(const char *word)
{
    static const char *const words[] = {
#define X(sym, word) word,
        SHEET_ORDER_TABLE(X)
#undef X
    };
    for (int i = 0; i < SHEET_ORDERS; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -ERR_NOTFOUND;
}

const char *sheet_source_word(enum sheet_source source)
{
    static const char *const words[] = {NULL,
#define X(sym, word) word,
                                        SHEET_SOURCE_TABLE(X)
#undef X
    };
    return words[source];
}

static int compare_rows(const void *a, const void *b)
{
    return sheet_row_compare(a, b);
}

static const struct sheet_row *find(const struct sheet *s, const struct sheet_row *row)
{
    return s && s->n ? bsearch(row, s->rows, s->n, sizeof *row, compare_rows) : NULL;
}

/* The quantile of what came since `old`, or, when nothing did, since the beginning. */
static double bucket_quantile(const struct sheet_row *row, const struct sheet_row *old, double q)
{
    const struct metric_view m = {.nbounds = row->nbounds, .bounds = row->bounds};
    struct sample s;
    s.count = 0;
    const bool since =
        old && old->buckets && old->nbounds == row->nbounds && old->calls < row->calls;
    for (unsigned i = 0; i <= row->nbounds; i++) {
        const uint64_t before = since ? old->buckets[i] : 0;
        s.buckets[i] = row->buckets[i] > before ? row->buckets[i] - before : 0;
        s.count += s.buckets[i];
    }
    return sample_quantile(&m, &s, q);
}

static void set_quantiles(struct sheet_line *line, const struct sheet_row *old)
{
    const struct sheet_row *row = line->row;
    const bool kept = !isnan(row->quantile[SHEET_P50]);
    for (int q = 0; q < SHEET_QUANTILES; q++)
        line->quantile[q] = kept || !row->buckets ? row->quantile[q]
                                                  : bucket_quantile(row, old, sheet_quantiles[q]);
    if (isnan(line->quantile[SHEET_P50]))
        line->source = SHEET_UNKNOWN;
    else
        line->source = !kept ? SHEET_BUCKETS : row->spans > 0 ? SHEET_SPANS : SHEET_SKETCH;
}

static struct sheet_line line_of(const struct sheet *now, const struct sheet *before,
                                 const struct sheet_row *row)
{
    const struct sheet_row *old = find(before, row);
    struct sheet_line line = {.row = row, .rate = NAN, .failed = NAN};
    const bool counter = row->section == SHEET_COUNTERS;
    const double total = counter ? row->sum : (double)row->calls;
    const double past = old ? counter ? old->sum : (double)old->calls : 0;
    const double seconds = before ? (double)(now->mono - before->mono) / 1e9 : 0;
    if (before && seconds > 0 && total >= past)
        line.rate = (total - past) / seconds;
    const bool fresh = old && row->calls > old->calls && row->errors >= old->errors;
    const uint64_t calls = fresh ? row->calls - old->calls : row->calls;
    const uint64_t errors = fresh ? row->errors - old->errors : row->errors;
    if (calls > 0)
        line.failed = (double)errors / (double)calls;
    set_quantiles(&line, old);
    return line;
}

static double weight(const struct sheet_line *l, enum sheet_order order)
{
    const struct sheet_row *row = l->row;
    const bool counter = row->section == SHEET_COUNTERS;
    switch (order) {
    case SHEET_BY_RATE:
        return l->rate;
    case SHEET_BY_CALLS:
        return counter ? row->sum : (double)row->calls;
    case SHEET_BY_ERRORS:
        return l->failed;
    case SHEET_BY_P50:
    case SHEET_BY_P95:
    case SHEET_BY_P99:
        return l->quantile[order - SHEET_BY_P50];
    case SHEET_BY_FLIGHT:
        return row->in_flight;
    default:
        return NAN;
    }
}

/* The greater first, the unknown last. */
static int compare_weights(double x, double y)
{
    if (isnan(x) || isnan(y))
        return !!isnan(x) - !!isnan(y);
    return x < y ? 1 : x > y ? -1 : 0;
}

static int compare_lines(const void *va, const void *vb, void *arg)
{
    const struct sheet_line *a = va, *b = vb;
    const enum sheet_order order = *(enum sheet_order *)arg;
    if (a->row->section != b->row->section)
        return sheet_row_compare(a->row, b->row);
    int c = compare_weights(weight(a, order), weight(b, order));
    if (c == 0 && order != SHEET_BY_NAME) /* no rates yet: who was called most */
        c = compare_weights(weight(a, SHEET_BY_CALLS), weight(b, SHEET_BY_CALLS));
    return c ? c : sheet_row_compare(a->row, b->row);
}

struct sheet_line *sheet_lines(const struct sheet *now, const struct sheet *before,
                               enum sheet_order order)
{
    struct sheet_line *lines = now->n ? calloc(now->n, sizeof *lines) : NULL;
    if (!lines)
        return NULL;
    for (size_t i = 0; i < now->n; i++)
        lines[i] = line_of(now, before, &now->rows[i]);
    qsort_r(lines, now->n, sizeof *lines, compare_lines, &order);
    return lines;
}
