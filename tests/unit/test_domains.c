/* Which domain a producer belongs to. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/domains.h"

static struct config config;

static void configure(const char *text)
{
    struct faults f;
    faults_init(&f);
    ck_assert(config_init(&config, &f));
    ck_assert_msg(config_parse(&config, "f", text, strlen(text), &f) && config_finish(&config, &f),
                  "%s", faults_text(&f));
    faults_fini(&f);
}

static unsigned of(uint32_t uid, const char *service, const char *asked)
{
    const struct peer p = {.uid = uid, .pid = (uint32_t)getpid()};
    return domains_choose(&config, &p, str_of(service), str_of(asked));
}

START_TEST(hash)
{
    unsigned seen = 0;
    configure("");
    for (char name[] = "a"; *name <= 'z'; ++*name) {
        const unsigned d = of(1, name, "");
        ck_assert_uint_lt(d, 10);
        ck_assert_uint_eq(d, of(1, name, "whatever is asked"));
        seen |= 1u << d;
    }
    ck_assert_int_gt(__builtin_popcount(seen), 3);
    config_fini(&config);
}
END_TEST

START_TEST(first_entry_that_agrees)
{
    configure("domains.mapping:\n"
              "  - {uid: 7, service: a, domain: 1}\n"
              "  - {service: a, domain: 2}\n"
              "  - {uid: 7, domain: 3}\n");
    ck_assert_uint_eq(of(7, "a", ""), 1);
    ck_assert_uint_eq(of(8, "a", ""), 2);
    ck_assert_uint_eq(of(7, "b", ""), 3);
    config_fini(&config);
}
END_TEST

START_TEST(executable)
{
    char self[PATH_MAX] = "", text[PATH_MAX + 128];
    ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    snprintf(text, sizeof text,
             "domains.mapping:\n  - {exe: /bin/none, domain: 1}\n  - {exe: '%s', domain: 4}\n",
             self);
    configure(text);
    ck_assert_uint_eq(of(7, "a", ""), 4);
    config_fini(&config);
}
END_TEST

START_TEST(only_choosers_choose)
{
    configure("domains: {count: 64, choosers: [7]}\n");
    const unsigned asked = of(7, "a", "red");
    ck_assert_uint_eq(of(7, "b", "red"), asked);
    ck_assert_uint_eq(of(8, "a", "red"), of(8, "a", ""));
    ck_assert_uint_ne(of(7, "a", "blue"), asked);
    config_fini(&config);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("domains");
    TCase *t = tcase_create("domains");
    tcase_add_test(t, hash);
    tcase_add_test(t, first_entry_that_agrees);
    tcase_add_test(t, executable);
    tcase_add_test(t, only_choosers_choose);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
