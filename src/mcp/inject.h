/* inject: where a trace context goes into a request that has none. Floor 2.
 *
 * MCP carries the W3C traceparent in params._meta. A whole line comes in; what
 * is found is one place where one piece of text makes the request carry it, so
 * that every other byte stays as it was. No memory but the stack's. */
#ifndef MCPTALLY_MCP_INJECT_H
#define MCPTALLY_MCP_INJECT_H

#include <stdbool.h>
#include <stddef.h>

enum { INJECT_MAX = 128 }; /* bytes of the longest piece */

enum inject_what {
    INJECT_MEMBER, /* a member of the _meta that is there */
    INJECT_META,   /* a _meta for the params that are there */
    INJECT_PARAMS, /* params and _meta */
};

struct inject_place {
    size_t at; /* bytes before the piece */
    enum inject_what what;
    bool last; /* the piece is alone in its object: no comma behind it */
};

/* False for what gets none: no request (no method, or no id), a batch, one that
 * has a traceparent, params or _meta that are no objects or come twice, and what
 * is no JSON. */
bool inject_find(const char *line, size_t n, struct inject_place *out);

/* Writes the piece and returns its length. */
size_t inject_piece(char to[INJECT_MAX], const struct inject_place *place, const char *traceparent);

#endif
