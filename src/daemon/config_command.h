/* config_command: what the lists of checks and of actions have in common. Floor 5. */
#ifndef MCPTALLY_DAEMON_CONFIG_COMMAND_H
#define MCPTALLY_DAEMON_CONFIG_COMMAND_H

#include "base/buf.h"
#include "daemon/config_lists.h"
#include "helper/helper.h"

/* Packs arguments and variables as the helper takes them. False, and what was expected in
 * `why`, when it would not. */
bool config_command_pack(struct buf *argv, struct buf *env, const struct config_list *command,
                         const struct config_list variables[2], char *why, size_t why_size);

/* Whether a check or an action may have that name. */
bool config_name_ok(const char *name);

/* How many entries a list has. */
size_t config_entries(const struct tree_node *all);

#endif
