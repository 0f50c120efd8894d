/* otlp_cumulative: cumulative points against what was kept of their streams. Floor 3.
 *
 *   a stream that is not known   began after this store did, and nothing that it could
 *                                be has expired: its whole value is new; else the point
 *                                says only where to go on from
 *   a start that is later        the sender began anew: the whole value is new
 *   a start that is earlier, or  from before what is kept: it says nothing
 *   a time that is not later
 *   a value that has fallen      began anew and did not say so: the whole value is new
 *   else                         what is above the kept value is new
 *
 * So a point that comes twice, as after a crash of the daemon, adds nothing. Processes
 * that share one resource share a stream, of which the one that began last is heard. */
#ifndef MCPTALLY_PIPELINE_OTLP_CUMULATIVE_H
#define MCPTALLY_PIPELINE_OTLP_CUMULATIVE_H

#include "pipeline/otlp_request.h"
#include "store/stream.h"

enum point_verdict { POINT_STALE, POINT_BASELINE, POINT_WHOLE, POINT_ABOVE };

/* The stream of the point in hand: all attributes as they came, in any order, those too
 * that make no labels. */
void cumulative_hash(const struct otlp_request *r, uint64_t hash[2]);

/* False when there is none, or it leads to another metric than it did when it was made. */
bool cumulative_read(struct otlp_request *r, uint32_t id, struct stream_view *v);

enum point_verdict cumulative_first(const struct otlp_request *r, const uint64_t hash[2]);
enum point_verdict cumulative_judge(const struct otlp_point *p, const struct stream_view *v,
                                    bool fell);
void cumulative_count(struct otlp_request *r, enum point_verdict verdict, bool known);
void cumulative_keep(struct otlp_request *r, uint32_t id, const struct stream_view *v,
                     const uint64_t *words, unsigned n);

#endif
