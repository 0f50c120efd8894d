/* spool: batches on disk for one destination that is away. Floor 2. No I/O of its
 * own: files are callbacks, so that a simulation can be the disk.
 *
 * Append-only segments, no ledger beside them. A record is length, sequence number,
 * CRC32C, signal and payload; a segment is preallocated; file and directory are
 * synced before a record counts as kept. What was read and acknowledged is removed
 * a segment at a time, after a durable mark; what cannot be read is set aside and
 * counted, and never stops the rest. Bounded by bytes and age: the oldest segment
 * goes first, counted. Everything blocks: the helper process calls it. */
#ifndef MCPTALLY_SPOOL_SPOOL_H
#define MCPTALLY_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"

/* All return 0 (or a size) or a negative enum err: -ERR_FULL for a full disk or quota,
 * -ERR_PERM for a read-only one, -ERR_NOTFOUND, else -ERR_IO. Names have no slash. */
struct spool_io {
    void *arg;
    int (*create)(void *arg, const char *name, uint64_t size, int *file); /* new, preallocated */
    int (*open)(void *arg, const char *name, bool write, int *file, uint64_t *size);
    int (*read)(void *arg, int file, uint64_t at, void *to, size_t n); /* bytes; less at the end */
    int (*write)(void *arg, int file, uint64_t at, const void *p, size_t n); /* all of it */
    int (*sync)(void *arg, int file);
    int (*cut)(void *arg, int file, uint64_t size); /* ftruncate */
    void (*close)(void *arg, int file);
    int (*rename)(void *arg, const char *from, const char *to);
    int (*remove)(void *arg, const char *name);
    int (*sync_dir)(void *arg);
    int (*list)(void *arg, void (*each)(void *each_arg, const char *name), void *each_arg);
};

struct spool_options {
    uint64_t bytes;   /* of all segments */
    uint64_t age;     /* ns since a record was written until it is dropped; 0: no limit */
    uint64_t segment; /* bytes of one; at most a quarter of all */
    uint64_t salt;    /* drawn at random for each opening */
};

struct spool_stats {
    uint64_t first, next; /* oldest record kept, next sequence number */
    uint64_t bytes, records, items;
    uint64_t oldest;           /* wall ns of the oldest record */
    uint64_t dropped_items[3]; /* since open: by size, by age, damaged; records in [] below */
    uint64_t dropped_records[3];
    uint64_t set_aside; /* files kept aside because of damage */
};
enum { SPOOL_BY_SIZE, SPOOL_BY_AGE, SPOOL_DAMAGED };

struct spool_record {
    uint64_t seq;
    uint64_t written; /* wall ns */
    uint32_t items;
    uint8_t signal;
    struct str payload; /* good until the next call */
};

struct spool;

/* Opens whatever is there. Only -ERR_NOMEM fails; a directory that cannot be read or
 * written is an empty spool whose appends fail. */
int spool_open(struct spool **out, const struct spool_io *io, const struct spool_options *o,
               struct when now);
void spool_close(struct spool *s);

/* Writes a record; kept once spool_sync() says 0. The sequence number in *seq. */
int spool_append(struct spool *s, unsigned signal, uint32_t items, struct str payload,
                 struct when now, uint64_t *seq);

/* Makes all appended records durable. After a failure the segment is abandoned: the
 * caller's records since the last good sync are not kept and may be appended again. */
int spool_sync(struct spool *s);

/* The record at or after a sequence number: 1, 0 when there is none. */
int spool_read(struct spool *s, uint64_t seq, struct spool_record *out);

/* Everything below this sequence number has been delivered and may be removed. */
int spool_done(struct spool *s, uint64_t seq);

/* Drops what is too old or too much. */
void spool_trim(struct spool *s, struct when now);

void spool_stats(const struct spool *s, struct spool_stats *out);

#endif
