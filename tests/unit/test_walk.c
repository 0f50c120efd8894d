/* The walks from earlier versions: tests/data/store-vN.gz is a store of 4 MiB as
 * version N left it when it was killed inside a batch. */
#include "store_fixture.h"

#include <zlib.h>

#include "store/copy.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/series.h"
#include "store/session.h"
#include "store/session_ring.h"
#include "store/stream.h"

static uint8_t *old;
static struct world w;

static void load(const char *path)
{
    gzFile f = gzopen(path, "rb");
    ck_assert_msg(f != NULL, "run from the top of the tree");
    old = aligned_alloc(4096, STORE_MIN);
    ck_assert_int_eq(gzread(f, old, STORE_MIN), STORE_MIN);
    gzclose(f);
}

static void walk(const char *path)
{
    load(path);
    world_init(&w, STORE_MIN);
    store_detach(&w.st, false);
    ck_assert_int_eq(store_identify(old, STORE_MIN, &w.me), 0);
    ck_assert_int_gt(store_rollback_old(old, STORE_MIN), 0);
    ck_assert_int_eq(store_create(&w.st, w.mem, w.size, &w.me, world_reserve, &w, w.now), 0);
    ck_assert_int_eq(store_copy(old, STORE_MIN, &w.st, w.now), 0);
}

static void setup_v0(void)
{
    walk("tests/data/store-v0.gz");
}

static void setup_v1(void)
{
    walk("tests/data/store-v1.gz");
}

static void setup_v2(void)
{
    walk("tests/data/store-v2.gz");
}

