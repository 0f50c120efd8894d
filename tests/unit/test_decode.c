/* What the vectors do not reach: limits to the byte, every way to be cut short, and
 * what a decoder says of the bytes behind a bad item. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/encode.h"

static struct buf b;
static struct event *e;

static void setup(void)
{
    buf_init(&b, 1 << 20);
    e = calloc(1, sizeof *e);
}

static void teardown(void)
{
    buf_fini(&b);
    free(e);
}

static const uint8_t *payload(void)
{
    ck_assert(!b.failed);
    return (const uint8_t *)b.p + PROTO_HEADER;
}

static size_t size(void)
{
    return b.n - PROTO_HEADER;
}

/* One decoder behind one signature. */
static int decode(unsigned type, const uint8_t *p, size_t n)
{
    static union {
        struct hello hello;
        struct welcome welcome;
        struct metric_def metric;
        struct series_def series;
        struct reject reject;
        struct lost lost;
        struct batch batch;
        struct event event;
    } out;
    uint64_t applied;
    uint32_t id;
    switch (type) {
    case FRAME_HELLO:
        return decode_hello(p, n, &out.hello);
    case FRAME_WELCOME:
        return decode_welcome(p, n, &out.welcome);
    case FRAME_DEFINE_METRIC:
        return decode_metric(p, n, &id, &out.metric);
    case FRAME_DEFINE_SERIES:
        return decode_series(p, n, &out.series);
    case FRAME_UPDATE:
        return decode_batch(type, p, n, &out.batch);
    case FRAME_ACK:
        return decode_ack(p, n, &applied);
    case FRAME_REJECT:
        return decode_reject(p, n, &out.reject);
    case FRAME_LOST:
        return decode_lost(p, n, &out.lost);
    case FRAME_BYE:
        return decode_bye(p, n);
    default:
        return decode_body((enum event_kind)type, p, n, &out.event);
    }
}

static void fill_event(enum event_kind kind)
{
    e->kind = kind;
    e->time = 1000;
    e->end = 2000;
    e->trace = (struct trace_ref){"0123456789abcde", "1234567"};
    e->name = STR("name");
    e->text = STR("text");
    e->correlation = STR("c");
    e->severity = kind == EVENT_LOG ? 9 : 0;
    e->attrs[0] = (struct attr){.key = STR("k"), .type = ATTR_I64, .i = 1};
    e->nattrs = e->all_attrs = 1;
    if (kind == EVENT_NAMED) {
        e->nmeasures = 1;
        e->measures[0] = (struct measure){STR("m"), 1.5};
    }
    if (kind == EVENT_SPAN) {
        e->end = 2000;
        e->nevents = e->nlinks = 1;
        e->events[0] = (struct span_event){.time = 1500, .name = STR("e")};
        e->links[0] = (struct span_link){.to = e->trace};
    }
}

/* Puts a good frame of the type into b. */
static void good_frame(unsigned type)
{
    const struct hello h = {.session = {1}, .first = 1, .next = 1, .service = STR("s")};
    const struct welcome w = {.version = 1};
    const struct metric_def m = {
        .name = STR("m"),
        .kind = METRIC_HISTOGRAM,
        .type = VALUE_F64,
        .nbounds = 2,
        .bounds = {1, 2},
    };
    const struct series_def d = {.nlabels = 1, .labels = {{STR("k"), STR("v")}}};
    const struct reject r = {.detail = STR("d")};
    const struct lost l = {.total = {1}};
    switch (type) {
    case FRAME_HELLO:
        encode_hello(&b, &h);
        break;
    case FRAME_WELCOME:
        encode_welcome(&b, &w);
        break;
    case FRAME_DEFINE_METRIC:
        encode_metric(&b, 1, &m);
        break;
    case FRAME_DEFINE_SERIES:
        encode_series(&b, &d);
        break;
    case FRAME_UPDATE:
        encode_batch(&b, FRAME_UPDATE, 1);
        encode_update(&b, 1, 1);
        encode_batch_end(&b, 0, 1);
        break;
    case FRAME_ACK:
        encode_ack(&b, 1);
        break;
    case FRAME_REJECT:
        encode_reject(&b, &r);
        break;
    case FRAME_LOST:
        encode_lost(&b, &l);
        break;
    case FRAME_BYE:
        encode_bye(&b);
        break;
    default: /* its body alone, with room where the others have a header */
        buf_add(&b, "HEADER..", PROTO_HEADER);
        fill_event((enum event_kind)type);
        encode_body(&b, e);
    }
}

