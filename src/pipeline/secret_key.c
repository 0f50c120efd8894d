#include "pipeline/secret_key.h"

#include <stdlib.h>
#include <strings.h>

#include "base/buf.h"
#include "base/hash.h"
#include "model/limits.h"

/* Sequences of words, in order of the first letter. */
static const struct pattern {
    const char *words;
    enum secret_grade grade;
} patterns[] = {
    {"access.key", GRADE_SECRET},
    {"accesskey", GRADE_SECRET},
    {"account.key", GRADE_SECRET},
    {"api.key", GRADE_SECRET},
    {"api.keys", GRADE_TOKEN},
    {"apikey", GRADE_SECRET},
    {"apikeys", GRADE_TOKEN},
    {"auth", GRADE_RANDOM},
    {"auth.code", GRADE_TOKEN},
    {"auth.key", GRADE_SECRET},
    {"authkey", GRADE_SECRET},
    {"authorization", GRADE_LINE},
    {"bearer", GRADE_TOKEN},
    {"client.key", GRADE_SECRET},
    {"consumer.key", GRADE_SECRET},
    {"cookie", GRADE_LINE},
    {"cookies", GRADE_LINE},
    {"credential", GRADE_SECRET},
    {"credentials", GRADE_SECRET},
    {"creds", GRADE_SECRET},
    {"decryption.key", GRADE_SECRET},
    {"encryption.key", GRADE_SECRET},
    {"functions.key", GRADE_SECRET},
    {"hmac.key", GRADE_SECRET},
    {"jsessionid", GRADE_TOKEN},
    {"jwt", GRADE_TOKEN},
    {"license.key", GRADE_SECRET},
    {"master.key", GRADE_SECRET},
    {"otp", GRADE_TOKEN},
    {"pass", GRADE_TOKEN},
    {"pass.phrase", GRADE_SECRET},
    {"pass.word", GRADE_SECRET},
    {"passcode", GRADE_SECRET},
    {"passphrase", GRADE_SECRET},
    {"passwd", GRADE_SECRET},
    {"password", GRADE_SECRET},
    {"passwords", GRADE_TOKEN},
    {"phpsessid", GRADE_TOKEN},
    {"pin.code", GRADE_SECRET},
    {"pincode", GRADE_SECRET},
    {"private.key", GRADE_SECRET},
    {"privatekey", GRADE_SECRET},
    {"pswd", GRADE_SECRET},
    {"psw", GRADE_TOKEN},
    {"pwd", GRADE_DIR},
    {"recovery.code", GRADE_SECRET},
    {"recovery.key", GRADE_SECRET},
    {"recovery.phrase", GRADE_SECRET},
    {"secret", GRADE_SECRET},
    {"secretkey", GRADE_SECRET},
    {"secrets", GRADE_TOKEN},
    {"seed.phrase", GRADE_SECRET},
    {"session.key", GRADE_SECRET},
    {"shared.key", GRADE_SECRET},
    {"sig", GRADE_RANDOM},
    {"signature", GRADE_RANDOM},
    {"signing.key", GRADE_SECRET},
    {"ssh.key", GRADE_SECRET},
    {"storage.key", GRADE_SECRET},
    {"subscription.key", GRADE_SECRET},
    {"token", GRADE_TOKEN},
    {"totp", GRADE_TOKEN},
    {"verification.code", GRADE_TOKEN},
    {"webhook.key", GRADE_SECRET},
};

/* Ends of words that are written together: PGPASSWORD, authtoken. */
static const struct pattern endings[] = {
    {"password", GRADE_SECRET},   {"passwd", GRADE_SECRET},    {"passphrase", GRADE_SECRET},
    {"secret", GRADE_SECRET},     {"token", GRADE_TOKEN},      {"apikey", GRADE_SECRET},
    {"privatekey", GRADE_SECRET}, {"accesskey", GRADE_SECRET}, {"secretkey", GRADE_SECRET},
};

