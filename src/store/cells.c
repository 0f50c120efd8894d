#include "store/cells.h"

#include <float.h>
#include <math.h>

#include "base/bytes.h"
#include "store/sketch.h"

enum { WORD = 8 };

enum cell_op cell_op_of(enum metric_kind kind, enum value_type type, enum gauge_join join,
                        unsigned flags)
{
    switch (kind) {
    case METRIC_COUNTER:
        return type == VALUE_U64 ? CELL_ADD_U64 : CELL_ADD_F64;
    case METRIC_GAUGE:
        return join == JOIN_LAST ? CELL_SET : CELL_PART;
    case METRIC_HISTOGRAM:
        return flags & METRIC_QUANTILES ? CELL_OBSERVE_SKETCH : CELL_OBSERVE;
    case METRIC_SUMMARY:
        break;
    }
    return CELL_SUMMARIZE;
}

uint64_t cell_words(enum metric_kind kind, unsigned flags, unsigned nbounds)
{
    switch (kind) {
    case METRIC_HISTOGRAM:
        return CELL_BUCKETS + nbounds + 1 + (flags & METRIC_QUANTILES ? 1 : 0);
    case METRIC_SUMMARY:
        return CELL_SKETCH + 1;
    default:
        return CELL_VALUE + 1;
    }
}

int cell_check(enum cell_op op, enum value_type type, uint64_t bits)
{
    if (type == VALUE_U64)
        return 0;
    const double v = bits_f64(bits);
    if (!isfinite(v))
        return -ERR_NOTFINITE;
    return op == CELL_ADD_F64 && v < 0 ? -ERR_RANGE : 0;
}

unsigned bucket_index(const double *bounds, unsigned nbounds, double v)
{
    unsigned i = 0;
    if (nbounds > 16) {
        unsigned high = nbounds;
        while (i < high) {
            const unsigned mid = (i + high) / 2;
            if (v > bounds[mid])
                i = mid + 1;
            else
                high = mid;
        }
        return i;
    }
    for (unsigned k = 0; k < nbounds; k++)
        i += v > bounds[k];
    return i;
}

void cell_add_f64(struct store *st, uint64_t offset, double v)
{
    const double sum = bits_f64(store_get(st, offset)) + v;
    store_set(st, offset, f64_bits(isinf(sum) ? copysign(DBL_MAX, sum) : sum));
}

static int observe(struct store *st, uint64_t cells, double v, bool sketch, uint64_t minute)
{
    const uint64_t place = store_get(st, cells + CELL_BOUNDS * WORD);
    const unsigned n = (unsigned)(place >> CELL_BOUNDS_SHIFT);
    const uint64_t def = place & ((UINT64_C(1) << CELL_BOUNDS_SHIFT) - 1);
    const double *bounds = ((const struct metric_text *)(void *)(st->base + def))->bounds;
    store_add(st, cells + (CELL_BUCKETS + bucket_index(bounds, n, v)) * WORD, 1);
    cell_add_f64(st, cells + CELL_SUM * WORD, v);
    if (!sketch)
        return 0;
    return sketch_add(st, store_get(st, cells + (CELL_BUCKETS + n + 1) * WORD), v, minute);
}

int cell_apply(struct store *st, enum cell_op op, uint64_t cells, uint64_t bits, uint64_t minute)
{
    switch (op) {
    case CELL_ADD_U64:
        store_add(st, cells + CELL_VALUE * WORD, bits);
        return 0;
    case CELL_ADD_F64:
        cell_add_f64(st, cells + CELL_VALUE * WORD, bits_f64(bits));
        return 0;
    case CELL_SET:
        store_set(st, cells + CELL_VALUE * WORD, bits);
        return 0;
    case CELL_PART:
        store_set(st, cells + PART_VALUE * WORD, bits);
        return 0;
    case CELL_OBSERVE:
        return observe(st, cells, bits_f64(bits), false, minute);
    case CELL_OBSERVE_SKETCH:
        return observe(st, cells, bits_f64(bits), true, minute);
    case CELL_SUMMARIZE:
        store_add(st, cells + CELL_COUNT * WORD, 1);
        cell_add_f64(st, cells + CELL_SUM * WORD, bits_f64(bits));
        return sketch_add(st, store_get(st, cells + CELL_SKETCH * WORD), bits_f64(bits), minute);
    }
    return -ERR_RANGE;
}
