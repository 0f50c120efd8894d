/* web: one HTTP request to a host, by libevent's client. Floor 4.
 *
 * Redirects are not followed: what a server may send us to is its own choice. What comes back
 * is handed on as it comes; head and body are bounded. */
#ifndef MCPTALLY_PROBE_WEB_H
#define MCPTALLY_PROBE_WEB_H

#include <event2/http.h>

#include "export/endpoint.h"
#include "probe/reach.h"

struct web;

enum { WEB_HEADS = 16 << 10 }; /* bytes of an answer's headers */

struct web_request {
    enum evhttp_cmd_type method;
    const struct plan_header *headers; /* beside Host, User-Agent and Connection */
    unsigned nheaders;
    struct str body;
};

/* None of these may free the web. */
struct web_events {
    /* The head of the answer is there; header() gives one of its fields, or NULL. */
    void (*head)(struct probe *p, unsigned status, struct web *w);
    void (*data)(struct probe *p, const char *bytes, size_t n);
    void (*end)(struct probe *p); /* of a whole answer; otherwise the run is ended */
};

/* The host of the plan's url. NULL when memory is out. */
struct web *web_new(struct probe *p, const struct web_events *events);
void web_free(struct web *w); /* not from an event */

/* Finds the host; then `ready` is called: at once, or later. */
void web_find(struct web *w, void (*ready)(struct probe *p));

/* Sends a request, on a connection of its own. Not from an event, unless the one before has
 * ended. */
void web_send(struct web *w, const struct web_request *r);

const char *web_header(const struct web *w, const char *name);

#endif
