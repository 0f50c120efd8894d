/* otlp_whole: what is read in bounded steps, in one go. */
#ifndef MCPTALLY_TESTS_OTLP_WHOLE_H
#define MCPTALLY_TESTS_OTLP_WHOLE_H

#include "otlp/field.h"
#include "otlp/otlp.h"

/* The next item of a walk, or how it ended. */
static inline int walk_on(struct otlp_walk *w, struct otlp_item *out)
{
    int e = OTLP_MORE;
    while (e == OTLP_MORE)
        e = otlp_walk_next(w, out);
    return e;
}

static inline int origin_whole(struct str resource, struct str scope, struct otlp_origin *out)
{
    const int e = otlp_origin_resource(resource, out);
    return e != 0 ? e : otlp_origin_scope(scope, out);
}

/* All but the points of a metric that was set up by otlp_metric_init(). */
static inline int metric_whole(struct str bytes, struct otlp_metric *m)
{
    int e = OTLP_MORE;
    otlp_metric_begin(m, bytes);
    while (e == OTLP_MORE)
        e = otlp_metric_read(m);
    return e;
}

static inline int count_level(struct str message, unsigned level, size_t *items)
{
    struct fields r = fields_of(message);
    struct field f;
    const uint32_t child = level > 0 ? 2 : 1;
    while (fields_next(&r, &f)) {
        if (f.tag != FIELD(child, BYTES)) {
            fields_unknown(&r, &f, 1u << child);
            continue;
        }
        const int e = level < 2 ? count_level(f.s, level + 1, items) : 0;
        if (e != 0)
            return e;
        *items += level == 2;
    }
    return r.err;
}

/* Counts the items of a request: 0, or the error that a walk has to end with. */
static inline int count_items(struct str request, size_t *items)
{
    *items = 0;
    return count_level(request, 0, items);
}

#endif
