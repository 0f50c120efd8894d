/* spout: text to a descriptor that is not ours alone, such as stderr, without ever waiting
 * for its reader. Floor 5.
 *
 * What is not taken at once is kept, up to SPOUT_BYTES, and sent when there is room; what
 * does not fit is given up, line by line, and counted. The file description is shared with
 * others, so O_NONBLOCK is not set on it: a socket is sent to without waiting, a pipe or
 * terminal is asked first and then given no more than it has promised to take. */
#ifndef MCPTALLY_DAEMON_SPOUT_H
#define MCPTALLY_DAEMON_SPOUT_H

#include <event2/event.h>
#include <stdbool.h>

#include "base/buf.h"

enum { SPOUT_BYTES = 256 << 10 };

struct spout {
    int fd;
    bool socket, file; /* what the descriptor is; neither: a pipe or terminal */
    struct buf kept;
    struct event *writable; /* NULL: no loop yet */
    uint64_t lost;          /* lines; the owner resets it */
};

void spout_init(struct spout *s, int fd);
void spout_fini(struct spout *s); /* what is kept is tried once more */

/* From here on the loop sends what is kept. False when memory is out: then each new line
 * does. */
bool spout_start(struct spout *s, struct event_base *base);
void spout_stop(struct spout *s);

/* One line with its end. */
void spout_add(struct spout *s, struct str line);

#endif
