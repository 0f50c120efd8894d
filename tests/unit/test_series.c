/* Metrics, series, cells, and the copy into another store. */
#include "store_fixture.h"

#include <math.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/copy.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/series.h"
#include "store/session.h"
#include "store/sketch.h"
#include "store/space.h"
#include "wire/decode.h"

static struct world w;

static void setup(void)
{
    world_init(&w, STORE_MIN);
}

static void teardown(void)
{
    world_fini(&w);
}

/* ---- helpers ---- */

static struct metric_def def_of(const char *name, enum metric_kind kind, enum value_type type)
{
    struct metric_def d = {.name = str_of(name), .kind = kind, .type = type};
    if (kind == METRIC_HISTOGRAM) {
        d.nbounds = 3;
        d.bounds[0] = 1;
        d.bounds[1] = 2;
        d.bounds[2] = 5;
    }
    return d;
}

static uint32_t metric(const char *name, enum metric_kind kind, enum value_type type)
{
    const struct metric_def d = def_of(name, kind, type);
    uint32_t id = 0;
    ck_assert_int_eq(metric_define(&w.st, &d, false, &id), 0);
    store_commit(&w.st);
    return id;
}

static int make(uint32_t m, const char *labels, unsigned cardinality, uint32_t *out)
{
    const struct series_ask ask = {
        .metric = m,
        .labels = str_of(labels),
        .group = STR("service_name=\"s\""),
        .overflow = STR("otel_metric_overflow=\"true\",service_name=\"s\""),
        .cardinality = cardinality,
        .budget = UINT32_MAX,
        .now = w.now,
    };
    const int r = series_make(&w.st, &ask, out);
    store_commit(&w.st);
    return r;
}

static uint32_t series(uint32_t m, const char *labels)
{
    uint32_t i = 0;
    ck_assert_int_eq(make(m, labels, 100, &i), 0);
    return i;
}

static void update_by(uint32_t i, uint32_t session, uint64_t bits)
{
    uint64_t cells;
    const enum cell_op op = series_target(&w.st, i, session, &cells);
    series_touch(&w.st, i, op, cells, w.now);
    ck_assert_int_eq(cell_apply(&w.st, op, cells, bits, w.now.mono / (60 * NS_PER_S)), 0);
    store_commit(&w.st);
}

static void update(uint32_t i, uint64_t bits)
{
    update_by(i, 0, bits);
}

static struct sample sample_of(const struct store *st, uint32_t i)
{
    struct metric_view m;
    struct series_view s;
    struct sample v;
    ck_assert(series_read(st, i, &s));
    ck_assert(metric_read(st, s.metric, &m));
    series_sample(st, &m, &s, &v);
    return v;
}

static uint32_t session(uint8_t number)
{
    const uint8_t id[16] = {number};
    const struct session_ask ask = {.id = id, .service = STR("s"), .now = w.now};
    const uint32_t i = session_make(&w.st, &ask);
    ck_assert_uint_ne(i, 0);
    store_commit(&w.st);
    return i;
}

/* ---- definitions ---- */

START_TEST(a_metric_is_its_family)
{
    const uint32_t a = metric("http.requests", METRIC_COUNTER, VALUE_U64);
    ck_assert_uint_eq(metric("http_requests_total", METRIC_COUNTER, VALUE_U64), a);
    struct metric_view m;
    ck_assert(metric_find(&w.st, STR("http_requests"), &m));
    ck_assert(str_eq(m.name, STR("http.requests")));
}
END_TEST

