#include "pipeline/redact.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "model/text.h"
#include "pipeline/secret_text.h"

enum { KNOWN_KEYS = 256, KNOWN_KEY = 60, CLEAN_BITS = 9, CLEAN_PIECE = 62, CLEAN_LEAST = 8 };

/* What was found of keys before: a process sees the same few again and again. */
struct known_key {
    uint8_t n; /* 0: none */
    struct redact_key is;
    char key[KNOWN_KEY];
};

struct clean_piece {
    uint8_t kind, n; /* PIECE_NONE: there is none */
    char bytes[CLEAN_PIECE];
};

struct redact {
    bool enabled, keep_tool_content;
    uint32_t off;
    struct secret_keys *keys;
    struct secret_tokens tokens;
    struct secret_patterns *patterns; /* NULL: none */
    struct known_key *known;
    struct clean_piece *clean;
};

static const char *const place_names[REDACT_PLACES] = {"label", "attribute", "text"};

const char *redact_place_name(unsigned place)
{
    return place < REDACT_PLACES ? place_names[place] : "unknown";
}

struct redact *redact_new(const struct redact_options *o)
{
    struct redact *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->enabled = o->enabled;
    r->keep_tool_content = o->keep_tool_content || (o->off >> RULE_TOOL_CONTENT & 1);
    r->off = o->off & ~(UINT32_C(1) << RULE_MEMORY);
    secret_tokens_init(&r->tokens);
    r->known = calloc(KNOWN_KEYS, sizeof *r->known);
    r->clean = calloc(1 << CLEAN_BITS, sizeof *r->clean);
    r->keys = secret_keys_new(o->keys, o->nkeys, o->allow, o->nallow);
    if (o->npatterns)
        r->patterns = secret_patterns_new(o->patterns, o->npatterns);
    if (r->known && r->clean && r->keys && (r->patterns || o->npatterns == 0))
        return r;
    redact_free(r);
    return NULL;
}

void redact_free(struct redact *r)
{
    if (!r)
        return;
    secret_keys_free(r->keys);
    secret_patterns_free(r->patterns);
    free(r->known);
    free(r->clean);
    free(r);
}

_Static_assert((int)REDACT_PATTERNS == (int)SECRET_PATTERNS, "one bound");

int redact_pattern_check(struct str expression, char *why, size_t why_size)
{
    return secret_pattern_check(expression, why, why_size);
}

static int begin(const struct redact *r, struct str text, struct secret_text *t)
{
    const int bad = secret_text_init(t, r->keys, &r->tokens, text);
    t->off = r->off;
    t->patterns = r->patterns;
    return bad;
}

/* ---- values ---- */

int redact_text_holds(const struct redact *r, struct str text)
{
    struct secret_text t;
    struct secret_place place;
    if (!r || !r->enabled || text.n == 0)
        return -1;
    if (begin(r, text, &t) != 0)
        return RULE_MEMORY;
    const bool found = secret_text_next(&t, &place);
    secret_text_fini(&t);
    return found ? (int)t.rule : -1;
}

static bool is_tool_content(struct str key)
{
    return str_eq(key, STR("gen_ai.tool.call.arguments")) ||
           str_eq(key, STR("gen_ai.tool.call.result"));
}

static struct redact_key look_at(const struct redact *r, struct str key)
{
    return (struct redact_key){
        .grade = r->enabled && !(r->off >> RULE_KEY & 1) ? (uint8_t)secret_key_grade(r->keys, key)
                                                         : GRADE_NONE,
        .tool = !r->keep_tool_content && is_tool_content(key),
        .secret = redact_text_holds(r, key) >= 0,
    };
}

struct redact_key redact_key(const struct redact *r, struct str key)
{
    if (!r || key.n == 0)
        return (struct redact_key){0};
    if (key.n > KNOWN_KEY)
        return look_at(r, key);
    struct known_key *k = &r->known[hash_bytes(key.p, key.n, 0) % KNOWN_KEYS];
    if (k->n != key.n || memcmp(k->key, key.p, key.n) != 0) {
        *k = (struct known_key){.n = (uint8_t)key.n, .is = look_at(r, key)};
        memcpy(k->key, key.p, key.n);
    }
    return k->is;
}

int redact_judge_graded(const struct redact *r, unsigned grade, struct str value)
{
    if (!r || !r->enabled || value.n == 0)
        return -1;
    if (secret_value((enum secret_grade)grade, value))
        return RULE_KEY;
    return redact_text_holds(r, value);
}

int redact_judge(const struct redact *r, struct str key, struct str value)
{
    const struct redact_key k = redact_key(r, key);
    if (k.tool && !str_eq(value, REDACTED))
        return RULE_TOOL_CONTENT;
    return redact_judge_graded(r, k.grade, value);
}

/* ---- pieces that are clean ---- */

/* Where a piece is if it is noted; NULL for one that is never. A mix of its ends will do: those who
 * find one that collides only lose time of their own. */