/* What follows turns the key into a fact about a secret: token_count,
 * password_policy, authorization_url. */
static const char *const facts_after[] = {
    "age",      "alg",        "algorithm", "at",         "attempts", "bucket",   "budget",
    "bytes",    "cost",       "count",     "counter",    "counts",   "decision", "dir",
    "disabled", "duration",   "enabled",   "endpoint",   "env",      "error",    "errors",
    "estimate", "expiration", "expired",   "expires",    "expiry",   "failed",   "failures",
    "field",    "file",       "format",    "hint",       "in",       "index",    "invalid",
    "issuer",   "kind",       "latency",   "len",        "length",   "level",    "lifetime",
    "limit",    "limits",     "manager",   "max",        "method",   "methods",  "min",
    "mode",     "ms",         "name",      "names",      "outcome",  "path",     "policy",
    "position", "present",    "price",     "prompt",     "provider", "rate",     "realm",
    "reason",   "refreshes",  "required",  "result",     "role",     "roles",    "rotation",
    "scheme",   "scope",      "scopes",    "seconds",    "server",   "service",  "size",
    "source",   "state",      "status",    "store",      "stream",   "through",  "time",
    "timeout",  "total",      "ttl",       "type",       "types",    "uri",      "url",
    "usage",    "used",       "valid",     "validation", "version",  "window",
};

/* What comes before makes a token a unit of text or a cursor: max_token,
 * progressToken. */
static const char *const units_before[] = {
    "bos",      "cached", "completion", "context", "continuation", "end",   "eos",
    "first",    "has",    "input",      "is",      "last",         "max",   "min",
    "next",     "num",    "out",        "output",  "pad",          "page",  "per",
    "progress", "prompt", "reasoning",  "sep",     "special",      "start", "stop",
    "thinking", "total",  "unexpected", "unk",
};

enum { LETTERS = 26 };

/* What was found of keys before: a process sees the same few again and again. */
enum { KNOWN = 256, KNOWN_KEY = 46 };
struct known {
    uint8_t n; /* 0: none */
    uint8_t grade;
    char key[KNOWN_KEY];
};

struct secret_keys {
    struct known *known;
    uint8_t from[LETTERS + 1]; /* patterns that begin with a letter: from[l] .. from[l+1]-1 */
    struct buf extra, allow;   /* ".word.word." each, one after the other, NUL between them */
};

/* ".word.word." of a key; the text lies in the struct. */
struct words {
    char p[2 * LIMIT_KEY + 3];
    size_t n;
};

static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Ends the word in hand, without its final digits; empty ones vanish. */
static void end_word(struct words *w)
{
    while (digit(w->p[w->n - 1]))
        w->n--;
    if (w->p[w->n - 1] != '.')
        w->p[w->n++] = '.';
}

/* Whether a new word begins at the capital key.p[i]: aB, 1B, or the last capital of ABc. */
static bool camel(struct str key, size_t i)
{
    if (i == 0 || !upper(key.p[i]))
        return false;
    if (!upper(key.p[i - 1]))
        return true;
    return i + 1 < key.n && lower(key.p[i + 1]);
}

static void split(struct str key, struct words *w)
{
    if (key.n > LIMIT_KEY)
        key = (struct str){key.p + key.n - LIMIT_KEY, LIMIT_KEY};
    w->p[0] = '.';
    w->n = 1;
    for (size_t i = 0; i < key.n; i++) {
        const char c = key.p[i];
        if (camel(key, i))
            end_word(w);
        if (lower(c) || digit(c))
            w->p[w->n++] = c;
        else if (upper(c))
            w->p[w->n++] = (char)(c - 'A' + 'a');
        else
            end_word(w);
    }
    end_word(w);
}

static bool listed(const char *const *list, size_t n, struct str word)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_of(list[i]), word))
            return true;
    return false;
}

#define LISTED(list, word) listed(list, sizeof list / sizeof *list, word)

