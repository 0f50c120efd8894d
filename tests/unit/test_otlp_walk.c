/* A request is cut into its items, and what surrounds them goes with them. */
#include <check.h>
#include <stdlib.h>

#include "otlp/otlp.h"
#include "otlp/put.h"
#include "otlp/trace.pb-c.h"
#include "otlp_whole.h"

static struct buf request, joined;

static void setup(void)
{
    buf_init(&request, 1 << 20);
    buf_init(&joined, 1 << 20);
}

static void teardown(void)
{
    buf_fini(&request);
    buf_fini(&joined);
}

static void span(struct buf *to, unsigned char mark)
{
    uint8_t trace[16] = {mark}, id[8] = {mark};
    const size_t at = put_open(to, 2);
    put_id(to, 1, trace, sizeof trace);
    put_id(to, 2, id, sizeof id);
    put_text(to, 5, STR("work"));
    put_close(to, at);
}

static void scope(struct buf *to, const char *name)
{
    const size_t at = put_open(to, 1);
    put_text(to, 1, str_of(name));
    put_close(to, at);
}

static void resource(struct buf *to, const char *service)
{
    const size_t at = put_open(to, 1);
    put_attr_text(to, 1, STR("service.name"), str_of(service));
    put_close(to, at);
}

/* The surroundings come after what they surround, which is allowed. */
static void build(void)
{
    size_t r = put_open(&request, 1);
    size_t s = put_open(&request, 2);
    span(&request, 1);
    span(&request, 2);
    scope(&request, "one");
    put_text(&request, 99, STR("later"));
    put_close(&request, s);
    resource(&request, "front");
    s = put_open(&request, 2);
    scope(&request, "two");
    span(&request, 3);
    put_close(&request, s);
    put_text(&request, 3, STR("http://schema"));
    put_text(&request, 77, STR("unknown"));
    put_close(&request, r);
    r = put_open(&request, 1);
    resource(&request, "back");
    s = put_open(&request, 2);
    span(&request, 4);
    put_close(&request, s);
    put_close(&request, r);
    ck_assert(!request.failed);
}

START_TEST(cuts_items)
{
    static const char *const services[] = {"front", "front", "front", "back"};
    static const char *const scopes[] = {"one", "one", "two", ""};
    static const bool new_resource[] = {true, false, false, true};
    static const bool new_scope[] = {true, false, true, true};
    struct otlp_walk w;
    struct otlp_item item;
    static struct otlp_origin origin;
    static struct event e;
    size_t n;
    build();
    ck_assert_int_eq(count_items(buf_str(&request), &n), 0);
    ck_assert_uint_eq(n, 4);
    otlp_walk_init(&w, OTLP_TRACES, buf_str(&request));
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(walk_on(&w, &item), 1);
        ck_assert_int_eq(origin_whole(item.resource, item.scope, &origin), 0);
        ck_assert(str_eq(origin.service, str_of(services[i])));
        ck_assert(str_eq(origin.scope, str_of(scopes[i])));
        ck_assert(item.new_resource == new_resource[i] && item.new_scope == new_scope[i]);
        ck_assert_int_eq(otlp_span(item.bytes, &e), 0);
        ck_assert_uint_eq(e.trace.trace_id[0], i + 1);
    }
    ck_assert_int_eq(walk_on(&w, &item), 0);
    otlp_walk_fini(&w);
}
END_TEST

/* What is joined is a Resource* message of one item, with nothing lost, and parts again. */
START_TEST(joins_and_parts)
{
    struct otlp_walk w;
    struct otlp_item item;
    build();
    otlp_walk_init(&w, OTLP_TRACES, buf_str(&request));
    while (walk_on(&w, &item) == 1) {
        struct str r, s, i;
        buf_reset(&joined);
        otlp_join(&joined, item.resource, item.scope, item.bytes);
        ck_assert_int_eq(otlp_part(buf_str(&joined), &r, &s, &i), 0);
        ck_assert(str_eq(r, item.resource) && str_eq(s, item.scope) && str_eq(i, item.bytes));
        Otlp__ResourceSpans *m =
            otlp__resource_spans__unpack(NULL, joined.n, (const uint8_t *)joined.p);
        ck_assert_ptr_nonnull(m);
        ck_assert_uint_eq(m->n_scope_spans, 1);
        ck_assert_uint_eq(m->scope_spans[0]->n_spans, 1);
        ck_assert_str_eq(m->scope_spans[0]->spans[0]->name, "work");
        ck_assert_uint_eq(m->base.n_unknown_fields, *m->schema_url ? 1 : 0);
        otlp__resource_spans__free_unpacked(m, NULL);
    }
    otlp_walk_fini(&w);
}
END_TEST

/* Every way to be cut short is told, before anything is done, and no walk goes on for ever. */
START_TEST(cut_short)
{
    build();
    unsigned refused = 0;
    for (size_t n = 0; n < request.n; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, request.p, n);
        struct otlp_walk w;
        struct otlp_item item;
        size_t items, walked = 0;
        const int counted = count_items((struct str){copy, n}, &items);
        int e;
        otlp_walk_init(&w, OTLP_TRACES, (struct str){copy, n});
        while ((e = walk_on(&w, &item)) == 1)
            walked++;
        ck_assert_int_eq(e, counted);
        ck_assert(e != 0 || walked == items);
        ck_assert_int_eq(walk_on(&w, &item), e);
        refused += e < 0;
        otlp_walk_fini(&w);
        free(copy);
    }
    ck_assert_uint_ge(refused, request.n - 3); /* whole: nothing, and the first resource */
}
END_TEST

