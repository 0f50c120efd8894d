/* config_rules: event rules from YAML. Floor 5.
 *
 * A rule is a map with the fields of struct rule (pipeline/rules.h); the rules
 * of a file are a list, at its root or under `rules`. */
#ifndef MCPTALLY_DAEMON_CONFIG_RULES_H
#define MCPTALLY_DAEMON_CONFIG_RULES_H

#include "daemon/config_lists.h"
#include "pipeline/rules.h"

enum { CONFIG_RULES_MAX = 1024 };

struct config_rules {
    struct rule *rules; /* each has passed rules_check() */
    size_t n;
    struct config_list texts; /* owns what the rules borrow, and names of files */
};

/* Adds the rules of a list. */
bool config_rules_read(struct config_rules *r, const struct tree_node *all, struct faults *f);

/* Adds those of the files that `patterns` name. Relative ones begin in the
 * directory of the file that holds the patterns, which is at.file. */
bool config_rules_files(struct config_rules *r, const struct config_list *patterns, struct place at,
                        struct faults *f);

void config_rules_clear(struct config_rules *r);

#endif