static const struct {
    const char *first, *second;
    enum metric_kind a, b;
    int expect;
} clashes[] = {
    {"x", "x", METRIC_COUNTER, METRIC_GAUGE, -ERR_CONFLICT},
    {"x", "x_total", METRIC_COUNTER, METRIC_GAUGE, -ERR_CONFLICT},
    {"x_total", "x", METRIC_GAUGE, METRIC_COUNTER, -ERR_CONFLICT},
    {"x", "x_count", METRIC_HISTOGRAM, METRIC_GAUGE, -ERR_CONFLICT},
    {"x_bucket", "x", METRIC_GAUGE, METRIC_HISTOGRAM, -ERR_CONFLICT},
    {"x_sum", "x", METRIC_GAUGE, METRIC_SUMMARY, -ERR_CONFLICT},
    {"x", "x_created", METRIC_COUNTER, METRIC_GAUGE, -ERR_CONFLICT},
    {"x", "x_bucket", METRIC_SUMMARY, METRIC_GAUGE, 0},
    {"x", "x_count", METRIC_GAUGE, METRIC_GAUGE, 0},
    {"a", "b", METRIC_COUNTER, METRIC_HISTOGRAM, 0},
};

START_TEST(sample_names_do_not_clash)
{
    const enum value_type type = VALUE_F64;
    metric(clashes[_i].first, clashes[_i].a, type);
    const struct metric_def d = def_of(clashes[_i].second, clashes[_i].b, type);
    uint32_t id;
    ck_assert_int_eq(metric_define(&w.st, &d, false, &id), clashes[_i].expect);
    store_commit(&w.st);
}
END_TEST

START_TEST(what_we_declare_becomes_ours)
{
    const struct metric_def d = def_of("later", METRIC_COUNTER, VALUE_U64);
    uint32_t id;
    metric("later", METRIC_COUNTER, VALUE_U64);
    ck_assert_int_eq(metric_define(&w.st, &d, true, &id), 0);
    ck_assert_int_eq(metric_define(&w.st, &d, false, &id), -ERR_PERM);
    store_commit(&w.st);
}
END_TEST

START_TEST(own_names_are_reserved)
{
    const struct metric_def d = def_of("mine", METRIC_COUNTER, VALUE_U64);
    uint32_t id;
    ck_assert_int_eq(metric_define(&w.st, &d, true, &id), 0);
    store_commit(&w.st);
    ck_assert_int_eq(metric_define(&w.st, &d, false, &id), -ERR_PERM);
}
END_TEST

START_TEST(our_info_metrics_have_the_name_without_info_too)
{
    const struct metric_def own = def_of("target_info", METRIC_GAUGE, VALUE_U64);
    const struct metric_def theirs = def_of("target", METRIC_GAUGE, VALUE_U64);
    const struct metric_def info = def_of("peer_info", METRIC_GAUGE, VALUE_U64);
    const struct metric_def peer = def_of("peer", METRIC_GAUGE, VALUE_U64);
    uint32_t id;
    ck_assert_int_eq(metric_define(&w.st, &own, true, &id), 0);
    ck_assert_int_eq(metric_define(&w.st, &theirs, false, &id), -ERR_CONFLICT);
    ck_assert_int_eq(metric_define(&w.st, &info, false, &id), 0);
    ck_assert_int_eq(metric_define(&w.st, &peer, false, &id), 0);
    store_commit(&w.st);
}
END_TEST

START_TEST(labels_become_canonical)
{
    struct label l[] = {
        {STR("b.x"), STR("2")},     {STR("a"), STR("q\"\\\n")}, {STR("empty"), {0}},
        {STR("b_x"), STR("later")}, {STR("9z"), STR("9")},
    };
    struct buf to;
    buf_init(&to, 256);
    labels_canonical(&to, l, 5);
    ck_assert(str_eq(buf_str(&to), STR("_z=\"9\",a=\"q\\\"\\\\\\n\",b_x=\"2\"")));
    struct str text = buf_str(&to), k, v;
    ck_assert(labels_next(&text, &k, &v) && labels_next(&text, &k, &v));
    ck_assert(str_eq(k, STR("a")) && str_eq(v, STR("q\\\"\\\\\\n")));
    ck_assert(str_eq(labels_get(buf_str(&to), STR("b_x")), STR("2")));
    buf_fini(&to);
}
END_TEST

/* The keys as they came are kept beside the text, only where they differ, and do not
 * make another series. */
