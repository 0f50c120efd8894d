#include "otlp/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "otlp/json_tree.h"
#include "otlp/logs.pb-c.h"
#include "otlp/metrics.pb-c.h"
#include "otlp/put.h"
#include "otlp/trace.pb-c.h"

enum {
    /* Values in a text. jansson takes about 100 bytes for each, which may be two bytes of
     * the text: stops a text that is all zeros and commas. */
    VALUES_MAX = 1 << 17,
    /* Containers that are cut, one in another: each is looked at from its first byte, so
     * many of them would have the same text looked at as many times. */
    CUTS_MAX = 2 * JSON_DEPTH_MAX,
    /* Keys of an object that is cut; no message has a tenth of it. They are looked up for
     * duplicates, and a table that grows and goes holds the loop. */
    KEYS_MAX = 1024,
    PARSER_DEPTH_MAX = 2048, /* jansson's, of the whole text */
    CHARACTER_MAX = 16,      /* bytes of the longest character: a pair of escapes; and some */
    KEY_MAX = 64,            /* bytes of a key that may be one of ours, with its quotes */
};

/* What a value is to be, from where it stands. */
enum role {
    ROLE_REQUEST,
    ROLE_FIELD,   /* of a message: all of its values */
    ROLE_ELEMENT, /* of a repeated field */
    ROLE_IGNORED,
};

/* A container, or a long string, that has begun and not ended. */
struct cut {
    struct cut *up;
    const ProtobufCMessageDescriptor *d; /* of an object; NULL: it is ignored */
    const ProtobufCFieldDescriptor *f;   /* of a list; NULL: it is ignored */
    json_t *keys;                        /* of an object: those that were */
    struct json_place at;
    char key[KEY_MAX];
    bool text;   /* a string; no list, no object */
    bool some;   /* has a member */
    bool opened; /* `open` is to be closed with it */
    size_t open;
};

struct otlp_json {
    struct json_reader r;
    enum otlp_signal signal;
    struct str text;
    size_t at;      /* what is before has been dealt with */
    size_t counted; /* values before it are in nvalues */
    size_t nvalues;
    size_t slice; /* bytes of a value that is parsed as a whole */
    bool rooted;  /* the root value has begun */
    struct json_place top;
    struct cut *cut; /* the innermost */
    unsigned ncuts;
    struct buf piece; /* of a string, in quotes */
};

static const ProtobufCMessageDescriptor *request_of(enum otlp_signal signal)
{
    static const ProtobufCMessageDescriptor *const requests[OTLP_SIGNALS] = {
        &otlp__export_trace_service_request__descriptor,
        &otlp__export_metrics_service_request__descriptor,
        &otlp__export_logs_service_request__descriptor,
    };
    return requests[signal];
}

/* ---- errors ---- */

/* An error so many lines and columns behind a place in the text; a column is a character. */
static int fail_there(struct otlp_json *c, size_t at, int line, int column, const char *what)
{
    int lines = 0, columns = 0;
    for (size_t i = 0; i < at && i < c->text.n; i++) {
        lines += c->text.p[i] == '\n';
        columns = c->text.p[i] == '\n' ? 0 : columns + ((c->text.p[i] & 0xC0) != 0x80);
    }
    snprintf(c->r.why, c->r.why_size, "line %d, column %d: %s", lines + line,
             line > 1 ? column : columns + column, what);
    return -ERR_SYNTAX;
}

static int fail_here(struct otlp_json *c, const char *expected)
{
    char what[64];
    snprintf(what, sizeof what, "%s %s", expected, c->at < c->text.n ? "expected" : "is missing");
    return fail_there(c, c->at, 1, c->at < c->text.n, what);
}

static int fail_for_memory(struct otlp_json *c)
{
    snprintf(c->r.why, c->r.why_size, "out of memory");
    return -ERR_NOMEM;
}

/* ---- extents ---- */

/* The byte behind a string that begins here; the text's end when it does not end, and 0
 * when it does not within `most` bytes. */
static size_t string_end(struct str s, size_t i, size_t most)
{
    const size_t from = i;
    for (i++; i < s.n && i - from < most && s.p[i] != '"'; i++)
        i += s.p[i] == '\\';
    if (i >= s.n)
        return s.n;
    return s.p[i] == '"' ? i + 1 : 0;
}

static size_t scalar_end(struct str s, size_t i)
{
    while (i < s.n && !strchr(",]}: \t\r\n", s.p[i])) /* a NUL ends it, too: no JSON */
        i++;
    return i;
}

static bool is_open(char c)
{
    return c == '{' || c == '[';
}

