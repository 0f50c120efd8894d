/* setup: what the parts of one transport share. Floor 4. */
#ifndef MCPTALLY_EXPORT_SETUP_H
#define MCPTALLY_EXPORT_SETUP_H

#include <event2/bufferevent.h>

#include "export/endpoint.h"
#include "export/fields.h"
#include "export/tls.h"
#include "otlp/otlp.h"

#define EXPORT_AGENT "mcptally/" MCPTALLY_BUILD_VERSION

enum {
    /* A reply is a few bytes; one that is larger is cut there. Stops a collector that
     * answers with more than we have memory for. */
    EXPORT_REPLY = 65536,
    EXPORT_HEADERS = 16384, /* likewise of the headers of a reply */
    EXPORT_WHY = 512,       /* bytes of a reason, the host in it */
    EXPORT_STEP = 65536,    /* bytes compressed or written at one time */
    /* Seconds for one address, with the TLS handshake and the greeting of HTTP/2; less if
     * the whole request has less. */
    EXPORT_CONNECT = 5,
};

struct call;

struct transport_stats {
    bool connected;
    uint64_t connects, requests, bytes_sent; /* connections made, requests begun on one */
    char error[160]; /* why there is no connection; empty: there is one, or none was wanted */
};

struct setup {
    struct event_base *base;
    struct helper *helper;
    char *name;    /* of the destination */
    bool troubled; /* the newest attempt to connect failed, and a line says so */
    struct endpoint endpoint[OTLP_SIGNALS];
    bool sends[OTLP_SIGNALS];
    bool gzip;
    uint64_t timeout, keepalive; /* ns */
    unsigned concurrent;
    struct fields fields;
    struct tls *tls;               /* NULL: no endpoint is https */
    struct transport_stats *stats; /* counted by the clients */

    /* Takes a call whose outcome is known back from a client. Calls nobody. */
    void (*answered)(void *arg, struct call *c);
    void *arg;
};

/* A connection stands; none could be made, or one was lost. One log line a change. */
void setup_connected(struct setup *s, const struct endpoint *e);
void setup_failed(struct setup *s, const char *why);

uint64_t setup_connect(const struct setup *s); /* EXPORT_CONNECT in ns */
struct timeval setup_connect_time(const struct setup *s);
struct timeval setup_time(uint64_t ns);

/* A connection to be made to an endpoint, with TLS if it is https (the certificates have to
 * be there), whose session *ssl then is, borrowed. NULL when memory is out. */
struct bufferevent *setup_bufferevent(const struct setup *s, const struct endpoint *to, bool h2,
                                      SSL **ssl);

/* One protocol's way to one host. `send` takes the call until it is answered or `cancel`led. */
struct client;
struct client_ops {
    struct client *(*make)(struct setup *s, const struct endpoint *e);
    void (*free)(struct client *c); /* forgets its calls, which the caller still has */
    void (*send)(struct client *c, struct call *call);
    void (*cancel)(struct client *c, struct call *call); /* its time is over */
    unsigned (*limit)(const struct client *c);           /* calls at one time; UINT_MAX: any */
    bool (*connected)(const struct client *c);
};

#endif
