/* Spans and log records: what is read of them is what protobuf-c reads, and what has no
 * good form is refused. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "model/text.h"
#include "otlp/field.h"
#include "otlp/logs.pb-c.h"
#include "otlp/otlp.h"
#include "otlp/put.h"
#include "otlp/trace.pb-c.h"
#include "otlp_random.h"

static struct event e;
static struct buf b, scratch;

static void setup(void)
{
    buf_init(&b, 1 << 20);
    buf_init(&scratch, LIMIT_BODY * 2);
    memset(&e, 0xa5, sizeof e); /* what is not set must not be relied on */
}

static void teardown(void)
{
    buf_fini(&b);
    buf_fini(&scratch);
}

static struct str packed(const ProtobufCMessage *m)
{
    buf_reset(&b);
    const size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *to = (uint8_t *)buf_room(&b, n + 1);
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(protobuf_c_message_pack(m, to), n);
    buf_added(&b, n);
    return buf_str(&b);
}

static bool is_scalar(const Otlp__AnyValue *v)
{
    return v && v->value_case >= OTLP__ANY_VALUE__VALUE_STRING_VALUE &&
           v->value_case <= OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
}

static void same_value(const struct attr *a, const Otlp__AnyValue *v)
{
    switch (v->value_case) {
    case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
        ck_assert_int_eq(a->type, ATTR_STRING);
        ck_assert(str_eq(a->s, str_of(v->string_value)));
        break;
    case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
        ck_assert_int_eq(a->type, ATTR_BOOL);
        ck_assert_int_eq(a->i, v->bool_value);
        break;
    case OTLP__ANY_VALUE__VALUE_INT_VALUE:
        ck_assert_int_eq(a->type, ATTR_I64);
        ck_assert_int_eq(a->i, v->int_value);
        break;
    default:
        ck_assert_int_eq(a->type, ATTR_F64);
        ck_assert_double_eq(a->d, v->double_value);
    }
}

static unsigned same_attrs(const struct attr *a, size_t n, Otlp__KeyValue **pairs)
{
    unsigned at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_scalar(pairs[i]->value) || !text_key_ok(str_of(pairs[i]->key)))
            continue;
        ck_assert(str_eq(a[at].key, str_of(pairs[i]->key)));
        same_value(&a[at++], pairs[i]->value);
    }
    return at;
}

static void same_id(const uint8_t *id, ProtobufCBinaryData data)
{
    if (data.len > 0)
        ck_assert_mem_eq(id, data.data, data.len);
}

static const char *named(const char *name)
{
    return *name ? name : "unknown";
}

static void same_span(const Otlp__Span *s)
{
    ck_assert_int_eq(e.kind, EVENT_SPAN);
    same_id(e.trace.trace_id, s->trace_id);
    same_id(e.trace.span_id, s->span_id);
    same_id(e.parent_id, s->parent_span_id);
    ck_assert(str_eq(e.tracestate, str_of(s->trace_state)));
    ck_assert(str_eq(e.name, str_of(named(s->name))));
    ck_assert_uint_eq(e.span_kind, s->kind);
    ck_assert_uint_eq(e.time, s->start_time_unix_nano);
    const uint64_t end = s->end_time_unix_nano;
    ck_assert_uint_eq(e.end, end < e.time ? e.time : end);
    ck_assert_uint_eq(e.span_flags, s->flags);
    ck_assert_uint_eq(e.status, s->status ? s->status->code : 0);
    ck_assert(str_eq(e.text, str_of(s->status ? s->status->message : "")));
    ck_assert_uint_eq(e.nattrs, same_attrs(e.attrs, s->n_attributes, s->attributes));
    ck_assert_uint_eq(e.nevents, s->n_events);
    unsigned at = e.nattrs;
    for (unsigned i = 0; i < e.nevents; i++) {
        ck_assert_uint_eq(e.events[i].time, s->events[i]->time_unix_nano);
        ck_assert(str_eq(e.events[i].name, str_of(named(s->events[i]->name))));
        ck_assert_uint_eq(e.events[i].first_attr, at);
        at += same_attrs(&e.attrs[at], s->events[i]->n_attributes, s->events[i]->attributes);
        ck_assert_uint_eq(e.events[i].first_attr + e.events[i].nattrs, at);
    }
    ck_assert_uint_eq(e.nlinks, s->n_links);
    for (unsigned i = 0; i < e.nlinks; i++) {
        same_id(e.links[i].to.trace_id, s->links[i]->trace_id);
        same_id(e.links[i].to.span_id, s->links[i]->span_id);
        ck_assert(str_eq(e.links[i].tracestate, str_of(s->links[i]->trace_state)));
        at += same_attrs(&e.attrs[at], s->links[i]->n_attributes, s->links[i]->attributes);
    }
    ck_assert_uint_eq(e.all_attrs, at);
}

