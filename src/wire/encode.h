/* encode: values to frames. Floor 1. The mirror of decode.h.
 *
 * Each function appends one whole frame (or item) to a buffer; a buffer that is
 * full sets its `failed` and gets nothing of the frame. The caller's values are
 * not checked here: decode is the trust line. */
#ifndef MCPTALLY_WIRE_ENCODE_H
#define MCPTALLY_WIRE_ENCODE_H

#include "base/buf.h"
#include "wire/decode.h"

void encode_hello(struct buf *to, const struct hello *h);
void encode_welcome(struct buf *to, const struct welcome *w); /* max_rings unless it is 0 */
void encode_metric(struct buf *to, uint32_t id, const struct metric_def *def);
void encode_series(struct buf *to, const struct series_def *def);
void encode_ack(struct buf *to, uint64_t applied);
void encode_reject(struct buf *to, const struct reject *r);
void encode_lost(struct buf *to, const struct lost *l);
void encode_bye(struct buf *to);
void encode_ring(struct buf *to, const struct ring_offer *r);
void encode_ring_ready(struct buf *to, const struct ring_ready *r);
void encode_bell(struct buf *to, uint64_t token);

/* A sequenced frame: its header with zero items, then items one by one, then
 * the finished count and size. `at` is the frame's offset in the buffer.
 *     size_t at = encode_batch(to, FRAME_UPDATE, first);
 *     encode_update(to, id, bits); ...
 *     encode_batch_end(to, at, count);
 */
size_t encode_batch(struct buf *to, unsigned type, uint64_t first);
void encode_update(struct buf *to, uint32_t id, uint64_t bits);
void encode_item(struct buf *to, const struct event *e); /* with its u32 size */
void encode_body(struct buf *to, const struct event *e); /* without it, as rings keep it */
void encode_batch_end(struct buf *to, size_t at, uint32_t count);

#endif
