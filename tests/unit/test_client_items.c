/* What the library writes is what wire/encode writes, and what it refuses is what wire/decode
 * refuses: any items, of odd text, beside those two. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "../sim/rng.h"
#include "client/emit.h"
#include "model/text.h"
#include "wire/encode.h"

enum { TIMES = 5000, TEXTS = 80 };

static mcptally *m;
static struct rng r;
static char *texts[TEXTS]; /* of the item in hand */
static unsigned ntexts;
static struct event e;
static unsigned taken, refused;

static void setup(void)
{
    const mcptally_options o = {.size = sizeof o,
                                .socket = "/nonexistent/events.sock",
                                .service = "s",
                                .flags = MCPTALLY_NO_THREAD};
    m = mcptally_open(&o);
    r = (struct rng){1};
    taken = refused = 0;
}

static void teardown(void)
{
    mcptally_close(m, 0);
}

/* ---- text ---- */

/* Mostly short and good, as large as it is for sanitizers; now and then NULL, and rarely longer
 * than anything may be. */
static const char *text(void)
{
    static const char *const odd[] = {" ", "\"", "'", "\\", "\x7f", "\xff", "\n", "\xc3\xa4", "~"};
    const size_t n = rng_chance(&r, 2)    ? rng_below(&r, 20000)
                     : rng_chance(&r, 10) ? rng_below(&r, 700)
                                          : rng_below(&r, 40);
    if (rng_chance(&r, 2))
        return NULL;
    char *t = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        t[i] = (char)('a' + rng_below(&r, 26));
    t[n] = '\0';
    for (unsigned i = rng_chance(&r, 20) ? 2 : 0; i > 0 && n >= 2; i--) {
        const char *from = odd[rng_below(&r, sizeof odd / sizeof *odd)];
        memcpy(t + rng_below(&r, (uint32_t)n - 1), from, strlen(from));
    }
    texts[ntexts++] = t;
    return t;
}

static double number(void)
{
    return rng_chance(&r, 3) ? INFINITY : (double)rng_next(&r);
}

/* ---- beside the encoder and the decoder ---- */

/* The event is what the item should be. What only the library knows, `own` bytes at its
 * beginning, is taken from it. */
static void compare(enum event_kind kind, size_t own)
{
    static uint8_t copy[LIMIT_ITEM];
    struct buf b;
    struct event again;
    struct shm_piece p;
    e.kind = kind;
    buf_init(&b, LIMIT_ITEM);
    encode_body(&b, &e);
    const bool got = local.ring && ring_next(local.ring, shm_ring_head(&local.ring->shm), copy, &p);
    if (got && !b.failed)
        memcpy(b.p, p.bytes, own);
    else if (!b.failed && kind == EVENT_SPAN)
        memset(b.p, 1, own); /* ids are never zero */
    const bool good = !b.failed && decode_body(kind, (const uint8_t *)b.p, b.n, &again) == 0;
    ck_assert_int_eq(got, good);
    if (got) {
        ck_assert_int_eq(p.kind, kind);
        ck_assert_uint_eq(p.count, 0);
        ck_assert_uint_eq(p.size, b.n);
        ck_assert_mem_eq(p.bytes, b.p, b.n);
        ring_took(local.ring, p.words);
    }
    taken += good;
    refused += !good;
    buf_fini(&b);
    while (ntexts > 0)
        free(texts[--ntexts]);
}

static void check_counts(void)
{
    mcptally_stats s = {.size = sizeof s};
    mcptally_get_stats(m, &s);
    ck_assert_uint_eq(s.emitted, taken + refused);
    ck_assert_uint_eq(s.lost_invalid, refused);
    ck_assert(taken > TIMES / 10 && refused > TIMES / 10);
}

