/* channel: one direction of the relay: bytes from one port to another through a
 * buffer of fixed size, so that a slow reader holds the writer back as a pipe
 * would. What is read is written at once and only then told to the observer.
 *
 * Functions that every message passes through are marked hot, here and in what they use: so
 * they lie together in the program. In a slow conversation the processor's caches are full of
 * other programs' things each time, and each page of code is felt.
 *
 * A channel with an `edit` holds each line until it is whole and lets the edit
 * make it longer; a line that leaves no room for that passes as it came. */
#ifndef MCPTALLY_CLI_CHANNEL_H
#define MCPTALLY_CLI_CHANNEL_H

#include <poll.h>

#include "cli/port.h"
#include "cli/tee.h"

enum { CHANNEL_BUFFER = 65536 };

enum { CHANNEL_PIECE = 128 };

/* Asked of every whole line (n bytes, its end not among them): the length of a
 * piece to insert, which it writes, and in *at the bytes before it; 0: none. */
typedef size_t channel_edit(void *arg, const char *line, size_t n, char piece[CHANNEL_PIECE],
                            size_t *at);

struct channel {
    struct port from, to;
    enum tee_stream stream;
    size_t head, tail;  /* the bytes not yet written */
    size_t ready;       /* of these may be written up to here; = tail without an edit */
    bool long_line;     /* the line in hand passes unedited */
    channel_edit *edit; /* NULL: none */
    void *edit_arg;
    bool eof;     /* nothing more will be read */
    bool limited; /* read only `left` bytes more */
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