START_TEST(wrong_types)
{
    struct otlp_walk w;
    struct otlp_item item;
    size_t n;
    static const struct {
        const char *bytes;
        size_t n;
        int error;
    } cases[] = {
        {"\x08\x01", 2, -ERR_SYNTAX},                 /* a Resource* that is a number */
        {"\x0a\x02\x10\x01", 4, -ERR_SYNTAX},         /* a Scope* that is a number */
        {"\x0a\x04\x12\x02\x10\x01", 6, -ERR_SYNTAX}, /* an item that is a number */
        {"\x0b\x0c", 2, -ERR_SYNTAX},                 /* a group */
        {"\x02\x00", 2, -ERR_SYNTAX},                 /* field number 0 */
        {"\x0a\x05\x12", 3, -ERR_SHORT},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, -ERR_SYNTAX},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, -ERR_SHORT},
        {"\x52\x00", 2, 0}, /* a field that no version has */
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct str bytes = {cases[i].bytes, cases[i].n};
        otlp_walk_init(&w, OTLP_TRACES, bytes);
        ck_assert_int_eq(walk_on(&w, &item), cases[i].error);
        ck_assert_int_eq(count_items(bytes, &n), cases[i].error);
        otlp_walk_fini(&w);
    }
}
END_TEST

/* A resource that is too large is passed over, and how much that was is known. */
START_TEST(large_origin)
{
    static char text[LIMIT_ORIGIN];
    struct otlp_walk w;
    struct otlp_item item;
    memset(text, 'x', sizeof text);
    const size_t r = put_open(&request, 1);
    for (unsigned i = 0; i < 3; i++) {
        const size_t s = put_open(&request, 2);
        span(&request, 1);
        span(&request, 2);
        put_close(&request, s);
    }
    put_text(&request, 50, (struct str){text, sizeof text});
    put_close(&request, r);
    const size_t r2 = put_open(&request, 1);
    size_t s = put_open(&request, 2);
    put_text(&request, 50, (struct str){text, sizeof text});
    span(&request, 3);
    put_close(&request, s);
    s = put_open(&request, 2);
    span(&request, 4);
    put_close(&request, s);
    put_close(&request, r2);
    otlp_walk_init(&w, OTLP_TRACES, buf_str(&request));
    ck_assert_int_eq(walk_on(&w, &item), -ERR_RANGE);
    ck_assert_uint_eq(w.skipped, 6);
    ck_assert_int_eq(walk_on(&w, &item), -ERR_RANGE);
    ck_assert_uint_eq(w.skipped, 1);
    ck_assert_int_eq(walk_on(&w, &item), 1);
    ck_assert(item.new_resource && item.new_scope);
    ck_assert_int_eq(walk_on(&w, &item), 0);
    otlp_walk_fini(&w);
}
END_TEST

/* Whatever a message is made of, a call does a bounded part of it. */
START_TEST(bounded_calls)
{
    enum { UNITS = 100000 };
    static const struct {
        const char *unit;
        size_t n;
        unsigned level; /* that the units are in: 0 the request, 1 a resource, 2 a scope */
        size_t items;
        int end; /* the first result that is no item */
    } cases[] = {
        {"\x52\x00", 2, 0, 0, 0},                          /* unknown fields */
        {"\x0a\x00", 2, 0, 0, 0},                          /* empty resources */
        {"\x0a\x02\x12\x00", 4, 0, 0, 0},                  /* each with an empty scope */
        {"\x0a\x04\x12\x02\x12\x00", 6, 0, UNITS, 0},      /* each with an empty item */
        {"\x12\x00", 2, 1, 0, 0},                          /* empty scopes of one resource */
        {"\x12\x02\x12\x00", 4, 1, UNITS, 0},              /* each with an empty item */
        {"\x12\x00", 2, 2, UNITS, 0},                      /* empty items of one scope */
        {"\x52\x00", 2, 1, 0, -ERR_RANGE},                 /* a resource too large */
        {"\x12\x02\x12\x00\x52\x00", 6, 1, 0, -ERR_RANGE}, /* with items in it */
        {"\x52\x00", 2, 2, 0, -ERR_RANGE},                 /* a scope too large */
        {"\x12\x00\x52\x00", 4, 2, 0, -ERR_RANGE},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct otlp_walk w;
        struct otlp_item item;
        size_t at[2], items = 0, work = 0;
        int e;
        buf_reset(&request);
        for (unsigned l = 0; l < cases[i].level; l++)
            at[l] = put_open(&request, l + 1);
        for (unsigned k = 0; k < UNITS; k++)
            buf_add(&request, cases[i].unit, cases[i].n);
        for (unsigned l = cases[i].level; l-- > 0;)
            put_close(&request, at[l]);
        ck_assert(!request.failed);
        otlp_walk_init(&w, OTLP_TRACES, buf_str(&request));
        while ((e = otlp_walk_next(&w, &item)) > 0) {
            ck_assert_uint_le(w.work - work, OTLP_CALL_WORK);
            work = w.work;
            items += e == 1;
        }
        ck_assert_uint_le(w.work - work, OTLP_CALL_WORK);
        ck_assert_uint_ge(w.work, UNITS); /* it is counted */
        ck_assert_int_eq(e, cases[i].end);
        ck_assert_uint_eq(items, cases[i].items);
        if (e == -ERR_RANGE)
            ck_assert_uint_eq(w.skipped, cases[i].n > 2 ? UNITS : 0);
        otlp_walk_fini(&w);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_walk");
    TCase *t = tcase_create("walk");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, cuts_items);
    tcase_add_test(t, joins_and_parts);
    tcase_add_test(t, cut_short);
    tcase_add_test(t, wrong_types);
    tcase_add_test(t, large_origin);
    tcase_add_test(t, bounded_calls);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
