/* grpc: the parts of gRPC over HTTP/2 that are bytes. Floor 1. No I/O.
 * Both the receiver and the exporter use it. */
#ifndef MCPTALLY_OTLP_GRPC_H
#define MCPTALLY_OTLP_GRPC_H

#include "base/buf.h"
#include "otlp/reply.h"

enum {
    GRPC_PREFIX = 5,
    GRPC_RESERVE = 4, /* times what has arrived of a message is reserved, up to its size */
};

/* Gathers the one message of a unary call: flag, length, bytes. */
struct grpc_message {
    uint8_t prefix[GRPC_PREFIX];
    unsigned have; /* of the prefix */
    bool compressed;
    uint32_t size; /* known once have == GRPC_PREFIX */
    struct buf bytes;
};

void grpc_message_init(struct grpc_message *m, size_t max);
void grpc_message_fini(struct grpc_message *m);

/* Takes bytes: 0; 1 when the message is whole; -ERR_RANGE when it is larger than
 * max, -ERR_SYNTAX for a flag above 1 or for bytes behind the message, -ERR_NOMEM.
 * Memory follows what has arrived, not what the prefix says: up to four times as much. */
int grpc_message_feed(struct grpc_message *m, const uint8_t *p, size_t n);

void grpc_prefix(uint8_t out[GRPC_PREFIX], bool compressed, uint32_t size);

/* grpc-timeout ("10S", "250m") in ns; false when it has not that form. */
bool grpc_timeout_read(struct str text, uint64_t *ns);
void grpc_timeout(struct buf *to, uint64_t ns);

/* grpc-message: percent-encoding, and back (what is no escape stays). */
void grpc_percent(struct buf *to, struct str text);
void grpc_unpercent(struct buf *to, struct str text);

/* grpc-status-details-bin: base64 with or without padding, of either alphabet. -ERR_SYNTAX,
 * or -ERR_NOMEM when the buffer failed. */
void grpc_base64(struct buf *to, struct str bytes);
int grpc_base64_read(struct buf *to, struct str text);

#endif
