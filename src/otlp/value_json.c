/* An AnyValue as JSON, for a log body that is no string. */
#include <inttypes.h>
#include <math.h>

#include "otlp/grpc.h"
#include "otlp/value.h"

void value_json_text(struct buf *to, struct str s, size_t most)
{
    buf_addc(to, '"');
    for (size_t i = 0; i < s.n && to->n <= most; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_addf(to, "\\%c", c);
        else if (c < ' ')
            buf_addf(to, "\\u%04x", c);
        else
            buf_addc(to, (char)c);
    }
    buf_addc(to, '"');
}

static void json_double(struct buf *to, double d)
{
    if (!isfinite(d))
        buf_addc(to, '"');
    buf_addd(to, d);
    if (!isfinite(d))
        buf_addc(to, '"');
}

static void json_base64(struct buf *to, struct str s, size_t most)
{
    buf_addc(to, '"');
    grpc_base64(to, s.n > most ? (struct str){s.p, most} : s);
    buf_addc(to, '"');
}

static void json_pair(struct buf *to, struct str pair, size_t most)
{
    struct fields r = fields_of(pair);
    struct field f;
    struct str key = {NULL, 0}, value = {NULL, 0};
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, BYTES))
            key = f.s;
        else if (f.tag == FIELD(2, BYTES))
            value = f.s;
    }
    value_json_text(to, key, most);
    buf_addc(to, ':');
    value_json(to, value, most);
}

static void json_list(struct buf *to, struct str list, bool pairs, size_t most)
{
    struct fields r = fields_of(list);
    struct field f;
    bool first = true;
    buf_addc(to, pairs ? '{' : '[');
    while (to->n <= most && fields_next(&r, &f)) {
        if (f.tag != FIELD(1, BYTES))
            continue;
        if (!first)
            buf_addc(to, ',');
        first = false;
        if (pairs)
            json_pair(to, f.s, most);
        else
            value_json(to, f.s, most);
    }
    buf_addc(to, pairs ? '}' : ']');
}

void value_json(struct buf *to, struct str any, size_t most)
{
    struct fields r = fields_of(any);
    struct field f;
    while (fields_next(&r, &f)) {
        switch (f.tag) {
        case FIELD(1, BYTES):
            value_json_text(to, f.s, most);
            return;
        case FIELD(2, VARINT):
            buf_adds(to, f.v ? "true" : "false");
            return;
        case FIELD(3, VARINT):
            buf_addf(to, "%" PRId64, (int64_t)f.v);
            return;
        case FIELD(4, FIXED64):
            json_double(to, bits_f64(f.v));
            return;
        case FIELD(5, BYTES):
        case FIELD(6, BYTES):
            json_list(to, f.s, f.tag == FIELD(6, BYTES), most);
            return;
        case FIELD(7, BYTES):
            json_base64(to, f.s, most);
            return;
        }
    }
    buf_adds(to, "null");
}
