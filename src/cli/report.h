/* report: a conversation's meaning into the daemon, through libmcptally: the
 * mcp.* metrics and spans of the semantic conventions, and our own under
 * mcptally.wrapper.*. man/mcptally-run.1 lists them all. */
#ifndef MCPTALLY_CLI_REPORT_H
#define MCPTALLY_CLI_REPORT_H

#include "cli/stamp.h"
#include "cli/usage.h"
#include "mcp/session.h"

struct report;

/* Opens a session with the daemon in the name of a service; socket NULL: the
 * usual places. traceparent is the parent of requests that name none, or NULL.
 * stamp, or NULL, knows the contexts that the relay gave out. Both are borrowed.
 * NULL when memory is out. */
struct report *report_new(const char *service, const char *socket, const char *traceparent,
                          const struct stamp *stamp);

/* What mcp_session_init() is to be given, with the report as its arg. */
const struct mcp_sink *report_sink(void);

/* The session's running totals and gauges as they are now. */
void report_session(struct report *r, const struct mcp_session *s, struct when now);

/* The server runs; `again` when an observer before this one has said so. */
void report_started(struct report *r, bool again);
void report_usage(struct report *r, const struct usage *u);

/* The server's end; status as wait() gives it. */
void report_exited(struct report *r, int status);

/* How a session has ended when its server ended with this status. One that was
 * told to go, or that went after its client, has not crashed. */
enum mcp_end report_manner(const struct mcp_session *s, int status);

/* A log record of something that went wrong with the observing itself. */
void report_trouble(struct report *r, const char *message);

/* For the loop: as mcptally_fd() and mcptally_poll(). */
int report_fd(struct report *r);
int report_poll(struct report *r);

/* Whether the daemon is there; waits until it has taken all: 0, or -1 with errno. */
bool report_connected(struct report *r);
int report_flush(struct report *r, int timeout_ms);

/* The word for why the daemon took something not, "" when it took all. */
const char *report_rejected(struct report *r);

void report_free(struct report *r, int timeout_ms);

#endif
