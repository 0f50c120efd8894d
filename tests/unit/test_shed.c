/* What is given back behind the start: memory, and nothing of what is in it. */
#include "daemon/shed.h"

#include <check.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 64, SPOT = 17 };

/* Pages of it that are there, without the first and the last, which may be others' as well. */
static unsigned resident(const uint8_t *p)
{
    unsigned char there[PAGES];
    unsigned n = 0;
    uint8_t *from = (uint8_t *)(((uintptr_t)p + PAGE) & ~(uintptr_t)(PAGE - 1));
    ck_assert_int_eq(mincore(from, (size_t)(PAGES - 2) * PAGE, there), 0);
    for (unsigned i = 0; i < PAGES - 2; i++)
        n += there[i] & 1;
    return n;
}

static bool on_heap(void)
{
    return mallinfo2().arena > 0; /* not so with a sanitizer */
}

START_TEST(zeros_are_given_back)
{
    if (!on_heap() || sysconf(_SC_PAGESIZE) != PAGE)
        return;
    mallopt(M_MMAP_THRESHOLD, PAGES * PAGE * 2);
    uint8_t *p = malloc((size_t)PAGES * PAGE);
    void *above = malloc(64); /* so that none of it can be trimmed */
    for (unsigned i = 0; i < PAGES * PAGE; i++)
        *(volatile uint8_t *)&p[i] = 0; /* a memset() would become a calloc() */
    p[SPOT * PAGE] = 42;
    ck_assert_uint_eq(resident(p), PAGES - 2);
    shed();
    ck_assert_uint_eq(resident(p), 1);
    for (unsigned i = 0; i < PAGES * PAGE; i++)
        ck_assert_uint_eq(p[i], i == SPOT * PAGE ? 42 : 0);
    free(above);
    free(p);
}
END_TEST

static unsigned sum(const uint8_t *p, unsigned n)
{
    unsigned s = 0;
    while (n--)
        s += *p++;
    return s;
}

START_TEST(code_and_constants_come_back)
{
    static const uint8_t constants[3 * PAGE] = {1, [PAGE] = 2, [3 * PAGE - 1] = 3};
    static uint8_t variables[3 * PAGE];
    variables[PAGE] = 7;
    for (int i = 0; i < 3; i++) {
        shed();
        ck_assert_uint_eq(sum(constants, sizeof constants), 6);
        ck_assert_uint_eq(sum(variables, sizeof variables), 7);
    }
}
END_TEST

/* Whether there is a page of it in our tables; to ask is not to touch it. */
static bool is_mapped(const void *p)
{
    const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entry;
    ck_assert_int_eq(pread(fd, &entry, sizeof entry, (off_t)((uintptr_t)p / PAGE * sizeof entry)),
                     sizeof entry);
    close(fd);
    return entry >> 63;
}

START_TEST(constants_are_given_back)
{
    static const uint8_t constants[PAGES * PAGE] = {1}; /* the kernel brings 16 at a time */
    if (sysconf(_SC_PAGESIZE) != PAGE)
        return;
    ck_assert_uint_eq(sum(constants, sizeof constants), 1);
    ck_assert(is_mapped(constants + sizeof constants / 2));
    shed();
    ck_assert(!is_mapped(constants + sizeof constants / 2));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shed");
    TCase *t = tcase_create("shed");
    tcase_add_test(t, zeros_are_given_back);
    tcase_add_test(t, constants_are_given_back);
    tcase_add_test(t, code_and_constants_come_back);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
