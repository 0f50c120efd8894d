/* journal: datagrams to the system's journal in its native form, without waiting. Floor 5.
 *
 * What is larger than a datagram may be goes in a sealed memfd, as systemd's own library
 * does. What the journal has no room for now is kept, up to JOURNAL_BYTES. */
#ifndef MCPTALLY_DAEMON_JOURNAL_H
#define MCPTALLY_DAEMON_JOURNAL_H

#include <event2/event.h>
#include <stdbool.h>

#include "base/buf.h"

enum { JOURNAL_BYTES = 256 << 10 };
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct journal {
    const char *path;
    int fd;          /* -1: not connected */
    struct buf kept; /* each with its size before it */
    struct event_base *base;
    struct event *writable;
};

/* Whether JOURNAL_STREAM says that this descriptor is a stream to the journal. */
bool journal_is_stream(int fd);

/* Borrows the path. */
void journal_init(struct journal *j, const char *path);
void journal_fini(struct journal *j);

/* The loop sends what is kept; NULL: no longer. */
void journal_start(struct journal *j, struct event_base *base);

/* Connects: 0, or -ERR_IO with errno. */
int journal_open(struct journal *j);

/* 0: sent or kept. -ERR_IO with errno: the journal has gone, and the connection is closed.
 * -ERR_FULL: it takes no more. */
int journal_send(struct journal *j, struct str datagram);

#endif
