/* sheet_line: rates and quantiles between two sheets, in an order. */
#ifndef MCPTALLY_CLI_SHEET_LINE_H
#define MCPTALLY_CLI_SHEET_LINE_H

#include "cli/sheet.h"

/* What a row came to since the same row of an earlier sheet, or, without one,
 * since the series began. */
struct sheet_line {
    const struct sheet_row *row;
    double rate;                      /* calls, or a counter's growth, a second; NaN: unknown */
    double failed;                    /* share of the calls that failed, 0 to 1; NaN: no calls */
    double quantile[SHEET_QUANTILES]; /* NaN: unknown */
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
