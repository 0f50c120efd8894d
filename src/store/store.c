#include "store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "store/budget.h"
#include "store/commit.h"
#include "store/space.h"
#include "store/stream.h"

enum {
    PAGE = 4096,
    UNDO_BYTES = 128 * 1024,
    DOMAIN_BYTES = STORE_DOMAINS * sizeof(struct domain_rec)
};

/* ---- layout of a new store ---- */

/* What share of the segment a section gets, in 1/1024; 0: fixed or the rest. Of
 * the rings the spans get most: they wait there for the rest of their trace.
 * 64 MiB gives 4,096 metrics, 131,000 series, 58,000 streams and 34,900 sessions. */
static const struct {
    uint64_t share, fixed;
} shares[SECTION_MAX] = {
    [SECTION_UNDO] = {0, UNDO_BYTES},   [SECTION_METRICS] = {4, 0},
    [SECTION_SERIES] = {128, 0},        [SECTION_SESSIONS] = {64, 0},
    [SECTION_PARTS] = {4, 0},           [SECTION_BUCKETS_METRICS] = {1, 0},
    [SECTION_BUCKETS_SERIES] = {16, 0}, [SECTION_BUCKETS_SESSIONS] = {8, 0},
    [SECTION_BUCKETS_PARTS] = {1, 0},   [SECTION_HEAP] = {0, 0},
    [SECTION_EVENTS] = {96, 0},         [SECTION_SPANS] = {192, 0},
    [SECTION_POINTS] = {64, 0},         [SECTION_STREAMS] = {64, 0},
    [SECTION_BUCKETS_STREAMS] = {8, 0}, [SECTION_DOMAINS] = {0, DOMAIN_BYTES},
};

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

static void place_sections(struct store_head *h, uint64_t size)
{
    uint64_t rest = size - STORE_HEAD_SIZE;
    for (int s = 0; s < SECTION_MAX; s++) {
        if (s == SECTION_HEAP)
            continue;
        h->section[s].size =
            whole_pages(shares[s].share ? size / 1024 * shares[s].share : shares[s].fixed);
        rest -= h->section[s].size;
    }
    h->section[SECTION_HEAP].size = rest / PAGE * PAGE;
    uint64_t at = STORE_HEAD_SIZE;
    for (int s = 0; s < SECTION_MAX; s++) {
        h->section[s].offset = at;
        at += h->section[s].size;
    }
}

/* Two builds whose records differ do not take each other's stores. */
static uint64_t layout_hash(void)
{
    const uint64_t shape[] = {
        STORE_VERSION,
        SECTION_MAX,
        SECTION_ROOM,
        TABLE_MAX,
        TABLE_ROOM,
        RING_MAX,
        RING_ROOM,
        CONSUMER_ROOM,
        HEAP_CLASSES,
        sizeof(struct store_head),
        sizeof(struct metric_rec),
        sizeof(struct series_rec),
        sizeof(struct session_rec),
        sizeof(struct part_rec),
        sizeof(struct stream_rec),
        sizeof(struct domain_rec),
        sizeof(struct ring_record),
    };
    return hash_bytes(shape, sizeof shape, 0);
}

static uint64_t static_sum(const struct store_head *h)
{
    return hash_bytes(h, offsetof(struct store_head, static_sum), STORE_VERSION);
}

/* ---- attach ---- */

static void bind(struct store *st, void *mem, size_t size, store_reserve *reserve, void *arg)
{
    *st = (struct store){
        .base = mem,
        .size = size,
        .head = mem,
        .writable = true,
        .reserve = reserve,
        .reserve_arg = arg,
    };
}

/* After the head is known to be good. */
static int bind_writer(struct store *st)
{
    int r = space_ensure_used(st);
    if (r < 0)
        return r;
    r = space_ensure(st, SECTION_DOMAINS, DOMAIN_BYTES);
    if (r < 0)
        return r;
    const struct section_place *undo = &st->head->section[SECTION_UNDO];
    st->undo = (struct undo_entry *)(void *)(st->base + undo->offset);
    st->undo_max = undo->size / sizeof(struct undo_entry);
    st->refs_size = table_capacity(st, TABLE_SERIES);
    st->metric_refs_size = table_capacity(st, TABLE_METRICS);
    st->refs = calloc(st->refs_size, sizeof *st->refs);
    st->metric_refs = calloc(st->metric_refs_size, sizeof *st->metric_refs);
    return st->refs && st->metric_refs ? 0 : -ERR_NOMEM;
}

static void note_start(struct store *st, struct when now)
{
    struct store_head *h = st->head;
    h->start_at[h->starts % START_SLOTS] = now.mono;
    h->starts++;
    h->clean = 0;
}

