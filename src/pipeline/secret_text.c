#include "pipeline/secret_text.h"

#include <strings.h>

#include "pipeline/secret_form.h"

/* In this file a place is one in the view. */

enum { JUDGED = 256 }; /* bytes of a value that are looked at to judge it */

struct key_place {
    size_t from, to;
    bool quoted;
};

/* ---- the key before a separator ---- */

/* Past a quote and its backslashes, going back; i unchanged when there is none. */
static size_t skip_quote_back(const struct secret_text *t, size_t i)
{
    if (i == 0 || !text_quote(t->v.p[i - 1]))
        return i;
    i--;
    while (i > 0 && t->v.p[i - 1] == '\\')
        i--;
    return i;
}

static size_t key_start(const struct secret_text *t, size_t to, bool quoted)
{
    const size_t end = to > TEXT_KEY_LOOK ? to - TEXT_KEY_LOOK : 0;
    size_t i = to;
    while (i > end && (text_in_key(t->v.p[i - 1]) || (quoted && t->v.p[i - 1] == ' ')) &&
           !text_escape_letter(&t->v, i - 1))
        i--;
    return i;
}

static bool key_before(const struct secret_text *t, size_t separator, struct key_place *k)
{
    size_t i = text_skip_back(&t->v, separator);
    if (i > 1 && t->v.p[i - 1] == ']' && text_quote(t->v.p[i - 2]))
        i--; /* env['PASSWORD'] = */
    k->to = skip_quote_back(t, i);
    k->quoted = k->to != i;
    k->from = key_start(t, k->to, k->quoted);
    return k->from < k->to;
}

static enum secret_grade grade_of(const struct secret_text *t, const struct key_place *k)
{
    return secret_key_grade(t->keys, text_piece(&t->v, k->from, k->to));
}

/* A key that is not quoted may be two words, "API key:"; or the word before takes
 * the secret out of it, "unexpected token:". In "secret agents:" the first is one
 * by itself and the second does not go with it. */
static enum secret_grade grade_of_words(const struct secret_text *t, const struct key_place *k)
{
    static const char *const nouns[] = {"key", "code", "phrase", "value", "word"};
    const enum secret_grade g = grade_of(t, k);
    if (k->quoted || k->from < 2 || t->v.p[k->from - 1] != ' ' || !text_alnum(t->v.p[k->from - 2]))
        return g;
    const struct key_place both = {.from = key_start(t, k->from - 1, false), .to = k->to};
    if (g != GRADE_NONE)
        return grade_of(t, &both);
    for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++)
        if (k->to - k->from == strlen(nouns[i]) &&
            strncasecmp(t->v.p + k->from, nouns[i], k->to - k->from) == 0)
            return grade_of(t, &both);
    return GRADE_NONE;
}

/* {"name": "password", "value": "..."}: the key is the string before "value". */
static enum secret_grade grade_of_pair(const struct secret_text *t, const struct key_place *k)
{
    size_t i = text_skip_back(&t->v, skip_quote_back(t, k->from));
    if (!k->quoted || !str_eq(text_piece(&t->v, k->from, k->to), STR("value")) ||
        text_at(&t->v, i - 1) != ',')
        return GRADE_NONE;
    i = text_skip_back(&t->v, i - 1);
    struct key_place name = {.to = skip_quote_back(t, i), .quoted = true};
    name.from = key_start(t, name.to, true);
    if (name.to == i || name.from == name.to)
        return GRADE_NONE;
    const enum secret_grade g = grade_of(t, &name);
    return g == GRADE_TOKEN ? GRADE_RANDOM : g;
}

/* A JSON schema names its secrets and holds none: {"password": {"type": ...}}. */
static bool schema(const struct secret_text *t, size_t from)
{
    static const char *const words[] = {"type", "description", "title", "$ref", "anyOf", "oneOf"};
    size_t i = text_skip(&t->v, from + 1, true);
    while (text_at(&t->v, i) == '\\' || text_quote(text_at(&t->v, i)))
        i++;
    size_t to = i;
    while (text_in_key(text_at(&t->v, to)))
        to++;
    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        if (str_eq(text_piece(&t->v, i, to), str_of(words[w])))
            return true;
    return false;
}

