/* store_fixture: a store in plain memory, with a way to die and come back. */
#ifndef MCPTALLY_TESTS_STORE_FIXTURE_H
#define MCPTALLY_TESTS_STORE_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

struct world {
    void *mem;
    size_t size;
    uint64_t pages_left; /* of 4 KiB that may still be reserved */
    struct store_identity me;
    struct store st;
    struct when now;
};

static inline int world_reserve(void *arg, uint64_t offset, uint64_t size)
{
    struct world *w = arg;
    (void)offset;
    if (size / 4096 > w->pages_left)
        return -ERR_FULL;
    w->pages_left -= size / 4096;
    return 0;
}

static inline int world_attach(struct world *w)
{
    return store_attach(&w->st, w->mem, w->size, &w->me, world_reserve, w, w->now);
}

static inline void world_init(struct world *w, size_t size)
{
    *w = (struct world){
        .size = size,
        .pages_left = 1 << 20,
        .me = {.boot_id = {1, 2}, .store_id = 0x1234567},
        .now = {100 * NS_PER_S, UINT64_C(1700000000) * NS_PER_S},
    };
    w->mem = aligned_alloc(4096, size);
    ck_assert_ptr_nonnull(w->mem);
    memset(w->mem, 0, size);
    ck_assert_int_eq(world_attach(w), STORE_CREATED);
}

/* The daemon is gone without a word, and another one attaches. */
static inline void world_kill(struct world *w)
{
    store_detach(&w->st, false);
    ck_assert_int_eq(world_attach(w), STORE_CONTINUED);
}

static inline void world_fini(struct world *w)
{
    char why[128] = "";
    const int r = store_check(&w->st, why, sizeof why);
    ck_assert_msg(r == 0, "%s", why);
    store_detach(&w->st, false);
    free(w->mem);
}

#endif
