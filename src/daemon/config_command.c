#include "daemon/config_command.h"

#include <stdio.h>
#include <string.h>

size_t config_entries(const struct tree_node *all)
{
    size_t n = 0;
    for (const struct tree_node *e = all->down; e; e = e->next)
        n++;
    return n;
}

/* A name as POSIX has it; MCPTALLY_ is what actions are told by. */
static bool variable_ok(const char *name)
{
    return *name && !(*name >= '0' && *name <= '9') && strncmp(name, "MCPTALLY_", 9) != 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
               strlen(name);
}

static bool pack_env(struct buf *env, const struct config_list variables[2], char *why, size_t size)
{
    buf_reset(env);
    for (size_t i = 0; i < variables[0].n; i++) {
        const char *name = variables[0].items[i], *value = variables[1].items[i];
        if (!variable_ok(name)) {
            snprintf(why, size, "names of variables in env, none of them MCPTALLY_*");
            return false;
        }
        buf_addf(env, "%s=%s", name, value);
        buf_addc(env, '\0');
    }
    return true;
}

bool config_command_pack(struct buf *argv, struct buf *env, const struct config_list *command,
                         const struct config_list variables[2], char *why, size_t why_size)
{
    if (command->n == 0 || command->items[0][0] != '/') {
        snprintf(why, why_size, "a command that begins with an absolute path");
        return false;
    }
    buf_reset(argv);
    for (size_t i = 0; i < command->n; i++)
        buf_add(argv, command->items[i], strlen(command->items[i]) + 1);
    if (!pack_env(env, variables, why, why_size))
        return false;
    /* An action's own variables come beside. */
    if (!argv->failed && !env->failed && argv->n + env->n < HELPER_RUN_BYTES / 2 &&
        command->n <= HELPER_RUN_TEXTS && variables[0].n <= HELPER_RUN_TEXTS / 2)
        return true;
    snprintf(why, why_size, "at most 64 arguments and 32 variables of 16 KiB together");
    return false;
}
