/* migrate: the heads of earlier versions, read as one of today. Floor 2. For
 * copy.c, and for who finds the file of another version at the path. */
#ifndef MCPTALLY_STORE_MIGRATE_H
#define MCPTALLY_STORE_MIGRATE_H

#include "store/store.h"

/* 0 when this is a whole head of this or an earlier version; -ERR_DAMAGED,
 * -ERR_VERSION for a later one. */
int migrate_known(const void *mem, size_t size);

/* The head of a known store, as today's. */
void migrate_head(const void *mem, struct store_head *out);

/* A series up to version 3, whose cells began with a word: index<<32 | epoch of the newest
 * update; the keys of its labels lay behind their text: size | of the text alone<<32. */
struct series_rec_v3 {
    struct record_head head;
    uint64_t metric, labels, cells, created, next, prev, group;
};

/* Plain words that lie elsewhere in other versions. */
enum migrate_word { MIGRATE_CLEAN, MIGRATE_SUPERSEDED, MIGRATE_PID, MIGRATE_COMMIT };

/* Bytes of a head that migrate_offset() looks at. */
enum { MIGRATE_PROBE = 16 };

/* The offset of such a word, by the version that the head says. */
uint64_t migrate_offset(const void *mem, enum migrate_word word);

/* Bytes of a record of this table in that version. */
uint64_t migrate_record(uint64_t version, enum store_table_id t);

#endif
