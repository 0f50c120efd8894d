#include "pipeline/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/num.h"
#include "model/text.h"

static const double default_bounds[] = RULES_BOUNDS;
_Static_assert(sizeof default_bounds / sizeof *default_bounds == RULES_NBOUNDS, "count them");

/* ---- checking ---- */

static int wrong(char *why, size_t size, const char *line)
{
    snprintf(why, size, "%s", line);
    return -ERR_SYNTAX;
}

static bool is_prefix(struct str event)
{
    return event.n > 0 && event.p[event.n - 1] == '*';
}

static bool event_ok(struct str event)
{
    if (is_prefix(event))
        event.n--;
    return (event.n == 0 || text_name_ok(event)) && !(event.n && memchr(event.p, '*', event.n));
}

/* Names that Prometheus keeps for itself in this kind of metric. */
static bool label_taken(enum metric_kind kind, struct str name)
{
    return (kind == METRIC_HISTOGRAM && str_eq(name, STR("le"))) ||
           (kind == METRIC_SUMMARY && str_eq(name, STR("quantile")));
}

static struct str label_name(const struct rule_label *l)
{
    return l->name.n ? l->name : l->key;
}

static int check_labels(const struct rule *r, char *why, size_t size)
{
    if (r->nlabels > RULES_LABELS)
        return wrong(why, size, "labels: expected 31 at the most");
    for (unsigned i = 0; i < r->nlabels; i++) {
        const struct str name = label_name(&r->labels[i]);
        if (!text_key_ok(name) || !text_key_ok(r->labels[i].key))
            return wrong(why, size,
                         "labels: expected metadata keys: 1 to 128 printable ASCII characters, no "
                         "blank, quote or backslash");
        if (label_taken(r->kind, name))
            return wrong(why, size, "labels: a histogram may not have 'le', a summary 'quantile'");
        for (unsigned j = 0; j < i; j++)
            if (str_eq(name, label_name(&r->labels[j])))
                return wrong(why, size, "labels: the same label twice");
    }
    return 0;
}

static int check_numbers(const struct rule *r, char *why, size_t size)
{
    const bool counts = r->kind == METRIC_COUNTER;
    if (r->measurement.n == 0 && !counts)
        return wrong(why, size, "measurement: only a counter can do without");
    if (r->measurement.n > 0 && !text_key_ok(r->measurement))
        return wrong(why, size, "measurement: expected the name of a measurement");
    if (!isfinite(r->scale) || (counts && r->scale < 0))
        return wrong(why, size, "scale: expected a number; above 0 for a counter");
    if (r->nbounds > 0 && r->kind != METRIC_HISTOGRAM)
        return wrong(why, size, "buckets: only a histogram has them");
    if (r->join != JOIN_LAST && r->kind != METRIC_GAUGE)
        return wrong(why, size, "join: only a gauge has one");
    return 0;
}

static void define(const struct rule *r, struct metric_def *def)
{
    *def = (struct metric_def){
        .name = r->metric,
        .unit = r->unit,
        .help = r->help,
        .kind = r->kind,
        .type = r->kind == METRIC_COUNTER && r->measurement.n == 0 ? VALUE_U64 : VALUE_F64,
        .join = r->join,
    };
    if (r->kind != METRIC_HISTOGRAM)
        return;
    def->nbounds = r->nbounds ? r->nbounds : RULES_NBOUNDS;
    memcpy(def->bounds, r->nbounds ? r->bounds : default_bounds, def->nbounds * sizeof(double));
}