/* The byte behind the value that begins at `i`, and how deep it is; 0 when it does
 * not end within `most` bytes. What is no JSON has an end as well, and the
 * parser says what is wrong with it. */
static size_t value_end(struct str s, size_t i, size_t most, unsigned *depth)
{
    const size_t from = i;
    unsigned open = 0;
    *depth = 0;
    if (s.p[i] == '"')
        return string_end(s, i, most);
    if (!is_open(s.p[i]))
        return scalar_end(s, i + (s.n > i));
    while (i < s.n && i - from < most) {
        const char c = s.p[i];
        open += is_open(c);
        *depth = open > *depth ? open : *depth;
        if ((c == '}' || c == ']') && --open == 0)
            return i + 1;
        i = c == '"' ? string_end(s, i, most - (i - from)) : i + 1;
        if (i == 0)
            return 0;
    }
    return i - from >= most ? 0 : s.n;
}

/* ---- limits ---- */

/* Counts an upper bound of the values up to there: each is followed by one of these,
 * unless it is the only one, or stands in a string. */
static int count_values(struct otlp_json *c, size_t end)
{
    size_t n = 0;
    for (size_t i = c->counted; i < end; i++)
        n += c->text.p[i] == ',' || c->text.p[i] == '[' || c->text.p[i] == '{';
    c->nvalues += n;
    c->counted = end > c->counted ? end : c->counted;
    return c->nvalues < VALUES_MAX ? 0 : json_fail(&c->r, &c->top, ERR_RANGE, "fewer values");
}

/* ---- values ---- */

static const struct json_place *place_of(const struct otlp_json *c)
{
    return c->cut ? &c->cut->at : &c->top;
}

/* What comes here, and the field that it is of. */
static enum role role_of(const struct otlp_json *c, const ProtobufCFieldDescriptor **f)
{
    const struct cut *cut = c->cut;
    *f = NULL;
    if (!cut)
        return ROLE_REQUEST;
    *f = cut->keys ? (cut->d ? json_field_of(cut->d, cut->key) : NULL) : cut->f;
    return !*f ? ROLE_IGNORED : cut->keys ? ROLE_FIELD : ROLE_ELEMENT;
}

static int convert(struct otlp_json *c, const json_t *j)
{
    const ProtobufCFieldDescriptor *f;
    switch (role_of(c, &f)) {
    case ROLE_REQUEST:
        return json_message(&c->r, &c->top, request_of(c->signal), j);
    case ROLE_FIELD:
        return json_member(&c->r, place_of(c), f, j);
    case ROLE_ELEMENT:
        return json_element(&c->r, place_of(c), f, j);
    case ROLE_IGNORED:
        break;
    }
    return 0;
}

/* Parses what stands there in the text. */
static int parse_as(struct otlp_json *c, struct str value, size_t from, json_t **j)
{
    json_error_t error;
    const char *nul = memchr(value.p, '\0', value.n); /* jansson takes one behind a number */
    *j = NULL;
    if (nul)
        return fail_there(c, from, 1, (int)(nul - value.p) + 1, "a NUL byte");
    *j = json_loadb(value.p, value.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*j)
        return 0;
    if (json_error_code(&error) == json_error_out_of_memory)
        return fail_for_memory(c);
    return fail_there(c, from, error.line, error.column, error.text);
}

static int parse(struct otlp_json *c, size_t from, size_t end, json_t **j)
{
    return parse_as(c, (struct str){c->text.p + from, end - from}, from, j);
}

static int convert_slice(struct otlp_json *c, size_t end)
{
    json_t *j;
    int e = count_values(c, end);
    if (e == 0)
        e = parse(c, c->at, end, &j);
    if (e != 0)
        return e;
    e = convert(c, j);
    json_decref(j);
    c->at = end;
    return e;
}

/* ---- cuts ---- */

/* What the container is to be: a message, a list, or nothing that we look at. False when
 * it is none of what may stand here. */
static bool set_role(const struct otlp_json *c, struct cut *cut, bool object)
{
    const ProtobufCFieldDescriptor *f;
    const enum role role = role_of(c, &f);
    const bool list = role == ROLE_FIELD && f->label == PROTOBUF_C_LABEL_REPEATED;
    if (role == ROLE_IGNORED)
        return true;
    if (role == ROLE_REQUEST)
        cut->d = request_of(c->signal);
    else if (list)
        cut->f = f;
    else if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        cut->d = f->descriptor;
    cut->opened = f && (!list || f->type != PROTOBUF_C_TYPE_MESSAGE);
    return list ? !object : object && cut->d;
}

