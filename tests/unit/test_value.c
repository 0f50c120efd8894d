/* Texts of configuration values: the whole text or nothing. */
#include <check.h>
#include <string.h>

#include "base/clock.h"
#include "base/nearest.h"
#include "daemon/value.h"

static void check_u64(bool (*parse)(const char *, uint64_t *), const char *text, bool good,
                      uint64_t value)
{
    uint64_t v = 4711;
    ck_assert_msg(parse(text, &v) == good, "%s", text);
    ck_assert_msg(v == (good ? value : 4711), "%s gives %lu", text, v);
}

START_TEST(counts)
{
    check_u64(value_count, "0", true, 0);
    check_u64(value_count, "18446744073709551615", true, UINT64_MAX);
    static const char *const bad[] = {"",   "-1",   "+1",  " 1",
                                      "1 ", "0x10", "1.0", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_u64(value_count, bad[i], false, 0);
}
END_TEST

START_TEST(sizes)
{
    check_u64(value_size, "10", true, 10);
    check_u64(value_size, "10B", true, 10);
    check_u64(value_size, "3KiB", true, 3072);
    check_u64(value_size, "64MiB", true, 64 << 20);
    check_u64(value_size, "2GiB", true, UINT64_C(2) << 30);
    static const char *const bad[] = {"",       "MiB",   "1MB",           "1mib",
                                      "1.5MiB", "1 MiB", "99999999999GiB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_u64(value_size, bad[i], false, 0);
}
END_TEST

START_TEST(durations)
{
    check_u64(value_duration, "0", true, 0);
    check_u64(value_duration, "0s", true, 0);
    check_u64(value_duration, "500ms", true, 500 * NS_PER_MS);
    check_u64(value_duration, "5s", true, 5 * NS_PER_S);
    check_u64(value_duration, "2m", true, 120 * NS_PER_S);
    check_u64(value_duration, "1h", true, 3600 * NS_PER_S);
    check_u64(value_duration, "1d", true, 86400 * NS_PER_S);
    static const char *const bad[] = {"", "5", "s", "5S", "5us", "-5s", "1h30m", "999999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_u64(value_duration, bad[i], false, 0);
}
END_TEST

START_TEST(modes)
{
    check_u64(value_mode, "0660", true, 0660);
    check_u64(value_mode, "660", true, 0660);
    check_u64(value_mode, "0o660", true, 0660);
    check_u64(value_mode, "17777", false, 0);
    check_u64(value_mode, "68", false, 0);
    check_u64(value_mode, "", false, 0);
}
END_TEST

START_TEST(ratios)
{
    double v = -1;
    ck_assert(value_ratio("85%", &v) && v == 0.85);
    ck_assert(value_ratio("0.5", &v) && v == 0.5);
    ck_assert(value_ratio("1", &v) && v == 1);
    ck_assert(value_ratio("0%", &v) && v == 0);
    static const char *const bad[] = {"",    "%",   "101%", "1.1",  "-1%", "nan",
                                      "inf", "0x1", "5%%",  " 50%", "half"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!value_ratio(bad[i], &v), "%s", bad[i]);
}
END_TEST

START_TEST(numbers)
{
    double v;
    ck_assert(value_f64("-1.5e3", &v) && v == -1500);
    static const char *const bad[] = {"", "1e999", "nan", "infinity", "0x10", "1,5", "e", "-"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!value_f64(bad[i], &v), "%s", bad[i]);
}
END_TEST

START_TEST(printed)
{
    struct buf b;
    buf_init(&b, 256);
    static const uint64_t bytes[] = {0, 1, 1023, 1024, 64 << 20, 3 << 19, UINT64_C(5) << 30};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        value_print_size(&b, bytes[i]);
        buf_addc(&b, ' ');
    }
    static const uint64_t times[] = {
        0, 5 * NS_PER_MS, 1500 * NS_PER_MS, 60 * NS_PER_S, 25 * 3600 * NS_PER_S, 86400 * NS_PER_S};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        value_print_duration(&b, times[i]);
        buf_addc(&b, ' ');
    }
    ck_assert(str_eq(buf_str(&b), STR("0 1B 1023B 1KiB 64MiB 1536KiB 5GiB "
                                      "0 5ms 1500ms 1m 25h 1d ")));
    buf_fini(&b);
}
END_TEST

START_TEST(nearest_word)
{
    static const char *const words[] = {"store.size", "store.sizes", "listen", "x"};
    ck_assert_str_eq(nearest("store.siez", words, 4), "store.size");
    ck_assert_str_eq(nearest("lisen", words, 4), "listen");
    ck_assert_ptr_null(nearest("y", words, 4));
    ck_assert_ptr_null(nearest("", words, 4));
    char longest[200];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert_ptr_null(nearest(longest, words, 4));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("value");
    TCase *t = tcase_create("value");
    tcase_add_test(t, counts);
    tcase_add_test(t, sizes);
    tcase_add_test(t, durations);
    tcase_add_test(t, modes);
    tcase_add_test(t, ratios);
    tcase_add_test(t, numbers);
    tcase_add_test(t, printed);
    tcase_add_test(t, nearest_word);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
