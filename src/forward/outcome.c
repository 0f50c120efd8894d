#include "forward/outcome.h"

#include "otlp/reply.h"

enum outcome_kind outcome_of_grpc(unsigned code, bool has_retry_info)
{
    switch (code) {
    case RPC_OK:
        return OUTCOME_OK;
    case RPC_CANCELLED:
    case RPC_DEADLINE_EXCEEDED:
    case RPC_ABORTED:
    case RPC_OUT_OF_RANGE:
    case RPC_UNAVAILABLE:
    case RPC_DATA_LOSS:
        return OUTCOME_RETRY;
    case RPC_RESOURCE_EXHAUSTED: /* without RetryInfo the request itself is too large */
        return has_retry_info ? OUTCOME_RETRY : OUTCOME_REFUSED;
    default:
        return OUTCOME_REFUSED;
    }
}

enum outcome_kind outcome_of_http(unsigned status)
{
    if (status >= 200 && status < 300)
        return OUTCOME_OK;
    switch (status) {
    case 0: /* no answer */
    case 429:
    case 502:
    case 503:
    case 504:
        return OUTCOME_RETRY;
    default:
        return OUTCOME_REFUSED;
    }
}
