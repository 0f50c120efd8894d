/* foreign: descriptors that strangers pass over a Unix socket. Floor 4.
 *
 * A kernel from 6.16 on keeps them out where it is told to. Before, what nobody asked for has
 * to be closed, by us or by the kernel in our name; and a socket that lingers with unsent data
 * keeps whoever closes it last for as long as its maker has said. So they are all taken, and made
 * not to linger, also those that a connection has not been read for when it ends: see yard.h. */
#ifndef MCPTALLY_SERVE_FOREIGN_H
#define MCPTALLY_SERVE_FOREIGN_H

#include <stddef.h>
#include <sys/types.h>

enum { FOREIGN_MAX = 253 }; /* descriptors of one message: the kernel's SCM_MAX_FD */

struct foreign {
    unsigned n;
    int fd[FOREIGN_MAX];
};

/* As recv() without waiting. The descriptors that came along are the caller's. */
ssize_t foreign_receive(int socket, void *to, size_t size, struct foreign *came);

/* The same for who wants none: so many came, and are closed. Whoever passes any is worth no
 * second look: a connection of his that is kept can do it again. */
ssize_t foreign_receive_bytes(int socket, void *to, size_t size, unsigned *closed);

void foreign_close(int fd);

/* Whether peers may pass any to this socket, and to those that are accepted of it; who may not
 * is told EPERM. */
void foreign_forbid(int socket);
void foreign_allow(int socket);

#endif
