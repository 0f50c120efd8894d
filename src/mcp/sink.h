/* sink: what a session tells of, and to whom. Floor 2.
 * Strings are borrowed for the time of the call and are never NULL; "" means none. */
#ifndef MCPTALLY_MCP_SINK_H
#define MCPTALLY_MCP_SINK_H

#include "base/clock.h"
#include "mcp/outcome.h"

/* A request that has ended: one observation of mcp.{server,client}.operation.duration
 * (unless it was a stream) and one span. */
struct mcp_operation {
    enum mcp_side side;
    enum mcp_end end;
    bool timed;         /* false for a stream: keep it out of the duration */
    const char *method; /* these three as labels: known to be of a sane form and number */
    const char *tool;
    const char *prompt;
    const char *protocol_version;
    const char *name; /* of the tool or prompt, of a sane form, for the span */
    const char *uri;
    const char *request_id;
    const char *result_type;
    const char *traceparent, *tracestate; /* of the request's _meta */
    const struct outcome *outcome;
    const char *error_message;
    struct when start, stop;
};

/* A session that has ended, as one side saw it. */
struct mcp_session_ended {
    enum mcp_side side;
    const char *protocol_version;
    const char *error_type;
    uint64_t duration; /* ns */
};

struct mcp_sink {
    void (*operation)(void *arg, const struct mcp_operation *op);
    void (*session)(void *arg, const struct mcp_session_ended *ended);
    /* The answer to `initialize`, or what came instead of one. */
    void (*initialize)(void *arg, enum mcp_end end, const char *protocol_version);
    /* Client or server named itself, for the first time or anew. */
    void (*peer)(void *arg, enum mcp_side side, const char *name, const char *version);
    /* An answer to tools/list: entries, and bytes of the result. */
    void (*tools)(void *arg, uint32_t count, uint64_t bytes);
};

#endif
