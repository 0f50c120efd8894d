/* json: OTLP/JSON into the protobuf form, in steps. Floor 1.
 *
 * Ids are hexadecimal, enums integers, keys lowerCamelCase, 64-bit integers strings or
 * numbers, bytes base64, doubles also "NaN", "Infinity" and "-Infinity"; null is a field
 * that is not there, and unknown fields are ignored. A key that comes twice is an error.
 * Depth and counts are bounded. What comes out has still to pass the trust line.
 *
 * A value that is no larger than a step is parsed as a whole; a larger object or array is
 * cut at its members, a larger text between its characters. So a step deals with at most
 * about twice its bytes, unless a single key, number, or string of digits is larger. */
#ifndef MCPTALLY_OTLP_JSON_H
#define MCPTALLY_OTLP_JSON_H

#include "otlp/otlp.h"

struct otlp_json;

/* Will append the Export*ServiceRequest of the JSON text to the buffer. Both are borrowed
 * until the end, the buffer may move. NULL when memory is out. */
struct otlp_json *otlp_json_begin(struct buf *to, enum otlp_signal signal, struct str json);

/* Deals with about so many bytes of the text, and says with how many. 1: there is more to
 * do; 0: it is done; -ERR_SYNTAX, -ERR_RANGE or -ERR_NOMEM with a line in `why`: where the
 * text is no JSON ("line 3, column 9: ..."), or which value has the wrong form
 * ("resourceSpans[0].scopeSpans[1].scope: expected an object"). -ERR_RANGE also for what
 * does not fit into the buffer's max; what was appended before an error is to be thrown
 * away. Only otlp_json_end() may follow 0 or an error. */
int otlp_json_step(struct otlp_json *c, size_t bytes, size_t *done, char *why, size_t why_size);

/* Accepts NULL. */
void otlp_json_end(struct otlp_json *c);

#endif
