/* put: writes protobuf fields. Floor 1.
 *
 * A message inside another is written after its length, which is either known
 * before, or patched in afterwards: put_open() leaves room for a length of four
 * bytes, padded as a varint may be, so that everything is written in one pass. */
#ifndef MCPTALLY_OTLP_PUT_H
#define MCPTALLY_OTLP_PUT_H

#include "base/buf.h"
#include "model/event.h"

enum { PUT_OPEN_MAX = 1 << 28 }; /* bytes of a message behind put_open() */

size_t put_varint_size(uint64_t v);
void put_varint(struct buf *to, uint64_t v);

/* The tag and length of a field of bytes, and the whole of one. */
void put_head(struct buf *to, unsigned number, size_t size);
void put_bytes(struct buf *to, unsigned number, struct str s);

/* A field that has its default value is left out. */
void put_text(struct buf *to, unsigned number, struct str s);
void put_uint(struct buf *to, unsigned number, uint64_t v);
void put_fixed64(struct buf *to, unsigned number, uint64_t v);
void put_fixed32(struct buf *to, unsigned number, uint32_t v);
void put_id(struct buf *to, unsigned number, const uint8_t *id, size_t n); /* unless all zero */

/* Written even when it is 0: a double or fixed64 that has a presence of its own. */
void put_double(struct buf *to, unsigned number, double d);
void put_fixed64_always(struct buf *to, unsigned number, uint64_t v);

/* A message of yet unknown size: put_open() gives the place for put_close(). */
size_t put_open(struct buf *to, unsigned number);
void put_close(struct buf *to, size_t at);

/* The same with a length that is not padded; moves what has been written. */
void put_close_tight(struct buf *to, size_t at);

/* A KeyValue. */
void put_attr(struct buf *to, unsigned number, const struct attr *a);
void put_attr_text(struct buf *to, unsigned number, struct str key, struct str value);

#endif
