/* config_checks: the lists `checks` and `recovery.actions`. Floor 5.
 *
 * Texts lie in the entries; the plans and rules that are made of them borrow, and are good
 * as long as the list is. */
#ifndef MCPTALLY_DAEMON_CONFIG_CHECKS_H
#define MCPTALLY_DAEMON_CONFIG_CHECKS_H

#include "base/buf.h"
#include "daemon/config_lists.h"
#include "probe/plan.h"
#include "watch/recovery.h"

enum { CONFIG_CHECK_NAME = 48 }; /* bytes of the name of a check or an action, and a NUL */

struct config_check {
    struct place at;
    char *name, *service;
    bool has_kind;
    enum check_kind kind;
    uint64_t interval, timeout, failures, successes, cpu, output;
    char *pid_file, *process, *unit, *cgroup, *path, *address, *url, *body, *ca_file;
    bool head, insecure_skip_verify;
    struct config_list command;
    struct config_list env[2], headers[2]; /* names, values */
    enum mcp_era era;
    unsigned nstatuses;
    struct plan_range statuses[PLAN_STATUSES];

    struct buf argv, environment; /* of the command, packed */
    struct plan plan;
};

struct config_checks {
    struct config_check *all;
    size_t n;
};

bool config_checks_read(struct config_checks *c, const struct tree_node *all, struct faults *f);
void config_checks_clear(struct config_checks *c);

struct config_action {
    struct place at;
    char *name;
    struct config_list on, command;
    struct config_list env[2];
    uint64_t timeout, cooldown, window, max, output;
    bool resets, of_component; /* of_component: the component's own domain is reset */
    unsigned domain;

    struct buf argv, environment;
    struct str names[32]; /* of `on` */
    struct recovery_rules rules;
};

enum { CONFIG_ACTION_ON = sizeof((struct config_action *)0)->names / sizeof(struct str) };

struct config_actions {
    struct config_action *all;
    size_t n;
};

bool config_actions_read(struct config_actions *a, const struct tree_node *all, struct faults *f);
void config_actions_clear(struct config_actions *a);

#endif