START_TEST(exact_length_or_drop)
{
    const unsigned type = (unsigned)_i;
    good_frame(type);
    ck_assert_int_eq(decode(type, payload(), size()), 0);
    const size_t n = size();
    for (size_t cut = 0; cut < n; cut++) {
        /* In memory of its own, so that a sanitizer sees a byte too many read. */
        uint8_t *p = malloc(cut + 1);
        memcpy(p, payload(), cut);
        uint8_t *exact = realloc(p, cut ? cut : 1);
        ck_assert_int_lt(decode(type, exact, cut), 0);
        free(exact);
    }
    buf_addc(&b, 0);
    ck_assert_int_eq(decode(type, payload(), n + 1), -ERR_SYNTAX);
}
END_TEST

static char *letters(size_t n)
{
    static char text[LIMIT_ITEM + 2];
    memset(text, 'x', sizeof text);
    ck_assert_uint_lt(n, sizeof text);
    return text;
}

/* A text field, its limit, and what one byte more is. */
static const struct {
    enum event_kind kind;
    size_t offset; /* of a struct str in struct event */
    size_t limit;
    int error;
} texts[] = {
    {EVENT_NAMED, offsetof(struct event, name), LIMIT_NAME, -ERR_NAME},
    {EVENT_NAMED, offsetof(struct event, correlation), LIMIT_CORRELATION, -ERR_RANGE},
    {EVENT_NAMED, offsetof(struct event, attrs[0].s), LIMIT_TEXT, -ERR_RANGE},
    {EVENT_NAMED, offsetof(struct event, attrs[0].key), LIMIT_KEY, -ERR_NAME},
    {EVENT_NAMED, offsetof(struct event, measures[0].key), LIMIT_KEY, -ERR_NAME},
    {EVENT_LOG, offsetof(struct event, text), LIMIT_BODY, -ERR_RANGE},
    {EVENT_HEALTH, offsetof(struct event, text), LIMIT_TEXT, -ERR_RANGE},
    {EVENT_HEALTH, offsetof(struct event, name), LIMIT_NAME, -ERR_NAME},
    {EVENT_SPAN, offsetof(struct event, text), LIMIT_TEXT, -ERR_RANGE},
    {EVENT_SPAN, offsetof(struct event, tracestate), LIMIT_TRACESTATE, -ERR_RANGE},
    {EVENT_SPAN, offsetof(struct event, events[0].name), LIMIT_NAME, -ERR_NAME},
    {EVENT_SPAN, offsetof(struct event, links[0].tracestate), LIMIT_TRACESTATE, -ERR_RANGE},
};

START_TEST(texts_up_to_their_limit)
{
    fill_event(texts[_i].kind);
    e->attrs[0].type = ATTR_STRING;
    struct str *s = (struct str *)(void *)((char *)e + texts[_i].offset);
    for (size_t more = 0; more < 2; more++) {
        *s = (struct str){letters(texts[_i].limit + more), texts[_i].limit + more};
        buf_reset(&b);
        encode_body(&b, e);
        static struct event got;
        ck_assert_int_eq(decode_body(texts[_i].kind, (const uint8_t *)b.p, b.n, &got),
                         more ? texts[_i].error : 0);
    }
}
END_TEST

START_TEST(label_values_are_cut_at_a_character)
{
    char value[LIMIT_LABEL_VALUE + 8];
    struct series_def d = {.nlabels = 1, .labels = {{STR("k"), {value, 0}}}}, got;
    memset(value, 'x', sizeof value);
    memcpy(value + LIMIT_LABEL_VALUE - 1, "\xc3\xa9", 2); /* one character across the limit */
    d.labels[0].value.n = sizeof value;
    encode_series(&b, &d);
    ck_assert_int_eq(decode_series(payload(), size(), &got), 0);
    ck_assert_uint_eq(got.labels[0].value.n, LIMIT_LABEL_VALUE - 1);
    buf_reset(&b);
    d.labels[0].value.n = LIMIT_LABEL_VALUE - 1;
    encode_series(&b, &d);
    ck_assert_int_eq(decode_series(payload(), size(), &got), 0);
    ck_assert_uint_eq(got.labels[0].value.n, LIMIT_LABEL_VALUE - 1);
}
END_TEST

