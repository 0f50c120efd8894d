#include "cli/emission.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/duration.h"
#include "model/event.h"

static const struct {
    const char *word;
    int operands;
    const char *usage;
} kinds[] = {
#define X(sym, word, operands, usage) {word, operands, usage},
    EMISSION_TABLE(X)
#undef X
};

__attribute__((format(printf, 2, 3))) static int wrong(char why[EMISSION_WHY], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, EMISSION_WHY, fmt, ap);
    va_end(ap);
    return -ERR_SYNTAX;
}

/* ---- numbers ---- */

/* A finite decimal number and nothing else. */
static bool parse_number(const char *text, double *out)
{
    char *end;
    if (!*text || text[strspn(text, "+-.0123456789eE")])
        return false;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

static bool parse_whole(const char *text, uint64_t *out)
{
    if (!*text || text[strspn(text, "0123456789")])
        return false;
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return errno == 0;
}

static int parse_value(struct emission *e, const char *text, char *why)
{
    if (e->kind == EMIT_COUNTER)
        e->whole = parse_whole(text, &e->count);
    if (!e->whole && !parse_number(text, &e->value))
        return wrong(why, "'%s' is not a number", text);
    if (e->kind == EMIT_COUNTER && !e->whole && e->value < 0)
        return wrong(why, "a counter cannot go down by %s", text);
    return 0;
}

/* "0.1,0.5,1": ascending. */
static int parse_bounds(struct emission *e, const char *text, char *why)
{
    char word[64];
    for (;;) {
        const size_t n = strcspn(text, ",");
        if (e->nbounds == LIMIT_BOUNDS)
            return wrong(why, "more than %d buckets", LIMIT_BOUNDS);
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        double *bound = &e->bounds[e->nbounds];
        if (n >= sizeof word || !parse_number(word, bound))
            return wrong(why, "'%s' is not a bucket's bound", word);
        if (e->nbounds > 0 && *bound <= bound[-1])
            return wrong(why, "the buckets do not ascend at %s", word);
        e->nbounds++;
        if (!text[n])
            return 0;
        text += n + 1;
    }
}

/* ---- words ---- */

/* key=value, or key:=value whose value is text although it looks like a number. */
static int parse_pair(struct emission *e, char *word, char *why)
{
    char *equals = strchr(word, '=');
    if (!equals || equals == word || (equals == word + 1 && *word == ':'))
        return wrong(why, "'%s' is not key=value", word);
    if (e->nvalues == LIMIT_ATTRS)
        return wrong(why, "more than %d values", LIMIT_ATTRS);
    const bool forced = equals[-1] == ':';
    struct emission_value *v = &e->values[e->nvalues++];
    equals[forced ? -1 : 0] = '\0';
    v->key = word;
    v->text = equals + 1;
    v->is_number = !forced && parse_number(v->text, &v->number);
    return 0;
}

static int parse_pairs(struct emission *e, int n, char **words, char *why)
{
    for (int i = 0; i < n; i++) {
        const int r = parse_pair(e, words[i], why);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_log(struct emission *e, int n, char **words, char *why)
{
    e->name = NULL;
    e->level = (int)severity_of(str_of(words[0]));
    e->text = words[1];
    if (e->level == 0)
        return wrong(why, "'%s' is not trace, debug, info, warn, error or fatal", words[0]);
    return parse_pairs(e, n - 2, words + 2, why);
}

static int parse_health(struct emission *e, int n, char **words, char *why)
{
    e->level = health_of(str_of(words[1]));
    e->text = n > 2 ? words[2] : NULL;
    if (e->level < 0)
        return wrong(why, "'%s' is not healthy, degraded, unhealthy or unknown", words[1]);
    return n > 3 ? wrong(why, "what is '%s'? A message is one word; quote it", words[3]) : 0;
}

static int parse_span(struct emission *e, int n, char **words, char *why)
{
    uint64_t ns;
    if (duration_parse(words[1], &ns) < 0)
        return wrong(why, "'%s' is not a duration such as 250ms", words[1]);
    e->value = (double)ns / 1e9;
    return parse_pairs(e, n - 2, words + 2, why);
}

static int parse_metric(struct emission *e, int n, char **words, char *why)
{
    int r = parse_value(e, words[1], why);
    if (r == 0 && e->options.buckets)
        r = parse_bounds(e, e->options.buckets, why);
    return r < 0 ? r : parse_pairs(e, n - 2, words + 2, why);
}

static int parse_kind(struct emission *e, int n, char **words, char *why)
{
    e->name = words[0];
    switch (e->kind) {
    case EMIT_EVENT:
        return parse_pairs(e, n - 1, words + 1, why);
    case EMIT_LOG:
        return parse_log(e, n, words, why);
    case EMIT_HEALTH:
        return parse_health(e, n, words, why);
    case EMIT_SPAN:
        return parse_span(e, n, words, why);
    default:
        return parse_metric(e, n, words, why);
    }
}

int emission_parse(struct emission *e, const struct emission_options *o, int nwords, char **words,
                   char why[EMISSION_WHY])
{
    unsigned k = 0;
    if (nwords == 0)
        return wrong(why, "nothing to emit");
    while (k < EMISSION_KINDS && strcmp(words[0], kinds[k].word) != 0)
        k++;
    if (k == EMISSION_KINDS)
        return wrong(why, "'%s' cannot be emitted", words[0]);
    if (nwords - 1 < kinds[k].operands)
        return wrong(why, "wants %s", kinds[k].usage);
    *e = (struct emission){.kind = (enum emission_kind)k, .options = *o};
    return parse_kind(e, nwords - 1, words + 1, why);
}

/* ---- lines ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies a word without its quotes from *from to *to; false for an open quote. */
static bool take_word(char **from, char **to)
{
    char quote = 0;
    const char *p = *from;
    char *q = *to;
    for (; *p && (quote || !is_space(*p)); p++) {
        if (*p == quote)
            quote = 0;
        else if (!quote && (*p == '"' || *p == '\''))
            quote = *p;
        else if (*p == '\\' && quote != '\'' && p[1])
            *q++ = *++p;
        else
            *q++ = *p;
    }
    *from += p - *from;
    *to = q;
    return quote == 0;
}

int emission_split(char *line, char **words, int max)
{
    char *from = line, *to = line;
    int n = 0;
    for (;;) {
        while (is_space(*from))
            from++;
        if (!*from || *from == '#')
            break;
        if (n == max - 1)
            return -ERR_FULL;
        words[n++] = to;
        if (!take_word(&from, &to))
            return -ERR_SYNTAX;
        from += *from != '\0';
        *to++ = '\0';
    }
    words[n] = NULL;
    return n;
}
