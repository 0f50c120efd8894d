/* figure_json: figures of JSON: reports of `make bench`, of `mcptally bench --json`, and what
 * `mcptally metrics --json` prints. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/figure.h"

static struct str text_of(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}

/* ---- reports of make bench ---- */

static bool take_runs(struct figure *f, const json_t *runs, bool (*add)(struct figure *, double))
{
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        if (json_is_number(run) && !add(f, json_number_value(run)))
            return false;
    }
    return true;
}

static int take_row(struct figures *set, const json_t *row)
{
    const json_t *name = json_object_get(row, "name"), *runs = json_object_get(row, "runs");
    const char *class = json_string_value(json_object_get(row, "class"));
    const char *better = json_string_value(json_object_get(row, "better"));
    if (!json_is_string(name) || !json_is_array(runs) || !class || !better)
        return -ERR_SYNTAX;
    struct figure *f = figures_get(set, text_of(name), text_of(json_object_get(row, "unit")));
    if (!f)
        return -ERR_FULL;
    const int known = figure_class_of(class);
    f->class = known < 0 ? FIGURE_OTHER : (enum figure_class)known;
    f->more_is_better = strcmp(better, "higher") == 0;
    return take_runs(f, runs, figure_add) &&
                   take_runs(f, json_object_get(row, "reference_runs"), figure_add_reference)
               ? 0
               : -ERR_NOMEM;
}

static void add_pair(char *to, const char *key, const json_t *value)
{
    const size_t n = strlen(to);
    if (json_is_string(value))
        snprintf(to + n, FIGURE_TEXT - n, "%s%s %s", n ? ", " : "", key, json_string_value(value));
    else if (json_is_integer(value))
        snprintf(to + n, FIGURE_TEXT - n, "%s%s %lld", n ? ", " : "", key,
                 (long long)json_integer_value(value));
}

/* What names the machine: not its load, which differs each time. */
static void take_machine(struct figures *set, const json_t *doc)
{
    static const char *const keys[] = {"cpu", "cores", "kernel"};
    const json_t *machine = json_object_get(doc, "machine");
    const json_t *versions = json_object_get(doc, "versions");
    const char *key;
    json_t *value;
    set->made_on[0] = set->made_by[0] = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        add_pair(set->made_on, keys[i], json_object_get(machine, keys[i]));
    json_object_foreach((json_t *)(uintptr_t)versions, key, value)
        add_pair(set->made_by, key, value);
}

int figures_of_bench(struct figures *set, const void *json)
{
    const json_t *rows = json_object_get(json, "rows");
    int r = 0;
    take_machine(set, json);
    for (size_t i = 0; i < json_array_size(rows) && r == 0; i++)
        r = take_row(set, json_array_get(rows, i));
    return r;
}

/* ---- of mcptally bench ---- */

static const struct {
    const char *key, *unit;
    enum figure_class class;
    bool per_item;
} loads[] = {
    {"items_per_second", "1/s", FIGURE_THROUGHPUT, false},
    {"nanoseconds_per_call", "ns", FIGURE_LATENCY, false},
    {"cpu_seconds", "s/item", FIGURE_RESOURCES, true},
    {"daemon_cpu_seconds", "s/item", FIGURE_RESOURCES, true},
    {"rejected", "", FIGURE_ERRORS, false},
    {"lost", "", FIGURE_ERRORS, false},
};

int figures_of_load(struct figures *set, const void *json)
{
    const double items = json_number_value(json_object_get(json, "acknowledged"));
    const char *kind = json_string_value(json_object_get(json, "kind"));
    char name[FIGURE_TEXT];
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        const json_t *value = json_object_get(json, loads[i].key);
        if (!json_is_number(value) || (loads[i].per_item && !(items > 0)))
            continue;
        snprintf(name, sizeof name, "%s{kind=\"%s\"}", loads[i].key, kind ? kind : "");
        struct figure *f = figures_get(set, str_of(name), str_of(loads[i].unit));
        if (!f)
            return -ERR_FULL;
        f->class = loads[i].class;
        f->more_is_better = f->class == FIGURE_THROUGHPUT;
        f->counts = f->class == FIGURE_ERRORS;
        if (!figure_add(f, json_number_value(value) / (loads[i].per_item ? items : 1)))
            return -ERR_NOMEM;
    }
    return 0;
}

