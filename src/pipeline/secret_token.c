#include "pipeline/secret_token.h"

#include <stdbool.h>
#include <strings.h>

#include "pipeline/secret_key.h"

/* What a token is made of after its prefix. */
enum token_set {
    SET_UPPER,  /* A-Z 0-9 */
    SET_ALNUM,  /* A-Z a-z 0-9 */
    SET_WORD,   /* and _ */
    SET_URL,    /* and _ - */
    SET_DOTTED, /* and _ - . */
    SET_BEARER, /* and what RFC 6750 has: _ - . ~ + / = */
};

/* In order of the first byte. A tail that is made of letters and '-' alone is a
 * name ("sk-learn-contrib-project"), so `digit` asks for one. */
static const struct prefix {
    const char *text;
    unsigned char tail; /* bytes that follow at the least */
    unsigned char most; /* 0: any number */
    enum token_set set;
    bool digit;
} prefixes[] = {
    {"ABIA", 16, 16, SET_UPPER, false},
    {"ACCA", 16, 16, SET_UPPER, false},
    {"AGE-SECRET-KEY-1", 20, 0, SET_UPPER, false},
    {"AIza", 30, 0, SET_URL, false},
    {"AKIA", 16, 16, SET_UPPER, false},
    {"ASIA", 16, 16, SET_UPPER, false},
    {"ATATT3", 20, 0, SET_BEARER, false},
    {"ATCTT3", 20, 0, SET_BEARER, false},
    {"CFPAT-", 20, 0, SET_URL, false},
    {"EAAC", 40, 0, SET_ALNUM, true},
    {"FLWSECK", 16, 0, SET_URL, true},
    {"GOCSPX-", 16, 0, SET_URL, false},
    {"LTAI", 16, 0, SET_ALNUM, true},
    {"NRAK-", 20, 0, SET_UPPER, true},
    {"PMAK-", 24, 0, SET_URL, true},
    {"SG.", 20, 0, SET_DOTTED, true},
    {"dapi", 32, 34, SET_URL, true},
    {"dckr_oat_", 16, 0, SET_URL, false},
    {"dckr_pat_", 16, 0, SET_URL, false},
    {"doo_v1_", 20, 0, SET_ALNUM, true},
    {"dop_v1_", 20, 0, SET_ALNUM, true},
    {"dp.pt.", 20, 0, SET_ALNUM, true},
    {"figd_", 20, 0, SET_URL, true},
    {"gho_", 20, 0, SET_WORD, false},
    {"ghp_", 20, 0, SET_WORD, false},
    {"ghr_", 20, 0, SET_WORD, false},
    {"ghs_", 20, 0, SET_WORD, false},
    {"ghu_", 20, 0, SET_WORD, false},
    {"github_pat_", 20, 0, SET_WORD, false},
    {"glagent-", 16, 0, SET_URL, true},
    {"glc_", 24, 0, SET_BEARER, true},
    {"gldt-", 16, 0, SET_URL, true},
    {"glft-", 16, 0, SET_URL, true},
    {"glpat-", 16, 0, SET_DOTTED, false},
    {"glptt-", 16, 0, SET_URL, true},
    {"glrt-", 16, 0, SET_URL, true},
    {"glsa_", 24, 0, SET_WORD, true},
    {"gsk_", 24, 0, SET_ALNUM, true},
    {"hf_", 24, 0, SET_ALNUM, false},
    {"hvb.", 20, 0, SET_URL, true},
    {"hvs.", 20, 0, SET_URL, true},
    {"key-", 32, 32, SET_ALNUM, true},
    {"lin_api_", 20, 0, SET_ALNUM, true},
    {"npm_", 30, 0, SET_ALNUM, false},
    {"ntn_", 30, 0, SET_ALNUM, true},
    {"nvapi-", 30, 0, SET_URL, true},
    {"oy2", 40, 43, SET_ALNUM, true},
    {"phc_", 30, 0, SET_ALNUM, true},
    {"pplx-", 30, 0, SET_ALNUM, true},
    {"pscale_pw_", 20, 0, SET_DOTTED, true},
    {"pypi-", 16, 0, SET_URL, true},
    {"r8_", 30, 0, SET_ALNUM, true},
    {"rk_live_", 16, 0, SET_ALNUM, false},
    {"rk_test_", 16, 0, SET_ALNUM, false},
    {"rubygems_", 32, 0, SET_ALNUM, true},
    {"secret_", 32, 0, SET_ALNUM, true},
    {"shpat_", 24, 0, SET_ALNUM, true},
    {"shpca_", 24, 0, SET_ALNUM, true},
    {"shppa_", 24, 0, SET_ALNUM, true},
    {"shpss_", 24, 0, SET_ALNUM, true},
    {"sk-", 16, 0, SET_URL, true},
    {"sk_live_", 16, 0, SET_ALNUM, false},
    {"sk_test_", 16, 0, SET_ALNUM, false},
    {"sq0atp-", 20, 0, SET_URL, false},
    {"sq0csp-", 30, 0, SET_URL, false},
    {"tvly-", 20, 0, SET_URL, true},
    {"whsec_", 20, 0, SET_BEARER, true},
    {"xai-", 30, 0, SET_ALNUM, true},
    {"xapp-", 20, 0, SET_URL, true},
    {"xkeysib-", 30, 0, SET_URL, true},
    {"xoxa-", 10, 0, SET_URL, true},
    {"xoxb-", 10, 0, SET_URL, true},
    {"xoxe-", 10, 0, SET_URL, true},
    {"xoxe.", 10, 0, SET_DOTTED, true},
    {"xoxo-", 10, 0, SET_URL, true},
    {"xoxp-", 10, 0, SET_URL, true},
    {"xoxr-", 10, 0, SET_URL, true},
    {"xoxs-", 10, 0, SET_URL, true},
    {"ya29.", 20, 0, SET_URL, false},
};

