#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "client/ring.h"
#include "model/limits.h"

static struct ring *r;
static uint8_t copy[LIMIT_ITEM];

static void setup(void)
{
    r = ring_new(NULL, 1, 4096, false);
    ck_assert_ptr_nonnull(r);
}

static void teardown(void)
{
    ring_let_go(r);
    ring_let_go(r);
}

START_TEST(updates_come_out_as_on_the_wire)
{
    struct shm_piece p;
    ck_assert(ring_empty(r));
    shm_ring_put_update(&r->shm, 5, UINT64_C(0x1122334455667788));
    shm_ring_put_update(&r->shm, 6, 1);
    ck_assert(ring_next(r, shm_ring_head(&r->shm), copy, &p));
    ck_assert_uint_eq(p.count, 2);
    ck_assert_uint_eq(p.words, 2 * SHM_RING_UPDATE);
    ck_assert_uint_eq(get_u32(p.bytes), 5);
    ck_assert_uint_eq(get_u64(p.bytes + 4), UINT64_C(0x1122334455667788));
    ck_assert_uint_eq(get_u32(p.bytes + 12), 6);
    ring_took(r, p.words);
    ck_assert(ring_empty(r));
    ck_assert(!ring_next(r, shm_ring_head(&r->shm), copy, &p));
}
END_TEST

START_TEST(an_item_ends_a_run_of_updates)
{
    struct shm_piece p;
    shm_ring_put_update(&r->shm, 5, 1);
    shm_ring_put_item(&r->shm, EVENT_LOG, "hello", 5);
    shm_ring_put_update(&r->shm, 6, 1);
    ck_assert(ring_next(r, shm_ring_head(&r->shm), copy, &p));
    ck_assert_uint_eq(p.count, 1);
    ring_took(r, p.words);
    ck_assert(ring_next(r, shm_ring_head(&r->shm), copy, &p));
    ck_assert_uint_eq(p.count, 0);
    ck_assert_int_eq(p.kind, EVENT_LOG);
    ck_assert_uint_eq(p.size, 5);
    ck_assert_mem_eq(p.bytes, "hello", 5);
    ring_took(r, p.words);
    ck_assert(ring_next(r, shm_ring_head(&r->shm), copy, &p));
    ck_assert_uint_eq(get_u32(p.bytes), 6);
}
END_TEST

START_TEST(a_full_ring_drops_the_newest)
{
    const uint32_t room = 1024 / SHM_RING_UPDATE;
    struct shm_piece p;
    for (uint32_t i = 0; i < room + 10; i++)
        shm_ring_put_update(&r->shm, i + 1, 0);
    ck_assert_uint_eq(shm_ring_emitted(&r->shm), room + 10);
    ck_assert_uint_eq(atomic_load(&r->shm.page->full), 10);
    ck_assert(shm_ring_half_full(&r->shm));
    ck_assert(ring_next(r, shm_ring_head(&r->shm), copy, &p));
    ck_assert_uint_eq(p.count, room);
    ck_assert_uint_eq(get_u32(p.bytes), 1);
    ring_took(r, SHM_RING_UPDATE);
    shm_ring_put_update(&r->shm, 4711, 0);
    ck_assert_uint_eq(atomic_load(&r->shm.page->full), 10);
}
END_TEST

START_TEST(an_item_larger_than_the_ring_is_dropped)
{
    static const uint8_t body[LIMIT_ITEM];
    shm_ring_put_item(&r->shm, EVENT_LOG, body, 4096);
    shm_ring_put_item(&r->shm, EVENT_LOG, body, LIMIT_ITEM);
    ck_assert_uint_eq(atomic_load(&r->shm.page->full), 2);
    ck_assert(ring_empty(r));
    shm_ring_put_item(&r->shm, EVENT_LOG, body, 4092); /* and its mark: exactly all of it */
    ck_assert_uint_eq(atomic_load(&r->shm.page->full), 2);
}
END_TEST

