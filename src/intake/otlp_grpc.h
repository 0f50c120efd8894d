/* otlp_grpc: the server's side of one gRPC connection, without its socket. Floor 4.
 *
 * Bytes in by grpc_session_feed(), bytes out by grpc_session_output(), time as an
 * argument: a test or a fuzzer drives it as the socket does. It serves the unary
 * Export of the three OTLP services and grpc.health.v1.Health/Check.
 *
 * A stream's life is its call's state. Flow control is by hand: the window that a
 * peer has used is given back when the bytes are taken and the budget has room. */
#ifndef MCPTALLY_INTAKE_OTLP_GRPC_H
#define MCPTALLY_INTAKE_OTLP_GRPC_H

#include <nghttp2/nghttp2.h>

#include "intake/otlp_intake.h"
#include "serve/address.h"

enum {
    GRPC_HEADER_LIST = 8192,  /* bytes of one request's headers: else they fill memory */
    GRPC_HEADER_TABLE = 4096, /* of HPACK, per connection: likewise */
    GRPC_STREAM_WINDOW = 256 << 10,
    GRPC_CONNECTION_WINDOW = 1 << 20,
    GRPC_RESETS = 100,           /* at once: opening and resetting costs the peer nothing */
    GRPC_RESETS_PER_SECOND = 10, /* and in the long run */
    GRPC_ACKS = 64,              /* PING and SETTINGS answers that a peer leaves unread */
};
#define GRPC_GREETING_NS (5 * NS_PER_S) /* for the connection preface and SETTINGS */
#define GRPC_HEADERS_NS  (5 * NS_PER_S) /* from the first to the last frame of a header block */

struct grpc_session;

struct grpc_session_hooks {
    void (*wake)(void *arg); /* there is something to send, or the session is over */
    void *arg;
    struct client_address from;
};

/* NULL when memory is out. */
struct grpc_session *grpc_session_new(struct otlp_intake *in, const struct grpc_session_hooks *h,
                                      uint64_t now);

/* Ends all of its calls; what is being applied is applied to its end. */
void grpc_session_free(struct grpc_session *s);

/* Takes bytes from the peer. False when the connection cannot go on; what is left to
 * send (a GOAWAY) should still be sent. */
bool grpc_session_feed(struct grpc_session *s, const uint8_t *p, size_t n, uint64_t now);

/* Appends what is to be sent, until the buffer has `about` bytes or there is no more.
 * False when memory is out. */
bool grpc_session_output(struct grpc_session *s, struct buf *to, size_t about);

/* Whether there is nothing more to be said in either direction. */
bool grpc_session_over(const struct grpc_session *s);

/* When grpc_session_expire() wants to be called, mono ns. */
uint64_t grpc_session_deadline(const struct grpc_session *s);

/* Ends what has taken too long. */
void grpc_session_expire(struct grpc_session *s, uint64_t now);

/* Since when it has been idle or awaits the end of a message, mono ns; UINT64_MAX when something
 * is in line or being answered. */
uint64_t grpc_session_waits(const struct grpc_session *s);

/* Whether the peer has acknowledged our SETTINGS. */
bool grpc_session_agreed(const struct grpc_session *s);

/* Whether there will be an answer without anything from us before it: the peer has windows for
 * the rest of all messages that it has begun, or they are in line. */
bool grpc_session_patient(const struct grpc_session *s);

/* How many bytes the peer is bound to send before anything can be done for it: what is missing of
 * messages that it has begun and has windows for. 0: nobody knows. */
size_t grpc_session_missing(const struct grpc_session *s);

/* Whether a request of it has been applied. */
bool grpc_session_served(const struct grpc_session *s);

/* GOAWAY: open calls are finished, further ones refused. */
void grpc_session_leave(struct grpc_session *s);

/* Gives back windows that were held back; true while some still are. */
bool grpc_session_release(struct grpc_session *s);

#endif