int store_create(struct store *st, void *mem, size_t size, const struct store_identity *me,
                 store_reserve *reserve, void *reserve_arg, struct when now)
{
    assert(me->store_id != 0);
    size = size / PAGE * PAGE;
    if (size < STORE_MIN || size > STORE_LARGEST)
        return -ERR_RANGE;
    if (reserve(reserve_arg, 0, STORE_HEAD_SIZE) < 0)
        return -ERR_FULL;
    bind(st, mem, size, reserve, reserve_arg);
    struct store_head *h = st->head;
    memset(h, 0, STORE_HEAD_SIZE);
    h->version = STORE_VERSION;
    h->layout_hash = layout_hash();
    h->size = size;
    memcpy(h->boot_id, me->boot_id, sizeof h->boot_id);
    h->store_id = me->store_id;
    h->created = me->created ? me->created : now.wall;
    place_sections(h, size);
    h->epoch = 1;
    memcpy(h->consumer[CONSUMER_HEALTH], "health", sizeof "health");
    h->secret = me->secret;
    h->commit = UINT64_C(1) << COMMIT_SHIFT;
    st->batch = 1;
    int r = bind_writer(st);
    if (r < 0)
        return r;
    memset(st->base + h->section[SECTION_DOMAINS].offset, 0, DOMAIN_BYTES);
    note_start(st, now);
    h->magic = STORE_MAGIC; /* part of the sum; a store without it does not exist yet */
    h->static_sum = static_sum(h);
    return STORE_CREATED;
}

/* The part of the head that never changes. */
static int check_static(const struct store_head *h, size_t size)
{
    if (h->magic != STORE_MAGIC)
        return -ERR_DAMAGED;
    if (h->version != STORE_VERSION || h->layout_hash != layout_hash())
        return -ERR_VERSION;
    if (h->static_sum != static_sum(h) || h->size > size || h->size < STORE_MIN)
        return -ERR_DAMAGED;
    for (int s = 0; s < SECTION_MAX; s++) {
        const struct section_place *p = &h->section[s];
        if (p->offset % PAGE || p->offset > h->size || p->size > h->size - p->offset)
            return -ERR_DAMAGED;
    }
    return 0;
}

static bool all_zero(const void *mem, size_t n)
{
    const uint64_t *w = mem;
    for (size_t i = 0; i < n / sizeof *w; i++)
        if (w[i])
            return false;
    return true;
}

static bool same_boot(const struct store_head *h, const struct store_identity *me)
{
    return memcmp(h->boot_id, me->boot_id, sizeof h->boot_id) == 0;
}

int store_attach(struct store *st, void *mem, size_t size, const struct store_identity *me,
                 store_reserve *reserve, void *reserve_arg, struct when now)
{
    if (size < STORE_MIN)
        return -ERR_RANGE;
    if (reserve(reserve_arg, 0, STORE_HEAD_SIZE) < 0)
        return -ERR_FULL;
    const struct store_head *h = mem;
    if (h->magic == 0 && all_zero(mem, STORE_HEAD_SIZE))
        return store_create(st, mem, size, me, reserve, reserve_arg, now);
    int r = check_static(h, size);
    if (r < 0)
        return r;
    if (!same_boot(h, me))
        return store_create(st, mem, size, me, reserve, reserve_arg, now);
    bind(st, mem, h->size, reserve, reserve_arg);
    r = bind_writer(st);
    if (r < 0)
        goto fail;
    r = store_rollback(st);
    if (r < 0)
        goto fail;
    st->head->rollbacks += r > 0;
    char why[128];
    r = store_check(st, why, sizeof why);
    if (r < 0)
        goto fail;
    stream_hold_series(st);
    budget_count_all(st);
    note_start(st, now);
    return STORE_CONTINUED;
fail:
    store_detach(st, false);
    return r;
}

void store_detach(struct store *st, bool clean)
{
    if (clean) {
        assert(st->undo_used == 0);
        st->head->clean = 1;
        st->head->domain_in_hand = 0;
    }
    free(st->refs);
    free(st->metric_refs);
    *st = (struct store){0};
}

int store_attach_reader(struct store *st, const void *mem, size_t size)
{
    const struct store_head *h = mem;
    if (size < STORE_MIN)
        return -ERR_DAMAGED;
    int r = check_static(h, size);
    if (r < 0)
        return r;
    *st = (struct store){.base = (uint8_t *)(uintptr_t)mem, .size = h->size};
    st->head = (struct store_head *)(void *)st->base;
    return 0;
}

int store_rollback(struct store *st)
{
    const int n = store_rollback_at(st, &st->head->section[SECTION_UNDO],
                                    offsetof(struct store_head, commit));
    if (n >= 0)
        st->undo_used = 0;
    return n;
}

int store_rollback_at(struct store *st, const struct section_place *place, uint64_t commit)
{
    const struct undo_entry *undo = store_at(st, place->offset, place->size);
    const uint64_t word = store_get(st, commit);
    const uint64_t n = COMMIT_COUNT(word), batch = word >> COMMIT_SHIFT;
    if (!undo || n > place->size / sizeof *undo)
        return -ERR_DAMAGED;
    for (uint64_t i = n; i-- > 0;) {
        uint64_t *at = store_at(st, undo[i].offset, sizeof *at);
        if (!at || undo[i].offset < commit)
            return -ERR_DAMAGED;
        *at = undo[i].old;
    }
    commit_fence();
    st->batch = batch + 1;
    *store_word(st, commit) = st->batch << COMMIT_SHIFT;
    return (int)n;
}

uint64_t store_bytes_reserved(const struct store *st)
{
    uint64_t sum = STORE_HEAD_SIZE;
    for (int s = 0; s < SECTION_MAX; s++)
        sum += st->reserved[s];
    return sum;
}
