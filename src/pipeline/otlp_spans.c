#include "pipeline/otlp_request.h"
#include "pipeline/sampling.h"
#include "pipeline/span_metrics.h"
#include "wire/decode.h"

enum { METRICS_COST = 96 }; /* units of a span in metrics: a new name makes series */

static struct sample_span sample_of(const struct otlp_request *r, const struct event *e)
{
    return (struct sample_span){
        .event = e,
        .service = r->service,
        .domain = r->domain,
        .local_root = sampling_local_root(e),
    };
}

static int keep_span(struct otlp_request *r, bool room)
{
    if (!room)
        return DROP_RING_SHARE;
    if (!domain_span(r->pl, r->domain, r->now))
        return DROP_RATE_LIMITED;
    return otlp_keep(r, RING_SPANS, RECORD_OTLP_SPAN, r->item.bytes);
}

/* Most spans are left out, and nothing but the sampling looks at them: it sees what it asks
 * for, and no more is read. */
static int apply_unmeasured(struct otlp_request *r)
{
    struct pipeline *pl = r->pl;
    struct event *e = &pl->event;
    unsigned nkeys;
    const struct str *keys = sampling_keys(pl->sampling, &nkeys);
    int bad = otlp_span_head(r->item.bytes, keys, nkeys, e);
    if (bad < 0)
        return (int)drop_of_error(bad);
    const struct sample_span sample = sample_of(r, e);
    if (sampling_note(pl->sampling, &sample, r->pressure, r->now) != SAMPLE_ENTER)
        return DROP_SAMPLED;
    const bool room = otlp_make_room(r, RING_SPANS);
    bad = otlp_span(r->item.bytes, e);
    return bad < 0 ? (int)drop_of_error(bad) : keep_span(r, room);
}

/* Metrics are made of every span, also of those that sampling leaves out; only kept
 * ones are redacted, which costs more. */
static int apply_measured(struct otlp_request *r)
{
    struct pipeline *pl = r->pl;
    struct event *e = &pl->event;
    const int bad = otlp_span(r->item.bytes, e);
    if (bad < 0)
        return (int)drop_of_error(bad);
    const struct sample_span sample = sample_of(r, e);
    int why = DROP_SAMPLED;
    const bool room = otlp_make_room(r, RING_SPANS);
    if (sampling_note(pl->sampling, &sample, r->pressure, r->now) == SAMPLE_ENTER)
        why = keep_span(r, room);
    const struct span_source from = {
        .service = r->service,
        .domain = r->domain,
        .otlp = true,
        .nattrs = r->origin.nattrs,
        .attrs = r->origin.attrs,
    };
    r->work += METRICS_COST;
    if (why == DROP_MAX || why == DROP_SAMPLED)
        span_metrics_note(pl, e, &from, r->now);
    return why;
}

int otlp_apply_span(struct otlp_request *r)
{
    const struct pipeline *pl = r->pl;
    if (otlp_too_large(r, RING_SPANS, r->item.bytes.n))
        return DROP_RING_FULL;
    sampling_expect(pl->sampling, otlp_walk_trace_ahead(&r->walk));
    return sampling_at_door(pl->sampling) && !pl->options.span_metrics ? apply_unmeasured(r)
                                                                       : apply_measured(r);
}
