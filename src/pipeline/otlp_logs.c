#include "pipeline/otlp_request.h"
#include "wire/decode.h"

/* The event is not used: reading it is the trust line. */
int otlp_apply_log(struct otlp_request *r)
{
    struct pipeline *pl = r->pl;
    if (otlp_too_large(r, RING_EVENTS, r->item.bytes.n))
        return DROP_RING_FULL;
    const int bad = otlp_log(r->item.bytes, &pl->event, NULL);
    if (bad < 0)
        return (int)drop_of_error(bad);
    if (!otlp_make_room(r, RING_EVENTS))
        return DROP_RING_SHARE;
    return otlp_keep(r, RING_EVENTS, RECORD_OTLP_LOG, r->item.bytes);
}
