#include "daemon/config_fields.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/nearest.h"
#include "daemon/value.h"

bool config_fields_bad(const struct tree_node *n, const char *expected, struct faults *f)
{
    if (n->kind == TREE_SCALAR)
        fault_add(f, n->at, n->key, "expected %s, not \"%s\"", expected, n->text);
    else
        fault_add(f, n->at, n->key, "expected %s, not %s", expected, tree_kind_name(n));
    return false;
}

static bool set_text(char **to, const struct tree_node *n)
{
    free(*to);
    *to = strdup(tree_null(n) ? "" : n->text);
    return *to != NULL;
}

static bool out_of_range(const struct config_field *d, const struct tree_node *n, struct faults *f)
{
    struct buf b;
    void (*print)(struct buf *, uint64_t) = d->type == FIELD_SIZE       ? value_print_size
                                            : d->type == FIELD_DURATION ? value_print_duration
                                                                        : buf_addu;
    buf_init(&b, 128);
    print(&b, d->least);
    buf_adds(&b, " to ");
    print(&b, d->most);
    fault_add(f, n->at, n->key, "expected a value in the range %.*s", STR_ARG(buf_str(&b)));
    buf_fini(&b);
    return false;
}

static bool read_number(uint64_t *to, const struct config_field *d, const struct tree_node *n,
                        struct faults *f)
{
    uint64_t v = 0;
    if (d->type == FIELD_COUNT && !value_count(n->text, &v))
        return config_fields_bad(n, "a whole number", f);
    if (d->type == FIELD_SIZE && !value_size(n->text, &v))
        return config_fields_bad(n, "a size such as 64KiB", f);
    if (d->type == FIELD_DURATION && !value_duration(n->text, &v))
        return config_fields_bad(n, "a duration such as 10s", f);
    if (v < d->least || v > d->most)
        return out_of_range(d, n, f);
    *to = v;
    return true;
}

static bool read_list(struct config_list *to, const struct tree_node *all, struct faults *f)
{
    if (all->kind == TREE_LIST)
        return config_list_read(to, all->key, all, f);
    config_list_clear(to);
    return all->kind == TREE_SCALAR ? config_list_add(to, all->text, strlen(all->text))
                                    : config_fields_bad(all, "a list of texts", f);
}

static bool read_map(struct config_list to[2], const struct tree_node *all, struct faults *f)
{
    if (all->kind != TREE_MAP)
        return config_fields_bad(all, "a map of texts", f);
    for (const struct tree_node *n = all->down; n; n = n->next) {
        if (n->kind != TREE_SCALAR)
            return config_fields_bad(n, "a text", f);
        if (!config_list_add(&to[0], n->key, strlen(n->key)) ||
            !config_list_add(&to[1], n->text, strlen(n->text)))
            return false;
    }
    return true;
}

static bool read_field(void *entry, const struct config_field *d, const struct tree_node *n,
                       struct faults *f)
{
    void *to = (char *)entry + d->offset;
    switch (d->type) {
    case FIELD_OTHER:
        return d->read(entry, n, f);
    case FIELD_LIST:
        return read_list(to, n, f);
    case FIELD_MAP:
        return read_map(to, n, f);
    default:
        break;
    }
    if (n->kind != TREE_SCALAR)
        return config_fields_bad(n, "a value", f);
    if (d->type == FIELD_TEXT)
        return set_text(to, n);
    if (d->type == FIELD_BOOL)
        return value_bool(n->text, to) || config_fields_bad(n, "true or false", f);
    return read_number(to, d, n, f);
}

static bool unknown(const struct tree_node *n, const char *what, const struct config_field *fields,
                    unsigned nfields, struct faults *f)
{
    const char *names[CONFIG_FIELDS_MAX];
    for (unsigned i = 0; i < nfields; i++)
        names[i] = fields[i].key;
    const char *near = nearest(n->key, names, nfields);
    fault_add(f, n->key_at, n->key, "unknown key of %s%s%s%s", what, near ? "; did you mean " : "",
              near ? near : "", near ? "?" : "");
    return false;
}

bool config_fields_read(void *entry, const struct tree_node *map, const char *what,
                        const struct config_field *fields, unsigned nfields, struct place *set_at,
                        struct faults *f)
{
    bool good = true;
    assert(nfields <= CONFIG_FIELDS_MAX);
    if (map->kind != TREE_MAP) {
        fault_add(f, map->at, map->key, "expected a map, not %s", tree_kind_name(map));
        return false;
    }
    for (const struct tree_node *n = map->down; n; n = n->next) {
        unsigned i = 0;
        while (i < nfields && strcmp(fields[i].key, n->key) != 0)
            i++;
        if (i == nfields) {
            good = unknown(n, what, fields, nfields, f);
            continue;
        }
        set_at[i] = n->key_at;
        good = read_field(entry, &fields[i], n, f) && good;
    }
    return good;
}

bool config_fields_fit(const struct config_field *fields, unsigned n, const struct place *set_at,
                       unsigned kind, const char *kind_name, struct faults *f)
{
    bool good = true;
    for (unsigned i = 0; i < n; i++) {
        if (!set_at[i].line || !fields[i].kinds || fields[i].kinds & 1u << kind)
            continue;
        fault_add(f, set_at[i], fields[i].key, "no key of kind %s", kind_name);
        good = false;
    }
    return good;
}

void config_fields_clear(void *entry, const struct config_field *fields, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        void *at = (char *)entry + fields[i].offset;
        if (fields[i].type == FIELD_TEXT)
            free(*(char **)at);
        if (fields[i].type == FIELD_LIST || fields[i].type == FIELD_MAP)
            config_list_clear(at);
        if (fields[i].type == FIELD_MAP)
            config_list_clear((struct config_list *)at + 1);
    }
}
