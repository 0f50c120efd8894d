/* channel: one direction of the relay: bytes from one port to another through a
 * buffer of fixed size, so that a slow reader holds the writer back as a pipe
 * would. What is read is written at once and only then told to the observer. */
#ifndef MCPTALLY_CLI_CHANNEL_H
#define MCPTALLY_CLI_CHANNEL_H

#include <poll.h>

#include "cli/port.h"
#include "cli/tee.h"

enum { CHANNEL_BUFFER = 65536 };

struct channel {
    struct port from, to;
    enum tee_stream stream;
    size_t head, tail; /* the bytes not yet written */
    bool eof;          /* nothing more will be read */
    bool limited;      /* read only `left` bytes more */
    size_t left;
    char buffer[CHANNEL_BUFFER];
};

/* Fills the two entries for poll(): its source, its destination. */
void channel_poll(const struct channel *c, struct pollfd p[2]);

/* Moves what can be moved, given what poll() said, and notes it in t. */
void channel_move(struct channel *c, const struct pollfd p[2], struct tee *t);

/* Whether both ends are closed: nothing is left to do. */
bool channel_done(const struct channel *c);

/* Reads no more than what lies in the source now: its other writers may stay. */
void channel_drain(struct channel *c);

/* Closes the source, writes nothing more and closes the destination. */
void channel_close(struct channel *c);

#endif
