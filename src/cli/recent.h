/* recent: how long the newest spans of each MCP operation took, exactly.
 *
 * The spans come out of the store's ring. Those with mcp.method.name are kept,
 * but for streams, whose spans last as long as somebody listens. */
#ifndef MCPTALLY_CLI_RECENT_H
#define MCPTALLY_CLI_RECENT_H

#include "cli/feed.h"
#include "cli/sheet.h"
#include "model/event.h"

enum {
    RECENT_SPANS = 512,    /* kept of an operation, and of a server's operations together */
    RECENT_WINDOWS = 2048, /* operations and servers; the one silent for longest makes room */
    RECENT_SECONDS = 300,  /* what came so long before the newest of its window is left out */
};

struct recent_window;

struct recent {
    struct recent_window *windows; /* sorted */
    size_t n, room;
    struct event event; /* the one in hand */
};

/* All zero is an empty one. */
void recent_fini(struct recent *r);

/* Reads on in a feed of spans, `most` records at most. 0 at the feed's end, 1 when
 * there may be more, -ERR_NOMEM. */
int recent_read(struct recent *r, struct feed *f, unsigned most);

/* Takes a span of a service, received then (ns since 1970), if it is one of an
 * operation. 0 or -ERR_NOMEM. */
int recent_add(struct recent *r, struct str service, uint64_t received, const struct event *span);

/* Gives those rows their quantiles of which there are spans. */
void recent_fill(struct recent *r, struct sheet *s);

#endif
