/* reply: what an OTLP request is answered with, in both directions. Floor 1. */
#ifndef MCPTALLY_OTLP_REPLY_H
#define MCPTALLY_OTLP_REPLY_H

#include "otlp/otlp.h"

/* gRPC's codes, which google.rpc.Status uses as well. */
enum rpc_code {
    RPC_OK = 0,
    RPC_CANCELLED = 1,
    RPC_UNKNOWN = 2,
    RPC_INVALID_ARGUMENT = 3,
    RPC_DEADLINE_EXCEEDED = 4,
    RPC_NOT_FOUND = 5,
    RPC_PERMISSION_DENIED = 7,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_ABORTED = 10,
    RPC_OUT_OF_RANGE = 11,
    RPC_UNIMPLEMENTED = 12,
    RPC_INTERNAL = 13,
    RPC_UNAVAILABLE = 14,
    RPC_DATA_LOSS = 15,
    RPC_UNAUTHENTICATED = 16,
};

const char *rpc_code_name(unsigned code); /* "INVALID_ARGUMENT"; "UNKNOWN" outside */

/* An Export*ServiceResponse: partial_success is left out when nothing was
 * rejected and there is no message. */
void otlp_reply(struct buf *to, enum otlp_signal signal, bool json, uint64_t rejected,
                struct str message);

/* Reads one (protobuf). 0 or -ERR_SYNTAX; the message is borrowed. */
int otlp_reply_read(struct str bytes, uint64_t *rejected, struct str *message);

/* A google.rpc.Status, with RetryInfo in its details unless retry is 0 (ns). */
void otlp_status(struct buf *to, bool json, enum rpc_code code, struct str message, uint64_t retry);

struct otlp_status {
    enum rpc_code code;
    struct str message;
    bool has_retry;
    uint64_t retry; /* ns, from RetryInfo */
};
int otlp_status_read(struct str bytes, struct otlp_status *out); /* protobuf */

#endif