enum { PREFIXES = sizeof prefixes / sizeof *prefixes };

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool in_set(enum token_set set, char c)
{
    if (digit(c) || (c >= 'A' && c <= 'Z'))
        return true;
    if (set == SET_UPPER)
        return false;
    if ((c >= 'a' && c <= 'z') || (c == '_' && set >= SET_WORD) || (c == '-' && set >= SET_URL))
        return true;
    return (c == '.' && set >= SET_DOTTED) || (c && set == SET_BEARER && strchr("~+/=", c));
}

static size_t tail(struct str s, size_t from, enum token_set set)
{
    size_t i = from;
    while (i < s.n && in_set(set, s.p[i]))
        i++;
    return i - from;
}

static bool has_digit(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (digit(s.p[i]))
            return true;
    return false;
}

static void may_start(struct secret_tokens *t, const char *p)
{
    const unsigned h = token_start_hash(p);
    t->starts[h / 8] |= (uint8_t)(1 << h % 8);
}

/* Its first bytes in upper and lower case. */
static void may_start_any_case(struct secret_tokens *t, const char *word)
{
    for (unsigned upper = 0; upper < 1 << TOKEN_START; upper++) {
        char p[TOKEN_START];
        for (unsigned i = 0; i < TOKEN_START; i++)
            p[i] = (char)(upper >> i & 1 ? word[i] - 'a' + 'A' : word[i]);
        may_start(t, p);
    }
}

void secret_tokens_init(struct secret_tokens *t)
{
    *t = (struct secret_tokens){
        .begins = {[':'] = TEXT_LOOK, ['='] = TEXT_LOOK, ['>'] = TEXT_LOOK, ['-'] = TEXT_LOOK}};
    for (unsigned c = '0'; c <= 'z'; c++)
        if (in_set(SET_ALNUM, (char)c))
            t->begins[c] = TEXT_WORD;
    for (size_t i = 0; i < PREFIXES; i++)
        may_start(t, prefixes[i].text);
    may_start(t, "eyJ");
    may_start_any_case(t, "bearer");
    may_start_any_case(t, "basic");
    for (size_t c = 0, i = 0; c < sizeof t->from; c++) {
        while (i < PREFIXES && (size_t)(unsigned char)prefixes[i].text[0] < c)
            i++;
        t->from[c] = (uint8_t)i;
    }
}

static size_t known_prefix(const struct secret_tokens *t, struct str s)
{
    const unsigned char first = (unsigned char)s.p[0];
    if (first >= 0x80)
        return 0;
    for (size_t i = t->from[first]; i < t->from[first + 1]; i++) {
        const struct prefix *p = &prefixes[i];
        const size_t n = strlen(p->text);
        if (s.n < n + p->tail || memcmp(s.p, p->text, n) != 0)
            continue;
        const size_t rest = tail(s, n, p->set);
        if (rest < p->tail || (p->most && rest > p->most))
            continue;
        if (!p->digit || has_digit((struct str){s.p + n, rest}))
            return n + rest;
    }
    return 0;
}

/* header.payload.signature, the first a JSON object in base64: eyJ. A token that
 * is cut short after the payload counts as well. */
