/* transport: OTLP requests to one collector. Floor 4.
 *
 * Sends whole Export*ServiceRequest messages and says what became of each; keeps no
 * queue and does not retry: forward/ does.
 *
 * A connection is made when there is something to send and none stands; nothing
 * is tried in the background. Requests wait for it, within their own time. When no
 * address can be reached all of them are answered at once, OUTCOME_RETRY with status 0;
 * when to try again is the caller's to know (forward/breaker.h). A connection that is
 * lost answers what was open on it in the same way. Two things are sent again
 * here, once for each request, since the collector has not looked at them: a stream that it
 * refused or that lies above its GOAWAY, and a request on a kept HTTP connection that it
 * closed without a byte of an answer.
 *
 * Each request has an answer `timeout` after it was sent, whatever the collector does.
 * Memory: the requests that are open (and their gzip), `concurrent` times 64 KiB of
 * replies, and buffers of 64 KiB for each connection. */
#ifndef MCPTALLY_EXPORT_TRANSPORT_H
#define MCPTALLY_EXPORT_TRANSPORT_H

#include "export/setup.h"
#include "forward/outcome.h"
#include "helper/helper.h"

enum transport_protocol { TRANSPORT_GRPC, TRANSPORT_HTTP };

struct transport_header {
    const char *name, *value;
};

struct transport_options {
    enum transport_protocol protocol;
    const char *name; /* of the destination, for log lines */
    /* URLs. grpc: scheme://host:port, or without the scheme; port 4317 unless given. http:
     * used as they are. NULL: that signal is never sent. */
    const char *endpoint[OTLP_SIGNALS];
    bool plain; /* grpc without a scheme: no TLS */
    bool gzip;
    uint64_t timeout;    /* ns for one request (10 s) */
    uint64_t keepalive;  /* grpc: ns without traffic until a ping; 0: none */
    unsigned concurrent; /* requests at one time (4), at most TRANSPORT_CONCURRENT */
    const char *ca_file, *cert_file,
        *key_file; /* PEM; NULL: the system's CAs, no client certificate */
    bool insecure_skip_verify;
    unsigned nheaders;
    const struct transport_header *headers;
};

enum { TRANSPORT_CONCURRENT = 64 };

struct transport;

/* May call transport_send(), not transport_free(). */
typedef void transport_done(void *arg, uint64_t id, const struct outcome *o);

/* Checks the options too: NULL and a line in `why`. Strings are copied. */
struct transport *transport_new(struct event_base *base, struct helper *helper,
                                const struct transport_options *o, transport_done *done, void *arg,
                                char *why, size_t why_size);
void transport_free(struct transport *t); /* open requests are never answered */

/* Whether another request may be sent now: fewer are open than `concurrent` and than the
 * collector allows. Once false, it is true again after some call of `done`, never without one. */
bool transport_ready(const struct transport *t);

/* Sends; `done` is called from the loop, once, with this id. Copies what it needs. Only
 * when transport_ready(), and only signals that have an endpoint. */
void transport_send(struct transport *t, uint64_t id, enum otlp_signal signal, struct str request);

void transport_stats(const struct transport *t, struct transport_stats *out);

#endif
