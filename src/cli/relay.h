/* relay: the process between an MCP client and a stdio server. It starts the
 * server, moves bytes both ways unchanged (but for an edit that was asked for) and
 * at once, passes signals, end of file and exit status on, and tells an observer
 * process what passed.
 *
 * Fixed memory, no library but libc. Whatever becomes of the observer changes
 * nothing here: it is started again at most RELAY_OBSERVERS - 1 times, and what
 * it cannot take is lost to it alone. */
#ifndef MCPTALLY_CLI_RELAY_H
#define MCPTALLY_CLI_RELAY_H

#include "cli/channel.h"

enum {
    RELAY_OBSERVERS = 4,     /* observers that one relay starts at most */
    RELAY_RESTART_MS = 1000, /* from one start to the next at least */
    RELAY_FAREWELL_MS = 250, /* that the relay's end waits for the observer to report */
    RELAY_NOT_STARTED = -1,
};

struct relay_options {
    char **command; /* ends in NULL; looked up in PATH */
    /* The observer's whole life, in a process of its own; it returns the exit
     * status. The relay's descriptors are closed but the tee's and `keep` (-1: none). */
    int (*observe)(void *arg, struct tee_reader *tee);
    void *arg;
    int keep;
    channel_edit *edit_up; /* of the lines from the client, or NULL */
    void *edit_arg;
};

/* Runs the server to its end and returns its exit status; dies of the signal
 * that it died of. 126 or 127, after a message, when it cannot be executed.
 * RELAY_NOT_STARTED with errno when nothing has been done yet: the caller may
 * still execute the command by itself. */
int relay_run(const struct relay_options *options);

#endif
