/* record: one record of a ring, as a line for people or an object for programs. */
#ifndef MCPTALLY_CLI_RECORD_H
#define MCPTALLY_CLI_RECORD_H

#include <stdbool.h>

#include "base/buf.h"
#include "model/event.h"
#include "store/read.h"

/* Appends one line with its end, safe for a terminal whatever a producer sent. */
void record_text(struct buf *to, const struct ring_view *r, const struct event *e, bool colour);

/* Appends one JSON object with a line end. Times are ISO 8601 in UTC, durations in
 * seconds. */
void record_json(struct buf *to, const struct ring_view *r, const struct event *e);

#endif