START_TEST(random_spans)
{
    struct rng rng = {(uint64_t)_i};
    ProtobufCMessage *m = random_message(&rng, &otlp__span__descriptor, 6);
    ck_assert_int_eq(otlp_span(packed(m), &e), 0);
    same_span((const Otlp__Span *)m);
    protobuf_c_message_free_unpacked(m, NULL);
}
END_TEST

/* What is read of a span that most likely is left out is what all of it would have said. */
START_TEST(random_heads)
{
    static struct event head;
    struct rng rng = {(uint64_t)_i};
    ProtobufCMessage *m = random_message(&rng, &otlp__span__descriptor, 6);
    const struct str bytes = packed(m);
    ck_assert_int_eq(otlp_span(bytes, &e), 0);
    struct str key = e.nattrs ? e.attrs[e.nattrs / 2].key : STR("none");
    ck_assert_int_eq(otlp_span_head(bytes, &key, 1, &head), 0);
    ck_assert_mem_eq(&head.trace, &e.trace, sizeof e.trace);
    ck_assert_mem_eq(head.parent_id, e.parent_id, sizeof e.parent_id);
    ck_assert(str_eq(head.name, e.name) && str_eq(head.tracestate, e.tracestate));
    ck_assert(head.time == e.time && head.end == e.end);
    ck_assert(head.status == e.status && head.span_flags == e.span_flags);
    ck_assert_uint_eq(head.span_kind, e.span_kind);
    unsigned found = 0;
    for (unsigned i = 0; i < head.nattrs; i++)
        found += str_eq(head.attrs[i].key, key);
    for (unsigned i = 0; i < e.nattrs; i++)
        found -= str_eq(e.attrs[i].key, key);
    ck_assert_uint_eq(found, 0);
    protobuf_c_message_free_unpacked(m, NULL);
}
END_TEST

static const char high[] = "\xc3\xbf"; /* whose bytes are no control characters, nor near one */

START_TEST(a_name_ends_at_a_control_character)
{
    static const char controls[] = {1, 9, 0x1f, 0x7f};
    static const uint8_t id[16] = {1};
    const size_t at = (size_t)_i;
    for (size_t i = 0; i < sizeof controls; i++) {
        char name[40];
        memset(name, i % 2 ? ' ' : '~', sizeof name);
        memcpy(name + (at < 8 ? 20 : 0), high, 2);
        name[at] = controls[i];
        buf_reset(&b);
        put_bytes(&b, 1, (struct str){(const char *)id, 16});
        put_bytes(&b, 2, (struct str){(const char *)id, 8});
        put_bytes(&b, 5, (struct str){name, sizeof name});
        ck_assert_int_eq(otlp_span(buf_str(&b), &e), 0);
        ck_assert_uint_eq(e.name.n, at ? at : STR("unknown").n);
    }
}
END_TEST

/* Cut anywhere, a span is refused or is another whole one; nothing behind it is read. */
START_TEST(random_spans_cut)
{
    struct rng rng = {(uint64_t)_i};
    ProtobufCMessage *m = random_message(&rng, &otlp__span__descriptor, 8);
    const struct str whole = packed(m);
    for (size_t n = 0; n < whole.n; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, whole.p, n);
        Otlp__Span *s = otlp__span__unpack(NULL, n, (const uint8_t *)copy);
        const int got = otlp_span((struct str){copy, n}, &e);
        ck_assert(got != 0 || s != NULL);
        if (got == 0)
            same_span(s);
        if (s)
            otlp__span__free_unpacked(s, NULL);
        free(copy);
    }
    protobuf_c_message_free_unpacked(m, NULL);
}
END_TEST

