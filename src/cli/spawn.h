/* spawn: starts the server between the relay's pipes. */
#ifndef MCPTALLY_CLI_SPAWN_H
#define MCPTALLY_CLI_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct spawn {
    pid_t pid;
    int in, out, err; /* our ends of its stdin, stdout, stderr; err -1: inherited */
    int exec_error;   /* errno of the exec that failed, 0 for none */
};

/* What the relay changes for itself and the server gets back. */
struct spawn_signals {
    sigset_t mask;
    struct sigaction child; /* of SIGCHLD */
};

/* Makes sure that descriptors 0 to 2 exist, so that no other takes their place. */
void spawn_fill_std(void);

/* Starts the command with pipes for its standard streams: stderr has none when
 * ours is a terminal, and shares stdout's when both of ours are the same file.
 * The child has the signals given and dies with this process. 0, or -1 with
 * errno when nothing was started; *s tells of an exec that failed. */
int spawn_server(struct spawn *s, char **command, const struct spawn_signals *signals);

void spawn_restore_signals(const struct spawn_signals *signals);

/* Closes every descriptor from 3 on but those n; sorts them. */
void spawn_close_all_but(int *keep, unsigned n);

#endif
