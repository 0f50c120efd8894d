/* scan: one direction of a stdio conversation, cut into messages. Floor 2.
 *
 * MCP over stdio is one JSON-RPC message a line. Bytes come in any pieces, of
 * any size; none is kept. Where bytes are missing the message around the gap is
 * given up and reading goes on at a line that is known to be one. */
#ifndef MCPTALLY_MCP_SCAN_H
#define MCPTALLY_MCP_SCAN_H

#include "mcp/envelope.h"

struct scan_listener {
    void (*message)(void *arg, const struct mcp_message *m);
    void (*junk)(void *arg); /* a line that is not JSON */
};

struct scan {
    struct envelope envelope;
    const struct scan_listener *listener;
    void *arg;
    bool bad;  /* the line in hand is not JSON: wait for its end */
    bool lost; /* the line in hand has a gap: likewise, and say nothing */
};

void scan_init(struct scan *s, const struct scan_listener *listener, void *arg);
void scan_feed(struct scan *s, const char *p, size_t n);

/* Some bytes after those fed have been lost. at_line: those that will be fed next
 * are known to begin a line; otherwise the rest of a line is waited for. */
void scan_lost(struct scan *s, bool at_line);

/* The stream has ended: what was fed of the last line counts as a line. */
void scan_finish(struct scan *s);

#endif