/* ---- values ---- */

/* Words with which people go on after "password:". */
static bool prose(struct str v)
{
    static const char *const words[] = {
        "a",          "accepted", "an",      "and",         "any",      "are",      "array",
        "as",         "at",       "await",   "be",          "boolean",  "by",       "can",
        "cannot",     "changed",  "correct", "could",       "default",  "denied",   "disabled",
        "empty",      "enabled",  "enter",   "error",       "expected", "expired",  "failed",
        "failure",    "for",      "found",   "from",        "got",      "has",      "have",
        "if",         "ignored",  "in",      "incorrect",   "int",      "integer",  "invalid",
        "is",         "it",       "its",     "malformed",   "may",      "mismatch", "missing",
        "must",       "needed",   "not",     "number",      "object",   "of",       "ok",
        "option",     "optional", "or",      "please",      "rejected", "required", "reset",
        "see",        "set",      "should",  "so",          "str",      "string",   "success",
        "that",       "the",      "this",    "to",          "too",      "unable",   "unauthorized",
        "unexpected", "unknown",  "unset",   "unsupported", "updated",  "use",      "used",
        "valid",      "was",      "when",    "which",       "will",     "with",     "wrong",
        "you",        "your",
    };
    while (v.n > 0 && !text_alnum(v.p[v.n - 1]))
        v.n--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (v.n == strlen(words[i]) && strncasecmp(v.p, words[i], v.n) == 0)
            return true;
    return false;
}

static bool has_digit_or_mixed(struct str v)
{
    bool digit = false, lower = false, upper = false;
    for (size_t i = 0; i < v.n; i++) {
        digit = digit || (v.p[i] >= '0' && v.p[i] <= '9');
        lower = lower || (v.p[i] >= 'a' && v.p[i] <= 'z');
        upper = upper || (i > 0 && v.p[i] >= 'A' && v.p[i] <= 'Z');
    }
    return digit || (lower && upper);
}

static bool has_digit_or_case(struct str v)
{
    enum { LONG = 16 };
    return has_digit_or_mixed(v) || v.n >= LONG;
}

/* Whether the value at `from` was taken out before. */
static bool redacted(const struct secret_text *t, size_t from)
{
    static const char mark[] = "[REDACTED]";
    return t->v.n - from >= sizeof mark - 1 && memcmp(t->v.p + from, mark, sizeof mark - 1) == 0;
}

/* An unquoted value from `from` on. `said`: it comes after a colon, as in a
 * sentence, a type or the name of an event. */
static bool bare_value(const struct secret_text *t, size_t from, size_t level, bool said,
                       enum secret_grade g, struct secret_place *out)
{
    const struct str seen = text_piece(&t->v, from, secret_bare_end(&t->v, from, level, JUDGED));
    if (!secret_value(g, seen) || prose(seen) || redacted(t, from))
        return false;
    if (said && g < GRADE_SECRET && !has_digit_or_case(seen))
        return false;
    out->from = from;
    out->to = g == GRADE_LINE ? secret_line_end(&t->v, from, level)
                              : secret_bare_end(&t->v, from, level, SIZE_MAX);
    return out->to > from;
}

static bool quoted_value(const struct secret_text *t, size_t from, size_t slashes,
                         enum secret_grade g, struct secret_place *out)
{
    const size_t level = text_view_level(&t->v, from - 1);
    out->from = from;
    out->to = secret_quoted_end(&t->v, from, t->v.p[from - 1], slashes, level);
    const size_t n = out->to - from;
    return n > 0 && secret_value(g, text_piece(&t->v, from, from + (n < JUDGED ? n : JUDGED)));
}

