/* source: an answer of the daemon or, when none runs, the store it has left. */
#ifndef MCPTALLY_CLI_SOURCE_H
#define MCPTALLY_CLI_SOURCE_H

#include "base/buf.h"
#include "base/clock.h"
#include "cli/document.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/view.h"

/* What a command that asks the daemon is told, and the rows for it; SOURCE_JSON is for those
 * that print something. */
struct source_options {
    const char *runtime_dir;
    uint64_t timeout; /* ns */
    bool json;
};

#define SOURCE_DEFAULTS                                                                            \
    {                                                                                              \
        .timeout = 5 * NS_PER_S                                                                    \
    }
#define SOURCE_ROWS                                                                                \
    {"runtime-dir",                                                                                \
     0,                                                                                            \
     OPTION_TEXT,                                                                                  \
     offsetof(struct source_options, runtime_dir),                                                 \
     "DIR",                                                                                        \
     "where the daemon's sockets and store are",                                                   \
     0,                                                                                            \
     0},                                                                                           \
    {                                                                                              \
        "timeout", 0, OPTION_DURATION, offsetof(struct source_options, timeout), "TIME",           \
            "how long to wait for the daemon's answer (5s)", 1, UINT64_MAX                         \
    }
#define SOURCE_JSON                                                                                \
    {                                                                                              \
        "json", 0, OPTION_FLAG, offsetof(struct source_options, json), NULL,                       \
            "print one JSON object", 0, 0                                                          \
    }

/* A question, and what becomes of it. */
struct source_question {
    const char *request;
    size_t most; /* bytes of the answer */
    /* No daemon runs: appends the same of the store that one has left, or tells why not.
     * Returns an exit code. */
    int (*stored)(struct buf *to, const struct view *v, const struct place *place, void *arg);
    document_text *text; /* how the answer is shown; NULL: not at all */
    void *arg;           /* of both */
};

/* Asks and prints. Returns an exit code. */
int source_print(const struct options *options, const struct source_options *o,
                 const struct source_question *q);

/* As `stored` of those that want a daemon. */
int source_no_daemon(struct buf *to, const struct view *v, const struct place *place, void *arg);

/* Asks the daemon, for at most `timeout` ns in all, and appends its answer; an
 * answer that is an error is reported. When no daemon runs, opens the store
 * instead: v->mem is then not NULL, and view_close() is due. A daemon that is
 * just starting is waited for. Returns an exit code; a message has told why. */
int source_ask(const struct place *place, const char *request, uint64_t timeout, struct buf *answer,
               struct view *v);

#endif
