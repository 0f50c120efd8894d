/* port: one end of a byte stream that must never block us and whose open file
 * description may be shared with other processes.
 *
 * O_NONBLOCK belongs to the description: setting it on an inherited descriptor
 * would change it for the client too. So a pipe or terminal is opened anew
 * through /proc, a socket is asked call by call, and what allows neither is
 * touched only when poll() says that it will not block. */
#ifndef MCPTALLY_CLI_PORT_H
#define MCPTALLY_CLI_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum port_kind {
    PORT_CLOSED,
    PORT_PRIVATE, /* a description of our own, with O_NONBLOCK */
    PORT_SOCKET,  /* MSG_DONTWAIT at every call */
    PORT_POLLED,  /* blocking: asks poll() before every call */
};

struct port {
    int fd; /* -1 when closed */
    enum port_kind kind;
};

/* Takes an inherited descriptor, for reading or for writing. */
void port_adopt(struct port *p, int fd, bool reading);

/* Takes a descriptor of our own that has O_NONBLOCK set. */
void port_own(struct port *p, int fd);

void port_close(struct port *p);

static inline bool port_is_open(const struct port *p)
{
    return p->kind != PORT_CLOSED;
}

/* Like read(2) and write(2) on a descriptor with O_NONBLOCK; no SIGPIPE for
 * sockets. A PORT_POLLED write takes at most what poll() vouches for. */
ssize_t port_read(struct port *p, void *to, size_t n);
ssize_t port_write(struct port *p, const void *from, size_t n);

#endif
