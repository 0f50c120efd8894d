/* command: one thing that can be asked over the control socket. Floor 4.
 *
 * A new one is a row in a table: in control.c when it needs no more than the pipeline,
 * in daemon/commands.c when it needs the daemon. A command answers at once, with one
 * JSON value. Whoever may connect may ask; what is `privileged` changes something, is
 * for those alone whom the configuration names, and is written to the audit log here,
 * under its own name, with its object and its outcome: its function calls no
 * audit_note(). */
#ifndef MCPTALLY_SERVE_COMMAND_H
#define MCPTALLY_SERVE_COMMAND_H

#include <jansson.h>
#include <stdbool.h>

#include "base/audit.h"
#include "base/buf.h"

enum {
    COMMAND_OBJECT = 256, /* bytes of what a command is done to, and its NUL */
    COMMAND_WHY = 256,
};

struct command_call {
    void *arg;             /* of the table */
    const json_t *request; /* an object; cmd is the command's name */
    struct audit_who who;
    struct buf *answer;
    char object[COMMAND_OBJECT]; /* to be filled by a privileged one, as soon as it is known */
    char why[COMMAND_WHY];       /* room for a reason that is no literal */
};

/* NULL: done, and the answer is written, without the end of its line; else why not,
 * which becomes the answer: a literal, or c->why. */
typedef const char *command_run(struct command_call *c);

struct command {
    const char *name;
    command_run *run;
    bool privileged;
};

#endif
