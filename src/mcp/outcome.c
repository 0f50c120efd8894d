#include "mcp/outcome.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *word, *type;
    bool failed;
} ends[MCP_ENDS] = {
#define X(sym, word, type, failed) [MCP_END_##sym] = {word, type, failed},
    MCP_END_TABLE(X)
#undef X
};

/* Codes that say the client asked wrongly: no failure of the server. */
static bool is_clients_fault(int64_t code)
{
    return code == -32700 || code == -32600 || code == -32601 || code == -32602 || code == -32002;
}

static void error_answer(struct outcome *o, enum mcp_side side, const struct mcp_message *m)
{
    if (!m->has_code) {
        o->error_type = "_OTHER";
        return;
    }
    snprintf(o->status_code, sizeof o->status_code, "%" PRId64, m->code);
    if (side == MCP_SERVER && is_clients_fault(m->code))
        o->failed = false;
    else
        o->error_type = o->status_code;
}

void outcome_of(struct outcome *o, enum mcp_side side, enum mcp_method method, enum mcp_end end,
                const struct mcp_message *m)
{
    *o = (struct outcome){.error_type = ends[end].type, .failed = ends[end].failed};
    if (end == MCP_END_ERROR)
        error_answer(o, side, m);
    if (end == MCP_END_RESULT && method == MCP_TOOLS_CALL && m && m->is_error) {
        o->error_type = "tool_error";
        o->failed = true;
    }
}

const char *mcp_end_word(enum mcp_end end)
{
    return ends[end].word;
}
