/* outcome: how a request ended, in the words of the semantic conventions. Floor 2. */
#ifndef MCPTALLY_MCP_OUTCOME_H
#define MCPTALLY_MCP_OUTCOME_H

#include "mcp/message.h"
#include "mcp/method.h"

/* Whose request it is, as seen beside the server. */
enum mcp_side {
    MCP_SERVER, /* the client asked the server: SERVER spans, mcp.server.* */
    MCP_CLIENT, /* the server asked the client: CLIENT spans, mcp.client.* */
    MCP_SIDES
};

/* X(SYMBOL, "word", "error.type", failed). A cancelled request has an outcome of
 * its own that is no failure. */
#define MCP_END_TABLE(X)                                                                           \
    X(RESULT, "ok", "", false)                    /* answered with a result */                     \
    X(ERROR, "error", "", true)                   /* answered with a JSON-RPC error */             \
    X(CANCELLED, "cancelled", "cancelled", false) /* withdrawn by who asked, or who asked left */  \
    X(TIMEOUT, "timeout", "timeout", true)        /* no answer within the time limit */            \
    X(CRASH, "crash", "crash", true)              /* the server died of a signal or an error */    \
    X(CLOSED, "broken_pipe", "broken_pipe", true) /* the server went in order, without answering   \
                                                   */

enum mcp_end {
#define X(sym, word, type, failed) MCP_END_##sym,
    MCP_END_TABLE(X)
#undef X
        MCP_ENDS
};

struct outcome {
    char status_code[24];   /* rpc.response.status_code, or "" */
    const char *error_type; /* error.type, or ""; may point to status_code */
    bool failed;            /* the span's status is ERROR */
};

/* The outcome of a request of `method` that ended so. m is its answer: there is
 * one for MCP_END_ERROR, there may be one for MCP_END_RESULT. */
void outcome_of(struct outcome *o, enum mcp_side side, enum mcp_method method, enum mcp_end end,
                const struct mcp_message *m);

const char *mcp_end_word(enum mcp_end end);

#endif
