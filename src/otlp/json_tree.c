#include "otlp/json_tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "otlp/field.h"
#include "otlp/grpc.h"
#include "otlp/put.h"

/* Writes a place, outermost first: resourceSpans[0].scopeSpans[1]. At most DEPTH_MAX deep. */
static size_t write_place(const struct json_place *at, char *to, size_t size)
{
    size_t n = at->up ? write_place(at->up, to, size) : 0;
    if (!at->up || n >= size)
        return n;
    int more;
    if (at->key)
        more = snprintf(to + n, size - n, "%s%.40s", n ? "." : "", at->key);
    else
        more = snprintf(to + n, size - n, "[%zu]", at->index);
    return n + (size_t)more;
}

int json_fail(struct json_reader *r, const struct json_place *at, enum err e, const char *expected)
{
    char place[256] = "";
    write_place(at, place, sizeof place);
    snprintf(r->why, r->why_size, "%s: expected %s", *place ? place : "the request", expected);
    return -(int)e;
}

/* Whether a key is a field's name in lowerCamelCase. */
static bool names(const char *key, const char *field)
{
    for (; *field; field++, key++) {
        char c = *field;
        if (c == '_' && field[1] >= 'a' && field[1] <= 'z')
            c = (char)(*++field - 'a' + 'A');
        if (*key != c)
            return false;
    }
    return *key == 0;
}

const ProtobufCFieldDescriptor *json_field_of(const ProtobufCMessageDescriptor *d, const char *key)
{
    for (unsigned i = 0; i < d->n_fields; i++)
        if (names(key, d->fields[i].name))
            return &d->fields[i];
    return NULL;
}

/* ---- numbers ---- */

/* A decimal integer of at most 64 bits; false when it is none. */
static bool read_decimal(const char *s, bool *negative, uint64_t *v)
{
    *negative = *s == '-';
    s += *negative;
    *v = 0;
    if (*s == 0)
        return false;
    for (; *s; s++) {
        const uint64_t digit = (uint64_t)(*s - '0');
        if (*s < '0' || *s > '9' || *v > (UINT64_MAX - digit) / 10)
            return false;
        *v = *v * 10 + digit;
    }
    return true;
}

/* A number or a string with one, as sign and size. */
static bool read_integer(const json_t *j, bool *negative, uint64_t *v)
{
    if (json_is_string(j))
        return read_decimal(json_string_value(j), negative, v);
    if (json_is_real(j)) { /* 1e3, 5.0 */
        const double d = json_real_value(j);
        *negative = d < 0;
        if (d != trunc(d) || fabs(d) > 9007199254740992.0) /* 2^53: beyond, digits are lost */
            return false;
        *v = (uint64_t)fabs(d);
        return true;
    }
    if (!json_is_integer(j))
        return false;
    const json_int_t i = json_integer_value(j);
    *negative = i < 0;
    *v = *negative ? 0 - (uint64_t)i : (uint64_t)i;
    return true;
}

/* The integer as the 64 bits of its type; `most` is the largest, and `least` the size of the
 * smallest. */
static int integer(struct json_reader *r, const struct json_place *at, const json_t *j,
                   uint64_t most, uint64_t least, uint64_t *out)
{
    bool negative;
    uint64_t v;
    if (!read_integer(j, &negative, &v))
        return json_fail(r, at, ERR_SYNTAX, "an integer, or a string with one");
    if (v > (negative ? least : most))
        return json_fail(r, at, ERR_RANGE, "an integer within the range of its field");
    *out = negative ? 0 - v : v;
    return 0;
}

