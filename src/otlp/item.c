/* Spans, log records and what surrounds them. */
#include <stdlib.h>

#include "model/text.h"
#include "otlp/otlp.h"
#include "otlp/value.h"

/* An id of n bytes, a multiple of 8. */
static bool all_zero(const uint8_t *p, size_t n)
{
    uint64_t any = 0;
    for (size_t i = 0; i < n; i += 8)
        any |= get_u64(p + i);
    return any == 0;
}

static void begin(struct event *out, enum event_kind kind)
{
    out->kind = kind;
    out->time = 0;
    memset(&out->trace, 0, sizeof out->trace);
    out->correlation = (struct str){NULL, 0};
    out->name = (struct str){NULL, 0};
    out->text = (struct str){NULL, 0};
    out->nattrs = 0;
    out->all_attrs = 0;
}

static void begin_span(struct event *out)
{
    begin(out, EVENT_SPAN);
    out->end = 0;
    memset(out->parent_id, 0, sizeof out->parent_id);
    out->span_kind = SPAN_UNSPECIFIED;
    out->status = SPAN_UNSET;
    out->span_flags = 0;
    out->tracestate = (struct str){NULL, 0};
    out->nevents = 0;
    out->nlinks = 0;
    out->name = STR("unknown");
}

static void take_status(struct fields *r, struct str status, struct event *out)
{
    struct fields in = fields_of(status);
    struct field f;
    while (fields_next(&in, &f)) {
        if (f.tag == FIELD(2, BYTES))
            value_check(&in, value_text(f.s, LIMIT_TEXT, &out->text));
        else if (f.tag == FIELD(3, VARINT))
            out->status = f.v <= SPAN_ERROR ? (enum span_status)f.v : SPAN_UNSET;
        else
            fields_unknown(&in, &f, 1u << 2 | 1u << 3);
    }
    value_check(r, in.err);
}

static void take_event(struct fields *r, struct str bytes, struct event *out)
{
    struct span_event beyond;
    const bool fits = out->nevents < LIMIT_SPAN_EVENTS;
    struct span_event *to = fits ? &out->events[out->nevents] : &beyond;
    struct fields in = fields_of(bytes);
    struct field f;
    bool cut;
    *to = (struct span_event){.name = STR("unknown"), .first_attr = out->all_attrs};
    while (fields_next(&in, &f)) {
        switch (f.tag) {
        case FIELD(1, FIXED64):
            to->time = f.v;
            break;
        case FIELD(2, BYTES):
            value_check(&in, value_name(f.s, &to->name));
            break;
        case FIELD(3, BYTES):
            value_add(&in, f.s, out->attrs, &out->all_attrs, &cut);
            break;
        default:
            fields_unknown(&in, &f, FIELDS_TO(4) & ~(f.tag == FIELD(4, VARINT) ? 1u << 4 : 0));
        }
    }
    to->nattrs = out->all_attrs - to->first_attr;
    if (fits)
        out->nevents++;
    else
        out->all_attrs = to->first_attr;
    value_check(r, in.err);
}

static void take_link_field(struct fields *r, const struct field *f, struct span_link *to,
                            struct event *out)
{
    bool cut;
    switch (f->tag) {
    case FIELD(1, BYTES):
        value_check(r, value_id(f->s, to->to.trace_id, sizeof to->to.trace_id));
        break;
    case FIELD(2, BYTES):
        value_check(r, value_id(f->s, to->to.span_id, sizeof to->to.span_id));
        break;
    case FIELD(3, BYTES):
        value_check(r, value_line(f->s, LIMIT_TRACESTATE, &to->tracestate));
        break;
    case FIELD(4, BYTES):
        value_add(r, f->s, out->attrs, &out->all_attrs, &cut);
        break;
    case FIELD(5, VARINT):
    case FIELD(6, FIXED32):
        break;
    default:
        fields_unknown(r, f, FIELDS_TO(6));
    }
}

/* A link that leads nowhere is allowed, but an event shows none. */
static void take_link(struct fields *r, struct str bytes, struct event *out)
{
    struct span_link link = {.first_attr = out->all_attrs};
    struct fields in = fields_of(bytes);
    struct field f;
    while (fields_next(&in, &f))
        take_link_field(&in, &f, &link, out);
    link.nattrs = out->all_attrs - link.first_attr;
    if (out->nlinks < LIMIT_SPAN_EVENTS && !all_zero(link.to.trace_id, sizeof link.to.trace_id) &&
        !all_zero(link.to.span_id, sizeof link.to.span_id))
        out->links[out->nlinks++] = link;
    else
        out->all_attrs = link.first_attr;
    value_check(r, in.err);
}

