#include <check.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "model/limits.h"
#include "wire/shm_ring.h"

enum { WORDS = SHM_RING_MIN };

static struct shm_ring ring;
static struct shm_ring_slot slot;
static uint32_t chunk[SHM_RING_COPY / sizeof(uint32_t)];
static uint8_t copy[LIMIT_ITEM];

static void setup(void)
{
    void *memory = aligned_alloc(_Alignof(struct shm_ring_page), shm_ring_bytes(WORDS));
    memset(memory, 0, sizeof(struct shm_ring_page));
    memset(&slot, 0, sizeof slot);
    shm_ring_init(&ring, memory, WORDS, &slot);
}

static void teardown(void)
{
    free(ring.page);
}

static void go_to(uint64_t position)
{
    atomic_store(&ring.page->head, position);
    atomic_store(&slot.tail, position);
    ring.tail_seen = position;
}

/* Copies what is there, as a reader that does not trust the writer. */
static uint32_t take(void)
{
    return shm_ring_copy(ring.words, ring.mask, atomic_load(&slot.tail), shm_ring_head(&ring),
                         chunk, WORDS);
}

static int next_of(uint32_t at, uint32_t n, struct shm_piece *p)
{
    return shm_piece_next(chunk, UINT32_MAX, at, n, copy, p);
}

START_TEST(what_lies_across_the_end_is_copied_in_order)
{
    struct shm_piece p;
    for (uint64_t back = 0; back < 8; back++) {
        go_to(2 * WORDS - back);
        shm_ring_put_update(&ring, 7, UINT64_C(0x8877665544332211));
        shm_ring_put_item(&ring, EVENT_LOG, "abcdefghi", 9);
        shm_ring_put_update(&ring, 8, 1);
        const uint32_t n = take();
        ck_assert_uint_eq(n, 3 + 1 + 3 + 3);
        ck_assert_int_eq(next_of(0, n, &p), 1);
        ck_assert_uint_eq(p.count, 1);
        ck_assert_uint_eq(get_u32(p.bytes), 7);
        ck_assert_uint_eq(get_u64(p.bytes + 4), UINT64_C(0x8877665544332211));
        ck_assert_int_eq(next_of(3, n, &p), 1);
        ck_assert_uint_eq(p.count, 0);
        ck_assert_uint_eq(p.size, 9);
        ck_assert_mem_eq(p.bytes, "abcdefghi", 9);
        ck_assert_int_eq(next_of(7, n, &p), 1);
        ck_assert_uint_eq(get_u32(p.bytes), 8);
        ck_assert_int_eq(next_of(n, n, &p), 0);
    }
}
END_TEST

/* As they are on the wire, so many at a time, wherever they lie. */
START_TEST(updates_of_one_word_become_long_ones)
{
    struct shm_piece p;
    uint32_t at = 0;
    go_to(2 * WORDS - 3);
    for (uint32_t i = 0; i < SHM_RING_EXPANDED + 2; i++)
        shm_ring_write_short(&ring, shm_ring_head(&ring), shm_short(UINT16_MAX - i, 16383 - i));
    shm_ring_put_update(&ring, 4, 1);
    const uint32_t n = take();
    ck_assert_uint_eq(n, SHM_RING_EXPANDED + 2 + 3);
    for (uint32_t i = 0; i < SHM_RING_EXPANDED + 2; at += p.words) {
        ck_assert_int_eq(next_of(at, n, &p), 1);
        ck_assert_uint_eq(p.each, 1);
        ck_assert_uint_eq(p.words, p.count);
        ck_assert_uint_eq(p.count, i == 0 ? SHM_RING_EXPANDED : 2);
        for (uint32_t k = 0; k < p.count; k++, i++) {
            ck_assert_uint_eq(get_u32(p.bytes + 12 * k), UINT16_MAX - i);
            ck_assert_uint_eq(get_u64(p.bytes + 12 * k + 4), 16383 - i);
        }
    }
    ck_assert_int_eq(next_of(at, n, &p), 1);
    ck_assert_uint_eq(p.each, 3);
    ck_assert_uint_eq(p.count, 1);
}
END_TEST

