#include "pipeline/redact_otlp.h"

#include "otlp/field.h"
#include "otlp/put.h"

/* What a field of a message holds. */
enum holds {
    NOTHING, /* that is looked at */
    TEXT,
    ATTRIBUTE, /* a KeyValue */
    VALUE,     /* an AnyValue without a key */
    /* messages */
    RESOURCE_PART,
    SCOPE_PART,
    RESOURCE,
    SCOPE,
    ENTITY,
    SPAN,
    SPAN_EVENT,
    SPAN_LINK,
    STATUS,
    LOG,
    METRIC,
    NUMBERS,
    HISTOGRAM,
    EXPONENTIAL,
    SUMMARY,
    NUMBER_POINT,
    HISTOGRAM_POINT,
    EXPONENTIAL_POINT,
    SUMMARY_POINT,
    EXEMPLAR,
    HOLDS
};

enum { FIELD_NUMBERS = 16, DEEPEST = 2 * LIMIT_OTLP_DEPTH };

/* By message and field number: those of the .proto files in otlp/. */
static const uint8_t schema[HOLDS][FIELD_NUMBERS] = {
    [RESOURCE_PART] = {[1] = RESOURCE, [3] = TEXT},
    [SCOPE_PART] = {[1] = SCOPE, [3] = TEXT},
    [RESOURCE] = {[1] = ATTRIBUTE, [3] = ENTITY},
    [SCOPE] = {[1] = TEXT, [2] = TEXT, [3] = ATTRIBUTE},
    [ENTITY] = {[1] = TEXT, [2] = TEXT, [3] = TEXT, [4] = TEXT},
    [SPAN] = {[3] = TEXT,
              [5] = TEXT,
              [9] = ATTRIBUTE,
              [11] = SPAN_EVENT,
              [13] = SPAN_LINK,
              [15] = STATUS},
    [SPAN_EVENT] = {[2] = TEXT, [3] = ATTRIBUTE},
    [SPAN_LINK] = {[3] = TEXT, [4] = ATTRIBUTE},
    [STATUS] = {[2] = TEXT},
    [LOG] = {[3] = TEXT, [5] = VALUE, [6] = ATTRIBUTE, [12] = TEXT},
    [METRIC] = {[1] = TEXT,
                [2] = TEXT,
                [3] = TEXT,
                [5] = NUMBERS,
                [7] = NUMBERS,
                [9] = HISTOGRAM,
                [10] = EXPONENTIAL,
                [11] = SUMMARY,
                [12] = ATTRIBUTE},
    [NUMBERS] = {[1] = NUMBER_POINT},
    [HISTOGRAM] = {[1] = HISTOGRAM_POINT},
    [EXPONENTIAL] = {[1] = EXPONENTIAL_POINT},
    [SUMMARY] = {[1] = SUMMARY_POINT},
    [NUMBER_POINT] = {[5] = EXEMPLAR, [7] = ATTRIBUTE},
    [HISTOGRAM_POINT] = {[8] = EXEMPLAR, [9] = ATTRIBUTE},
    [EXPONENTIAL_POINT] = {[1] = ATTRIBUTE, [11] = EXEMPLAR},
    [SUMMARY_POINT] = {[7] = ATTRIBUTE},
    [EXEMPLAR] = {[7] = ATTRIBUTE},
};

/* The fields of an AnyValue that matter, and of a KeyValue. */
enum {
    ANY_STRING = FIELD(1, BYTES),
    ANY_ARRAY = FIELD(5, BYTES),
    ANY_MAP = FIELD(6, BYTES),
    ANY_BYTES = FIELD(7, BYTES),
    ENTRY = FIELD(1, BYTES), /* of an array or a map */
    PAIR_KEY = FIELD(1, BYTES),
    PAIR_VALUE = FIELD(2, BYTES)
};

/* Of a value: what the keys around it say. */
struct around {
    unsigned grade;
    bool text; /* there are none: it is free text */
    unsigned depth;
};

static enum holds held(enum holds message, const struct field *f)
{
    const uint32_t number = f->tag >> 3;
    if ((f->tag & 7) != FIELD_BYTES || number >= FIELD_NUMBERS)
        return NOTHING;
    return (enum holds)schema[message][number];
}

static int judge(const struct redact *r, const struct around *in, struct str s)
{
    return in->text ? redact_text_holds(r, s) : redact_judge_graded(r, in->grade, s);
}

/* The key of a pair, and what it says together with those around it. */
static struct redact_key key_of(const struct redact *r, struct str pair, const struct around *in,
                                struct around *inside, struct str *key)
{
    struct fields fs = fields_of(pair);
    struct field f;
    *key = (struct str){NULL, 0};
    while (fields_next(&fs, &f))
        if (f.tag == PAIR_KEY)
            *key = f.s;
    const struct redact_key k = redact_key(r, *key);
    *inside =
        (struct around){.grade = k.grade > in->grade ? k.grade : in->grade, .depth = in->depth + 1};
    return k;
}

