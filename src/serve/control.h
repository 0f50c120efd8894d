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
 *     {"cmd":"sampling.set","tier":"debug","rate":0.5}   sets a rate; likewise
 *     {"cmd":"sampling.reset","tier":"debug"}            to what is configured; likewise
 *     anything else                             {"error":"..."}
 *
 * and what control_options adds to these; command.h says how. Whoever may connect may
 * ask; what changes something is for root, the daemon's own user, and those whom
 * control_options.admins names, and is written to the audit log whether it was allowed or not.
 * Requests are answered between two batches, so the numbers of one answer agree.
 * A request has a size limit, a connection an absolute deadline, and there are at
 * most so many connections; one too many is closed at once. */
#ifndef MCPTALLY_SERVE_CONTROL_H
#define MCPTALLY_SERVE_CONTROL_H

#include "format/status.h"
#include "serve/admin.h"
#include "serve/command.h"
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

    const struct command *commands; /* beside the built-in ones; arg is handed to them */
    unsigned ncommands;
    struct admins admins;
};

/* NULL when memory or descriptors are out. */
struct control *control_new(const struct serve_env *env, const struct control_options *o);

void control_set_admins(struct control *c, const struct admins *admins);

/* After pages_stop(). */
void control_free(struct control *c);

#endif
