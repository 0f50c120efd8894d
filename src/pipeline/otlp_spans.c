#include "pipeline/otlp_request.h"
#include "pipeline/sampling.h"
#include "pipeline/span_metrics.h"
#include "wire/decode.h"

/* Metrics are made of every span, also of those that sampling leaves out; only kept
 * ones are redacted, which costs more. */
int otlp_apply_span(struct otlp_request *r)
{
    struct pipeline *pl = r->pl;
    struct event *e = &pl->event;
    const int bad = otlp_span(r->item.bytes, e);
    if (bad < 0)
        return (int)drop_of_error(bad);
    if (otlp_too_large(r, RING_SPANS, r->item.bytes.n))
        return DROP_RING_FULL;
    const struct sample_span sample = {
        .event = e,
        .service = r->service,
        .domain = r->domain,
        .local_root = sampling_local_root(e),
    };
    int why = DROP_SAMPLED;
    otlp_make_room(r, RING_SPANS);
    if (sampling_note(pl->sampling, &sample, r->pressure, r->now) == SAMPLE_ENTER)
        why = otlp_keep(r, RING_SPANS, RECORD_OTLP_SPAN, r->item.bytes);
    const struct span_source from = {
        .service = r->service,
        .domain = r->domain,
        .otlp = true,
        .nattrs = r->origin.nattrs,
        .attrs = r->origin.attrs,
    };
    if (why == DROP_MAX || why == DROP_SAMPLED)
        span_metrics_note(pl, e, &from, r->now);
    return why;
}