/* Two items, the first of which is bad: the second can be read. */
START_TEST(a_bad_item_does_not_hide_the_next)
{
    fill_event(EVENT_NAMED);
    const size_t at = encode_batch(&b, FRAME_EVENT, 1);
    e->name = STR("");
    encode_item(&b, e);
    e->name = STR("good");
    encode_item(&b, e);
    encode_batch_end(&b, at, 2);
    struct batch batch;
    ck_assert_int_eq(decode_batch(FRAME_EVENT, payload(), size(), &batch), 0);
    const uint8_t *p = batch.items;
    size_t n = batch.size;
    ck_assert_int_eq(decode_item(EVENT_NAMED, &p, &n, e), -ERR_NAME);
    ck_assert_int_eq(decode_item(EVENT_NAMED, &p, &n, e), 0);
    ck_assert(str_eq(e->name, STR("good")));
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(an_item_that_ends_early_does_not_hide_the_next)
{
    uint8_t in[4 + 10 + 4 + 10] = {0};
    put_u32(in, 10);
    put_u32(in + 14, 10);
    const uint8_t *p = in;
    size_t n = sizeof in;
    ck_assert_int_eq(decode_item(EVENT_LOG, &p, &n, e), -ERR_SYNTAX);
    ck_assert_ptr_eq(p, in + 14);
    put_u32(in + 14, 11); /* a byte beyond the end */
    ck_assert_int_eq(decode_item(EVENT_LOG, &p, &n, e), -ERR_SHORT);
    ck_assert_ptr_eq(p, in + 14);
}
END_TEST

START_TEST(an_item_may_have_so_many_bytes)
{
    static uint8_t in[4 + LIMIT_ITEM + 1];
    put_u32(in, LIMIT_ITEM + 1);
    const uint8_t *p = in;
    size_t n = sizeof in;
    ck_assert_int_eq(decode_item(EVENT_LOG, &p, &n, e), -ERR_RANGE);
    ck_assert_uint_eq(n, 0);
}
END_TEST

/* A frame whose items cannot be read tells which numbers it would have used up. */
START_TEST(a_bad_frame_still_has_a_range)
{
    struct batch batch;
    encode_batch(&b, FRAME_UPDATE, 70);
    encode_update(&b, 1, 1);
    encode_batch_end(&b, 0, 3);
    ck_assert_int_eq(decode_batch(FRAME_UPDATE, payload(), size(), &batch), -ERR_SYNTAX);
    ck_assert_uint_eq(batch.first, 70);
    ck_assert_uint_eq(batch.count, 3);
}
END_TEST

START_TEST(errors_have_reasons)
{
    ck_assert_int_eq(drop_of_error(-ERR_SHORT), DROP_MALFORMED);
    ck_assert_int_eq(drop_of_error(-ERR_SYNTAX), DROP_MALFORMED);
    ck_assert_int_eq(drop_of_error(-ERR_UTF8), DROP_UTF8);
    ck_assert_int_eq(drop_of_error(-ERR_NAME), DROP_NAME);
    ck_assert_int_eq(drop_of_error(-ERR_RANGE), DROP_LIMIT);
    ck_assert_int_eq(drop_of_error(-ERR_NOTFINITE), DROP_NOT_FINITE);
    ck_assert_int_eq(drop_of_error(-ERR_CONFLICT), DROP_CONFLICT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("decode");
    TCase *c = tcase_create("decode");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, exact_length_or_drop, FRAME_HELLO, FRAME_BYE + 1);
    tcase_add_loop_test(c, texts_up_to_their_limit, 0, sizeof texts / sizeof *texts);
    tcase_add_test(c, label_values_are_cut_at_a_character);
    tcase_add_test(c, a_bad_item_does_not_hide_the_next);
    tcase_add_test(c, an_item_that_ends_early_does_not_hide_the_next);
    tcase_add_test(c, an_item_may_have_so_many_bytes);
    tcase_add_test(c, a_bad_frame_still_has_a_range);
    tcase_add_test(c, errors_have_reasons);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