/* The same words as for one that is parsed. */
static int fail_for_form(struct otlp_json *c, bool object)
{
    json_t *j = object ? json_object() : json_array();
    const int e = j ? convert(c, j) : fail_for_memory(c);
    assert(e != 0);
    json_decref(j);
    return e;
}

static int push_cut(struct otlp_json *c, struct cut new)
{
    const bool object = c->text.p[c->at] == '{';
    const ProtobufCFieldDescriptor *f;
    const struct json_place *up = place_of(c);
    new.at = (struct json_place){.up = up, .depth = up->depth + (new.d != NULL)};
    if (c->ncuts == CUTS_MAX || new.at.depth > JSON_DEPTH_MAX)
        return json_fail(&c->r, up, ERR_RANGE, "values that are not nested so deep");
    struct cut *cut = malloc(sizeof *cut);
    new.keys = object ? json_object() : NULL;
    if (!cut || (object && !new.keys)) {
        json_decref(new.keys);
        free(cut);
        return fail_for_memory(c);
    }
    (void)role_of(c, &f);
    if (new.opened)
        new.open = put_open(c->r.to, f->id);
    *cut = new;
    cut->up = c->cut;
    cut->at.key = object ? cut->key : NULL;
    c->cut = cut;
    c->ncuts++;
    c->at++;
    return 0;
}

static int open_cut(struct otlp_json *c)
{
    const bool object = c->text.p[c->at] == '{';
    struct cut new = {0};
    return set_role(c, &new, object) ? push_cut(c, new) : fail_for_form(c, object);
}

static void drop_cut(struct otlp_json *c)
{
    struct cut *cut = c->cut;
    c->cut = cut->up;
    c->ncuts--;
    json_decref(cut->keys);
    free(cut);
}

static void close_cut(struct otlp_json *c)
{
    if (c->cut->opened)
        put_close_tight(c->r.to, c->cut->open);
    drop_cut(c);
    c->at++;
}

/* ---- long strings ---- */

/* Text is taken in pieces, and so is what is ignored. Bytes are not: their digits do not
 * stand each for itself. */
static bool may_cut_string(const struct otlp_json *c)
{
    const ProtobufCFieldDescriptor *f;
    const enum role role = role_of(c, &f);
    return role == ROLE_IGNORED || (role == ROLE_FIELD && f->type == PROTOBUF_C_TYPE_STRING);
}

/* The second half of a character that is escaped as a pair. */
static bool is_low_surrogate(struct str s, size_t i)
{
    return i + 3 < s.n && s.p[i] == '\\' && s.p[i + 1] == 'u' && (s.p[i + 2] | 0x20) == 'd' &&
           strchr("cdefCDEF", s.p[i + 3]);
}

/* Where a piece that begins here ends: between characters, or at the quote. Its bytes need
 * be no UTF-8; then the parser refuses it. */
static size_t piece_end(struct str s, size_t from, size_t slice)
{
    size_t i = from, end = from;
    while (i < s.n && s.p[i] != '"' && i - from < (end > from ? slice : slice + CHARACTER_MAX)) {
        const bool begins = (s.p[i] & 0xC0) != 0x80 && !is_low_surrogate(s, i);
        end = begins ? i : end;
        i += s.p[i] != '\\' ? 1 : i + 1 < s.n && s.p[i + 1] == 'u' ? 6 : 2;
    }
    if (i >= s.n || s.p[i] == '"')
        return i < s.n ? i : s.n;
    return end > from ? end : i;
}

static int take_piece(struct otlp_json *c)
{
    const size_t end = piece_end(c->text, c->at, c->slice);
    json_t *j;
    if (c->at == c->text.n)
        return fail_here(c, "the end of a string");
    buf_reset(&c->piece);
    buf_addc(&c->piece, '"');
    buf_add(&c->piece, c->text.p + c->at, end - c->at);
    buf_addc(&c->piece, '"');
    if (c->piece.failed)
        return fail_for_memory(c);
    int e = count_values(c, end);
    if (e == 0)
        e = parse_as(c, buf_str(&c->piece), c->at - 1, &j);
    if (e != 0)
        return e;
    if (c->cut->opened)
        buf_add(c->r.to, json_string_value(j), json_string_length(j));
    json_decref(j);
    c->at = end;
    return 0;
}

static int take_text(struct otlp_json *c)
{
    if (c->at == c->text.n || c->text.p[c->at] != '"')
        return take_piece(c);
    close_cut(c);
    return 0;
}

/* ---- members ---- */