START_TEST(a_copy_is_bounded)
{
    static uint32_t large[4 * SHM_RING_COPY / sizeof(uint32_t)];
    const uint32_t words = sizeof large / sizeof *large, most = sizeof chunk / sizeof *chunk;
    for (uint32_t i = 0; i < words; i++)
        large[i] = i;
    ck_assert_uint_eq(shm_ring_copy(large, words - 1, words - 5, 2 * words - 5, chunk, most), most);
    ck_assert_uint_eq(chunk[4], words - 1);
    ck_assert_uint_eq(chunk[5], 0);
    ck_assert_uint_eq(chunk[most - 1], most - 6);
}
END_TEST

START_TEST(a_mark_that_lies_is_told)
{
    static const struct {
        uint32_t mark;
        int error;
    } lies[] = {
        {0x80000000 | EVENT_SPAN << 24 | (LIMIT_ITEM + 1), -ERR_RANGE},
        {0x80000000 | EVENT_SPAN << 24 | 0xffffff, -ERR_RANGE},
        {0x80000000 | (EVENT_SPAN - 1) << 24 | 4, -ERR_RANGE},
        {0x80000000 | (EVENT_HEALTH + 1) << 24 | 4, -ERR_RANGE},
        {0xffffffff, -ERR_RANGE},
        {0x80000000 | EVENT_LOG << 24 | 9, -ERR_SHORT},
        {1, -ERR_SHORT}, /* an update of one word */
    };
    struct shm_piece p;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        chunk[0] = htole32(lies[i].mark);
        ck_assert_int_eq(next_of(0, i == 6 ? 2 : 3, &p), lies[i].error);
    }
    chunk[0] = htole32(0x80000000 | EVENT_LOG << 24 | 8);
    ck_assert_int_eq(next_of(0, 3, &p), 1);
}
END_TEST

START_TEST(a_run_ends_where_words_are_missing)
{
    struct shm_piece p;
    memset(chunk, 0, 64);
    ck_assert_int_eq(next_of(0, 8, &p), 1);
    ck_assert_uint_eq(p.count, 2);
    ck_assert_int_eq(next_of(6, 8, &p), -ERR_SHORT);
    chunk[3] = htole32(shm_short(1, 1));
    ck_assert_int_eq(next_of(0, 8, &p), 1);
    ck_assert_uint_eq(p.count, 1);
    ck_assert_int_eq(next_of(3, 8, &p), 1);
    ck_assert_uint_eq(p.count, 1);
}
END_TEST

START_TEST(the_ring_counts_what_it_was_given)
{
    shm_ring_put_item(&ring, EVENT_LOG, "x", 1);
    shm_ring_write_short(&ring, shm_ring_head(&ring), shm_short(1, 1));
    ck_assert_uint_eq(shm_ring_emitted(&ring), 2);
    for (unsigned i = 0; i < WORDS; i++)
        shm_ring_put_update(&ring, 1, i);
    shm_ring_put_item(&ring, EVENT_LOG, "xxxxx", 5);
    ck_assert_uint_eq(shm_ring_emitted(&ring), WORDS + 3);
    ck_assert_uint_eq(atomic_load(&ring.page->full), WORDS + 1 - (WORDS - 3) / 3);
    ck_assert(shm_ring_half_full(&ring));
}
END_TEST

START_TEST(an_item_that_its_writer_did_not_finish_is_torn)
{
    ck_assert(!shm_ring_torn(ring.page));
    shm_ring_put_item(&ring, EVENT_LOG, "x", 1);
    ck_assert(!shm_ring_torn(ring.page));
    atomic_store(&ring.page->writing, shm_ring_head(&ring) + 1); /* and then it was killed */
    ck_assert(shm_ring_torn(ring.page));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shm_ring");
    TCase *c = tcase_create("shm_ring");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, what_lies_across_the_end_is_copied_in_order);
    tcase_add_test(c, updates_of_one_word_become_long_ones);
    tcase_add_test(c, a_copy_is_bounded);
    tcase_add_test(c, a_mark_that_lies_is_told);
    tcase_add_test(c, a_run_ends_where_words_are_missing);
    tcase_add_test(c, the_ring_counts_what_it_was_given);
    tcase_add_test(c, an_item_that_its_writer_did_not_finish_is_torn);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