START_TEST(keys_as_they_came_are_kept)
{
    struct label l[] = {{STR("http.method"), STR("GET")},
                        {STR("le"), STR("1")},
                        {STR("a"), STR("2")},
                        {STR("http_method"), STR("PUT")},
                        {STR("z"), {0}}};
    const struct str expected = {"a\0le\0http.method", 16};
    struct buf to, keys;
    struct series_view s;
    uint32_t i, other;
    buf_init(&to, 256);
    buf_init(&keys, 256);
    labels_canonical_keys(&to, &keys, l, 5);
    ck_assert(str_eq(buf_str(&to), STR("a=\"2\",exported_le=\"1\",http_method=\"GET\"")));
    ck_assert(str_eq(buf_str(&keys), expected));
    struct series_ask ask = {.metric = metric("c", METRIC_COUNTER, VALUE_U64),
                             .labels = buf_str(&to),
                             .keys = buf_str(&keys),
                             .now = w.now};
    ck_assert_int_eq(series_make(&w.st, &ask, &i), 0);
    store_commit(&w.st);
    ask.keys = (struct str){0};
    ck_assert_int_eq(series_make(&w.st, &ask, &other), 0);
    ck_assert_uint_eq(other, i);
    world_kill(&w);
    ck_assert(series_read(&w.st, i, &s));
    ck_assert(str_eq(s.labels, buf_str(&to)) && str_eq(s.keys, expected));
    ck_assert_uint_eq(series_find(&w.st, ask.metric, s.labels), i);
    ck_assert(series_expire(&w.st, i));
    store_commit(&w.st);
    buf_reset(&to);
    buf_reset(&keys);
    struct label same[] = {{STR("b"), STR("1")}, {STR("a"), STR("2")}};
    labels_canonical_keys(&to, &keys, same, 2);
    ck_assert_uint_eq(keys.n, 0);
    buf_fini(&to);
    buf_fini(&keys);
}
END_TEST

START_TEST(labels_that_prometheus_reserves_are_renamed)
{
    struct label l[] = {
        {STR("le"), STR("1")},         {STR("quantile"), STR("2")}, {STR("__name__"), STR("3")},
        {STR("-.instance"), STR("4")}, {STR("___"), STR("5")},
    };
    struct buf to;
    buf_init(&to, 256);
    labels_canonical(&to, l, 5);
    ck_assert(str_eq(buf_str(&to), STR("_=\"5\",_instance=\"4\",_name__=\"3\",exported_le=\"1\","
                                       "exported_quantile=\"2\"")));
    buf_fini(&to);
}
END_TEST

/* ---- values ---- */

START_TEST(counters_add)
{
    const uint32_t i = series(metric("c", METRIC_COUNTER, VALUE_U64), "a=\"1\"");
    const uint32_t f = series(metric("f", METRIC_COUNTER, VALUE_F64), "a=\"1\"");
    update(i, 40);
    update(i, 2);
    update(f, f64_bits(0.5));
    update(f, f64_bits(0.25));
    ck_assert_uint_eq(sample_of(&w.st, i).u, 42);
    ck_assert_double_eq(sample_of(&w.st, f).d, 0.75);
}
END_TEST

START_TEST(histograms_fall_into_buckets)
{
    const uint32_t i = series(metric("h", METRIC_HISTOGRAM, VALUE_F64), "");
    const double values[] = {0.5, 1, 1.5, 5, 6};
    for (int k = 0; k < 5; k++)
        update(i, f64_bits(values[k]));
    const struct sample v = sample_of(&w.st, i);
    ck_assert_uint_eq(v.count, 5);
    ck_assert_uint_eq(v.buckets[0], 2); /* a bound belongs to its own bucket */
    ck_assert_uint_eq(v.buckets[1], 1);
    ck_assert_uint_eq(v.buckets[2], 1);
    ck_assert_uint_eq(v.buckets[3], 1);
    ck_assert_double_eq(v.sum, 14);
}
END_TEST