/* A key that is too long for any field has its beginning kept, for messages. */
static int take_key(struct otlp_json *c)
{
    struct cut *cut = c->cut;
    const size_t end = string_end(c->text, c->at, SIZE_MAX);
    json_t *key;
    int e = count_values(c, end);
    if (e == 0)
        e = parse(c, c->at, end, &key);
    if (e != 0)
        return e;
    snprintf(cut->key, sizeof cut->key, "%s", json_string_value(key));
    if (json_object_size(cut->keys) == KEYS_MAX)
        e = json_fail(&c->r, cut->at.up, ERR_RANGE, "fewer keys");
    else if (json_object_get(cut->keys, json_string_value(key)))
        e = fail_there(c, c->at, 1, 1, "duplicate object key");
    else if (json_object_set_new(cut->keys, json_string_value(key), json_null()) < 0)
        e = fail_for_memory(c);
    json_decref(key);
    c->at = end;
    return e;
}

/* ---- the text ---- */

static bool next_is(struct otlp_json *c, char what)
{
    while (c->at < c->text.n && memchr(" \t\r\n", c->text.p[c->at], 4))
        c->at++;
    return c->at < c->text.n && (what == 0 || c->text.p[c->at] == what);
}

/* A value: parsed when it is small, or else cut. */
static int take_value(struct otlp_json *c)
{
    unsigned depth;
    if (!next_is(c, 0))
        return fail_here(c, "a value");
    size_t end = value_end(c->text, c->at, c->slice, &depth);
    if (end == 0 && c->text.p[c->at] == '"') {
        const ProtobufCFieldDescriptor *f;
        if (may_cut_string(c))
            return push_cut(c, (struct cut){.text = true, .opened = role_of(c, &f) == ROLE_FIELD});
        end = string_end(c->text, c->at, SIZE_MAX);
    }
    if (c->ncuts + depth > PARSER_DEPTH_MAX)
        return fail_there(c, c->at, 1, 1, "maximum parsing depth reached");
    return end ? convert_slice(c, end) : open_cut(c);
}

static int take_pair(struct otlp_json *c)
{
    if (!next_is(c, '"'))
        return fail_here(c, "a key");
    const int e = take_key(c);
    if (e != 0)
        return e;
    if (!next_is(c, ':'))
        return fail_here(c, "':'");
    c->at++;
    return take_value(c);
}

/* A member of the innermost container, or its end. */
static int take_member(struct otlp_json *c)
{
    struct cut *cut = c->cut;
    const bool object = cut->keys;
    if (cut->text)
        return take_text(c);
    if (next_is(c, object ? '}' : ']')) {
        close_cut(c);
        return 0;
    }
    if (cut->some && !next_is(c, ','))
        return fail_here(c, object ? "',' or '}'" : "',' or ']'");
    if (cut->some) {
        c->at++;
        cut->at.index++;
    }
    cut->some = true;
    return object ? take_pair(c) : take_value(c);
}

static int take(struct otlp_json *c)
{
    if (c->cut)
        return take_member(c);
    c->rooted = true;
    return take_value(c);
}

static int end(struct otlp_json *c)
{
    return next_is(c, 0) ? fail_here(c, "the end of the text") : count_values(c, c->text.n);
}

static int check_room(const struct otlp_json *c)
{
    const struct buf *to = c->r.to;
    if (!to->failed)
        return 0;
    snprintf(c->r.why, c->r.why_size, "the request is too large");
    return to->n + c->text.n > to->max ? -ERR_RANGE : -ERR_NOMEM;
}

int otlp_json_step(struct otlp_json *c, size_t bytes, size_t *done, char *why, size_t why_size)
{
    const size_t from = c->at;
    int e = 0;
    c->r.why = why;
    c->r.why_size = why_size;
    c->slice = bytes;
    while (e == 0 && (!c->rooted || c->cut) && c->at - from < bytes) {
        e = take(c);
        if (e == 0)
            e = check_room(c);
    }
    const bool more = !c->rooted || c->cut;
    if (e == 0 && !more)
        e = end(c);
    *done = c->at - from;
    return e == 0 ? more : e;
}

/* ---- life ---- */

struct otlp_json *otlp_json_begin(struct buf *to, enum otlp_signal signal, struct str json)
{
    struct otlp_json *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->r.to = to;
    c->signal = signal;
    c->text = json;
    c->nvalues = 1;
    buf_init(&c->piece, json.n + 2);
    return c;
}

void otlp_json_end(struct otlp_json *c)
{
    while (c && c->cut)
        drop_cut(c);
    if (c)
        buf_fini(&c->piece);
    free(c);
}
