/* A text that grows in place, and memory that is used again. */
#include "serve/expanse.h"

#include <check.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX = 16 << 20 };

/* Pages of its room that there is memory for. */
static size_t resident(const struct expanse *e)
{
    static unsigned char there[2 * MAX / 4096];
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t pages = (e->size + page - 1) / page;
    size_t n = 0;
    ck_assert_uint_le(pages, sizeof there);
    ck_assert_int_eq(mincore(e->map, e->size, there), 0);
    for (size_t i = 0; i < pages; i++)
        n += there[i] & 1;
    return n * page;
}

static void fill(struct expanse *e, size_t n)
{
    static const char some[4096] = "some";
    const char *p = e->text.p;
    while (e->text.n < n)
        buf_add(&e->text, some, sizeof some);
    ck_assert(!e->text.failed);
    ck_assert_ptr_eq(e->text.p, p);
}

START_TEST(it_grows_in_place_up_to_its_end)
{
    struct expanse e;
    ck_assert(expanse_init(&e, MAX));
    ck_assert_uint_eq(resident(&e), 0);
    fill(&e, MAX);
    buf_addc(&e.text, 'x');
    ck_assert(e.text.failed);
    ck_assert_uint_eq(e.text.n, MAX);
    expanse_reset(&e, 0);
    ck_assert(!e.text.failed);
    fill(&e, MAX);
    expanse_fini(&e);
    ck_assert_ptr_null(e.map);
    expanse_fini(&e);
}
END_TEST

START_TEST(memory_follows_use_and_what_is_kept)
{
    struct expanse e;
    ck_assert(expanse_init(&e, MAX));
    fill(&e, 100 << 10);
    ck_assert_uint_le(resident(&e), 128 << 10);
    ck_assert_uint_eq(expanse_bytes(&e), 100 << 10);
    fill(&e, 10 << 20);
    ck_assert_uint_ge(resident(&e), 10 << 20);
    ck_assert_uint_le(resident(&e), expanse_bytes(&e));
    expanse_reset(&e, 4 << 20);
    ck_assert_uint_eq(e.text.n, 0);
    ck_assert_uint_le(resident(&e), 4 << 20);
    ck_assert_uint_ge(resident(&e), 2 << 20);
    fill(&e, 10 << 20);
    expanse_reset(&e, 0);
    ck_assert_uint_le(resident(&e), 256 << 10);
    expanse_fini(&e);
}
END_TEST

START_TEST(a_small_one_is_bounded_too)
{
    struct expanse e;
    ck_assert(expanse_init(&e, 1000));
    ck_assert_ptr_nonnull(buf_room(&e.text, 1000));
    buf_added(&e.text, 1000);
    ck_assert_uint_eq(expanse_bytes(&e), 1000);
    ck_assert_ptr_null(buf_room(&e.text, 1));
    expanse_fini(&e);
}
END_TEST

START_TEST(less_where_there_is_no_room_for_all)
{
    struct expanse e;
    const size_t beyond = (size_t)1 << 46; /* more than half of what a process has */
    ck_assert(expanse_init(&e, 3 * beyond));
    ck_assert_uint_lt(e.text.max, 3 * beyond);
    ck_assert_uint_gt(e.text.max, MAX);
    fill(&e, MAX);
    expanse_fini(&e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("expanse");
    TCase *t = tcase_create("expanse");
    tcase_add_test(t, it_grows_in_place_up_to_its_end);
    tcase_add_test(t, memory_follows_use_and_what_is_kept);
    tcase_add_test(t, a_small_one_is_bounded_too);
    tcase_add_test(t, less_where_there_is_no_room_for_all);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
