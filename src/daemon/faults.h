/* faults: what is wrong with a configuration, as lines for the operator. Floor 5.
 *
 * A line is "FILE:LINE:COLUMN: KEY: what was expected". Reading goes on after
 * a fault where it can, so that one run names them all, up to FAULTS_MAX. */
#ifndef MCPTALLY_DAEMON_FAULTS_H
#define MCPTALLY_DAEMON_FAULTS_H

#include "base/buf.h"

enum { FAULTS_MAX = 20 };

struct place {
    const char *file;      /* as the operator named it, or "-o" */
    unsigned line, column; /* from 1; line 0: the file as a whole */
};

struct faults {
    unsigned count; /* of all faults, those left out included */
    struct buf text;
    bool system; /* one of them is none of the operator's: memory, descriptors, a disk */
};

void faults_init(struct faults *f);
void faults_fini(struct faults *f);

/* Adds a line; `key` may be NULL. */
void fault_add(struct faults *f, struct place at, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Those that are not the operator's. */
void fault_memory(struct faults *f, struct place at, const char *key);
/* A file that cannot be read: it depends on `error` (an errno) whose fault that is. */
void fault_unread(struct faults *f, const char *file, int error);

/* The lines so far, each ended by a newline; "" when there are none. */
const char *faults_text(struct faults *f);

#endif
