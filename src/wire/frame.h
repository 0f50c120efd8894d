/* frame: turns a byte stream into whole frames. Floor 1. No I/O, no clock, no
 * logging. The wire format is man/mcptally-protocol.7, section FRAMES.
 *
 * Frames that lie whole in the input are handed out in place; only the unread
 * rest of a frame that has begun is kept, so an idle reader holds no memory. */
#ifndef MCPTALLY_WIRE_FRAME_H
#define MCPTALLY_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/proto.h"

struct frame {
    uint8_t type;
    uint8_t flags;
    uint16_t stream;
    uint32_t size;          /* payload bytes */
    const uint8_t *payload; /* borrowed until the next call on the reader */
};

struct frame_reader {
    uint8_t *held; /* the beginning of a frame, or NULL */
    uint32_t have; /* bytes in held */
    uint32_t cap;  /* bytes allocated: what a budget counts */
};

void frame_reader_init(struct frame_reader *r);
void frame_reader_fini(struct frame_reader *r);

/* Takes bytes from *p (n left in *n) and advances both. Returns 1 and a frame,
 * 0 when all input is consumed and more is needed, or -REJECT_HEADER,
 * -REJECT_TOO_LARGE (the stream cannot be read on), -ERR_NOMEM. */
int frame_reader_next(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame *out);

/* Records of an UPDATE frame that has begun. */
struct frame_part {
    uint64_t first;       /* sequence number of the first of them */
    uint32_t count;       /* at least 1 */
    const uint8_t *items; /* borrowed until the next call on the reader */
};

/* Takes the records that are there of an UPDATE frame that does not end in the input: they
 * need not wait for the others, nor be copied. What is left of the frame goes on as one that
 * begins behind them. 1 and the part; 0 when there is none, and frame_reader_next() goes on;
 * -ERR_NOMEM. */
int frame_reader_part(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame_part *out);

/* Whether bytes that were handed out lie in the reader's own memory. */
bool frame_reader_holds(const struct frame_reader *r, const uint8_t *p);

/* Bytes that are still missing from the frame in hand; 0 when none has begun. */
size_t frame_reader_missing(const struct frame_reader *r);

#endif