START_TEST(bucket_search_is_one_function)
{
    double bounds[LIMIT_BOUNDS];
    for (int k = 0; k < LIMIT_BOUNDS; k++)
        bounds[k] = k;
    for (unsigned n = 1; n <= LIMIT_BOUNDS; n++)
        for (double v = -1; v < LIMIT_BOUNDS + 1; v += 0.5) {
            unsigned expect = 0;
            while (expect < n && v > bounds[expect])
                expect++;
            ck_assert_uint_eq(bucket_index(bounds, n, v), expect);
        }
}
END_TEST

START_TEST(summaries_are_within_one_percent)
{
    const uint32_t m = metric("q", METRIC_SUMMARY, VALUE_F64), i = series(m, "");
    struct metric_view mv;
    struct series_view sv;
    enum { N = 5000 };
    for (int k = 1; k <= N; k++)
        update(i, f64_bits(k * 0.001));
    ck_assert(metric_read(&w.st, m, &mv) && series_read(&w.st, i, &sv));
    for (double q = 0.01; q < 1; q += 0.01) {
        const double got = series_quantile(&w.st, &mv, &sv, q, w.now.mono), want = q * N * 0.001;
        ck_assert_msg(fabs(got - want) <= 0.01 * want + 0.001, "q %g: %g for %g", q, got, want);
    }
    w.now.mono += 60 * NS_PER_S;
    ck_assert(!isnan(series_quantile(&w.st, &mv, &sv, 0.5, w.now.mono)));
    update(i, f64_bits(1));
    w.now.mono += 60 * NS_PER_S;
    update(i, f64_bits(2));
    ck_assert_double_eq_tol(series_quantile(&w.st, &mv, &sv, 1, w.now.mono), 2, 0.02);
    w.now.mono += 600 * NS_PER_S;
    ck_assert(isnan(series_quantile(&w.st, &mv, &sv, 0.5, w.now.mono)));
}
END_TEST

START_TEST(joined_gauges_forget_who_is_gone)
{
    struct metric_def d = def_of("g", METRIC_GAUGE, VALUE_F64);
    d.join = JOIN_SUM;
    uint32_t m, a = session(1), b = session(2);
    ck_assert_int_eq(metric_define(&w.st, &d, false, &m), 0);
    const uint32_t i = series(m, "");
    uint64_t cells;
    (void)series_target(&w.st, i, a, &cells);
    ck_assert(!sample_of(&w.st, i).present); /* defined, but nobody has said anything */
    update_by(i, a, f64_bits(3));
    update_by(i, b, f64_bits(4));
    update_by(i, b, f64_bits(5));
    ck_assert_double_eq(sample_of(&w.st, i).d, 8);
    session_set_silent(&w.st, a);
    ck_assert_double_eq(sample_of(&w.st, i).d, 5);
    session_set_ended(&w.st, a, 0);
    ck_assert_double_eq(sample_of(&w.st, i).d, 8);
    session_forget(&w.st, b);
    session_set_silent(&w.st, a);
    series_prune_parts(&w.st, i);
    store_commit(&w.st);
    ck_assert(!sample_of(&w.st, i).present);
}
END_TEST

/* A joined gauge of a busy node has a part for each of thousands of sessions. */
START_TEST(a_gauge_of_many_parts_ends_in_one_batch)
{
    struct metric_def d = def_of("g", METRIC_GAUGE, VALUE_F64);
    d.join = JOIN_SUM;
    uint32_t m;
    ck_assert_int_eq(metric_define(&w.st, &d, false, &m), 0);
    const uint64_t before = w.st.head->heap_live;
    const uint32_t i = series(m, "");
    for (uint32_t k = 1; k <= 5000; k++)
        update_by(i, k, f64_bits(1));
    ck_assert(series_expire(&w.st, i));
    ck_assert_uint_lt(w.st.undo_used, 100);
    store_commit(&w.st);
    ck_assert_uint_eq(w.st.head->heap_live, before);
}
END_TEST

