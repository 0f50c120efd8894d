/* transport: OTLP requests to one collector. Floor 4.
 *
 * Sends whole Export*ServiceRequest messages and says what became of each; keeps no
 * queue and does not retry: forward/ does. */
#ifndef MCPTALLY_EXPORT_TRANSPORT_H
#define MCPTALLY_EXPORT_TRANSPORT_H

#include <event2/event.h>

#include "forward/outcome.h"
#include "helper/helper.h"
#include "otlp/otlp.h"

enum transport_protocol { TRANSPORT_GRPC, TRANSPORT_HTTP };

struct transport_header {
    const char *name, *value;
};

struct transport_options {
    enum transport_protocol protocol;
    const char *name;                   /* of the destination, for log lines */
    const char *endpoint[OTLP_SIGNALS]; /* URLs; grpc: scheme://host:port, http: used as they are */
    bool plain;                         /* grpc without a scheme: no TLS */
    bool gzip;
    uint64_t timeout;    /* ns for one request (10 s) */
    uint64_t keepalive;  /* ns without traffic until a ping; 0: none */
    unsigned concurrent; /* requests at one time (4) */
    const char *ca_file, *cert_file,
        *key_file; /* PEM; NULL: the system's CAs, no client certificate */
    bool insecure_skip_verify;
    unsigned nheaders;
    const struct transport_header *headers;
};

struct transport;

typedef void transport_done(void *arg, uint64_t id, const struct outcome *o);

/* Checks the options too: NULL and a line in `why`. Strings are copied. */
struct transport *transport_new(struct event_base *base, struct helper *helper,
                                const struct transport_options *o, transport_done *done, void *arg,
                                char *why, size_t why_size);
void transport_free(struct transport *t); /* open requests are never answered */

/* Whether another request may be sent now. */
bool transport_ready(const struct transport *t);

/* Sends; `done` is called from the loop, once, with this id. Copies what it needs. */
void transport_send(struct transport *t, uint64_t id, enum otlp_signal signal, struct str request);

/* Descriptor-level facts for the status page. */
struct transport_stats {
    bool connected;
    uint64_t connects, requests, bytes_sent;
    char error[160]; /* the newest connection error; empty: none */
};
void transport_stats(const struct transport *t, struct transport_stats *out);

#endif