/* Events and links in a second pass: in an event, their attributes come after the span's. */
static int take_inner(struct str bytes, uint32_t tag, struct event *out)
{
    struct fields r = fields_of(bytes);
    struct field f;
    while (fields_next(&r, &f)) {
        if (f.tag != tag)
            continue;
        if (tag == FIELD(11, BYTES))
            take_event(&r, f.s, out);
        else
            take_link(&r, f.s, out);
    }
    return r.err;
}

/* What else is known of a span: its number says which the types are. */
static void take_span_rest(struct fields *r, const struct field *f, struct event *out)
{
    switch (f->tag) {
    case FIELD(3, BYTES):
        value_check(r, value_line(f->s, LIMIT_TRACESTATE, &out->tracestate));
        break;
    case FIELD(4, BYTES):
        value_check(r, value_id(f->s, out->parent_id, sizeof out->parent_id));
        break;
    case FIELD(6, VARINT):
        out->span_kind = f->v <= SPAN_CONSUMER ? (enum span_kind)f->v : SPAN_UNSPECIFIED;
        break;
    case FIELD(16, FIXED32):
        out->span_flags = (uint32_t)f->v;
        break;
    case FIELD(10, VARINT):
    case FIELD(12, VARINT):
    case FIELD(14, VARINT):
        break;
    default:
        fields_unknown(r, f, FIELDS_TO(16));
    }
}

struct span_seen {
    bool event, link, status, cut;
};

static void take_span(struct fields *r, const struct field *f, struct event *out,
                      struct span_seen *seen)
{
    switch (f->tag) {
    case FIELD(1, BYTES):
        value_check(r, value_id(f->s, out->trace.trace_id, sizeof out->trace.trace_id));
        break;
    case FIELD(2, BYTES):
        value_check(r, value_id(f->s, out->trace.span_id, sizeof out->trace.span_id));
        break;
    case FIELD(5, BYTES):
        value_check(r, value_name(f->s, &out->name));
        break;
    case FIELD(7, FIXED64):
        out->time = f->v;
        break;
    case FIELD(8, FIXED64):
        out->end = f->v;
        break;
    case FIELD(9, BYTES):
        value_add(r, f->s, out->attrs, &out->nattrs, &seen->cut);
        break;
    case FIELD(11, BYTES):
        seen->event = true;
        break;
    case FIELD(13, BYTES):
        seen->link = true;
        break;
    case FIELD(15, BYTES):
        if (seen->status)
            fields_fail(r, ERR_SYNTAX);
        seen->status = true;
        take_status(r, f->s, out);
        break;
    default:
        take_span_rest(r, f, out);
    }
}

static int finish_span(const struct fields *r, struct event *out)
{
    if (r->err != 0)
        return r->err;
    if (all_zero(out->trace.trace_id, sizeof out->trace.trace_id) ||
        all_zero(out->trace.span_id, sizeof out->trace.span_id))
        return -ERR_SYNTAX;
    if (out->end < out->time)
        out->end = out->time; /* a clock that was set back, or a span that has not ended */
    return 0;
}

enum {
    ID = sizeof(((struct event *)0)->trace.trace_id),
    SHORT_ID = sizeof(((struct event *)0)->trace.span_id),
    USUAL = ID + 2, /* bytes that must be left, or the usual forms are not looked for */
};

/* A name that may stand as it is: how long the field is, or 0. */
static inline size_t take_usual_name(const uint8_t *p, size_t left, struct event *out)
{
    const struct str name = {(const char *)p + 2, p[1]};
    if (p[1] == 0 || p[1] >= 0x80 || left - 2 < p[1] || !value_is_plain(name))
        return 0;
    out->name = name;
    return 2 + name.n;
}

/* Tag and length of a field of bytes, as the first two of it. */
#define HEAD(number, size) (FIELD(number, BYTES) | (size) << 8)

/* With what nearly every span begins, and below what follows its name: in the same order, of the
 * same sizes. Where that ends; p when it is otherwise. */
static inline const uint8_t *take_usual_ids(const uint8_t *p, const uint8_t *end, struct event *out)
{
    if (end - p < 2 + ID + 2 * (2 + SHORT_ID) || get_u16(p) != HEAD(1, ID) ||
        get_u16(p + 2 + ID) != HEAD(2, SHORT_ID))
        return p;
    const uint8_t *span = p + 2 + ID, *parent = span + 2 + SHORT_ID;
    memcpy(out->trace.trace_id, p + 2, ID);
    memcpy(out->trace.span_id, span + 2, SHORT_ID);
    if (get_u16(parent) != HEAD(4, SHORT_ID))
        return parent;
    memcpy(out->parent_id, parent + 2, SHORT_ID);
    return parent + 2 + SHORT_ID;
}

