/* segment: the bytes of a segment file. Floor 2. mcptallyd(8), section SPOOL, is the same
 * in words.
 *
 * A segment begins with three blocks that have its head: the first is never written
 * again, the other two take the marks in turn, so that a torn one leaves the one before. Records
 * follow, each at a multiple of a sector, so that a record can be found behind one that cannot be
 * read. The salt is drawn anew for each segment: a payload cannot be made to look like a record.
 * Numbers are little-endian. */
#ifndef MCPTALLY_SPOOL_SEGMENT_H
#define MCPTALLY_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SEGMENT_SECTOR = 512,
    SEGMENT_BLOCK = 4096,
    SEGMENT_HEADS = 3,
    SEGMENT_TWIN = SEGMENT_BLOCK / 2, /* each block has its head twice: a flipped bit harms one */
    SEGMENT_DATA = SEGMENT_HEADS * SEGMENT_BLOCK, /* where records begin */
    SEGMENT_HEAD = 152,                           /* bytes of a head that mean something */
    RECORD_HEAD = 88,
    SEGMENT_VERSION = 1,
};

/* A place between two records of the stream: the number of the next one, and how many
 * records and items came before. Numbers may be left out, counts never are. */
struct point {
    uint64_t seq, records, items;
};

struct segment_head {
    uint64_t salt;
    uint32_t turn;        /* of the mark: the copy at 1 + turn % 2 has it */
    struct point first;   /* before the first record */
    struct point kept;    /* where the records of the segments before end: others were given up */
    struct point sure;    /* all before it was durable then; between here and kept, what is there */
    struct point mark;    /* all before it is delivered or dropped */
    struct point durable; /* all before it was durable when the mark was written */
};

struct record_head {
    uint64_t salt;
    struct point at;   /* before this record; at.seq is its number */
    struct point kept; /* as above */
    uint64_t written;  /* wall ns */
    uint32_t length;   /* bytes of payload */
    uint32_t items;
    uint32_t payload_sum;
    uint8_t signal;
};

void segment_head_write(uint8_t to[SEGMENT_HEAD], const struct segment_head *h);
void segment_block_write(uint8_t to[SEGMENT_BLOCK], const struct segment_head *h);
bool segment_head_read(struct segment_head *h, const uint8_t from[SEGMENT_HEAD]);

void record_head_write(uint8_t to[RECORD_HEAD], const struct record_head *h);
/* Whether this is the head of a record of the segment with that salt. */
bool record_head_read(struct record_head *h, const uint8_t from[RECORD_HEAD], uint64_t salt);
bool record_payload_good(const struct record_head *h, const void *payload);

/* Bytes that a record takes in the file. */
static inline uint64_t record_size(uint64_t payload)
{
    return (RECORD_HEAD + payload + SEGMENT_SECTOR - 1) / SEGMENT_SECTOR * SEGMENT_SECTOR;
}

#ifdef MCPTALLY_SIM
/* Whether a checksum that is wrong (good: false) is taken for right. */
bool sim_spool_believes(bool good);
#endif

#endif