/* ---- limits and life ---- */

/* Label sets that all fall into one chain: the index does not move them all at
 * once, and finds them. */
START_TEST(a_long_chain_stays_where_it_is)
{
    enum { CHAIN = 4000, LOW = 0xfff };
    const uint32_t m = metric("c", METRIC_COUNTER, VALUE_U64);
    const uint64_t seed = w.st.head->secret ^ (uint64_t)m << 8;
    uint32_t i = 0, n = 0;
    char labels[32];
    for (uint32_t k = 0; n < CHAIN; k++) {
        const int len = snprintf(labels, sizeof labels, "k=\"%u\"", k);
        if (((hash_bytes(labels, (size_t)len, seed) | 1) & LOW) != LOW)
            continue;
        ck_assert_int_eq(make(m, labels, 0, &i), 0);
        n++;
    }
    ck_assert_uint_eq(series_find(&w.st, m, str_of(labels)), i);
}
END_TEST

START_TEST(cardinality_overflows)
{
    const uint32_t m = metric("c", METRIC_COUNTER, VALUE_U64);
    uint32_t i = 0, over = 0;
    for (int k = 0; k < 10; k++) {
        char labels[32];
        snprintf(labels, sizeof labels, "k=\"%d\"", k);
        const int r = make(m, labels, 3, &i);
        ck_assert_int_eq(r, k < 3 ? 0 : 1);
        over = k == 3 ? i : over;
        if (k > 3)
            ck_assert_uint_eq(i, over);
    }
    struct series_view s;
    ck_assert(series_read(&w.st, over, &s) && s.flags & SERIES_OVERFLOW);
}
END_TEST

START_TEST(expiry_makes_room_again)
{
    const uint32_t m = metric("c", METRIC_COUNTER, VALUE_U64);
    for (int round = 0; round < 50; round++) {
        uint32_t i[3];
        for (int k = 0; k < 3; k++) {
            char labels[32];
            snprintf(labels, sizeof labels, "k=\"%d-%d\"", round, k);
            ck_assert_int_eq(make(m, labels, 3, &i[k]), 0);
            update(i[k], 1);
        }
        for (int k = 0; k < 3; k++) {
            ck_assert(series_expire(&w.st, i[k]));
            store_commit(&w.st);
        }
    }
    ck_assert_uint_eq(w.st.head->table[TABLE_SERIES].live, 0);
    ck_assert_uint_lt(w.st.head->table[TABLE_SERIES].used, 12);
    ck_assert(metric_remove(&w.st, m));
    store_commit(&w.st);
    ck_assert_uint_eq(w.st.head->heap_live, 0);
}
END_TEST

START_TEST(a_held_series_sleeps_and_wakes)
{
    const uint32_t i = series(metric("c", METRIC_COUNTER, VALUE_U64), "k=\"v\"");
    struct series_view s;
    series_hold(&w.st, i);
    update(i, 5);
    ck_assert(!series_expire(&w.st, i));
    store_commit(&w.st);
    ck_assert(series_read(&w.st, i, &s) && !(s.flags & SERIES_LIVE));
    w.now.wall += 5 * NS_PER_S;
    update(i, 7);
    ck_assert(series_read(&w.st, i, &s) && s.flags & SERIES_LIVE);
    ck_assert_uint_eq(s.created, w.now.wall);
    ck_assert_uint_eq(sample_of(&w.st, i).u, 7);
    series_let_go(&w.st, i);
}
END_TEST

/* A reader's store changes meanwhile: a record may be another metric's by now. */
START_TEST(a_run_of_series_stays_in_its_metric)
{
    struct series_view run[4];
    const uint32_t m = metric("c", METRIC_COUNTER, VALUE_U64);
    const uint32_t first = series(m, "k=\"1\""), second = series(m, "k=\"2\"");
    const uint32_t other = series(metric("d", METRIC_COUNTER, VALUE_U64), "k=\"1\"");
    ck_assert_uint_eq(series_read_run(&w.st, m, first, run, 4), 2);
    struct series_rec *r = table_get(&w.st, TABLE_SERIES, second);
    const uint64_t links = r->links;
    r->links |= other;
    ck_assert_uint_eq(series_read_run(&w.st, m, first, run, 4), 2);
    r->links = links | first; /* a circle */
    ck_assert_uint_eq(series_read_run(&w.st, m, first, run, 4), 4);
    r->links = links;
}
END_TEST