/* A list or an object of secrets. */
static bool bracket_value(const struct secret_text *t, size_t from, enum secret_grade g,
                          struct secret_place *out)
{
    if (g < GRADE_TOKEN || redacted(t, from) || (t->v.p[from] == '{' && schema(t, from)))
        return false;
    const char first = text_at(&t->v, text_skip(&t->v, from + 1, true));
    if (first == ']' || first == '}')
        return false;
    *out = (struct secret_place){from, secret_bracket_end(&t->v, from)};
    return true;
}

/* The value that begins at i or after blanks. */
static bool value_at(const struct secret_text *t, size_t i, size_t separator, bool in_json,
                     enum secret_grade g, struct secret_place *out)
{
    const size_t from = text_skip(&t->v, i, in_json);
    size_t slashes = 0;
    while (text_at(&t->v, from + slashes) == '\\')
        slashes++;
    const char c = text_at(&t->v, from + slashes);
    if (text_quote(c))
        return quoted_value(t, from + slashes + 1, slashes, g, out);
    const bool list = c == '[' || c == '{';
    if (list && slashes == 0 && (in_json || text_quote(text_at(&t->v, from + 1))))
        return bracket_value(t, from, g, out);
    const bool said = text_at(&t->v, separator) == ':';
    return bare_value(t, from, text_view_level(&t->v, separator), said, g, out);
}

/* secrets.c:85:40, token.go:12: a place in a source file, at the colon. */
static bool source_position(const struct secret_text *t, const struct key_place *k, size_t colon)
{
    static const char *const endings[] = {"c",  "cc",  "cpp",  "cs",    "erl",   "ex", "exs", "go",
                                          "h",  "hpp", "java", "js",    "jsx",   "kt", "mjs", "php",
                                          "py", "rb",  "rs",   "scala", "swift", "ts", "tsx"};
    size_t dot = k->to;
    while (dot > k->from && t->v.p[dot - 1] != '.')
        dot--;
    const char next = text_at(&t->v, colon + 1);
    if (dot == k->from || k->to != colon || next < '0' || next > '9')
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (str_eq(text_piece(&t->v, dot, k->to), str_of(endings[i])))
            return true;
    return false;
}

/* key = value, "key": "value" and their kin, at the '=' or ':'. */
static bool keyed(const struct secret_text *t, size_t i, struct secret_place *out)
{
    const char c = t->v.p[i], next = text_at(&t->v, i + 1);
    if (c == ':' && (next == ':' || (i > 0 && t->v.p[i - 1] == ':')))
        return false; /* Type::name */
    struct key_place k;
    if (!key_before(t, i, &k))
        return false;
    if (c == ':' && !k.quoted && k.from > 0 && t->v.p[k.from - 1] == '/')
        return false; /* //host:port */
    if (c == ':' && source_position(t, &k, i))
        return false;
    enum secret_grade g = grade_of_words(t, &k);
    if (g == GRADE_NONE && k.quoted)
        g = grade_of_pair(t, &k);
    if (g == GRADE_NONE)
        return false;
    const bool longer = next == '=' || (c == '=' && (next == '>' || next == '~'));
    return value_at(t, i + 1 + longer, i, k.quoted, g, out);
}

/* <password>value</password>, at the '>'. */
static bool element(const struct secret_text *t, size_t i, struct secret_place *out)
{
    const size_t from = key_start(t, i, false);
    if (from == i || from == 0 || (t->v.p[from - 1] != '<' && t->v.p[from - 1] != ':'))
        return false;
    const enum secret_grade g = secret_key_grade(t->keys, text_piece(&t->v, from, i));
    if (g == GRADE_NONE)
        return false;
    out->from = out->to = i + 1;
    while (out->to < t->v.n && t->v.p[out->to] != '<')
        out->to++;
    return text_at(&t->v, out->to + 1) == '/' &&
           secret_value(g, text_piece(&t->v, out->from, out->to));
}