static int real(struct json_reader *r, const struct json_place *at, const json_t *j, double *out)
{
    if (json_is_number(j)) {
        *out = json_number_value(j);
        return 0;
    }
    const char *s = json_is_string(j) ? json_string_value(j) : "";
    char *end;
    if (strcmp(s, "NaN") == 0)
        *out = NAN;
    else if (strcmp(s, "Infinity") == 0)
        *out = INFINITY;
    else if (strcmp(s, "-Infinity") == 0)
        *out = -INFINITY;
    else if (*s == '-' || (*s >= '0' && *s <= '9')) {
        *out = strtod(s, &end);
        if (*end != 0 || strpbrk(s, "xXiInN") || !isfinite(*out))
            return json_fail(r, at, ERR_SYNTAX, "a number");
    } else
        return json_fail(r, at, ERR_SYNTAX, "a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
    return 0;
}

/* ---- bytes ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hexadecimal(struct buf *to, struct str s)
{
    if (s.n % 2 != 0)
        return -ERR_SYNTAX;
    for (size_t i = 0; i < s.n; i += 2) {
        const int high = hex_digit(s.p[i]), low = hex_digit(s.p[i + 1]);
        if (high < 0 || low < 0)
            return -ERR_SYNTAX;
        buf_addc(to, (char)(high << 4 | low));
    }
    return 0;
}

/* The bytes that are ids are those whose names say so. */
static int bytes(struct json_reader *r, const struct json_place *at,
                 const ProtobufCFieldDescriptor *f, const json_t *j)
{
    if (!json_is_string(j))
        return json_fail(r, at, ERR_SYNTAX, "a string");
    const struct str s = {json_string_value(j), json_string_length(j)};
    const bool id = strstr(f->name, "_id") != NULL;
    const size_t open = put_open(r->to, f->id);
    const int e = id ? hexadecimal(r->to, s) : grpc_base64_read(r->to, s);
    if (e == -ERR_SYNTAX)
        return json_fail(r, at, ERR_SYNTAX, id ? "hexadecimal digits" : "base64");
    put_close_tight(r->to, open);
    return 0;
}

/* ---- values ---- */

static uint64_t zigzag(uint64_t v)
{
    return v << 1 ^ (uint64_t)((int64_t)v >> 63);
}

/* A number behind its tag, which packed fields have but once. */
static int number(struct json_reader *r, const struct json_place *at, ProtobufCType type,
                  const json_t *j, uint64_t *out, unsigned *wire)
{
    double d = 0;
    int e;
    *wire = FIELD_VARINT;
    switch (type) {
    case PROTOBUF_C_TYPE_DOUBLE:
        *wire = FIELD_FIXED64;
        e = real(r, at, j, &d);
        *out = f64_bits(d);
        return e;
    case PROTOBUF_C_TYPE_BOOL:
        *out = json_is_true(j);
        return json_is_boolean(j) ? 0 : json_fail(r, at, ERR_SYNTAX, "true or false");
    case PROTOBUF_C_TYPE_ENUM:
        if (json_is_string(j))
            return json_fail(r, at, ERR_SYNTAX, "the number of an enum, not its name");
        return integer(r, at, j, INT32_MAX, 0, out);
    case PROTOBUF_C_TYPE_FIXED32:
        *wire = FIELD_FIXED32;
        return integer(r, at, j, UINT32_MAX, 0, out);
    case PROTOBUF_C_TYPE_UINT32:
        return integer(r, at, j, UINT32_MAX, 0, out);
    case PROTOBUF_C_TYPE_SINT32:
        e = integer(r, at, j, INT32_MAX, UINT64_C(1) << 31, out);
        *out = zigzag(*out);
        return e;
    case PROTOBUF_C_TYPE_FIXED64:
        *wire = FIELD_FIXED64;
        return integer(r, at, j, UINT64_MAX, 0, out);
    case PROTOBUF_C_TYPE_SFIXED64:
        *wire = FIELD_FIXED64;
        return integer(r, at, j, INT64_MAX, UINT64_C(1) << 63, out);
    case PROTOBUF_C_TYPE_UINT64:
        return integer(r, at, j, UINT64_MAX, 0, out);
    default: /* int64 */
        return integer(r, at, j, INT64_MAX, UINT64_C(1) << 63, out);
    }
}

static void put_number(struct buf *to, unsigned wire, uint64_t v)
{
    uint8_t raw[8];
    put_u64(raw, v);
    if (wire == FIELD_VARINT)
        put_varint(to, v);
    else
        buf_add(to, raw, wire == FIELD_FIXED64 ? 8 : 4);
}

static int string(struct json_reader *r, const struct json_place *at,
                  const ProtobufCFieldDescriptor *f, const json_t *j)
{
    if (!json_is_string(j))
        return json_fail(r, at, ERR_SYNTAX, "a string");
    put_bytes(r->to, f->id, (struct str){json_string_value(j), json_string_length(j)});
    return 0;
}

static int inner(struct json_reader *r, const struct json_place *at,
                 const ProtobufCFieldDescriptor *f, const json_t *j)
{
    const size_t open = put_open(r->to, f->id);
    const int e = json_message(r, at, f->descriptor, j);
    put_close_tight(r->to, open);
    return e;
}

static int value(struct json_reader *r, const struct json_place *at,
                 const ProtobufCFieldDescriptor *f, const json_t *j)
{
    uint64_t v = 0;
    unsigned wire;
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return inner(r, at, f, j);
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return string(r, at, f, j);
    if (f->type == PROTOBUF_C_TYPE_BYTES)
        return bytes(r, at, f, j);
    const int e = number(r, at, f->type, j, &v, &wire);
    if (e != 0)
        return e;
    put_varint(r->to, f->id << 3 | wire);
    put_number(r->to, wire, v);
    return 0;
}

int json_element(struct json_reader *r, const struct json_place *at,
                 const ProtobufCFieldDescriptor *f, const json_t *j)
{
    uint64_t v = 0;
    unsigned wire;
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return inner(r, at, f, j);
    const int e = number(r, at, f->type, j, &v, &wire);
    if (e == 0)
        put_number(r->to, wire, v);
    return e;
}

/* Numbers are packed: one tag for all. */
static int repeated(struct json_reader *r, const struct json_place *up,
                    const ProtobufCFieldDescriptor *f, const json_t *list)
{
    struct json_place at = {.up = up, .depth = up->depth};
    if (!json_is_array(list))
        return json_fail(r, up, ERR_SYNTAX, "an array");
    const bool packed = f->type != PROTOBUF_C_TYPE_MESSAGE;
    const size_t open = packed ? put_open(r->to, f->id) : 0;
    for (; at.index < json_array_size(list); at.index++) {
        const int e = json_element(r, &at, f, json_array_get(list, at.index));
        if (e != 0)
            return e;
    }
    if (packed)
        put_close_tight(r->to, open);
    return 0;
}

int json_member(struct json_reader *r, const struct json_place *at,
                const ProtobufCFieldDescriptor *f, const json_t *j)
{
    if (json_is_null(j))
        return 0;
    return f->label == PROTOBUF_C_LABEL_REPEATED ? repeated(r, at, f, j) : value(r, at, f, j);
}

int json_message(struct json_reader *r, const struct json_place *up,
                 const ProtobufCMessageDescriptor *d, const json_t *j)
{
    struct json_place at = {.up = up, .depth = up->depth + 1};
    if (!json_is_object(j))
        return json_fail(r, up, ERR_SYNTAX, "an object");
    if (at.depth > JSON_DEPTH_MAX)
        return json_fail(r, up, ERR_RANGE, "values that are not nested so deep");
    json_t *of = (json_t *)(uintptr_t)j; /* jansson's iterators take no const */
    for (void *i = json_object_iter(of); i; i = json_object_iter_next(of, i)) {
        const json_t *v = json_object_iter_value(i);
        at.key = json_object_iter_key(i);
        const ProtobufCFieldDescriptor *f = json_field_of(d, at.key);
        const int e = f ? json_member(r, &at, f, v) : 0;
        if (e != 0)
            return e;
    }
    return 0;
}
