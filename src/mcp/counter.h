/* counter: what a session counts, one row a series. Floor 2. */
#ifndef MCPTALLY_MCP_COUNTER_H
#define MCPTALLY_MCP_COUNTER_H

#define MCP_UP_WORD   "client_to_server"
#define MCP_DOWN_WORD "server_to_client"

/* Rows for both directions; the UP row must come first. */
#define MCP_BOTH(X, sym, name, unit, key2, value2, help)                                           \
    X(sym##_UP, name, unit, "direction", MCP_UP_WORD, key2, value2, help)                          \
    X(sym##_DOWN, name, unit, "direction", MCP_DOWN_WORD, key2, value2, help)

#define MCP_HELP_MESSAGES "JSON-RPC messages that passed, by direction and kind."
#define MCP_HELP_DROPPED                                                                           \
    "Requests that were given up without an outcome: the table was full, the id was used again, "  \
    "the answer may have been in a gap, or the time limit passed."

/* X(SYMBOL, "metric", "unit", "key", "value", "key 2", "value 2", "help"); no key: "". */
#define MCP_COUNTER_TABLE(X)                                                                       \
    MCP_BOTH(X, BYTES, "mcptally.wrapper.io", "By", "", "", "Bytes that passed, by direction.")    \
    X(BYTES_STDERR, "mcptally.wrapper.io", "By", "direction", "stderr", "", "",                    \
      "Bytes that passed, by direction.")                                                          \
    MCP_BOTH(X, REQUESTS, "mcptally.wrapper.messages", "", "kind", "request", MCP_HELP_MESSAGES)   \
    MCP_BOTH(X, NOTIFICATIONS, "mcptally.wrapper.messages", "", "kind", "notification",            \
             MCP_HELP_MESSAGES)                                                                    \
    MCP_BOTH(X, RESULTS, "mcptally.wrapper.messages", "", "kind", "result", MCP_HELP_MESSAGES)     \
    MCP_BOTH(X, ERRORS, "mcptally.wrapper.messages", "", "kind", "error", MCP_HELP_MESSAGES)       \
    MCP_BOTH(X, INVALID, "mcptally.wrapper.messages", "", "kind", "invalid", MCP_HELP_MESSAGES)    \
    MCP_BOTH(X, JUNK, "mcptally.wrapper.invalid_lines", "", "", "",                                \
             "Lines on stdin or stdout that are not JSON, by direction.")                          \
    X(STDERR_LINES, "mcptally.wrapper.stderr.lines", "", "", "", "", "",                           \
      "Lines that the server wrote to stderr.")                                                    \
    MCP_BOTH(X, UNMATCHED, "mcptally.wrapper.unmatched_responses", "", "", "",                     \
             "Responses to no request that was waiting, by direction.")                            \
    X(DROPPED_FULL, "mcptally.wrapper.pending.dropped", "", "reason", "full", "", "",              \
      MCP_HELP_DROPPED)                                                                            \
    X(DROPPED_REUSED, "mcptally.wrapper.pending.dropped", "", "reason", "reused_id", "", "",       \
      MCP_HELP_DROPPED)                                                                            \
    X(DROPPED_GAP, "mcptally.wrapper.pending.dropped", "", "reason", "gap", "", "",                \
      MCP_HELP_DROPPED)                                                                            \
    X(EXPIRED, "mcptally.wrapper.pending.expired", "", "", "", "", "",                             \
      "Requests that had no answer within the time limit.")                                        \
    MCP_BOTH(X, GAPS, "mcptally.wrapper.tee.gaps", "", "", "",                                     \
             "Times that the observer missed bytes, by direction; none was withheld from a peer.") \
    MCP_BOTH(X, LOST, "mcptally.wrapper.tee.lost", "By", "", "",                                   \
             "Bytes that the observer missed, by direction.")

enum mcp_counter {
#define X(sym, name, unit, key, value, key2, value2, help) MCP_COUNT_##sym,
    MCP_COUNTER_TABLE(X)
#undef X
        MCP_COUNTERS
};

#endif