/* --password value, and "--password", "value" as argument lists have it; i is
 * at the first '-'. --password=value is keyed(). */
static bool flag(const struct secret_text *t, size_t i, struct secret_place *out)
{
    size_t to = i + 2;
    while (to < i + TEXT_KEY_LOOK && text_in_key(text_at(&t->v, to)))
        to++;
    const enum secret_grade g = secret_key_grade(t->keys, text_piece(&t->v, i, to));
    if (g == GRADE_NONE || to == i + 2)
        return false;
    size_t from = to;
    while (text_at(&t->v, from) == '\\' || text_quote(text_at(&t->v, from)))
        from++;
    if (from > to) { /* an argument list */
        from = text_skip(&t->v, from, true);
        return text_at(&t->v, from) == ',' && value_at(t, from + 1, from, true, g, out);
    }
    return text_blank(text_at(&t->v, from)) &&
           text_at(&t->v, text_skip(&t->v, from, false)) != '-' &&
           value_at(t, from, from, false, g, out);
}

/* "the password is hunter2", "API key is now x9", at the "is". What comes after it goes on
 * as a sentence more often than it is a secret, so it has to look like one. */
static bool phrase(const struct secret_text *t, size_t i, struct secret_place *out)
{
    struct key_place k;
    if (text_at(&t->v, i + 1) != 's' || !text_space(text_at(&t->v, i + 2)) ||
        !key_before(t, i, &k) || k.to == i)
        return false;
    const enum secret_grade g = grade_of_words(t, &k);
    if (g < GRADE_TOKEN)
        return false;
    size_t from = text_skip(&t->v, i + 2, true);
    if (from + 4 < t->v.n && memcmp(t->v.p + from, "now ", 4) == 0)
        from += 4;
    if (text_quote(text_at(&t->v, from)))
        return quoted_value(t, from + 1, 0, g, out);
    return from < t->v.n && bare_value(t, from, 1, true, GRADE_TOKEN, out) &&
           has_digit_or_mixed(text_piece(&t->v, out->from, out->to));
}

static bool word_start(const struct secret_text *t, size_t i)
{
    return i == 0 || !text_alnum(t->v.p[i - 1]) || text_escape_letter(&t->v, i - 1);
}

static bool token(struct secret_text *t, size_t i, struct secret_place *out)
{
    size_t skip;
    const size_t n = secret_token(t->tokens, text_piece(&t->v, i, t->v.n), &skip, &t->rule);
    *out = (struct secret_place){i + skip, i + n};
    return n > 0;
}

/* True, and the rule noted, when it found something and is not switched off. */
static bool by(struct secret_text *t, enum secret_rule rule, bool found)
{
    t->rule = rule;
    return found && !(t->off >> rule & 1);
}

static bool secret_at(struct secret_text *t, size_t i, struct secret_place *out)
{
    const struct text_view *v = &t->v;
    const char c = v->p[i];
    switch (c) {
    case ':':
        return by(t, RULE_URL_CREDENTIALS, secret_in_url(v, i, out)) ||
               by(t, RULE_ASSIGNMENT, keyed(t, i, out)) ||
               by(t, RULE_URL_CREDENTIALS, secret_in_dsn(v, i, out));
    case '=':
        return by(t, RULE_ASSIGNMENT, keyed(t, i, out));
    case '>':
        return by(t, RULE_ELEMENT, element(t, i, out));
    case '-':
        if (text_at(v, i + 1) != '-' || (i > 0 && v->p[i - 1] == '-'))
            return false;
        if (text_at(v, i + 2) == '-')
            return by(t, RULE_PRIVATE_KEY, secret_in_pem(v, i, out));
        return by(t, RULE_FLAG, flag(t, i, out));
    default:
        if (!text_alnum(c) || !word_start(t, i))
            return false;
        return (c == 'i' && by(t, RULE_PHRASE, phrase(t, i, out))) ||
               (token(t, i, out) && by(t, t->rule, true));
    }
}