/* ---- exports of metrics ---- */

static int name_series(struct figure_name *name, struct str metric, const json_t *series)
{
    const json_t *labels = json_object_get(series, "labels");
    const char *key;
    json_t *value;
    *name = (struct figure_name){.metric = metric};
    json_object_foreach((json_t *)(uintptr_t)labels, key, value)
    {
        if (!json_is_string(value) || name->n == FIGURE_LABELS)
            return -ERR_SYNTAX;
        name->labels[name->n++] = (struct figure_label){str_of(key), text_of(value)};
    }
    return 0;
}

static int take_value(struct figures *set, struct figure_name *name, struct str unit, bool counts,
                      double v)
{
    const struct str key = figure_name(name);
    struct figure *f = key.n ? figures_get(set, key, unit) : NULL;
    if (!f)
        return key.n ? -ERR_FULL : -ERR_SYNTAX;
    f->counts = counts;
    if (f->n == 0)
        figure_classify(f);
    return figure_add(f, v) ? 0 : -ERR_NOMEM;
}

static int take_buckets(struct figure *f, const json_t *buckets)
{
    double before = 0;
    for (size_t i = 0; i < json_array_size(buckets); i++) {
        const json_t *b = json_array_get(buckets, i), *le = json_object_get(b, "le");
        const double bound = json_is_number(le) ? json_number_value(le) : (double)INFINITY;
        const double counted = json_number_value(json_object_get(b, "count"));
        if (!figure_add_bucket(f, i, bound, counted - before))
            return -ERR_SYNTAX;
        before = counted;
    }
    figure_classify(f);
    return 0;
}

/* A histogram's buckets, and how many there were as a figure of its own. */
static int take_distribution(struct figures *set, struct figure_name *name, struct str unit,
                             const json_t *series)
{
    char metric[FIGURE_TEXT];
    const json_t *buckets = json_object_get(series, "buckets");
    if (json_array_size(buckets) > 0) {
        const struct str key = figure_name(name);
        struct figure *f = key.n ? figures_get(set, key, unit) : NULL;
        const int r = f ? take_buckets(f, buckets) : -ERR_FULL;
        if (r < 0)
            return r;
    }
    snprintf(metric, sizeof metric, "%.*s_count", STR_ARG(name->metric));
    name->metric = str_of(metric);
    return take_value(set, name, STR(""), true,
                      json_number_value(json_object_get(series, "count")));
}

static int take_series(struct figures *set, const json_t *metric, const json_t *series)
{
    struct figure_name *name = malloc(sizeof *name);
    const struct str unit = text_of(json_object_get(metric, "unit"));
    const char *kind = json_string_value(json_object_get(metric, "kind"));
    const json_t *value = json_object_get(series, "value");
    int r =
        name ? name_series(name, text_of(json_object_get(metric, "family")), series) : -ERR_NOMEM;
    if (r == 0 && name->metric.n == 0)
        r = -ERR_SYNTAX;
    else if (r == 0 && json_is_number(value))
        r = take_value(set, name, unit, kind && strcmp(kind, "counter") == 0,
                       json_number_value(value));
    else if (r == 0 && json_object_get(series, "count"))
        r = take_distribution(set, name, unit, series);
    free(name);
    return r;
}

int figures_of_metrics(struct figures *set, const void *json)
{
    const json_t *metrics = json_object_get(json, "metrics");
    int r = 0;
    for (size_t i = 0; i < json_array_size(metrics) && r == 0; i++) {
        const json_t *metric = json_array_get(metrics, i);
        const json_t *series = json_object_get(metric, "series");
        for (size_t j = 0; j < json_array_size(series) && r == 0; j++)
            r = take_series(set, metric, json_array_get(series, j));
    }
    return r;
}