static inline const uint8_t *take_usual_times(const uint8_t *p, const uint8_t *end,
                                              struct event *out)
{
    if (end - p < 20 || p[0] != FIELD(6, VARINT) || p[1] > SPAN_CONSUMER ||
        p[2] != FIELD(7, FIXED64) || p[11] != FIELD(8, FIXED64))
        return p;
    out->span_kind = (enum span_kind)p[1];
    out->time = get_u64(p + 3);
    out->end = get_u64(p + 12);
    return p + 20;
}

static const uint8_t *take_usual_begin(const uint8_t *p, const uint8_t *end, struct event *out)
{
    p = take_usual_ids(p, end, out);
    if (end - p >= USUAL && p[0] == FIELD(5, BYTES))
        p += take_usual_name(p, (size_t)(end - p), out);
    return take_usual_times(p, end, out);
}

int otlp_span(struct str bytes, struct event *out)
{
    struct fields r = fields_of(bytes);
    struct field f;
    struct span_seen seen = {0};
    begin_span(out);
    r.p = take_usual_begin(r.p, r.end, out);
    while (fields_next(&r, &f))
        take_span(&r, &f, out, &seen);
    out->all_attrs = out->nattrs;
    if (r.err == 0 && seen.event)
        r.err = take_inner(bytes, FIELD(11, BYTES), out);
    if (r.err == 0 && seen.link)
        r.err = take_inner(bytes, FIELD(13, BYTES), out);
    return finish_span(&r, out);
}

/* The attributes that otlp_span_head() reads. */
struct wanted {
    const struct str *keys;
    unsigned n;
    uint64_t lengths; /* of the keys, modulo 64, each a bit */
};

static struct wanted wanted_of(const struct str *keys, unsigned n)
{
    struct wanted w = {.keys = keys, .n = n};
    for (unsigned i = 0; i < n; i++)
        w.lengths |= UINT64_C(1) << (keys[i].n & 63);
    return w;
}

static bool is_wanted(const struct wanted *w, const uint8_t *key, size_t n)
{
    for (unsigned i = 0; i < w->n; i++)
        if (w->keys[i].n == n && n > 0 && (uint8_t)w->keys[i].p[n - 1] == key[n - 1] &&
            memcmp(w->keys[i].p, key, n) == 0)
            return true;
    return false;
}

/* Whether a KeyValue has one of the keys, or may have: only the usual order of its fields
 * is looked at. */
static inline bool may_be_wanted(const struct wanted *w, const uint8_t *p, size_t n)
{
    if (n < 3 || p[0] != FIELD(1, BYTES) || p[1] >= 0x80 || p[1] == 0 || (size_t)p[1] + 2 > n)
        return true;
    return (w->lengths >> (p[1] & 63) & 1) && is_wanted(w, p + 2, p[1]);
}

/* The attributes at p, as far as they are short and nobody wants them: what is behind them. The
 * first four bytes of each are looked at together: tag and length, and those of its key. */
static inline const uint8_t *pass_attributes(const uint8_t *p, const uint8_t *end,
                                             const struct wanted *w)
{
    const uint32_t tags = FIELD(9, BYTES) | FIELD(1, BYTES) << 16, shorts = 0x80008000;
    while (end - p >= USUAL) {
        const uint32_t head = get_u32(p), n = head >> 8 & 0xFF, key = head >> 24;
        if ((head & (0x00FF00FF | shorts)) != tags || key == 0 || key + 2 > n || end - p - 2 < n ||
            ((w->lengths >> (key & 63) & 1) && is_wanted(w, p + 4, key)))
            break;
        p += 2 + n;
    }
    return p;
}

/* The field at p, of which USUAL bytes are left at least, in the form that nearly all have and
 * of which take_span() would make the same: how long it is, or 0. */
