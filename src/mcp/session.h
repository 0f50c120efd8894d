/* session: what a conversation over stdio means. Floor 2.
 *
 * Both directions' bytes go in with the time they passed; operations, sessions
 * and the like come out through a sink, running totals through counts[]. It
 * knows both eras of the protocol: with the initialize handshake and without.
 * No I/O, no clock; memory is bounded by struct mcp_limits. */
#ifndef MCPTALLY_MCP_SESSION_H
#define MCPTALLY_MCP_SESSION_H

#include "mcp/counter.h"
#include "mcp/pending.h"
#include "mcp/scan.h"
#include "mcp/sink.h"

enum mcp_direction { MCP_UP, MCP_DOWN, MCP_DIRECTIONS }; /* to the server, to the client */

struct mcp_limits {
    unsigned pending_max; /* requests that wait for an answer at once */
    uint64_t pending_age; /* ns until one counts as timed out */
    uint64_t late_age;    /* ns for which a cancelled one's answer is waited for */
};

struct mcp_session;

struct mcp_stream {
    struct mcp_session *session;
    enum mcp_direction direction;
    struct scan scan;
    uint64_t gap_at; /* mono ns of the newest gap, 0 for none */
    bool closed;
};

struct mcp_session {
    struct mcp_limits limits;
    const struct mcp_sink *sink;
    void *arg;
    struct mcp_stream stream[MCP_DIRECTIONS];
    struct pending pending;
    struct name_set methods, tools, prompts, versions;
    uint64_t counts[MCP_COUNTERS];
    struct when now;   /* of the bytes in hand */
    struct when began; /* of the client's first message */
    bool begun, ended[MCP_SIDES];
    const char *version;       /* negotiated by initialize, or of the newest request */
    char peer[MCP_SIDES][200]; /* "name\nversion" as last told */
};

/* 1024 requests, 10 minutes, 1 minute. */
void mcp_limits_default(struct mcp_limits *l);

/* The sink and arg are borrowed. 0 or -ERR_NOMEM. */
int mcp_session_init(struct mcp_session *s, const struct mcp_limits *l, const struct mcp_sink *sink,
                     void *arg);
void mcp_session_fini(struct mcp_session *s);

void mcp_session_feed(struct mcp_session *s, enum mcp_direction d, const char *p, size_t n,
                      struct when now);

/* n bytes of a direction have been missed; at_line as for scan_lost(). */
void mcp_session_lost(struct mcp_session *s, enum mcp_direction d, uint64_t n, bool at_line,
                      struct when now);

/* Bytes of the server's stderr: counted, not kept. */
void mcp_session_stderr(struct mcp_session *s, const char *p, size_t n);

/* A direction has reached its end. */
void mcp_session_close(struct mcp_session *s, enum mcp_direction d, struct when now);

/* Ends what has waited too long; about once a second. */
void mcp_session_tick(struct mcp_session *s, struct when now);

/* All is over: what still waits ends as MCP_END_CRASH or MCP_END_CLOSED, or as
 * MCP_END_CANCELLED when the client had closed its side before. */
void mcp_session_end(struct mcp_session *s, enum mcp_end why, struct when now);

/* Requests that wait for an answer; streams that are open. */
unsigned mcp_session_in_flight(const struct mcp_session *s, enum mcp_side side);
unsigned mcp_session_streams(const struct mcp_session *s);

/* Age of the one that waits longest, ns; 0 for none. */
uint64_t mcp_session_oldest(const struct mcp_session *s, struct when now);

#endif
