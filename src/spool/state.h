/* state: what the files of spool/ share about an open spool. Floor 2. */
#ifndef MCPTALLY_SPOOL_STATE_H
#define MCPTALLY_SPOOL_STATE_H

#include "base/err.h"
#include "spool/segment.h"
#include "spool/spool.h"

enum {
    SPOOL_ASIDE = 8,        /* damaged files that are kept */
    SPOOL_NAME = 32,        /* bytes of a file name with its NUL */
    SPOOL_FILES = 1 << 16,  /* a directory with more of them is not ours alone */
    SPOOL_TRIES = 8,        /* of reading, until what cannot be read is given up */
    SPOOL_BAD = 1024,       /* damaged records that are remembered until the mark passes them */
    SPOOL_SHARE = 4,        /* a segment is at most this part of the whole, so is what is aside */
    SPOOL_SMALL = 64 << 10, /* memory for payloads that is kept between calls */
};

struct segment {
    uint64_t name; /* number in the file's name */
    struct segment_head head;
    uint64_t size;           /* bytes on disk */
    uint64_t used;           /* end of its last record */
    uint64_t low, end;       /* numbers of records that count: from low, below end */
    uint64_t tail;           /* where the first record from the mark on begins, or earlier */
    uint64_t records, items; /* from the mark on */
    bool damaged;            /* to be set aside, not removed */
};

struct spool {
    struct spool_io io;
    struct spool_options o;
    uint64_t wall; /* of the last call that had a clock */
    bool recovered;
    unsigned tries; /* of recovering, or of reading one record */

    struct segment *segments; /* by first.seq; the last one is the newest */
    size_t n, room;
    uint64_t next_name;
    uint64_t aside[SPOOL_ASIDE + 1]; /* names, oldest first */
    uint64_t aside_size[SPOOL_ASIDE + 1];
    size_t naside;

    struct point next; /* before the record that comes next */
    struct point kept; /* all before it is durable */
    struct point mark; /* all before it is delivered or dropped */
    bool marked;       /* and that is durable: nothing is removed before */
    struct point sure; /* between here and there some may be torn: they were found so */

    int file;            /* of the newest segment, for marks, and records when `writing`; or -1 */
    bool writing;        /* it takes records */
    bool lost;           /* records were lost that spool_sync() has not told of yet */
    uint64_t kept_used;  /* its `used` at the last good sync */
    int read_file;       /* of another segment, or -1 */
    uint64_t read_name;  /* of which */
    uint64_t cursor_seq; /* the record that was read last, and where it is */
    uint64_t cursor_at, cursor_name;
    uint64_t stuck; /* number of the record that could not be read */

    uint64_t bad[SPOOL_BAD];
    size_t nbad;
    char *payload;
    size_t payload_room;
    uint64_t oldest_seq, oldest_written;
    uint64_t dropped_records[3], dropped_items[3];
};

static inline struct segment *spool_newest(struct spool *s)
{
    return s->n ? &s->segments[s->n - 1] : NULL;
}

/* Room in the list for one more segment, so that nothing can fail once its file is there.
 * 0 or -ERR_NOMEM. */
int spool_reserve(struct spool *s);

void spool_name(char to[SPOOL_NAME], uint64_t name, bool damaged);

/* ---- scan.c: the records of one segment in order, damage skipped ---- */

struct scan {
    struct spool *s;
    const struct segment *g;
    int file;
    uint64_t at;    /* where to look next */
    uint64_t limit; /* and where to end */
    uint64_t last;  /* number of the record before, + 1 */
    bool tolerant;  /* what cannot be read is damage */
    bool failed;    /* something could not */
    struct record_head h;
    uint64_t found; /* where h is */
};

int scan_begin(struct scan *c, struct spool *s, const struct segment *g, uint64_t at);
/* 1, 0 at the end, or an error. */
int scan_next(struct scan *c);
/* The payload of h: 1 good, 0 not good, or an error. It lies in s->payload. */
int scan_payload(struct scan *c);

/* ---- recover.c ---- */

/* Makes s->segments and all counts of what lies on the disk. */
int spool_recover(struct spool *s);
/* Renames a damaged file, and removes the oldest such beyond the bounds. */
int spool_set_aside(struct spool *s, uint64_t name, uint64_t size);

/* ---- mark.c ---- */

/* A record that is there but not good counts as if it were not there. */
bool spool_known_bad(const struct spool *s, uint64_t seq);
void spool_note_bad(struct spool *s, const struct record_head *h);
void spool_forget_bad(struct spool *s, uint64_t seq);
/* What was durable without doubt: before kept, until a new segment follows a recovery. */
struct point spool_sure(const struct spool *s);

/* Moves the mark to a number, durably first, and forgets what lies before it. */
int spool_advance(struct spool *s, uint64_t seq);
/* The same, and counts what was dropped. */
int spool_drop(struct spool *s, uint64_t seq, unsigned why);
/* Makes the mark durable that a recovery has found. */
int spool_settle(struct spool *s);
/* Files without anything that is still wanted go. */
void spool_reap(struct spool *s);
/* A newest segment that holds nothing gives its room back; it takes no more records. */
void spool_shrink(struct spool *s);
uint64_t spool_bytes(const struct spool *s);

/* ---- spool.c ---- */

/* A new segment with room for a record of that size; it has the mark. */
int spool_start_segment(struct spool *s, uint64_t record, struct point mark);
/* Gives the newest segment up after a sync that failed. */
void spool_abandon(struct spool *s);

#endif
