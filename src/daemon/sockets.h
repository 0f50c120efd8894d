/* sockets: the daemon's Unix listeners, as the configuration describes them. Floor 5. */
#ifndef MCPTALLY_DAEMON_SOCKETS_H
#define MCPTALLY_DAEMON_SOCKETS_H

struct socket_place {
    const char *section; /* of the configuration, for log lines */
    const char *path;    /* a relative one begins in dir */
    const char *dir;
    unsigned mode;
    const char *group; /* name or number; empty: the daemon's own */
    int passed;        /* a listener from systemd, which it takes; -1: none */
};

/* The listening descriptor, non-blocking and close-on-exec; -ERR_BUSY when
 * somebody answers at the path, -ERR_PERM, -ERR_IO. Says why in the log. */
int sockets_listen(const struct socket_place *at);

/* Removes the file of a socket that is ours to remove. */
void sockets_remove(const struct socket_place *at);

#endif
