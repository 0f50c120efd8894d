/* record: a ring record of any kind as an event. Floor 1.
 *
 * Rings keep what our own frames carry as it was on the wire, and OTLP items as
 * one-item Resource* messages (otlp.h). Who only wants to know what happened
 * reads both here. */
#ifndef MCPTALLY_OTLP_RECORD_H
#define MCPTALLY_OTLP_RECORD_H

#include "base/buf.h"
#include "model/event.h"

/* The event of a record's body; its kind is EVENT_SPAN, EVENT_LOG ... also for OTLP
 * items. One without a correlation id has that of its attribute mcptally.correlation_id,
 * correlation_id, correlation.id or mcp.session.id. Strings are borrowed from the body, or lie in
 * scratch. 0; -ERR_NOTFOUND for kinds that are no event (RECORD_OTLP_METRIC); an error for
 * nonsense. */
int record_event(unsigned kind, struct str body, struct event *out, struct buf *scratch);

/* The trace of a span or log record, without reading the rest. False when it has none. */
bool record_trace(unsigned kind, struct str body, struct trace_ref *out);

#endif
