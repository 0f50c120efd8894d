/* commands: what the control socket does that needs the daemon. Floor 5.
 *
 * A new command is a row of the table in commands.c; serve/command.h says what its
 * function may and has to do. Its c->arg is the struct daemon. */
#ifndef MCPTALLY_DAEMON_COMMANDS_H
#define MCPTALLY_DAEMON_COMMANDS_H

#include "serve/command.h"

extern const struct command daemon_commands[];
extern const unsigned daemon_ncommands;

#endif
