#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_checks.h"
#include "daemon/config_command.h"
#include "daemon/config_fields.h"
#include "daemon/value.h"

#define DAY (24 * 3600 * NS_PER_S)

static bool read_reset(void *entry, const struct tree_node *n, struct faults *f)
{
    struct config_action *a = entry;
    uint64_t v = 0;
    a->resets = true;
    a->of_component = n->kind == TREE_SCALAR && strcmp(n->text, "component") == 0;
    if (a->of_component)
        return true;
    if (n->kind != TREE_SCALAR || !value_count(n->text, &v) || v >= DOMAINS_MAX)
        return config_fields_bad(n, "the number of a domain, or component", f);
    a->domain = (unsigned)v;
    return true;
}

#define AT(member) offsetof(struct config_action, member)

static const struct config_field fields[] = {
    {"name", FIELD_TEXT, AT(name), 0, 0, NULL, 0},
    {"on", FIELD_LIST, AT(on), 0, 0, NULL, 0},
    {"command", FIELD_LIST, AT(command), 0, 0, NULL, 0},
    {"env", FIELD_MAP, AT(env), 0, 0, NULL, 0},
    {"reset_domain", FIELD_OTHER, 0, 0, 0, read_reset, 0},
    {"timeout", FIELD_DURATION, AT(timeout), NS_PER_MS, 3600 * NS_PER_S, NULL, 0},
    {"output", FIELD_SIZE, AT(output), 1, HELPER_RUN_OUTPUT, NULL, 0},
    {"cooldown", FIELD_DURATION, AT(cooldown), NS_PER_S, DAY, NULL, 0},
    {"window", FIELD_DURATION, AT(window), 60 * NS_PER_S, 366 * DAY, NULL, 0},
    {"max", FIELD_COUNT, AT(max), 1, RECOVERY_MOST, NULL, 0},
};

enum { FIELDS = sizeof fields / sizeof *fields };

static bool fault(const struct config_action *a, struct faults *f, const char *expected)
{
    fault_add(f, a->at, "recovery.actions", "%s: expected %s",
              a->name && *a->name ? a->name : "action", expected);
    return false;
}

static bool is_unique(const struct config_actions *all, const struct config_action *a)
{
    for (const struct config_action *o = all->all; o < a; o++)
        if (o->name && strcmp(o->name, a->name) == 0)
            return false;
    return true;
}

static bool finish(struct config_actions *all, struct config_action *a, struct faults *f)
{
    char why[160];
    if (!config_name_ok(a->name) || !is_unique(all, a))
        return fault(a, f, "a name of its own, of at most 47 of A-Z a-z 0-9 _ . -");
    if (a->on.n == 0 || a->on.n > CONFIG_ACTION_ON)
        return fault(a, f, "on, with 1 to 32 components");
    if (a->resets == (a->command.n > 0))
        return fault(a, f, "either command or reset_domain");
    if (!a->resets &&
        !config_command_pack(&a->argv, &a->environment, &a->command, a->env, why, sizeof why))
        return fault(a, f, why);
    for (size_t i = 0; i < a->on.n; i++)
        a->names[i] = str_of(a->on.items[i]);
    a->rules = (struct recovery_rules){
        .name = str_of(a->name),
        .on = a->names,
        .non = (unsigned)a->on.n,
        .cooldown = a->cooldown,
        .window = a->window,
        .most = (unsigned)a->max,
    };
    return true;
}

static bool read_one(struct config_actions *all, const struct tree_node *map, struct faults *f)
{
    struct place set_at[CONFIG_FIELDS_MAX] = {{0}};
    struct config_action *a = &all->all[all->n++];
    a->at = map->at;
    a->timeout = 30 * NS_PER_S;
    a->output = PLAN_OUTPUT;
    a->cooldown = 300 * NS_PER_S;
    a->window = 3600 * NS_PER_S;
    a->max = 3;
    buf_init(&a->argv, HELPER_RUN_BYTES);
    buf_init(&a->environment, HELPER_RUN_BYTES);
    return config_fields_read(a, map, "an action", fields, FIELDS, set_at, f) && finish(all, a, f);
}

bool config_actions_read(struct config_actions *a, const struct tree_node *all, struct faults *f)
{
    const size_t n = config_entries(all);
    bool good = true;
    config_actions_clear(a);
    if (n > RECOVERY_ACTIONS) {
        fault_add(f, all->at, "recovery.actions", "more than %d actions", RECOVERY_ACTIONS);
        return false;
    }
    a->all = calloc(n ? n : 1, sizeof *a->all);
    if (!a->all)
        return false;
    for (const struct tree_node *e = all->down; e; e = e->next)
        good = read_one(a, e, f) && good;
    return good;
}

void config_actions_clear(struct config_actions *a)
{
    for (size_t i = 0; i < a->n; i++) {
        config_fields_clear(&a->all[i], fields, FIELDS);
        buf_fini(&a->all[i].argv);
        buf_fini(&a->all[i].environment);
    }
    free(a->all);
    *a = (struct config_actions){0};
}
