#include "daemon/config_rules.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "daemon/value.h"

/* ---- one rule ---- */

struct rule_reading {
    struct config_rules *all;
    struct rule *rule;
    struct faults *f;
};

static bool bad(struct rule_reading *r, const struct tree_node *n, const char *expected)
{
    if (n->kind == TREE_SCALAR)
        fault_add(r->f, n->at, n->key, "expected %s, not \"%s\"", expected, n->text);
    else
        fault_add(r->f, n->at, n->key, "expected %s, not %s", expected, tree_kind_name(n));
    return false;
}

/* Keeps a text that the rule then borrows. */
static bool keep(struct rule_reading *r, const char *text, struct str *out)
{
    if (!config_list_add(&r->all->texts, text, strlen(text)))
        return false;
    *out = str_of(r->all->texts.items[r->all->texts.n - 1]);
    return true;
}

static bool read_text(struct rule_reading *r, const struct tree_node *n, struct str *out)
{
    return n->kind == TREE_SCALAR ? keep(r, n->text, out) : bad(r, n, "text");
}

static bool read_event(struct rule_reading *r, const struct tree_node *n)
{
    return read_text(r, n, &r->rule->event);
}

static bool read_metric(struct rule_reading *r, const struct tree_node *n)
{
    return read_text(r, n, &r->rule->metric);
}

static bool read_measurement(struct rule_reading *r, const struct tree_node *n)
{
    return read_text(r, n, &r->rule->measurement);
}

static bool read_unit(struct rule_reading *r, const struct tree_node *n)
{
    return read_text(r, n, &r->rule->unit);
}

static bool read_help(struct rule_reading *r, const struct tree_node *n)
{
    return read_text(r, n, &r->rule->help);
}

static bool read_kind(struct rule_reading *r, const struct tree_node *n)
{
    for (enum metric_kind k = METRIC_COUNTER; k <= METRIC_SUMMARY; k++) {
        if (n->kind == TREE_SCALAR && strcmp(n->text, metric_kind_name(k)) == 0) {
            r->rule->kind = k;
            return true;
        }
    }
    return bad(r, n, "counter, gauge, histogram or summary");
}

static bool read_join(struct rule_reading *r, const struct tree_node *n)
{
    static const char *const words[] = {"last", "sum", "min", "max"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (n->kind == TREE_SCALAR && strcmp(n->text, words[i]) == 0) {
            r->rule->join = (enum gauge_join)(JOIN_LAST + i);
            return true;
        }
    }
    return bad(r, n, "last, sum, min or max");
}

static bool read_scale(struct rule_reading *r, const struct tree_node *n)
{
    if (n->kind == TREE_SCALAR && value_f64(n->text, &r->rule->scale))
        return true;
    return bad(r, n, "a number");
}

/* `labels: [key, ...]`, or `labels: {label: key, ...}`. */
static bool read_labels(struct rule_reading *r, const struct tree_node *all)
{
    if (all->kind == TREE_SCALAR)
        return bad(r, all, "a list of keys, or a map from label to key");
    for (const struct tree_node *n = all->down; n; n = n->next) {
        struct rule_label *label = &r->rule->labels[r->rule->nlabels];
        if (n->kind != TREE_SCALAR || r->rule->nlabels == LIMIT_LABELS) {
            fault_add(r->f, n->at, "labels", "expected at most %d keys of the event's metadata",
                      (int)RULES_LABELS);
            return false;
        }
        if (!keep(r, n->text, &label->key) || (n->key && !keep(r, n->key, &label->name)))
            return false;
        r->rule->nlabels++;
    }
    return true;
}

static bool read_buckets(struct rule_reading *r, const struct tree_node *all)
{
    if (all->kind != TREE_LIST)
        return bad(r, all, "a list of numbers");
    for (const struct tree_node *n = all->down; n; n = n->next) {
        if (n->kind != TREE_SCALAR || r->rule->nbounds == LIMIT_BOUNDS ||
            !value_f64(n->text, &r->rule->bounds[r->rule->nbounds])) {
            fault_add(r->f, n->at, "buckets", "expected at most %d numbers", (int)LIMIT_BOUNDS);
            return false;
        }
        r->rule->nbounds++;
    }
    return true;
}

static const struct {
    const char *key;
    bool (*read)(struct rule_reading *r, const struct tree_node *n);
} fields[] = {
    {"event", read_event},     {"metric", read_metric},
    {"kind", read_kind},       {"measurement", read_measurement},
    {"scale", read_scale},     {"labels", read_labels},
    {"buckets", read_buckets}, {"join", read_join},
    {"unit", read_unit},       {"help", read_help},
};

