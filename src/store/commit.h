/* commit: the one function that changes committed state. Floor 2.
 *
 * store_set() appends (offset, old value) to the undo log and then writes the
 * word; store_commit() ends the batch. The batch number and the length of the
 * log share one word, so both a longer log and a commit are one store. What a
 * SIGKILL leaves is undone by replaying the log backwards.
 *
 * New bytes (records, texts, ring records) are written plainly, but only where
 * no committed word points; a store_set() then publishes them. The first word of
 * a free record is the link of the free list, which is committed: it changes
 * through store_set() even when the record is fresh. */
#ifndef MCPTALLY_STORE_COMMIT_H
#define MCPTALLY_STORE_COMMIT_H

#include <assert.h>

#include "store/store.h"

enum {
    COMMIT_SHIFT = 24,      /* the commit word: batch << 24 | undo entries */
    COMMIT_ITEM_SETS = 4096 /* no item needs more changes than this: an event that makes
                                16 metrics and series by rules, about 1,700 */
};

#define COMMIT_COUNT(word) ((word) & ((UINT64_C(1) << COMMIT_SHIFT) - 1))

/* Keeps gcc from moving or merging the stores; the processor keeps their order
 * as far as this process' own death is concerned. */
static inline void commit_fence(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#ifdef MCPTALLY_SIM
/* The simulation's hand in every change: it may end the process here (by
 * longjmp), and a deliberate fault is a change that it says not to log. */
enum sim_point { SIM_BEFORE_LOG, SIM_BEFORE_WRITE, SIM_AFTER_WRITE };
void sim_store_point(const struct store *st, uint64_t offset, enum sim_point point);
bool sim_store_logs(const struct store *st, uint64_t offset);
#endif

static inline void store_set(struct store *st, uint64_t offset, uint64_t value)
{
    uint64_t *word = store_word(st, offset);
    const uint64_t n = st->undo_used;
    assert(n < st->undo_max);
#ifdef MCPTALLY_SIM
    sim_store_point(st, offset, SIM_BEFORE_LOG);
    if (!sim_store_logs(st, offset)) {
        *word = value;
        return;
    }
#endif
    st->undo[n].offset = offset;
    st->undo[n].old = *word;
    commit_fence();
    __atomic_store_n(&st->head->commit, st->batch << COMMIT_SHIFT | (n + 1), __ATOMIC_RELAXED);
    st->undo_used = n + 1;
    commit_fence();
#ifdef MCPTALLY_SIM
    sim_store_point(st, offset, SIM_BEFORE_WRITE);
#endif
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
#ifdef MCPTALLY_SIM
    sim_store_point(st, offset, SIM_AFTER_WRITE);
#endif
}

static inline void store_add(struct store *st, uint64_t offset, uint64_t n)
{
    store_set(st, offset, store_get(st, offset) + n);
}

/* Additions that are made together, at the price of one fence: all old values are logged, then
 * the longer log is published, then the words change. A word that comes twice is logged twice
 * with the value that it had before both, which is what a rollback, in any order, has to give it
 * back. What is planned and not published has no effect.
 *
 *     plan = store_plan(st, n);  store_plan_add(st, plan + i, offset) for all
 *     store_publish(st, n);      store_planned_add(st, plan + i, amount) for all */
static inline struct undo_entry *store_plan(const struct store *st, unsigned count)
{
    assert(st->undo_max - st->undo_used >= count);
    return st->undo + st->undo_used;
}

static inline void store_plan_add(const struct store *st, struct undo_entry *entry, uint64_t offset)
{
#ifdef MCPTALLY_SIM
    sim_store_point(st, offset, SIM_BEFORE_LOG);
#endif
    entry->offset = offset;
    entry->old = store_get(st, offset);
}

static inline void store_publish(struct store *st, unsigned count)
{
#ifdef MCPTALLY_SIM
    if (sim_store_logs(st, st->undo[st->undo_used].offset))
#endif
        st->undo_used += count;
    commit_fence();
    __atomic_store_n(&st->head->commit, st->batch << COMMIT_SHIFT | st->undo_used,
                     __ATOMIC_RELAXED);
    commit_fence();
}

static inline void store_planned_add(const struct store *st, const struct undo_entry *entry,
                                     uint64_t amount)
{
#ifdef MCPTALLY_SIM
    sim_store_point(st, entry->offset, SIM_BEFORE_WRITE);
#endif
    *store_word(st, entry->offset) += amount;
}

/* The offset of a committed word, from its address in the segment. */
static inline uint64_t store_off(const struct store *st, const void *word)
{
    return (uint64_t)((const uint8_t *)word - st->base);
}

#define STORE_SET(st, field, value) store_set((st), store_off((st), &(field)), (value))
#define STORE_ADD(st, field, value) store_add((st), store_off((st), &(field)), (value))

/* Ends the open batch, if it changed anything. */
static inline void store_commit(struct store *st)
{
    if (st->undo_used == 0)
        return;
    commit_fence();
    st->batch++;
    __atomic_store_n(&st->head->commit, st->batch << COMMIT_SHIFT, __ATOMIC_RELEASE);
    st->undo_used = 0;
    commit_fence();
}

/* Whether the log has room for one more item of any kind; if not, the caller
 * commits at this item boundary. */
static inline bool store_has_room(const struct store *st)
{
    return st->undo_max - st->undo_used >= COMMIT_ITEM_SETS;
}

#endif
