/* traceparent: the header of W3C Trace Context, read strictly. */
#ifndef MCPTALLY_CLIENT_TRACEPARENT_H
#define MCPTALLY_CLIENT_TRACEPARENT_H

#include <stdbool.h>

#include "model/event.h"

enum { TRACEPARENT_SIZE = 55 }; /* characters of version 00 */

/* Version 00 must have exactly 55 characters; a later one may have more after a
 * dash. False when it is malformed: then the trace begins anew. */
bool traceparent_parse(const char *text, struct trace_ref *out, unsigned *flags);

/* Writes version 00 and a NUL. */
void traceparent_format(char to[TRACEPARENT_SIZE + 1], const struct trace_ref *trace,
                        unsigned flags);

#endif
