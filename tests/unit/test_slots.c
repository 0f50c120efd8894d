#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "intake/slots.h"

enum { UID = 1000, OTHER = 1001, WORDS = SHM_RING_MIN };

static struct slots slots;

/* A ring as the daemon has it, and its slot as its producer has mapped it. */
struct pair {
    struct slot_area *area;
    struct shm_ring_slot *slot;
    const struct shm_ring_slot *seen;
    void *page;
};

static struct pair take(uint32_t uid)
{
    struct pair p;
    p.slot = slots_take(&slots, uid, &p.area);
    ck_assert_ptr_nonnull(p.slot);
    p.page = mmap(NULL, SLOTS_BYTES, PROT_READ, MAP_SHARED, p.area->fd, 0);
    ck_assert_ptr_ne(p.page, MAP_FAILED);
    p.seen = (const void *)((const char *)p.page + slot_offset(p.area, p.slot));
    slots_told(p.area);
    return p;
}

static void tell(struct pair *p, uint64_t tail)
{
    atomic_store(&p->slot->tail, tail);
}

static void let_go(struct pair *p)
{
    munmap(p->page, SLOTS_BYTES);
}

static void setup(void)
{
    LIST_INIT(&slots.users);
}

static void teardown(void)
{
    ck_assert(LIST_EMPTY(&slots.users));
}

/* The daemon has closed the connection of a producer, which does not know it yet, and reads
 * another ring of the same user. */
START_TEST(what_is_not_read_is_not_overwritten_for_another_rings_tail)
{
    struct shm_ring ring;
    struct pair kept = take(UID), first = take(UID);
    void *memory = aligned_alloc(_Alignof(struct shm_ring_page), shm_ring_bytes(WORDS));
    memset(memory, 0, shm_ring_bytes(WORDS));
    shm_ring_init(&ring, memory, WORDS, first.seen);
    for (uint32_t i = 0; i < WORDS; i++)
        shm_ring_put_update(&ring, 1, i);
    const uint64_t full = atomic_load(&ring.page->full), head = shm_ring_head(&ring);
    tell(&first, 0);
    slots_give(first.area, true);

    struct pair next = take(UID);
    tell(&next, WORDS / 2);
    shm_ring_put_update(&ring, 2, 0);
    ck_assert_uint_eq(shm_ring_head(&ring), head);
    ck_assert_uint_eq(atomic_load(&ring.page->full), full + 1);

    slots_give(next.area, true);
    slots_give(kept.area, true);
    let_go(&kept);
    let_go(&first);
    let_go(&next);
    free(memory);
}
END_TEST

/* More rings than a page has slots for, one after the other, beside one that stays. */
START_TEST(each_ring_leaves_what_was_said_of_it)
{
    struct pair all[3 * SLOTS_COUNT], kept = take(UID);
    tell(&kept, 4711);
    for (unsigned i = 0; i < 3 * SLOTS_COUNT; i++) {
        all[i] = take(UID);
        ck_assert_uint_eq(atomic_load(&all[i].seen->tail), 0);
        ck_assert_uint_eq(slots_used(&slots, UID), 2);
        tell(&all[i], i + 1);
        slots_give(all[i].area, true);
    }
    for (unsigned i = 0; i < 3 * SLOTS_COUNT; i++) {
        ck_assert_uint_eq(atomic_load(&all[i].seen->tail), i + 1);
        let_go(&all[i]);
    }
    ck_assert_uint_eq(atomic_load(&kept.seen->tail), 4711);
    slots_give(kept.area, true);
    let_go(&kept);
}
END_TEST

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0 || errno != EBADF;
}

/* Else one ring in each of many pages would use up our descriptors. */
START_TEST(a_page_whose_slots_are_all_told_needs_no_descriptor)
{
    struct slot_area *area[SLOTS_COUNT];
    const int fd = (slots_take(&slots, UID, &area[0]), area[0]->fd);
    for (unsigned i = 1; i < SLOTS_COUNT; i++) {
        slots_take(&slots, UID, &area[i]);
        ck_assert_ptr_eq(area[i], area[0]);
    }
    for (unsigned i = 1; i < SLOTS_COUNT; i++) {
        if (i % 2)
            slots_told(area[i]);
        slots_give(area[i], i % 2);
        ck_assert(is_open(fd));
    }
    slots_told(area[0]);
    ck_assert(!is_open(fd));
    ck_assert_int_eq(area[0]->fd, -1);
    ck_assert_uint_eq(slots_used(&slots, UID), 1);
    slots_give(area[0], true);
}
END_TEST

START_TEST(a_user_has_pages_of_his_own)
{
    struct pair one = take(UID), other = take(OTHER), more = take(UID);
    ck_assert_ptr_eq(one.area, more.area);
    ck_assert_ptr_ne(one.area, other.area);
    ck_assert_uint_eq(slots_used(&slots, UID), 2);
    ck_assert_uint_eq(slots_used(&slots, OTHER), 1);
    slots_give(one.area, true);
    slots_give(other.area, true);
    ck_assert_uint_eq(slots_used(&slots, OTHER), 0);
    slots_give(more.area, true);
    let_go(&one);
    let_go(&other);
    let_go(&more);
}
END_TEST

START_TEST(who_has_the_descriptor_can_only_read)
{
    struct pair p = take(UID);
    ck_assert_ptr_eq(mmap(NULL, SLOTS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, p.area->fd, 0),
                     MAP_FAILED);
    ck_assert_int_lt(ftruncate(p.area->fd, 0), 0);
    slots_give(p.area, true);
    let_go(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("slots");
    TCase *c = tcase_create("slots");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, what_is_not_read_is_not_overwritten_for_another_rings_tail);
    tcase_add_test(c, each_ring_leaves_what_was_said_of_it);
    tcase_add_test(c, a_page_whose_slots_are_all_told_needs_no_descriptor);
    tcase_add_test(c, a_user_has_pages_of_his_own);
    tcase_add_test(c, who_has_the_descriptor_can_only_read);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
