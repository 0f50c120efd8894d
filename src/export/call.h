/* call: one request on its way. Floor 4. */
#ifndef MCPTALLY_EXPORT_CALL_H
#define MCPTALLY_EXPORT_CALL_H

#include <sys/queue.h>

#include "base/buf.h"
#include "forward/outcome.h"
#include "otlp/grpc.h"
#include "otlp/otlp.h"

enum { CALL_MESSAGE = 200 };

enum call_place {
    CALL_COMPRESSING, /* the transport's gzip has it */
    CALL_SENT,        /* a client has it */
    CALL_ANSWERED,    /* `outcome` is known; the next turn tells */
};

struct client;

struct call {
    TAILQ_ENTRY(call) age;   /* of all that are open, oldest first */
    TAILQ_ENTRY(call) entry; /* of the list of its place, or of the client's */
    enum call_place place;
    uint64_t id;
    enum otlp_signal signal;
    uint64_t deadline; /* mono ns */
    struct buf bytes;  /* what is sent, compressed if that is wanted */
    struct buf plain;  /* what is left to compress; `squeezed` of it are done */
    size_t squeezed;
    bool again; /* it was sent a second time already */
    struct client *client;
    void *link; /* the client's own: a connection, or NULL while it waits for one */

    /* gRPC */
    int32_t stream;
    uint8_t prefix[GRPC_PREFIX];
    size_t sent; /* of prefix and bytes */
    struct grpc_reply *reply;

    struct outcome outcome;
    char message[CALL_MESSAGE];
};

TAILQ_HEAD(calls, call);

/* Notes what became of it; the text is copied, made printable and cut. */
void call_outcome(struct call *c, bool grpc, unsigned status, enum outcome_kind kind,
                  struct str message);

/* No answer, for a reason on our side of the collector: OUTCOME_RETRY, status 0. */
void call_lost(struct call *c, const char *why);

#endif
