/* space: who gets which bytes of the segment. Floor 2.
 *
 * Tables of fixed-size records with a linear hash over them, and a heap of
 * word-sized classes. Pages are reserved in steps as they come into use, so
 * memory follows use and a tmpfs that is full is an error code, not SIGBUS.
 *
 * What a batch frees can be handed out again only from the next batch on: until
 * the commit a rollback may still want it back. */
#ifndef MCPTALLY_STORE_SPACE_H
#define MCPTALLY_STORE_SPACE_H

#include "base/str.h"
#include "store/commit.h"

/* Makes the first `bytes` of a section usable: 0 or -ERR_FULL. */
int space_ensure(struct store *st, enum store_section s, uint64_t bytes);

/* Makes usable at once what an existing store has in use. 0 or -ERR_FULL. */
int space_ensure_used(struct store *st);

/* ---- heap ---- */

enum { HEAP_MAX_WORDS = 1024 };

/* The offset of `words` words, of which all but the first may be written
 * plainly; 0 when the heap is full. */
uint64_t heap_alloc(struct store *st, uint64_t words);
/* Bytes that a text or a run of words takes in the heap. */
uint64_t heap_bytes(uint64_t words);
uint64_t text_bytes(uint64_t bytes);
void heap_free(struct store *st, uint64_t offset, uint64_t words);

/* Frees a chain of equal pieces that are linked by their first words, 0 at the
 * end: a handful of changes, however long it is. Returns how many. */
uint64_t heap_free_chain(struct store *st, uint64_t first, uint64_t words);

/* A text in the heap, at most TEXT_MAX bytes: its offset, 0 when full. */
enum { TEXT_MAX = (HEAP_MAX_WORDS - 1) * 8 };
uint64_t text_new(struct store *st, struct str a, struct str b, struct str c);
void text_free(struct store *st, uint64_t offset);

/* ---- rings ---- */

enum store_section ring_section(enum store_ring_id ring);

/* ---- tables ---- */

/* A record, zero but for its link; its index, 0 when the table is full. */
uint32_t table_alloc(struct store *st, enum store_table_id t);

/* Enters it into the index; hash must not be 0. False when the index cannot grow. */
bool table_insert(struct store *st, enum store_table_id t, uint32_t index, uint64_t hash);

/* Takes it out of the index and frees it. */
void table_remove(struct store *st, enum store_table_id t, uint32_t index);

/* The offset of a record that lies in the table. */
uint64_t table_offset(const struct store *st, enum store_table_id t, uint32_t index);

/* The record, or NULL when the index is out of range or the record is free. */
void *table_get(const struct store *st, enum store_table_id t, uint32_t index);

/* First record of a hash chain that may hold `hash`, and the next; 0: none. A
 * chain that a writer is changing, or a damaged one, ends after a bounded walk. */
uint32_t table_first(const struct store *st, enum store_table_id t, uint64_t hash);
uint32_t table_next(const struct store *st, enum store_table_id t, uint32_t index);

/* The hash of a component: its names and its domain. */
uint64_t part_hash(const struct store *st, unsigned domain, struct str names);

/* Indexes run from 1 to this minus 1. */
uint32_t table_end(const struct store *st, enum store_table_id t);
uint32_t table_capacity(const struct store *st, enum store_table_id t);

/* Where the table's records and the buckets of its index lie. */
enum store_section table_section(enum store_table_id t);
enum store_section table_buckets(enum store_table_id t);

#endif
