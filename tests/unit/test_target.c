/* The constant series: one of each, whatever version was there before. */
#include <check.h>
#include <string.h>
#include <unistd.h>

#include "memory_store.h"
#include "pipeline/own.h"
#include "serve/target.h"
#include "store/read.h"

static struct memory_store ms;
static struct own own;

static void setup(void)
{
    memory_store_init(&ms);
    ck_assert_int_eq(own_init(&own, &ms.st, 1, memory_store_now), 0);
}

static void teardown(void)
{
    own_fini(&own);
    memory_store_fini(&ms);
}

/* The labels of a metric's one live series. */
static struct str only_series(const char *family)
{
    struct metric_view m;
    struct series_view s;
    struct str labels = {0};
    unsigned live = 0;
    ck_assert(metric_find(&ms.st, str_of(family), &m));
    for (uint32_t i = m.first; i; i = s.next) {
        ck_assert(series_read(&ms.st, i, &s));
        if (!(s.flags & SERIES_LIVE))
            continue;
        labels = s.labels;
        live++;
    }
    ck_assert_uint_eq(live, 1);
    return labels;
}

START_TEST(declared)
{
    target_declare(&own, "1.2.3", memory_store_now);
    target_declare(&own, "1.2.3", memory_store_now);
    const struct str build = only_series("mcptally_build_info");
    ck_assert(str_eq(labels_get(build, STR("version")), STR("1.2.3")));
    const struct str target = only_series("target_info");
    ck_assert(str_eq(labels_get(target, STR("service_name")), STR("mcptallyd")));
    ck_assert_uint_eq(own_get(&own, OWN_BUILD_INFO, 0), 1);
}
END_TEST

START_TEST(replaced)
{
    own_info(&own, OWN_BUILD_INFO, STR("version=\"0.0.1\""), memory_store_now);
    own_info(&own, OWN_BUILD_INFO, STR("version=\"0.0.2\""), memory_store_now);
    ck_assert(str_eq(only_series("mcptally_build_info"), STR("version=\"0.0.2\"")));
    ck_assert_uint_eq(own_get(&own, OWN_BUILD_INFO, 0), 1);
    target_declare(&own, "1.2.3", memory_store_now);
    only_series("mcptally_build_info");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("target");
    TCase *t = tcase_create("target");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, declared);
    tcase_add_test(t, replaced);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
