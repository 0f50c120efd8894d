/* logger: where the daemon's own log lines go. Floor 5.
 *
 * To the journal in its native form, as JSON or plain text to stderr, or to a file that the
 * helper writes; log.format and log.file say which. Nothing here waits: what is not taken at
 * once is kept in bounded buffers. When the journal or the file cannot be written, lines go
 * to stderr in plain form until it can, and both changes are said once. Secrets are taken
 * out, and lines of one kind that come in a storm are held back and counted. */
#ifndef MCPTALLY_DAEMON_LOGGER_H
#define MCPTALLY_DAEMON_LOGGER_H

#include "base/storm.h"
#include "daemon/appender.h"
#include "daemon/config.h"
#include "daemon/journal.h"
#include "daemon/spout.h"
#include "format/verdict.h"
#include "pipeline/own.h"
#include "pipeline/redact.h"

enum logger_place { LOGGER_STDERR, LOGGER_FILE, LOGGER_JOURNAL };

struct logger_counts {
    uint64_t lines[LOG_LEVELS], suppressed, lost, fallen;
};

struct logger {
    const struct config *config; /* borrowed */
    struct redact *redact;       /* its own: lines come before there is a pipeline */
    enum logger_place place;
    bool json;              /* the form at that place, or plain */
    bool journal_at_stderr; /* who reads stderr is the journal */
    bool serving;           /* until then errors are shown on stderr too */
    bool fallen;            /* lines go to stderr, for the place does not take them */
    bool probing;           /* the file has been given a line to see whether it does */
    char why[96];           /* it does not */
    struct spout err;
    struct journal journal;
    struct appender file;
    struct storm storm;
    struct buf text, scratch;
    struct logger_counts seen, told; /* what happened, and what the metrics know of it */
};

/* From here on lines are taken; to be called when there is a configuration. */
void logger_init(struct logger *l, const struct config *c);

/* Takes over a changed configuration. */
void logger_configure(struct logger *l, const struct config *c);

/* There is a loop; there is a helper with it. */
void logger_start(struct logger *l, struct event_base *base);
void logger_join(struct logger *l, struct helper *h);

/* The daemon serves: errors need not go to whoever waits for it to start any more. */
void logger_serving(struct logger *l);

/* Once a second. The caller commits. */
void logger_tick(struct logger *l, struct own *own);

/* The file was renamed: opens it anew. */
void logger_reopen(struct logger *l);

void logger_check(const struct logger *l, struct verdict *v);

/* The helper goes, and then the loop. */
bool logger_busy(const struct logger *l);
void logger_leave(struct logger *l);
void logger_stop(struct logger *l);

void logger_fini(struct logger *l);

#endif
