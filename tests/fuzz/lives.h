/* lives: a daemon's store for an input, which is applied twice: the daemon is killed in between. */
#ifndef MCPTALLY_TESTS_LIVES_H
#define MCPTALLY_TESTS_LIVES_H

#include <assert.h>

#include "pipeline/own.h"
#include "pipeline/pipeline.h"
#include "store/store.h"

enum { SIZE = STORE_MIN, LIVES = 2 };

static const struct when now = {1000 * NS_PER_S, UINT64_C(1700000000) * NS_PER_S};
static const struct store_identity me = {{1, 2}, 7, 0, 9};

static inline int reserve(void *arg, uint64_t offset, uint64_t size)
{
    (void)arg;
    return offset + size <= SIZE ? 0 : -ERR_FULL;
}

/* One life, whose pipeline is new and whose store is not, but for the first. */
typedef void life(struct pipeline *pl, void *arg);

/* mem: SIZE bytes of zeros. */
static inline void live(uint8_t *mem, const struct pipeline_options *o, life *one, void *arg)
{
    static struct pipeline pl;
    struct store st;
    for (int i = 0; i < LIVES; i++) {
        int r = store_attach(&st, mem, SIZE, &me, reserve, NULL, now);
        assert(r == (i ? STORE_CONTINUED : STORE_CREATED));
        r = pipeline_init(&pl, &st, o, now);
        assert(r == 0);
        one(&pl, arg);
        pipeline_fini(&pl);
        store_detach(&st, false);
    }
}

static inline uint64_t own_all(const struct pipeline *pl, enum own_metric m, unsigned each)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < pl->options.domains * each; i++)
        n += own_get(&pl->own, m, i);
    return n;
}

/* The ledger balances and the store is whole: how many items were received. */
static inline uint64_t check_ledger(const struct pipeline *pl)
{
    char why[128];
    const uint64_t received = own_all(pl, OWN_RECEIVED, 1);
    assert(received == own_all(pl, OWN_APPLIED, 1) + own_all(pl, OWN_DROPPED, DROP_MAX));
    const int bad = store_check(pl->st, why, sizeof why);
    assert(bad == 0);
    return received;
}

#endif