static inline size_t take_usual(const uint8_t *p, size_t left, struct event *out)
{
    switch (p[0]) {
    case FIELD(1, BYTES):
        memcpy(out->trace.trace_id, p + 2, ID);
        return p[1] == ID ? ID + 2 : 0;
    case FIELD(2, BYTES):
        memcpy(out->trace.span_id, p + 2, SHORT_ID);
        return p[1] == SHORT_ID ? SHORT_ID + 2 : 0;
    case FIELD(4, BYTES):
        memcpy(out->parent_id, p + 2, SHORT_ID);
        return p[1] == SHORT_ID ? SHORT_ID + 2 : 0;
    case FIELD(5, BYTES):
        return take_usual_name(p, left, out);
    case FIELD(6, VARINT):
        out->span_kind = p[1] <= SPAN_CONSUMER ? (enum span_kind)p[1] : SPAN_UNSPECIFIED;
        return p[1] < 0x80 ? 2 : 0;
    case FIELD(7, FIXED64):
        out->time = get_u64(p + 1);
        return 9;
    case FIELD(8, FIXED64):
        out->end = get_u64(p + 1);
        return 9;
    case FIELD(16, FIXED32) & 0xFF: /* a tag of two bytes */
        if (p[1] != FIELD(16, FIXED32) >> 7)
            return 0;
        out->span_flags = get_u32(p + 2);
        return 6;
    default:
        return 0;
    }
}

static void take_usual_ones(struct fields *r, const struct wanted *w, struct event *out)
{
    const uint8_t *p = r->p;
    size_t n = 1;
    while (n > 0) {
        p = pass_attributes(p, r->end, w);
        n = r->end - p >= USUAL ? take_usual(p, (size_t)(r->end - p), out) : 0;
        p += n;
    }
    r->p = p;
}

int otlp_span_head(struct str bytes, const struct str *keys, unsigned nkeys, struct event *out)
{
    const struct wanted w = wanted_of(keys, nkeys);
    struct fields r = fields_of(bytes);
    struct field f;
    struct span_seen seen = {0};
    begin_span(out);
    r.p = take_usual_begin(r.p, r.end, out);
    for (take_usual_ones(&r, &w, out); fields_next(&r, &f); take_usual_ones(&r, &w, out)) {
        const bool passed =
            f.tag == FIELD(11, BYTES) || f.tag == FIELD(13, BYTES) ||
            (f.tag == FIELD(9, BYTES) && !may_be_wanted(&w, (const uint8_t *)f.s.p, f.s.n));
        if (!passed)
            take_span(&r, &f, out, &seen);
    }
    out->all_attrs = out->nattrs;
    return finish_span(&r, out);
}

/* ---- log records ---- */

struct log_seen {
    struct str body, severity;
    bool has_body, cut;
    uint64_t observed;
};

static void take_log_text(struct fields *r, const struct field *f, struct event *out,
                          struct log_seen *seen)
{
    struct str ignored;
    switch (f->tag) {
    case FIELD(3, BYTES):
        seen->severity = f->s;
        value_check(r, value_text(f->s, LIMIT_TEXT, &ignored));
        break;
    case FIELD(9, BYTES):
        value_check(r, value_id(f->s, out->trace.trace_id, sizeof out->trace.trace_id));
        break;
    case FIELD(10, BYTES):
        value_check(r, value_id(f->s, out->trace.span_id, sizeof out->trace.span_id));
        break;
    case FIELD(12, BYTES):
        value_check(r, value_name(f->s, &out->name));
        if (f->s.n == 0)
            out->name = (struct str){NULL, 0};
        break;
    default:
        fields_unknown(r, f, FIELDS_TO(12) & ~(1u << 4));
    }
}

static void take_log(struct fields *r, const struct field *f, struct event *out,
                     struct log_seen *seen)
{
    switch (f->tag) {
    case FIELD(1, FIXED64):
        out->time = f->v;
        break;
    case FIELD(2, VARINT):
        out->severity = f->v <= 24 ? (unsigned)f->v : 24;
        break;
    case FIELD(5, BYTES):
        if (seen->has_body)
            fields_fail(r, ERR_SYNTAX);
        seen->has_body = true;
        seen->body = f->s;
        break;
    case FIELD(6, BYTES):
        value_add(r, f->s, out->attrs, &out->nattrs, &seen->cut);
        break;
    case FIELD(11, FIXED64):
        seen->observed = f->v;
        break;
    case FIELD(7, VARINT):
    case FIELD(8, FIXED32):
        break;
    default:
        take_log_text(r, f, out, seen);
    }
}

static unsigned severity_of_text(struct str text)
{
    char word[8];
    if (text.n >= sizeof word)
        return 0;
    for (size_t i = 0; i < text.n; i++)
        word[i] = (char)(text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] + 32 : text.p[i]);
    const struct str s = {word, text.n};
    return str_eq(s, STR("warning")) ? severity_of(STR("warn")) : severity_of(s);
}

