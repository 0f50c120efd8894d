/* Times as text and back. */
#include "base/iso.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"

static const struct {
    uint64_t wall;
    const char *text;
} both[] = {
    {0, "1970-01-01T00:00:00.000000Z"},
    {UINT64_C(951782400) * NS_PER_S, "2000-02-29T00:00:00.000000Z"},
    {UINT64_C(1795268709) * NS_PER_S + 123456 * NS_PER_US, "2026-11-21T13:45:09.123456Z"},
    {UINT64_C(1798761599) * NS_PER_S + 999999 * NS_PER_US, "2026-12-31T23:59:59.999999Z"},
    {UINT64_C(4107542400) * NS_PER_S, "2100-03-01T00:00:00.000000Z"},
};

START_TEST(there_and_back)
{
    char text[ISO_TEXT];
    uint64_t wall;
    iso_write(text, both[_i].wall);
    ck_assert_str_eq(text, both[_i].text);
    ck_assert(iso_read(text, &wall));
    ck_assert_uint_eq(wall, both[_i].wall);
}
END_TEST

START_TEST(shorter_forms)
{
    uint64_t wall;
    ck_assert(iso_read("1970-01-02", &wall));
    ck_assert_uint_eq(wall, 86400 * NS_PER_S);
    ck_assert(iso_read("1970-01-01T01:02", &wall));
    ck_assert_uint_eq(wall, 3720 * NS_PER_S);
    ck_assert(iso_read("1970-01-01T00:00:01.000000001Z", &wall));
    ck_assert_uint_eq(wall, NS_PER_S + 1);
}
END_TEST

static const char *const wrong[] = {
    "",
    "2026",
    "2026-13-01",
    "2026-00-01",
    "2026-02-29",
    "2026-01-00",
    "1969-12-31",
    "2026-1-1",
    "2026-01-01T",
    "2026-01-01T24:00",
    "2026-01-01T10",
    "2026-01-01T10:60",
    "2026-01-01T10:00:00.",
    "2026-01-01T10:00:00.1234567890",
    "2026-01-01 ",
    "2026-01-01ZZ",
    "9999-01-01",
};

START_TEST(what_is_no_time)
{
    uint64_t wall;
    ck_assert_msg(!iso_read(wrong[_i], &wall), "%s", wrong[_i]);
}
END_TEST

START_TEST(the_last_that_there_is)
{
    char text[ISO_TEXT];
    iso_write(text, UINT64_MAX);
    ck_assert_str_eq(text, "2554-07-21T23:34:33.709551Z");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("iso");
    TCase *t = tcase_create("iso");
    tcase_add_loop_test(t, there_and_back, 0, sizeof both / sizeof *both);
    tcase_add_test(t, shorter_forms);
    tcase_add_loop_test(t, what_is_no_time, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(t, the_last_that_there_is);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