/* One that sleeps gives its place in the cardinality to another, and counts again awake. */
START_TEST(who_wakes_counts)
{
    const uint32_t m = metric("c", METRIC_COUNTER, VALUE_U64);
    uint32_t a, i;
    ck_assert_int_eq(make(m, "k=\"a\"", 2, &a), 0);
    series_hold(&w.st, a);
    update(a, 1);
    ck_assert(!series_expire(&w.st, a));
    store_commit(&w.st);
    ck_assert_int_eq(make(m, "k=\"b\"", 2, &i), 0);
    update(a, 1);
    ck_assert_int_eq(make(m, "k=\"c\"", 2, &i), 1);
    ck_assert(!series_expire(&w.st, a));
    store_commit(&w.st);
    ck_assert_int_eq(make(m, "k=\"d\"", 2, &i), 0);
    series_let_go(&w.st, a);
}
END_TEST

/* ---- the copy ---- */

static void fill(void)
{
    const uint32_t a = session(1);
    STORE_SET(&w.st, session_at(&w.st, a)->applied, 77);
    store_commit(&w.st);
    struct metric_def g = def_of("g", METRIC_GAUGE, VALUE_F64);
    g.join = JOIN_MAX;
    uint32_t m;
    ck_assert_int_eq(metric_define(&w.st, &g, false, &m), 0);
    update_by(series(m, "service_name=\"s\""), a, f64_bits(2.5));
    update(series(metric("c", METRIC_COUNTER, VALUE_U64), "service_name=\"s\",t=\"x\""), 42);
    update(series(metric("h", METRIC_HISTOGRAM, VALUE_F64), "service_name=\"s\""), f64_bits(1.5));
    update(series(metric("q", METRIC_SUMMARY, VALUE_F64), "service_name=\"s\""), f64_bits(0.25));
    for (int k = 0; k < 5; k++) {
        const struct ring_item item = {.kind = 8, .service = STR("s"), .body = STR("some body")};
        ck_assert_int_eq(ring_append(&w.st, RING_EVENTS, &item), 0);
        store_commit(&w.st);
    }
}

static uint32_t only_series(const struct store *st, const char *family)
{
    struct metric_view m;
    ck_assert(metric_find(st, str_of(family), &m));
    ck_assert_uint_eq(m.nseries, 1);
    return m.first;
}

