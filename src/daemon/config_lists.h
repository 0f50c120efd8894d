/* config_lists: configuration values that are lists. Floor 5.
 *
 * The readers replace what is there and add a fault for what they do not take;
 * after false the value is good for clearing only. */
#ifndef MCPTALLY_DAEMON_CONFIG_LISTS_H
#define MCPTALLY_DAEMON_CONFIG_LISTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/tree.h"

struct config_list {
    char **items;
    size_t n;
};

/* One entry of domains.mapping. It applies to a producer when all that it names agrees. */
struct config_domain {
    bool has_uid;
    uint32_t uid;
    char *exe;     /* path of the executable, "" for any */
    char *service; /* service name, "" for any */
    unsigned domain;
};

struct config_mapping {
    struct config_domain *entries;
    size_t n;
};

bool config_list_add(struct config_list *list, const char *text, size_t n);
bool config_list_read(struct config_list *list, const char *key, const struct tree_node *all,
                      struct faults *f);
bool config_list_split(struct config_list *list, const char *text); /* "a,b,c"; empty: none */
void config_list_clear(struct config_list *list);

bool config_mapping_read(struct config_mapping *m, const struct tree_node *all, struct faults *f);
void config_mapping_clear(struct config_mapping *m);

#endif
