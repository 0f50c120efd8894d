#include "serve/admin.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/listen.h"

enum { GROUPS = 1024 }; /* of one peer that are looked at; who has more is in none */

uint32_t admin_group_of(int listener)
{
    char path[LISTEN_NAME_MAX];
    struct stat st;
    listen_name(listener, path, sizeof path);
    return stat(path, &st) == 0 ? st.st_gid : ADMIN_NO_GROUP;
}

bool admin_who(int fd, struct audit_who *out)
{
    struct ucred cred;
    socklen_t size = sizeof cred;
    *out = (struct audit_who){.peer = true, .uid = UINT32_MAX};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 || size != sizeof cred)
        return false;
    out->uid = cred.uid;
    out->pid = (uint32_t)cred.pid;
    return true;
}

/* All groups of the peer: the first one too, which SO_PEERGROUPS need not have. */
static unsigned groups_of(int fd, gid_t *to)
{
    struct ucred cred;
    socklen_t size = sizeof cred, room = (GROUPS - 1) * sizeof *to;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
        return 0;
    to[0] = cred.gid;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, to + 1, &room) < 0)
        return 1;
    return 1 + (unsigned)(room / sizeof *to);
}

static bool among(const uint32_t *all, unsigned n, uint32_t id)
{
    for (unsigned i = 0; i < n; i++)
        if (all[i] == id)
            return true;
    return false;
}

bool admin_may(const struct admins *a, int fd, const struct audit_who *who, uint32_t socket_group)
{
    gid_t groups[GROUPS];
    const bool named = a->nuids || a->ngids;
    if (who->uid == UINT32_MAX)
        return false;
    if (who->uid == 0 || who->uid == geteuid() || among(a->uids, a->nuids, who->uid))
        return true;
    for (unsigned i = 0, n = groups_of(fd, groups); i < n; i++)
        if (named ? among(a->gids, a->ngids, groups[i])
                  : socket_group != ADMIN_NO_GROUP && groups[i] == socket_group)
            return true;
    return false;
}
