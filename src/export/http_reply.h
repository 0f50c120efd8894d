/* http_reply: what a collector answers to one HTTP request. Floor 4. No I/O. */
#ifndef MCPTALLY_EXPORT_HTTP_REPLY_H
#define MCPTALLY_EXPORT_HTTP_REPLY_H

#include "export/call.h"

struct http_reply {
    unsigned status;
    const char *type, *retry_after, *location; /* headers; NULL: not there */
    struct str body;
    bool cut; /* the body is longer than that */
};

/* What became of the call; `wall` is now, for a Retry-After that is a date. */
void http_reply_outcome(const struct http_reply *r, struct call *c, uint64_t wall);

#endif
