#include <check.h>
#include <stdint.h>
#include <string.h>

#include "base/blocks.h"

/* The sanitizer's allocator ends the process when it is asked for too much. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

START_TEST(blocks_are_given_back_one_by_one)
{
    struct blocks b = {0};
    char *one = blocks_malloc(10, &b), *two = blocks_calloc(3, 4, &b);
    ck_assert(one && two && b.first);
    for (int i = 0; i < 12; i++)
        ck_assert_int_eq(two[i], 0);
    memset(one, 'x', 10);
    one = blocks_realloc(one, 100000, &b);
    ck_assert(one && one[0] == 'x' && one[9] == 'x');
    blocks_free(NULL, &b);
    blocks_free(two, &b);
    ck_assert(b.first);
    blocks_free(one, &b);
    ck_assert(!b.first && !b.starved);
}
END_TEST

/* In any order and from any state; the leak sanitizer says whether all are gone. */
START_TEST(blocks_are_given_back_together)
{
    struct blocks b = {0};
    void *p[8];
    for (size_t i = 0; i < 8; i++)
        ck_assert((p[i] = blocks_realloc(NULL, i, &b)) != NULL);
    blocks_free(p[3], &b);
    p[5] = blocks_realloc(p[5], 5000, &b);
    blocks_free_all(&b);
    ck_assert(!b.first);
}
END_TEST

START_TEST(memory_that_is_out_is_remembered)
{
    struct blocks b = {0};
    char *p = blocks_malloc(1, &b);
    *p = 'x';
    ck_assert(!blocks_malloc(SIZE_MAX - 4, &b) && b.starved);
    b.starved = false;
    ck_assert(!blocks_calloc(SIZE_MAX / 2, 3, &b) && b.starved);
    b.starved = false;
    ck_assert(!blocks_realloc(p, SIZE_MAX / 2, &b) && b.starved);
    ck_assert_int_eq(*p, 'x');
    blocks_free(p, &b);
    ck_assert(!b.first);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("blocks");
    TCase *c = tcase_create("blocks");
    tcase_add_test(c, blocks_are_given_back_one_by_one);
    tcase_add_test(c, blocks_are_given_back_together);
    tcase_add_test(c, memory_that_is_out_is_remembered);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
