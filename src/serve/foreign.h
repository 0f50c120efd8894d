/* foreign: descriptors that strangers pass over a Unix socket. Floor 4.
 *
 * What nobody asked for has to be closed all the same, by us or by the kernel in our
 * name; and a socket that lingers with unsent data keeps whoever closes it last for as
 * long as its maker has said. So they are all taken, and made not to linger, also those
 * that a connection has not been read for when it ends. */
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

/* The same for who wants none. */
ssize_t foreign_receive_bytes(int socket, void *to, size_t size);

void foreign_close(int fd);

/* Closes a connection. */
void foreign_hang_up(int socket);

#endif