static size_t web_token(struct str s)
{
    enum { HEADER = 10, PAYLOAD = 4 };
    if (s.n < HEADER + PAYLOAD || memcmp(s.p, "eyJ", 3) != 0)
        return 0;
    size_t n = tail(s, 0, SET_URL);
    if (n < HEADER || n >= s.n || s.p[n] != '.')
        return 0;
    const size_t payload = tail(s, n + 1, SET_URL);
    return payload < PAYLOAD ? 0 : tail(s, 0, SET_DOTTED);
}

static bool word_is(struct str s, const char *word, size_t n)
{
    return s.n > n + 1 && strncasecmp(s.p, word, n) == 0 && (s.p[n] == ' ' || s.p[n] == '+');
}

static size_t spaces(struct str s, size_t at)
{
    size_t i = at;
    while (i < s.n && (s.p[i] == ' ' || (s.p[i] == '+' && i == at)))
        i++;
    return i;
}

/* Whether words like these are no token: "Bearer authentication", "bearer plants". */
static bool plain_word(struct str scheme, struct str word)
{
    static const char *const words[] = {
        "authentication", "authorization", "credential", "credentials", "format", "header",
        "headers",        "method",        "methods",    "prefix",      "realm",  "required",
        "scheme",         "schemes",       "security",   "support",     "tokens",
    };
    enum { LONG = 24 };
    if (word.n >= LONG || has_digit(word) || strncmp(scheme.p, "Bearer", scheme.n) != 0)
        return word.n < LONG && !has_digit(word);
    while (word.n > 0 && strchr(".,;:=", word.p[word.n - 1]))
        word.n--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (word.n == strlen(words[i]) && strncasecmp(word.p, words[i], word.n) == 0)
            return true;
    return false;
}

static size_t bearer(struct str s, size_t *skip)
{
    enum { WORD = 6, SHORTEST = 6 };
    if (!word_is(s, "bearer", WORD))
        return 0;
    const size_t from = spaces(s, WORD), n = tail(s, from, SET_BEARER);
    if (n < SHORTEST || plain_word((struct str){s.p, WORD}, (struct str){s.p + from, n}))
        return 0;
    *skip = from;
    return from + n;
}

static int base64(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (digit(c))
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : 63;
}

/* Whether the base64 text, without its padding, is printable and has a colon in it. */
static bool user_and_password(struct str s)
{
    unsigned bits = 0, have = 0;
    bool colon = false;
    for (size_t i = 0; i < s.n; i++) {
        bits = (bits << 6 | (unsigned)base64(s.p[i])) & 0xFFFF;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        const unsigned c = bits >> have & 0xFF;
        if (c < ' ' || c == 0x7F)
            return false;
        colon = colon || c == ':';
    }
    return colon;
}

static size_t basic(struct str s, size_t *skip)
{
    enum { WORD = 5, SHORTEST = 4 };
    if (!word_is(s, "basic", WORD))
        return 0;
    const size_t from = spaces(s, WORD), all = tail(s, from, SET_BEARER);
    struct str code = {s.p + from, 0};
    while (code.n < all && (in_set(SET_URL, code.p[code.n]) || strchr("+/", code.p[code.n])))
        code.n++;
    if (code.n < SHORTEST || !user_and_password(code))
        return 0;
    *skip = from;
    return from + all;
}

/* A bot's token: its id, a colon, 35 characters. */
static size_t bot_token(struct str s)
{
    enum { ID_MIN = 8, ID_MAX = 10, REST = 35 };
    size_t id = 0;
    while (id < s.n && digit(s.p[id]))
        id++;
    if (id < ID_MIN || id > ID_MAX || id >= s.n || s.p[id] != ':')
        return 0;
    const size_t n = tail(s, id + 1, SET_URL);
    const struct str rest = {s.p + id + 1, n};
    return n == REST && secret_looks_random(rest) ? id + 1 + n : 0;
}

size_t secret_token(const struct secret_tokens *t, struct str s, size_t *skip,
                    enum secret_rule *rule)
{
    size_t n = 0;
    *skip = 0;
    *rule = RULE_TOKEN_PREFIX;
    if (s.n == 0)
        return 0;
    const char first = s.p[0];
    if (digit(first))
        return bot_token(s);
    if (first == 'B' || first == 'b') {
        n = bearer(s, skip);
        *rule = n ? RULE_BEARER : RULE_BASIC;
        return n ? n : basic(s, skip);
    }
    if (first == 'e' && (n = web_token(s)) > 0)
        *rule = RULE_JWT;
    return n ? n : known_prefix(t, s);
}