static struct clean_piece *place_of(const struct redact *r, enum redact_piece kind,
                                    struct str piece)
{
    if (!r || piece.n < CLEAN_LEAST || piece.n > CLEAN_PIECE)
        return NULL;
    const uint64_t ends = get_u64(piece.p) * 3 + get_u64(piece.p + piece.n - 8);
    return &r->clean[(ends + piece.n + kind) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - CLEAN_BITS)];
}

bool redact_is_clean(const struct redact *r, enum redact_piece kind, struct str piece)
{
    const struct clean_piece *c = place_of(r, kind, piece);
    return c && c->kind == kind && c->n == piece.n && memcmp(c->bytes, piece.p, piece.n) == 0;
}

void redact_note_clean(const struct redact *r, enum redact_piece kind, struct str piece)
{
    struct clean_piece *c = place_of(r, kind, piece);
    if (!c)
        return;
    c->kind = (uint8_t)kind;
    c->n = (uint8_t)piece.n;
    memcpy(c->bytes, piece.p, piece.n);
}

/* ---- texts ---- */

size_t redact_text_count(const struct redact *r, struct str text, struct buf *out,
                         enum redact_place place, struct redact_count *count)
{
    struct secret_text t;
    struct secret_place at;
    size_t found = 0, done = 0;
    if (!r || !r->enabled || text.n == 0)
        return 0;
    if (begin(r, text, &t) != 0) {
        buf_addstr(out, REDACTED);
        redact_counted(count, RULE_MEMORY, place);
        return 1;
    }
    for (; secret_text_next(&t, &at); found++) {
        buf_add(out, text.p + done, at.from - done);
        buf_addstr(out, REDACTED);
        redact_counted(count, t.rule, place);
        done = at.to;
    }
    secret_text_fini(&t);
    if (found)
        buf_add(out, text.p + done, text.n - done);
    return found;
}

size_t redact_text(const struct redact *r, struct str text, struct buf *out)
{
    struct redact_count count = {0};
    return redact_text_count(r, text, out, REDACT_TEXT, &count);
}

/* ---- events ---- */

/* The texts of one event that were rewritten. They lie in a buffer that may
 * still move, so they are pointed there at the end. */
struct rewritten {
    struct {
        struct str *text;
        size_t at, n;
    } list[2 * LIMIT_SPAN_EVENTS + 4];
    unsigned count;
};

static void rewrite(const struct redact *r, struct str *text, size_t most, struct buf *scratch,
                    struct rewritten *done, struct redact_count *count)
{
    const size_t at = scratch->n;
    if (redact_text_count(r, *text, scratch, REDACT_TEXT, count) == 0)
        return;
    if (scratch->failed) {
        scratch->n = at;
        *text = REDACTED;
        return;
    }
    const struct str whole = {scratch->p + at, scratch->n - at};
    done->list[done->count].text = text;
    done->list[done->count].at = at;
    done->list[done->count++].n = text_cut(whole, most).n;
}

/* Tool content goes whatever it is; a key that is a secret itself, too. */
static void redact_attr(const struct redact *r, struct attr *a, struct redact_count *count)
{
    const struct redact_key k = redact_key(r, a->key);
    const bool text = a->type == ATTR_STRING;
    int rule = -1;
    if (k.tool && !(text && str_eq(a->s, REDACTED)))
        rule = RULE_TOOL_CONTENT;
    else if (text)
        rule = redact_judge_graded(r, k.grade, a->s);
    if (k.secret) {
        redact_counted(count, (enum secret_rule)redact_text_holds(r, a->key), REDACT_ATTRIBUTE);
        a->key = REDACTED;
    }
    if (rule < 0)
        return;
    a->type = ATTR_STRING;
    a->s = REDACTED;
    redact_counted(count, (enum secret_rule)rule, REDACT_ATTRIBUTE);
}

static void redact_span(const struct redact *r, struct event *e, struct buf *scratch,
                        struct rewritten *done, struct redact_count *count)
{
    rewrite(r, &e->tracestate, LIMIT_TRACESTATE, scratch, done, count);
    for (unsigned i = 0; i < e->nevents; i++)
        rewrite(r, &e->events[i].name, LIMIT_NAME, scratch, done, count);
    for (unsigned i = 0; i < e->nlinks; i++)
        rewrite(r, &e->links[i].tracestate, LIMIT_TRACESTATE, scratch, done, count);
}

void redact_event(const struct redact *r, struct event *e, struct buf *scratch,
                  struct redact_count *count)
{
    struct rewritten done = {.count = 0};
    if (!r)
        return;
    for (unsigned i = 0; i < e->all_attrs; i++)
        redact_attr(r, &e->attrs[i], count);
    rewrite(r, &e->name, LIMIT_NAME, scratch, &done, count);
    rewrite(r, &e->text, e->kind == EVENT_LOG ? LIMIT_BODY : LIMIT_TEXT, scratch, &done, count);
    rewrite(r, &e->correlation, LIMIT_CORRELATION, scratch, &done, count);
    if (e->kind == EVENT_SPAN)
        redact_span(r, e, scratch, &done, count);
    for (unsigned i = 0; i < done.count; i++)
        *done.list[i].text = (struct str){scratch->p + done.list[i].at, done.list[i].n};
}