/* What was put, to be compared with what comes out: a sequence that both sides can make. */
static uint64_t mix(uint64_t i)
{
    i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return i ^ i >> 29;
}

static bool is_item(uint64_t i)
{
    return mix(i) % 7 == 0;
}

static uint32_t size_of(uint64_t i)
{
    return (uint32_t)(mix(i) / 7 % 300);
}

static void make_body(uint64_t i, uint8_t *to)
{
    for (uint32_t k = 0; k < size_of(i); k++)
        to[k] = (uint8_t)(i + k);
}

/* Puts record i; false when there was no room. */
static bool put(uint64_t i)
{
    uint8_t body[300];
    const uint64_t full = atomic_load_explicit(&r->shm.page->full, memory_order_relaxed);
    make_body(i, body);
    if (is_item(i))
        shm_ring_put_item(&r->shm, EVENT_NAMED, body, size_of(i));
    else
        shm_ring_put_update(&r->shm, (uint32_t)i + 1, mix(i));
    return atomic_load_explicit(&r->shm.page->full, memory_order_relaxed) == full;
}

/* Checks a piece that begins with record i; returns how many records it holds, 0
 * when it is wrong. */
static unsigned check_piece(const struct shm_piece *p, uint64_t i)
{
    uint8_t body[300];
    make_body(i, body);
    if (p->count == 0)
        return is_item(i) && p->size == size_of(i) && memcmp(p->bytes, body, p->size) == 0;
    for (uint32_t k = 0; k < p->count; k++)
        if (is_item(i + k) || get_u32(p->bytes + 12 * k) != (uint32_t)(i + k) + 1 ||
            get_u64(p->bytes + 12 * k + 4) != mix(i + k))
            return 0;
    return p->count;
}

/* Takes what is there, but not all of a run at once; false when something is wrong. */
static bool take(uint64_t *i)
{
    struct shm_piece p;
    if (!ring_next(r, shm_ring_head(&r->shm), copy, &p))
        return true;
    unsigned n = check_piece(&p, *i);
    if (n > 1 && mix(*i) % 3 == 0) {
        n = 1;
        p.words = SHM_RING_UPDATE;
    }
    *i += n;
    ring_took(r, p.words);
    return n > 0;
}

START_TEST(any_record_at_any_place)
{
    uint64_t written = 0, read = 0, turns = 0;
    while (read < 200000) {
        const uint64_t n = mix(turns++) % 60;
        for (uint64_t k = 0; k < n && put(written); k++)
            written++;
        for (uint64_t k = 0; k < mix(turns) % 40; k++)
            ck_assert_msg(take(&read), "record %lu", (unsigned long)read);
    }
    ck_assert_uint_gt(atomic_load(&r->shm.page->full), 0);
}
END_TEST

enum { RECORDS = 300000 };

static void *writer(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < RECORDS;)
        if (put(i))
            i++;
        else
            sched_yield();
    return NULL;
}

START_TEST(one_thread_writes_and_one_reads)
{
    pthread_t t;
    uint64_t read = 0;
    bool ok = true;
    ck_assert_int_eq(pthread_create(&t, NULL, writer, NULL), 0);
    while (ok && read < RECORDS) {
        if (ring_empty(r))
            sched_yield();
        ok = take(&read);
    }
    if (ok)
        pthread_join(t, NULL);
    ck_assert_msg(ok, "record %lu", (unsigned long)read);
    ck_assert(ring_empty(r));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_ring");
    TCase *c = tcase_create("client_ring");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, updates_come_out_as_on_the_wire);
    tcase_add_test(c, an_item_ends_a_run_of_updates);
    tcase_add_test(c, a_full_ring_drops_the_newest);
    tcase_add_test(c, an_item_larger_than_the_ring_is_dropped);
    tcase_add_test(c, any_record_at_any_place);
    tcase_add_test(c, one_thread_writes_and_one_reads);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
