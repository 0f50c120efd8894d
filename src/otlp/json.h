/* json: OTLP/JSON into the protobuf form. Floor 1.
 *
 * Ids are hexadecimal, enums integers, keys lowerCamelCase, 64-bit integers strings or
 * numbers, bytes base64, doubles also "NaN", "Infinity" and "-Infinity"; null is a field
 * that is not there, and unknown fields are ignored. A key that comes twice is an error.
 * Depth and counts are bounded. What comes out has still to pass the trust line. */
#ifndef MCPTALLY_OTLP_JSON_H
#define MCPTALLY_OTLP_JSON_H

#include "otlp/otlp.h"

/* Appends the Export*ServiceRequest of the JSON text. 0; -ERR_SYNTAX, -ERR_RANGE or
 * -ERR_NOMEM with a line in `why`: where the text is no JSON ("line 3, column 9: ..."), or
 * which value has the wrong form ("resourceSpans[0].scopeSpans[1].scope: expected an
 * object"). -ERR_RANGE also for what does not fit into the buffer's max; what was
 * appended before an error is to be thrown away. */
int otlp_json(struct buf *to, enum otlp_signal signal, struct str json, char *why, size_t why_size);

#endif
