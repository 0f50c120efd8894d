/* cells: what the 64-bit values of a series are, and how an update changes them. Floor 2.
 *
 *   counter, gauge last   value
 *   gauge sum, min, max   first contribution
 *   contribution          next, touch, session index << 32 | serial, value
 *   histogram             sum, nbounds << 48 | definition, nbounds+1 buckets [, sketch]
 *   summary               sum, count, sketch
 *
 * When a series was last updated stands in its record, which an update looks at only when
 * whoever makes it does not know yet that this epoch has had one; see series_touch(). So
 * values lie close together. The touch of a contribution is series index << 32 | epoch.
 */
#ifndef MCPTALLY_STORE_CELLS_H
#define MCPTALLY_STORE_CELLS_H

#include <stdint.h>

#include "model/metric.h"
#include "store/commit.h"

enum {
    CELL_VALUE = 0,
    CELL_PARTS = 0, /* first contribution */
    CELL_SUM = 0,
    CELL_BOUNDS = 1, /* histogram */
    CELL_BUCKETS = 2,
    CELL_COUNT = 1, /* summary */
    CELL_SKETCH = 2,

    PART_NEXT = 0,
    PART_TOUCH = 1,
    PART_OWNER = 2,
    PART_VALUE = 3,
    PART_WORDS = 4,
};

enum { CELL_BOUNDS_SHIFT = 48 };

/* What an update does to the cells it is led to. */
enum cell_op {
    CELL_ADD_F64 = 1, /* counters */
    CELL_SET,         /* gauge last */
    CELL_PART,        /* joined gauge: the cells are the session's contribution */
    CELL_OBSERVE,
    CELL_OBSERVE_SKETCH, /* histogram that keeps quantiles as well */
    CELL_SUMMARIZE,
    CELL_ADD_U64, /* all bits set: see LINK_PLAIN */
};

enum { CELL_OP_BITS = 3 };
_Static_assert(CELL_ADD_U64 == (1 << CELL_OP_BITS) - 1, "all bits set");

enum cell_op cell_op_of(enum metric_kind kind, enum value_type type, enum gauge_join join,
                        unsigned flags);

/* Words of a series' run. */
uint64_t cell_words(enum metric_kind kind, unsigned flags, unsigned nbounds);

/* Whether a value may be applied: 0, -ERR_NOTFINITE, or -ERR_RANGE for a
 * negative increment. */
int cell_check(enum cell_op op, enum value_type type, uint64_t bits);

/* Applies one checked value, inside the open batch. `minute` is the time of the
 * quantile windows, mono ns / 60 s. 0, or -ERR_FULL when a sketch cannot grow (the
 * count and sum are kept all the same). */
int cell_apply(struct store *st, enum cell_op op, uint64_t cells, uint64_t bits, uint64_t minute);

/* Adds a finite v to the double at an offset, inside the open batch. What no double can
 * hold stays at the largest one: a sum that became infinite would never be one again. */
void cell_add_f64(struct store *st, uint64_t offset, double v);

/* Index of the bucket that v falls into: the first whose bound is >= v. */
unsigned bucket_index(const double *bounds, unsigned nbounds, double v);

#endif
