/* grpc_caller: gRPC requests over one HTTP/2 connection, as its client. Floor 4.
 *
 * Bytes in, bytes out, the clock as an argument: no socket. */
#ifndef MCPTALLY_EXPORT_GRPC_CALLER_H
#define MCPTALLY_EXPORT_GRPC_CALLER_H

#include "export/call.h"
#include "export/setup.h"

enum {
    /* Frames that the other side may send without having answered anything. Stops
     * floods of PING, SETTINGS, CONTINUATION, empty DATA and what else costs us and is
     * free for them. Each frame of ours and each minute that passes gives more. */
    GRPC_FRAMES = 1000,
    GRPC_FRAMES_EACH = 4,
    /* Likewise bytes, beside the replies: of frames that nghttp2 does not tell of. */
    GRPC_BYTES = 1 << 20,
    GRPC_PING_WAIT = 10, /* seconds for the answer to a ping; less if pings are more frequent */
};

struct grpc_caller;

/* A call is over: its outcome is set, or `again`: nobody looked at it, and it may go
 * elsewhere. The session has forgotten it. */
typedef void grpc_finished(void *arg, struct call *c, bool again);

struct grpc_caller *grpc_caller_new(const struct setup *s, const struct endpoint *e,
                                    grpc_finished *finished, void *arg, uint64_t now);

/* Open calls are given back first as lost, with why. */
void grpc_caller_end(struct grpc_caller *g, const char *why);

/* What the collector sent. 0, or -ERR_SYNTAX with a reason for grpc_caller_why():
 * the connection is of no more use. */
int grpc_caller_feed(struct grpc_caller *g, struct str bytes, uint64_t now);

/* The next bytes for the collector, good until the next call. 0 bytes: none for now. -ERR_NOMEM. */
int grpc_caller_pull(struct grpc_caller *g, struct str *bytes);

/* Whether another call may begin: it has introduced itself, and is not going away. */
bool grpc_caller_may(const struct grpc_caller *g);
unsigned grpc_caller_limit(const struct grpc_caller *g); /* calls at one time */
unsigned grpc_caller_open(const struct grpc_caller *g);  /* calls that are open */

int grpc_caller_send(struct grpc_caller *g, struct call *c, uint64_t now); /* 0, -ERR_NOMEM */
void grpc_caller_cancel(struct grpc_caller *g, struct call *c, uint64_t now);

/* It said goodbye, or has no stream left: what is open may end here, the rest goes elsewhere. */
bool grpc_caller_leaving(const struct grpc_caller *g);

/* Nothing more is to be read or written. */
bool grpc_caller_over(const struct grpc_caller *g);

/* Sends pings. 0, or -ERR_TIMEOUT when one was not answered. */
int grpc_caller_tick(struct grpc_caller *g, uint64_t now);
uint64_t grpc_caller_wakes(const struct grpc_caller *g); /* mono ns; UINT64_MAX: never */

const char *grpc_caller_why(const struct grpc_caller *g);

#endif