enum { FIELDS = sizeof fields / sizeof *fields };

static bool read_field(struct rule_reading *r, const struct tree_node *n)
{
    const char *names[FIELDS];
    for (unsigned i = 0; i < FIELDS; i++) {
        if (strcmp(n->key, fields[i].key) == 0)
            return fields[i].read(r, n);
        names[i] = fields[i].key;
    }
    const char *near = nearest(n->key, names, FIELDS);
    fault_add(r->f, n->key_at, n->key, "unknown key of a rule%s%s%s", near ? "; did you mean " : "",
              near ? near : "", near ? "?" : "");
    return false;
}

static bool read_rule(struct config_rules *all, struct rule *rule, const struct tree_node *map,
                      struct faults *f)
{
    struct rule_reading r = {.all = all, .rule = rule, .f = f};
    char why[256];
    bool good = true;
    if (map->kind != TREE_MAP) {
        fault_add(f, map->at, "rules", "expected a map, not %s", tree_kind_name(map));
        return false;
    }
    for (const struct tree_node *n = map->down; n; n = n->next)
        good &= read_field(&r, n);
    if (good && rules_check(rule, why, sizeof why) < 0) {
        fault_add(f, map->at, "rules", "%s", why);
        good = false;
    }
    return good;
}

bool config_rules_read(struct config_rules *r, const struct tree_node *all, struct faults *f)
{
    size_t n = r->n;
    for (const struct tree_node *e = all->down; e; e = e->next)
        n++;
    if (n > CONFIG_RULES_MAX) {
        fault_add(f, all->at, "rules", "more than %d rules", CONFIG_RULES_MAX);
        return false;
    }
    struct rule *rules = realloc(r->rules, (n ? n : 1) * sizeof *rules);
    if (!rules)
        return false;
    r->rules = rules;
    bool good = true;
    for (const struct tree_node *e = all->down; e; e = e->next) {
        rules[r->n] = (struct rule){0};
        good &= read_rule(r, &rules[r->n++], e, f);
    }
    return good;
}

/* ---- files ---- */

static const struct tree_node *list_of(const struct tree_node *root)
{
    if (root->kind == TREE_MAP && root->down && !root->down->next &&
        strcmp(root->down->key, "rules") == 0)
        root = root->down;
    return root->kind == TREE_LIST ? root : NULL;
}

static bool read_file(struct config_rules *r, const char *path, struct faults *f)
{
    if (!config_list_add(&r->texts, path, strlen(path)))
        return false;
    const char *name = r->texts.items[r->texts.n - 1];
    struct tree_node *root = tree_read(name, f);
    if (!root)
        return false;
    const struct tree_node *all = list_of(root);
    if (!all)
        fault_add(f, root->at, NULL, "expected a list of rules, or a map with one under \"rules\"");
    bool good = all && config_rules_read(r, all, f);
    tree_free(root);
    return good;
}

/* A relative pattern begins where the file that names it lies. */
static char *absolute(const char *pattern, const char *file)
{
    const char *slash = strrchr(file, '/');
    char *out = NULL;
    if (*pattern == '/' || !slash)
        return strdup(pattern);
    return asprintf(&out, "%.*s/%s", (int)(slash - file), file, pattern) < 0 ? NULL : out;
}

static bool read_pattern(struct config_rules *r, const char *pattern, struct place at,
                         struct faults *f)
{
    glob_t found;
    char *whole = absolute(pattern, at.file);
    if (!whole)
        return false;
    /* Without a match a pattern with * or ? is nothing, a plain path is a fault. */
    int e = glob(whole, strpbrk(whole, "*?[") ? 0 : GLOB_NOCHECK, NULL, &found);
    bool good = e == 0 || e == GLOB_NOMATCH;
    if (!good)
        fault_add(f, at, "rules_files", "%s cannot be searched", whole);
    for (size_t i = 0; e == 0 && i < found.gl_pathc; i++)
        good &= read_file(r, found.gl_pathv[i], f);
    if (e == 0)
        globfree(&found);
    free(whole);
    return good;
}

bool config_rules_files(struct config_rules *r, const struct config_list *patterns, struct place at,
                        struct faults *f)
{
    bool good = true;
    for (size_t i = 0; i < patterns->n; i++)
        good &= read_pattern(r, patterns->items[i], at, f);
    return good;
}

void config_rules_clear(struct config_rules *r)
{
    free(r->rules);
    config_list_clear(&r->texts);
    *r = (struct config_rules){0};
}