static int take_body(const struct log_seen *seen, struct event *out, struct buf *scratch)
{
    struct attr value;
    struct fields r = fields_of(seen->body);
    struct field f;
    const int e = value_any(seen->body, 1, &value);
    if (e < 0 || !seen->has_body)
        return e < 0 ? e : 0;
    while (fields_next(&r, &f))
        if (f.tag == FIELD(1, BYTES))
            return value_text(f.s, LIMIT_BODY, &out->text);
    if (!scratch || seen->body.n == 0)
        return 0;
    buf_reset(scratch);
    value_json(scratch, seen->body, LIMIT_BODY);
    struct str text = text_cut(buf_str(scratch), LIMIT_BODY);
    while (text.n > 0 && !text_utf8(text)) /* a scratch that was too small ends in a character */
        text.n--;
    out->text = text;
    return 0;
}

int otlp_log(struct str bytes, struct event *out, struct buf *scratch)
{
    struct fields r = fields_of(bytes);
    struct field f;
    struct log_seen seen = {0};
    begin(out, EVENT_LOG);
    out->severity = 0;
    while (fields_next(&r, &f))
        take_log(&r, &f, out, &seen);
    if (r.err != 0)
        return r.err;
    out->all_attrs = out->nattrs;
    if (out->time == 0)
        out->time = seen.observed;
    if (out->severity == 0)
        out->severity = severity_of_text(seen.severity);
    if (out->severity == 0)
        out->severity = severity_of(STR("info"));
    if (all_zero(out->trace.trace_id, sizeof out->trace.trace_id))
        memset(out->trace.span_id, 0, sizeof out->trace.span_id);
    return take_body(&seen, out, scratch);
}

/* ---- what surrounds an item ---- */

static void take_resource_attr(struct fields *r, struct str pair, struct otlp_origin *out)
{
    struct attr a;
    const int e = value_attr(pair, 1, &a);
    value_check(r, e);
    if (e <= 0)
        return;
    if (a.type == ATTR_STRING && str_eq(a.key, STR("service.name")))
        value_check(r, value_plain(a.s, LIMIT_SERVICE, &out->service));
    else if (a.type == ATTR_STRING && str_eq(a.key, STR("service.instance.id")))
        value_check(r, value_plain(a.s, LIMIT_SERVICE, &out->instance));
    if (out->nattrs < LIMIT_ATTRS)
        out->attrs[out->nattrs++] = a;
}

static int take_resource(struct str bytes, struct otlp_origin *out)
{
    struct fields r = fields_of(bytes);
    struct field f;
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, BYTES))
            take_resource_attr(&r, f.s, out);
        else if (f.tag != FIELD(2, VARINT))
            fields_unknown(&r, &f, FIELDS_TO(2));
    }
    return r.err;
}

static int take_scope(struct str bytes, struct otlp_origin *out)
{
    struct fields r = fields_of(bytes);
    struct field f;
    struct attr ignored;
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, BYTES))
            value_check(&r, value_plain(f.s, LIMIT_SERVICE, &out->scope));
        else if (f.tag == FIELD(2, BYTES))
            value_check(&r, value_plain(f.s, LIMIT_SERVICE, &out->scope_version));
        else if (f.tag == FIELD(3, BYTES))
            value_check(&r, value_attr(f.s, 1, &ignored));
        else if (f.tag != FIELD(4, VARINT))
            fields_unknown(&r, &f, FIELDS_TO(4));
    }
    return r.err;
}

/* The fields around the children of a Resource* or Scope* message. */
static int take_around(struct str bytes, int (*take)(struct str, struct otlp_origin *),
                       struct otlp_origin *out)
{
    struct fields r = fields_of(bytes);
    struct field f;
    struct str url;
    bool seen = false;
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, BYTES) && !seen) {
            value_check(&r, take(f.s, out));
            seen = true;
        } else if (f.tag == FIELD(3, BYTES)) {
            value_check(&r, value_text(f.s, LIMIT_TEXT, &url));
        } else {
            fields_unknown(&r, &f, FIELDS_TO(3)); /* a second one of field 1 too */
        }
    }
    return r.err;
}

int otlp_origin_resource(struct str resource, struct otlp_origin *out)
{
    out->service = (struct str){NULL, 0};
    out->instance = (struct str){NULL, 0};
    out->nattrs = 0;
    return take_around(resource, take_resource, out);
}

int otlp_origin_scope(struct str scope, struct otlp_origin *out)
{
    out->scope = (struct str){NULL, 0};
    out->scope_version = (struct str){NULL, 0};
    return take_around(scope, take_scope, out);
}
