/* admin: who is at the other end of a Unix socket, and whether he may change something.
 * Floor 4. By the credentials that the kernel noted when the peer connected; a peer
 * cannot choose them. */
#ifndef MCPTALLY_SERVE_ADMIN_H
#define MCPTALLY_SERVE_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/audit.h"

#define ADMIN_NO_GROUP UINT32_MAX

/* Those who may, beside root and our own user; borrowed. With neither: the members of
 * the group that the socket has. */
struct admins {
    const uint32_t *uids, *gids;
    unsigned nuids, ngids;
};

/* The group of the file of a listener, or ADMIN_NO_GROUP. */
uint32_t admin_group_of(int listener);

/* The peer of a connection; false when the kernel does not tell. */
bool admin_who(int fd, struct audit_who *out);

bool admin_may(const struct admins *a, int fd, const struct audit_who *who, uint32_t socket_group);

#endif
