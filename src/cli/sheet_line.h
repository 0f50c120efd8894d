/* sheet_line: rates and quantiles between two sheets, in an order. */
#ifndef MCPTALLY_CLI_SHEET_LINE_H
#define MCPTALLY_CLI_SHEET_LINE_H

#include "cli/sheet.h"

/* What quantiles were taken from. X(SYMBOL, "word") */
#define SHEET_SOURCE_TABLE(X)                                                                      \
    X(SPANS, "spans")     /* the newest spans: exact */                                            \
    X(SKETCH, "sketch")   /* a sketch that the store keeps: within 1% */                           \
    X(BUCKETS, "buckets") /* interpolated between a histogram's bounds */

enum sheet_source {
    SHEET_UNKNOWN,
#define X(sym, word) SHEET_##sym,
    SHEET_SOURCE_TABLE(X)
#undef X
};

/* "spans" and so on; NULL for SHEET_UNKNOWN. */
const char *sheet_source_word(enum sheet_source source);

/* What a row came to since the same row of an earlier sheet, or, without one,
 * since the series began. */
struct sheet_line {
    const struct sheet_row *row;
    double rate;                      /* calls, or a counter's growth, a second; NaN: unknown */
    double failed;                    /* share of the calls that failed, 0 to 1; NaN: no calls */
    double quantile[SHEET_QUANTILES]; /* NaN: unknown */
    enum sheet_source source;         /* of the quantiles; SHEET_UNKNOWN when there are none */
};

/* X(SYMBOL, "word") */
#define SHEET_ORDER_TABLE(X)                                                                       \
    X(RATE, "rate")                                                                                \
    X(CALLS, "calls")                                                                              \
    X(ERRORS, "errors")                                                                            \
    X(P50, "p50")                                                                                  \
    X(P95, "p95")                                                                                  \
    X(P99, "p99")                                                                                  \
    X(FLIGHT, "in-flight")                                                                         \
    X(NAME, "name")

enum sheet_order {
#define X(sym, word) SHEET_BY_##sym,
    SHEET_ORDER_TABLE(X)
#undef X
        SHEET_ORDERS
};

/* The order of a word, -ERR_NOTFOUND. */
int sheet_order_of(const char *word);

/* A line for every row, sections in order, within each the greatest first; an
 * array of now->n that the caller frees, or NULL when memory is out or there are
 * none. `before` may be NULL. */
struct sheet_line *sheet_lines(const struct sheet *now, const struct sheet *before,
                               enum sheet_order order);

#endif
