/* acceptor: takes connections off a listening socket, for who wants them. Floor 4.
 *
 * A bounded number a wakeup. When descriptors or memory are out it rests for 100 ms, because a
 * listener that is ready and cannot be accepted from would spin; a descriptor in reserve
 * lets one connection be taken and closed before, so that its peer does not wait. When its
 * owner is full it stops until it is told that there is room. */
#ifndef MCPTALLY_SERVE_ACCEPTOR_H
#define MCPTALLY_SERVE_ACCEPTOR_H

#include <stdbool.h>
#include <sys/socket.h>

#include "serve/env.h"

struct acceptor_owner {
    /* Takes a connection, also when it has no use for it. False: there is no more room;
     * acceptor_go_on() says when there is. */
    bool (*take)(void *arg, int fd, const struct sockaddr_storage *from, socklen_t size);
    void (*dry)(void *arg); /* it rests; NULL: nobody wants to know */
    void *arg;
    unsigned at_once; /* connections that one wakeup takes, 1 to 64 */
};

struct acceptor;

/* Takes the socket also when it fails: NULL when memory is out. */
struct acceptor *acceptor_new(const struct serve_env *env, int listen_fd,
                              const struct acceptor_owner *owner);
void acceptor_free(struct acceptor *a); /* NULL is allowed */

void acceptor_go_on(struct acceptor *a); /* there is room again; NULL is allowed */

#endif
