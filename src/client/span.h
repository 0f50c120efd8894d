/* span: what the rest of the library needs of spans. */
#ifndef MCPTALLY_CLIENT_SPAN_H
#define MCPTALLY_CLIENT_SPAN_H

#include "model/event.h"

struct mcptally_span;

/* This thread's innermost open span; all zero when there is none. */
struct trace_ref span_current(void);

/* Makes it the span of a context that was given out before it began: a traceparent,
 * whose flags are left aside. s may be NULL. */
void span_become(struct mcptally_span *s, const char *traceparent);

/* As mcptally_span_end(), at this time of CLOCK_BOOTTIME. */
void span_end_at(struct mcptally_span *s, uint64_t mono);

/* Lets go of what the thread's stack holds. */
void span_thread_ended(void);

#endif
