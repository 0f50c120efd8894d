/* memory_store: a store in private memory and a few words to fill it, for the
 * tests of what reads one. */
#ifndef MCPTALLY_TESTS_MEMORY_STORE_H
#define MCPTALLY_TESTS_MEMORY_STORE_H

#include <assert.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "store/read.h"
#include "store/series.h"

enum { MEMORY_STORE_SIZE = 64 << 20 };

static const struct when memory_store_now = {.mono = 600 * NS_PER_S,
                                             .wall = UINT64_C(1700000000250) * NS_PER_MS};

struct memory_store {
    struct store st;
    void *mem;
};

static inline int memory_store_reserve(void *arg, uint64_t offset, uint64_t size)
{
    (void)arg;
    return offset + size <= MEMORY_STORE_SIZE ? 0 : -ERR_FULL;
}

static inline void memory_store_init(struct memory_store *ms)
{
    const struct store_identity me = {.boot_id = {1, 2}, .store_id = 3};
    ms->mem = mmap(NULL, MEMORY_STORE_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert(ms->mem != MAP_FAILED);
    const int r = store_attach(&ms->st, ms->mem, MEMORY_STORE_SIZE, &me, memory_store_reserve, NULL,
                               memory_store_now);
    assert(r == STORE_CREATED);
}

static inline void memory_store_fini(struct memory_store *ms)
{
    store_commit(&ms->st);
    store_detach(&ms->st, true);
    munmap(ms->mem, MEMORY_STORE_SIZE);
}

/* The metric of a definition. */
static inline uint32_t memory_store_metric(struct memory_store *ms, const struct metric_def *def,
                                           bool own)
{
    uint32_t id = 0;
    assert(metric_def_check(def) == 0);
    const int r = metric_define(&ms->st, def, own, &id);
    assert(r == 0);
    store_commit(&ms->st);
    return id;
}

/* The series of a canonical label text. */
static inline uint32_t memory_store_series(struct memory_store *ms, uint32_t metric,
                                           const char *labels)
{
    const struct series_ask ask = {.metric = metric,
                                   .labels = str_of(labels),
                                   .group = STR(""),
                                   .overflow = STR("overflow=\"true\""),
                                   .now = memory_store_now};
    uint32_t id = 0;
    const int r = series_make(&ms->st, &ask, &id);
    assert(r == 0);
    store_commit(&ms->st);
    return id;
}

/* One update, as bits; session 0 is none. */
static inline void memory_store_update(struct memory_store *ms, uint32_t series, uint32_t session,
                                       uint64_t bits)
{
    struct series_view s = {0};
    struct metric_view m = {0};
    uint64_t cells = 0;
    const bool known = series_read(&ms->st, series, &s) && metric_read(&ms->st, s.metric, &m);
    assert(known);
    const enum cell_op op = series_target(&ms->st, series, session, &cells);
    series_touch(&ms->st, series, op, cells, memory_store_now);
    const int r = cell_apply(&ms->st, op, cells, bits, memory_store_now.mono / (60 * NS_PER_S));
    assert(r == 0);
    store_commit(&ms->st);
}

#endif
