/* json: OTLP/JSON into the protobuf form. Floor 1.
 *
 * Ids are hexadecimal, enums integers, keys lowerCamelCase, 64-bit integers strings or
 * numbers, bytes base64; unknown fields are ignored. Depth and counts are bounded. */
#ifndef MCPTALLY_OTLP_JSON_H
#define MCPTALLY_OTLP_JSON_H

#include "otlp/otlp.h"

/* Appends the Export*ServiceRequest of the JSON text. 0; -ERR_SYNTAX, -ERR_RANGE or
 * -ERR_NOMEM with a line in `why` ("line 3, column 9: ..."). */
int otlp_json(struct buf *to, enum otlp_signal signal, struct str json, char *why, size_t why_size);

#endif