int secret_text_init(struct secret_text *t, const struct secret_keys *keys,
                     const struct secret_tokens *tokens, struct str text)
{
    t->keys = keys; /* `next` is filled at the first search, if there is one */
    t->tokens = tokens;
    t->at = 0;
    t->off = 0;
    t->patterns = NULL;
    t->searched = false;
    t->hits = 0;
    return text_view_init(&t->v, text);
}

void secret_text_fini(struct secret_text *t)
{
    text_view_fini(&t->v);
}

static bool may_begin(const struct secret_text *t, const char *p, size_t left)
{
    if (*p <= '9') /* a bot's id has at least eight digits */
        return left > 8 && p[7] >= '0' && p[7] <= '9';
    if (*p == 'i' && left > 2 && p[1] == 's')
        return true;
    return left >= TOKEN_START && secret_token_may(t->tokens, p);
}

/* The next place from `at` on where a secret may begin, passing over words as wholes; but
 * behind a backslash there may be the letter of an escape, and then a word. */
static bool skip(struct secret_text *t)
{
    const uint8_t *begins = t->tokens->begins;
    const char *p = t->v.p + t->at, *end = t->v.p + t->v.n;
    for (; p < end; p++) {
        const uint8_t is = begins[(uint8_t)*p];
        if (is == TEXT_PASS)
            continue;
        if (is == TEXT_LOOK || may_begin(t, p, (size_t)(end - p)))
            break;
        if (p > t->v.p && p[-1] == '\\')
            continue;
        while (p + 1 < end && begins[(uint8_t)p[1]] == TEXT_WORD)
            p++;
    }
    t->at = (size_t)(p - t->v.p);
    return p < end;
}

/* The next one of the built-in rules, in the view; `at` is behind it then, or at the end. */
static bool next_built_in(struct secret_text *t, struct secret_place *out)
{
    for (; skip(t); t->at++) {
        if (!secret_at(t, t->at, out) || out->to <= t->at)
            continue;
        t->at = out->to;
        return true;
    }
    return false;
}

/* What cannot be searched for want of memory counts as one match to its end. */
static void search(struct secret_text *t, unsigned i, size_t from)
{
    const int r =
        secret_pattern_find(t->patterns, i, text_piece(&t->v, 0, t->v.n), from, &t->next[i]);
    if (r == 0)
        t->next[i] = (struct secret_place){0, 0};
    else if (r < 0 || t->hits == SECRET_PATTERN_HITS)
        t->next[i].to = t->v.n;
    if (r < 0)
        t->next[i].from = from;
}

/* The earliest match of a pattern from there on; NULL for none. */
static struct secret_place *next_pattern(struct secret_text *t, size_t from)
{
    struct secret_place *first = NULL;
    for (unsigned i = 0; i < secret_patterns_count(t->patterns); i++) {
        if (!t->searched || (t->next[i].to && t->next[i].from < from))
            search(t, i, from);
        if (t->next[i].to && (!first || t->next[i].from < first->from))
            first = &t->next[i];
    }
    t->searched = true;
    return first;
}

static bool next_in_view(struct secret_text *t, struct secret_place *out)
{
    const size_t from = t->at;
    const bool use = t->patterns && from < t->v.n && !(t->off >> RULE_PATTERN & 1);
    const struct secret_place *p = use ? next_pattern(t, from) : NULL;
    if (next_built_in(t, out) && (!p || out->from <= p->from))
        return true;
    if (!p)
        return false;
    *out = *p;
    t->at = p->to;
    t->rule = RULE_PATTERN;
    t->hits++;
    return true;
}

bool secret_text_next(struct secret_text *t, struct secret_place *out)
{
    struct secret_place found;
    if (!next_in_view(t, &found))
        return false;
    out->from = text_view_raw(&t->v, found.from);
    out->to = text_view_raw(&t->v, found.to);
    return true;
}
