/* era: how an MCP server is to be asked whether it answers, and how that stands. Floor 2. */
#ifndef MCPTALLY_MCP_ERA_H
#define MCPTALLY_MCP_ERA_H

enum mcp_era {
    MCP_ERA_AUTO, /* modern; legacy when the server does not know it */
    MCP_ERA_LEGACY,
    MCP_ERA_MODERN,
};

/* X(SYMBOL, what is true in it) */
#define MCP_ASK_TABLE(X)                                                                           \
    X(DISCOVER, "server/discover has no answer yet")                                               \
    X(INITIALIZE, "initialize has none")                                                           \
    X(PING, "ping has none")                                                                       \
    X(GOOD, "it answered as it should")                                                            \
    X(BAD, "it answered otherwise; `why` says how")

enum mcp_ask_state {
#define X(sym, help) MCP_ASK_##sym,
    MCP_ASK_TABLE(X)
#undef X
        MCP_ASK_STATES
};

/* "auto", "legacy", "modern": the era of a word, or -1. */
int mcp_era_of(const char *word);

#endif