int rules_check(const struct rule *r, char *why, size_t why_size)
{
    struct metric_def def;
    if (!event_ok(r->event) || r->event.n == 0)
        return wrong(why, why_size, "event: expected a name, or the beginning of one and '*'");
    if (!metric_name_ok(r->metric))
        return wrong(
            why, why_size,
            "metric: expected letters, digits and _ . : / -, beginning with a letter or _");
    if (r->kind < METRIC_COUNTER || r->kind > METRIC_SUMMARY)
        return wrong(why, why_size, "kind: expected counter, gauge, histogram or summary");
    if (r->nbounds > LIMIT_BOUNDS)
        return wrong(why, why_size, "buckets: expected 64 at the most");
    const int bad = check_numbers(r, why, why_size);
    if (bad < 0)
        return bad;
    define(r, &def);
    if (!text_utf8(r->unit) || r->unit.n > LIMIT_UNIT || !text_utf8(r->help) ||
        r->help.n > LIMIT_HELP)
        return wrong(why, why_size, "unit, help: expected UTF-8 of at most 63 and 512 bytes");
    if (metric_def_check(&def) < 0)
        return wrong(why, why_size, "buckets: expected ascending numbers");
    return check_labels(r, why, why_size);
}

/* ---- compiling ---- */

struct compiled {
    struct str event; /* without the '*' */
    bool prefix;
    struct metric_def def;
    struct str measurement;
    double scale;
    unsigned nlabels;
    struct rule_label *labels;
    uint32_t next; /* rule + 1 of the same bucket or of the prefixes, in order; 0: none */
};

struct rules {
    size_t n;
    uint32_t mask; /* of the hash table over exact names */
    uint32_t prefixes;
    uint32_t *buckets; /* rule + 1; 0: none */
    struct compiled *rules;
    struct rule_label *labels; /* of all rules */
    char *text;                /* likewise */
};

static size_t text_size(const struct rule *r)
{
    size_t n = r->event.n + r->metric.n + r->measurement.n + r->unit.n + r->help.n;
    for (unsigned i = 0; i < r->nlabels; i++)
        n += r->labels[i].name.n + r->labels[i].key.n;
    return n;
}

static struct str keep(char **at, struct str s)
{
    const struct str kept = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return kept;
}

static void compile(struct compiled *c, const struct rule *r, struct rule_label *labels, char **at)
{
    define(r, &c->def);
    c->def.name = keep(at, r->metric);
    c->def.unit = keep(at, r->unit);
    c->def.help = keep(at, r->help);
    c->event = keep(at, r->event);
    c->prefix = is_prefix(r->event);
    c->event.n -= c->prefix;
    c->measurement = keep(at, r->measurement);
    c->scale = r->scale == 0 ? 1 : r->scale;
    c->nlabels = r->nlabels;
    c->labels = labels;
    for (unsigned i = 0; i < r->nlabels; i++) {
        const struct str key = keep(at, r->labels[i].key);
        labels[i] = (struct rule_label){
            .name = r->labels[i].name.n ? keep(at, r->labels[i].name) : key, .key = key};
    }
}

static uint32_t *bucket(const struct rules *rs, struct str event)
{
    return &rs->buckets[(uint32_t)hash_bytes(event.p, event.n, 0) & rs->mask];
}

/* From the last to the first, so that every list is in the order of the rules. */
static void enter(struct rules *rs)
{
    for (size_t i = rs->n; i-- > 0;) {
        struct compiled *c = &rs->rules[i];
        uint32_t *first = c->prefix ? &rs->prefixes : bucket(rs, c->event);
        c->next = *first;
        *first = (uint32_t)i + 1;
    }
}

static bool allocate(struct rules *rs, const struct rule *rules, size_t n)
{
    size_t text = 1, labels = 1, buckets = 8;
    for (size_t i = 0; i < n; i++) {
        text += text_size(&rules[i]);
        labels += rules[i].nlabels;
    }
    while (buckets < 2 * n)
        buckets *= 2;
    rs->n = n;
    rs->mask = (uint32_t)buckets - 1;
    rs->buckets = calloc(buckets, sizeof *rs->buckets);
    rs->rules = calloc(n + 1, sizeof *rs->rules);
    rs->labels = calloc(labels, sizeof *rs->labels);
    rs->text = malloc(text);
    return rs->buckets && rs->rules && rs->labels && rs->text;
}

