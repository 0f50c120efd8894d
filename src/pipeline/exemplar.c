#include "pipeline/exemplar.h"

#include <stdlib.h>

#include "store/cells.h"

struct exemplar_slot {
    uint32_t series;
    uint32_t bucket;
    uint64_t created; /* of the series: its index may come to mean another */
    struct exemplar e;
};

void exemplars_fini(struct exemplars *x)
{
    free(x->slots);
    x->slots = NULL;
}

static unsigned slot_of(uint32_t series, unsigned bucket)
{
    return (unsigned)((series * UINT64_C(0x9e3779b97f4a7c15) >> 40) + bucket) &
           (EXEMPLAR_SLOTS - 1);
}

static bool has_trace(const struct trace_ref *t)
{
    static const struct trace_ref none;
    return memcmp(t->trace_id, none.trace_id, sizeof none.trace_id) != 0;
}

void exemplar_note(struct exemplars *x, const struct store *st, uint32_t series,
                   const struct exemplar *e)
{
    struct series_view s;
    struct metric_view m;
    if (!has_trace(&e->trace) || !series_read(st, series, &s) || !metric_read(st, s.metric, &m) ||
        m.kind != METRIC_HISTOGRAM)
        return;
    if (!x->slots)
        x->slots = calloc(EXEMPLAR_SLOTS, sizeof *x->slots);
    if (!x->slots)
        return;
    const unsigned bucket = bucket_index(m.bounds, m.nbounds, e->value);
    struct exemplar_slot *slot = &x->slots[slot_of(series, bucket)];
    *slot = (struct exemplar_slot){series, bucket, s.created, *e};
}

const struct exemplar *exemplar_find(const struct exemplars *x, const struct series_view *s,
                                     unsigned bucket)
{
    if (!x || !x->slots)
        return NULL;
    const struct exemplar_slot *slot = &x->slots[slot_of(s->id, bucket)];
    return slot->series == s->id && slot->bucket == bucket && slot->created == s->created ? &slot->e
                                                                                          : NULL;
}