static struct str word_after(const struct words *w, size_t dot)
{
    const char *p = w->p + dot + 1;
    const char *end = dot + 1 < w->n ? memchr(p, '.', w->n - dot - 1) : NULL;
    return (struct str){p, end ? (size_t)(end - p) : 0};
}

static struct str word_before(const struct words *w, size_t dot)
{
    size_t from = dot;
    while (from > 0 && w->p[from - 1] != '.')
        from--;
    return (struct str){w->p + from, dot - from};
}

/* What a pattern between two dots says, given the words around it. */
static enum secret_grade in_company(const struct words *w, size_t before, size_t after,
                                    enum secret_grade grade)
{
    if (LISTED(facts_after, word_after(w, after)))
        return GRADE_NONE;
    if (grade == GRADE_TOKEN && LISTED(units_before, word_before(w, before)))
        return GRADE_NONE;
    if (grade == GRADE_DIR && (before > 0 || after + 1 < w->n))
        return GRADE_SECRET;
    return grade;
}

static enum secret_grade grade_whole(const struct secret_keys *k, const struct words *w, size_t dot)
{
    enum secret_grade best = GRADE_NONE;
    const char first = w->p[dot + 1];
    if (!lower(first))
        return best;
    for (size_t i = k->from[first - 'a']; i < k->from[first - 'a' + 1]; i++) {
        const size_t n = strlen(patterns[i].words), after = dot + 1 + n;
        if (after >= w->n || w->p[after] != '.' || memcmp(w->p + dot + 1, patterns[i].words, n))
            continue;
        const enum secret_grade g = in_company(w, dot, after, patterns[i].grade);
        best = g > best ? g : best;
    }
    return best;
}

static enum secret_grade grade_ending(const struct words *w, size_t dot, struct str word)
{
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i].words);
        if (word.n > n && memcmp(word.p + word.n - n, endings[i].words, n) == 0)
            return in_company(w, dot, dot + 1 + word.n, endings[i].grade);
    }
    return GRADE_NONE;
}

static bool has_extra(const struct secret_keys *k, const struct words *w)
{
    for (size_t at = 0; at < k->extra.n; at += strlen(k->extra.p + at) + 1)
        if (memmem(w->p, w->n, k->extra.p + at, strlen(k->extra.p + at)))
            return true;
    return false;
}

static bool is_allowed(const struct secret_keys *k, const struct words *w)
{
    for (size_t at = 0; at < k->allow.n; at += strlen(k->allow.p + at) + 1)
        if (str_eq(str_of(k->allow.p + at), (struct str){w->p, w->n}))
            return true;
    return false;
}

static enum secret_grade grade_of(const struct secret_keys *k, struct str key)
{
    struct words w;
    split(key, &w);
    if (k->allow.n && is_allowed(k, &w))
        return GRADE_NONE;
    enum secret_grade best = k->extra.n && has_extra(k, &w) ? GRADE_SECRET : GRADE_NONE;
    for (size_t dot = 0; dot + 1 < w.n;) {
        const struct str word = word_after(&w, dot);
        const enum secret_grade whole = grade_whole(k, &w, dot);
        const enum secret_grade ending = grade_ending(&w, dot, word);
        best = whole > best ? whole : best;
        best = ending > best ? ending : best;
        dot += 1 + word.n;
    }
    return best;
}

static bool has_letter(struct str key)
{
    for (size_t i = 0; i < key.n; i++)
        if (lower(key.p[i]) || upper(key.p[i]))
            return true;
    return false;
}

enum secret_grade secret_key_grade(const struct secret_keys *k, struct str key)
{
    if (!has_letter(key))
        return GRADE_NONE;
    if (key.n > KNOWN_KEY)
        return grade_of(k, key);
    struct known *known = &k->known[hash_bytes(key.p, key.n, 0) % KNOWN];
    if (known->n != key.n || memcmp(known->key, key.p, key.n) != 0) {
        known->n = (uint8_t)key.n;
        known->grade = (uint8_t)grade_of(k, key);
        memcpy(known->key, key.p, key.n);
    }
    return (enum secret_grade)known->grade;
}