struct rules *rules_new(const struct rule *rules, size_t n)
{
    struct rules *rs = calloc(1, sizeof *rs);
    if (!rs || !allocate(rs, rules, n)) {
        rules_free(rs);
        return NULL;
    }
    char *at = rs->text;
    struct rule_label *labels = rs->labels;
    for (size_t i = 0; i < n; i++) {
        compile(&rs->rules[i], &rules[i], labels, &at);
        labels += rules[i].nlabels;
    }
    enter(rs);
    return rs;
}

void rules_free(struct rules *rs)
{
    if (!rs)
        return;
    free(rs->buckets);
    free(rs->rules);
    free(rs->labels);
    free(rs->text);
    free(rs);
}

/* ---- matching ---- */

static const struct attr *find_attr(const struct event *e, struct str key)
{
    for (unsigned i = 0; i < e->nattrs; i++)
        if (str_eq(e->attrs[i].key, key))
            return &e->attrs[i];
    return NULL;
}

static bool find_measure(const struct event *e, struct str key, double *value)
{
    for (unsigned i = 0; i < e->nmeasures; i++) {
        *value = e->measures[i].value;
        if (str_eq(e->measures[i].key, key))
            return true;
    }
    const struct attr *a = find_attr(e, key);
    if (!a || (a->type != ATTR_I64 && a->type != ATTR_F64))
        return false;
    *value = a->type == ATTR_I64 ? (double)a->i : a->d;
    return true;
}

static void fill_labels(const struct compiled *c, const struct event *e, struct rule_update *u,
                        char digits[][NUM_F64_MAX])
{
    u->nlabels = 0;
    for (unsigned i = 0; i < c->nlabels; i++) {
        const struct attr *a = find_attr(e, c->labels[i].key);
        struct str value = {0};
        if (a)
            value = text_cut(attr_text(a, digits[i]), LIMIT_LABEL_VALUE);
        else if (str_eq(c->labels[i].key, STR("event.name")))
            value = e->name;
        if (value.n > 0)
            u->labels[u->nlabels++] = (struct label){c->labels[i].name, value};
    }
}

static void fill_value(const struct compiled *c, const struct event *e, struct rule_update *u)
{
    double value = 0;
    u->bits = 1;
    u->error = 0;
    if (c->measurement.n == 0)
        return;
    if (!find_measure(e, c->measurement, &value)) {
        u->error = -ERR_NOTFOUND;
        return;
    }
    value *= c->scale;
    u->bits = f64_bits(value);
    if (!isfinite(value))
        u->error = -ERR_NOTFINITE;
    else if (value < 0 && c->def.kind == METRIC_COUNTER)
        u->error = -ERR_RANGE;
}

static void emit_one(const struct rules *rs, uint32_t index, const struct event *e,
                     rules_emit *emit, void *arg)
{
    char digits[LIMIT_LABELS][NUM_F64_MAX];
    const struct compiled *c = &rs->rules[index];
    struct rule_update u;
    u.def = &c->def;
    u.index = index;
    fill_value(c, e, &u);
    fill_labels(c, e, &u, digits);
    emit(arg, &u);
}

static bool applies(const struct compiled *c, struct str name)
{
    if (c->prefix)
        return name.n >= c->event.n && memcmp(name.p, c->event.p, c->event.n) == 0;
    return str_eq(c->event, name);
}

/* The next rule + 1 of a list that applies; 0: none. */
static uint32_t next_match(const struct rules *rs, uint32_t at, struct str name)
{
    while (at && !applies(&rs->rules[at - 1], name))
        at = rs->rules[at - 1].next;
    return at;
}

unsigned rules_match(const struct rules *rs, const struct event *e, rules_emit *emit, void *arg)
{
    unsigned matches = 0;
    if (!rs || e->kind != EVENT_NAMED)
        return 0;
    uint32_t exact = next_match(rs, *bucket(rs, e->name), e->name);
    uint32_t prefix = next_match(rs, rs->prefixes, e->name);
    while (exact || prefix) {
        uint32_t *list = exact && (!prefix || exact < prefix) ? &exact : &prefix;
        emit_one(rs, *list - 1, e, emit, arg);
        *list = next_match(rs, rs->rules[*list - 1].next, e->name);
        matches++;
    }
    return matches;
}
