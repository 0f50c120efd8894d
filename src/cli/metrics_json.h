/* metrics_json: every metric of a store as JSON. */
#ifndef MCPTALLY_CLI_METRICS_JSON_H
#define MCPTALLY_CLI_METRICS_JSON_H

#include "base/buf.h"
#include "store/read.h"

/* Appends one object with the list "metrics" and a line end. A metric that has no
 * series to show has an empty list of them. */
void metrics_json(struct buf *to, const struct store *st, uint64_t now_mono);

#endif
