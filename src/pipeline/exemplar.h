/* exemplar: for each bucket of a histogram a trace that fell into it. Floor 3.
 *
 * The newest observation that has a trace, whether sampling keeps that trace or not:
 * when it comes the decision has mostly not been made. A hint for people who look at
 * a page, no state: it lies in the daemon's own memory, a table of fixed size that is
 * allocated with the first one and in which a newer one may take an older one's place,
 * and a restart forgets it. */
#ifndef MCPTALLY_PIPELINE_EXEMPLAR_H
#define MCPTALLY_PIPELINE_EXEMPLAR_H

#include "model/event.h"
#include "store/read.h"

enum { EXEMPLAR_SLOTS = 4096 }; /* a power of two; 256 KiB */

struct exemplar {
    struct trace_ref trace;
    double value;
    uint64_t time; /* ns since 1970 */
};

struct exemplar_slot;

struct exemplars {
    struct exemplar_slot *slots; /* NULL: none has come, or memory was out */
};

void exemplars_fini(struct exemplars *x);

/* An observation of a series of a histogram; without a trace it is left alone. */
void exemplar_note(struct exemplars *x, const struct store *st, uint32_t series,
                   const struct exemplar *e);

/* Of a bucket, counted from 0; NULL when there is none. x may be NULL. */
const struct exemplar *exemplar_find(const struct exemplars *x, const struct series_view *s,
                                     unsigned bucket);

#endif
