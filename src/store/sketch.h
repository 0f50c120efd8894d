/* sketch: quantiles within 1% over the last one to two minutes. Floor 2.
 *
 * A bucket is a power of two cut into 64 equal parts, so its index is the upper
 * bits of the double itself and its middle is within 1/128 of anything in it. A
 * page holds one power of two and is allocated when a value first falls there.
 * Two windows of a minute each; zero and negative values count as 0. */
#ifndef MCPTALLY_STORE_SKETCH_H
#define MCPTALLY_STORE_SKETCH_H

#include "store/commit.h"

enum {
    SKETCH_MINUTE = 0, /* words of the sketch's head: minute of the current window, */
    SKETCH_NOW = 1,    /* first page of the current window */
    SKETCH_BEFORE = 2, /* and of the one before */
    SKETCH_WORDS = 3,
    PAGE_NEXT = 0,
    PAGE_KEY = 1,
    PAGE_COUNTS = 2,
    PAGE_SLOTS = 64,
    PAGE_WORDS = PAGE_COUNTS + PAGE_SLOTS,
    SKETCH_PAGES = 40, /* of one window */
};

/* An empty sketch: its offset, 0 when the heap is full. */
uint64_t sketch_new(struct store *st, uint64_t minute);
void sketch_free(struct store *st, uint64_t sketch);

/* A page, of which there are as many as fit into a quarter of the heap, whoever has
 * them: 0 above that. Quantiles can be done without, series cannot. */
uint64_t sketch_page(struct store *st);

/* Pages of a sketch, which store_check() has found good. */
uint64_t sketch_count(const struct store *st, uint64_t sketch);

/* Counts v, once or n times: 0 or -ERR_FULL. */
int sketch_add(struct store *st, uint64_t sketch, double v, uint64_t minute);
int sketch_add_n(struct store *st, uint64_t sketch, double v, uint64_t n, uint64_t minute);

/* The q-quantile; NaN when the windows are empty or older than two minutes. Works
 * on a reader's store. */
double sketch_quantile(const struct store *st, uint64_t sketch, double q, uint64_t minute);

/* The same of n of them, in ascending order, for little more than the time of one. */
void sketch_quantiles(const struct store *st, uint64_t sketch, const double *q, unsigned n,
                      uint64_t minute, double *out);

#endif
