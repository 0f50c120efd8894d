/* The walk from version 0: tests/data/store-v0.gz is a store of 4 MiB as that
 * version left it when it was killed inside a batch. */
#include "store_fixture.h"

#include <zlib.h>

#include "store/copy.h"
#include "store/read.h"
#include "store/session.h"

static uint8_t *old;
static struct world w;

static void load(void)
{
    gzFile f = gzopen("tests/data/store-v0.gz", "rb");
    ck_assert_msg(f != NULL, "run from the top of the tree");
    old = aligned_alloc(4096, STORE_MIN);
    ck_assert_int_eq(gzread(f, old, STORE_MIN), STORE_MIN);
    gzclose(f);
}

static void setup(void)
{
    load();
    world_init(&w, STORE_MIN);
    store_detach(&w.st, false);
    ck_assert_int_eq(store_identify(old, STORE_MIN, &w.me), 0);
    ck_assert_int_gt(store_rollback_old(old, STORE_MIN), 0);
    ck_assert_int_eq(store_create(&w.st, w.mem, w.size, &w.me, world_reserve, &w, w.now), 0);
    ck_assert_int_eq(store_copy(old, STORE_MIN, &w.st, w.now), 0);
}

static void teardown(void)
{
    world_fini(&w);
    free(old);
}

static struct sample only(const char *family)
{
    struct metric_view m;
    struct series_view s;
    struct sample v;
    ck_assert_msg(metric_find(&w.st, str_of(family), &m), "%s", family);
    ck_assert(series_read(&w.st, m.first, &s));
    ck_assert(str_eq(labels_get(s.labels, STR("service_name")), STR("old")));
    ck_assert_uint_eq(s.domain, 3);
    series_sample(&w.st, &m, &s, &v);
    return v;
}

START_TEST(is_not_taken_as_it_is)
{
    struct store st;
    ck_assert_int_eq(store_attach(&st, old, STORE_MIN, &w.me, world_reserve, &w, w.now),
                     -ERR_VERSION);
}
END_TEST

START_TEST(keeps_every_value)
{
    struct metric_view m;
    struct series_view s;
    struct sample v;
    unsigned k = 0;
    ck_assert(metric_find(&w.st, STR("old_requests"), &m));
    ck_assert_uint_eq(m.nseries, 20);
    for (uint32_t i = m.first; i && series_read(&w.st, i, &s); i = s.next, k++) {
        series_sample(&w.st, &m, &s, &v);
        ck_assert_uint_eq(v.u, 1000 + k); /* the open batch had added a million to the first */
    }
    ck_assert_uint_eq(only("old_duration_seconds").count, 100);
    ck_assert_double_eq(only("old_duration_seconds").sum, 631.25);
    ck_assert_uint_eq(only("old_size_bytes").count, 100);
    ck_assert_double_eq(only("old_active").d, 7);
    ck_assert_double_eq(only("old_level").d, -2.5);
}
END_TEST

START_TEST(keeps_sessions_rings_and_components)
{
    const uint8_t id[16] = {9, 9};
    struct session_view s;
    struct part_view p;
    struct ring_view r;
    char copy[LIMIT_ITEM + 512];
    uint64_t pos = ring_tail(&w.st, RING_EVENTS);
    ck_assert(session_read(&w.st, session_find(&w.st, id), &s));
    ck_assert_uint_eq(s.applied, 12345);
    ck_assert(str_eq(s.service, STR("old")) && str_eq(s.instance, STR("i1")));
    ck_assert(!s.connected);
    ck_assert(part_read(&w.st, 1, &p));
    ck_assert(str_eq(p.message, (struct str){0}));
    for (uint64_t seq = 1; seq <= 10; seq++) {
        ck_assert_int_eq(ring_read(&w.st, RING_EVENTS, &pos, copy, sizeof copy, &r), 1);
        ck_assert_uint_eq(r.seq, seq);
    }
    ck_assert_int_eq(ring_read(&w.st, RING_EVENTS, &pos, copy, sizeof copy, &r), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("walk");
    TCase *t = tcase_create("walk");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, is_not_taken_as_it_is);
    tcase_add_test(t, keeps_every_value);
    tcase_add_test(t, keeps_sessions_rings_and_components);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