/* Those that a caller gives, and as they should be. */
static void give_attrs(mcptally_label *list)
{
    unsigned n = rng_below(&r, 4);
    if (rng_chance(&r, 2))
        n = LIMIT_ATTRS + rng_below(&r, 4);
    e.nattrs = 0;
    for (unsigned i = 0; i < n; i++) {
        const bool last = ntexts > TEXTS - 4;
        list[i] = (mcptally_label){last ? "more" : text(), last ? "" : text()};
        if (!list[i].key)
            list[i].key = "none";
        if (e.nattrs < LIMIT_ATTRS)
            e.attrs[e.nattrs++] = (struct attr){.key = str_of(list[i].key),
                                                .type = ATTR_STRING,
                                                .s = text_cut(str_of(list[i].value), LIMIT_TEXT)};
    }
    list[n] = (mcptally_label){NULL, NULL};
    e.all_attrs = e.nattrs;
}

static void give_correlation(void)
{
    const char *id = rng_chance(&r, 50) ? text() : NULL;
    const struct str cut = text_cut(str_of(id), LIMIT_CORRELATION);
    mcptally_correlation(m, id);
    e.correlation = text_name_ok(cut) ? cut : (struct str){NULL, 0};
}

START_TEST(logs)
{
    mcptally_label list[LIMIT_ATTRS + 5];
    for (unsigned t = 0; t < TIMES; t++) {
        give_correlation();
        give_attrs(list);
        const char *message = text();
        const int severity = (int)rng_below(&r, 27) - 1;
        e.severity = severity < 0 ? 99 : (unsigned)severity;
        e.text = text_cut(str_of(message), LIMIT_BODY);
        mcptally_log(m, severity, message, list);
        compare(EVENT_LOG, sizeof(uint64_t));
    }
    check_counts();
}
END_TEST

START_TEST(named_events)
{
    mcptally_label list[LIMIT_ATTRS + 5];
    mcptally_measure measures[LIMIT_MEASURES + 5];
    for (unsigned t = 0; t < TIMES; t++) {
        give_correlation();
        give_attrs(list);
        const char *name = text();
        const unsigned n = rng_chance(&r, 2) ? LIMIT_MEASURES + 3 : rng_below(&r, 3);
        e.name = str_of(name);
        e.nmeasures = n < LIMIT_MEASURES ? n : LIMIT_MEASURES;
        for (unsigned i = 0; i < n; i++) {
            const char *key = n < 4 && ntexts < TEXTS ? text() : "k";
            measures[i] = (mcptally_measure){key ? key : "", number()};
            if (i < LIMIT_MEASURES)
                e.measures[i] = (struct measure){str_of(measures[i].key), measures[i].value};
        }
        measures[n] = (mcptally_measure){NULL, 0};
        mcptally_event(m, name, measures, list);
        compare(EVENT_NAMED, sizeof(uint64_t));
    }
    check_counts();
}
END_TEST

START_TEST(health_reports)
{
    e.nattrs = e.all_attrs = 0;
    for (unsigned t = 0; t < TIMES; t++) {
        give_correlation();
        const char *component = text(), *message = text();
        const int state = (int)rng_below(&r, 6) - 1;
        e.state = state < 0 ? 99 : (enum health_state)state;
        e.name = str_of(component);
        e.text = text_cut(str_of(message), LIMIT_TEXT);
        mcptally_health(m, component, state, message);
        compare(EVENT_HEALTH, sizeof(uint64_t));
    }
    check_counts();
}
END_TEST

/* ---- spans ---- */

/* An attribute that is set again is the last one then. */
static void set_attr(struct attr a)
{
    unsigned i = 0;
    if (!text_key_ok(a.key))
        return;
    while (i < e.nattrs && !str_eq(e.attrs[i].key, a.key))
        i++;
    if (i == LIMIT_ATTRS)
        return;
    if (i < e.nattrs) {
        e.nattrs--;
        memmove(&e.attrs[i], &e.attrs[i + 1], (e.nattrs - i) * sizeof a);
    }
    e.attrs[e.nattrs++] = a;
}

