/* span_metrics: spans into metrics. Floor 3.
 *
 * Of every span, whoever sent it and whether sampling keeps it or not:
 *
 *   traces.span.metrics.calls       how many, by service, name, kind and status
 *   traces.span.metrics.duration    how long, with the same labels
 *
 * with the names, labels and buckets of the OpenTelemetry Collector's spanmetrics
 * connector; errors are the calls whose status is an error. And of a span of an MCP
 * operation that came by OTLP mcp.{server,client}.operation.duration, as the wrapper
 * reports them of what it sees itself.
 *
 * The way from a span to its series is looked up once and cached. The cache holds its
 * series as a connection holds those of its ids, so what it leads to is always there. */
#ifndef MCPTALLY_PIPELINE_SPAN_METRICS_H
#define MCPTALLY_PIPELINE_SPAN_METRICS_H

#include "pipeline/pipeline.h"

struct span_source {
    struct str service;
    unsigned domain;
    bool otlp; /* it came by OTLP */
    /* Attributes of the resource: dimensions that the span itself does not have. */
    unsigned nattrs;
    const struct attr *attrs;
};

/* Inside the open batch. */
void span_metrics_note(struct pipeline *pl, const struct event *span,
                       const struct span_source *from, struct when now);

/* With each step of the idle clock: lets go of series that are idle, and of the way to
 * overflow series, since there may be room again. */
void span_metrics_sweep(struct pipeline *pl);

/* When the options have changed: the same values may be of other dimensions now. Commits. */
void span_metrics_forget(struct pipeline *pl);

/* Frees the cache; the store is not told. */
void span_metrics_fini(struct pipeline *pl);

#endif
