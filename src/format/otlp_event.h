/* otlp_event: our own items as OTLP's. Floor 3.
 *
 * A span becomes a Span, a log line a LogRecord, a named event a LogRecord with its
 * event_name and its measurements as attributes. The correlation id becomes the
 * attribute `mcptally.correlation_id`. */
#ifndef MCPTALLY_FORMAT_OTLP_EVENT_H
#define MCPTALLY_FORMAT_OTLP_EVENT_H

#include "base/buf.h"
#include "model/event.h"

/* Appends the message of an EVENT_SPAN; with the tracestate given. */
void otlp_put_span(struct buf *to, const struct event *e, struct str tracestate);

/* Appends that of an EVENT_LOG or EVENT_NAMED, which came in then (ns since 1970). */
void otlp_put_log(struct buf *to, const struct event *e, uint64_t received);

/* The fields of a Resource* message around our own items, and of its Scope*. */
void otlp_put_resource(struct buf *to, struct str service, struct str instance);
void otlp_put_scope(struct buf *to);

#endif
