#include "format/otlp_event.h"

#include <assert.h>

#include "otlp/put.h"

static void put_attrs(struct buf *to, unsigned number, const struct attr *attrs, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put_attr(to, number, &attrs[i]);
}

static void put_correlation(struct buf *to, unsigned number, struct str correlation)
{
    if (correlation.n > 0)
        put_attr_text(to, number, STR("mcptally.correlation_id"), correlation);
}

static void put_span_event(struct buf *to, const struct event *e, const struct span_event *of)
{
    const size_t at = put_open(to, 11);
    put_fixed64(to, 1, of->time);
    put_text(to, 2, of->name);
    put_attrs(to, 3, &e->attrs[of->first_attr], of->nattrs);
    put_close_tight(to, at);
}

static void put_span_link(struct buf *to, const struct event *e, const struct span_link *of)
{
    const size_t at = put_open(to, 13);
    put_id(to, 1, of->to.trace_id, sizeof of->to.trace_id);
    put_id(to, 2, of->to.span_id, sizeof of->to.span_id);
    put_text(to, 3, of->tracestate);
    put_attrs(to, 4, &e->attrs[of->first_attr], of->nattrs);
    put_close_tight(to, at);
}

static void put_status(struct buf *to, const struct event *e)
{
    if (e->status == SPAN_UNSET && e->text.n == 0)
        return;
    const size_t at = put_open(to, 15);
    put_text(to, 2, e->text);
    put_uint(to, 3, e->status);
    put_close_tight(to, at);
}

void otlp_put_span(struct buf *to, const struct event *e, struct str tracestate)
{
    assert(e->kind == EVENT_SPAN);
    put_id(to, 1, e->trace.trace_id, sizeof e->trace.trace_id);
    put_id(to, 2, e->trace.span_id, sizeof e->trace.span_id);
    put_text(to, 3, tracestate);
    put_id(to, 4, e->parent_id, sizeof e->parent_id);
    put_text(to, 5, e->name);
    put_uint(to, 6, e->span_kind);
    put_fixed64(to, 7, e->time);
    put_fixed64(to, 8, e->end);
    put_attrs(to, 9, e->attrs, e->nattrs);
    put_correlation(to, 9, e->correlation);
    for (unsigned i = 0; i < e->nevents; i++)
        put_span_event(to, e, &e->events[i]);
    for (unsigned i = 0; i < e->nlinks; i++)
        put_span_link(to, e, &e->links[i]);
    put_status(to, e);
    put_fixed32(to, 16, e->span_flags);
}

static void put_body(struct buf *to, struct str text)
{
    const size_t at = put_open(to, 5);
    put_bytes(to, 1, text);
    put_close_tight(to, at);
}

static void put_measures(struct buf *to, const struct event *e)
{
    for (unsigned i = 0; i < e->nmeasures; i++)
        put_attr(
            to, 6,
            &(struct attr){.key = e->measures[i].key, .type = ATTR_F64, .d = e->measures[i].value});
}

void otlp_put_log(struct buf *to, const struct event *e, uint64_t received)
{
    assert(e->kind == EVENT_LOG || e->kind == EVENT_NAMED);
    const bool log = e->kind == EVENT_LOG;
    const unsigned severity = log ? e->severity : severity_of(STR("info"));
    put_fixed64(to, 1, e->time);
    put_uint(to, 2, severity);
    put_text(to, 3, str_of(severity_name(severity)));
    if (log)
        put_body(to, e->text);
    else
        put_measures(to, e);
    put_attrs(to, 6, e->attrs, e->nattrs);
    put_correlation(to, 6, e->correlation);
    put_id(to, 9, e->trace.trace_id, sizeof e->trace.trace_id);
    put_id(to, 10, e->trace.span_id, sizeof e->trace.span_id);
    put_fixed64(to, 11, received);
    if (!log)
        put_text(to, 12, e->name);
}

void otlp_put_resource(struct buf *to, struct str service, struct str instance)
{
    const size_t at = put_open(to, 1);
    put_attr_text(to, 1, STR("service.name"), service);
    if (instance.n > 0)
        put_attr_text(to, 1, STR("service.instance.id"), instance);
    put_close_tight(to, at);
}

void otlp_put_scope(struct buf *to)
{
    const size_t at = put_open(to, 1);
    put_text(to, 1, STR("mcptally"));
    put_text(to, 2, STR(MCPTALLY_BUILD_VERSION));
    put_close_tight(to, at);
}