static void setup_v3(void)
{
    walk("tests/data/store-v3.gz");
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
    char copy[RING_COPY];
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

/* ---- version 2 ---- */

START_TEST(keeps_what_2_had_more)
{
    static char copy[RING_COPY];
    const uint64_t hash[2] = {11, 22};
    struct metric_view m;
    struct series_view s;
    struct sample v;
    struct stream_view stream;
    struct ring_view r;
    struct consumer_view c;
    unsigned k = 0;
    ck_assert(metric_find(&w.st, STR("two_requests"), &m));
    for (uint32_t i = m.first; i && series_read(&w.st, i, &s); i = s.next, k++) {
        series_sample(&w.st, &m, &s, &v);
        ck_assert_uint_eq(v.u, 3000 + k); /* the open batch had added a million to the first */
        ck_assert_uint_eq(s.domain, 4);
    }
    ck_assert_uint_eq(k, 20);
    ck_assert(stream_read(&w.st, stream_find(&w.st, hash), &stream));
    ck_assert_uint_eq(stream.values[0], 42);
    ck_assert(str_eq(consumer_name(&w.st, CONSUMER_EXPORT), STR("export/old")));
    ck_assert(!consumer_reads(&w.st, CONSUMER_EXPORT, RING_POINTS));
    consumer_read(&w.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    ck_assert_uint_eq(c.read, 3);
    ck_assert_uint_eq(c.waiting, 7);
    uint64_t pos = ring_tail(&w.st, RING_POINTS);
    for (uint64_t seq = 1; seq <= 10; seq++)
        ck_assert_int_eq(ring_read(&w.st, RING_POINTS, &pos, copy, sizeof copy, &r), 1);
    ck_assert_uint_eq(w.st.head->tier_rate[1], 99);
    for (unsigned d = 0; d < STORE_DOMAINS; d++)
        ck_assert_uint_eq(store_domain(&w.st, d)->state, 0);
}
END_TEST

/* ---- version 1 ---- */

static struct sample one(const char *family)
{
    struct metric_view m;
    struct series_view s;
    struct sample v;
    ck_assert_msg(metric_find(&w.st, str_of(family), &m), "%s", family);
    ck_assert(series_read(&w.st, m.first, &s));
    ck_assert(str_eq(s.labels, STR("service_name=\"one\"")));
    ck_assert_uint_eq(s.keys.n, 0);
    series_sample(&w.st, &m, &s, &v);
    ck_assert(v.present);
    return v;
}

START_TEST(keeps_every_value_of_1)
{
    struct metric_view m;
    struct series_view s;
    struct sample v;
    unsigned k = 0;
    ck_assert(metric_find(&w.st, STR("one_requests"), &m));
    ck_assert(str_eq(m.name, STR("one.requests")));
    ck_assert_uint_eq(m.nseries, 20);
    for (uint32_t i = m.first; i && series_read(&w.st, i, &s); i = s.next, k++) {
        series_sample(&w.st, &m, &s, &v);
        ck_assert_uint_eq(v.u, 2000 + k); /* the open batch had added a million to the first */
    }
    ck_assert_double_eq(one("one_busy_seconds").d, 2.25);
    ck_assert_uint_eq(one("one_duration_seconds").count, 100);
    ck_assert_double_eq(one("one_duration_seconds").sum, 631.25);
    ck_assert_uint_eq(one("one_duration_seconds").buckets[0], 8);
    ck_assert_double_eq(one("one_wait_seconds").sum, 1262.5);
    ck_assert_uint_eq(one("one_size_bytes").count, 100);
    ck_assert_double_eq(one("one_level").d, -2.5);
    ck_assert_double_eq(one("one_active").d, 6);
    ck_assert_double_eq(one("one_peak").d, 30);
    ck_assert(metric_find(&w.st, STR("one_size_bytes"), &m) && series_read(&w.st, m.first, &s));
    ck_assert_double_eq_tol(series_quantile(&w.st, &m, &s, 0.5, w.now.mono), 50, 0.5);
    ck_assert_uint_eq(w.st.head->epoch, 17);
}
END_TEST

START_TEST(keeps_sessions_and_components_of_1)
{
    struct session_view s;
    struct part_view p;
    for (uint8_t k = 0; k < 3; k++) {
        const uint8_t id[16] = {7, (uint8_t)(k + 1)};
        ck_assert(session_read(&w.st, session_find(&w.st, id), &s));
        ck_assert_uint_eq(s.applied, 100u * (k + 1u));
        ck_assert_uint_eq(s.items, 50u + k);
        ck_assert_uint_eq(s.lost[1], 5u + k);
        ck_assert_uint_eq(s.uid, 1000u + k);
        ck_assert(str_eq(s.agent, STR("gen/1")));
    }
    ck_assert_uint_eq(s.ended, 90 * NS_PER_S);
    ck_assert(part_read(&w.st, 1, &p));
    ck_assert(str_eq(p.message, STR("slow disk")) && str_eq(p.component, STR("db")));
    ck_assert_uint_eq(p.reports, 8);
    ck_assert_uint_eq(p.failures, 3);
}
END_TEST

/* The rings go along, and a consumer goes on behind what it had read. */
START_TEST(keeps_rings_and_ledgers_of_1)
{
    static char copy[RING_COPY];
    struct ring_view r;
    struct consumer_view c;
    for (enum store_ring_id ring = 0; ring < RING_POINTS; ring++) {
        uint64_t pos = ring_tail(&w.st, ring);
        for (uint64_t seq = 1; seq <= 10; seq++) {
            ck_assert_int_eq(ring_read(&w.st, ring, &pos, copy, sizeof copy, &r), 1);
            ck_assert_uint_eq(r.seq, seq);
            ck_assert(memmem(r.body.p, r.body.n, "of version 1", 12) != NULL);
        }
    }
    ck_assert(str_eq(consumer_name(&w.st, CONSUMER_HEALTH), STR("health")));
    ck_assert_uint_eq(consumer_name(&w.st, CONSUMER_EXPORT).n, 0);
    consumer_read(&w.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    ck_assert_uint_eq(c.appended, 10);
    ck_assert_uint_eq(c.read, 4);
    ck_assert_uint_eq(c.filtered, 3);
    ck_assert_uint_eq(c.failed, 1);
    ck_assert_uint_eq(c.waiting, 6);
    ck_assert_int_eq(ring_consume(&w.st, RING_EVENTS, CONSUMER_HEALTH, copy, sizeof copy, &r), 1);
    ck_assert_uint_eq(r.seq, 5);
    store_commit(&w.st);
    ck_assert_uint_eq(w.st.head->ring[RING_POINTS].head_seq, 0);
}
END_TEST

/* ---- version 3 ---- */

static void read_one(const char *family, struct metric_view *m, struct series_view *s,
                     struct sample *v)
{
    ck_assert_msg(metric_find(&w.st, str_of(family), m), "%s", family);
    ck_assert(series_read(&w.st, m->first, s));
    ck_assert(str_eq(s->labels, STR("service_name=\"three\"")));
    ck_assert_uint_eq(s->domain, 5);
    series_sample(&w.st, m, s, v);
    ck_assert(v->present);
}

START_TEST(keeps_counters_and_keys_of_3)
{
    static const char keys[] = "service.name\0tool.name";
    struct metric_view m;
    struct series_view s;
    struct sample v;
    unsigned k = 0;
    ck_assert(metric_find(&w.st, STR("three_requests"), &m));
    ck_assert_uint_eq(m.nseries, 20); /* the dormant one had no value */
    for (uint32_t i = m.first; i && series_read(&w.st, i, &s); i = s.next, k++) {
        series_sample(&w.st, &m, &s, &v);
        ck_assert_uint_eq(v.u, 4000 + k); /* the open batch had added a million to the first */
        ck_assert(str_eq(s.keys, (struct str){keys, sizeof keys - 1}));
        ck_assert_uint_eq(series_age(&w.st, i), 0);
    }
    ck_assert_uint_eq(k, 20);
    ck_assert_uint_eq(w.st.head->epoch, 21);
}
END_TEST

START_TEST(keeps_every_other_value_of_3)
{
    struct metric_view m;
    struct series_view s;
    struct sample v;
    read_one("three_busy_seconds", &m, &s, &v);
    ck_assert_double_eq(v.d, 2.25);
    read_one("three_level", &m, &s, &v);
    ck_assert_double_eq(v.d, -2.5);
    read_one("three_active", &m, &s, &v);
    ck_assert_double_eq(v.d, 6);
    read_one("three_peak", &m, &s, &v);
    ck_assert_double_eq(v.d, 30);
    read_one("three_duration_seconds", &m, &s, &v);
    ck_assert_uint_eq(v.count, 100);
    ck_assert_double_eq(v.sum, 618.75);
    ck_assert_uint_eq(v.buckets[0], 9);
    read_one("three_wait_seconds", &m, &s, &v);
    ck_assert_double_eq(v.sum, 1237.5);
    read_one("three_size_bytes", &m, &s, &v);
    ck_assert_uint_eq(v.count, 100);
    ck_assert_double_eq(v.sum, 4950);
    ck_assert_double_eq_tol(series_quantile(&w.st, &m, &s, 0.5, w.now.mono), 49.5, 0.75);
}
END_TEST

START_TEST(keeps_sessions_and_streams_of_3)
{
    const uint64_t hash[2] = {33, 44};
    struct stream_view stream;
    struct session_view s;
    for (uint8_t k = 0; k < 3; k++) {
        const uint8_t id[16] = {3, (uint8_t)(k + 1)};
        const uint32_t session = session_find(&w.st, id);
        ck_assert(session_read(&w.st, session, &s));
        ck_assert_uint_eq(s.applied, 100u * (k + 1u));
        const uint64_t mark = ring_mark_find(&w.st, session, k + 1u);
        ck_assert_uint_ne(mark, 0);
        ck_assert_uint_eq(ring_mark_at(&w.st, mark)->position, 300u * (k + 1u));
    }
    ck_assert(stream_read(&w.st, stream_find(&w.st, hash), &stream));
    ck_assert_uint_eq(stream.values[0], 77);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("walk");
    TCase *t = tcase_create("from version 0");
    TCase *u = tcase_create("from version 1");
    tcase_add_checked_fixture(t, setup_v0, teardown);
    tcase_add_checked_fixture(u, setup_v1, teardown);
    tcase_add_test(t, is_not_taken_as_it_is);
    tcase_add_test(t, keeps_every_value);
    tcase_add_test(t, keeps_sessions_rings_and_components);
    tcase_add_test(u, is_not_taken_as_it_is);
    tcase_add_test(u, keeps_every_value_of_1);
    tcase_add_test(u, keeps_sessions_and_components_of_1);
    tcase_add_test(u, keeps_rings_and_ledgers_of_1);
    TCase *x = tcase_create("from version 2");
    tcase_add_checked_fixture(x, setup_v2, teardown);
    tcase_add_test(x, is_not_taken_as_it_is);
    tcase_add_test(x, keeps_what_2_had_more);
    TCase *y = tcase_create("from version 3");
    tcase_add_checked_fixture(y, setup_v3, teardown);
    tcase_add_test(y, is_not_taken_as_it_is);
    tcase_add_test(y, keeps_counters_and_keys_of_3);
    tcase_add_test(y, keeps_every_other_value_of_3);
    tcase_add_test(y, keeps_sessions_and_streams_of_3);
    suite_add_tcase(s, y);
    suite_add_tcase(s, x);
    suite_add_tcase(s, t);
    suite_add_tcase(s, u);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