static void give_attr(mcptally_span *s)
{
    static const char *const keys[] = {"a", "bb", "gen_ai.tool.name", "mcp.method.name", "b b"};
    const bool more = ntexts < TEXTS - 2;
    const char *key = more && rng_chance(&r, 50) ? text() : keys[rng_below(&r, 5)];
    const char *value = more ? text() : "";
    const double d = number();
    const int64_t i = (int64_t)rng_next(&r);
    const struct str v = text_cut(str_of(value), LIMIT_TEXT);
    switch (rng_below(&r, 3)) {
    case 0:
        mcptally_span_attr(s, key, value);
        if (text_utf8(v))
            set_attr((struct attr){.key = str_of(key), .type = ATTR_STRING, .s = v});
        break;
    case 1:
        mcptally_span_attr_i64(s, key, i);
        set_attr((struct attr){.key = str_of(key), .type = ATTR_I64, .i = i});
        break;
    default:
        mcptally_span_attr_f64(s, key, d);
        if (isfinite(d))
            set_attr((struct attr){.key = str_of(key), .type = ATTR_F64, .d = d});
    }
}

static void give_error(mcptally_span *s)
{
    const char *type = text(), *message = text();
    const struct str v = text_cut(str_of(type ? type : "_OTHER"), LIMIT_TEXT);
    const struct str description = text_cut(str_of(message), LIMIT_TEXT);
    mcptally_span_error(s, type, message);
    if (text_utf8(v))
        set_attr((struct attr){.key = STR("error.type"), .type = ATTR_STRING, .s = v});
    e.text = text_utf8(description) ? description : (struct str){NULL, 0};
    e.status = SPAN_ERROR;
}

static void say_things(mcptally_span *s)
{
    unsigned n = rng_chance(&r, 3) ? 100 : rng_below(&r, 6);
    for (; n > 0; n--) {
        give_attr(s);
        if (rng_chance(&r, 20) && ntexts < TEXTS - 8)
            give_error(s);
        if (rng_chance(&r, 20) && ntexts < TEXTS - 8 && e.nevents < LIMIT_SPAN_EVENTS) {
            const char *name = text();
            mcptally_span_event(s, name);
            if (text_name_ok(str_of(name)))
                e.events[e.nevents++] = (struct span_event){.name = str_of(name)};
        }
    }
}

/* The times of events are the library's: they are read where they should be. */
static void take_event_times(void)
{
    static uint8_t copy[LIMIT_ITEM];
    static struct event own;
    struct shm_piece p;
    if (!ring_next(local.ring, shm_ring_head(&local.ring->shm), copy, &p) ||
        decode_body(p.kind, p.bytes, p.size, &own) != 0)
        return;
    for (unsigned i = 0; i < own.nevents && i < e.nevents; i++)
        e.events[i].time = own.events[i].time;
}

START_TEST(spans)
{
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    static const uint8_t parent_id[8] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};
    mcptally_add(mcptally_with(mcptally_gauge(m, "g", NULL, NULL, NULL), NULL), 1);
    refused++; /* so that there is a ring */
    for (unsigned t = 0; t < TIMES; t++) {
        e = (struct event){.span_kind = (enum span_kind)rng_below(&r, 6)};
        give_correlation();
        const bool child = rng_chance(&r, 50);
        const char *name = text(), *state = rng_chance(&r, 20) ? text() : NULL;
        mcptally_span *s =
            mcptally_span_start(m, name, (int)e.span_kind, child ? parent : NULL, state);
        if (e.span_kind == SPAN_UNSPECIFIED)
            e.span_kind = SPAN_INTERNAL;
        if (child)
            memcpy(e.parent_id, parent_id, sizeof parent_id);
        e.span_flags = !child;
        e.name = str_of(name);
        e.tracestate = str_of(state && strlen(state) <= LIMIT_TRACESTATE ? state : NULL);
        say_things(s);
        e.all_attrs = e.nattrs;
        const uint64_t end = rng_chance(&r, 10) ? 400 : 5000; /* before its start: at it */
        e.end = end < 1000 ? 1000 : end;
        mcptally_span_times(s, 1000, end);
        mcptally_span_end(s);
        take_event_times();
        compare(EVENT_SPAN, sizeof(uint64_t) + sizeof(struct trace_ref));
    }
    check_counts();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_items");
    TCase *c = tcase_create("items");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, logs);
    tcase_add_test(c, named_events);
    tcase_add_test(c, health_reports);
    tcase_add_test(c, spans);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
