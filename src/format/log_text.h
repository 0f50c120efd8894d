/* log_text: a log line as bytes, in each of its forms. Floor 3.
 *
 * What is no UTF-8 becomes '?', a control character a blank: a line stays one line, and
 * nothing in it can steer a terminal. */
#ifndef MCPTALLY_FORMAT_LOG_TEXT_H
#define MCPTALLY_FORMAT_LOG_TEXT_H

#include "base/buf.h"
#include "base/log.h"

/* Appends a text as it is safe in one line, and on a terminal. */
void log_clean(struct buf *to, struct str s);

/* One line of JSON: time, level, component, those of domain, session, correlation_id and
 * trace_id that there are, message, and the other fields under `fields`. */
void log_json(struct buf *to, const struct log_line *line, uint64_t wall);

/* "mcptallyd: level: component: message key=value", or with the "<N>" that the journal reads
 * from stderr in place of the first two words. */
void log_plain(struct buf *to, const struct log_line *line, bool journal);

/* A datagram of the journal's native protocol. */
void log_journal(struct buf *to, const struct log_line *line);

/* The plain form of a line that log_json() has made; the line as it is when it is none. */
void log_plain_again(struct buf *to, struct str json, bool journal);

#endif
