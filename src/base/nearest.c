#include "base/nearest.h"

#include <string.h>

enum { NEAREST_MAX = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, one row at a time. Both are shorter than NEAREST_MAX. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NEAREST_MAX + 1];
    size_t nb = strlen(b);
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t above = row[j];
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = least(replaced, least(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[nb];
}

const char *nearest(const char *typed, const char *const *words, size_t n)
{
    const char *best = NULL;
    size_t best_distance = 0;
    if (strlen(typed) >= NEAREST_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(words[i]);
        if (length >= NEAREST_MAX)
            continue;
        size_t d = distance(typed, words[i]);
        if (d <= length / 3 && (!best || d < best_distance)) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}
