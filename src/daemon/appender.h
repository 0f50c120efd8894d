/* appender: whole lines to a file that the helper writes. Floor 5.
 *
 * One addition is under way at a time, and what comes meanwhile is the next one, so a slow
 * disk makes larger additions and not more of them. Lines are kept while the file is not
 * open, up to APPENDER_BYTES. After a failure the file is opened again by appender_tick(). */
#ifndef MCPTALLY_DAEMON_APPENDER_H
#define MCPTALLY_DAEMON_APPENDER_H

#include <stdbool.h>

#include "helper/helper.h"

enum { APPENDER_BYTES = 1 << 20 };

enum appender_state {
    APPENDER_SHUT,    /* not open; lines wait */
    APPENDER_OPENING, /* the helper has been asked to */
    APPENDER_OPEN,    /* and has done so */
};

struct appender_owner {
    /* The file is open; `tail` is its end. */
    void (*opened)(void *arg, struct str tail);
    /* All that was given up to some moment is in it. */
    void (*added)(void *arg);
    /* It could not be opened or written. */
    void (*failed)(void *arg, int error);
    /* Lines that were being added or waited when it failed, or that nothing could be done with;
     * they may have been written all the same when the helper died. NULL: they stay. */
    void (*back)(void *arg, struct str lines);
    void *arg;
};

struct appender {
    struct helper *helper; /* NULL: not yet, or no longer */
    unsigned slot;
    const char *path; /* borrowed */
    struct helper_lines_options o;
    struct appender_owner owner;
    enum appender_state state;
    struct helper_call *opening, *adding;
    struct buf waiting, flying;
};

void appender_init(struct appender *a, unsigned slot, const char *path,
                   const struct helper_lines_options *o, const struct appender_owner *owner);

/* Everything that is not known to be in the file is handed back. */
void appender_fini(struct appender *a);

/* From here on questions can be asked. */
void appender_start(struct appender *a, struct helper *h);

/* Another path, or other options; takes effect when the file is opened anew. */
void appender_set(struct appender *a, const char *path, const struct helper_lines_options *o);

/* False when there is no room for it. */
bool appender_add(struct appender *a, struct str line);

/* Opens the file again: it was renamed. What was added before is in the old one. */
void appender_reopen(struct appender *a);

/* Opens it if it is not open. */
void appender_tick(struct appender *a);

/* What an error of a file means, in words. */
const char *appender_error(int error);

/* Whether something is still to be written and the helper is there to do it. */
bool appender_busy(const struct appender *a);

/* Asks no more: the helper goes. */
void appender_stop(struct appender *a);

#endif
