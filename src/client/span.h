/* span: what the rest of the library needs of spans. */
#ifndef MCPTALLY_CLIENT_SPAN_H
#define MCPTALLY_CLIENT_SPAN_H

#include "model/event.h"

/* This thread's innermost open span; all zero when there is none. */
struct trace_ref span_current(void);

/* Lets go of what the thread's stack holds. */
void span_thread_ended(void);

#endif
