/* disk: a directory of files as a spool sees it, and what is left of it after a crash.
 *
 * A write lies in memory until its file is synced; a name made, changed or removed
 * until the directory is. When the power goes, any of what was not synced may be there
 * and any may not, sector by sector. A process that is killed loses nothing of that. A
 * sync that fails makes some of it durable and forgets the rest of a file; a directory
 * has a journal: its next good sync makes up for it. */
#ifndef MCPTALLY_SIM_DISK_H
#define MCPTALLY_SIM_DISK_H

#include "rng.h"
#include "spool/spool.h"

enum { DISK_SECTOR = 512, DISK_INODES = 256, DISK_NAMES = 96, DISK_OPEN = 16, DISK_PENDING = 512 };

/* What the disk, or the reader, does wrong on purpose. */
#define DISK_MUTANT_TABLE(X)                                                                       \
    X(NONE, "none")                                                                                \
    X(SYNC, "sync")         /* files are never synced */                                           \
    X(SYNC_DIR, "sync-dir") /* the directory never is */                                           \
    X(MARK, "mark")         /* marks are not synced: files go before the mark is durable */        \
    X(CRC, "crc")           /* every checksum is taken for right */

enum disk_mutant {
#define X(sym, word) DISK_MUTANT_##sym,
    DISK_MUTANT_TABLE(X)
#undef X
        DISK_MUTANT_MAX
};

struct disk_file {
    bool used;
    uint64_t size, durable_size;
    uint8_t *live, *durable;
    uint8_t *dirty; /* of each sector: 0 durable, 1 to be synced, 2 forgotten by a failed sync */
    uint64_t room;  /* bytes of live and durable */
    bool synced;    /* at least once */
    bool marked;    /* a mark was written since the last sync */
};

struct disk_name {
    char name[40];
    int file;
};

struct disk_change {
    enum { DISK_CREATE, DISK_RENAME, DISK_REMOVE } kind;
    struct disk_name a;
    char to[40];
};

struct disk {
    struct rng *rng;
    enum disk_mutant mutant;
    struct disk_file files[DISK_INODES];
    struct disk_name live[DISK_NAMES], durable[DISK_NAMES];
    unsigned nlive, ndurable;
    struct disk_change pending[DISK_PENDING];
    unsigned npending;
    int open[DISK_OPEN]; /* files, or -1 */
    uint64_t room;       /* bytes of all files */
    uint32_t fault;      /* percent of calls that fail */
    bool read_only;
    uint32_t doom; /* calls until the crash; 0: none is set */
    bool frozen;   /* it has come: nothing is done any more */
    uint64_t calls, faults;
};

void disk_init(struct disk *d, struct rng *rng, enum disk_mutant mutant);
void disk_fini(struct disk *d);
void disk_io(struct disk *d, struct spool_io *io);

/* The process ends, or the power goes. */
void disk_crash(struct disk *d, bool power);

/* A file by its place in the directory. */
struct disk_file *disk_file(struct disk *d, unsigned i);
void disk_unlink(struct disk *d, unsigned i);
/* A file of n bytes in any state: all of it durable. False when there is no room. */
bool disk_put(struct disk *d, const char *name, const void *p, uint64_t n);

const char *disk_mutant_name(enum disk_mutant m);

#endif
