/* copy: a store into a fresh one, because the layout or the size has changed. Floor 2.
 *
 * The walk from every earlier version is this one function: between versions
 * records have only grown at their end, so an older record is a newer one whose
 * last words are zero, and migrate.c reads an older head as one of today. What
 * the rings hold goes along, as far as the new ones have room. The caller copies
 * into a new segment and renames it into place; killed on the way, it begins
 * again. */
#ifndef MCPTALLY_STORE_COPY_H
#define MCPTALLY_STORE_COPY_H

#include "store/store.h"

enum { STORE_OLDEST = 0 }; /* the oldest version that can be read */

/* Whether `mem` holds a whole store of a known version; its identity, so that the
 * copy is the same store to every producer. 0, -ERR_DAMAGED, -ERR_VERSION. */
int store_identify(const void *mem, size_t size, struct store_identity *out);

/* Copies what `old` holds, its open batch rolled back by the caller's earlier
 * store_rollback_old(), into `to`, which store_create() has just made with the
 * same identity. 0, -ERR_DAMAGED, -ERR_FULL (`to` is too small), -ERR_NOMEM. */
int store_copy(const void *old, size_t old_size, struct store *to, struct when now);

/* Rolls back the open batch of a store of any known version, in place. */
int store_rollback_old(void *old, size_t old_size);

#endif
