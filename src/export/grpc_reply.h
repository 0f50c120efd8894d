/* grpc_reply: what a collector answers to one gRPC request. Floor 4. No I/O. */
#ifndef MCPTALLY_EXPORT_GRPC_REPLY_H
#define MCPTALLY_EXPORT_GRPC_REPLY_H

#include "export/call.h"

enum { GRPC_REPLY_TEXT = 1024, GRPC_REPLY_DETAILS = 8192 };

struct grpc_reply {
    unsigned http; /* status; 0: none yet */
    bool typed;    /* content-type: application/grpc */
    bool gzip;
    bool ended; /* grpc-status is there */
    unsigned code;
    struct buf text, details; /* grpc-message, grpc-status-details-bin as sent */
    size_t headers;           /* bytes of them so far; what is above EXPORT_HEADERS is left out */
    struct grpc_message message;
};

struct grpc_reply *grpc_reply_new(void);
void grpc_reply_free(struct grpc_reply *r);

void grpc_reply_field(struct grpc_reply *r, struct str name, struct str value);

/* Bytes of the body. 0, or what grpc_message_feed() says of a message that is too large or none. */
int grpc_reply_data(struct grpc_reply *r, struct str bytes);

/* The end of the stream: what became of the call. */
void grpc_reply_outcome(struct grpc_reply *r, struct call *c);

/* A body that grpc_reply_data() refused. */
void grpc_reply_bad(struct call *c, int error);

/* The stream was reset with this HTTP/2 error, by gRPC's table. */
void grpc_reply_reset(struct call *c, unsigned error);

#endif