START_TEST(random_logs)
{
    struct rng rng = {(uint64_t)_i};
    ProtobufCMessage *m = random_message(&rng, &otlp__log_record__descriptor, 6);
    const Otlp__LogRecord *l = (const Otlp__LogRecord *)m;
    ck_assert_int_eq(otlp_log(packed(m), &e, &scratch), 0);
    ck_assert_uint_eq(e.time, l->time_unix_nano ? l->time_unix_nano : l->observed_time_unix_nano);
    ck_assert(e.severity >= 1 && e.severity <= 24);
    if (l->severity_number != 0)
        ck_assert_uint_eq(e.severity, l->severity_number);
    same_id(e.trace.trace_id, l->trace_id);
    same_id(e.trace.span_id, l->span_id);
    ck_assert_uint_eq(e.nattrs, same_attrs(e.attrs, l->n_attributes, l->attributes));
    ck_assert_uint_eq(e.all_attrs, e.nattrs);
    if (l->body && l->body->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE)
        ck_assert(str_eq(e.text, str_of(l->body->string_value)));
    ck_assert(text_utf8(e.text) && e.text.n <= LIMIT_BODY);
    protobuf_c_message_free_unpacked(m, NULL);
}
END_TEST

/* ---- what the form is ---- */

static const uint8_t id16[16] = {1, 2, 3}, id8[8] = {4, 5};

static void span_with_ids(void)
{
    buf_reset(&b);
    put_id(&b, 1, id16, sizeof id16);
    put_id(&b, 2, id8, sizeof id8);
}

static int span_error(void)
{
    return otlp_span(buf_str(&b), &e);
}

START_TEST(ids)
{
    span_with_ids();
    ck_assert_int_eq(span_error(), 0);
    ck_assert(str_eq(e.name, STR("unknown")));
    static const uint8_t zero[17];
    static const struct {
        unsigned field, n;
        int error;
    } cases[] = {
        {1, 0, -ERR_SYNTAX}, {1, 15, -ERR_SYNTAX}, {1, 17, -ERR_SYNTAX}, {1, 16, -ERR_SYNTAX},
        {2, 8, -ERR_SYNTAX}, {2, 16, -ERR_SYNTAX}, {2, 0, -ERR_SYNTAX},  {4, 0, 0},
        {4, 8, 0},           {4, 16, -ERR_SYNTAX}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        span_with_ids();
        put_bytes(&b, cases[i].field, (struct str){(const char *)zero, cases[i].n});
        ck_assert_int_eq(span_error(), cases[i].error);
    }
}
END_TEST

/* What looks like a usual field at its first byte and is none: a kind that there is not, and a
 * field whose tag begins as that of the flags does. */
START_TEST(unusual_heads)
{
    static struct event head;
    span_with_ids();
    put_varint(&b, 6 << 3 | FIELD_VARINT);
    put_varint(&b, 9);
    put_varint(&b, 32 << 3 | FIELD_FIXED32);
    buf_add(&b, "\xff\xff\xff\xff", 4);
    put_text(&b, 5, STR("a name that is long enough"));
    ck_assert_int_eq(span_error(), 0);
    ck_assert_int_eq(otlp_span_head(buf_str(&b), NULL, 0, &head), 0);
    ck_assert_uint_eq(head.span_kind, e.span_kind);
    ck_assert_uint_eq(head.span_flags, e.span_flags);
    ck_assert(str_eq(head.name, e.name));
}
END_TEST

/* A span with an attribute whose value is nested that deep in arrays; or in those and, at
 * the end, a map. */
static void nested(unsigned depth, bool map)
{
    size_t at[2 * LIMIT_OTLP_DEPTH + 2], n = 0;
    span_with_ids();
    const size_t attr = put_open(&b, 9);
    put_text(&b, 1, STR("key"));
    for (unsigned i = 1; i < depth; i++) {
        at[n++] = put_open(&b, i == 1 ? 2 : 1);
        at[n++] = put_open(&b, map && i == depth - 1 ? 6 : 5);
    }
    if (map && depth > 1) {
        put_attr_text(&b, 1, STR("key"), STR("deep"));
    } else {
        const size_t value = put_open(&b, depth == 1 ? 2 : 1);
        put_text(&b, 1, STR("deep"));
        put_close(&b, value);
    }
    while (n > 0)
        put_close(&b, at[--n]);
    put_close(&b, attr);
}

START_TEST(depth)
{
    for (unsigned i = 2; i <= 2 * LIMIT_OTLP_DEPTH + 3; i++) {
        const unsigned d = i / 2;
        nested(d, i % 2);
        ck_assert_int_eq(span_error(), d <= LIMIT_OTLP_DEPTH ? 0 : -ERR_RANGE);
        ck_assert_uint_eq(e.nattrs, d == 1);
        Otlp__Span *s = otlp__span__unpack(NULL, b.n, (const uint8_t *)b.p);
        ck_assert_ptr_nonnull(s); /* it is the depth alone that we mind */
        otlp__span__free_unpacked(s, NULL);
    }
}
END_TEST

