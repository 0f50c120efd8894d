/* listen: listening sockets, non-blocking and close-on-exec. Floor 4. */
#ifndef MCPTALLY_SERVE_LISTEN_H
#define MCPTALLY_SERVE_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LISTEN_NAME_MAX = 128 };

/* A TCP listener at "127.0.0.1:9090", "[::1]:9090" or "*:9090" (every address,
 * IPv6 and IPv4); port 0 picks a free one. The descriptor, -ERR_SYNTAX, or
 * -ERR_IO with errno (EADDRINUSE: the port is taken). */
int listen_tcp(const char *address);

/* Whether listen_tcp() can take an address. */
bool listen_address_ok(const char *address);

/* Whether nobody but this machine reaches it: a loopback address, or none at all. */
bool listen_is_local(const char *address);

/* A Unix stream listener; what lies at the path is replaced, so the caller must
 * know that nobody listens there. gid (gid_t)-1 leaves the group alone. The
 * descriptor, -ERR_SYNTAX (the path is too long), or -ERR_IO with errno. */
int listen_unix(const char *path, mode_t mode, gid_t gid);

/* Writes where a socket listens ("127.0.0.1:43210", "[::1]:80", a path). */
void listen_name(int fd, char *to, size_t size);

/* Whether a listening socket is at the address, which is as for listen_tcp(); port 0 is any. */
bool listen_is(int fd, const char *address);

#endif
