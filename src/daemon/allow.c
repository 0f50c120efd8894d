#include "daemon/allow.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "daemon/value.h"

enum { GROUPS_MAX = 1024 }; /* of a process; beyond them it is judged by its own group alone */

static bool has_number(const struct config_list *list, uint32_t number)
{
    for (size_t i = 0; i < list->n; i++) {
        uint64_t v;
        if (value_count(list->items[i], &v) && v == number)
            return true;
    }
    return false;
}

static bool has_group(const struct config_list *list, uint32_t gid, int fd)
{
    gid_t groups[GROUPS_MAX];
    socklen_t size = sizeof groups;
    if (has_number(list, gid))
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof *groups; i++)
        if (has_number(list, groups[i]))
            return true;
    return false;
}

static bool has_program(const struct config_list *list, uint32_t pid)
{
    char link[64], exe[PATH_MAX];
    snprintf(link, sizeof link, "/proc/%u/exe", pid);
    const ssize_t n = readlink(link, exe, sizeof exe - 1);
    if (n <= 0)
        return false;
    exe[n] = '\0';
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], exe) == 0)
            return true;
    return false;
}

bool allow_producer(void *arg, const struct peer *peer, int fd)
{
    const struct config *c = arg;
    return (!c->socket_allow_uids.n || has_number(&c->socket_allow_uids, peer->uid)) &&
           (!c->socket_allow_gids.n || has_group(&c->socket_allow_gids, peer->gid, fd)) &&
           (!c->socket_allow_exes.n || has_program(&c->socket_allow_exes, peer->pid));
}