/* What may come once and comes twice is refused; of numbers and texts the last counts. */
START_TEST(twice)
{
    span_with_ids();
    put_text(&b, 5, STR("first"));
    put_text(&b, 5, STR("second"));
    put_uint(&b, 6, 2);
    put_uint(&b, 6, 3);
    ck_assert_int_eq(span_error(), 0);
    ck_assert(str_eq(e.name, STR("second")) && e.span_kind == SPAN_CLIENT);
    for (unsigned i = 0; i < 2; i++)
        put_close(&b, put_open(&b, 15));
    ck_assert_int_eq(span_error(), -ERR_SYNTAX);
    span_with_ids();
    size_t attr = put_open(&b, 9);
    put_text(&b, 1, STR("key"));
    for (unsigned i = 0; i < 2; i++)
        put_close(&b, put_open(&b, 2));
    put_close(&b, attr);
    ck_assert_int_eq(span_error(), -ERR_SYNTAX);
    span_with_ids();
    attr = put_open(&b, 9);
    const size_t value = put_open(&b, 2);
    put_text(&b, 1, STR("shown"));
    put_uint(&b, 3, 1);
    put_close(&b, value);
    put_close(&b, attr);
    ck_assert_int_eq(span_error(), -ERR_SYNTAX);
}
END_TEST

/* Each known field of a span with each type that it has not. */
START_TEST(types)
{
    static const uint8_t own_type[17] = {0, 2, 2, 2, 2, 2, 0, 1, 1, 2, 0, 2, 0, 2, 0, 2, 5};
    for (unsigned number = 1; number <= 17; number++) {
        for (unsigned type = 0; type < 6; type++) {
            span_with_ids();
            put_varint(&b, number << 3 | type);
            if (type == FIELD_VARINT || type == FIELD_BYTES)
                put_varint(&b, 0);
            else
                buf_add(&b, "\0\0\0\0\0\0\0", type == FIELD_FIXED64 ? 8 : 4);
            const bool group = type == 3 || type == 4;
            const bool good = number == 17 ? !group : type == own_type[number] && number > 2;
            ck_assert_int_eq(span_error(), good ? 0 : -ERR_SYNTAX);
        }
    }
}
END_TEST

START_TEST(texts)
{
    static const struct {
        struct str text, view;
        int error;
    } cases[] = {
        {{"good", 4}, {"good", 4}, 0},          {{"a\0b", 3}, {"a", 1}, 0},
        {{"\0", 1}, {"unknown", 7}, 0},         {{"a\nb", 3}, {"a", 1}, 0},
        {{"\xc3\xa4", 2}, {"\xc3\xa4", 2}, 0},  {{"\xc3", 1}, {NULL, 0}, -ERR_UTF8},
        {{"a\0\xff", 3}, {NULL, 0}, -ERR_UTF8}, {{"\xed\xa0\x80", 3}, {NULL, 0}, -ERR_UTF8},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        span_with_ids();
        put_bytes(&b, 5, cases[i].text);
        ck_assert_int_eq(span_error(), cases[i].error);
        if (cases[i].error == 0)
            ck_assert(str_eq(e.name, cases[i].view));
    }
}
END_TEST

START_TEST(long_things_are_cut_in_the_view)
{
    static char text[2 * LIMIT_BODY];
    memset(text, 'x', sizeof text);
    span_with_ids();
    put_text(&b, 5, (struct str){text, LIMIT_NAME + 1});
    put_text(&b, 3, (struct str){text, LIMIT_TRACESTATE + 1});
    for (unsigned i = 0; i < LIMIT_ATTRS + 1; i++)
        put_attr_text(&b, 9, STR("key"), (struct str){text, LIMIT_TEXT + 1});
    for (unsigned i = 0; i < LIMIT_SPAN_EVENTS + 1; i++) {
        const size_t at = put_open(&b, 11);
        put_attr_text(&b, 3, STR("key"), STR("value"));
        put_close(&b, at);
    }
    ck_assert_int_eq(span_error(), 0);
    ck_assert_uint_eq(e.name.n, LIMIT_NAME);
    ck_assert_uint_eq(e.tracestate.n, 0);
    ck_assert_uint_eq(e.nattrs, LIMIT_ATTRS);
    ck_assert_uint_eq(e.all_attrs, LIMIT_ATTRS);
    ck_assert_uint_eq(e.attrs[0].s.n, LIMIT_TEXT);
    ck_assert_uint_eq(e.nevents, LIMIT_SPAN_EVENTS);
    ck_assert_uint_eq(e.events[0].nattrs, 0);
}
END_TEST