static bool add_keys(struct buf *to, const struct str *keys, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct words w;
        split(keys[i], &w);
        if (w.n < 2)
            continue;
        buf_add(to, w.p, w.n);
        buf_addc(to, '\0');
    }
    return !to->failed;
}

struct secret_keys *secret_keys_new(const struct str *extra, unsigned nextra,
                                    const struct str *allow, unsigned nallow)
{
    struct secret_keys *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    const size_t n = sizeof patterns / sizeof *patterns;
    for (size_t l = 0, i = 0; l <= LETTERS; l++) {
        while (i < n && (size_t)(patterns[i].words[0] - 'a') < l)
            i++;
        k->from[l] = (uint8_t)i;
    }
    buf_init(&k->extra, SIZE_MAX / 2);
    buf_init(&k->allow, SIZE_MAX / 2);
    k->known = calloc(KNOWN, sizeof *k->known);
    if (k->known && add_keys(&k->extra, extra, nextra) && add_keys(&k->allow, allow, nallow))
        return k;
    secret_keys_free(k);
    return NULL;
}

void secret_keys_free(struct secret_keys *k)
{
    if (!k)
        return;
    buf_fini(&k->extra);
    buf_fini(&k->allow);
    free(k->known);
    free(k);
}

/* ---- values ---- */

static const char *const nothings[] = {
    "true", "false",      "null",     "nil",        "none",       "undefined",
    "yes",  "no",         "on",       "off",        "n/a",        "nan",
    "-",    "[redacted]", "redacted", "[filtered]", "<redacted>", "<hidden>",
};

/* ****, xxxx: somebody has been here before us. */
static bool mask(struct str v)
{
    enum { SHORTEST = 3 };
    size_t same = 0;
    while (same < v.n && v.p[same] == v.p[0])
        same++;
    return same == v.n && (v.p[0] == '*' || (v.n >= SHORTEST && strchr("xX.-#?", v.p[0])));
}

static bool nothing(struct str v)
{
    if (v.n == 0 || mask(v))
        return true;
    for (size_t i = 0; i < sizeof nothings / sizeof *nothings; i++)
        if (v.n == strlen(nothings[i]) && strncasecmp(v.p, nothings[i], v.n) == 0)
            return true;
    return false;
}

static bool small_number(struct str v)
{
    enum { DIGITS = 5 };
    size_t n = 0;
    while (n < v.n && digit(v.p[n]))
        n++;
    return n == v.n && n <= DIGITS;
}

static bool looks_path(struct str v)
{
    return v.n > 0 && (v.p[0] == '/' || v.p[0] == '~' || (v.n > 2 && v.p[1] == ':'));
}

bool secret_looks_random(struct str v)
{
    enum { SHORTEST = 12, MIXED = 20 };
    unsigned digits = 0, lowers = 0, uppers = 0;
    if (v.n < SHORTEST)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        const char c = v.p[i];
        digits += digit(c);
        lowers += lower(c);
        uppers += upper(c);
        if (!digit(c) && !lower(c) && !upper(c) && !(c && strchr("+/=_.~-!%", c)))
            return false;
    }
    return (digits && lowers + uppers >= 3) || (v.n >= MIXED && lowers && uppers);
}

bool secret_value(enum secret_grade grade, struct str v)
{
    switch (grade) {
    case GRADE_NONE:
        return false;
    case GRADE_RANDOM:
        return secret_looks_random(v);
    case GRADE_DIR:
        return !nothing(v) && !looks_path(v);
    case GRADE_TOKEN:
        return !nothing(v) && !small_number(v);
    case GRADE_SECRET:
    case GRADE_LINE:
        break;
    }
    return !nothing(v);
}
