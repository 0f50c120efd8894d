#include "pipeline/ring_sums.h"

#include <stdlib.h>

#include "pipeline/apply.h"
#include "store/cells.h"
#include "wire/shm_ring.h"

enum { WORD = 8 };

_Static_assert(RING_SUMS <= UINT16_MAX + 1, "an id fits in what is touched");

struct ring_sums *ring_sums_new(void)
{
    return calloc(1, sizeof(struct ring_sums));
}

void ring_sums_free(struct ring_sums *s)
{
    free(s);
}

/* Each word once, whatever the compiler would like: what was checked is what is used. */
static inline uint32_t word_at(const uint32_t *p)
{
    return le32toh(*(const volatile uint32_t *)p);
}

static inline uint64_t value_at(const uint32_t *p)
{
    struct __attribute__((packed, may_alias)) bits {
        uint64_t value;
    };
    return le64toh(((const volatile struct bits *)(const volatile void *)p)->value);
}

/* The first of an id, or one whose sum is 0 again. */
static bool enter(struct ring_sums *s, const struct link *l, uint32_t id)
{
    if (s->n == RING_SUMS_TOUCHED || (l->series[id].target & LINK_PLAIN) != LINK_PLAIN)
        return false;
    s->touched[s->n++] = (uint16_t)id;
    return true;
}

/* False: that one is none of ours. */
static inline bool add(struct ring_sums *s, const struct link *l, uint32_t id, uint64_t value)
{
    const uint64_t before = s->sum[id];
    if (__builtin_expect(before == 0, 0) && !enter(s, l, id))
        return false;
    s->sum[id] = before + value;
    return true;
}

static uint32_t ids_of(const struct link *l)
{
    return l->nseries < RING_SUMS ? l->nseries : (uint32_t)RING_SUMS;
}

/* From word i on; returns where it ends. */
static uint32_t gather_shorts(struct ring_sums *s, const struct link *l, const uint32_t *words,
                              uint32_t i, uint32_t n)
{
    const uint32_t ids = ids_of(l);
    for (; i < n; i++) {
        const uint32_t word = word_at(words + i), id = word % SHM_SHORT_IDS;
        if (word / SHM_SHORT_MARK != 1 || id >= ids ||
            !add(s, l, id, word / SHM_SHORT_IDS % SHM_SHORT_VALUES))
            break;
    }
    return i;
}

static uint32_t gather_longs(struct ring_sums *s, const struct link *l, const uint32_t *words,
                             uint32_t i, uint32_t n)
{
    const uint32_t ids = ids_of(l);
    for (; i + SHM_RING_UPDATE <= n; i += SHM_RING_UPDATE) {
        const uint32_t id = word_at(words + i);
        if (id >= ids || !add(s, l, id, value_at(words + i + 1)))
            break;
    }
    return i;
}

/* All into the store; an id that is there twice adds nothing the second time. */
static void empty(struct ring_sums *s, const struct link *l)
{
    struct store *st = l->pl->st;
    struct undo_entry *plan = store_plan(st, s->n);
    for (unsigned i = 0; i < s->n; i++) {
        const uint64_t cells = (uint64_t)l->series[s->touched[i]].cells * WORD;
        store_plan_add(st, plan + i, cells + CELL_VALUE * WORD);
    }
    if (s->n)
        store_publish(st, s->n);
    for (unsigned i = 0; i < s->n; i++) {
        store_planned_add(st, plan + i, s->sum[s->touched[i]]);
        s->sum[s->touched[i]] = 0;
    }
    s->n = 0;
}

uint32_t ring_sums_add(struct ring_sums *s, struct link *l, const uint32_t *words, uint32_t n,
                       uint32_t *updates)
{
    uint32_t at = 0, before;
    *updates = 0;
    apply_begin_round(l);
    do {
        before = at;
        const uint32_t shorts = gather_shorts(s, l, words, at, n);
        at = gather_longs(s, l, words, shorts, n);
        *updates += shorts - before + (at - shorts) / SHM_RING_UPDATE;
    } while (at != before);
    empty(s, l);
    return at;
}
