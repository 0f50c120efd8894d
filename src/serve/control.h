/* control: the Unix socket that mcptally(1) asks. Floor 4.
 *
 * A request is one line of JSON, an answer is all that follows up to the end of
 * the stream:
 *
 *     {"cmd":"status"}                          one JSON object
 *     {"cmd":"health"}                          one JSON object, as /health/detailed
 *     {"cmd":"metrics","format":"openmetrics"}  a line of JSON with "type" and "length",
 *                                               and a page of so many bytes; or "text"
 *     {"cmd":"sampling"}                        one JSON object, see format/sampling_doc.h
 *     {"cmd":"sampling","tier":"debug","rate":0.5}   sets it, null resets it; likewise
 *     anything else                             {"error":"..."}
 *
 * Requests are answered between two batches, so the numbers of one answer agree.
 * A request has a size limit, a connection an absolute deadline, and there are at
 * most so many connections; one too many is closed at once. */
#ifndef MCPTALLY_SERVE_CONTROL_H
#define MCPTALLY_SERVE_CONTROL_H

#include "format/status.h"
#include "serve/health_page.h"
#include "serve/pages.h"

struct control;

struct control_options {
    int listen_fd;        /* a Unix stream listener, which it takes also on failure */
    unsigned connections; /* 0: 32 */
    uint64_t deadline;    /* ns until a request has to be there; 0: 2 s */
    struct pages *pages;
    struct health_page *health;

    /* Fills in what the status says of the running daemon. */
    void (*describe)(void *arg, struct status_info *out);
    void *arg;
};

/* NULL when memory or descriptors are out. */
struct control *control_new(const struct serve_env *env, const struct control_options *o);

/* After pages_stop(). */
void control_free(struct control *c);

#endif
