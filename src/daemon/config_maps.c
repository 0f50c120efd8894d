#include "daemon/config_maps.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "daemon/value.h"

/* A key of a map and what reads its value into the entry in hand. */
struct map_key {
    const char *name;
    bool (*read)(void *entry, struct config_list *texts, const struct tree_node *n,
                 struct faults *f);
};

static bool keep(struct config_list *texts, const struct tree_node *n, struct str *out)
{
    if (!config_list_add(texts, n->text, strlen(n->text)))
        return false;
    *out = str_of(texts->items[texts->n - 1]);
    return true;
}

static bool unknown(const struct tree_node *n, const char *list, const struct map_key *keys,
                    size_t nkeys, struct faults *f)
{
    const char *names[16];
    for (size_t i = 0; i < nkeys; i++)
        names[i] = keys[i].name;
    const char *near = nearest(n->key, names, nkeys);
    fault_add(f, n->key_at, list, "unknown key \"%s\"%s%s%s", n->key, near ? "; did you mean " : "",
              near ? near : "", near ? "?" : "");
    return false;
}

static bool read_map(void *entry, struct config_list *texts, const struct tree_node *map,
                     const char *list, const struct map_key *keys, size_t nkeys, struct faults *f)
{
    bool good = true;
    if (map->kind != TREE_MAP) {
        fault_add(f, map->at, list, "expected a map, not %s", tree_kind_name(map));
        return false;
    }
    for (const struct tree_node *n = map->down; n; n = n->next) {
        size_t i = 0;
        while (i < nkeys && strcmp(keys[i].name, n->key) != 0)
            i++;
        if (i == nkeys) {
            good = unknown(n, list, keys, nkeys, f);
        } else if (n->kind != TREE_SCALAR) {
            fault_add(f, n->at, list, "expected a text for %s, not %s", n->key, tree_kind_name(n));
            good = false;
        } else if (!keys[i].read(entry, texts, n, f)) {
            good = false;
        }
    }
    return good;
}

static size_t length(const struct tree_node *all)
{
    size_t n = 0;
    for (const struct tree_node *e = all->down; e; e = e->next)
        n++;
    return n;
}

/* ---- sampling.rules ---- */

#define SAMPLES "sampling.rules"

static bool star_inside(struct str s)
{
    const char *star = s.n ? memchr(s.p, '*', s.n) : NULL;
    return star && star != s.p + s.n - 1;
}

static bool read_match(struct config_list *texts, const struct tree_node *n, struct str *out,
                       struct faults *f)
{
    if (!keep(texts, n, out))
        return false;
    if (out->n > 0 && !star_inside(*out))
        return true;
    fault_add(f, n->at, SAMPLES, "expected for %s a text, or the beginning of one and '*'", n->key);
    return false;
}

static bool read_name(void *entry, struct config_list *texts, const struct tree_node *n,
                      struct faults *f)
{
    return read_match(texts, n, &((struct sample_rule *)entry)->name, f);
}

static bool read_service(void *entry, struct config_list *texts, const struct tree_node *n,
                         struct faults *f)
{
    return read_match(texts, n, &((struct sample_rule *)entry)->service, f);
}

static bool read_value(void *entry, struct config_list *texts, const struct tree_node *n,
                       struct faults *f)
{
    return read_match(texts, n, &((struct sample_rule *)entry)->value, f);
}

static bool read_attribute(void *entry, struct config_list *texts, const struct tree_node *n,
                           struct faults *f)
{
    struct sample_rule *r = entry;
    if (!keep(texts, n, &r->key))
        return false;
    if (r->key.n > 0 && r->key.n <= LIMIT_KEY)
        return true;
    fault_add(f, n->at, SAMPLES, "expected for attribute a key of 1 to %d bytes", (int)LIMIT_KEY);
    return false;
}

static bool read_domain(void *entry, struct config_list *texts, const struct tree_node *n,
                        struct faults *f)
{
    uint64_t v;
    (void)texts;
    if (!value_count(n->text, &v) || v >= DOMAINS_MAX) {
        fault_add(f, n->at, SAMPLES, "expected for domain a whole number up to %d, not \"%s\"",
                  DOMAINS_MAX - 1, n->text);
        return false;
    }
    ((struct sample_rule *)entry)->domain = (int)v;
    return true;
}

