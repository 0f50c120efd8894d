/* place: where a daemon's sockets and store are. */
#ifndef MCPTALLY_CLI_PLACE_H
#define MCPTALLY_CLI_PLACE_H

enum { PLACE_MAX = 512 };

struct place {
    char dir[PLACE_MAX - 32]; /* the runtime directory */
    char control[PLACE_MAX], events[PLACE_MAX], store[PLACE_MAX];
};

/* The runtime directory that was asked for (NULL: MCPTALLY_RUNTIME_DIR; else the
 * first of $XDG_RUNTIME_DIR/mcptally, /run/mcptally and /dev/shm/mcptally-UID
 * that holds a store or a control socket, and the first of all when none does).
 * 0, or -ERR_RANGE when a path is too long for a socket's address. */
int place_find(struct place *p, const char *asked);

/* In *path what libmcptally is to connect to: `socket`, else that of the directory
 * that was asked for, else NULL, so that it looks by itself. Nobody need listen
 * there yet. 0, or -ERR_RANGE. */
int place_socket(struct place *p, const char *asked, const char *socket, const char **path);

/* As place_find(), and in *path the socket for producers: `socket` when it is given, then
 * MCPTALLY_SOCKET unless a directory was asked for, then the directory's. Checks
 * that somebody listens there. Returns an exit code; a message has told why. */
int place_producer(struct place *p, const char *asked, const char *socket, const char **path);

#endif