static bool is_mark(struct str any)
{
    static const char mark[] = "\x0a\x0a[REDACTED]";
    return str_eq(any, STR(mark));
}

/* ---- looking: 1 for a secret, 0 for none, or an error ---- */

static int find_value(const struct redact *r, struct str any, const struct around *in);

/* A pair in the form that nearly all have. */
static int find_short(const struct redact *r, struct str key, struct str text,
                      const struct around *in)
{
    const struct redact_key k = redact_key(r, key);
    if (k.secret)
        return 1;
    if (k.tool)
        return !str_eq(text, REDACTED);
    return redact_judge_graded(r, k.grade > in->grade ? k.grade : in->grade, text) >= 0;
}

static int find_pair(const struct redact *r, struct str pair, const struct around *in)
{
    struct around inside;
    struct str key, text;
    struct fields fs = fields_of(pair);
    struct field f;
    if (pair.n == 0)
        return 0;
    if (in->depth < DEEPEST && otlp_short_pair(pair, &key, &text))
        return find_short(r, key, text, in);
    const struct redact_key k = key_of(r, pair, in, &inside, &key);
    int found = k.secret;
    while (found == 0 && fields_next(&fs, &f)) {
        if (f.tag != PAIR_VALUE)
            continue;
        found = k.tool ? !is_mark(f.s) : find_value(r, f.s, &inside);
    }
    return fs.err < 0 ? fs.err : found;
}

static int find_entries(const struct redact *r, struct str list, const struct around *in, bool map)
{
    struct fields fs = fields_of(list);
    struct field f;
    int found = 0;
    while (found == 0 && fields_next(&fs, &f))
        if (f.tag == ENTRY)
            found = map ? find_pair(r, f.s, in) : find_value(r, f.s, in);
    return fs.err < 0 ? fs.err : found;
}

static int find_value(const struct redact *r, struct str any, const struct around *in)
{
    struct fields fs = fields_of(any);
    struct field f;
    const struct around inside = {.grade = in->grade, .text = in->text, .depth = in->depth + 1};
    int found = in->depth > DEEPEST ? -ERR_SYNTAX : 0;
    while (found == 0 && fields_next(&fs, &f)) {
        if (f.tag == ANY_STRING || f.tag == ANY_BYTES)
            found = judge(r, in, f.s) >= 0;
        else if (f.tag == ANY_ARRAY || f.tag == ANY_MAP)
            found = find_entries(r, f.s, &inside, f.tag == ANY_MAP);
    }
    return fs.err < 0 ? fs.err : found;
}

/* A pair around which there is nothing. */
static int find_attribute(const struct redact *r, struct str pair)
{
    static const struct around nothing = {0};
    if (redact_is_clean(r, PIECE_PAIR, pair))
        return 0;
    const int found = find_pair(r, pair, &nothing);
    if (found == 0)
        redact_note_clean(r, PIECE_PAIR, pair);
    return found;
}

static int find_text(const struct redact *r, struct str text)
{
    if (redact_is_clean(r, PIECE_TEXT, text))
        return 0;
    const bool found = redact_text_holds(r, text) >= 0;
    if (!found)
        redact_note_clean(r, PIECE_TEXT, text);
    return found;
}

static int find_message(const struct redact *r, enum holds message, struct str bytes)
{
    static const struct around text = {.text = true};
    struct fields fs = fields_of(bytes);
    struct field f;
    int found = 0;
    while (found == 0 && fields_next(&fs, &f)) {
        const enum holds h = held(message, &f);
        if (h == TEXT)
            found = find_text(r, f.s);
        else if (h == ATTRIBUTE)
            found = find_attribute(r, f.s);
        else if (h == VALUE)
            found = find_value(r, f.s, &text);
        else if (h != NOTHING)
            found = find_message(r, h, f.s);
    }
    return fs.err < 0 ? fs.err : found;
}

/* ---- rewriting: what was looked at once can be read ---- */

struct rewriting {
    const struct redact *r;
    struct buf *to;
    struct redact_count *count;
};

static void keep(struct rewriting *w, const uint8_t *from, const struct fields *fs)
{
    buf_add(w->to, from, (size_t)(fs->p - from));
}

static void rewrite_text(struct rewriting *w, unsigned number, struct str text)
{
    const size_t at = put_open(w->to, number);
    if (redact_text_count(w->r, text, w->to, REDACT_TEXT, w->count) == 0)
        buf_addstr(w->to, text);
    put_close(w->to, at);
}

static void rewrite_value(struct rewriting *w, unsigned number, struct str any,
                          const struct around *in);

