#include "daemon/config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "daemon/value.h"
#include "serve/listen.h"

/* ---- the table as data ---- */

static const struct config_row rows[CONFIG_KEYS] = {
#define X(type, field, key, dflt, least, most, when, help)                                         \
    {key, CONFIG_##type, CONFIG_##when, offsetof(struct config, field), dflt, least, most, help},
    CONFIG_TABLE(X)
#undef X
};

static const char *const expected[] = {
#define X(type, text) text,
    CONFIG_TYPE_TABLE(X)
#undef X
};

const struct config_row *config_row(enum config_key key)
{
    return &rows[key];
}

const char *config_expected(enum config_type type)
{
    return expected[type];
}

static void *field_of(struct config *c, const struct config_row *row)
{
    return (char *)c + row->offset;
}

static enum config_key key_of(const struct config_row *row)
{
    return (enum config_key)(row - rows);
}

/* ---- scalars ---- */

static bool in_range(const struct config_row *row, uint64_t v, struct faults *f, struct place at)
{
    if ((row->least == 0 && row->most == 0) || (v >= row->least && v <= row->most))
        return true;
    struct buf range;
    buf_init(&range, 128);
    void (*print)(struct buf *, uint64_t) = row->type == CONFIG_SIZE       ? value_print_size
                                            : row->type == CONFIG_DURATION ? value_print_duration
                                                                           : buf_addu;
    print(&range, row->least);
    buf_adds(&range, " to ");
    print(&range, row->most);
    fault_add(f, at, row->key, "expected a value in the range %.*s", STR_ARG(buf_str(&range)));
    buf_fini(&range);
    return false;
}

static bool set_number(struct config *c, const struct config_row *row, const char *text,
                       struct faults *f, struct place at)
{
    static bool (*const parsers[])(const char *, uint64_t *) = {
        [CONFIG_COUNT] = value_count,       [CONFIG_SIZE] = value_size,
        [CONFIG_DURATION] = value_duration, [CONFIG_MODE] = value_mode,
        [CONFIG_LEVEL] = value_level,       [CONFIG_METRICS] = value_metrics,
        [CONFIG_FORMAT] = value_format,
    };
    uint64_t v;
    if (!parsers[row->type](text, &v)) {
        fault_add(f, at, row->key, "expected %s, not \"%s\"", expected[row->type], text);
        return false;
    }
    if (row->type == CONFIG_MODE && v > row->most) {
        fault_add(f, at, row->key, "expected a mode of at most 0%" PRIo64, row->most);
        return false;
    }
    if (row->type != CONFIG_MODE && !in_range(row, v, f, at))
        return false;
    *(uint64_t *)field_of(c, row) = v;
    return true;
}

static bool set_ratio(struct config *c, const struct config_row *row, const char *text,
                      struct faults *f, struct place at)
{
    double v;
    if (!value_ratio(text, &v)) {
        fault_add(f, at, row->key, "expected %s, not \"%s\"", expected[row->type], text);
        return false;
    }
    if (v * 100 < (double)row->least || v * 100 > (double)row->most) {
        fault_add(f, at, row->key, "expected a value in the range %" PRIu64 "%% to %" PRIu64 "%%",
                  row->least, row->most);
        return false;
    }
    *(double *)field_of(c, row) = v;
    return true;
}

static bool set_text(struct config *c, const struct config_row *row, const char *text,
                     struct faults *f, struct place at)
{
    if (row->type == CONFIG_ADDRESS && !value_off(text) && !listen_address_ok(text)) {
        fault_add(f, at, row->key, "expected %s, not \"%s\"", expected[row->type], text);
        return false;
    }
    char *copy = strdup(text);
    if (!copy) {
        fault_memory(f, at, row->key);
        return false;
    }
    char **field = field_of(c, row);
    free(*field);
    *field = copy;
    return true;
}

static bool set_scalar(struct config *c, const struct config_row *row, const char *text,
                       struct faults *f, struct place at)
{
    switch (row->type) {
    case CONFIG_BOOL:
        if (value_bool(text, field_of(c, row)))
            return true;
        fault_add(f, at, row->key, "expected %s, not \"%s\"", expected[row->type], text);
        return false;
    case CONFIG_RATIO:
        return set_ratio(c, row, text, f, at);
    case CONFIG_TEXT:
    case CONFIG_PATH:
    case CONFIG_ADDRESS:
        return set_text(c, row, text, f, at);
    default:
        return set_number(c, row, text, f, at);
    }
}

static bool is_scalar(const struct config_row *row)
{
    return row->type != CONFIG_LIST && row->type != CONFIG_MAPPING && row->type != CONFIG_RULES &&
           row->type != CONFIG_SAMPLES && row->type != CONFIG_PATTERNS &&
           row->type != CONFIG_DESTINATIONS && row->type != CONFIG_CHECKS &&
           row->type != CONFIG_ACTIONS;
}

/* ---- from a tree ---- */

struct reading {
    struct config *c;
    struct faults *f;
    bool good;
};

static const struct config_row *find_row(const char *key)
{
    for (int i = 0; i < CONFIG_KEYS; i++)
        if (strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

/* Whether keys begin with "section.". */
static bool is_section(const char *section)
{
    size_t n = strlen(section);
    for (int i = 0; i < CONFIG_KEYS; i++)
        if (strncmp(rows[i].key, section, n) == 0 && rows[i].key[n] == '.')
            return true;
    return false;
}

/* A key may be near to a key, or to the section of one. */
static void unknown_key(struct faults *f, struct place at, const char *key)
{
    char sections[CONFIG_KEYS][32];
    const char *names[2 * CONFIG_KEYS];
    for (int i = 0; i < CONFIG_KEYS; i++) {
        size_t n = strcspn(rows[i].key, ".");
        snprintf(sections[i], sizeof sections[i], "%.*s", (int)n, rows[i].key);
        names[i] = rows[i].key;
        names[CONFIG_KEYS + i] = sections[i];
    }
    const char *near = nearest(key, names, 2 * CONFIG_KEYS);
    if (near)
        fault_add(f, at, key, "unknown key; did you mean %s?", near);
    else
        fault_add(f, at, key, "unknown key; mcptallyd.yaml(5) lists them all");
}

static bool claim(struct reading *r, const struct config_row *row, struct place at)
{
    struct place *set_at = &r->c->set_at[key_of(row)];
    if (set_at->line && set_at->file == at.file) {
        fault_add(r->f, at, row->key, "the key is there twice, first in line %u", set_at->line);
        return false;
    }
    *set_at = at;
    return true;
}

static bool read_collection_key(struct reading *r, const struct config_row *row,
                                const struct tree_node *n)
{
    static const struct tree_node none = {.kind = TREE_LIST};
    if (tree_null(n))
        n = &none;
    if (n->kind != TREE_LIST) {
        fault_add(r->f, n->at, row->key, "expected %s, not %s", expected[row->type],
                  tree_kind_name(n));
        return false;
    }
    void *field = field_of(r->c, row);
    if (row->type == CONFIG_MAPPING)
        return config_mapping_read(field, n, r->f);
    if (row->type == CONFIG_RULES)
        return config_rules_read(field, n, r->f);
    if (row->type == CONFIG_SAMPLES)
        return config_samples_read(field, n, r->f);
    if (row->type == CONFIG_PATTERNS)
        return config_patterns_read(field, n, r->f);
    if (row->type == CONFIG_DESTINATIONS)
        return config_destinations_read(field, n, r->f);
    if (row->type == CONFIG_CHECKS)
        return config_checks_read(field, n, r->f);
    if (row->type == CONFIG_ACTIONS)
        return config_actions_read(field, n, r->f);
    return config_list_read(field, row->key, n, r->f);
}

static bool read_key(struct reading *r, const struct config_row *row, const struct tree_node *n)
{
    if (!claim(r, row, n->key_at))
        return false;
    if (!is_scalar(row))
        return read_collection_key(r, row, n);
    if (n->kind != TREE_SCALAR) {
        fault_add(r->f, n->at, row->key, "expected %s, not %s", expected[row->type],
                  tree_kind_name(n));
        return false;
    }
    return set_scalar(r->c, row, tree_null(n) ? "" : n->text, r->f, n->at);
}

static void read_map(struct reading *r, const struct tree_node *map, const char *prefix)
{
    for (const struct tree_node *n = map->down; n; n = n->next) {
        char key[256];
        snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", n->key);
        const struct config_row *row = find_row(key);
        if (row) {
            r->good &= read_key(r, row, n);
        } else if (!is_section(key)) {
            unknown_key(r->f, n->key_at, key);
            r->good = false;
        } else if (n->kind == TREE_MAP) {
            read_map(r, n, key);
        } else if (!tree_null(n)) {
            fault_add(r->f, n->at, key, "expected a map of its keys, not %s", tree_kind_name(n));
            r->good = false;
        }
    }
}

static bool read_tree(struct config *c, const char *file, struct tree_node *root, struct faults *f)
{
    struct reading r = {.c = c, .f = f, .good = root != NULL};
    if (root && root->kind == TREE_MAP) {
        read_map(&r, root, "");
    } else if (root && !tree_null(root)) {
        fault_add(f, (struct place){file, 1, 1}, NULL, "expected a map of keys, not %s",
                  tree_kind_name(root));
        r.good = false;
    }
    tree_free(root);
    return r.good;
}

bool config_read(struct config *c, const char *file, struct faults *f)
{
    return read_tree(c, file, tree_read(file, f), f);
}

bool config_parse(struct config *c, const char *file, const void *text, size_t n, struct faults *f)
{
    return read_tree(c, file, tree_parse(file, text, n, f), f);
}

/* ---- overrides ---- */

bool config_override(struct config *c, const char *assignment, struct faults *f)
{
    const struct place at = {.file = "-o"};
    const char *equals = strchr(assignment, '=');
    char key[256];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(assignment, "="), assignment);
    if (!equals) {
        fault_add(f, at, key, "expected key=value");
        return false;
    }
    const struct config_row *row = find_row(key);
    if (!row) {
        unknown_key(f, at, key);
        return false;
    }
    c->set_at[key_of(row)] = at;
    if (is_scalar(row))
        return set_scalar(c, row, equals + 1, f, at);
    if (row->type == CONFIG_DESTINATIONS)
        return config_destinations_parse(field_of(c, row), at.file, equals + 1, f);
    if (row->type == CONFIG_LIST && config_list_split(field_of(c, row), equals + 1))
        return true;
    if (row->type == CONFIG_LIST)
        fault_memory(f, at, key);
    else
        fault_add(f, at, key, "can only be set in a file");
    return false;
}

/* ---- as a whole ---- */

bool config_init(struct config *c, struct faults *f)
{
    *c = (struct config){0};
    bool good = true;
    for (int i = 0; i < CONFIG_KEYS && good; i++)
        if (is_scalar(&rows[i]))
            good = set_scalar(c, &rows[i], rows[i].dflt, f, (struct place){.file = "default"});
    return good;
}

static void clear_field(struct config *c, const struct config_row *row)
{
    void *field = field_of(c, row);
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_PATH:
    case CONFIG_ADDRESS:
        free(*(char **)field);
        break;
    case CONFIG_LIST:
        config_list_clear(field);
        break;
    case CONFIG_MAPPING:
        config_mapping_clear(field);
        break;
    case CONFIG_RULES:
        config_rules_clear(field);
        break;
    case CONFIG_SAMPLES:
        config_samples_clear(field);
        break;
    case CONFIG_PATTERNS:
        config_patterns_clear(field);
        break;
    case CONFIG_DESTINATIONS:
        config_destinations_clear(field);
        break;
    case CONFIG_CHECKS:
        config_checks_clear(field);
        break;
    case CONFIG_ACTIONS:
        config_actions_clear(field);
        break;
    default:
        break;
    }
}

void config_fini(struct config *c)
{
    for (int i = 0; i < CONFIG_KEYS; i++)
        clear_field(c, &rows[i]);
    *c = (struct config){0};
}

/* The place that an error in a key is best shown at. */
static struct place where_set(const struct config *c, enum config_key key)
{
    struct place at = c->set_at[key];
    return at.file ? at : (struct place){.file = "default"};
}

static bool domains_exist(const struct config *c, struct faults *f)
{
    for (size_t i = 0; i < c->domains_mapping.n; i++) {
        if (c->domains_mapping.entries[i].domain < c->domains_count)
            continue;
        fault_add(f, where_set(c, KEY_domains_mapping), "domains.mapping",
                  "entry %zu names domain %u, but domains.count is %" PRIu64, i + 1,
                  c->domains_mapping.entries[i].domain, c->domains_count);
        return false;
    }
    return true;
}

static bool are_ids(const struct config *c, enum config_key key, const struct config_list *list,
                    struct faults *f)
{
    for (size_t i = 0; i < list->n; i++) {
        uint64_t id;
        if (value_count(list->items[i], &id) && id < UINT32_MAX)
            continue;
        fault_add(f, where_set(c, key), rows[key].key, "expected %cids, not \"%s\"",
                  key == KEY_control_admin_gids || key == KEY_socket_allow_gids ? 'g' : 'u',
                  list->items[i]);
        return false;
    }
    return true;
}

static bool rules_off_exist(const struct config *c, struct faults *f)
{
    bool good = true;
    for (size_t i = 0; i < c->redaction_disable.n; i++) {
        if (secret_rule_of(str_of(c->redaction_disable.items[i])) >= 0)
            continue;
        fault_add(f, where_set(c, KEY_redaction_disable), "redaction.disable",
                  "no rule has the name \"%s\"; mcptallyd.yaml(5) lists them",
                  c->redaction_disable.items[i]);
        good = false;
    }
    return good;
}

static bool list_fits(const struct config *c, enum config_key key, const struct config_list *list,
                      struct faults *f)
{
    if (list->n <= OPTION_LABELS)
        return true;
    fault_add(f, where_set(c, key), rows[key].key, "expected at most %d attributes, not %zu",
              OPTION_LABELS, list->n);
    return false;
}

/* A message that is unpacked is there twice; one that never fits would be sent for ever. */
static bool messages_fit(struct config *c, struct faults *f)
{
    const uint64_t largest =
        c->otlp_message_bytes > c->otlp_json_bytes ? c->otlp_message_bytes : c->otlp_json_bytes;
    const enum config_key blame =
        c->set_at[KEY_otlp_buffer].file ? KEY_otlp_buffer : KEY_otlp_message_bytes;
    if (c->otlp_buffer >= 2 * largest)
        return true;
    fault_add(f, where_set(c, blame), rows[blame].key,
              "otlp.buffer has to be twice as large as the largest message, %llu bytes",
              (unsigned long long)largest);
    return false;
}

/* The helper that writes it has a directory of its own, and the journal is no file. */
static bool log_file_fits(const struct config *c, struct faults *f)
{
    if (*c->log_file == '\0')
        return true;
    if (*c->log_file != '/')
        fault_add(f, where_set(c, KEY_log_file), "log.file",
                  "expected an absolute path, not \"%s\"", c->log_file);
    else if (c->log_format == LOG_FORMAT_JOURNAL)
        fault_add(f, where_set(c, KEY_log_file), "log.file",
                  "with log.format journal no file is written");
    return *c->log_file == '/' && c->log_format != LOG_FORMAT_JOURNAL;
}

static const struct threshold {
    enum config_key warning, critical;
} thresholds[] = {
    {KEY_health_memory_warning, KEY_health_memory_critical},
    {KEY_health_cpu_warning, KEY_health_cpu_critical},
    {KEY_health_files_warning, KEY_health_files_critical},
    {KEY_health_disk_warning, KEY_health_disk_critical},
};

/* A failure, where there is one, comes after its warning. */
static bool thresholds_rise(struct config *c, struct faults *f)
{
    bool good = true;
    for (size_t i = 0; i < sizeof thresholds / sizeof *thresholds; i++) {
        const struct threshold *t = &thresholds[i];
        const double warning = *(double *)field_of(c, &rows[t->warning]);
        const double critical = *(double *)field_of(c, &rows[t->critical]);
        const enum config_key blame = c->set_at[t->critical].file ? t->critical : t->warning;
        if (!(critical > 0) || critical >= warning)
            continue;
        fault_add(f, where_set(c, blame), rows[blame].key,
                  "a warning at %g%% would come after the failure at %g%%", warning * 100,
                  critical * 100);
        good = false;
    }
    return good;
}

bool config_environment(struct config *c, config_lookup *lookup, struct faults *f)
{
    if (c->set_at[KEY_export_destinations].file)
        return true;
    return config_destinations_environment(&c->export_destinations, lookup, f);
}

bool config_finish(struct config *c, struct faults *f)
{
    const char *const own[] = {c->listen_otlp_grpc, c->listen_otlp_http};
    bool good = domains_exist(c, f);
    good = config_destinations_finish(&c->export_destinations, own, 2, f) && good;
    good = are_ids(c, KEY_domains_choosers, &c->domains_choosers, f) && good;
    good = are_ids(c, KEY_socket_allow_uids, &c->socket_allow_uids, f) && good;
    good = are_ids(c, KEY_socket_allow_gids, &c->socket_allow_gids, f) && good;
    good = are_ids(c, KEY_control_admin_uids, &c->control_admin_uids, f) && good;
    good = are_ids(c, KEY_control_admin_gids, &c->control_admin_gids, f) && good;
    good = rules_off_exist(c, f) && good;
    good = log_file_fits(c, f) && good;
    good = messages_fit(c, f) && good;
    good = list_fits(c, KEY_metrics_resource_labels, &c->metrics_resource_labels, f) && good;
    good = list_fits(c, KEY_spans_dimensions, &c->spans_dimensions, f) && good;
    good = thresholds_rise(c, f) && good;
    return good & config_rules_files(&c->rules, &c->rules_files, where_set(c, KEY_rules_files), f);
}

/* ---- reload ---- */

static size_t scalar_size(const struct config_row *row)
{
    return row->type == CONFIG_BOOL ? sizeof(bool) : sizeof(uint64_t);
}

static bool same_field(struct config *a, struct config *b, const struct config_row *row)
{
    const void *x = field_of(a, row), *y = field_of(b, row);
    if (row->type == CONFIG_TEXT || row->type == CONFIG_PATH || row->type == CONFIG_ADDRESS)
        return strcmp(*(char *const *)x, *(char *const *)y) == 0;
    return memcmp(x, y, scalar_size(row)) == 0;
}

static void swap_field(struct config *a, struct config *b, const struct config_row *row)
{
    uint64_t keep;
    size_t n = scalar_size(row);
    static_assert(sizeof keep == sizeof(char *) && sizeof keep == sizeof(double), "one word each");
    memcpy(&keep, field_of(a, row), n);
    memcpy(field_of(a, row), field_of(b, row), n);
    memcpy(field_of(b, row), &keep, n);
}

unsigned config_keep_fixed(struct config *a, struct config *b, struct buf *names)
{
    unsigned differ = 0;
    for (int i = 0; i < CONFIG_KEYS; i++) {
        const struct config_row *row = &rows[i];
        if (row->when == CONFIG_RELOAD)
            continue;
        assert(is_scalar(row));
        if (!same_field(a, b, row)) {
            if (differ++)
                buf_adds(names, ", ");
            buf_adds(names, row->key);
        }
        swap_field(a, b, row);
    }
    return differ;
}
