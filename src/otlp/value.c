#include "otlp/value.h"

#include <math.h>

#include "model/text.h"
#include "otlp/otlp.h"

/* Text with NULs: good when each piece between them is. */
static bool utf8_in_pieces(struct str s)
{
    for (;;) {
        const char *nul = memchr(s.p, 0, s.n);
        const size_t n = nul ? (size_t)(nul - s.p) : s.n;
        if (!text_utf8((struct str){s.p, n}))
            return false;
        if (!nul)
            return true;
        s.p += n + 1;
        s.n -= n + 1;
    }
}

int value_text(struct str s, size_t max, struct str *view)
{
    if (!text_utf8(s)) {
        const char *nul = memchr(s.p, 0, s.n);
        if (!nul || !utf8_in_pieces(s))
            return -ERR_UTF8;
        s.n = (size_t)(nul - s.p);
    }
    *view = text_cut(s, max);
    return 0;
}

/* Whether one of eight bytes is a control character. */
static bool has_control(const char *p)
{
    const uint64_t ones = UINT64_MAX / 255, v = get_u64(p), del = v ^ 0x7F * ones;
    return (((v - 0x20 * ones) & ~v) | ((del - ones) & ~del)) & 0x80 * ones;
}

/* Bytes before the first control character. */
static size_t plain(struct str s)
{
    size_t n = 0;
    while (s.n - n >= 8 && !has_control(s.p + n))
        n += 8;
    while (n < s.n && (unsigned char)s.p[n] >= ' ' && s.p[n] != 0x7F)
        n++;
    return n;
}

int value_line(struct str s, size_t max, struct str *view)
{
    const int e = value_text(s, max, view);
    if (e == 0 && (view->n < s.n || plain(*view) < view->n))
        *view = (struct str){NULL, 0};
    return e;
}

int value_plain(struct str s, size_t max, struct str *view)
{
    const int e = value_text(s, max, view);
    *view = e == 0 ? (struct str){view->p, plain(*view)} : (struct str){NULL, 0};
    return e;
}

int value_name(struct str s, struct str *view)
{
    const int e = value_plain(s, LIMIT_NAME, view);
    if (view->n == 0)
        *view = STR("unknown");
    return e;
}

bool value_is_plain(struct str s)
{
    const uint64_t high = UINT64_MAX / 255 * 0x80;
    size_t n = 0;
    for (; s.n - n >= 8; n += 8)
        if ((get_u64(s.p + n) & high) || has_control(s.p + n))
            return false;
    for (; n < s.n; n++)
        if (s.p[n] < ' ' || s.p[n] >= 0x7F)
            return false;
    return s.n > 0 && s.n <= LIMIT_NAME;
}

int value_id(struct str s, uint8_t *to, size_t n)
{
    if (s.n != n) {
        memset(to, 0, n);
        return s.n == 0 ? 0 : -ERR_SYNTAX;
    }
    memcpy(to, s.p, n);
    return 0;
}

/* An ArrayValue or a KeyValueList: field 1, repeated. */
static int check_list(struct str list, bool pairs, unsigned depth)
{
    struct fields r = fields_of(list);
    struct field f;
    struct attr ignored;
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, BYTES))
            value_check(&r,
                        pairs ? value_attr(f.s, depth, &ignored) : value_any(f.s, depth, &ignored));
        else
            fields_unknown(&r, &f, FIELDS_TO(1));
    }
    return r.err;
}

static bool take_scalar(struct fields *r, const struct field *f, struct attr *out)
{
    switch (f->tag) {
    case FIELD(1, BYTES):
        out->type = ATTR_STRING;
        out->i = 0;
        value_check(r, value_text(f->s, LIMIT_TEXT, &out->s));
        return true;
    case FIELD(2, VARINT):
        out->type = ATTR_BOOL;
        out->i = f->v != 0;
        return true;
    case FIELD(3, VARINT):
        out->type = ATTR_I64;
        out->i = (int64_t)f->v;
        return true;
    case FIELD(4, FIXED64):
        out->type = ATTR_F64;
        out->d = bits_f64(f->v);
        return isfinite(out->d);
    default:
        return false;
    }
}

int value_any(struct str any, unsigned depth, struct attr *out)
{
    struct fields r = fields_of(any);
    struct field f;
    bool scalar = false;
    unsigned values = 0;
    if (depth > LIMIT_OTLP_DEPTH)
        return -ERR_RANGE;
    out->s = (struct str){NULL, 0};
    while (fields_next(&r, &f)) {
        const unsigned number = f.tag >> 3;
        values += number >= 1 && number <= 7;
        scalar = take_scalar(&r, &f, out);
        if (scalar || f.tag == FIELD(4, FIXED64) || f.tag == FIELD(7, BYTES))
            continue;
        if (f.tag == FIELD(5, BYTES) || f.tag == FIELD(6, BYTES))
            value_check(&r, check_list(f.s, number == 6, depth + 1));
        else
            fields_unknown(&r, &f, FIELDS_TO(7));
    }
    if (r.err == 0 && values > 1)
        return -ERR_SYNTAX;
    return r.err != 0 ? r.err : scalar;
}

bool otlp_short_pair(struct str pair, struct str *key, struct str *text)
{
    enum { KEY = FIELD(1, BYTES), VALUE = FIELD(2, BYTES), TEXT = FIELD(1, BYTES) };
    const uint8_t *p = (const uint8_t *)pair.p;
    if (pair.n < 6 || p[0] != KEY || p[1] >= 0x80 || p[1] + 6u > pair.n)
        return false;
    const uint8_t *v = p + 2 + p[1];
    const size_t left = pair.n - 2 - p[1];
    if (v[0] != VALUE || v[1] >= 0x80 || v[1] != left - 2 || v[2] != TEXT || v[3] != left - 4)
        return false;
    *key = (struct str){pair.p + 2, p[1]};
    *text = (struct str){(const char *)v + 4, v[3]};
    return true;
}

int value_attr(struct str pair, unsigned depth, struct attr *out)
{
    if (depth <= LIMIT_OTLP_DEPTH && otlp_short_pair(pair, &out->key, &out->s)) {
        out->type = ATTR_STRING;
        out->i = 0;
        if (text_key_ok(out->key) && text_utf8(out->s))
            return 1;
    }
    out->key = (struct str){NULL, 0};
    if (pair.n == 0) /* two bytes each, of which a message may have very many */
        return 0;
    struct fields r = fields_of(pair);
    struct field f;
    unsigned values = 0;
    int scalar = 0;
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, BYTES)) {
            out->key = f.s;
        } else if (f.tag == FIELD(2, BYTES) && values++ == 0) {
            scalar = value_any(f.s, depth, out);
            value_check(&r, scalar);
        } else if (f.tag == FIELD(2, BYTES)) {
            fields_fail(&r, ERR_SYNTAX);
        } else {
            fields_unknown(&r, &f, FIELDS_TO(2));
        }
    }
    if (r.err != 0)
        return r.err;
    if (text_key_ok(out->key))
        return scalar;
    struct str ignored;
    return value_text(out->key, LIMIT_KEY, &ignored);
}