static bool read_tier(void *entry, struct config_list *texts, const struct tree_node *n,
                      struct faults *f)
{
    const int tier = sample_tier_of(str_of(n->text));
    (void)texts;
    if (tier < 0) {
        fault_add(f, n->at, SAMPLES, "expected for tier critical, normal or debug, not \"%s\"",
                  n->text);
        return false;
    }
    ((struct sample_rule *)entry)->tier = (enum sample_tier)tier;
    return true;
}

static const struct map_key sample_keys[] = {
    {"name", read_name},       {"attribute", read_attribute}, {"value", read_value},
    {"service", read_service}, {"domain", read_domain},       {"tier", read_tier},
};

static bool read_sample(struct config_samples *s, const struct tree_node *map, struct faults *f)
{
    struct sample_rule *r = &s->rules[s->n++];
    *r = (struct sample_rule){.domain = -1, .tier = TIER_MAX};
    if (!read_map(r, &s->texts, map, SAMPLES, sample_keys, sizeof sample_keys / sizeof *sample_keys,
                  f))
        return false;
    const bool names = r->name.n || r->key.n || r->service.n || r->domain >= 0;
    if (r->tier < TIER_MAX && names && (r->key.n || !r->value.n))
        return true;
    fault_add(f, map->at, SAMPLES,
              "expected tier, and at least one of name, attribute, service and domain; value "
              "goes with attribute");
    return false;
}

bool config_samples_read(struct config_samples *s, const struct tree_node *all, struct faults *f)
{
    const size_t n = length(all);
    config_samples_clear(s);
    if (n > CONFIG_SAMPLES_MAX) {
        fault_add(f, all->at, SAMPLES, "more than %d rules", CONFIG_SAMPLES_MAX);
        return false;
    }
    s->rules = calloc(n ? n : 1, sizeof *s->rules);
    bool good = s->rules != NULL;
    for (const struct tree_node *e = all->down; s->rules && e; e = e->next)
        good = read_sample(s, e, f) && good;
    return good;
}

void config_samples_clear(struct config_samples *s)
{
    free(s->rules);
    config_list_clear(&s->texts);
    *s = (struct config_samples){0};
}

/* ---- redaction.patterns ---- */

#define PATTERNS "redaction.patterns"

struct pattern {
    struct str name, expression;
};

static bool read_pattern_name(void *entry, struct config_list *texts, const struct tree_node *n,
                              struct faults *f)
{
    (void)f;
    return keep(texts, n, &((struct pattern *)entry)->name);
}

static bool read_expression(void *entry, struct config_list *texts, const struct tree_node *n,
                            struct faults *f)
{
    struct str *out = &((struct pattern *)entry)->expression;
    char why[256];
    if (!keep(texts, n, out))
        return false;
    if (redact_pattern_check(*out, why, sizeof why) == 0)
        return true;
    fault_add(f, n->at, PATTERNS, "%s", why);
    return false;
}

static const struct map_key pattern_keys[] = {
    {"name", read_pattern_name},
    {"pattern", read_expression},
};

static bool read_pattern(struct config_patterns *p, const struct tree_node *map, struct faults *f)
{
    struct pattern e = {0};
    if (!read_map(&e, &p->texts, map, PATTERNS, pattern_keys,
                  sizeof pattern_keys / sizeof *pattern_keys, f))
        return false;
    if (e.name.n && e.expression.n) {
        p->expressions[p->n++] = e.expression;
        return true;
    }
    fault_add(f, map->at, PATTERNS, "expected name and pattern");
    return false;
}

bool config_patterns_read(struct config_patterns *p, const struct tree_node *all, struct faults *f)
{
    config_patterns_clear(p);
    if (length(all) > REDACT_PATTERNS) {
        fault_add(f, all->at, PATTERNS, "more than %d patterns", (int)REDACT_PATTERNS);
        return false;
    }
    bool good = true;
    for (const struct tree_node *e = all->down; e; e = e->next)
        good = read_pattern(p, e, f) && good;
    return good;
}

void config_patterns_clear(struct config_patterns *p)
{
    config_list_clear(&p->texts);
    *p = (struct config_patterns){0};
}
