/* outcome: what became of a request that was sent. Floor 3. */
#ifndef MCPTALLY_FORWARD_OUTCOME_H
#define MCPTALLY_FORWARD_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum outcome_kind {
    OUTCOME_OK,      /* taken; `rejected` items of it were not, and are not to be sent again */
    OUTCOME_RETRY,   /* may be sent again, not before `after` */
    OUTCOME_REFUSED, /* must not be sent again */
};

struct outcome {
    enum outcome_kind kind;
    uint64_t rejected; /* of partial_success */
    uint64_t after;    /* ns that the server asked us to wait; 0: it did not say */
    unsigned status;   /* HTTP status, or gRPC code; 0 for a connection failure */
    bool grpc;
    struct str message; /* borrowed, for a log line */
};

/* The retry tables of OTLP: by gRPC code (RESOURCE_EXHAUSTED only with RetryInfo) and by
 * HTTP status (429, 502, 503, 504). */
enum outcome_kind outcome_of_grpc(unsigned code, bool has_retry_info);
enum outcome_kind outcome_of_http(unsigned status);

#endif
