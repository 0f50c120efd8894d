#include "pipeline/secret_text.h"

#include <strings.h>

#include "model/limits.h"

/* In this file a place is one in the view; a value that is opened at some level
 * (see text_view.h) is not closed by a character of a higher one. */

enum {
    KEY_LOOK = LIMIT_KEY, /* how far back a key may reach */
    SPACES = 8,           /* blanks allowed around a separator */
    JUDGED = 256,         /* bytes of a value that are looked at to judge it */
};

struct key_place {
    size_t from, to;
    bool quoted;
};

/* ---- characters ---- */

static char at(const struct secret_text *t, size_t i)
{
    return i < t->v.n ? t->v.p[i] : '\0';
}

static bool alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool in_key(char c)
{
    return alnum(c) || c == '_' || c == '-' || c == '.' || c == '$';
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool space(char c)
{
    return blank(c) || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static bool quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

/* What may come after an unquoted value. */
static bool closer(char c)
{
    return quote(c) || (c && strchr(",;&|)]}>\\", c));
}

/* Whether the letter at i belongs to an escape such as \n, so that it is not the
 * beginning of the word that follows. */
static bool escape_letter(const struct secret_text *t, size_t i)
{
    const char c = at(t, i);
    return i > 0 && t->v.p[i - 1] == '\\' && (c == 'n' || c == 'r' || c == 't');
}

static bool word_start(const struct secret_text *t, size_t i)
{
    return i == 0 || !alnum(t->v.p[i - 1]) || escape_letter(t, i - 1);
}

static size_t skip_spaces(const struct secret_text *t, size_t i, bool lines)
{
    const size_t end = i + SPACES;
    while (i < end && (lines ? space(at(t, i)) : blank(at(t, i))))
        i++;
    return i;
}

static size_t skip_spaces_back(const struct secret_text *t, size_t i)
{
    const size_t end = i > SPACES ? i - SPACES : 0;
    while (i > end && space(t->v.p[i - 1]))
        i--;
    return i;
}

static struct str piece(const struct secret_text *t, size_t from, size_t to)
{
    return (struct str){t->v.p + from, to - from};
}

/* ---- the key before a separator ---- */

/* Past a quote and its backslashes, going back; i unchanged when there is none. */
static size_t skip_quote_back(const struct secret_text *t, size_t i)
{
    if (i == 0 || !quote(t->v.p[i - 1]))
        return i;
    i--;
    while (i > 0 && t->v.p[i - 1] == '\\')
        i--;
    return i;
}

static size_t key_start(const struct secret_text *t, size_t to, bool quoted)
{
    const size_t end = to > KEY_LOOK ? to - KEY_LOOK : 0;
    size_t i = to;
    while (i > end && (in_key(t->v.p[i - 1]) || (quoted && t->v.p[i - 1] == ' ')) &&
           !escape_letter(t, i - 1))
        i--;
    return i;
}

static bool key_before(const struct secret_text *t, size_t separator, struct key_place *k)
{
    size_t i = skip_spaces_back(t, separator);
    if (i > 1 && t->v.p[i - 1] == ']' && quote(t->v.p[i - 2]))
        i--; /* env['PASSWORD'] = */
    k->to = skip_quote_back(t, i);
    k->quoted = k->to != i;
    k->from = key_start(t, k->to, k->quoted);
    if (k->from == k->to)
        return false;
    return true;
}

static enum secret_grade grade_of(const struct secret_text *t, const struct key_place *k)
{
    return secret_key_grade(t->keys, piece(t, k->from, k->to));
}

/* A key that is not quoted may be two words, "API key:"; or the word before takes
 * the secret out of it, "unexpected token:". In "secret agents:" the first is one
 * by itself and the second does not go with it. */
static enum secret_grade grade_of_words(const struct secret_text *t, const struct key_place *k)
{
    static const char *const nouns[] = {"key", "code", "phrase", "value", "word"};
    const enum secret_grade g = grade_of(t, k);
    if (k->quoted || k->from < 2 || t->v.p[k->from - 1] != ' ' || !alnum(t->v.p[k->from - 2]))
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
    size_t i = skip_spaces_back(t, skip_quote_back(t, k->from));
    if (!k->quoted || !str_eq(piece(t, k->from, k->to), STR("value")) || at(t, i - 1) != ',')
        return GRADE_NONE;
    i = skip_spaces_back(t, i - 1);
    struct key_place name = {.to = skip_quote_back(t, i), .quoted = true};
    name.from = key_start(t, name.to, true);
    if (name.to == i || name.from == name.to)
        return GRADE_NONE;
    const enum secret_grade g = grade_of(t, &name);
    return g == GRADE_TOKEN ? GRADE_RANDOM : g;
}

/* ---- where a value ends ---- */

/* The closing quote of a string that was opened by `q` behind `slashes`
 * backslashes: a string that is nested so deep has one behind as many, and
 * quotes inside it behind more. Returns the end of what is inside. */
static size_t quoted_end(const struct secret_text *t, size_t from, char q, size_t slashes,
                         size_t level)
{
    size_t run = 0;
    for (size_t i = from; i < t->v.n; i++) {
        const char c = t->v.p[i];
        if (c == q && text_view_level(&t->v, i) <= level) {
            if (run < slashes)
                return i - run;
            if ((run - slashes) % (2 * (slashes + 1)) == 0)
                return i - slashes;
        }
        run = c == '\\' ? run + 1 : 0;
    }
    return t->v.n;
}

/* Whether the closer at i ends an unquoted value: nothing, a blank or another
 * key comes after it. Looks at a bounded number of characters. */
static bool ends_here(const struct secret_text *t, size_t i)
{
    size_t j = i;
    if (quote(t->v.p[i]) && i + 1 < t->v.n && strchr(",)]}>", t->v.p[i + 1]))
        return true;
    while (j < i + SPACES && j < t->v.n && closer(t->v.p[j]))
        j++;
    if (j >= t->v.n || space(t->v.p[j]))
        return true;
    const size_t key = j;
    while (j < key + KEY_LOOK && in_key(at(t, j)))
        j++;
    if (j == key)
        return false;
    while (j < t->v.n && (quote(t->v.p[j]) || t->v.p[j] == '\\') && j < key + KEY_LOOK)
        j++;
    return at(t, j) == '=' || at(t, j) == ':';
}

static size_t unquoted_end(const struct secret_text *t, size_t from, size_t level, size_t most)
{
    for (size_t i = from; i < t->v.n; i++) {
        const char c = t->v.p[i];
        if (i - from >= most)
            return i;
        if (text_view_level(&t->v, i) > level)
            continue;
        if (space(c) || (closer(c) && ends_here(t, i)))
            return i;
    }
    return t->v.n;
}

/* Whether the quote at i opens a string inside a header, as in a="b"; c=d. */
static bool opens_inside(const struct secret_text *t, size_t i)
{
    while (i > 0 && t->v.p[i - 1] == '\\')
        i--;
    return i > 0 && t->v.p[i - 1] == '=';
}

/* To the end of the line, or of the string that the line is in. */
static size_t line_end(const struct secret_text *t, size_t from, size_t level)
{
    char inside = '\0';
    for (size_t i = from; i < t->v.n; i++) {
        const char c = t->v.p[i], next = at(t, i + 1);
        if (text_view_level(&t->v, i) > level)
            continue;
        if (c == '\n' || c == '\r' || (c == '\\' && (next == 'n' || next == 'r')))
            return i;
        if (inside || (quote(c) && opens_inside(t, i)))
            inside = !inside ? c : c == inside ? '\0' : inside;
        else if (quote(c) && (!next || space(next) || strchr(",)]}>'\"", next)))
            return i - (i > from && t->v.p[i - 1] == '\\');
    }
    return t->v.n;
}

/* Past the bracket that closes the one at `from`; strings are stepped over. */
static size_t bracket_end(const struct secret_text *t, size_t from)
{
    size_t depth = 0, run = 0;
    for (size_t i = from; i < t->v.n; i++) {
        const char c = t->v.p[i];
        if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && --depth == 0)
            return i + 1;
        else if (c == '"')
            i = quoted_end(t, i + 1, c, run, text_view_level(&t->v, i)) + run;
        run = c == '\\' ? run + 1 : 0;
    }
    return t->v.n;
}

/* A JSON schema names its secrets and holds none: {"password": {"type": ...}}. */
static bool schema(const struct secret_text *t, size_t from)
{
    static const char *const words[] = {"type", "description", "title", "$ref", "anyOf", "oneOf"};
    size_t i = skip_spaces(t, from + 1, true);
    while (at(t, i) == '\\' || quote(at(t, i)))
        i++;
    size_t to = i;
    while (in_key(at(t, to)))
        to++;
    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        if (str_eq(piece(t, i, to), str_of(words[w])))
            return true;
    return false;
}

/* ---- values ---- */

/* Words with which people go on after "password:". */
static bool prose(struct str v)
{
    static const char *const words[] = {
        "a",        "accepted", "an",          "and",      "any",      "are",          "array",
        "as",       "at",       "be",          "boolean",  "by",       "can",          "cannot",
        "changed",  "correct",  "could",       "default",  "denied",   "disabled",     "empty",
        "enabled",  "enter",    "error",       "expected", "expired",  "failed",       "failure",
        "for",      "found",    "from",        "got",      "has",      "have",         "if",
        "ignored",  "in",       "incorrect",   "int",      "integer",  "invalid",      "is",
        "it",       "its",      "malformed",   "may",      "mismatch", "missing",      "must",
        "needed",   "not",      "number",      "object",   "of",       "ok",           "option",
        "optional", "or",       "please",      "rejected", "required", "reset",        "see",
        "set",      "should",   "so",          "str",      "string",   "success",      "that",
        "the",      "this",     "to",          "too",      "unable",   "unauthorized", "unexpected",
        "unknown",  "unset",    "unsupported", "updated",  "use",      "used",         "valid",
        "was",      "when",     "which",       "will",     "with",     "wrong",        "you",
        "your",
    };
    while (v.n > 0 && !alnum(v.p[v.n - 1]))
        v.n--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (v.n == strlen(words[i]) && strncasecmp(v.p, words[i], v.n) == 0)
            return true;
    return false;
}

static bool has_digit_or_case(struct str v)
{
    enum { LONG = 16 };
    bool digit = false, lower = false, upper = false;
    for (size_t i = 0; i < v.n; i++) {
        digit = digit || (v.p[i] >= '0' && v.p[i] <= '9');
        lower = lower || (v.p[i] >= 'a' && v.p[i] <= 'z');
        upper = upper || (i > 0 && v.p[i] >= 'A' && v.p[i] <= 'Z');
    }
    return digit || (lower && upper) || v.n >= LONG;
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
    const struct str seen = piece(t, from, unquoted_end(t, from, level, JUDGED));
    if (!secret_value(g, seen) || prose(seen) || redacted(t, from))
        return false;
    if (said && g < GRADE_SECRET && !has_digit_or_case(seen))
        return false;
    out->from = from;
    out->to = g == GRADE_LINE ? line_end(t, from, level) : unquoted_end(t, from, level, SIZE_MAX);
    return out->to > from;
}

static bool quoted_value(const struct secret_text *t, size_t from, size_t slashes,
                         enum secret_grade g, struct secret_place *out)
{
    const size_t level = text_view_level(&t->v, from - 1);
    out->from = from;
    out->to = quoted_end(t, from, t->v.p[from - 1], slashes, level);
    const size_t n = out->to - from;
    return n > 0 && secret_value(g, piece(t, from, from + (n < JUDGED ? n : JUDGED)));
}

/* A list or an object of secrets. */
static bool bracket_value(const struct secret_text *t, size_t from, enum secret_grade g,
                          struct secret_place *out)
{
    if (g < GRADE_TOKEN || redacted(t, from) || (t->v.p[from] == '{' && schema(t, from)))
        return false;
    const char first = at(t, skip_spaces(t, from + 1, true));
    if (first == ']' || first == '}')
        return false;
    *out = (struct secret_place){from, bracket_end(t, from)};
    return true;
}

/* The value that begins at i or after blanks. */
static bool value_at(const struct secret_text *t, size_t i, size_t separator, bool in_json,
                     enum secret_grade g, struct secret_place *out)
{
    const size_t from = skip_spaces(t, i, in_json);
    size_t slashes = 0;
    while (at(t, from + slashes) == '\\')
        slashes++;
    const char c = at(t, from + slashes);
    if (quote(c))
        return quoted_value(t, from + slashes + 1, slashes, g, out);
    const bool list = c == '[' || c == '{';
    if (list && slashes == 0 && (in_json || quote(at(t, from + 1))))
        return bracket_value(t, from, g, out);
    const bool said = at(t, separator) == ':';
    return bare_value(t, from, text_view_level(&t->v, separator), said, g, out);
}

/* key = value, "key": "value" and their kin, at the '=' or ':'. */
static bool keyed(const struct secret_text *t, size_t i, struct secret_place *out)
{
    const char c = t->v.p[i], next = at(t, i + 1);
    if (c == ':' && (next == ':' || (i > 0 && t->v.p[i - 1] == ':')))
        return false; /* Type::name */
    struct key_place k;
    if (!key_before(t, i, &k))
        return false;
    if (c == ':' && !k.quoted && k.from > 0 && t->v.p[k.from - 1] == '/')
        return false; /* //host:port */
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
    const enum secret_grade g = secret_key_grade(t->keys, piece(t, from, i));
    if (g == GRADE_NONE)
        return false;
    out->from = out->to = i + 1;
    while (out->to < t->v.n && t->v.p[out->to] != '<')
        out->to++;
    return at(t, out->to + 1) == '/' && secret_value(g, piece(t, out->from, out->to));
}

/* --password value, and "--password", "value" as argument lists have it; i is
 * at the first '-'. --password=value is keyed(). */
static bool flag(const struct secret_text *t, size_t i, struct secret_place *out)
{
    size_t to = i + 2;
    while (to < i + KEY_LOOK && in_key(at(t, to)))
        to++;
    const enum secret_grade g = secret_key_grade(t->keys, piece(t, i, to));
    if (g == GRADE_NONE || to == i + 2)
        return false;
    size_t from = to;
    while (at(t, from) == '\\' || quote(at(t, from)))
        from++;
    if (from > to) { /* an argument list */
        from = skip_spaces(t, from, true);
        return at(t, from) == ',' && value_at(t, from + 1, from, true, g, out);
    }
    return blank(at(t, from)) && at(t, skip_spaces(t, from, false)) != '-' &&
           value_at(t, from, from, false, g, out);
}

/* ---- URLs and keys ---- */

/* Characters that do not belong to a URL's authority. */
static bool ends_authority(char c, bool slashes)
{
    return space(c) || quote(c) || c == '<' || c == '>' || c == '\\' ||
           (slashes && (c == '/' || c == '?' || c == '#'));
}

/* The last '@' of [from, end of the authority), or 0. *colon is the first ':'. */
static size_t authority(const struct secret_text *t, size_t from, bool slashes, size_t level,
                        size_t *colon, size_t *end)
{
    enum { LONGEST = 512 };
    size_t i = from, user_end = 0;
    *colon = 0;
    for (; i < t->v.n && i < from + LONGEST; i++) {
        const char c = t->v.p[i];
        if (text_view_level(&t->v, i) > level)
            continue;
        if (ends_authority(c, slashes))
            break;
        if (c == '@')
            user_end = i;
        if (c == ':' && *colon == 0)
            *colon = i;
    }
    *end = i;
    return user_end;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

/* scheme://user:password@host, at the ':' of "://". A '/' in the password ends
 * the authority too early; what stands there instead of a port gives it away. */
static bool url_password(const struct secret_text *t, size_t i, struct secret_place *out)
{
    if (at(t, i + 1) != '/' || at(t, i + 2) != '/' || i == 0 || !alnum(t->v.p[i - 1]))
        return false;
    const size_t from = i + 3, level = text_view_level(&t->v, i + 1);
    size_t colon, end, user_end = authority(t, from, true, level, &colon, &end);
    if (!user_end && colon && at(t, from) != '[' && !all_digits(piece(t, colon + 1, end))) {
        size_t first;
        user_end = authority(t, from, false, level, &first, &end);
    }
    if (!user_end)
        return false;
    const bool both = colon && colon < user_end;
    *out = (struct secret_place){both ? colon + 1 : from, user_end};
    const struct str v = piece(t, out->from, out->to);
    return both ? secret_value(GRADE_SECRET, v) : secret_looks_random(v);
}

/* user:password@tcp(host): how some database drivers write it; at the ':'. */
static bool driver_password(const struct secret_text *t, size_t i, struct secret_place *out)
{
    const size_t look = t->v.n - i < KEY_LOOK ? t->v.n - i : KEY_LOOK;
    const struct str rest = piece(t, i + 1, i + look);
    const char *end = memmem(rest.p, rest.n, "@tcp(", 5);
    if (!end)
        end = memmem(rest.p, rest.n, "@unix(", 6);
    if (!end || i == 0 || !in_key(t->v.p[i - 1]))
        return false;
    *out = (struct secret_place){i + 1, i + 1 + (size_t)(end - rest.p)};
    for (size_t j = out->from; j < out->to; j++)
        if (space(t->v.p[j]))
            return false;
    return secret_value(GRADE_SECRET, piece(t, out->from, out->to));
}

/* A PEM block with a private key in it, to its end line or the end of the text. */
static bool private_key(const struct secret_text *t, size_t i, struct secret_place *out)
{
    static const char begin[] = "-----BEGIN", end[] = "-----END", dashes[] = "-----";
    enum { LABEL = 64 };
    const struct str rest = piece(t, i, t->v.n);
    const size_t nbegin = sizeof begin - 1;
    if (rest.n < nbegin || memcmp(rest.p, begin, nbegin) != 0)
        return false;
    const size_t look = rest.n - nbegin < LABEL ? rest.n - nbegin : LABEL;
    const char *stop = memmem(rest.p + nbegin, look, dashes, sizeof dashes - 1);
    const size_t label = stop ? (size_t)(stop - rest.p) - nbegin : look;
    if (!memmem(rest.p + nbegin, label, "PRIVATE", 7))
        return false;
    const char *last = memmem(rest.p + nbegin, rest.n - nbegin, end, sizeof end - 1);
    if (last) {
        const size_t past = (size_t)(last - rest.p) + sizeof end - 1;
        last = memmem(rest.p + past, rest.n - past, dashes, sizeof dashes - 1);
    }
    *out = (struct secret_place){i, last ? i + (size_t)(last - rest.p) + 5 : t->v.n};
    return true;
}

static bool token(const struct secret_text *t, size_t i, struct secret_place *out)
{
    size_t skip;
    const size_t n = secret_token(t->tokens, piece(t, i, t->v.n), &skip);
    *out = (struct secret_place){i + skip, i + n};
    return n > 0;
}

static bool secret_at(const struct secret_text *t, size_t i, struct secret_place *out)
{
    const char c = t->v.p[i];
    switch (c) {
    case ':':
        return url_password(t, i, out) || keyed(t, i, out) || driver_password(t, i, out);
    case '=':
        return keyed(t, i, out);
    case '>':
        return element(t, i, out);
    case '-':
        if (at(t, i + 1) != '-' || (i > 0 && t->v.p[i - 1] == '-'))
            return false;
        return at(t, i + 2) == '-' ? private_key(t, i, out) : flag(t, i, out);
    default:
        return alnum(c) && word_start(t, i) && token(t, i, out);
    }
}

int secret_text_init(struct secret_text *t, const struct secret_keys *keys,
                     const struct secret_tokens *tokens, struct str text)
{
    *t = (struct secret_text){.keys = keys, .tokens = tokens};
    return text_view_init(&t->v, text);
}

void secret_text_fini(struct secret_text *t)
{
    text_view_fini(&t->v);
}

bool secret_text_next(struct secret_text *t, struct secret_place *out)
{
    struct secret_place found;
    for (; t->at < t->v.n; t->at++) {
        if (!secret_at(t, t->at, &found) || found.to <= t->at)
            continue;
        t->at = found.to;
        out->from = text_view_raw(&t->v, found.from);
        out->to = text_view_raw(&t->v, found.to);
        return true;
    }
    return false;
}