START_TEST(a_copy_holds_the_same)
{
    struct world n;
    struct store_identity same;
    char copy[RING_COPY];
    struct ring_view v;
    struct consumer_view c;
    const struct str keys = STR("service.name");
    fill();
    const struct series_ask ask = {.metric = metric("k", METRIC_COUNTER, VALUE_U64),
                                   .labels = STR("service_name=\"s\""),
                                   .keys = keys,
                                   .now = w.now};
    uint32_t i;
    ck_assert_int_eq(series_make(&w.st, &ask, &i), 0);
    series_next_epoch(&w.st);
    series_next_epoch(&w.st);
    update(i, 1);
    ck_assert_int_eq(ring_consume(&w.st, RING_EVENTS, CONSUMER_HEALTH, copy, sizeof copy, &v), 1);
    ring_outcome(&w.st, RING_EVENTS, CONSUMER_HEALTH, RING_DELIVERED);
    store_commit(&w.st);
    world_init(&n, 2 * STORE_MIN);
    store_detach(&n.st, false);
    ck_assert_int_eq(store_identify(w.mem, w.size, &same), 0);
    ck_assert_int_eq(store_create(&n.st, n.mem, n.size, &same, world_reserve, &n, n.now), 0);
    ck_assert_int_eq(store_copy(w.mem, w.size, &n.st, n.now), 0);

    ck_assert_uint_eq(n.st.head->store_id, w.st.head->store_id);
    ck_assert_uint_eq(sample_of(&n.st, only_series(&n.st, "c")).u, 42);
    ck_assert_double_eq(sample_of(&n.st, only_series(&n.st, "h")).sum, 1.5);
    ck_assert_uint_eq(sample_of(&n.st, only_series(&n.st, "q")).count, 1);
    ck_assert_double_eq(sample_of(&n.st, only_series(&n.st, "g")).d, 2.5);
    struct series_view k;
    ck_assert(series_read(&n.st, only_series(&n.st, "k"), &k) && str_eq(k.keys, keys));
    ck_assert_uint_eq(series_age(&n.st, only_series(&n.st, "k")), 0);
    ck_assert_uint_eq(series_age(&n.st, only_series(&n.st, "c")), 2);
    const uint8_t id[16] = {1};
    ck_assert_uint_eq(session_at(&n.st, session_find(&n.st, id))->applied, 77);
    consumer_read(&n.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    ck_assert_uint_eq(c.appended, 5);
    ck_assert_uint_eq(c.waiting, 4);
    ck_assert_int_eq(ring_consume(&n.st, RING_EVENTS, CONSUMER_HEALTH, copy, sizeof copy, &v), 1);
    ck_assert_uint_eq(v.seq, 2);
    store_commit(&n.st);
    world_fini(&n);
}
END_TEST

START_TEST(a_copy_refuses_what_it_does_not_know)
{
    struct store_identity id;
    struct store_head *h = w.mem;
    h->version = STORE_VERSION + 1;
    ck_assert_int_eq(store_identify(w.mem, w.size, &id), -ERR_VERSION);
    h->version = STORE_VERSION;
    h->size++;
    ck_assert_int_eq(store_identify(w.mem, w.size, &id), -ERR_DAMAGED);
    h->size--;
}
END_TEST

/* ---- bounds ---- */

static uint32_t numbered_session(uint32_t n)
{
    uint8_t id[16] = {0x55};
    memcpy(id + 4, &n, sizeof n);
    const struct session_ask ask = {
        .id = id, .service = STR("s"), .domain = n % 7, .applied = 1, .now = w.now};
    const uint32_t i = session_make(&w.st, &ask);
    store_commit(&w.st);
    return i;
}

static uint32_t sum_gauge(void)
{
    const struct metric_def d = {
        .name = STR("g"), .kind = METRIC_GAUGE, .type = VALUE_F64, .join = JOIN_SUM};
    uint32_t m, i;
    ck_assert_int_eq(metric_define(&w.st, &d, false, &m), 0);
    ck_assert_int_eq(make(m, "a=\"1\"", 0, &i), 0);
    return i;
}

/* A list of contributions is walked at every definition: it has an end, and what does
 * not count makes room. */
START_TEST(contributions_have_a_bound)
{
    world_fini(&w);
    world_init(&w, 16 * STORE_MIN);
    const uint32_t g = sum_gauge();
    uint64_t cells;
    uint32_t session[SERIES_PARTS_MAX];
    for (uint32_t n = 0; n < SERIES_PARTS_MAX; n++) {
        session[n] = numbered_session(n);
        ck_assert_uint_ne(session[n], 0);
        (void)series_target(&w.st, g, session[n], &cells);
        ck_assert_uint_ne(cells, 0);
        store_commit(&w.st);
    }
    const uint32_t late = numbered_session(SERIES_PARTS_MAX);
    (void)series_target(&w.st, g, late, &cells);
    ck_assert_uint_eq(cells, 0);
    (void)series_target(&w.st, g, session[7], &cells);
    ck_assert_uint_ne(cells, 0);
    session_set_silent(&w.st, session[7]);
    store_commit(&w.st);
    (void)series_target(&w.st, g, late, &cells);
    ck_assert_uint_ne(cells, 0);
    store_commit(&w.st);
}
END_TEST

/* Rather no smaller store than one that has forgotten sessions. */
START_TEST(a_copy_forgets_no_session)
{
    struct world n;
    world_fini(&w);
    world_init(&w, 4 * STORE_MIN);
    for (uint32_t k = 0; k < 3000; k++) {
        const uint32_t s = numbered_session(k);
        session_set_ended(&w.st, s, w.now.mono);
        store_commit(&w.st);
    }
    world_init(&n, STORE_MIN);
    ck_assert_int_eq(store_copy(w.mem, w.size, &n.st, n.now), -ERR_FULL);
    world_fini(&n);
    world_init(&n, 2 * STORE_MIN);
    ck_assert_int_eq(store_copy(w.mem, w.size, &n.st, n.now), 0);
    ck_assert_uint_eq(n.st.head->table[TABLE_SESSIONS].live, 3000);
    world_fini(&n);
}
END_TEST

/* Chains that lead in a circle, or out of the heap. */
START_TEST(broken_chains_are_damage)
{
    char why[128];
    uint64_t cells;
    const uint32_t g = sum_gauge();
    const uint32_t s = series(metric("s", METRIC_SUMMARY, VALUE_F64), "a=\"1\"");
    (void)series_target(&w.st, g, numbered_session(1), &cells);
    const uint64_t part = cells;
    (void)series_target(&w.st, s, 0, &cells);
    (void)cell_apply(&w.st, CELL_SUMMARIZE, cells, f64_bits(1), 1);
    store_commit(&w.st);
    const uint64_t page = store_get(&w.st, series_sketch(&w.st, s) + SKETCH_NOW * 8);
    const uint64_t bad[] = {0, w.size - 8, w.size + 8, 1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t *const at[] = {store_word(&w.st, part), store_word(&w.st, page)};
        for (size_t k = 0; k < 2; k++) {
            *at[k] = i == 0 ? store_off(&w.st, at[k]) : bad[i];
            ck_assert_int_eq(store_check(&w.st, why, sizeof why), -ERR_DAMAGED);
            *at[k] = 0;
        }
    }
    ck_assert_int_eq(store_check(&w.st, why, sizeof why), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("series");
    TCase *t = tcase_create("series");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_metric_is_its_family);
    tcase_add_loop_test(t, sample_names_do_not_clash, 0, sizeof clashes / sizeof *clashes);
    tcase_add_test(t, what_we_declare_becomes_ours);
    tcase_add_test(t, own_names_are_reserved);
    tcase_add_test(t, our_info_metrics_have_the_name_without_info_too);
    tcase_add_test(t, labels_become_canonical);
    tcase_add_test(t, keys_as_they_came_are_kept);
    tcase_add_test(t, labels_that_prometheus_reserves_are_renamed);
    tcase_add_test(t, counters_add);
    tcase_add_test(t, histograms_fall_into_buckets);
    tcase_add_test(t, bucket_search_is_one_function);
    tcase_add_test(t, summaries_are_within_one_percent);
    tcase_add_test(t, joined_gauges_forget_who_is_gone);
    tcase_add_test(t, a_gauge_of_many_parts_ends_in_one_batch);
    tcase_add_test(t, a_long_chain_stays_where_it_is);
    tcase_add_test(t, cardinality_overflows);
    tcase_add_test(t, expiry_makes_room_again);
    tcase_add_test(t, a_held_series_sleeps_and_wakes);
    tcase_add_test(t, a_run_of_series_stays_in_its_metric);
    tcase_add_test(t, who_wakes_counts);
    tcase_add_test(t, a_copy_holds_the_same);
    tcase_add_test(t, a_copy_refuses_what_it_does_not_know);
    tcase_add_test(t, contributions_have_a_bound);
    tcase_add_test(t, a_copy_forgets_no_session);
    tcase_add_test(t, broken_chains_are_damage);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
