/* gzip in steps: members, bombs, damage. */
#include <check.h>
#include <stdlib.h>

#include "base/err.h"
#include "otlp/gzip.h"

static struct buf packed, out;

static void setup(void)
{
    buf_init(&packed, 1 << 21);
    buf_init(&out, 1 << 16);
}

static void teardown(void)
{
    buf_fini(&packed);
    buf_fini(&out);
}

/* The whole of it in steps; the number of steps in *steps. */
static int unpack(struct str gzip, size_t step, unsigned *steps)
{
    struct inflate i;
    int e;
    *steps = 0;
    buf_reset(&out);
    ck_assert_int_eq(inflate_begin(&i, gzip), 0);
    do {
        e = inflate_step(&i, &out, step);
        ++*steps;
    } while (e == 1);
    inflate_end(&i);
    return e;
}

static void text(char *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(i * i % 251);
}

START_TEST(back_and_forth)
{
    static char bytes[50000];
    unsigned steps;
    text(bytes, sizeof bytes);
    ck_assert_int_eq(deflate_gzip(&packed, (struct str){bytes, sizeof bytes}), 0);
    ck_assert_int_eq(unpack(buf_str(&packed), 4096, &steps), 0);
    ck_assert_uint_eq(out.n, sizeof bytes);
    ck_assert_mem_eq(out.p, bytes, sizeof bytes);
    ck_assert_uint_ge(steps, 13);
    ck_assert_uint_le(steps, 14);
}
END_TEST

START_TEST(members)
{
    unsigned steps;
    ck_assert_int_eq(deflate_gzip(&packed, STR("one, ")), 0);
    ck_assert_int_eq(deflate_gzip(&packed, STR("")), 0);
    ck_assert_int_eq(deflate_gzip(&packed, STR("two")), 0);
    ck_assert_int_eq(unpack(buf_str(&packed), 100000, &steps), 0);
    ck_assert(str_eq(buf_str(&out), STR("one, two")));
    buf_adds(&packed, "rubbish");
    ck_assert_int_eq(unpack(buf_str(&packed), 100000, &steps), -ERR_SYNTAX);
}
END_TEST

/* Members that hold nothing cost steps as well. */
START_TEST(empty_members)
{
    unsigned steps;
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(deflate_gzip(&packed, STR("")), 0);
    ck_assert_int_eq(unpack(buf_str(&packed), 16384, &steps), 0);
    ck_assert_uint_ge(steps, 1000 * 1024 / 16384);
}
END_TEST

/* What is as large as the buffer is taken, what is one byte larger is not; and memory follows
 * what comes out, up to the bound. */
START_TEST(bombs)
{
    static char zeros[1 << 20];
    unsigned steps;
    ck_assert_int_eq(deflate_gzip(&packed, (struct str){zeros, out.max}), 0);
    ck_assert_int_eq(unpack(buf_str(&packed), 10000, &steps), 0);
    ck_assert_uint_eq(out.n, out.max);
    buf_reset(&packed);
    ck_assert_int_eq(deflate_gzip(&packed, (struct str){zeros, out.max + 1}), 0);
    ck_assert_int_eq(unpack(buf_str(&packed), 10000, &steps), -ERR_RANGE);
    buf_reset(&packed);
    ck_assert_int_eq(deflate_gzip(&packed, (struct str){zeros, sizeof zeros}), 0);
    ck_assert_uint_lt(packed.n, sizeof zeros / 200);
    ck_assert_int_eq(unpack(buf_str(&packed), 10000, &steps), -ERR_RANGE);
    ck_assert_uint_le(out.cap, out.max);
}
END_TEST

START_TEST(cut_short)
{
    unsigned steps;
    ck_assert_int_eq(deflate_gzip(&packed, STR("some text, some text, some text")), 0);
    for (size_t n = 0; n < packed.n; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, packed.p, n);
        ck_assert_int_eq(unpack((struct str){copy, n}, 7, &steps), -ERR_SHORT);
        free(copy);
    }
}
END_TEST

START_TEST(damaged)
{
    unsigned steps;
    ck_assert_int_eq(deflate_gzip(&packed, STR("some text, some text, some text")), 0);
    packed.p[packed.n - 6] ^= 1; /* of the checksum */
    ck_assert_int_eq(unpack(buf_str(&packed), 100, &steps), -ERR_SYNTAX);
    ck_assert_int_eq(unpack(STR("no gzip at all"), 100, &steps), -ERR_SYNTAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_gzip");
    TCase *t = tcase_create("gzip");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, back_and_forth);
    tcase_add_test(t, members);
    tcase_add_test(t, empty_members);
    tcase_add_test(t, bombs);
    tcase_add_test(t, cut_short);
    tcase_add_test(t, damaged);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