static void mark_value(struct rewriting *w, unsigned number, enum secret_rule rule)
{
    const size_t at = put_open(w->to, number);
    put_bytes(w->to, 1, REDACTED);
    put_close(w->to, at);
    redact_counted(w->count, rule, REDACT_ATTRIBUTE);
}

static void rewrite_pair(struct rewriting *w, unsigned number, struct str pair,
                         const struct around *in)
{
    struct around inside;
    struct str key;
    struct fields fs = fields_of(pair);
    struct field f;
    const struct redact_key k = key_of(w->r, pair, in, &inside, &key);
    const size_t at = put_open(w->to, number);
    for (const uint8_t *from = fs.p; fields_next(&fs, &f); from = fs.p) {
        if (f.tag == PAIR_KEY && k.secret) {
            put_bytes(w->to, 1, REDACTED);
            redact_counted(w->count, (enum secret_rule)redact_text_holds(w->r, key),
                           REDACT_ATTRIBUTE);
        } else if (f.tag == PAIR_VALUE && k.tool && !is_mark(f.s)) {
            mark_value(w, 2, RULE_TOOL_CONTENT);
        } else if (f.tag == PAIR_VALUE && !k.tool) {
            rewrite_value(w, 2, f.s, &inside);
        } else {
            keep(w, from, &fs);
        }
    }
    put_close(w->to, at);
}

static void rewrite_entries(struct rewriting *w, unsigned number, struct str list,
                            const struct around *in, bool map)
{
    struct fields fs = fields_of(list);
    struct field f;
    const size_t at = put_open(w->to, number);
    for (const uint8_t *from = fs.p; fields_next(&fs, &f); from = fs.p) {
        if (f.tag != ENTRY)
            keep(w, from, &fs);
        else if (map)
            rewrite_pair(w, 1, f.s, in);
        else
            rewrite_value(w, 1, f.s, in);
    }
    put_close(w->to, at);
}

/* A string, or bytes, which may be one as well. */
static void rewrite_string(struct rewriting *w, unsigned number, struct str s,
                           const struct around *in)
{
    if (in->text) {
        rewrite_text(w, number, s);
        return;
    }
    const int rule = redact_judge_graded(w->r, in->grade, s);
    put_bytes(w->to, number, rule < 0 ? s : REDACTED);
    if (rule >= 0)
        redact_counted(w->count, (enum secret_rule)rule, REDACT_ATTRIBUTE);
}

static void rewrite_value(struct rewriting *w, unsigned number, struct str any,
                          const struct around *in)
{
    struct fields fs = fields_of(any);
    struct field f;
    const struct around inside = {.grade = in->grade, .text = in->text, .depth = in->depth + 1};
    const size_t at = put_open(w->to, number);
    for (const uint8_t *from = fs.p; fields_next(&fs, &f); from = fs.p) {
        if (f.tag == ANY_STRING || f.tag == ANY_BYTES)
            rewrite_string(w, f.tag >> 3, f.s, in);
        else if (f.tag == ANY_ARRAY || f.tag == ANY_MAP)
            rewrite_entries(w, f.tag >> 3, f.s, &inside, f.tag == ANY_MAP);
        else
            keep(w, from, &fs);
    }
    put_close(w->to, at);
}

static void rewrite_message(struct rewriting *w, enum holds message, struct str bytes)
{
    static const struct around nothing = {0}, text = {.text = true};
    struct fields fs = fields_of(bytes);
    struct field f;
    for (const uint8_t *from = fs.p; fields_next(&fs, &f); from = fs.p) {
        const enum holds h = held(message, &f);
        if (h == NOTHING) {
            keep(w, from, &fs);
        } else if (h == TEXT) {
            rewrite_text(w, f.tag >> 3, f.s);
        } else if (h == ATTRIBUTE) {
            rewrite_pair(w, f.tag >> 3, f.s, &nothing);
        } else if (h == VALUE) {
            rewrite_value(w, f.tag >> 3, f.s, &text);
        } else {
            const size_t at = put_open(w->to, f.tag >> 3);
            rewrite_message(w, h, f.s);
            put_close(w->to, at);
        }
    }
}

int redact_otlp(const struct redact *r, enum otlp_signal signal, enum otlp_part part,
                struct str bytes, struct buf *to, struct redact_count *count)
{
    static const uint8_t items[OTLP_SIGNALS] = {
        [OTLP_TRACES] = SPAN, [OTLP_METRICS] = METRIC, [OTLP_LOGS] = LOG};
    const enum holds message = part == OTLP_PART_RESOURCE ? RESOURCE_PART
                               : part == OTLP_PART_SCOPE  ? SCOPE_PART
                                                          : (enum holds)items[signal];
    if (!r)
        return 0;
    const int found = find_message(r, message, bytes);
    if (found <= 0)
        return found;
    struct rewriting w = {.r = r, .to = to, .count = count};
    rewrite_message(&w, message, bytes);
    return to->failed ? -ERR_NOMEM : 1;
}
