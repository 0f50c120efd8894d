/* ask: asks an MCP server whether it answers, in either era. Floor 2. No I/O, no clock.
 *
 * Modern servers are asked server/discover, legacy ones ping, after initialize. The caller
 * carries messages to and fro: whole lines over a pipe, one POST each over HTTP. What comes
 * back is a stranger's: memory is fixed, what cannot be read is passed over, and how many
 * bytes are taken is the caller's to bound. */
#ifndef MCPTALLY_MCP_ASK_H
#define MCPTALLY_MCP_ASK_H

#include "base/buf.h"
#include "mcp/envelope.h"
#include "mcp/era.h"

#define MCP_ASK_MODERN "2026-07-28" /* the versions that are offered */
#define MCP_ASK_LEGACY "2025-11-25"

/* How messages are told apart in what comes. */
enum mcp_framing {
    MCP_LINES,  /* one a line */
    MCP_WHOLE,  /* all of it is one */
    MCP_EVENTS, /* the data of server-sent events */
};

enum { MCP_ASK_WHY = 160, MCP_ASK_WORD = 5 /* "data:" */ };

struct mcp_ask {
    enum mcp_era era;
    enum mcp_ask_state state;
    unsigned unsent; /* messages that are due: a mask */
    enum mcp_framing framing;
    struct envelope envelope;
    bool unreadable;  /* the message in hand is no JSON: passed over */
    unsigned column;  /* of an event's line: bytes read of it, up to MCP_ASK_WORD + 1 */
    bool data;        /* and it is one of data */
    char version[34]; /* that a legacy server has chosen; empty: none yet */
    char why[MCP_ASK_WHY];
};

void mcp_ask_init(struct mcp_ask *a, enum mcp_era era);

/* Appends the next message that is due and a line end, and returns its method; NULL when
 * none is. */
const char *mcp_ask_next(struct mcp_ask *a, struct buf *out);

/* What follows is framed so; forgets half a message. */
void mcp_ask_framing(struct mcp_ask *a, enum mcp_framing framing);

void mcp_ask_feed(struct mcp_ask *a, const char *p, size_t n);

/* All that answers the last message has come: ends a message that is MCP_WHOLE. */
void mcp_ask_finish(struct mcp_ask *a);

/* No answer came for so long that a server/discover may have been passed over: asks as a
 * legacy server is asked, where the era allows that. */
void mcp_ask_waited(struct mcp_ask *a);

/* The server refused a message outside of JSON-RPC; `why` is printable. */
void mcp_ask_refused(struct mcp_ask *a, const char *why);

static inline bool mcp_ask_over(const struct mcp_ask *a)
{
    return a->state == MCP_ASK_GOOD || a->state == MCP_ASK_BAD;
}

#endif
