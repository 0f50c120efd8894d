#include "mcp/message.h"

#include <string.h>

bool mcp_id_equal(const struct mcp_id *a, const struct mcp_id *b)
{
    return a->type == b->type && a->size == b->size && a->hash == b->hash &&
           strcmp(a->text, b->text) == 0;
}

const char *mcp_kind_name(enum mcp_kind kind)
{
    static const char *const names[MCP_KINDS] = {
        [MCP_REQUEST] = "request", [MCP_NOTIFICATION] = "notification", [MCP_RESULT] = "result",
        [MCP_ERROR] = "error",     [MCP_INVALID] = "invalid",
    };
    return names[kind];
}
