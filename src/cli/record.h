/* record: one record of a ring, as a line for people or an object for programs. */
#ifndef MCPTALLY_CLI_RECORD_H
#define MCPTALLY_CLI_RECORD_H

#include <stdbool.h>

#include "base/buf.h"
#include "model/event.h"
#include "store/read.h"

/* Appends one line with its end, safe for a terminal whatever a producer sent. */
void record_text(struct buf *to, const struct ring_view *r, const struct event *e, bool colour);

/* The same in parts, for lines of other forms: a span's name, and how it ended (" ERROR ..."
 * or nothing); a log record's severity and text; the attributes of an item from `first` on,
 * " key=value" each; a number in hex. */
void record_name(struct buf *to, const struct event *e, bool colour);
void record_failure(struct buf *to, const struct event *e, bool colour);
void record_log(struct buf *to, const struct event *e, bool colour);
void record_attrs(struct buf *to, const struct event *e, unsigned first, unsigned n, bool colour);
void record_hex(struct buf *to, const uint8_t *id, size_t n);

/* Appends one JSON object with a line end. Times are ISO 8601 in UTC, durations in
 * seconds. */
void record_json(struct buf *to, const struct ring_view *r, const struct event *e);

/* The members of that object, into one that the caller has begun. */
struct json_writer;
void record_json_members(struct json_writer *j, const struct ring_view *r, const struct event *e);

#endif