static void attr_double(double d)
{
    span_with_ids();
    put_attr(&b, 9, &(struct attr){.key = STR("key"), .type = ATTR_F64, .d = d});
}

START_TEST(numbers_that_are_none)
{
    const double none[] = {NAN, INFINITY, -INFINITY, DBL_MAX};
    for (unsigned i = 0; i < 4; i++) {
        attr_double(none[i]);
        ck_assert_int_eq(span_error(), 0);
        ck_assert_uint_eq(e.nattrs, i == 3);
    }
}
END_TEST

static void log_body(const Otlp__AnyValue *body, const char *expected)
{
    Otlp__LogRecord l = OTLP__LOG_RECORD__INIT;
    l.body = (Otlp__AnyValue *)(uintptr_t)body;
    ck_assert_int_eq(otlp_log(packed(&l.base), &e, &scratch), 0);
    ck_assert_msg(str_eq(e.text, str_of(expected)), "%.*s", STR_ARG(e.text));
}

START_TEST(bodies)
{
    Otlp__AnyValue text = OTLP__ANY_VALUE__INIT, number = text, wild = text, bytes = text;
    text.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    text.string_value = (char *)(uintptr_t) "a \"b\"\n";
    number.value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
    number.int_value = -7;
    wild.value_case = OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
    wild.double_value = INFINITY;
    bytes.value_case = OTLP__ANY_VALUE__VALUE_BYTES_VALUE;
    bytes.bytes_value = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "hi"};
    Otlp__AnyValue *of[] = {&text, &number, &wild, &bytes};
    Otlp__ArrayValue array = OTLP__ARRAY_VALUE__INIT;
    array.n_values = 4;
    array.values = of;
    Otlp__AnyValue list = OTLP__ANY_VALUE__INIT;
    list.value_case = OTLP__ANY_VALUE__VALUE_ARRAY_VALUE;
    list.array_value = &array;
    Otlp__KeyValue pair = OTLP__KEY_VALUE__INIT;
    pair.key = (char *)(uintptr_t) "k";
    pair.value = &list;
    Otlp__KeyValue *pairs[] = {&pair};
    Otlp__KeyValueList map = OTLP__KEY_VALUE_LIST__INIT;
    map.n_values = 1;
    map.values = pairs;
    Otlp__AnyValue top = OTLP__ANY_VALUE__INIT;
    log_body(&top, "");
    log_body(&text, "a \"b\"\n");
    top.value_case = OTLP__ANY_VALUE__VALUE_KVLIST_VALUE;
    top.kvlist_value = &map;
    log_body(&top, "{\"k\":[\"a \\\"b\\\"\\u000a\",-7,\"+Inf\",\"aGk=\"]}");
}
END_TEST

START_TEST(severities)
{
    static const struct {
        unsigned number;
        const char *text;
        unsigned seen;
    } cases[] = {{0, "", 9}, {0, "Warning", 13}, {0, "ERROR", 17}, {5, "ERROR", 5}, {99, "", 24}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_reset(&b);
        put_uint(&b, 2, cases[i].number);
        put_text(&b, 3, str_of(cases[i].text));
        ck_assert_int_eq(otlp_log(buf_str(&b), &e, NULL), 0);
        ck_assert_uint_eq(e.severity, cases[i].seen);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_item");
    TCase *t = tcase_create("items");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, random_heads, 0, 400);
    tcase_add_loop_test(t, random_spans, 0, 300);
    tcase_add_loop_test(t, random_spans_cut, 0, 20);
    tcase_add_loop_test(t, a_name_ends_at_a_control_character, 2, 20);
    tcase_add_loop_test(t, random_logs, 0, 200);
    tcase_add_test(t, ids);
    tcase_add_test(t, unusual_heads);
    tcase_add_test(t, depth);
    tcase_add_test(t, twice);
    tcase_add_test(t, types);
    tcase_add_test(t, texts);
    tcase_add_test(t, long_things_are_cut_in_the_view);
    tcase_add_test(t, numbers_that_are_none);
    tcase_add_test(t, bodies);
    tcase_add_test(t, severities);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
