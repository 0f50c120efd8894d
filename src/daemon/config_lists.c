#include "daemon/config_lists.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/value.h"
#include "pipeline/pipeline.h"

/* ---- lists ---- */

void config_list_clear(struct config_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}

bool config_list_add(struct config_list *list, const char *text, size_t n)
{
    char **items = realloc(list->items, (list->n + 1) * sizeof *items);
    if (!items)
        return false;
    list->items = items;
    items[list->n] = strndup(text, n);
    if (!items[list->n])
        return false;
    list->n++;
    return true;
}

bool config_list_read(struct config_list *list, const char *key, const struct tree_node *all,
                      struct faults *f)
{
    config_list_clear(list);
    for (const struct tree_node *n = all->down; n; n = n->next) {
        if (n->kind != TREE_SCALAR) {
            fault_add(f, n->at, key, "expected text, not %s", tree_kind_name(n));
            return false;
        }
        if (!config_list_add(list, n->text, strlen(n->text))) {
            fault_memory(f, n->at, key);
            return false;
        }
    }
    return true;
}

bool config_list_split(struct config_list *list, const char *text)
{
    config_list_clear(list);
    while (*text) {
        size_t n = strcspn(text, ",");
        if (n && !config_list_add(list, text, n))
            return false;
        text += n + (text[n] == ',');
    }
    return true;
}

/* ---- domains.mapping ---- */

void config_mapping_clear(struct config_mapping *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->entries[i].exe);
        free(m->entries[i].service);
    }
    free(m->entries);
    *m = (struct config_mapping){0};
}

static bool entry_number(const struct tree_node *n, const char *key, uint64_t most, uint64_t *out,
                         struct faults *f)
{
    if (value_count(n->text, out) && *out <= most)
        return true;
    fault_add(f, n->at, key, "expected a whole number up to %" PRIu64 ", not \"%s\"", most,
              n->text);
    return false;
}

static bool entry_text(const struct tree_node *n, char **out)
{
    free(*out);
    *out = strdup(n->text);
    return *out != NULL;
}

static bool read_entry_key(struct config_domain *e, const struct tree_node *n, struct faults *f)
{
    uint64_t v = 0;
    bool good = true;
    if (n->kind != TREE_SCALAR) {
        fault_add(f, n->at, n->key, "expected a value, not %s", tree_kind_name(n));
        return false;
    }
    if (strcmp(n->key, "uid") == 0) {
        good = entry_number(n, "domains.mapping.uid", UINT32_MAX - 1, &v, f);
        e->has_uid = true;
        e->uid = (uint32_t)v;
    } else if (strcmp(n->key, "domain") == 0) {
        good = entry_number(n, "domains.mapping.domain", DOMAINS_MAX - 1, &v, f);
        e->domain = (unsigned)v;
    } else if (strcmp(n->key, "exe") == 0) {
        good = entry_text(n, &e->exe);
    } else if (strcmp(n->key, "service") == 0) {
        good = entry_text(n, &e->service);
    } else {
        fault_add(f, n->key_at, "domains.mapping",
                  "unknown key \"%s\"; expected uid, exe, service or domain", n->key);
        good = false;
    }
    return good;
}

static bool read_entry(struct config_domain *e, const struct tree_node *map, struct faults *f)
{
    bool has_domain = false;
    if (map->kind != TREE_MAP) {
        fault_add(f, map->at, "domains.mapping", "expected a map, not %s", tree_kind_name(map));
        return false;
    }
    e->exe = strdup("");
    e->service = strdup("");
    if (!e->exe || !e->service)
        return false;
    for (const struct tree_node *n = map->down; n; n = n->next) {
        if (!read_entry_key(e, n, f))
            return false;
        has_domain |= strcmp(n->key, "domain") == 0;
    }
    if (has_domain && (e->has_uid || *e->exe || *e->service))
        return true;
    fault_add(f, map->at, "domains.mapping",
              "expected domain and at least one of uid, exe and service");
    return false;
}

bool config_mapping_read(struct config_mapping *m, const struct tree_node *all, struct faults *f)
{
    size_t n = 0;
    config_mapping_clear(m);
    for (const struct tree_node *e = all->down; e; e = e->next)
        n++;
    m->entries = calloc(n ? n : 1, sizeof *m->entries);
    if (!m->entries)
        return false;
    bool good = true;
    for (const struct tree_node *e = all->down; e; e = e->next)
        good &= read_entry(&m->entries[m->n++], e, f);
    return good;
}
