#include "pipeline/sample_rules.h"

#include <stdlib.h>

#include "base/num.h"

static const struct str forcing[] = {{"sampling.priority", 17}, {"mcptally.keep", 13}};
enum { FORCING = sizeof forcing / sizeof *forcing };

struct sample_rules {
    unsigned n, nkeys;
    struct sample_rule *rules;
    struct str *keys; /* of the rules that name one, and those that force */
    char *text;
};

static size_t text_size(const struct sample_rule *r)
{
    return r->name.n + r->key.n + r->value.n + r->service.n;
}

static void keep(char **at, struct str *s)
{
    if (s->n)
        memcpy(*at, s->p, s->n);
    s->p = *at;
    *at += s->n;
}

struct sample_rules *sample_rules_new(const struct sample_rule *rules, unsigned n)
{
    size_t text = 1;
    struct sample_rules *r = calloc(1, sizeof *r);
    for (unsigned i = 0; i < n; i++)
        text += text_size(&rules[i]);
    if (r) {
        r->n = n;
        r->rules = calloc(n ? n : 1, sizeof *r->rules);
        r->keys = calloc(n + FORCING, sizeof *r->keys);
        r->text = malloc(text);
    }
    if (!r || !r->rules || !r->keys || !r->text) {
        sample_rules_free(r);
        return NULL;
    }
    char *at = r->text;
    for (unsigned i = 0; i < n; i++) {
        r->rules[i] = rules[i];
        keep(&at, &r->rules[i].name);
        keep(&at, &r->rules[i].key);
        keep(&at, &r->rules[i].value);
        keep(&at, &r->rules[i].service);
        if (r->rules[i].key.n > 0)
            r->keys[r->nkeys++] = r->rules[i].key;
    }
    for (unsigned i = 0; i < FORCING; i++)
        r->keys[r->nkeys++] = forcing[i];
    return r;
}

const struct str *sample_rules_keys(const struct sample_rules *r, unsigned *n)
{
    *n = r->nkeys;
    return r->keys;
}

void sample_rules_free(struct sample_rules *r)
{
    if (!r)
        return;
    free(r->rules);
    free(r->keys);
    free(r->text);
    free(r);
}

/* ---- matching ---- */

/* An empty pattern takes anything, one with '*' at its end what begins so. */
static bool takes(struct str pattern, struct str s)
{
    if (pattern.n == 0)
        return true;
    if (pattern.p[pattern.n - 1] != '*')
        return str_eq(pattern, s);
    pattern.n--;
    return s.n >= pattern.n && memcmp(s.p, pattern.p, pattern.n) == 0;
}

static bool has_attr(const struct event *e, struct str key, struct str value)
{
    char digits[NUM_F64_MAX];
    for (unsigned i = 0; i < e->nattrs; i++)
        if (str_eq(e->attrs[i].key, key) && takes(value, attr_text(&e->attrs[i], digits)))
            return true;
    return false;
}

enum sample_tier sample_rules_match(const struct sample_rules *r, const struct sample_span *span)
{
    for (unsigned i = 0; i < r->n; i++) {
        const struct sample_rule *p = &r->rules[i];
        if ((p->domain < 0 || (unsigned)p->domain == span->domain) &&
            takes(p->service, span->service) && takes(p->name, span->event->name) &&
            (p->key.n == 0 || has_attr(span->event, p->key, p->value)))
            return p->tier;
    }
    return TIER_MAX;
}

static bool positive(const struct attr *a)
{
    return a->type == ATTR_I64   ? a->i >= 1
           : a->type == ATTR_F64 ? a->d >= 1
                                 : a->type == ATTR_STRING && str_eq(a->s, STR("1"));
}

static bool yes(const struct attr *a)
{
    return a->type == ATTR_BOOL ? a->i != 0 : a->type == ATTR_STRING && str_eq(a->s, STR("true"));
}

bool sample_forced(const struct event *e)
{
    for (unsigned i = 0; i < e->nattrs; i++) {
        const struct attr *a = &e->attrs[i];
        if ((str_eq(a->key, forcing[0]) && positive(a)) || (str_eq(a->key, forcing[1]) && yes(a)))
            return true;
    }
    return false;
}
