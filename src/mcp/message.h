/* message: what an observer keeps of one JSON-RPC message. Floor 2.
 *
 * A message may be 20 MiB; this is all that is remembered of it. Every text is
 * NUL-terminated valid UTF-8 without NUL inside; one that fills its room was
 * longer and has been cut. */
#ifndef MCPTALLY_MCP_MESSAGE_H
#define MCPTALLY_MCP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(member, bytes kept). One more than a good text may have where a longer one
 * must be told from a good one (names, method, traceparent). */
#define MCP_TEXT_TABLE(X)                                                                          \
    X(method, 129)                                                                                 \
    X(name, 129) /* params.name: of the tool or prompt */                                          \
    X(uri, 512)                                                                                    \
    X(protocol_version, 33) /* of params, of params._meta or of the result */                      \
    X(traceparent, 56)                                                                             \
    X(tracestate, 513)                                                                             \
    X(peer_name, 128) /* params.clientInfo.name or result.serverInfo.name */                       \
    X(peer_version, 64)                                                                            \
    X(result_type, 33)                                                                             \
    X(error_message, 256)

enum mcp_id_type { MCP_ID_NONE, MCP_ID_NULL, MCP_ID_NUMBER, MCP_ID_STRING, MCP_ID_BAD };

enum { MCP_ID_TEXT = 47 };

/* A JSON-RPC id: 1 and "1" differ. Equal when type, size, hash and the kept
 * text are, so that an id of any length needs no more room. */
struct mcp_id {
    uint8_t type;  /* enum mcp_id_type */
    uint32_t size; /* bytes of the whole id */
    uint64_t hash; /* of all of it */
    char text[MCP_ID_TEXT + 1];
};

enum mcp_kind { MCP_REQUEST, MCP_NOTIFICATION, MCP_RESULT, MCP_ERROR, MCP_INVALID, MCP_KINDS };

struct mcp_message {
    enum mcp_kind kind;
    struct mcp_id id;
    struct mcp_id request_id;   /* params.requestId of notifications/cancelled */
    bool has_result, has_error; /* of any value; an object */
    bool is_error;              /* result.isError */
    bool has_code;
    int64_t code; /* error.code */
    bool has_tools;
    uint32_t tools;        /* entries of result.tools */
    uint64_t result_bytes; /* size of the result when it is an object */
#define X(member, size) char member[(size) + 1];
    MCP_TEXT_TABLE(X)
#undef X
};

bool mcp_id_equal(const struct mcp_id *a, const struct mcp_id *b);

/* "request", "notification", "result", "error", "invalid". */
const char *mcp_kind_name(enum mcp_kind kind);

#endif
